//! `onex node run`: any command becomes a node.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::child::group::Groups;
use crate::cli::child::signals::Signals;
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::register::read_contract;
use crate::cli::server::ServerArgs;
use crate::client::Client;
use crate::client::node::{Node, Running, Tool};

use super::command;
use super::stay::{Stayed, leave, stay};

/// What is told below the options.
const MORE: &str = "\
For each call the command is started. It reads the arguments as JSON from its stdin and writes the result as JSON to its \
stdout; what it writes to stderr passes through. Where it ends with another status than 0, the call fails with the code \
EXIT_<status> and the end of stderr as message.
  onex node run --contract greet.contract.yaml -- ./greet
  onex node run --name lines --tool count -- jq '{lines: .text | split(\"\\n\") | length}'

Its environment says more: ONEX_TOOL, ONEX_TOOL_VERSION, ONEX_INVOCATION_ID, ONEX_CORRELATION_ID, ONEX_CALLER, and \
ONEX_DEADLINE. When nobody waits for a call any more, the command and all that it has started are sent SIGTERM, and \
killed two seconds later.

SIGTERM or Ctrl-C lets calls that are under way end, for 30 seconds at most; a second one ends them. The node keeps its \
id and is known as OFFLINE then.";

/// What to run, and as which node.
#[derive(Debug, clap::Args)]
#[command(after_help = MORE)]
pub struct Args {
    /// The contract that describes the node and its tools.
    #[arg(long, value_name = "FILE", required_unless_present_all = ["name", "tools"])]
    contract: Option<PathBuf>,
    /// The node's name, instead of the contract's.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A tool that the command offers beside those of the contract, without schemas; may be given several times.
    #[arg(long = "tool", value_name = "NAME")]
    tools: Vec<String>,
    /// How many calls may be under way at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_in_flight: u32,
    /// Seconds until the node counts as gone once it sends no heartbeats, which it does three times as often.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    ttl: u32,
    #[command(flatten)]
    server: ServerArgs,
    /// The command and its arguments.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command for each call, until it is told to end.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let mut signals = Signals::take().map_err(Error::Start)?;
    let client = args.server.client()?;
    let groups = Groups::default();
    let running = node(&args, &groups)?.connect(&client).await?;
    let tools = offered(&client, &running).await?;
    if tools.is_empty() {
        leave(running.drain(), &mut signals).await;
        return Err(Error::NoTools);
    }
    output::note(&format!("{} offers {}", running.name(), tools.join(", ")));
    let status = match stay(&running, &mut signals).await {
        Stayed::Told => Ok(leave(running.drain(), &mut signals).await),
        Stayed::Refused(error) => Err(error),
    };
    groups.kill();
    status
}

fn node(args: &Args, groups: &Groups) -> Result<Node, Error> {
    let contract = args.contract.as_ref().map(|path| {
        let cannot = |why| Error::Other(format!("{}: {why}", path.display()).into());
        read_contract(path).map_err(cannot)
    });
    let mut node = match (contract.transpose()?, &args.name) {
        (Some(contract), Some(name)) => Node::new(name).contract(contract),
        (Some(contract), None) => Node::of_contract(contract),
        // Typing neither is refused before this.
        (None, name) => Node::new(name.as_deref().unwrap_or_default()),
    };
    let typed: Arc<[OsString]> = args.command.clone().into();
    let groups = groups.clone();
    let answer = move |call| command::answer(typed.clone(), groups.clone(), call);
    for tool in &args.tools {
        node = node.tool(Tool::new(tool, answer.clone()));
    }
    Ok(node.other_handler(answer).max_in_flight(args.max_in_flight).ttl_seconds(args.ttl))
}

/// The tools that the node offers, as the registry has them.
async fn offered(client: &Client, running: &Running) -> Result<Vec<String>, Error> {
    let document = "query($id: UUID!) { node(by: {id: $id}) { tools(first: 200) { nodes { name version } } } }";
    let answer: Value = client.query(document, json!({"id": running.id()})).await?;
    let tools = answer["node"]["tools"]["nodes"].as_array().into_iter().flatten();
    let text = |tool: &Value, field| tool[field].as_str().unwrap_or_default().to_owned();
    Ok(tools.map(|tool| format!("{} {}", text(tool, "name"), text(tool, "version"))).collect())
}
