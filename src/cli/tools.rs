//! `onex tools`, which is also `onex inspect tools`: the tools that nodes offer, and how calls of them go.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::client::Client;

use super::describe::node_id_if_given;
use super::error::Error;
use super::inspect::{self, Common, Listing};
use super::table::Table;
use super::value::{duration, given, list, text};

/// Which tools to find.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only those with all of these words, or words that begin so, in name, tags or description; best match first.
    #[arg(value_name = "SEARCH WORDS")]
    words: Vec<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    common: Common,
}

/// The filters besides words.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Only those with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Only those that this node offers.
    #[arg(long, value_name = "NAME|ID")]
    node: Option<String>,
    /// Only those that a trusted or verified node offers.
    #[arg(long)]
    trusted_only: bool,
    /// Only those that can be called now.
    #[arg(long)]
    callable: bool,
}

/// Prints the list.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let words = (!args.words.is_empty()).then(|| args.words.join(" "));
    let listing = args.which.listing(&args.common.server.client()?, words).await?;
    inspect::show(args.common, listing).await
}

impl Which {
    /// The list of those tools that also match the words.
    pub(super) async fn listing(self, client: &Client, words: Option<String>) -> Result<Listing, Error> {
        let node = node_id_if_given(client, self.node.as_deref()).await?;
        let filter = given(json!({
            "search": words,
            "tag": self.tag,
            "nodeId": node,
            "trustedOnly": self.trusted_only.then_some(true),
        }));
        Ok(Listing {
            field: "tools",
            filter_type: "ToolFilter",
            selection: "id name version description tags timeoutMs idempotent quarantine \
                metrics { calls failures timeouts p50DurationMs p99DurationMs } \
                providers { node { id name status } transport healthy connected quarantine }",
            filter,
            keep: if self.callable { Some(is_callable) } else { None },
            table,
            none: "no tools are registered: nodes bring their tools with them, and \"onex register PATH\" registers \
                nodes",
        })
    }
}

/// Whether calls are sent to somebody who offers it.
fn is_callable(tool: &Value) -> bool {
    list(tool, "/providers").iter().any(|provider| provider["healthy"] == true)
}

fn table(tools: &[Value]) -> Table {
    let header = ["NAME", "VERSION", "PROVIDERS", "CALLS", "FAILURES", "P50", "DESCRIPTION", "QUARANTINED BECAUSE"];
    let mut table = Table::new(&header);
    for tool in tools {
        let providers = list(tool, "/providers");
        let online = providers.iter().filter(|provider| provider["node"]["status"] == "ONLINE").count();
        let [name, version, calls, failures, about, quarantine] =
            ["/name", "/version", "/metrics/calls", "/metrics/failures", "/description", "/quarantine"]
                .map(|at| text(tool, at));
        let online = format!("{online}/{}", providers.len());
        table.row([
            name,
            version,
            online,
            calls,
            failures,
            duration(tool, "/metrics/p50DurationMs"),
            about,
            quarantine,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_who_is_there_how_it_goes_and_what_is_wrong() {
        let tools = [
            json!({
                "name": "add", "version": "1.0.0", "description": "Adds.", "quarantine": null,
                "metrics": {"calls": 12, "failures": 1, "p50DurationMs": 3.137},
                "providers": [{"node": {"status": "ONLINE"}}, {"node": {"status": "OFFLINE"}}],
            }),
            json!({
                "name": "old", "version": "0.1.0", "description": null, "quarantine": "its schema is none",
                "metrics": {"calls": 0, "failures": 0, "p50DurationMs": null}, "providers": [],
            }),
        ];
        assert!(!is_callable(&tools[0]) && !is_callable(&tools[1]), "nobody is healthy");
        assert!(is_callable(&json!({"providers": [{"healthy": false}, {"healthy": true}]})));
        let text = table(&tools).render(None, false);
        let cells: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
            .collect();
        assert_eq!(cells[1], ["add", "1.0.0", "1/2", "12", "1", "3.14 ms", "Adds.", "-"]);
        assert_eq!(cells[2], ["old", "0.1.0", "0/0", "0", "0", "-", "-", "its schema is none"]);
    }
}
