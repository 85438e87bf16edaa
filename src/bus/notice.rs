//! What a bus tells the registry of itself: what did not fit, was lost, was slow, came again or was replayed.
//!
//! A flood of losses must not become a flood of notices: equal ones within a second are one with a count, and beyond so
//! many that differ, the rest of a second is told without topic and subscriber.

pub use crate::model::NoticeKind;
use crate::model::{BusId, DefinitionHash, SubscriberId, Time, TopicName};
use std::collections::HashMap;

/// How many different notices a second are told apart.
pub const APART_MAX: usize = 100;
/// For how long equal ones are gathered, in seconds.
const GATHERED_SECONDS: u64 = 1;

/// What a notice is about. Those that are equal in it are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// What happened.
    pub kind: NoticeKind,
    /// On which topic; `None` where it is about several.
    pub topic: Option<TopicName>,
    /// To whom; `None` where it is about nobody, or about several.
    pub subscriber: Option<SubscriberId>,
    /// By which schema.
    pub schema_hash: Option<DefinitionHash>,
}

impl Subject {
    /// Something that happened, to nobody and nowhere yet.
    pub fn new(kind: NoticeKind) -> Self {
        Subject { kind, topic: None, subscriber: None, schema_hash: None }
    }

    /// On this topic.
    pub fn on(self, topic: &TopicName) -> Self {
        Subject { topic: Some(topic.clone()), ..self }
    }

    /// To this subscriber.
    pub fn to(self, subscriber: SubscriberId) -> Self {
        Subject { subscriber: Some(subscriber), ..self }
    }

    /// By this schema.
    pub fn by(self, schema_hash: Option<DefinitionHash>) -> Self {
        Subject { schema_hash, ..self }
    }
}

/// What a bus tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which bus.
    pub bus: BusId,
    /// What it is about.
    pub subject: Subject,
    /// How many it stands for.
    pub count: u64,
    /// Why, in words; of several the first.
    pub reason: String,
    /// When the first of them was.
    pub first_at: Time,
    /// When the last of them was.
    pub last_at: Time,
}

/// Notices that are gathered.
#[derive(Debug)]
pub struct Notices {
    bus: BusId,
    gathered: HashMap<Subject, Notice>,
    since: Option<Time>,
}

impl Notices {
    /// Those of a bus.
    pub fn new(bus: BusId) -> Self {
        Notices { bus, gathered: HashMap::new(), since: None }
    }

    /// Something happened so many times. Why is asked only where it was not yet said.
    pub fn note(&mut self, now: Time, subject: Subject, count: u64, reason: impl FnOnce() -> String) {
        self.since.get_or_insert(now);
        if let Some(notice) = self.gathered.get_mut(&subject) {
            notice.count += count;
            notice.last_at = now;
            return;
        }
        let (subject, reason) = if self.gathered.len() < APART_MAX {
            (subject, reason())
        } else {
            (Subject::new(subject.kind), "too many within a second to be told apart".to_owned())
        };
        let new = Notice { bus: self.bus, subject: subject.clone(), count: 0, reason, first_at: now, last_at: now };
        let notice = self.gathered.entry(subject).or_insert(new);
        notice.count += count;
        notice.last_at = now;
    }

    /// What is to be told by now, in the order in which it began.
    pub fn take(&mut self, now: Time) -> Vec<Notice> {
        if self.due().is_some_and(|due| due <= now) { self.take_all() } else { Vec::new() }
    }

    /// All that is still to be told.
    pub fn take_all(&mut self) -> Vec<Notice> {
        self.since = None;
        let mut notices: Vec<Notice> = self.gathered.drain().map(|(_, notice)| notice).collect();
        notices.sort_by(|one, other| (one.first_at, &one.subject).cmp(&(other.first_at, &other.subject)));
        notices
    }

    /// When something is to be told.
    pub fn due(&self) -> Option<Time> {
        self.since.map(|since| since.plus_seconds(GATHERED_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::testing::{at, at_millis, topic};
    use uuid::Uuid;

    fn notices() -> Notices {
        Notices::new(BusId(Uuid::from_u128(1)))
    }

    fn dropped(number: u128) -> Subject {
        Subject::new(NoticeKind::Dropped).on(&topic("t")).to(SubscriberId(Uuid::from_u128(number)))
    }

    #[test]
    fn equal_ones_within_a_second_are_one_with_a_count() {
        let mut notices = notices();
        for millis in 0..1_000 {
            notices.note(at_millis(millis), dropped(7), 2, || format!("at {millis}"));
        }
        assert_eq!(notices.take(at_millis(999)), []);
        let told = notices.take(at(1));
        assert_eq!((told.len(), told[0].count, told[0].reason.as_str()), (1, 2_000, "at 0"));
        assert_eq!((told[0].first_at, told[0].last_at), (at(0), at_millis(999)));
        assert_eq!((notices.due(), notices.take(at(9)).len()), (None, 0));
    }

    #[test]
    fn beyond_a_bound_the_rest_of_a_second_is_one_of_each_kind() {
        let mut notices = notices();
        for number in 0..5_000 {
            notices.note(at(0), dropped(number), 1, String::new);
            notices.note(at(0), Subject { kind: NoticeKind::SubscriberSlow, ..dropped(number) }, 1, String::new);
        }
        let told = notices.take(at(1));
        assert_eq!((told.len(), told.iter().map(|notice| notice.count).sum::<u64>()), (APART_MAX + 2, 10_000));
        let rest: Vec<_> = told.iter().filter(|notice| notice.subject.subscriber.is_none()).collect();
        assert_eq!((rest.len(), rest[0].count), (2, 4_950));
    }

    #[test]
    fn they_are_told_in_the_order_in_which_they_began() {
        let mut notices = notices();
        notices.note(at_millis(2), dropped(1), 1, String::new);
        notices.note(at_millis(1), dropped(2), 1, String::new);
        let subjects: Vec<_> = notices.take_all().into_iter().map(|notice| notice.subject).collect();
        assert_eq!(subjects, [dropped(2), dropped(1)]);
    }
}
