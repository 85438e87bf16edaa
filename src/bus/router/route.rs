//! An event's way in: read, judged, kept, and to the queue of each that wants it.

use super::Router;
use super::reader::EndReason;
use crate::bus::arrived::Arrived;
use crate::bus::kind::{Carried, Place};
use crate::bus::notice::{NoticeKind, Subject};
use crate::bus::queue::Pushed;
use crate::bus::schema::Misfit;
use crate::bus::topic::{Rules, Verdict};
use crate::model::{NodeId, SubscriberId, Time, TrustState};
use std::sync::Arc;

/// How full a queue is when its subscriber counts as slow.
const SLOW_FULLNESS: f64 = 0.75;

/// Why an event is not delivered to anybody.
#[derive(Clone, Debug, PartialEq)]
pub enum Withheld {
    /// It is none, or does not fit where that is refused.
    Invalid(Misfit),
    /// Its topic carries only events of trusted nodes, and its node is not.
    Untrusted(NodeId),
}

/// What became of an event that was carried.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It went to those who want it, marked where it does not fit.
    Routed(Arc<Arrived>),
    /// Nobody gets it.
    Withheld(Withheld),
    /// It came before.
    Repeated,
    /// The bus is stopped.
    Stopped,
}

/// What became of an event, and what is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// What became of it.
    pub fate: Fate,
    /// How many it was for.
    pub matched: usize,
    /// Who has something to take and had nothing before.
    pub wake: Vec<SubscriberId>,
    /// Whether publishers to its topic are to wait.
    pub must_wait: bool,
    /// Who is sent away by it, after it has taken what waits.
    pub detached: Vec<SubscriberId>,
}

impl Routed {
    fn nowhere(fate: Fate) -> Self {
        Routed { fate, matched: 0, wake: Vec::new(), must_wait: false, detached: Vec::new() }
    }
}

impl Router {
    /// What a delivery to a durable group is, if it is to be given at all: read by the rules of its topic, neither
    /// counted nor told, as [`Router::publish`] does that for the same event.
    pub fn read(&self, carried: &Carried, trust_of: impl Fn(NodeId) -> TrustState) -> Result<Arrived, Withheld> {
        admit(self.topics.rules_of(&carried.topic), carried, trust_of)
    }

    /// Keeps an event that was carried before the bus began, for those who want the past; nobody is given it now.
    pub fn remember(&mut self, now: Time, carried: &Carried, trust_of: impl Fn(NodeId) -> TrustState) {
        if self.is_stopped || carried.place <= self.last {
            return;
        }
        self.last = carried.place;
        self.make_room_for(&carried.topic);
        let rules = self.topics.at(now, &carried.topic, &self.readers).rules.clone();
        if let Ok(arrived) = admit(&rules, carried, trust_of) {
            self.history.keep(now, &Arc::new(arrived), rules.bounds);
        }
    }

    /// An event was given to a durable subscriber, which is this node.
    pub fn delivered(&mut self, now: Time, arrived: &Arrived, redelivery: u32, node: Option<NodeId>) {
        // How long it took says something of the bus the first time only.
        let micros = (redelivery == 0).then(|| now.micros_since(arrived.at));
        self.metrics.delivered(micros);
        if let Some(topic) = self.topics.get_mut(&arrived.topic) {
            topic.metrics.delivered(micros);
            node.into_iter().for_each(|node| topic.read_by.note(node));
        }
    }

    /// A durable subscriber lost events that a bound of the carrier took.
    pub fn lost(&mut self, now: Time, subscriber: SubscriberId, lost: u64, oldest: Place) {
        self.metrics.dropped(lost);
        let reason = || format!("what it had not got yet is no longer kept; it goes on at place {}", oldest.0);
        self.notices.note(now, Subject::new(NoticeKind::Dropped).to(subscriber), lost, reason);
    }

    /// The carrier can no longer give what it had not given yet, of all topics: so many, or nobody knows how many (0).
    /// It goes on behind this place, which may be smaller than those before. Whoever listens is told with the next
    /// event; whether any filter wanted them nobody can tell.
    pub fn missed(&mut self, now: Time, lost: u64, behind: Place) {
        self.last = behind;
        self.history.begin_anew(now, behind);
        self.metrics.dropped(lost);
        for reader in self.readers.iter_mut().filter(|reader| reader.end.is_none()) {
            reader.queue.miss(lost);
            reader.metrics.dropped(lost);
        }
        if lost > 0 {
            let reason =
                || format!("the carrier no longer keeps what nobody had yet; it goes on behind place {}", behind.0);
            self.notices.note(now, Subject::new(NoticeKind::Dropped), lost, reason);
        }
    }

    /// Takes in an event that was carried.
    pub fn publish(&mut self, now: Time, carried: &Carried, trust_of: impl Fn(NodeId) -> TrustState) -> Routed {
        if self.is_stopped {
            return Routed::nowhere(Fate::Stopped);
        }
        if carried.place <= self.last {
            return Routed::nowhere(Fate::Repeated);
        }
        self.last = carried.place;
        self.make_room_for(&carried.topic);
        let topic = self.topics.at(now, &carried.topic, &self.readers);
        let length = carried.text.len() as u64;
        topic.metrics.published(now, length);
        self.metrics.published(now, length);
        let rules = topic.rules.clone();
        let arrived = match admit(&rules, carried, trust_of) {
            Ok(arrived) => Arc::new(arrived),
            Err(withheld) => {
                self.withhold(now, carried, &withheld);
                return Routed::nowhere(Fate::Withheld(withheld));
            }
        };
        if let Some(topic) = self.topics.get_mut(&arrived.topic) {
            topic.published_by.note(arrived.event.node);
        }
        if let Some(misfit) = &arrived.misfit {
            self.invalid(now, misfit);
        }
        self.history.keep(now, &arrived, rules.bounds);
        self.route(now, arrived)
    }

    fn route(&mut self, now: Time, arrived: Arc<Arrived>) -> Routed {
        let mut routed = Routed::nowhere(Fate::Routed(arrived.clone()));
        let Some(topic) = self.topics.get_mut(&arrived.topic) else { return routed };
        for slot in &topic.readers {
            let Some(reader) = self.readers.get_mut(*slot) else { continue };
            if reader.end.is_some() || !reader.filter.takes(&arrived) {
                continue;
            }
            routed.matched += 1;
            reader.metrics.published(now, arrived.text.len() as u64);
            let (was_empty, did_block) = (reader.queue.is_empty(), reader.queue.blocks());
            let pushed = reader.queue.push(arrived.clone());
            if was_empty {
                routed.wake.push(reader.id);
            }
            let about = |kind| Subject::new(kind).on(&arrived.topic).to(reader.id);
            match pushed {
                Pushed::Waits => {}
                Pushed::WaitsFull => {
                    routed.must_wait = true;
                    if !did_block {
                        self.blocking += 1;
                        let reason = || format!("publishers wait for {}, whose queue is full", reader.name);
                        self.notices.note(now, about(NoticeKind::Backpressure), 1, reason);
                    }
                }
                Pushed::TookOldest | Pushed::Lost | Pushed::Overflowed => {
                    reader.metrics.dropped(1);
                    topic.metrics.dropped(1);
                    self.metrics.dropped(1);
                    let reason = || format!("the queue of {} is full: {}", reader.name, lost(pushed));
                    self.notices.note(now, about(NoticeKind::Dropped), 1, reason);
                }
            }
            if pushed == Pushed::Overflowed {
                reader.end = Some(EndReason::Overflowed);
                routed.detached.push(reader.id);
            }
            if !reader.is_slow && reader.queue.fullness() >= SLOW_FULLNESS {
                reader.is_slow = true;
                let reason = || format!("{} events wait for {}", reader.queue.len(), reader.name);
                self.notices.note(now, about(NoticeKind::SubscriberSlow), 1, reason);
            }
        }
        routed
    }

    pub(super) fn invalid(&mut self, now: Time, misfit: &Misfit) {
        self.metrics.invalid();
        if let Some(topic) = self.topics.get_mut(&misfit.topic) {
            topic.metrics.invalid();
        }
        let about = Subject::new(NoticeKind::InvalidSchema).on(&misfit.topic).by(misfit.schema_hash);
        self.notices.note(now, about, 1, || misfit.sentence());
    }

    fn withhold(&mut self, now: Time, carried: &Carried, withheld: &Withheld) {
        match withheld {
            Withheld::Invalid(misfit) => self.invalid(now, misfit),
            Withheld::Untrusted(node) => {
                self.metrics.dropped(1);
                if let Some(topic) = self.topics.get_mut(&carried.topic) {
                    topic.metrics.dropped(1);
                }
                let about = Subject::new(NoticeKind::Dropped).on(&carried.topic);
                self.notices.note(now, about, 1, || {
                    format!("the topic carries only events of trusted nodes, and node {node} is not")
                });
            }
        }
    }
}

fn admit(rules: &Rules, carried: &Carried, trust_of: impl Fn(NodeId) -> TrustState) -> Result<Arrived, Withheld> {
    let (event, misfit) = match rules.judge(&carried.topic, &carried.text) {
        Verdict::Fits(event) => (event, None),
        Verdict::Marked(event, misfit) => (event, Some(misfit)),
        Verdict::Refused(misfit) => return Err(Withheld::Invalid(misfit)),
    };
    let trust = trust_of(event.node);
    if rules.trusted_only && trust < TrustState::Trusted {
        return Err(Withheld::Untrusted(event.node));
    }
    Ok(Arrived::new(carried, event, misfit, trust))
}

fn lost(pushed: Pushed) -> &'static str {
    match pushed {
        Pushed::TookOldest => "the oldest event made room",
        Pushed::Overflowed => "it is sent away",
        _ => "the new event is not taken",
    }
}
