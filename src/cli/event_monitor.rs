//! `onex event-monitor`: the events of a bus as they travel.
//!
//! A bus gives events from a place in its order on. This command begins where it is told to, and after a lost
//! connection asks for what came behind the last event it showed. What is lost nevertheless is said. By a name, the bus
//! remembers how far it is: each event is acknowledged once it was shown.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{self, Client};
use crate::model::Time;

use super::bus;
use super::describe::node_id;
use super::error::{self, Error};
use super::inspect::enum_name;
use super::output::{self, TextFormat};
use super::server::ServerArgs;
use super::value::{NOTHING, given, text, time};

const SUBSCRIPTION: &str = "subscription(
    $bus: String!, $topics: [String!], $where: BusEventFilter, $replay: ReplayInput, $durable: String
) {
    busEvents(bus: $bus, topics: $topics, where: $where, replay: $replay, durable: $durable) {
        bus topic sequence missed redelivery misfit
        event { eventId nodeId eventType timestamp correlationId tags metadata }
    }
}";
const ACKNOWLEDGE: &str = "mutation($input: AckEventInput!) { ackEvent(input: $input) { notOpen } }";
const NODE: &str = "query($by: NodeBy!) { node(by: $by) { name } }";

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// How many names of nodes are remembered.
const NAMES_MAX: usize = 10_000;
/// The most characters of an event's metadata in a line.
const DETAIL_MAX: usize = 200;

/// Which events to show, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bus, by name or id.
    #[arg(long, value_name = "NAME|ID")]
    bus: String,
    /// Only topics that match: * is one segment, > the rest; may be given several times.
    #[arg(long = "topic", value_name = "PATTERN")]
    topics: Vec<String>,
    /// Only events of this type; may be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events of this node; may be given several times.
    #[arg(long = "node", value_name = "NAME|ID")]
    nodes: Vec<String>,
    /// Only events with this tag; of several with all.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only events of nodes that are trusted so far at least: untrusted, trusted or verified.
    #[arg(long, value_name = "STATE")]
    min_trust: Option<String>,
    /// What of the past to show first: last:N, since:INSTANT, behind:PLACE or all; nothing without it.
    #[arg(long, value_name = "WHAT", value_parser = Replay::read)]
    replay: Option<Replay>,
    /// Listen by a name: what was not shown under it comes again, whenever this command is run. With --replay it
    /// begins there, the first time.
    #[arg(long, value_name = "NAME")]
    durable: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show each event: a line for people, or a line of JSON.
    #[arg(long, value_enum, default_value_t)]
    format: TextFormat,
}

/// What of the past is shown first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Replay {
    Last(u32),
    Since(Time),
    Behind(u64),
    All,
}

impl Replay {
    fn read(text: &str) -> Result<Self, String> {
        let read = match text.split_once(':') {
            None if text == "all" => Some(Replay::All),
            Some(("last", count)) => count.parse().ok().map(Replay::Last),
            Some(("since", instant)) => instant.parse().ok().map(Replay::Since),
            Some(("behind", place)) => place.parse().ok().map(Replay::Behind),
            _ => None,
        };
        let otherwise = "is none of last:10, since:2026-11-22T12:00:00Z, behind:120 and all, or has another number";
        read.ok_or_else(|| otherwise.to_owned())
    }

    /// As the API takes it.
    fn input(self) -> Value {
        match self {
            Replay::Last(count) => json!({ "last": count }),
            Replay::Since(instant) => json!({"sinceTime": instant.to_string()}),
            Replay::Behind(place) => json!({ "sinceSequence": place }),
            Replay::All => json!({ "all": true }),
        }
    }
}

/// Shows events until there were as many as were asked for, or it is interrupted.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    tokio::select! {
        done = follow(args) => done,
        // Interrupting is how this command is meant to end.
        Ok(()) = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
    }
}

async fn follow(args: Args) -> Result<ExitCode, Error> {
    let mut monitor = Monitor::begin(args).await?;
    let mut backoff = BACKOFF_MIN;
    let mut told = String::new();
    loop {
        let (began, before) = (Instant::now(), monitor.shown);
        let why = match monitor.until_lost().await {
            Ok(End::Counted) => return Ok(ExitCode::SUCCESS),
            Ok(End::Stopped) => format!("bus {} has stopped, or its registry has", monitor.called),
            Err(Error::Client(error)) if monitor.goes_on_after(&error) => error::chain(&error),
            Err(error) => return Err(error),
        };
        monitor.tried = true;
        if monitor.shown != before || began.elapsed() > BACKOFF_MAX {
            backoff = BACKOFF_MIN;
            told.clear();
        }
        // A bus may stand still for hours: each reason is told once, not with every try.
        if why != told {
            output::note(&format!("{why}; trying again, {}", monitor.ahead()));
            told = why;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// Why nothing more comes, without anything being wrong.
enum End {
    /// As many were shown as were asked for.
    Counted,
    /// The bus stands still, or the registry has shut down; both may come back.
    Stopped,
}

/// Events of a bus, from where they were left.
struct Monitor {
    client: Client,
    /// What the bus is called by who asks.
    called: String,
    /// Its id: one that is deleted and created again has another order, in which the last place means nothing.
    bus: Value,
    topics: Vec<String>,
    filter: Value,
    format: TextFormat,
    /// What is asked for first: what was typed, and the last place once an event was shown.
    replay: Value,
    /// The name that it listens by.
    durable: Option<String>,
    count: Option<NonZeroU64>,
    shown: u64,
    connected: bool,
    /// Whether there was a try before this one.
    tried: bool,
    /// What nodes are called, by id.
    names: HashMap<String, String>,
}

impl Monitor {
    async fn begin(args: Args) -> Result<Self, Error> {
        let client = args.server.client()?;
        let bus = bus::find(&client, &args.bus, "id").await?["id"].take();
        let mut nodes = Vec::new();
        for node in &args.nodes {
            nodes.push(node_id(&client, node).await?);
        }
        // An empty list lets everything through, as an absent one does.
        let filter = given(json!({
            "eventTypes": args.types, "nodeIds": nodes, "tags": args.tags, "minTrust": args.min_trust.map(enum_name),
        }));
        Ok(Monitor {
            client,
            called: args.bus,
            bus,
            topics: args.topics,
            filter,
            format: args.format,
            replay: args.replay.map_or(Value::Null, Replay::input),
            durable: args.durable,
            count: args.count,
            shown: 0,
            connected: false,
            tried: false,
            names: HashMap::new(),
        })
    }

    /// Shows events until the connection ends, or there were enough.
    async fn until_lost(&mut self) -> Result<End, Error> {
        if self.tried && self.stands_still().await? {
            return Ok(End::Stopped);
        }
        let topics = (!self.topics.is_empty()).then_some(&self.topics);
        let filter = self.filter.as_object().filter(|filter| !filter.is_empty());
        let variables = given(json!({
            "bus": self.bus, "topics": topics, "where": filter, "replay": self.replay, "durable": self.durable,
        }));
        let mut events = self.client.subscribe::<Value>(SUBSCRIPTION, variables).await?;
        if std::mem::replace(&mut self.connected, true) {
            output::note("connected again");
        }
        while let Some(event) = events.next().await {
            let event = event?["busEvents"].take();
            self.show(&event).await?;
            self.acknowledge(&event).await?;
            if self.count.is_some_and(|count| self.shown >= count.get()) {
                return Ok(End::Counted);
            }
        }
        Ok(End::Stopped)
    }

    /// Says that an event was shown, where the bus remembers that.
    async fn acknowledge(&self, event: &Value) -> Result<(), Error> {
        if let Some(name) = &self.durable {
            let input = json!({"bus": self.bus, "subscriber": name, "sequences": [event["sequence"]]});
            let _: Value = self.client.query(ACKNOWLEDGE, json!({ "input": input })).await?;
        }
        Ok(())
    }

    async fn stands_still(&self) -> Result<bool, Error> {
        let id = self.bus.as_str().unwrap_or_default();
        let bus = bus::find(&self.client, id, "status").await;
        // By the name that was typed, not by an id that was never seen.
        let bus = bus.map_err(|error| match error {
            Error::NoBus(_) => Error::NoBus(self.called.clone()),
            other => other,
        })?;
        Ok(bus["status"] == "STOPPED")
    }

    /// Whether it is worth trying again. What the first try is refused is the answer to what was typed.
    fn goes_on_after(&mut self, error: &client::Error) -> bool {
        let client::Error::Refused { code: Some(code), details, .. } = error else {
            return self.connected && error.is_lost();
        };
        match code.as_str() {
            // With a count, it ended what was under way, and tells how many more were lost.
            "BUS_STOPPED" => self.tried || details["missed"].is_u64(),
            // It was away for too long: on with the oldest that is kept and the rest.
            "CURSOR_EXPIRED" if self.tried => {
                let oldest = details["oldest"].as_u64();
                self.replay = oldest.map_or(Value::Null, |oldest| Replay::Behind(oldest.saturating_sub(1)).input());
                true
            }
            _ => self.connected && error.is_lost(),
        }
    }

    /// What comes after the next connection.
    fn ahead(&self) -> String {
        match self.replay["sinceSequence"].as_u64() {
            Some(place) => format!("to go on after event {place}"),
            None if self.durable.is_some() => "to go on with what was not shown".to_owned(),
            None if self.replay.is_null() => "to go on with what is published from then on".to_owned(),
            None => "to ask for the same once more".to_owned(),
        }
    }

    async fn show(&mut self, event: &Value) -> Result<(), Error> {
        match self.format {
            TextFormat::Json => output::print(&format!("{event}\n"))?,
            TextFormat::Text => {
                let node = self.name_of(text(event, "/event/nodeId")).await;
                output::print(&lines(event, &node))?;
            }
        }
        self.shown += 1;
        if self.durable.is_none()
            && let Some(place) = event["sequence"].as_u64()
        {
            self.replay = Replay::Behind(place).input();
        }
        Ok(())
    }

    /// What a node is called; its id where it is not registered, or nobody can be asked.
    async fn name_of(&mut self, id: String) -> String {
        if let Some(name) = self.names.get(&id) {
            return name.clone();
        }
        let Ok(answer) = self.client.query::<Value>(NODE, json!({"by": {"id": id}})).await else { return id };
        let name = match text(&answer, "/node/name") {
            none if none == NOTHING => id.clone(),
            name => name,
        };
        // Events may be of nodes without number.
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(id, name.clone());
        name
    }
}

/// One event in one line, and before it one that says what was missed. The columns have fixed widths, since nobody
/// knows what comes next.
fn lines(event: &Value, node: &str) -> String {
    let missed = match event["missed"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => "-- 1 event missed\n".to_owned(),
        Some(missed) => format!("-- {missed} events missed\n"),
    };
    let (time, place) = (time(event, "/event/timestamp"), text(event, "/sequence"));
    let [topic, kind, correlation] = ["/topic", "/event/eventType", "/event/correlationId"].map(|at| text(event, at));
    let line = format!("{time:20}  {place:>6}  {topic:32}  {kind:24}  {node:20}  {correlation:20}  {}", detail(event));
    format!("{missed}{}\n", line.trim_end())
}

/// What does not fit its topic's schema, and the metadata in short.
fn detail(event: &Value) -> String {
    let misfit = text(event, "/misfit");
    let mut words = if misfit == NOTHING { Vec::new() } else { vec![format!("does not fit: {misfit}")] };
    for (key, value) in event["event"]["metadata"].as_object().into_iter().flatten() {
        words.push(output::clean(&format!("{key}={}", text(value, ""))));
    }
    let detail = words.join("  ");
    match detail.char_indices().nth(DETAIL_MAX) {
        Some((end, _)) => format!("{}…", &detail[..end]),
        None => detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(missed: u64, metadata: Value) -> Value {
        json!({
            "topic": "a.b", "sequence": 7, "missed": missed, "misfit": null,
            "event": {
                "nodeId": "0190c5a0-7a3e-7cc0-8f6e-1b2c3d4e5f60", "eventType": "NODE_START", "metadata": metadata,
                "timestamp": "2026-11-22T12:00:00.5Z", "correlationId": null,
            },
        })
    }

    #[test]
    fn an_event_is_one_line() {
        let line = lines(&event(0, json!({"order": 1, "by\u{1b}": "a\nb"})), "shop");
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = ["2026-11-22T12:00:00Z", "7", "a.b", "NODE_START", "shop", "-", "order=1", "by\u{fffd}=a", "b"];
        assert_eq!(words, expected);
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn what_was_missed_has_a_line_of_its_own_before_the_event() {
        let text = lines(&event(12, json!({})), "shop");
        assert_eq!(text.lines().next(), Some("-- 12 events missed"));
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn long_metadata_is_cut_between_characters() {
        let detail = detail(&event(0, json!({"text": "ä".repeat(1_000)})));
        assert!(detail.ends_with("ä…") && detail.chars().count() == DETAIL_MAX + 1, "{detail}");
    }

    #[test]
    fn what_of_the_past_is_shown_is_one_of_four() {
        assert_eq!(Replay::read("last:3").map(Replay::input), Ok(json!({"last": 3})));
        assert_eq!(Replay::read("behind:0").map(Replay::input), Ok(json!({"sinceSequence": 0})));
        assert_eq!(Replay::read("all").map(Replay::input), Ok(json!({"all": true})));
        let since = Replay::read("since:2026-11-22T13:00:00+01:00").map(Replay::input);
        assert_eq!(since, Ok(json!({"sinceTime": "2026-11-22T12:00:00Z"})));
        for wrong in ["", "all:1", "last", "last:-1", "since:noon", "behind:x", "first:3"] {
            assert!(Replay::read(wrong).is_err(), "{wrong}");
        }
    }
}
