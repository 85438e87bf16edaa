//! Buses, and who listens on them.

use super::super::View;
use super::super::error::invalid;
use super::super::limits::budget::List;
use super::super::mutation::buses::may_on_topic;
use super::super::paging::{Connection, Page, PageArgs, total};
use super::super::reach::{asker, fixed, live};
use super::super::render::{Never, Render, rendered_enums};
use super::super::scalars::{DateTime, Sequence};
use super::bus_metrics::BusMetrics;
use super::lease::PortLease;
use super::subscriber::{self, Subscriber};
use super::topic::{self, Topic};
use super::trust::TrustState;
use crate::access::Action;
use crate::bus::kind::{Endpoints, Place};
use crate::bus::schema::hash_of;
use crate::bus::topic::Rules;
use crate::model::{
    self, BusId, BusName, BusPolicy as Policy, BusTerms, EventWanted, NodeId, TopicName, TopicPattern, TopicTerms,
};
use async_graphql::{Context, Enum, InputObject, Object, OneofObject, Result, SimpleObject};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// The most words of each sort in a filter of events.
const WANTED_MAX: usize = 100;

/// What carries a bus's events.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::BusKind")]
pub enum BusKind {
    /// The registry itself, over websockets.
    Local,
    /// ZeroMQ over unix sockets.
    Ipc,
    /// ZeroMQ over TCP.
    Zmq,
    /// A stream of NATS JetStream.
    Jetstream,
    /// Streams of Redis.
    Redis,
}

/// How a bus is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::BusStatus")]
pub enum BusStatus {
    /// It is on its way to running.
    Starting,
    /// Events travel.
    Running,
    /// What carries it is away; it is tried again.
    Degraded,
    /// It stands still.
    Stopped,
}

/// What happens to an event that does not fit its topic's schema.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::SchemaMode")]
pub enum SchemaMode {
    /// It is refused.
    Strict,
    /// It is delivered, marked.
    Permissive,
}

/// What happens when a subscriber's queue is full.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::Overflow")]
pub enum Overflow {
    /// The oldest event in it makes room.
    DropOldest,
    /// The new event is not taken.
    DropNewest,
    /// Publishers wait.
    Block,
    /// The subscriber is sent away.
    Disconnect,
}

rendered_enums!(BusKind, BusStatus, SchemaMode, Overflow);

/// How a bus treats its subscribers, and what it keeps.
#[derive(SimpleObject)]
pub struct BusPolicy {
    /// How many events wait for one subscriber at most, unless it asks otherwise.
    queue_capacity: u32,
    /// What happens then, unless it asks otherwise.
    overflow: Overflow,
    /// How many events of a topic are kept for replay.
    history_events: u32,
    /// How many seconds they are kept at most.
    history_seconds: u32,
    /// How often an event is delivered to a durable subscriber that does not acknowledge it.
    max_deliveries: u32,
    /// How many milliseconds pass before the second delivery; before each further one twice as many.
    retry_backoff_ms: u32,
    /// Whether what is published while the broker is away waits for it, up to 30 seconds, instead of being refused.
    queues_while_away: bool,
}

/// Where programs connect to a bus that listens itself.
#[derive(SimpleObject)]
pub struct BusEndpoints {
    /// For those who publish and need no answer: PUB sockets.
    publish: String,
    /// For those who subscribe: SUB sockets.
    subscribe: String,
    /// For those who publish and want an answer: REQ and DEALER sockets.
    request: String,
}

/// What a bus's carrier keeps, in memory or elsewhere.
#[derive(SimpleObject)]
pub struct BusKept {
    /// How many events.
    events: u64,
    /// How many bytes they have, as far as the carrier tells.
    bytes: u64,
    /// The place of the oldest; null where nothing is kept.
    first: Option<Sequence>,
    /// The place of the latest that was carried; null before any.
    last: Option<Sequence>,
}

/// A way for events to travel.
pub struct Bus {
    view: View,
    bus: Arc<model::Bus>,
}

impl Bus {
    pub(in crate::graphql) fn by_id(view: &View, id: BusId) -> Option<Self> {
        view.buses.get(&id).map(|bus| Bus::new(view, bus))
    }

    pub(in crate::graphql) fn new(view: &View, bus: &Arc<model::Bus>) -> Self {
        Bus { view: view.clone(), bus: bus.clone() }
    }
}

/// A way for events to travel.
#[Object]
impl Bus {
    /// Drawn when it was created.
    async fn id(&self) -> Uuid {
        self.bus.id.0
    }
    /// Unique in this registry.
    async fn name(&self) -> &str {
        self.bus.terms.name.as_str()
    }
    /// What carries it.
    async fn kind(&self) -> BusKind {
        self.bus.terms.kind.into()
    }
    /// How it is.
    async fn status(&self) -> BusStatus {
        self.bus.status.into()
    }
    /// Why it is so; null where somebody wanted it so.
    async fn reason(&self) -> Option<&str> {
        self.bus.reason.as_deref()
    }
    /// Where the broker is, without the user and password that stand in it; null for kinds without a broker.
    async fn endpoint_uri(&self) -> Option<String> {
        self.bus.terms.shown_endpoint()
    }
    /// Where programs connect to it with sockets of their own, while it runs; null for kinds that do not listen
    /// themselves.
    async fn endpoints(&self, ctx: &Context<'_>) -> Result<Option<BusEndpoints>> {
        let endpoints = live(ctx)?.buses.endpoints(self.bus.id);
        Ok(endpoints.map(|Endpoints { publish, subscribe, request }| BusEndpoints { publish, subscribe, request }))
    }
    /// What it is for, in words; null where nobody said.
    async fn purpose(&self) -> Option<&str> {
        self.bus.terms.purpose.as_deref()
    }
    /// What its makers want to say besides.
    async fn metadata(&self) -> &Value {
        &self.bus.terms.metadata
    }
    /// For topics that say nothing else.
    async fn schema_mode(&self) -> SchemaMode {
        self.bus.terms.schema_mode.into()
    }
    /// Whether only events of trusted nodes are delivered.
    async fn trusted_only(&self) -> bool {
        self.bus.terms.trusted_only
    }
    /// Whether a topic of which no schema was defined takes it from the contracts of those who publish on it.
    async fn contract_schemas(&self) -> bool {
        self.bus.terms.contract_schemas
    }
    /// When it was created; of the bus registry, which is always there, when this process began to serve.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime> {
        Ok(DateTime(if self.bus.is_of_registry() { fixed(ctx)?.started_at() } else { self.bus.created_at }))
    }
    /// Since when it runs; null while it stands still.
    async fn started_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        let of_registry = if self.bus.is_of_registry() { Some(fixed(ctx)?.started_at()) } else { None };
        Ok(of_registry.or(self.bus.started_at).map(DateTime))
    }
    /// The ports that it runs on.
    async fn port_leases(&self) -> List<PortLease> {
        self.bus.leases.iter().filter_map(|lease| PortLease::by_id(&self.view, *lease)).collect()
    }
    /// Those who listen, durable ones whether they are there or not.
    async fn subscribers(&self, ctx: &Context<'_>) -> Result<List<Subscriber>> {
        Ok(subscriber::all(live(ctx)?, &self.view, self.bus.id, |_| true).await)
    }
    /// The topics that it has met since it was started, and those of which something was said, by name.
    async fn topics(&self, ctx: &Context<'_>) -> Result<List<Topic>> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let may = |topic: &Topic| may_on_topic(caller, Action::Read, &topic.name);
        Ok(topic::on_bus(services, &self.view, &self.bus).into_values().filter(may).collect())
    }
    /// What its carrier keeps; null while it stands still.
    async fn kept(&self, ctx: &Context<'_>) -> Result<Option<BusKept>> {
        let facts = live(ctx)?.buses.facts(self.bus.id).await;
        let place = |place: Place| Sequence(model::Sequence(place.0));
        Ok(facts.map(|facts| BusKept {
            events: facts.events,
            bytes: facts.bytes,
            first: facts.first.map(place),
            last: facts.last.map(place),
        }))
    }
    /// What there is to do, since it was started; all 0 while it stands still.
    async fn metrics(&self, ctx: &Context<'_>) -> Result<BusMetrics> {
        Ok(BusMetrics::now(live(ctx)?, &self.view, self.bus.id))
    }
    /// Queues, history and retries.
    async fn policy(&self) -> BusPolicy {
        let policy = self.bus.terms.policy;
        BusPolicy {
            queue_capacity: policy.queue_capacity,
            overflow: policy.overflow.into(),
            history_events: policy.history_events,
            history_seconds: policy.history_seconds,
            max_deliveries: policy.max_deliveries,
            retry_backoff_ms: policy.retry_backoff_ms,
            queues_while_away: policy.queues_while_away,
        }
    }
}

/// Much of what is shown of buses changes while a version stands.
impl Render for Bus {
    type Plan<'a> = Never;

    fn render(&self, plan: &Never, _: &mut Vec<u8>) -> Option<()> {
        match *plan {}
    }
}

/// Which bus.
#[derive(OneofObject)]
pub enum BusBy {
    /// By id.
    Id(Uuid),
    /// By name.
    Name(String),
}

impl BusBy {
    pub(in crate::graphql) fn find(&self, view: &View) -> Option<Bus> {
        match self {
            BusBy::Id(id) => Bus::by_id(view, BusId(*id)),
            BusBy::Name(name) => view.bus_by_name(name).map(|bus| Bus::new(view, bus)),
        }
    }
}

/// Which buses. Absent fields let everything through; those that are given must all hold.
#[derive(InputObject, Default)]
pub struct BusFilter {
    /// Of this kind.
    kind: Option<BusKind>,
    /// With this status.
    status: Option<BusStatus>,
    /// With this in its name or purpose, in any case.
    search: Option<String>,
}

impl BusFilter {
    fn lets_through(&self, bus: &model::Bus) -> bool {
        let search = self.search.as_ref().map(|search| search.to_lowercase());
        let has = |text: &str| search.as_ref().is_none_or(|search| text.to_lowercase().contains(search));
        self.kind.is_none_or(|kind| kind == bus.terms.kind.into())
            && self.status.is_none_or(|status| status == bus.status.into())
            && (has(bus.terms.name.as_str()) || has(bus.terms.purpose.as_deref().unwrap_or_default()))
    }
}

/// A page of the buses that match, by name.
pub(in crate::graphql) fn list(view: &View, filter: BusFilter, args: &PageArgs) -> Result<Connection<Bus>> {
    let page: Page<BusName> = args.page()?;
    let filter = Arc::new(filter);
    let (of_count, of_filter) = (view.clone(), filter.clone());
    let total = total(move || of_count.buses.values().filter(|bus| of_filter.lets_through(bus)).count());
    let Some(bounds) = page.bounds() else { return Ok(page.take(std::iter::empty(), total)) };
    let named = view.bus_names.range(bounds).filter_map(|(name, id)| Some((name.clone(), view.buses.get(id)?)));
    let matching = named.filter(|(_, bus)| filter.lets_through(bus));
    Ok(page.take(matching.map(|(name, bus)| (name, Bus::new(view, bus))), total))
}

/// A bus that is to be.
#[derive(InputObject)]
pub struct CreateBusInput {
    /// Unique in this registry.
    name: String,
    /// What carries it.
    kind: BusKind,
    /// Where the broker is, for kinds that have one: of JETSTREAM what event_bus.nats_url says when absent; of ZMQ, the
    /// address to listen at, tcp://127.0.0.1 when absent.
    endpoint_uri: Option<String>,
    /// What it is for, in words.
    purpose: Option<String>,
    /// What its makers want to say besides: an object.
    metadata: Option<Value>,
    /// For topics that say nothing else; PERMISSIVE when absent.
    schema_mode: Option<SchemaMode>,
    /// Whether only events of trusted nodes are delivered; false when absent.
    trusted_only: Option<bool>,
    /// Whether a topic of which no schema was defined takes it from the contracts of those who publish on it; false when
    /// absent.
    contract_schemas: Option<bool>,
    /// How many events wait for one subscriber at most: 1 to 100,000, 1,000 when absent.
    queue_capacity: Option<u32>,
    /// What happens then; DROP_OLDEST when absent.
    overflow: Option<Overflow>,
    /// How many events of a topic are kept for replay: 0 to 10,000,000, 1,000 when absent.
    history_events: Option<u32>,
    /// How many seconds they are kept at most; 600 when absent.
    history_seconds: Option<u32>,
    /// How often an event is delivered to a durable subscriber that does not acknowledge it: 1 to 1,000, 5 when absent.
    max_deliveries: Option<u32>,
    /// How many milliseconds pass before the second delivery: 1 to 3,600,000, 1,000 when absent.
    retry_backoff_ms: Option<u32>,
    /// Whether what is published while the broker is away waits for it, up to 30 seconds and up to queueCapacity events,
    /// instead of being refused; false when absent.
    queues_while_away: Option<bool>,
    /// Whether it is started at once; true when absent.
    pub(in crate::graphql) start: Option<bool>,
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl CreateBusInput {
    pub(in crate::graphql) fn read(self) -> Result<BusTerms> {
        let metadata = self.metadata.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        if !metadata.is_object() || model::nests_too_deep(&metadata) {
            return Err(invalid("metadata", "is no object, or nests too deep"));
        }
        if self.purpose.as_ref().is_some_and(|purpose| purpose.len() > model::TEXT_LEN_MAX) {
            return Err(invalid("purpose", format!("is longer than {} bytes", model::TEXT_LEN_MAX)));
        }
        let default = Policy::default();
        let policy = Policy {
            queue_capacity: within(
                "queueCapacity",
                self.queue_capacity,
                default.queue_capacity,
                1,
                Policy::QUEUE_CAPACITY_MAX,
            )?,
            overflow: self.overflow.map_or(default.overflow, Into::into),
            history_events: within(
                "historyEvents",
                self.history_events,
                default.history_events,
                0,
                Policy::HISTORY_EVENTS_MAX,
            )?,
            history_seconds: self.history_seconds.unwrap_or(default.history_seconds),
            max_deliveries: within(
                "maxDeliveries",
                self.max_deliveries,
                default.max_deliveries,
                1,
                Policy::MAX_DELIVERIES_MAX,
            )?,
            retry_backoff_ms: within(
                "retryBackoffMs",
                self.retry_backoff_ms,
                default.retry_backoff_ms,
                1,
                Policy::RETRY_BACKOFF_MS_MAX,
            )?,
            queues_while_away: self.queues_while_away.unwrap_or(false),
        };
        Ok(BusTerms {
            name: BusName::try_new(&self.name).map_err(|error| invalid("name", error))?,
            kind: self.kind.into(),
            endpoint: self.endpoint_uri,
            purpose: self.purpose,
            metadata,
            schema_mode: self.schema_mode.map(Into::into).unwrap_or_default(),
            trusted_only: self.trusted_only.unwrap_or(false),
            contract_schemas: self.contract_schemas.unwrap_or(false),
            policy,
        })
    }
}

fn within(field: &str, given: Option<u32>, otherwise: u32, min: u32, max: u32) -> Result<u32> {
    match given.unwrap_or(otherwise) {
        fits if (min..=max).contains(&fits) => Ok(fits),
        other => Err(invalid(field, format!("is {other}; it is {min} to {max}"))),
    }
}

/// What is said of a topic. What is absent is as the bus has it.
#[derive(InputObject)]
pub struct DefineTopicInput {
    /// The bus, by name or id.
    pub(in crate::graphql) bus: String,
    /// The topic, without wildcards.
    topic: String,
    /// A JSON Schema (2020-12) of its events' envelopes.
    schema: Option<Value>,
    /// What happens to events that do not fit.
    mode: Option<SchemaMode>,
    /// Whether only events of trusted nodes are delivered.
    trusted_only: Option<bool>,
    /// How many events are kept for replay: 0 to 10,000,000.
    history_events: Option<u32>,
    /// How many seconds they are kept at most.
    history_seconds: Option<u32>,
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl DefineTopicInput {
    /// Reads what is said, and looks whether its schema can be used.
    pub(in crate::graphql) fn read(self, bus: &model::Bus) -> Result<(TopicName, TopicTerms)> {
        let topic = TopicName::try_new(&self.topic).map_err(|error| invalid("topic", error))?;
        let schema = self.schema.filter(|schema| !schema.is_null());
        let terms = TopicTerms {
            schema_hash: schema.as_ref().map(hash_of),
            schema: schema.map(Arc::new),
            mode: self.mode.map(Into::into),
            trusted_only: self.trusted_only,
            history_events: self
                .history_events
                .map(|given| within("historyEvents", Some(given), given, 0, Policy::HISTORY_EVENTS_MAX))
                .transpose()?,
            history_seconds: self.history_seconds,
        };
        Rules::try_new(&bus.terms, &terms).map_err(|error| invalid("schema", error))?;
        Ok((topic, terms))
    }
}

/// Which bus.
#[derive(InputObject)]
pub struct BusRefInput {
    /// Its id.
    pub(in crate::graphql) bus_id: Uuid,
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

/// Which events of a bus. Absent fields let everything through; those that are given must all hold.
#[derive(InputObject, Default)]
pub struct BusEventFilter {
    /// Of one of these types.
    event_types: Option<Vec<String>>,
    /// Of one of these nodes.
    node_ids: Option<Vec<Uuid>>,
    /// With all of these tags.
    tags: Option<Vec<String>>,
    /// Of nodes that are trusted so far at least.
    min_trust: Option<TrustState>,
    /// Of this undertaking.
    correlation_id: Option<String>,
}

impl BusEventFilter {
    pub(in crate::graphql) fn read(self, topics: Option<Vec<String>>) -> Result<EventWanted> {
        let topics = topics.unwrap_or_default();
        let event_types = self.event_types.unwrap_or_default();
        let nodes = self.node_ids.unwrap_or_default();
        let tags = self.tags.unwrap_or_default();
        for (field, count) in [
            ("topics", topics.len()),
            ("where.eventTypes", event_types.len()),
            ("where.nodeIds", nodes.len()),
            ("where.tags", tags.len()),
        ] {
            if count > WANTED_MAX {
                return Err(invalid(field, format!("has {count} entries; the most is {WANTED_MAX}")));
            }
        }
        let pattern = |text: &String| TopicPattern::try_new(text).map_err(|error| invalid("topics", error));
        Ok(EventWanted {
            topics: topics.iter().map(pattern).collect::<Result<_>>()?,
            event_types,
            nodes: nodes.into_iter().map(NodeId).collect(),
            tags,
            min_trust: self.min_trust.map(Into::into),
            correlation_id: self.correlation_id,
        })
    }
}
