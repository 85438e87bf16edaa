//! What would happen: a call that is not made.

use std::process::ExitCode;

use serde_json::Value;

use crate::cli::error::Error;
use crate::cli::output::{self, Format};
use crate::cli::sheet::Sheet;
use crate::cli::table::Table;
use crate::cli::value::{NOTHING, duration, list, text};
use crate::client::Client;

use super::outcome::{self, FIELDS};
use super::{Args, single};

/// What is asked of a plan.
const PLAN: &str = "plan {
    provider { id name } transport endpoint reason timeoutMs arguments
    candidates { node { id name } eligible reason inFlight }
}";

/// Asks what would happen.
pub(super) async fn ask(client: &Client, mut input: Value) -> Result<Value, Error> {
    input["dryRun"] = true.into();
    single::ask(client, input, &format!("{FIELDS} {PLAN}")).await
}

/// Shows what would happen, and ends as the call would where it would be rejected.
pub(super) async fn run(client: &Client, args: &Args, input: Value) -> Result<ExitCode, Error> {
    let planned = ask(client, input).await?;
    outcome::tell_warnings(&planned);
    match args.format {
        Format::Table if planned["plan"].is_null() => {}
        Format::Table => output::print(&sheet(&planned).into_text())?,
        Format::Json => output::print_json(&planned)?,
        Format::Yaml => output::print_yaml(&planned)?,
    }
    if args.verbose {
        outcome::tell_all(&planned);
    }
    if planned["error"].is_null() {
        return Ok(ExitCode::SUCCESS);
    }
    outcome::tell_error(&planned);
    Ok(ExitCode::from(outcome::exit_status(&planned)))
}

fn sheet(planned: &Value) -> Sheet {
    let mut sheet = Sheet::default();
    let tool = match text(planned, "/toolVersion") {
        version if version == NOTHING => text(planned, "/toolName"),
        version => format!("{} {version}", text(planned, "/toolName")),
    };
    sheet.values([
        ("Tool", tool),
        ("Provider", text(planned, "/plan/provider/name")),
        ("Because", text(planned, "/plan/reason")),
        ("Transport", text(planned, "/plan/transport")),
        ("Endpoint", text(planned, "/plan/endpoint")),
        ("Time limit", duration(planned, "/plan/timeoutMs")),
    ]);
    sheet.block("Arguments", &format!("{:#}", planned["plan"]["arguments"]));
    let mut candidates = Table::new(&["NODE", "ELIGIBLE", "IN FLIGHT", "BECAUSE"]);
    for candidate in list(planned, "/plan/candidates") {
        candidates.row(["/node/name", "/eligible", "/inFlight", "/reason"].map(|at| text(candidate, at)));
    }
    sheet.table("Candidates", &candidates);
    sheet
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_says_who_why_and_what() {
        let planned = json!({"toolName": "add", "toolVersion": "1.0.0", "plan": {
            "provider": {"name": "one"}, "reason": "the first of 2", "transport": "GRAPHQL", "timeoutMs": 30_000,
            "arguments": {"a": 1},
            "candidates": [{"node": {"name": "two"}, "eligible": false, "inFlight": 4, "reason": "it is full"}],
        }});
        let page = sheet(&planned).into_text();
        for part in [
            "Tool:        add 1.0.0\n",
            "Because:     the first of 2\n",
            "Time limit:  30.0 s\n",
            "Arguments:\n  {\n    \"a\": 1\n  }\n",
            "  two   no        4          it is full\n",
        ] {
            assert!(page.contains(part), "{part:?} is missing:\n{page}");
        }
    }
}
