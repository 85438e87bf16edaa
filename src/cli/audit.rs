//! `onex audit`: who did what, and whether the history is what was written.

use super::output::{self, Format};
use super::server::{self, ServerArgs};
use super::table::Table;
use super::value::{given, list, text, time};
use crate::app::audit;
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use uuid::Uuid;

const QUERY: &str = "query($filter: AuditFilter, $first: Int, $after: String, $last: Int, $before: String) {
    audit(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
        nodes { sequence time actor address correlationId type outcome count nodeId details }
        pageInfo { startCursor hasPreviousPage }
    }
}";

/// The size of a page that is asked for.
const PAGE: usize = 500;

/// What to look at.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List changes with who made them, and attempts that were refused, the oldest first
    List(Box<List>),
    /// Walk the log's chain of hashes, replay it, and say where it breaks
    Verify {
        /// Where the registry keeps its log; it may be running meanwhile
        #[arg(long, value_name = "DIRECTORY", env = "ONEX_DATA_DIR", default_value = "onex-data")]
        data_dir: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only what this principal did or tried.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only entries of this kind, such as node-registered or access-denied. May be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only what was allowed, or only what was refused.
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
    /// Only what is about this node, by id.
    #[arg(long, value_name = "ID")]
    node: Option<Uuid>,
    /// Only what this correlation id brought about.
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Only from this instant on, such as 2026-11-22T12:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
    /// Only before this instant.
    #[arg(long, value_name = "INSTANT")]
    until: Option<String>,
    /// How many entries at most: the latest.
    #[arg(long, value_name = "N", default_value = "100")]
    limit: usize,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show the entries.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Outcome {
    Allowed,
    Refused,
}

/// Lists or checks the history; exit status 1 where it is not what was written.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    match args.command {
        Command::List(args) => Ok(server::block_on(show(*args))?),
        Command::Verify { data_dir } => verify(&data_dir),
    }
}

async fn show(args: List) -> Result<ExitCode, super::error::Error> {
    let types = args.types.iter().map(|name| name.replace('-', "_").to_uppercase()).collect::<Vec<_>>();
    let outcome = args.outcome.map(|outcome| match outcome {
        Outcome::Allowed => "ALLOWED",
        Outcome::Refused => "REFUSED",
    });
    let filter = given(json!({
        "actor": args.actor, "types": (!types.is_empty()).then_some(types), "outcome": outcome, "nodeId": args.node,
        "correlationId": args.correlation_id, "since": args.since, "until": args.until,
    }));
    let client = args.server.client()?;
    let mut found: Vec<Value> = Vec::new();
    let mut before = Value::Null;
    // From the end: what happened last is what is looked for.
    while found.len() < args.limit {
        let size = PAGE.min(args.limit - found.len());
        let variables = given(json!({"filter": filter, "last": size, "before": before}));
        let mut answer: Value = client.query(QUERY, variables).await?;
        let mut page = list(&answer, "/audit/nodes").to_vec();
        page.append(&mut found);
        found = page;
        if answer["audit"]["pageInfo"]["hasPreviousPage"] != true {
            break;
        }
        before = answer["audit"]["pageInfo"]["startCursor"].take();
    }
    match args.format {
        Format::Json => output::print_json(&found)?,
        Format::Yaml => output::print_yaml(&found)?,
        Format::Table if found.is_empty() => output::note("nothing matches"),
        Format::Table => table(&found).print()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(entries: &[Value]) -> Table {
    let mut table = Table::new(&["PLACE", "TIME", "ACTOR", "ADDRESS", "OUTCOME", "COUNT", "TYPE", "NODE", "WHAT"]);
    for entry in entries {
        let [place, actor, address, outcome, count, kind, node] =
            ["/sequence", "/actor", "/address", "/outcome", "/count", "/type", "/nodeId"].map(|at| text(entry, at));
        let what = match entry["outcome"] == "REFUSED" {
            true => format!("{} {}", text(entry, "/details/action"), text(entry, "/details/resource")),
            false => text(entry, "/details/name"),
        };
        table.row([place, time(entry, "/time"), actor, address, outcome, count, kind, node, what]);
    }
    table
}

fn verify(data_dir: &std::path::Path) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let found = audit(data_dir)?;
    match found.broken {
        Some(broken) => {
            output::print(&format!(
                "BROKEN at change {}: {}\nchanges before it are as they were written: {} in {} batches\n",
                broken.place, broken.reason, found.changes, found.batches
            ))?;
            Ok(ExitCode::FAILURE)
        }
        None => {
            let pruned = match found.from.0 {
                0 => String::new(),
                upto => format!("; changes up to {upto} are no longer kept"),
            };
            output::print(&format!(
                "intact: changes {} to {} in {} batches{pruned}\n",
                found.from.next(),
                found.upto,
                found.batches
            ))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
