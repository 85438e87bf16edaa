//! The topics of a bus: those of which something was said, and those that are in use.
//!
//! Each knows who reads it, so that an event costs as much as there are readers of its topic, however many listen on
//! the bus.

use super::reader::Readers;
use crate::bus::metrics::{Measured, Metrics};
use crate::bus::schema::{Demand, Unusable};
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
    /// What was said of it.
    said: Option<TopicTerms>,
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
    /// What holds for those of them for which contracts give a schema.
    declared: HashMap<TopicName, Arc<Rules>>,
    defined: usize,
}

impl Topics {
    pub(super) fn new(bus: &BusTerms) -> Self {
        let (known, declared) = (HashMap::new(), HashMap::new());
        Topics { known, others: Arc::new(Rules::of_bus(bus)), declared, defined: 0 }
    }

    pub(super) fn get(&self, name: &TopicName) -> Option<&Topic> {
        self.known.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &TopicName) -> Option<&mut Topic> {
        self.known.get_mut(name)
    }

    pub(super) fn rules_of(&self, name: &TopicName) -> &Arc<Rules> {
        self.known.get(name).map_or_else(|| self.unsaid(name), |topic| &topic.rules)
    }

    /// What holds for a topic of which nothing was said.
    fn unsaid(&self, name: &TopicName) -> &Arc<Rules> {
        self.declared.get(name).unwrap_or(&self.others)
    }

    /// From now on, topics of which no schema was defined demand this where it names them, and nothing where not.
    pub(super) fn declare(&mut self, bus: &BusTerms, schemas: HashMap<TopicName, Arc<Demand>>) {
        let rules = |demand| Arc::new(Rules { demand: Some(demand), ..Rules::of_bus(bus) });
        self.declared = schemas.into_iter().map(|(name, demand)| (name, rules(demand))).collect();
        for (name, topic) in &mut self.known {
            let declared = self.declared.get(name);
            topic.rules = match &topic.said {
                Some(said) if said.schema.is_some() => continue,
                Some(said) => Arc::new(Rules {
                    demand: declared.and_then(|rules| rules.demand.clone()),
                    ..Rules::without_schema(bus, said)
                }),
                None => declared.unwrap_or(&self.others).clone(),
            };
        }
    }

    /// Whether there is no room for one that is not known.
    pub(super) fn is_full_for(&self, name: &TopicName) -> bool {
        self.known.len() >= TOPICS_MAX && !self.known.contains_key(name)
    }

    /// The topic, known from now on.
    pub(super) fn at(&mut self, now: Time, name: &TopicName, readers: &Readers) -> &mut Topic {
        let unsaid = self.declared.get(name).unwrap_or(&self.others);
        let topic = self.known.entry(name.clone()).or_insert_with(|| Topic {
            rules: unsaid.clone(),
            said: None,
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
        let is_new = self.known.get(name).is_none_or(|topic| topic.said.is_none());
        if is_new && self.defined >= DEFINED_MAX {
            return Err(Unusable::new(format!("{DEFINED_MAX} topics of the bus are defined; that is the most")));
        }
        let mut rules = Rules::try_new(bus, terms)?;
        if rules.demand.is_none() {
            rules.demand = self.declared.get(name).and_then(|declared| declared.demand.clone());
        }
        let rules = Arc::new(rules);
        let topic = self.at(now, name, readers);
        (topic.rules, topic.said) = (rules.clone(), Some(terms.clone()));
        self.defined += usize::from(is_new);
        Ok(rules)
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
        let others = self.known.iter().filter(|(_, topic)| topic.said.is_none());
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
            is_defined: topic.said.is_some(),
            subscribers: topic.readers.len(),
            measured: topic.metrics.measure(now),
        };
        let mut views: Vec<TopicView> = self.known.iter().map(view).collect();
        views.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        views
    }
}
