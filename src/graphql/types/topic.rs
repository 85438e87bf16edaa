//! Topics: as far as contracts declare them, and as they are on a bus.

use super::super::error::invalid;
use super::super::limits::budget::List;
use super::super::mutation::buses::{may_on_topic, permitted};
use super::super::paging::{Connection, Page, total};
use super::super::reach::{asker, live};
use super::super::render::rendered;
use super::super::{Services, View};
use super::bus::Bus;
use super::bus_metrics::BusMetrics;
use super::node::Node;
use super::subscriber::{self, Subscriber};
use crate::access::Action;
use crate::bus::Measured;
use crate::bus::router::TopicView;
use crate::bus::schema::hash_of;
use crate::model::{self, EventWanted, NodeId, TopicName, TopicPattern, TopicTerms};
use crate::registry::state::TopicUse;
use crate::registry::topic_schemas::{self, ContractSchema};
use async_graphql::{Context, Enum, InputObject, Object, Result};
use imbl::OrdSet;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A name that events travel under.
pub struct Topic {
    view: View,
    pub(in crate::graphql) name: TopicName,
    uses: Arc<TopicUse>,
    on_bus: Option<Box<OnBus>>,
}

/// A topic as it is on a bus.
struct OnBus {
    bus: Arc<model::Bus>,
    terms: Option<Arc<TopicTerms>>,
    measured: Measured,
    /// How many listen to it while they are there.
    listeners: usize,
}

/// The topics of a bus: those that it has met since it was started, and those of which something was said.
pub(in crate::graphql) fn on_bus(
    services: &Services,
    view: &View,
    bus: &Arc<model::Bus>,
) -> BTreeMap<TopicName, Topic> {
    let met = services.buses.topics(bus.id).into_iter();
    let mut met: BTreeMap<TopicName, TopicView> = met.map(|topic| (topic.name.clone(), topic)).collect();
    // Nothing may have travelled yet where contracts demand something.
    let declared = if bus.terms.contract_schemas { topic_schemas::all(view) } else { BTreeMap::new() };
    let defined = view.topics_of(bus.id).map(|(name, terms)| (name.clone(), Some(terms.clone())));
    let mut terms: BTreeMap<TopicName, Option<Arc<TopicTerms>>> =
        met.keys().chain(declared.keys()).map(|name| (name.clone(), None)).chain(defined).collect();
    let mut topics = BTreeMap::new();
    while let Some((name, terms)) = terms.pop_first() {
        let met = met.remove(&name);
        let on_bus = OnBus {
            bus: bus.clone(),
            terms,
            listeners: met.as_ref().map_or(0, |met| met.subscribers),
            measured: met.map(|met| met.measured).unwrap_or_default(),
        };
        let uses = view.topics.get(&name).cloned().unwrap_or_default();
        topics.insert(name.clone(), Topic { view: view.clone(), name, uses, on_bus: Some(Box::new(on_bus)) });
    }
    topics
}

/// A page of the topics of a bus that match, by name.
pub(in crate::graphql) fn list_of_bus(
    ctx: &Context<'_>,
    view: &View,
    bus: &str,
    pattern: Option<&TopicPattern>,
    page: &Page<TopicName>,
) -> Result<Connection<Topic>> {
    let (services, caller) = (live(ctx)?, asker(ctx)?);
    let bus = permitted(caller, view, Action::Read, bus)?;
    let mut topics = on_bus(services, view, &bus);
    topics.retain(|name, _| {
        pattern.is_none_or(|pattern| pattern.matches(name)) && may_on_topic(caller, Action::Read, name)
    });
    let count = topics.len();
    let total = total(move || count);
    let Some(bounds) = page.bounds() else { return Ok(page.take(std::iter::empty(), total)) };
    let within: Vec<TopicName> = topics.range(bounds).map(|(name, _)| name.clone()).collect();
    let within = within.into_iter().filter_map(|name| topics.remove_entry(&name)).collect::<Vec<_>>();
    Ok(page.take(within.into_iter(), total))
}

impl Topic {
    /// A topic as contracts declare it.
    pub(in crate::graphql) fn declared(view: &View, name: &TopicName, uses: &Arc<TopicUse>) -> Self {
        Topic { view: view.clone(), name: name.clone(), uses: uses.clone(), on_bus: None }
    }

    fn nodes(&self, ids: &OrdSet<NodeId>) -> List<Node> {
        Node::all_by_name(&self.view, ids.iter().copied()).into()
    }

    fn terms(&self) -> Option<&TopicTerms> {
        self.on_bus.as_ref()?.terms.as_deref()
    }

    /// The contract's schema that holds for it.
    fn of_contract(&self) -> Option<ContractSchema> {
        let by_contracts = self.on_bus.as_ref()?.bus.terms.contract_schemas;
        let is_defined = self.terms().is_some_and(|terms| terms.schema.is_some());
        (by_contracts && !is_defined).then(|| topic_schemas::of_topic(&self.view, &self.name)).flatten()
    }
}

/// A name that events travel under: dotted segments. Known because some contract names it, or because events travel
/// under it on a bus.
#[Object]
impl Topic {
    /// The name, e.g. onex.evt.platform.node-heartbeat.v1.
    async fn name(&self) -> &str {
        self.name.as_str()
    }
    /// Nodes whose contracts publish on it, by name.
    async fn publishers(&self) -> List<Node> {
        self.nodes(&self.uses.publishers)
    }
    /// Nodes whose contracts read it, by name.
    async fn declared_subscribers(&self) -> List<Node> {
        self.nodes(&self.uses.subscribers)
    }
    /// Nodes whose contracts send there what they could not handle, by name.
    async fn dead_letter_publishers(&self) -> List<Node> {
        self.nodes(&self.uses.dead_letters)
    }
    /// The bus that it is on; null where it is known from contracts only.
    async fn bus(&self) -> Option<Bus> {
        self.on_bus.as_ref().map(|on_bus| Bus::new(&self.view, &on_bus.bus))
    }
    /// The JSON Schema that the envelopes of its events must meet; null where there is none.
    async fn schema(&self) -> Option<Value> {
        let defined = self.terms().and_then(|terms| terms.schema.as_deref().cloned());
        defined.or_else(|| self.of_contract().map(|found| found.schema().clone()))
    }
    /// The SHA-256 of the schema's canonical form; null where there is none.
    async fn schema_hash(&self) -> Option<String> {
        let defined = self.terms().and_then(|terms| terms.schema_hash);
        defined.or_else(|| self.of_contract().map(|found| hash_of(found.schema()))).map(|hash| hash.to_string())
    }
    /// Where the schema comes from; null where there is none.
    async fn schema_source(&self) -> Option<SchemaSource> {
        let is_defined = self.terms().is_some_and(|terms| terms.schema.is_some());
        let defined = is_defined.then_some(SchemaSource::Defined);
        defined.or_else(|| self.of_contract().map(|_| SchemaSource::Contract))
    }
    /// The node whose contract says the schema; null where it comes from no contract.
    async fn schema_node(&self) -> Option<Node> {
        Node::by_id(&self.view, self.of_contract()?.node)
    }
    /// Those who listen to it on its bus, durable ones whether they are there or not; empty without a bus.
    async fn subscribers(&self, ctx: &Context<'_>) -> Result<List<Subscriber>> {
        let services = live(ctx)?;
        let Some(on_bus) = &self.on_bus else { return Ok(Vec::new().into()) };
        let reads = |wanted: &EventWanted| {
            wanted.topics.is_empty() || wanted.topics.iter().any(|pattern| pattern.matches(&self.name))
        };
        Ok(subscriber::all(services, &self.view, on_bus.bus.id, reads).await)
    }
    /// What there is to do on it since its bus was started; null without a bus.
    async fn metrics(&self, ctx: &Context<'_>) -> Result<Option<BusMetrics>> {
        // What was measured is of the moment, whoever asked for it.
        live(ctx)?;
        Ok(self.on_bus.as_ref().map(|on_bus| BusMetrics::of(on_bus.measured, on_bus.listeners)))
    }
}

rendered!(Topic { name, publishers, declared_subscribers, dead_letter_publishers });

/// Where a topic's schema comes from.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum SchemaSource {
    /// Somebody defined it by defineTopic.
    Defined,
    /// It stands in the contract of a node that publishes on the topic, on a bus that goes by contracts. Of several, the
    /// one that was registered first.
    Contract,
}

/// Which topics. Absent fields let everything through.
#[derive(InputObject, Default)]
pub struct TopicFilter {
    /// NATS-style: * is one segment, > at the end is one or more, e.g. onex.evt.>.
    pattern: Option<String>,
    /// Those of this bus, by name or id; those that contracts name when absent.
    pub(in crate::graphql) bus: Option<String>,
}

impl TopicFilter {
    pub(in crate::graphql) fn read(&self) -> Result<Option<TopicPattern>> {
        let pattern = self.pattern.as_deref().map(TopicPattern::try_new).transpose();
        pattern.map_err(|error| invalid("filter.pattern", error))
    }
}
