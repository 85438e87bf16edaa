//! A scenario that was checked: every name in it is known, and it ends.

use super::expect;
use super::file::{
    AcknowledgingWord, BusFile, Expected, FaultFile, File, NodeFile, PublisherFile, ReplayFile, SubscriberFile,
    TopicFile, WhileAway,
};
use crate::bus::durable::{ANSWER_SECONDS, Acknowledging};
use crate::bus::envelope::{self, SUBJECT_PREFIX};
use crate::bus::history::Replay;
use crate::bus::kind::Place;
use crate::bus::topic::Rules;
use crate::model::{
    BusKind, BusName, BusPolicy, BusTerms, EventWanted, NodeId, Overflow, SubscriberName, Time, TopicName,
    TopicPattern, TopicTerms, TrustState,
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The most bytes of a scenario.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// The most events of a scenario, and the most deliveries that they can make.
const EVENTS_MAX: u64 = 1_000_000;
const DELIVERIES_MAX: u64 = 20_000_000;
/// The most seconds that a scenario simulates: a year.
const SECONDS_MAX: f64 = 31_536_000.0;
/// The name space of the ids of what scenarios name.
const SPACE: Uuid = Uuid::from_u128(0x6f6e_6578_7369_5f6d_8a5c_1c1f_0e71_5d02);

/// Why a text is no scenario. Display reads `path: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, such as `subscribers[0] (slow).topics[0]`; empty for the whole.
    pub path: String,
    /// What is wrong with it, to be read on after the path.
    pub reason: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the scenario" } else { &self.path };
        write!(f, "{path}: {}", self.reason)
    }
}

impl std::error::Error for Invalid {}

fn invalid(path: impl Into<String>, reason: impl fmt::Display) -> Invalid {
    Invalid { path: path.into(), reason: reason.to_string() }
}

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// What chance begins with, unless it is run with another.
    pub seed: u64,
    pub(super) end: Time,
    pub(super) trust: HashMap<NodeId, TrustState>,
    pub(super) buses: Vec<BusPart>,
    pub(super) subscribers: Vec<SubscriberPart>,
    pub(super) publishers: Vec<PublisherPart>,
    pub(super) expect: Vec<Expected>,
}

#[derive(Debug)]
pub(super) struct BusPart {
    pub terms: Arc<BusTerms>,
    pub topics: Vec<(TopicName, TopicTerms)>,
    pub away: Vec<(Time, Time)>,
    pub duplicate_every: Option<u64>,
}

#[derive(Debug)]
pub(super) struct SubscriberPart {
    pub name: SubscriberName,
    pub bus: usize,
    pub wanted: EventWanted,
    pub trusted_only: bool,
    pub capacity: Option<u32>,
    pub overflow: Option<Overflow>,
    pub replay: Replay,
    pub speed: Option<f64>,
    /// From when to when it has another speed.
    pub slow: Vec<(Time, Time, f64)>,
    pub attaches_at: Time,
    pub detaches_at: Option<Time>,
    pub durable: Option<DurablePart>,
}

#[derive(Debug)]
pub(super) struct DurablePart {
    pub acknowledging: Acknowledging,
    pub refuses_every: Option<u64>,
    pub refuses_times: u32,
    pub answer_within: Duration,
}

#[derive(Debug)]
pub(super) struct PublisherPart {
    pub name: String,
    pub bus: usize,
    pub node: NodeId,
    pub topic: TopicName,
    pub event_type: String,
    pub micros_between: f64,
    pub jitter: f64,
    pub count: u64,
    pub starts_at: Time,
    pub tags: Vec<String>,
    pub correlation_id: Option<String>,
    pub metadata: Map<String, Value>,
    pub natively: bool,
    pub wrong: Option<Wrong>,
}

/// Which of a publisher's events are wrong, and how: with other metadata, or no events at all.
#[derive(Debug)]
pub(super) struct Wrong {
    pub every: u64,
    pub metadata: Option<Map<String, Value>>,
}

impl Scenario {
    /// Reads a scenario from YAML or JSON.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(invalid("", format!("has {} bytes; the most is {TEXT_BYTES_MAX}", text.len())));
        }
        let file = parse(text)?;
        check_nodes(&file)?;
        let mut names = Names::default();
        let mut trust = HashMap::new();
        for node in &file.nodes {
            trust.insert(node_id(&node.name), trust_of(node));
        }
        let mut buses = Vec::new();
        for (number, bus) in file.buses.iter().enumerate() {
            let path = format!("buses[{number}] ({})", bus.name);
            add(&mut names.buses, &bus.name, number, &path)?;
            buses.push(bus_of(bus, &path)?);
        }
        if buses.is_empty() {
            return Err(invalid("buses", "there is none"));
        }
        let mut subscribers = Vec::new();
        for (number, subscriber) in file.subscribers.iter().enumerate() {
            let path = format!("subscribers[{number}] ({})", subscriber.name);
            add(&mut names.subscribers, &subscriber.name, number, &path)?;
            subscribers.push(subscriber_of(subscriber, &names, &path)?);
        }
        let end = time("seconds", file.seconds)?;
        let mut publishers = Vec::new();
        for (number, publisher) in file.publishers.iter().enumerate() {
            let path = format!("publishers[{number}] ({})", publisher.name);
            add(&mut names.publishers, &publisher.name, number, &path)?;
            publishers.push(publisher_of(publisher, file.seconds, &names, &path)?);
        }
        let File { name, seed, faults, expect, .. } = file;
        let mut scenario = Scenario { name, seed, end, trust, buses, subscribers, publishers, expect };
        for (number, fault) in faults.into_iter().enumerate() {
            scenario.add_fault(fault, &names, &format!("faults[{number}]"))?;
        }
        scenario.check(&names)?;
        Ok(scenario)
    }

    fn add_fault(&mut self, fault: FaultFile, names: &Names, path: &str) -> Result<(), Invalid> {
        let span = |at: f64, length: f64| Ok((time(path, at)?, time(path, at + length)?));
        match fault {
            FaultFile::SlowReader { subscriber, at, r#for, speed } => {
                let (from, to) = span(at, r#for)?;
                let speed = positive(path, "speed", speed, true)?;
                self.subscribers[find(&names.subscribers, &subscriber, path)?].slow.push((from, to, speed));
            }
            FaultFile::CarrierAway { bus, at, r#for } => {
                self.buses[find(&names.buses, &bus, path)?].away.push(span(at, r#for)?);
            }
            FaultFile::Duplicate { bus, every } => {
                self.buses[find(&names.buses, &bus, path)?].duplicate_every = Some(every.max(1));
            }
            FaultFile::Invalid { publisher, every, metadata } => {
                let at = find(&names.publishers, &publisher, path)?;
                self.publishers[at].wrong = Some(Wrong { every: every.max(1), metadata });
            }
        }
        Ok(())
    }

    fn check(&self, names: &Names) -> Result<(), Invalid> {
        let events: u64 = self.publishers.iter().map(|publisher| publisher.count).fold(0, u64::saturating_add);
        if events > EVENTS_MAX {
            return Err(invalid("publishers", format!("publish {events} events; the most is {EVENTS_MAX}")));
        }
        let deliveries = events.saturating_mul(self.subscribers.len() as u64);
        if deliveries > DELIVERIES_MAX {
            let reason = format!("may be given {deliveries} events; the most is {DELIVERIES_MAX}");
            return Err(invalid("subscribers", reason));
        }
        for (number, expected) in self.expect.iter().enumerate() {
            let path = format!("expect[{number}]");
            if let Some(reason) = expect::unsuited(expected) {
                return Err(invalid(path, reason));
            }
            for (known, name) in [
                (&names.subscribers, &expected.subscriber),
                (&names.publishers, &expected.publisher),
                (&names.buses, &expected.bus),
            ] {
                name.as_ref().map(|name| find(known, name, &path)).transpose()?;
            }
        }
        Ok(())
    }
}

/// Nodes are those that are listed, and each publisher that says of no node that it is it.
fn check_nodes(file: &File) -> Result<(), Invalid> {
    let is_listed = |name: &String| file.nodes.iter().any(|node| node.name == *name);
    let is_publisher = |name: &String| file.publishers.iter().any(|one| one.name == *name && one.node.is_none());
    let unknown = |path: String, name: &str| invalid(path, format!("there is no node called {name:?}"));
    for publisher in &file.publishers {
        if let Some(name) = publisher.node.as_ref().filter(|name| !is_listed(name)) {
            return Err(unknown(format!("publishers ({})", publisher.name), name));
        }
    }
    for subscriber in &file.subscribers {
        if let Some(name) = subscriber.nodes.iter().find(|name| !is_listed(name) && !is_publisher(name)) {
            return Err(unknown(format!("subscribers ({})", subscriber.name), name));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Names {
    buses: HashMap<String, usize>,
    subscribers: HashMap<String, usize>,
    publishers: HashMap<String, usize>,
}

fn add(known: &mut HashMap<String, usize>, name: &str, number: usize, path: &str) -> Result<(), Invalid> {
    match known.insert(name.to_owned(), number) {
        Some(_) => Err(invalid(path, "there are two of this name")),
        None => Ok(()),
    }
}

fn find(known: &HashMap<String, usize>, name: &str, path: &str) -> Result<usize, Invalid> {
    known.get(name).copied().ok_or_else(|| invalid(path, format!("there is none called {name:?}")))
}

/// The bus of this name, or the only one.
fn bus_named(name: Option<&String>, names: &Names, path: &str) -> Result<usize, Invalid> {
    match name {
        Some(name) => find(&names.buses, name, path),
        None if names.buses.len() == 1 => Ok(0),
        None => Err(invalid(path, "there are several buses, and it does not say which is its")),
    }
}

fn parse(text: &str) -> Result<File, Invalid> {
    use serde_saphyr::{Options, options::DuplicateKeyPolicy};
    let mut options = Options::default();
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.strict_booleans = true;
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let text = error.without_snippet().to_string();
        invalid("", text.split_whitespace().collect::<Vec<_>>().join(" "))
    })
}

fn trust_of(node: &NodeFile) -> TrustState {
    node.trust.map(TrustState::from).unwrap_or_default()
}

/// The id of what has this name.
pub(super) fn node_id(name: &str) -> NodeId {
    NodeId(Uuid::new_v5(&SPACE, name.as_bytes()))
}

fn time(path: &str, seconds: f64) -> Result<Time, Invalid> {
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return Err(invalid(path, format!("{seconds} is no number of seconds from 0 to {SECONDS_MAX}")));
    }
    Ok(Time::from_micros((seconds * 1e6) as i64))
}

fn positive(path: &str, name: &str, number: f64, or_zero: bool) -> Result<f64, Invalid> {
    let fits = number.is_finite() && number <= 1e6 && (number > 0.0 || (or_zero && number == 0.0));
    if fits { Ok(number) } else { Err(invalid(format!("{path}.{name}"), format!("{number} is no rate a second"))) }
}

fn bus_of(bus: &BusFile, path: &str) -> Result<BusPart, Invalid> {
    let mut policy = BusPolicy::default();
    let said = [
        (&mut policy.queue_capacity, bus.queue_capacity),
        (&mut policy.history_events, bus.history_events),
        (&mut policy.history_seconds, bus.history_seconds),
        (&mut policy.max_deliveries, bus.max_deliveries),
        (&mut policy.retry_backoff_ms, bus.retry_backoff_ms),
    ];
    said.into_iter().for_each(|(field, said)| *field = said.unwrap_or(*field));
    policy.overflow = bus.overflow.map_or(policy.overflow, Overflow::from);
    policy.queues_while_away = bus.while_away == WhileAway::Queue;
    let terms = BusTerms {
        name: BusName::try_new(&bus.name).map_err(|error| invalid(path, error))?,
        kind: BusKind::Local,
        endpoint: None,
        purpose: None,
        metadata: json!({}),
        schema_mode: bus.schema_mode.map(Into::into).unwrap_or_default(),
        trusted_only: bus.trusted_only,
        contract_schemas: false,
        policy,
    };
    let mut topics = Vec::new();
    for (number, topic) in bus.topics.iter().enumerate() {
        topics.push(topic_of(topic, &terms, &format!("{path}.topics[{number}] ({})", topic.name))?);
    }
    Ok(BusPart { terms: Arc::new(terms), topics, away: Vec::new(), duplicate_every: None })
}

fn topic_of(topic: &TopicFile, bus: &BusTerms, path: &str) -> Result<(TopicName, TopicTerms), Invalid> {
    let name = TopicName::try_new(&topic.name).map_err(|error| invalid(path, error))?;
    let terms = TopicTerms {
        schema: topic.schema.clone().map(Arc::new),
        schema_hash: None,
        mode: topic.mode.map(Into::into),
        trusted_only: topic.trusted_only,
        history_events: topic.history_events,
        history_seconds: topic.history_seconds,
    };
    Rules::try_new(bus, &terms).map_err(|error| invalid(format!("{path}.schema"), error))?;
    Ok((name, terms))
}

fn subscriber_of(file: &SubscriberFile, names: &Names, path: &str) -> Result<SubscriberPart, Invalid> {
    let pattern = |(number, text): (usize, &String)| {
        TopicPattern::try_new(text).map_err(|error| invalid(format!("{path}.topics[{number}]"), error))
    };
    let wanted = EventWanted {
        topics: file.topics.iter().enumerate().map(pattern).collect::<Result<_, _>>()?,
        event_types: file.event_types.clone(),
        nodes: file.nodes.iter().map(|name| node_id(name)).collect(),
        tags: file.tags.clone(),
        min_trust: file.min_trust.map(Into::into),
        correlation_id: file.correlation_id.clone(),
    };
    let durable = file.durable.as_ref().map(|durable| {
        let seconds = durable.answer_within.unwrap_or(ANSWER_SECONDS as f64);
        Ok(DurablePart {
            acknowledging: match durable.acknowledges {
                AcknowledgingWord::Said => Acknowledging::Said,
                AcknowledgingWord::Handed => Acknowledging::Handed,
            },
            refuses_every: durable.refuses_every.map(|every| every.max(1)),
            refuses_times: durable.refuses_times.unwrap_or(u32::MAX),
            answer_within: Duration::from_micros(time(path, seconds)?.as_micros().unsigned_abs()),
        })
    });
    Ok(SubscriberPart {
        name: SubscriberName::try_new(&file.name).map_err(|error| invalid(path, error))?,
        bus: bus_named(file.bus.as_ref(), names, path)?,
        wanted,
        trusted_only: file.trusted_only,
        capacity: file.queue_capacity,
        overflow: file.overflow.map(Into::into),
        replay: file.replay.as_ref().map_or(Ok(Replay::None), |replay| replay_of(replay, path))?,
        speed: file.speed.map(|speed| positive(path, "speed", speed, false)).transpose()?,
        slow: Vec::new(),
        attaches_at: time(path, file.attaches_at)?,
        detaches_at: file.detaches_at.map(|at| time(path, at)).transpose()?,
        durable: durable.transpose()?,
    })
}

fn replay_of(file: &ReplayFile, path: &str) -> Result<Replay, Invalid> {
    match *file {
        ReplayFile { last: Some(count), behind: None, since: None, all: None } => Ok(Replay::Last(count)),
        ReplayFile { last: None, behind: Some(place), since: None, all: None } => Ok(Replay::Behind(Place(place))),
        ReplayFile { last: None, behind: None, since: Some(at), all: None } => Ok(Replay::Since(time(path, at)?)),
        ReplayFile { last: None, behind: None, since: None, all: Some(true) } => Ok(Replay::All),
        _ => Err(invalid(format!("{path}.replay"), "is one of last, behind, since, and all: true")),
    }
}

fn publisher_of(file: &PublisherFile, seconds: f64, names: &Names, path: &str) -> Result<PublisherPart, Invalid> {
    let rate = file.rate.map(|rate| positive(path, "rate", rate, false)).transpose()?;
    let topic = match &file.topic {
        Some(topic) => TopicName::try_new(topic),
        None => envelope::subject(SUBJECT_PREFIX, &file.event_type),
    };
    let count = match (file.count, rate) {
        (Some(count), _) => count,
        (None, Some(rate)) => ((seconds - file.starts_at).max(0.0) * rate).ceil() as u64,
        (None, None) => return Err(invalid(path, "says neither its rate nor how many it publishes")),
    };
    if !(0.0..=1.0).contains(&file.jitter) {
        return Err(invalid(format!("{path}.jitter"), "is no part from 0 to 1"));
    }
    Ok(PublisherPart {
        name: file.name.clone(),
        bus: bus_named(file.bus.as_ref(), names, path)?,
        node: node_id(file.node.as_ref().unwrap_or(&file.name)),
        topic: topic.map_err(|error| invalid(format!("{path}.topic"), error))?,
        event_type: file.event_type.clone(),
        micros_between: rate.map_or(0.0, |rate| 1e6 / rate),
        jitter: file.jitter,
        count,
        starts_at: time(path, file.starts_at)?,
        tags: file.tags.clone(),
        correlation_id: file.correlation_id.clone(),
        metadata: file.metadata.clone(),
        natively: file.natively,
        wrong: None,
    })
}
