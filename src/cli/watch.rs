//! `onex watch`: the registry's events as they happen, none missing.
//!
//! The registry gives events from a place in its log on. This command always says that place: where it begins, and after
//! a lost connection the last event it showed, so that what happened meanwhile comes next.

use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::client::Client;

use super::describe::node_id;
use super::error::{self, Error};
use super::inspect::enum_name;
use super::output::{self, Format};
use super::server::ServerArgs;
use super::value::{NOTHING, text, time};

const SUBSCRIPTION: &str = "subscription($filter: EventFilter, $after: Sequence) {
    registryEvents(filter: $filter, after: $after) {
        __typename sequence id type time actor correlationId nodeId metadata
        ... on NodeRegistered { node { name } }
        ... on NodeUpdated { node { name } }
        ... on NodeRejoined { node { name } }
        ... on NodeExpired { node { name } }
        ... on NodeGraceGranted { node { name } }
        ... on NodeDeregistered { node { name } }
        ... on TrustChanged { node { name } }
        ... on ToolRegistered { node { name } tool { name version } }
        ... on ToolRemoved { node { name } tool { name version } }
        ... on ToolExpired { node { name } tool { name version } }
        ... on PortAllocated { lease { port host node { name } } }
        ... on PortRenewed { lease { port host node { name } } }
        ... on PortGraceGranted { lease { port host node { name } } }
        ... on PortReleased { lease { port host node { name } } }
        ... on PortExpired { lease { port host node { name } } }
        ... on PortRebound { lease { port host node { name } } replacement { port } }
        ... on ContractRegistered { contract { name version } }
        ... on ContractCollisionFound { node { name } collision { name version } }
    }
}";

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// Which events to show, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// First what happened after this place in the log; without it, only what happens from now on.
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    /// Only events of this type, such as NODE_REGISTERED; may be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events of this node.
    #[arg(long, value_name = "NAME|ID")]
    node: Option<String>,
    /// Only events of this tool.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Only events of this port lease.
    #[arg(long, value_name = "ID")]
    lease: Option<Uuid>,
    /// Only events of this bus, its topics and its durable subscribers; by id also of one that is deleted.
    #[arg(long, value_name = "NAME|ID")]
    bus: Option<String>,
    /// Only what this principal did.
    #[arg(long, value_name = "PRINCIPAL")]
    actor: Option<String>,
    /// Only what one request brought about.
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show each event: a line, a line of JSON, or a YAML document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Shows events until it is interrupted.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    tokio::select! {
        done = follow(args) => done,
        // Interrupting is how this command is meant to end.
        Ok(()) = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
    }
}

async fn follow(args: Args) -> Result<ExitCode, Error> {
    let client = args.server.client()?;
    let mut watch = Watch {
        // Asked for even where --after says where to begin: a registry that is not there is told before any waiting.
        after: args.after.unwrap_or(place(&client).await?),
        filter: filter(&client, &args).await?,
        format: args.format,
        client,
    };
    let mut connected = false;
    let mut backoff = BACKOFF_MIN;
    let mut told = String::new();
    loop {
        let (began, before) = (Instant::now(), watch.after);
        let why = match watch.until_lost(&mut connected).await {
            // A registry ends a watch when it shuts down, and will be back.
            Ok(()) => "the registry ended the watch".to_owned(),
            Err(Error::Client(error)) if connected && error.is_lost() => error::chain(&error),
            Err(error) => return Err(error),
        };
        if watch.after != before || began.elapsed() > BACKOFF_MAX {
            backoff = BACKOFF_MIN;
            told.clear();
        }
        // A registry may stay away for hours: each reason is told once, not with every try.
        if why != told {
            output::note(&format!("{why}; trying again until it answers, to go on after event {}", watch.after));
            told = why;
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

/// A watch that goes on from where it was.
struct Watch {
    client: Client,
    filter: Value,
    format: Format,
    /// The last place in the log that was shown; what comes after it is still to come.
    after: u64,
}

impl Watch {
    /// Shows events until the connection ends.
    async fn until_lost(&mut self, connected: &mut bool) -> Result<(), Error> {
        if *connected {
            self.look_back().await?;
        }
        let variables = json!({"filter": self.filter, "after": self.after});
        let mut events = self.client.subscribe::<Value>(SUBSCRIPTION, variables).await?;
        if std::mem::replace(connected, true) {
            output::note("connected again");
        }
        while let Some(event) = events.next().await {
            let event = event?["registryEvents"].take();
            self.show(&event)?;
            if let Some(sequence) = event["sequence"].as_u64() {
                self.after = self.after.max(sequence);
            }
        }
        Ok(())
    }

    /// A registry that was started anew with an empty log would leave this watch waiting for a place that is far off.
    /// Whether it was, or is a copy that lags, cannot be told from here, so the reader is.
    async fn look_back(&self) -> Result<(), Error> {
        let end = place(&self.client).await?;
        if end < self.after {
            output::note(&format!(
                "the registry's log now ends at {end}, before the last event seen ({}): if it was started anew, \
                 \"onex watch --after 0\" shows what it has",
                self.after
            ));
        }
        Ok(())
    }

    fn show(&self, event: &Value) -> Result<(), Error> {
        match self.format {
            Format::Table => output::print(&line(event)),
            Format::Json => output::print(&format!("{event}\n")),
            Format::Yaml => output::print(&format!("---\n{}", output::yaml(event)?)),
        }
    }
}

/// The registry's place in its log now.
async fn place(client: &Client) -> Result<u64, Error> {
    #[derive(serde::Deserialize)]
    struct Answer {
        registry: Registry,
    }
    #[derive(serde::Deserialize)]
    struct Registry {
        sequence: u64,
    }
    Ok(client.query::<Answer>("{ registry { sequence } }", json!({})).await?.registry.sequence)
}

async fn filter(client: &Client, args: &Args) -> Result<Value, Error> {
    let mut filter = Map::new();
    if !args.types.is_empty() {
        filter.insert("types".into(), args.types.iter().cloned().map(enum_name).collect());
    }
    if let Some(node) = &args.node {
        filter.insert("nodeId".into(), node_id(client, node).await?);
    }
    if let Some(tool) = &args.tool {
        filter.insert("tool".into(), tool.as_str().into());
    }
    if let Some(lease) = &args.lease {
        filter.insert("leaseId".into(), lease.to_string().into());
    }
    if let Some(bus) = &args.bus {
        filter.insert("busId".into(), bus_id(client, bus).await?);
    }
    if let Some(actor) = &args.actor {
        filter.insert("actor".into(), actor.as_str().into());
    }
    if let Some(id) = &args.correlation_id {
        filter.insert("correlationId".into(), id.as_str().into());
    }
    Ok(filter.into())
}

async fn bus_id(client: &Client, name_or_id: &str) -> Result<Value, Error> {
    match super::bus::find(client, name_or_id, "id").await {
        Ok(mut bus) => Ok(bus["id"].take()),
        // What is deleted is in the history all the same.
        Err(Error::NoBus(_)) if let Ok(id) = Uuid::try_parse(name_or_id) => Ok(id.to_string().into()),
        Err(error) => Err(error),
    }
}

/// One event in one line: when, its place, what, who, and the details in short. The columns have fixed widths, since
/// nobody knows what comes next.
fn line(event: &Value) -> String {
    let node = ["/node/name", "/lease/node/name", "/nodeId"]
        .map(|at| text(event, at))
        .into_iter()
        .find(|name| name != NOTHING);
    let node = node.unwrap_or_else(|| NOTHING.to_owned());
    let (time, sequence, kind) = (time(event, "/time"), text(event, "/sequence"), text(event, "/type"));
    let line = format!("{time:20}  {sequence:>6}  {kind:20}  {node:36}  {}", detail(event));
    format!("{}\n", line.trim_end())
}

/// What the columns before it do not say: the thing with its version, then the registry's own words.
fn detail(event: &Value) -> String {
    let thing = ["/tool", "/contract", "/collision"].into_iter().find_map(|thing| {
        let name = text(event, &format!("{thing}/name"));
        (name != NOTHING).then(|| (name, text(event, &format!("{thing}/version"))))
    });
    let mut words: Vec<String> = thing.iter().map(|(name, version)| format!("{name} {version}")).collect();
    if event["lease"].is_object() {
        words.push(format!("{}:{}", text(event, "/lease/host"), text(event, "/lease/port")));
    }
    if event["replacement"].is_object() {
        words.push(format!("now {}", text(event, "/replacement/port")));
    }
    let node = text(event, "/node/name");
    for (key, value) in event["metadata"].as_object().into_iter().flatten() {
        // A flag that is not set, and a hash, say little in a line.
        let value = if *value == Value::Bool(false) || key.to_lowercase().ends_with("hash") {
            NOTHING.to_owned()
        } else {
            text(value, "")
        };
        let said = value == NOTHING
            || value == node
            || ["/lease/host", "/lease/port"].iter().any(|at| value == text(event, at))
            || thing.as_ref().is_some_and(|(name, version)| value == *name || value == *version);
        if !said {
            words.push(format!("{key}={value}"));
        }
    }
    words.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let event = json!({
            "sequence": 12, "type": "TOOL_REGISTERED", "time": "2026-11-22T12:00:00.5Z", "nodeId": null,
            "tool": {"name": "echo", "version": "1.0.0"}, "metadata": {"tool": "echo", "by": "a\nb", "none": null},
        });
        assert_eq!(
            line(&event),
            "2026-11-22T12:00:00Z      12  TOOL_REGISTERED       -                                     echo 1.0.0  by=a b\n"
        );
    }

    #[test]
    fn a_node_is_shown_by_name_and_else_by_id() {
        let id = "0190c5a0-7a3e-7cc0-8f6e-1b2c3d4e5f60";
        let named = json!({"nodeId": id, "node": {"name": "a"}, "metadata": {"name": "a", "reason": "it said so"}});
        assert!(
            line(&named).contains("a") && !line(&named).contains(id) && line(&named).ends_with("reason=it said so\n")
        );
        assert!(line(&json!({"nodeId": id, "metadata": {}})).contains(id));
    }
}
