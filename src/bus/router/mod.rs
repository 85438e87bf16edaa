//! One bus: what was carried goes to those who want it, and each takes it in its own time.
//!
//! It is told of every event that the carrier carried, in order, whoever published it; our own come in that way too, so
//! that everybody sees one order. An event is read once and shared. Who attaches reads the history under the same hold
//! on the machine: nothing can come between the past and what is live.

mod listen;
mod reader;
mod route;
mod topics;

pub use reader::{Attached, Attaching, End, EndReason, Left, Refused, SUBSCRIBERS_MAX, SubscriberView, Taken};
pub use route::{Fate, Routed, Withheld};
pub use topics::{DEFINED_MAX, TOPICS_MAX, TopicView};

use super::durable::Told;
use super::history::{self, History};
use super::kind::Place;
use super::metrics::{Measured, Metrics};
use super::notice::{Notice, NoticeKind, Notices, Subject};
use super::schema::{Demand, Unusable};
use super::topic::Verdict;
use crate::model::{BusId, BusTerms, NodeId, SubscriberId, Time, TopicName, TopicTerms};
use reader::Readers;
use std::collections::HashMap;
use std::sync::Arc;
use topics::Topics;

/// What there is to do on a topic, or on a whole bus.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// How many listen to it, those who listen by name left aside.
    pub subscribers: usize,
    /// Events a second, over the last few.
    pub messages_per_second: f64,
}

/// One bus.
#[derive(Debug)]
pub struct Router {
    terms: Arc<BusTerms>,
    topics: Topics,
    readers: Readers,
    history: History,
    notices: Notices,
    metrics: Metrics,
    /// The latest place that was carried.
    last: Place,
    /// How many subscribers publishers wait for.
    blocking: usize,
    is_stopped: bool,
}

impl Router {
    /// A bus on which everything up to this place was carried before, unseen.
    pub fn new(now: Time, id: BusId, terms: Arc<BusTerms>, behind: Place) -> Self {
        Router {
            topics: Topics::new(&terms),
            terms,
            readers: Readers::default(),
            history: History::new(now, behind, history::BUS_BYTES_MAX),
            notices: Notices::new(id),
            metrics: Metrics::default(),
            last: behind,
            blocking: 0,
            is_stopped: false,
        }
    }

    /// Says what a topic demands, in place of what was said before.
    pub fn define(&mut self, now: Time, topic: &TopicName, terms: &TopicTerms) -> Result<(), Unusable> {
        self.make_room_for(topic);
        let rules = self.topics.define(now, topic, &self.terms, terms, &self.readers)?;
        self.history.bound(topic, rules.bounds);
        self.history.trim(now, topic);
        Ok(())
    }

    /// From now on, topics of which no schema was defined demand this where it names them, and nothing where not.
    pub fn declare(&mut self, schemas: HashMap<TopicName, Arc<Demand>>) {
        self.topics.declare(&self.terms, schemas);
    }

    fn make_room_for(&mut self, topic: &TopicName) {
        if self.topics.is_full_for(topic) {
            self.topics.forget_idle().iter().for_each(|name| self.history.forget(name));
        }
    }

    /// Looks at a text before it is published. What is refused is counted and told here; what is only marked, when it
    /// comes.
    pub fn check(&mut self, now: Time, topic: &TopicName, text: &[u8]) -> Verdict {
        let verdict = self.topics.rules_of(topic).judge(topic, text);
        if let Verdict::Refused(misfit) = &verdict {
            self.invalid(now, misfit);
        }
        verdict
    }

    /// Whether publishers to this topic are to wait, until a subscriber's [`Taken::released`] or [`Left::released`].
    pub fn must_wait(&self, topic: &TopicName) -> bool {
        self.blocking > 0 && self.readers.iter().any(|(_, reader)| reader.queue.blocks() && reader.filter.reads(topic))
    }

    /// Tells what a durable subscriber met with.
    pub fn tell(&mut self, now: Time, subscriber: SubscriberId, told: &Told) {
        if told.kind == NoticeKind::Retry {
            self.metrics.retried();
            if let Some(topic) = self.topics.get_mut(&told.event.topic) {
                topic.metrics.retried();
            }
        }
        let about = Subject::new(told.kind).on(&told.event.topic).to(subscriber);
        self.notices.note(now, about, 1, || told.reason.clone());
    }

    /// What is to be told by now; what has become too old is let go of.
    pub fn tick(&mut self, now: Time) -> Vec<Notice> {
        self.history.sweep(now);
        self.notices.take(now)
    }

    /// When [`Router::tick`] has something to do.
    pub fn due(&self) -> Option<Time> {
        self.history.due().into_iter().chain(self.notices.due()).min()
    }

    /// Ends the bus: nothing is taken in any more, what waits can still be taken, and then each is told that it is
    /// over. Says whom to wake, and what is still to be told.
    pub fn stop(&mut self) -> (Vec<SubscriberId>, Vec<Notice>) {
        self.is_stopped = true;
        self.blocking = 0;
        for reader in self.readers.iter_mut() {
            reader.queue.close();
            reader.end.get_or_insert(EndReason::Stopped);
        }
        (self.readers.iter().map(|(_, reader)| reader.id).collect(), self.notices.take_all())
    }

    /// What the whole bus has to do.
    pub fn measure(&self, now: Time) -> Measured {
        self.metrics.measure(now)
    }

    /// What there is to do on a topic; on the whole bus where none is named.
    pub fn traffic(&self, now: Time, topic: Option<&TopicName>) -> Traffic {
        let Some(name) = topic else {
            let messages_per_second = self.measure(now).messages_per_second;
            return Traffic { subscribers: self.subscriber_count(), messages_per_second };
        };
        match self.topics.get(name) {
            Some(topic) => Traffic {
                subscribers: topic.readers.len(),
                messages_per_second: topic.metrics.measure(now).messages_per_second,
            },
            None => Traffic {
                subscribers: self.readers.iter().filter(|(_, reader)| reader.filter.reads(name)).count(),
                messages_per_second: 0.0,
            },
        }
    }

    /// Its topics, by name.
    pub fn topics(&self, now: Time) -> Vec<TopicView> {
        self.topics.views(now)
    }

    /// Who was seen to publish what whom was seen to read.
    pub fn observed(&self, tell: impl FnMut(NodeId, NodeId, &TopicName)) {
        self.topics.observed(tell);
    }

    /// Those who listen.
    pub fn subscribers(&self, now: Time) -> Vec<SubscriberView> {
        self.readers.iter().map(|(_, reader)| reader.view(now)).collect()
    }

    /// One that listens; `None` where it does not.
    pub fn subscriber(&self, now: Time, id: SubscriberId) -> Option<SubscriberView> {
        Some(self.readers.get(self.readers.slot_of(id)?)?.view(now))
    }

    /// How many listen.
    pub fn subscriber_count(&self) -> usize {
        self.readers.len()
    }

    /// The latest place that was carried.
    pub fn last(&self) -> Place {
        self.last
    }
}

#[cfg(test)]
mod tests;
