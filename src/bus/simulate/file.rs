//! A scenario as it is written. What is not known here is refused, so that a misspelt word is not passed over.

use crate::model::{Overflow, SchemaMode, TrustState};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub name: String,
    #[serde(default)]
    pub seed: u64,
    pub seconds: f64,
    #[serde(default)]
    pub nodes: Vec<NodeFile>,
    pub buses: Vec<BusFile>,
    #[serde(default)]
    pub subscribers: Vec<SubscriberFile>,
    #[serde(default)]
    pub publishers: Vec<PublisherFile>,
    #[serde(default)]
    pub faults: Vec<FaultFile>,
    #[serde(default)]
    pub expect: Vec<Expected>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeFile {
    pub name: String,
    pub trust: Option<TrustWord>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BusFile {
    pub name: String,
    pub schema_mode: Option<ModeWord>,
    #[serde(default)]
    pub trusted_only: bool,
    #[serde(default)]
    pub while_away: WhileAway,
    pub queue_capacity: Option<u32>,
    pub overflow: Option<OverflowWord>,
    pub history_events: Option<u32>,
    pub history_seconds: Option<u32>,
    pub max_deliveries: Option<u32>,
    pub retry_backoff_ms: Option<u32>,
    #[serde(default)]
    pub topics: Vec<TopicFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicFile {
    pub name: String,
    pub schema: Option<Value>,
    pub mode: Option<ModeWord>,
    pub trusted_only: Option<bool>,
    pub history_events: Option<u32>,
    pub history_seconds: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriberFile {
    pub name: String,
    pub bus: Option<String>,
    #[serde(default)]
    pub topics: Vec<String>,
    #[serde(default)]
    pub event_types: Vec<String>,
    #[serde(default)]
    pub nodes: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    pub min_trust: Option<TrustWord>,
    pub correlation_id: Option<String>,
    #[serde(default)]
    pub trusted_only: bool,
    pub queue_capacity: Option<u32>,
    pub overflow: Option<OverflowWord>,
    pub replay: Option<ReplayFile>,
    /// Events a second; absent: as they come.
    pub speed: Option<f64>,
    #[serde(default)]
    pub attaches_at: f64,
    pub detaches_at: Option<f64>,
    pub durable: Option<DurableFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayFile {
    pub last: Option<usize>,
    pub behind: Option<u64>,
    /// Seconds from the beginning.
    pub since: Option<f64>,
    pub all: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DurableFile {
    #[serde(default)]
    pub acknowledges: AcknowledgingWord,
    /// Each so-many-th event it is given for the first time is refused.
    pub refuses_every: Option<u64>,
    /// How often it refuses such an event; absent: for ever.
    pub refuses_times: Option<u32>,
    pub answer_within: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublisherFile {
    pub name: String,
    pub bus: Option<String>,
    pub node: Option<String>,
    pub event_type: String,
    pub topic: Option<String>,
    /// Events a second; absent: all at once.
    pub rate: Option<f64>,
    /// By how much, of 1, the time between two differs.
    #[serde(default)]
    pub jitter: f64,
    pub count: Option<u64>,
    #[serde(default)]
    pub starts_at: f64,
    #[serde(default)]
    pub tags: Vec<String>,
    pub correlation_id: Option<String>,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Past the registry, which does not check it before.
    #[serde(default)]
    pub natively: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum FaultFile {
    SlowReader { subscriber: String, at: f64, r#for: f64, speed: f64 },
    CarrierAway { bus: String, at: f64, r#for: f64 },
    Duplicate { bus: String, every: u64 },
    Invalid { publisher: String, every: u64, metadata: Option<Map<String, Value>> },
}

/// What is expected of one subject.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub subscriber: Option<String>,
    pub publisher: Option<String>,
    pub bus: Option<String>,
    pub notice: Option<String>,
    pub topic: Option<String>,
    pub received: Option<Range>,
    pub missed: Option<Range>,
    pub waiting: Option<Range>,
    pub redelivered: Option<Range>,
    pub marked: Option<Range>,
    pub in_order: Option<bool>,
    pub p99_ms: Option<Range>,
    pub ended: Option<String>,
    pub published: Option<Range>,
    pub refused: Option<Range>,
    pub waited: Option<Range>,
    pub delivered: Option<Range>,
    pub dropped: Option<Range>,
    pub invalid: Option<Range>,
    pub retried: Option<Range>,
    pub repeated: Option<Range>,
    pub count: Option<Range>,
}

/// A number, or from where to where it may be.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Range {
    Exactly(f64),
    Within { min: Option<f64>, max: Option<f64> },
}

macro_rules! words {
    ($($(#[$doc:meta])* $word:ident for $model:ident { $($variant:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub(super) enum $word { $($variant),* }

        impl From<$word> for $model {
            fn from(word: $word) -> Self {
                match word { $($word::$variant => $model::$variant),* }
            }
        }
    )*};
}

words! {
    TrustWord for TrustState { Untrusted, Trusted, Verified }
    ModeWord for SchemaMode { Strict, Permissive }
    OverflowWord for Overflow { DropOldest, DropNewest, Block, Disconnect }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum AcknowledgingWord {
    #[default]
    Said,
    Handed,
}

/// What becomes of what is published while the carrier is away.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WhileAway {
    #[default]
    Refuse,
    Queue,
}
