//! One durable subscriber's way with its events, as a machine without a clock, a lock or a wire: deliveries of its
//! group and what the subscriber says go in, what is to be done comes out.
//!
//! An event is given until it is acknowledged, each time after a longer wait, and so many times at most; then it goes
//! to the topic of dead letters, and only when it has come there it is done with. So nothing is lost between the two,
//! and what comes twice comes as a redelivery.

use super::arrived::Arrived;
use super::filter::Filter;
use super::kind::{Outgoing, Place};
use super::notice::NoticeKind;
use super::queue::Given;
use crate::model::{BusPolicy, SubscriberName, Time, TopicPattern, bus::topics};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a subscriber has for an event before it comes again, in seconds, unless it is said otherwise.
pub const ANSWER_SECONDS: u64 = 30;
/// The longest wait before an event comes again.
const BACKOFF_MAX: Duration = Duration::from_millis(BusPolicy::RETRY_BACKOFF_MS_MAX as u64);

/// When an event counts as done with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledging {
    /// When the subscriber says so.
    #[default]
    Said,
    /// When it was handed over.
    Handed,
}

/// How a durable subscriber is treated.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Unique on the bus.
    pub name: SubscriberName,
    /// Which events it gets.
    pub filter: Filter,
    /// When an event counts as done with.
    pub acknowledging: Acknowledging,
    /// How many events it may have at once, unacknowledged.
    pub open_max: usize,
    /// How often an event is given at most.
    pub deliveries_max: u32,
    /// How long to wait before the second time.
    pub backoff: Duration,
    /// How long it has for an event.
    pub answer_within: Duration,
}

impl Terms {
    /// What a bus's policy says of a durable subscriber.
    pub fn of(policy: &BusPolicy, name: SubscriberName, filter: Filter) -> Self {
        Terms {
            name,
            filter,
            acknowledging: Acknowledging::default(),
            open_max: policy.queue_capacity.max(1) as usize,
            deliveries_max: policy.max_deliveries.max(1),
            backoff: Duration::from_millis(u64::from(policy.retry_backoff_ms)),
            answer_within: Duration::from_secs(ANSWER_SECONDS),
        }
    }

    /// How long to wait after this delivery: twice as long after each.
    pub fn wait_after(&self, number: u32) -> Duration {
        let doublings = number.saturating_sub(1).min(31);
        self.backoff.saturating_mul(1 << doublings).min(BACKOFF_MAX)
    }
}

/// Something to be told of an event of the subscriber.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What.
    pub kind: NoticeKind,
    /// Of which event.
    pub event: Arc<Arrived>,
    /// Why, in words.
    pub reason: String,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, Default)]
pub struct Moves {
    /// Hand these to the subscriber, then say [`Durable::handed`] of each.
    pub give: Vec<Given>,
    /// Publish these, then say [`Durable::buried`] of each, or [`Durable::not_buried`].
    pub bury: Vec<(Place, Outgoing)>,
    /// Tell the group that these come again, not before so long from now.
    pub retry: Vec<(Place, Duration)>,
    /// Tell the group that these are done with.
    pub acknowledge: Vec<Place>,
    /// Tell the registry.
    pub tell: Vec<Told>,
}

/// Nothing of that place is open: it was done with, or has gone back to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no event at place {} waits for an answer: it was acknowledged, or its time was up and it comes again", .0.0)]
pub struct NotOpen(pub Place);

#[derive(Debug)]
struct Open {
    event: Arc<Arrived>,
    number: u32,
    stage: Stage,
}

/// How far an event is that a subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It waits to be handed over. A subscriber that takes its time with others has all of it for this one.
    Coming,
    /// It was handed over, and is waited for until then.
    Handed(Time),
    /// It goes to the dead letters, and is the subscriber's no longer.
    Buried,
}

/// A durable subscriber that is there.
#[derive(Debug)]
pub struct Durable {
    terms: Terms,
    open: BTreeMap<Place, Open>,
}

impl Moves {
    /// These, and then others.
    pub fn extend(&mut self, others: Moves) {
        let Moves { give, bury, retry, acknowledge, tell } = others;
        self.give.extend(give);
        self.bury.extend(bury);
        self.retry.extend(retry);
        self.acknowledge.extend(acknowledge);
        self.tell.extend(tell);
    }
}

impl Durable {
    /// One that has nothing yet.
    pub fn new(terms: Terms) -> Self {
        Durable { terms, open: BTreeMap::new() }
    }

    /// Whether the group is to be asked for more.
    pub fn has_room(&self) -> bool {
        self.open.len() < self.terms.open_max
    }

    /// How many events wait for an answer.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The group delivers an event, for this time.
    pub fn delivered(&mut self, event: Arc<Arrived>, number: u32) -> Moves {
        let mut moves = Moves::default();
        let place = event.place;
        if !wants(&self.terms.filter, &event) {
            moves.acknowledge.push(place);
            return moves;
        }
        // Its last time was up while nobody was there to count it.
        if number > self.terms.deliveries_max {
            self.open.insert(place, Open { event, number, stage: Stage::Buried });
            self.give_up(place, &mut moves);
            return moves;
        }
        if number > 1 {
            let reason = format!("delivery {number} of {}", self.terms.deliveries_max);
            moves.tell.push(Told { kind: NoticeKind::Retry, event: event.clone(), reason });
        }
        moves.give.push(Given { event: event.clone(), missed: 0, redelivery: number.saturating_sub(1) });
        self.open.insert(place, Open { event, number, stage: Stage::Coming });
        moves
    }

    /// An event was handed over.
    pub fn handed(&mut self, now: Time, place: Place) -> Moves {
        let mut moves = Moves::default();
        let until = plus(now, self.terms.answer_within);
        match self.open.get_mut(&place) {
            Some(open) if open.stage == Stage::Coming => open.stage = Stage::Handed(until),
            _ => return moves,
        }
        if self.terms.acknowledging == Acknowledging::Handed {
            self.open.remove(&place);
            moves.acknowledge.push(place);
        }
        moves
    }

    /// The subscriber is done with an event.
    pub fn acknowledged(&mut self, place: Place) -> Result<Moves, NotOpen> {
        self.take(place)?;
        Ok(Moves { acknowledge: vec![place], ..Moves::default() })
    }

    /// The subscriber could not do with an event what it should have.
    pub fn refused(&mut self, place: Place) -> Result<Moves, NotOpen> {
        self.find(place)?;
        let mut moves = Moves::default();
        self.again(place, &mut moves);
        Ok(moves)
    }

    /// The time of some may be up.
    pub fn tick(&mut self, now: Time) -> Moves {
        let late = |open: &Open| matches!(open.stage, Stage::Handed(until) if until <= now);
        let late: Vec<Place> = self.open.iter().filter(|(_, open)| late(open)).map(|(place, _)| *place).collect();
        let mut moves = Moves::default();
        late.into_iter().for_each(|place| self.again(place, &mut moves));
        moves
    }

    /// When the time of one is up.
    pub fn due(&self) -> Option<Time> {
        let until = |open: &Open| match open.stage {
            Stage::Handed(until) => Some(until),
            Stage::Coming | Stage::Buried => None,
        };
        self.open.values().filter_map(until).min()
    }

    /// A dead letter was published: its event is done with.
    pub fn buried(&mut self, place: Place) -> Moves {
        self.open.remove(&place);
        Moves { acknowledge: vec![place], ..Moves::default() }
    }

    /// A dead letter could not be published: its event comes again, to be buried then.
    pub fn not_buried(&mut self, place: Place) -> Moves {
        let number = self.open.remove(&place).map_or(1, |open| open.number);
        Moves { retry: vec![(place, self.terms.wait_after(number))], ..Moves::default() }
    }

    fn take(&mut self, place: Place) -> Result<(), NotOpen> {
        self.find(place)?;
        self.open.remove(&place);
        Ok(())
    }

    fn find(&self, place: Place) -> Result<(), NotOpen> {
        let found = self.open.get(&place).filter(|open| open.stage != Stage::Buried);
        found.map(|_| ()).ok_or(NotOpen(place))
    }

    fn again(&mut self, place: Place, moves: &mut Moves) {
        let Some(number) = self.open.get(&place).map(|open| open.number) else { return };
        if number >= self.terms.deliveries_max {
            self.give_up(place, moves);
        } else {
            self.open.remove(&place);
            moves.retry.push((place, self.terms.wait_after(number)));
        }
    }

    fn give_up(&mut self, place: Place, moves: &mut Moves) {
        let Some(open) = self.open.get_mut(&place) else { return };
        open.stage = Stage::Buried;
        let event = open.event.clone();
        let times = self.terms.deliveries_max;
        let reason = match dead_letter(&event, &self.terms.name) {
            Some(letter) => {
                let reason = format!("delivered {times} times and not acknowledged; it goes to {}", letter.topic);
                moves.bury.push((place, letter));
                reason
            }
            None => {
                self.open.remove(&place);
                moves.acknowledge.push(place);
                format!("delivered {times} times and not acknowledged; {} has no topic for dead letters", event.topic)
            }
        };
        moves.tell.push(Told { kind: NoticeKind::RetryLimitExceeded, event, reason });
    }
}

/// Whether an event is for a durable subscriber with this filter. Dead letters are only for who names such topics: one
/// that wants everything would get what it gave up again.
pub fn wants(filter: &Filter, event: &Arrived) -> bool {
    let names_letters = |pattern: &TopicPattern| pattern.as_str().ends_with(topics::DEAD_LETTERS);
    filter.wants(event) && (!topics::are_dead_letters(&event.topic) || filter.wanted.topics.iter().any(names_letters))
}

/// An event as a dead letter of a subscriber; `None` where its topic has none.
pub fn dead_letter(event: &Arrived, subscriber: &SubscriberName) -> Option<Outgoing> {
    let topic = topics::dead_letters_of(&event.topic)?;
    // The event's own id would be taken for the event itself, and the same id each time is one letter at most.
    let id = Uuid::new_v5(&event.event.id.0, subscriber.as_str().as_bytes());
    Some(Outgoing { topic, text: event.text.clone(), id, traceparent: event.traceparent.clone() })
}

fn plus(now: Time, duration: Duration) -> Time {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Time::from_micros(now.as_micros().saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::testing::{arrived, at, pattern};
    use proptest::prelude::*;

    fn terms() -> Terms {
        let policy = BusPolicy { max_deliveries: 3, retry_backoff_ms: 100, queue_capacity: 5, ..BusPolicy::default() };
        Terms::of(&policy, SubscriberName::try_new("billing").unwrap(), Filter::default())
    }

    fn event(place: u64) -> Arc<Arrived> {
        Arc::new(arrived("t", place))
    }

    fn is_nothing(moves: &Moves) -> bool {
        let Moves { give, bury, retry, acknowledge, tell } = moves;
        give.is_empty() && bury.is_empty() && retry.is_empty() && acknowledge.is_empty() && tell.is_empty()
    }

    #[test]
    fn what_is_acknowledged_is_done_with_once() {
        let mut durable = Durable::new(terms());
        let moves = durable.delivered(event(1), 1);
        assert_eq!((moves.give.len(), moves.give[0].redelivery, moves.tell.len()), (1, 0, 0));
        assert!(is_nothing(&durable.handed(at(0), Place(1))));
        assert_eq!(durable.acknowledged(Place(1)).unwrap().acknowledge, [Place(1)]);
        assert_eq!(durable.acknowledged(Place(1)).unwrap_err(), NotOpen(Place(1)));
    }

    #[test]
    fn what_is_not_wanted_is_done_with_at_once() {
        let mut terms = terms();
        terms.filter.wanted.topics = vec![pattern("other")];
        let moves = Durable::new(terms).delivered(event(1), 1);
        assert_eq!((moves.acknowledge.as_slice(), moves.give.len()), ([Place(1)].as_slice(), 0));
    }

    #[test]
    fn dead_letters_are_for_those_who_name_their_topics() {
        let letter = || Arc::new(arrived("t.dlq", 1));
        assert_eq!(Durable::new(terms()).delivered(letter(), 1).acknowledge, [Place(1)]);
        let mut terms = terms();
        terms.filter.wanted.topics = vec![pattern("*.dlq")];
        assert_eq!(Durable::new(terms).delivered(letter(), 1).give.len(), 1);
    }

    #[test]
    fn where_handing_over_is_enough_it_is_acknowledged_then() {
        let mut durable = Durable::new(Terms { acknowledging: Acknowledging::Handed, ..terms() });
        assert_eq!(durable.delivered(event(1), 1).acknowledge, []);
        assert_eq!(durable.handed(at(0), Place(1)).acknowledge, [Place(1)]);
        assert!(is_nothing(&durable.handed(at(0), Place(1))) && durable.open() == 0);
    }

    #[test]
    fn each_wait_is_twice_as_long_and_none_is_longer_than_an_hour() {
        let terms = terms();
        let waits: Vec<u128> = (1..5).map(|number| terms.wait_after(number).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800]);
        assert_eq!(terms.wait_after(u32::MAX), Duration::from_secs(3_600));
    }

    #[test]
    fn what_is_not_answered_comes_again_and_is_a_dead_letter_in_the_end() {
        let mut durable = Durable::new(terms());
        durable.delivered(event(1), 1);
        assert_eq!(durable.due(), None, "its time begins when it is handed over");
        durable.handed(at(0), Place(1));
        assert_eq!(durable.due(), Some(at(30)));
        assert!(is_nothing(&durable.tick(at(29))));
        assert_eq!(durable.tick(at(30)).retry, [(Place(1), Duration::from_millis(100))]);
        let moves = durable.delivered(event(1), 2);
        assert_eq!((moves.tell[0].kind, moves.give[0].redelivery), (NoticeKind::Retry, 1));
        assert_eq!(durable.refused(Place(1)).unwrap().retry, [(Place(1), Duration::from_millis(200))]);
        durable.delivered(event(1), 3);
        let moves = durable.refused(Place(1)).unwrap();
        assert_eq!((moves.bury[0].1.topic.as_str(), &moves.bury[0].1.text), ("t.dlq", &event(1).text));
        assert_eq!((moves.tell[0].kind, moves.acknowledge.len()), (NoticeKind::RetryLimitExceeded, 0));
        assert_eq!(durable.acknowledged(Place(1)).unwrap_err(), NotOpen(Place(1)), "it is being buried");
        assert_eq!(durable.buried(Place(1)).acknowledge, [Place(1)]);
        assert_eq!((durable.open(), durable.due()), (0, None));
    }

    #[test]
    fn a_dead_letter_that_cannot_be_published_is_tried_again() {
        let mut durable = Durable::new(terms());
        let first = durable.delivered(event(1), 4);
        assert_eq!((first.bury.len(), first.give.len()), (1, 0));
        assert_eq!(durable.not_buried(Place(1)).retry.len(), 1);
        let second = durable.delivered(event(1), 5);
        assert_eq!(second.bury[0].1.id, first.bury[0].1.id, "it is the same letter");
    }

    #[test]
    fn a_dead_letter_has_no_dead_letter() {
        let mut terms = terms();
        terms.filter.wanted.topics = vec![pattern("t.dlq")];
        let mut durable = Durable::new(terms);
        let moves = durable.delivered(Arc::new(arrived("t.dlq", 1)), 4);
        assert_eq!((moves.bury.len(), moves.acknowledge.len(), durable.open()), (0, 1, 0));
        assert!(moves.tell[0].reason.contains("has no topic for dead letters"));
    }

    proptest! {
        /// The group gives again what was sent back, as kinds do; the subscriber answers as chance has it.
        #[test]
        fn every_event_is_acknowledged_or_buried_and_given_no_more_often_than_allowed(
            answers in prop::collection::vec(0_u8..4, 300),
        ) {
            let mut durable = Durable::new(terms());
            let mut coming: std::collections::VecDeque<(u64, u32)> = (1..=5).map(|place| (place, 1)).collect();
            let mut given = std::collections::HashMap::<u64, u32>::new();
            let (mut done, mut buried, mut now) = (Vec::new(), Vec::new(), 0);
            for answer in answers.into_iter().chain(std::iter::repeat_n(0, 100)) {
                now += 1;
                let Some((place, number)) = coming.pop_front() else { break };
                let mut all = vec![durable.delivered(event(place), number)];
                for next in std::mem::take(&mut all[0].give) {
                    prop_assert_eq!(next.redelivery + 1, number);
                    *given.entry(place).or_default() += 1;
                    all.push(durable.handed(at(now), Place(place)));
                    all.push(match answer {
                        0 => durable.acknowledged(Place(place)).unwrap(),
                        1 => durable.refused(Place(place)).unwrap(),
                        _ => { now += 30; durable.tick(at(now)) }
                    });
                }
                let letters: Vec<Place> = all.iter().flat_map(|moves| &moves.bury).map(|(place, _)| *place).collect();
                for letter in letters {
                    let lucky = answer != 3;
                    if lucky { buried.push(letter.0) }
                    all.push(if lucky { durable.buried(letter) } else { durable.not_buried(letter) });
                }
                for moves in all {
                    coming.extend(moves.retry.iter().map(|(place, _)| (place.0, number + 1)));
                    done.extend(moves.acknowledge.iter().map(|place| place.0));
                }
            }
            done.sort_unstable();
            prop_assert_eq!(done, vec![1, 2, 3, 4, 5]);
            prop_assert!(given.values().all(|times| *times <= 3));
            prop_assert!(buried.iter().all(|place| given.get(place) == Some(&3)));
        }
    }
}
