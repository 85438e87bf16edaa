//! What came of a scenario, for people and for programs.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// How many notices the text shows; the JSON has all.
const NOTICES_SHOWN: usize = 50;

/// What came of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// What the scenario is called.
    pub scenario: String,
    /// What chance began with.
    pub seed: u64,
    /// How many seconds were simulated.
    pub seconds: f64,
    /// The buses, in the order of the file.
    pub buses: Vec<BusOutcome>,
    /// The publishers, in the order of the file.
    pub publishers: Vec<PublisherOutcome>,
    /// The subscribers, in the order of the file.
    pub subscribers: Vec<SubscriberOutcome>,
    /// What the buses told, in order.
    pub notices: Vec<NoticeOutcome>,
    /// What is not as it is expected, a sentence each; empty where all is.
    pub failures: Vec<String>,
}

impl Outcome {
    /// Whether all is as it is expected.
    pub fn is_expected(&self) -> bool {
        self.failures.is_empty()
    }

    /// As one JSON object.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

/// What a bus did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BusOutcome {
    /// Its name.
    pub name: String,
    /// Events that were carried.
    pub published: u64,
    /// Events that ephemeral subscribers were given, once for each.
    pub delivered: u64,
    /// Events that were lost, once for each subscriber.
    pub dropped: u64,
    /// Events that did not fit.
    pub invalid: u64,
    /// Events that durable subscribers were given again.
    pub retried: u64,
    /// Events that the carrier brought twice, and that were taken once.
    pub repeated: u64,
}

/// What a publisher did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PublisherOutcome {
    /// Its name.
    pub name: String,
    /// Events that it could publish.
    pub published: u64,
    /// Events that were refused.
    pub refused: u64,
    /// How often it had to wait.
    pub waited: u64,
}

/// What a subscriber got.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SubscriberOutcome {
    /// Its name.
    pub name: String,
    /// Its bus.
    pub bus: String,
    /// Events that it was given.
    pub received: u64,
    /// Those among them, by topic.
    pub by_topic: BTreeMap<String, u64>,
    /// Events that it lost.
    pub missed: u64,
    /// How many of these it had not yet been told of when it left.
    pub untold: u64,
    /// Events that still waited for it when it left.
    pub waiting: u64,
    /// Events that it was given again.
    pub redelivered: u64,
    /// Events that did not fit their topic's schema.
    pub marked: u64,
    /// Whether what it was given for the first time came in the order of the bus, each once.
    pub in_order: bool,
    /// How many milliseconds half of the deliveries took at most; absent before any.
    pub p50_ms: Option<f64>,
    /// How many 99 of 100 took at most.
    pub p99_ms: Option<f64>,
    /// Why it was sent away; absent where it was not.
    pub ended: Option<String>,
    /// Why it could not attach; absent where it could.
    pub refused: Option<String>,
}

/// What a bus told.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NoticeOutcome {
    /// When the first of what it stands for happened, in seconds from the beginning.
    pub at: f64,
    /// Which bus.
    pub bus: String,
    /// The type of the event that tells it.
    pub event_type: String,
    /// On which topic.
    pub topic: Option<String>,
    /// To which subscriber.
    pub subscriber: Option<String>,
    /// By which schema.
    pub schema_hash: Option<String>,
    /// How many it stands for.
    pub count: u64,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} seconds, seed {}", self.scenario, self.seconds, self.seed)?;
        for bus in &self.buses {
            let BusOutcome { name, published, delivered, dropped, invalid, retried, repeated } = bus;
            write!(f, "\nbus {name}: published {published}, delivered {delivered}, dropped {dropped}")?;
            writeln!(f, ", invalid {invalid}, retried {retried}, repeated {repeated}")?;
        }
        for PublisherOutcome { name, published, refused, waited } in &self.publishers {
            writeln!(f, "publisher {name}: published {published}, refused {refused}, waited {waited}")?;
        }
        self.subscribers.iter().try_for_each(|subscriber| write_subscriber(f, subscriber))?;
        write_notices(f, &self.notices)?;
        if self.is_expected() {
            return writeln!(f, "\nas expected");
        }
        writeln!(f, "\nnot as expected:")?;
        self.failures.iter().try_for_each(|failure| writeln!(f, "  {failure}"))
    }
}

fn write_subscriber(f: &mut fmt::Formatter<'_>, got: &SubscriberOutcome) -> fmt::Result {
    if let Some(refused) = &got.refused {
        return writeln!(f, "\nsubscriber {} on {}: {refused}", got.name, got.bus);
    }
    writeln!(f, "\nsubscriber {} on {}:", got.name, got.bus)?;
    write!(f, "  received {}, missed {} ({} untold), waiting {}", got.received, got.missed, got.untold, got.waiting)?;
    write!(f, ", redelivered {}, marked {}", got.redelivered, got.marked)?;
    writeln!(f, ", {}", if got.in_order { "in order" } else { "not in order" })?;
    if let (Some(p50), Some(p99)) = (got.p50_ms, got.p99_ms) {
        writeln!(f, "  latency: p50 {p50} ms, p99 {p99} ms")?;
    }
    for (topic, count) in &got.by_topic {
        writeln!(f, "  {topic}: {count}")?;
    }
    got.ended.as_ref().map_or(Ok(()), |ended| writeln!(f, "  sent away: {ended}"))
}

fn write_notices(f: &mut fmt::Formatter<'_>, notices: &[NoticeOutcome]) -> fmt::Result {
    if !notices.is_empty() {
        writeln!(f)?;
    }
    for notice in notices.iter().take(NOTICES_SHOWN) {
        write!(f, "{:>9.3} s  {} × {}", notice.at, notice.count, notice.event_type)?;
        notice.topic.as_ref().map_or(Ok(()), |topic| write!(f, " on {topic}"))?;
        notice.subscriber.as_ref().map_or(Ok(()), |subscriber| write!(f, " to {subscriber}"))?;
        writeln!(f, ": {}", notice.reason)?;
    }
    match notices.len().saturating_sub(NOTICES_SHOWN) {
        0 => Ok(()),
        more => writeln!(f, "and {more} notices more"),
    }
}
