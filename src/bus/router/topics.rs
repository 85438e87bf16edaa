//! The topics of a bus: those of which something was said, and those that are in use.
//!
//! Each knows who reads it, so that an event costs as much as there are readers of its topic, however many listen on
//! the bus.

use super::reader::Readers;
use crate::bus::metrics::{Measured, Metrics};
use crate::bus::schema::Unusable;
use crate::bus::topic::Rules;
use crate::model::{BusTerms, DefinitionHash, NodeId, Time, TopicName, TopicTerms};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The most topics that a bus knows at once; beyond, those of which nothing was said go that were idle for longest.
pub const TOPICS_MAX: usize = 10_000;
/// The most topics of which something may be said.
pub const DEFINED_MAX: usize = TOPICS_MAX / 2;

/// A topic, for those who look.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicView {
    /// Its name.
    pub name: TopicName,
    /// The schema that it demands.
    pub schema_hash: Option<DefinitionHash>,
    /// Whether something was said of it.
    pub is_defined: bool,
    /// How many listen to it.
    pub subscribers: usize,
    /// How much there is to do.
    pub measured: Measured,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) rules: Arc<Rules>,
    is_defined: bool,
    pub(super) readers: Vec<usize>,
    pub(super) metrics: Metrics,
    /// Nodes that were seen to publish on it, and to read it.
    pub(super) published_by: Seen,
    pub(super) read_by: Seen,
    used_at: Time,
}

/// Nodes that were seen, so many at most.
#[derive(Debug, Default)]
pub(super) struct Seen(HashSet<NodeId>);

impl Seen {
    /// The most nodes of a topic that are told apart.
    const MAX: usize = 1_000;

    pub(super) fn note(&mut self, node: NodeId) {
        if self.0.len() < Seen::MAX {
            self.0.insert(node);
        }
    }
}

#[derive(Debug)]
pub(super) struct Topics {
    known: HashMap<TopicName, Topic>,
    /// What holds for those of which nothing was said.
    others: Arc<Rules>,
    defined: usize,
}

impl Topics {
    pub(super) fn new(bus: &BusTerms) -> Self {
        Topics { known: HashMap::new(), others: Arc::new(Rules::of_bus(bus)), defined: 0 }
    }

    pub(super) fn get(&self, name: &TopicName) -> Option<&Topic> {
        self.known.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &TopicName) -> Option<&mut Topic> {
        self.known.get_mut(name)
    }

    pub(super) fn rules_of(&self, name: &TopicName) -> &Arc<Rules> {
        self.known.get(name).map_or(&self.others, |topic| &topic.rules)
    }

    /// Whether there is no room for one that is not known.
    pub(super) fn is_full_for(&self, name: &TopicName) -> bool {
        self.known.len() >= TOPICS_MAX && !self.known.contains_key(name)
    }

    /// The topic, known from now on.
    pub(super) fn at(&mut self, now: Time, name: &TopicName, readers: &Readers) -> &mut Topic {
        let topic = self.known.entry(name.clone()).or_insert_with(|| Topic {
            rules: self.others.clone(),
            is_defined: false,
            readers: readers.iter().filter(|(_, one)| one.filter.reads(name)).map(|(slot, _)| slot).collect(),
            metrics: Metrics::default(),
            published_by: Seen::default(),
            read_by: Seen::default(),
            used_at: now,
        });
        topic.used_at = now;
        topic
    }

    /// Says something of a topic.
    pub(super) fn define(
        &mut self,
        now: Time,
        name: &TopicName,
        bus: &BusTerms,
        terms: &TopicTerms,
        readers: &Readers,
    ) -> Result<Arc<Rules>, Unusable> {
        let is_new = !self.known.get(name).is_some_and(|topic| topic.is_defined);
        if is_new && self.defined >= DEFINED_MAX {
            return Err(Unusable::new(format!("{DEFINED_MAX} topics of the bus are defined; that is the most")));
        }
        let rules = Arc::new(Rules::try_new(bus, terms)?);
        let topic = self.at(now, name, readers);
        (topic.rules, topic.is_defined) = (rules.clone(), true);
        self.defined += usize::from(is_new);
        Ok(rules)
    }

    /// Takes back what was said of a topic. Nothing where nothing was.
    pub(super) fn undefine(&mut self, name: &TopicName) -> Option<Arc<Rules>> {
        let topic = self.known.get_mut(name).filter(|topic| topic.is_defined)?;
        (topic.rules, topic.is_defined) = (self.others.clone(), false);
        self.defined -= 1;
        Some(self.others.clone())
    }

    /// Who was seen to publish what whom was seen to read.
    pub(super) fn observed(&self, mut tell: impl FnMut(NodeId, NodeId, &TopicName)) {
        for (name, topic) in &self.known {
            for publisher in &topic.published_by.0 {
                topic.read_by.0.iter().for_each(|reader| tell(*publisher, *reader, name));
            }
        }
    }

    /// Forgets a quarter of those of which nothing was said, those that were idle for longest; says which.
    pub(super) fn forget_idle(&mut self) -> Vec<TopicName> {
        let others = self.known.iter().filter(|(_, topic)| !topic.is_defined);
        let mut idle: Vec<_> = others.map(|(name, topic)| (topic.used_at, name.clone())).collect();
        idle.sort_unstable();
        idle.truncate((idle.len() / 4).max(1));
        let idle: Vec<TopicName> = idle.into_iter().map(|(_, name)| name).collect();
        idle.iter().for_each(|name| _ = self.known.remove(name));
        idle
    }

    pub(super) fn attach(&mut self, slot: usize, reads: impl Fn(&TopicName) -> bool) {
        let read = self.known.iter_mut().filter(|(name, _)| reads(name));
        read.for_each(|(_, topic)| topic.readers.push(slot));
    }

    pub(super) fn detach(&mut self, slot: usize, reads: impl Fn(&TopicName) -> bool) {
        let read = self.known.iter_mut().filter(|(name, _)| reads(name));
        read.for_each(|(_, topic)| topic.readers.retain(|one| *one != slot));
    }

    pub(super) fn views(&self, now: Time) -> Vec<TopicView> {
        let view = |(name, topic): (&TopicName, &Topic)| TopicView {
            name: name.clone(),
            schema_hash: topic.rules.demand.as_ref().map(|demand| demand.hash()),
            is_defined: topic.is_defined,
            subscribers: topic.readers.len(),
            measured: topic.metrics.measure(now),
        };
        let mut views: Vec<TopicView> = self.known.iter().map(view).collect();
        views.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        views
    }
}
