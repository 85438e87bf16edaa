//! Buses: ways for events to travel, what is said of their topics, and who listens by name.

use super::{BusId, BusName, DefinitionHash, NodeId, SubscriberId, SubscriberName, Time, TopicName, TopicPattern};
use super::{LeaseId, TrustState};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// What carries a bus's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BusKind {
    /// The registry itself.
    Local,
    /// ZeroMQ over unix sockets, by a forwarder in the registry.
    Ipc,
    /// ZeroMQ over TCP, by a forwarder in the registry.
    Zmq,
    /// A stream of NATS JetStream.
    Jetstream,
    /// Streams of Redis.
    Redis,
}

/// How a bus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BusStatus {
    /// It is on its way to running.
    Starting,
    /// Events travel.
    Running,
    /// What carries it is away; it is tried again.
    Degraded,
    /// Nobody wants it to run.
    Stopped,
}

/// What happens to an event that does not fit its topic's schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaMode {
    /// It is refused.
    Strict,
    /// It is delivered, marked.
    #[default]
    Permissive,
}

/// What happens when a subscriber's queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Overflow {
    /// The oldest event in it makes room.
    #[default]
    DropOldest,
    /// The new event is not taken.
    DropNewest,
    /// Publishers wait.
    Block,
    /// The subscriber is sent away.
    Disconnect,
}

/// How a bus treats its subscribers, and what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusPolicy {
    /// How many events wait for one subscriber at most, unless it asks otherwise.
    pub queue_capacity: u32,
    /// What happens then, unless it asks otherwise.
    pub overflow: Overflow,
    /// How many events of a topic are kept for replay; 0 keeps none.
    pub history_events: u32,
    /// How many seconds they are kept at most.
    pub history_seconds: u32,
    /// How often an event is delivered to a durable subscriber that does not acknowledge it, before it is a dead letter.
    pub max_deliveries: u32,
    /// How many milliseconds pass before the second delivery; before each further one twice as many.
    pub retry_backoff_ms: u32,
    /// Whether what is published waits for a carrier that is away, instead of being refused.
    pub queues_while_away: bool,
}

impl BusPolicy {
    /// The most events that may wait for one subscriber.
    pub const QUEUE_CAPACITY_MAX: u32 = 100_000;
    /// The most events of a topic that may be kept.
    pub const HISTORY_EVENTS_MAX: u32 = 10_000_000;
    /// The most deliveries of one event.
    pub const MAX_DELIVERIES_MAX: u32 = 1_000;
    /// The longest first back-off: an hour.
    pub const RETRY_BACKOFF_MS_MAX: u32 = 3_600_000;
}

impl Default for BusPolicy {
    fn default() -> Self {
        BusPolicy {
            queue_capacity: 1_000,
            overflow: Overflow::default(),
            history_events: 1_000,
            history_seconds: 600,
            max_deliveries: 5,
            retry_backoff_ms: 1_000,
            queues_while_away: false,
        }
    }
}

/// A way for events to travel, as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct BusTerms {
    /// Unique in a registry.
    pub name: BusName,
    /// What carries it.
    pub kind: BusKind,
    /// Where the broker is, for kinds that have one elsewhere.
    pub endpoint: Option<String>,
    /// What it is for, in words.
    pub purpose: Option<String>,
    /// What its makers want to say besides: an object.
    pub metadata: Value,
    /// For topics that say nothing else.
    pub schema_mode: SchemaMode,
    /// Whether only events of trusted nodes are delivered.
    pub trusted_only: bool,
    /// Whether a topic of which no schema was defined has that of the contracts of those who publish on it.
    pub contract_schemas: bool,
    /// Queues, history and retries.
    pub policy: BusPolicy,
}

impl BusTerms {
    /// Where the broker is, for those who look: without who connects to it, and with what.
    pub fn shown_endpoint(&self) -> Option<String> {
        let without = |uri: &str| {
            let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
            match rest.rsplit_once('@') {
                // A user's name may be a token, as NATS has it.
                Some((_, host)) => format!("{scheme}://***@{host}"),
                None => uri.to_owned(),
            }
        };
        self.endpoint.as_deref().map(|all| all.split(',').map(without).collect::<Vec<_>>().join(","))
    }
}

/// A bus, and how it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Bus {
    /// Its id.
    pub id: BusId,
    /// What was asked for.
    pub terms: Arc<BusTerms>,
    /// How it is.
    pub status: BusStatus,
    /// Why it is so, where it is DEGRADED or STOPPED.
    pub reason: Option<String>,
    /// The ports that it runs on.
    pub leases: Vec<LeaseId>,
    /// When it was created.
    pub created_at: Time,
    /// Since when it runs; `None` while it does not.
    pub started_at: Option<Time>,
}

impl Bus {
    /// The bus that carries the registry's own changes. It is in every state, and no change is about it.
    pub fn of_registry() -> Arc<Bus> {
        static BUS: LazyLock<Arc<Bus>> = LazyLock::new(|| {
            let terms = BusTerms {
                name: BusName::of_registry(),
                kind: BusKind::Local,
                endpoint: None,
                purpose: Some("The registry's own changes, as events.".to_owned()),
                metadata: Value::Object(serde_json::Map::new()),
                schema_mode: SchemaMode::default(),
                trusted_only: false,
                contract_schemas: false,
                policy: BusPolicy::default(),
            };
            Arc::new(Bus {
                id: BusId::REGISTRY,
                terms: Arc::new(terms),
                status: BusStatus::Running,
                reason: None,
                leases: Vec::new(),
                created_at: Time::from_micros(0),
                started_at: None,
            })
        });
        BUS.clone()
    }

    /// Whether it is that bus.
    pub fn is_of_registry(&self) -> bool {
        self.id == BusId::REGISTRY
    }
}

/// What is said of one topic of a bus; what is absent is as the bus has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicTerms {
    /// The JSON Schema (2020-12) of its events' envelopes.
    pub schema: Option<Arc<Value>>,
    /// The SHA-256 of the schema's canonical form.
    pub schema_hash: Option<DefinitionHash>,
    /// What happens to events that do not fit.
    pub mode: Option<SchemaMode>,
    /// Whether only events of trusted nodes are delivered.
    pub trusted_only: Option<bool>,
    /// How many events are kept.
    pub history_events: Option<u32>,
    /// How many seconds they are kept at most.
    pub history_seconds: Option<u32>,
}

/// Which events somebody wants. Each part lets everything through where it is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventWanted {
    /// On topics that one of these matches.
    pub topics: Vec<TopicPattern>,
    /// Of one of these types.
    pub event_types: Vec<String>,
    /// Of one of these nodes.
    pub nodes: Vec<NodeId>,
    /// With all of these tags.
    pub tags: Vec<String>,
    /// Of nodes that are trusted so far at least.
    pub min_trust: Option<TrustState>,
    /// Of this undertaking.
    pub correlation_id: Option<String>,
}

/// One that listens by name: what it has not acknowledged comes again, whether it was there or not.
#[derive(Clone, Debug, PartialEq)]
pub struct DurableSubscriber {
    /// Its id.
    pub id: SubscriberId,
    /// The bus.
    pub bus: BusId,
    /// Unique on the bus.
    pub name: SubscriberName,
    /// Who made it.
    pub principal: String,
    /// Which events it gets.
    pub wanted: EventWanted,
    /// When it was made.
    pub created_at: Time,
}

/// What a bus tells of what did not go as it should, or was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// An event did not fit its topic's schema, or was none.
    InvalidSchema,
    /// A subscriber, or everybody, lost an event.
    Dropped,
    /// Publishers wait for a subscriber.
    Backpressure,
    /// A subscriber does not keep up.
    SubscriberSlow,
    /// A durable subscriber is given an event again.
    Retry,
    /// A durable subscriber did not acknowledge an event as often as it is given.
    RetryLimitExceeded,
    /// A subscriber asked for what went before.
    ReplayRequested,
    /// It was given all of it.
    ReplayDelivered,
    /// It cannot have all of it.
    ReplayFailed,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: &[NoticeKind] = &[
        NoticeKind::InvalidSchema,
        NoticeKind::Dropped,
        NoticeKind::Backpressure,
        NoticeKind::SubscriberSlow,
        NoticeKind::Retry,
        NoticeKind::RetryLimitExceeded,
        NoticeKind::ReplayRequested,
        NoticeKind::ReplayDelivered,
        NoticeKind::ReplayFailed,
    ];

    /// The type of the event that tells it.
    pub fn event_type(self) -> &'static str {
        match self {
            NoticeKind::InvalidSchema => "EVENT_INVALID_SCHEMA",
            NoticeKind::Dropped => "EVENT_DROPPED",
            NoticeKind::Backpressure => "EVENT_BACKPRESSURE",
            NoticeKind::SubscriberSlow => "EVENT_SUBSCRIBER_SLOW",
            NoticeKind::Retry => "EVENT_RETRY",
            NoticeKind::RetryLimitExceeded => "EVENT_RETRY_LIMIT_EXCEEDED",
            NoticeKind::ReplayRequested => "EVENT_REPLAY_REQUESTED",
            NoticeKind::ReplayDelivered => "EVENT_REPLAY_DELIVERED",
            NoticeKind::ReplayFailed => "EVENT_REPLAY_FAILED",
        }
    }
}

/// What a bus told: equal ones of a second are one.
#[derive(Clone, Debug, PartialEq)]
pub struct BusNotice {
    /// What happened.
    pub kind: NoticeKind,
    /// On which bus.
    pub bus: BusId,
    /// On which topic; `None` where it is about several.
    pub topic: Option<TopicName>,
    /// To whom; `None` where it is about nobody, or about several.
    pub subscriber: Option<SubscriberId>,
    /// By which schema.
    pub schema_hash: Option<DefinitionHash>,
    /// How many it stands for.
    pub count: u64,
    /// Why, in words; of several the first.
    pub reason: String,
    /// When the first of them was.
    pub first_at: Time,
    /// When the last of them was.
    pub last_at: Time,
}

/// A bus's own topics, and those for what could not be delivered.
pub mod topics {
    use super::TopicName;

    /// What a topic's name ends with where dead letters of another are kept.
    pub const DEAD_LETTERS: &str = ".dlq";

    /// Where dead letters of a topic go; `None` for what is such a topic itself, or whose name is too long for it.
    pub fn dead_letters_of(topic: &TopicName) -> Option<TopicName> {
        if are_dead_letters(topic) {
            return None;
        }
        TopicName::try_new(&format!("{topic}{DEAD_LETTERS}")).ok()
    }

    /// Whether dead letters of another topic are kept on it.
    pub fn are_dead_letters(topic: &TopicName) -> bool {
        topic.as_str().ends_with(DEAD_LETTERS)
    }
}
