//! `onex bus`: creates, starts, stops, deletes and lists buses.

use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Client;

use super::error::Error;
use super::inspect::{self, Common, Listing};
use super::output::{self, Format};
use super::server::ServerArgs;
use super::table::Table;
use super::value::{NOTHING, given, text};

/// What is shown of a bus.
const FIELDS: &str = "id name kind status reason endpointUri purpose schemaMode trustedOnly contractSchemas createdAt startedAt \
    metrics { published delivered dropped invalid retried bytes subscriberCount messagesPerSecond p50LatencyMs \
    p99LatencyMs } \
    endpoints { publish subscribe request } policy { queueCapacity overflow historyEvents historySeconds maxDeliveries retryBackoffMs queuesWhileAway }";

/// What to do with buses.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create a bus, and start it
    Create(Box<Create>),
    /// Start a bus that stands still
    Start(Named),
    /// Stop a bus: nothing more is taken in, and those who listen are told
    Stop(Named),
    /// Forget a bus that stands still, with all that is kept of it
    Delete(Named),
    /// Forget one who listens by name, with all that waits for it
    DeleteSubscriber(DeleteSubscriber),
    /// List the buses; the same as "onex inspect buses"
    List(List),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Its name, unique in the registry.
    name: String,
    /// What carries its events.
    #[arg(long, value_enum)]
    kind: Kind,
    /// Where its broker is, such as nats://127.0.0.1:4222 or redis://127.0.0.1:6379/0; of jetstream, what the registry's
    /// setting event_bus.nats_url says without it; of zmq, the address to listen at,
    /// tcp://127.0.0.1 without it. A local bus has none, nor has ipc.
    #[arg(long, value_name = "URI")]
    endpoint: Option<String>,
    /// What it is for, in words.
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// What happens to events that do not fit their topic's schema, where the topic says nothing else; permissive
    /// without it.
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Deliver only events of nodes that are trusted.
    #[arg(long)]
    trusted_only: bool,
    /// Take the schema of a topic that was not defined with one from the contracts of those who publish on it.
    #[arg(long)]
    contract_schemas: bool,
    /// How many events wait for one subscriber at most; 1000 without it.
    #[arg(long, value_name = "N")]
    queue_capacity: Option<u32>,
    /// What happens to an event for which there is no room; drop-oldest without it.
    #[arg(long, value_enum)]
    overflow: Option<Overflow>,
    /// How many events of a topic are kept for those who come later; 1000 without it.
    #[arg(long, value_name = "N")]
    history_events: Option<u32>,
    /// How long they are kept at most; 600 seconds without it.
    #[arg(long, value_name = "N")]
    history_seconds: Option<u32>,
    /// How often an event is given to a durable subscriber that does not acknowledge it; 5 times without it.
    #[arg(long, value_name = "N")]
    max_deliveries: Option<u32>,
    /// How many milliseconds pass before the second time; 1000 without it.
    #[arg(long, value_name = "N")]
    retry_backoff_ms: Option<u32>,
    /// Have what is published while the broker is away wait for it, instead of refusing it.
    #[arg(long)]
    queue_while_away: bool,
    /// What there is to say besides, as a JSON object; of JETSTREAM, credentials and tlsCa name files.
    #[arg(long, value_name = "JSON", value_parser = object)]
    metadata: Option<Value>,
    /// Do not start it yet.
    #[arg(long)]
    stopped: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show the bus.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One bus that there is.
#[derive(Debug, clap::Args)]
struct Named {
    /// The bus, by name or id.
    #[arg(value_name = "NAME|ID")]
    bus: String,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show the bus.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct DeleteSubscriber {
    /// The bus, by name or id.
    #[arg(value_name = "BUS")]
    bus: String,
    /// The name that it listens by.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    common: Common,
}

/// Which buses to list.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Only this kind.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Only this status.
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only those with this in their name or purpose.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

/// What carries a bus's events.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    /// The registry itself.
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
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    /// It is on its way to running.
    Starting,
    /// Events travel.
    Running,
    /// What carries it is away; it is tried again.
    Degraded,
    /// It stands still.
    Stopped,
}

/// What happens to events that do not fit.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Mode {
    /// They are refused.
    Strict,
    /// They are delivered, marked.
    Permissive,
}

/// What happens when a subscriber's queue is full.
#[derive(Clone, Copy, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Overflow {
    /// The oldest event in it makes room.
    DropOldest,
    /// The new event is not taken.
    DropNewest,
    /// Publishers wait.
    Block,
    /// The subscriber is sent away.
    Disconnect,
}

/// Works with buses.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    match args.command {
        Command::Create(args) => create(*args).await,
        Command::Start(args) => turn(args, "startBus").await,
        Command::Stop(args) => turn(args, "stopBus").await,
        Command::Delete(args) => delete(args).await,
        Command::DeleteSubscriber(args) => delete_subscriber(args).await,
        Command::List(args) => inspect::show(args.common, args.which.listing()).await,
    }
}

async fn create(args: Create) -> Result<ExitCode, Error> {
    let input = given(json!({
        "name": args.name,
        "kind": args.kind,
        "endpointUri": args.endpoint,
        "purpose": args.purpose,
        "schemaMode": args.mode,
        "trustedOnly": args.trusted_only.then_some(true),
        "contractSchemas": args.contract_schemas.then_some(true),
        "queueCapacity": args.queue_capacity,
        "overflow": args.overflow,
        "historyEvents": args.history_events,
        "historySeconds": args.history_seconds,
        "maxDeliveries": args.max_deliveries,
        "retryBackoffMs": args.retry_backoff_ms,
        "queuesWhileAway": args.queue_while_away.then_some(true),
        "metadata": args.metadata,
        "start": args.stopped.then_some(false),
    }));
    let document = format!("mutation($input: CreateBusInput!) {{ createBus(input: $input) {{ {FIELDS} }} }}");
    let mut answer: Value = args.server.client()?.query(&document, json!({ "input": input })).await?;
    show(&answer["createBus"].take(), args.format)
}

async fn turn(args: Named, field: &str) -> Result<ExitCode, Error> {
    show(&ask(&args, field).await?, args.format)
}

async fn delete(args: Named) -> Result<ExitCode, Error> {
    let bus = ask(&args, "deleteBus").await?;
    if args.format == Format::Table {
        output::note(&format!("bus {} is deleted, with all that was kept of it", text(&bus, "/name")));
        return Ok(ExitCode::SUCCESS);
    }
    show(&bus, args.format)
}

async fn delete_subscriber(args: DeleteSubscriber) -> Result<ExitCode, Error> {
    let document = "mutation($input: SubscriberRefInput!) { deleteSubscriber(input: $input) { name } }";
    let input = json!({"bus": args.bus, "name": args.name});
    let _: Value = args.server.client()?.query(document, json!({ "input": input })).await?;
    output::note(&format!("{} is no longer a subscriber of {}", args.name, args.bus));
    Ok(ExitCode::SUCCESS)
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err("is no JSON object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Asks for a mutation that takes nothing but a bus.
async fn ask(args: &Named, field: &str) -> Result<Value, Error> {
    let client = args.server.client()?;
    let bus = find(&client, &args.bus, "id").await?;
    let document = format!("mutation($input: BusRefInput!) {{ {field}(input: $input) {{ {FIELDS} }} }}");
    let mut answer: Value = client.query(&document, json!({"input": {"busId": bus["id"]}})).await?;
    Ok(answer[field].take())
}

/// What is selected of the bus of this name, or of this id where none is called so.
pub(super) async fn find(client: &Client, name_or_id: &str, selection: &str) -> Result<Value, Error> {
    let document = format!("query($by: BusBy!) {{ bus(by: $by) {{ {selection} }} }}");
    let by_id = Uuid::try_parse(name_or_id).ok().map(|id| json!({ "id": id }));
    for by in std::iter::once(json!({ "name": name_or_id })).chain(by_id) {
        let mut answer: Value = client.query(&document, json!({ "by": by })).await?;
        if answer["bus"].is_object() {
            return Ok(answer["bus"].take());
        }
    }
    Err(Error::NoBus(name_or_id.to_owned()))
}

fn show(bus: &Value, format: Format) -> Result<ExitCode, Error> {
    match format {
        Format::Json => output::print_json(bus)?,
        Format::Yaml => output::print_yaml(bus)?,
        Format::Table => table(std::slice::from_ref(bus)).print()?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Which {
    /// The list of those buses.
    pub(super) fn listing(self) -> Listing {
        Listing {
            field: "buses",
            filter_type: "BusFilter",
            selection: FIELDS,
            filter: given(json!({"kind": self.kind, "status": self.status, "search": self.search})),
            keep: None,
            table,
            none: "there is no bus: \"onex bus create NAME --kind local\" creates one",
        }
    }
}

fn table(buses: &[Value]) -> Table {
    let mut table = Table::new(&["NAME", "KIND", "STATUS", "SUBSCRIBERS", "PUBLISHED", "RATE", "DROPPED", "WHY"]);
    for bus in buses {
        let [name, kind, status, why] = ["/name", "/kind", "/status", "/reason"].map(|at| text(bus, at));
        let [subscribers, published, dropped] =
            ["/metrics/subscriberCount", "/metrics/published", "/metrics/dropped"].map(|at| text(bus, at));
        table.row([name, kind, status, subscribers, published, rate(bus), dropped, why]);
    }
    table
}

/// How much is published now.
pub(super) fn rate(bus: &Value) -> String {
    let rate = bus.pointer("/metrics/messagesPerSecond").and_then(Value::as_f64);
    rate.map_or_else(|| NOTHING.to_owned(), |rate| format!("{rate:.1}/s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_is_one_row() {
        let bus = json!({
            "name": "main", "kind": "LOCAL", "status": "STOPPED", "reason": "its file is gone",
            "metrics": {"subscriberCount": 2, "published": 31, "messagesPerSecond": 1.25, "dropped": 0},
        });
        let text = table(&[bus]).render(None, false);
        let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["main", "LOCAL", "STOPPED", "2", "31", "1.2/s", "0", "its", "file", "is", "gone"]);
    }

    #[test]
    fn options_are_the_words_of_the_api() {
        let words = json!([Kind::Jetstream, Status::Degraded, Mode::Strict, Overflow::DropOldest]);
        assert_eq!(words, json!(["JETSTREAM", "DEGRADED", "STRICT", "DROP_OLDEST"]));
    }
}
