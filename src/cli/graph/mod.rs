//! `onex graph`: who feeds whom, as a table or as text that drawing programs read.

mod drawing;

use std::collections::HashMap;
use std::process::ExitCode;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::client::Client;

use super::describe::node_by;
use super::error::Error;
use super::output;
use super::server::ServerArgs;
use super::table::Table;

const QUERY: &str = "query($root: NodeBy, $direction: GraphDirection!, $depth: Int, $observed: Boolean!) {
    dependencyGraph(root: $root, direction: $direction, depth: $depth, observed: $observed) {
        nodes { id name missing depth node { kind status } } edges { from to kind via origin } cycles
    }
}";

/// Which part of the graph to show, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what is connected with this node, by name or id.
    #[arg(long, value_name = "NAME|ID")]
    node: Option<String>,
    /// Which way to go from the node.
    #[arg(long, value_enum, default_value_t)]
    direction: Direction,
    /// How many steps to go at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(i32::MAX)))]
    depth: Option<u32>,
    /// Add who was seen to publish what whom read, on buses; the column ORIGIN tells that from what is declared.
    #[arg(long)]
    observed: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How a graph is shown.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// For people: one row an edge.
    #[default]
    Table,
    /// For programs: the registry's own object.
    Json,
    /// The same object as YAML.
    Yaml,
    /// For Graphviz.
    Dot,
    /// For Mermaid, which code hosts draw in Markdown.
    Mermaid,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Direction {
    /// What the node depends on.
    Upstream,
    /// What depends on the node.
    Downstream,
    /// Both ways.
    #[default]
    Both,
}

/// The registry's graph.
#[derive(Debug, Deserialize)]
struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    cycles: Vec<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    name: String,
    missing: bool,
}

#[derive(Debug, Deserialize)]
struct Edge {
    from: String,
    to: String,
    kind: String,
    via: String,
    origin: String,
}

/// Prints the graph.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let client = args.server.client()?;
    let variables = json!({
        "root": args.node.as_deref().map(node_by),
        "direction": args.direction.name(),
        "depth": args.depth,
        "observed": args.observed,
    });
    match args.format {
        Format::Json => output::print_json(&ask::<Value>(&client, variables).await?)?,
        Format::Yaml => output::print_yaml(&ask::<Value>(&client, variables).await?)?,
        Format::Dot => output::print(&drawing::dot(&ask(&client, variables).await?))?,
        Format::Mermaid => output::print(&drawing::mermaid(&ask(&client, variables).await?))?,
        Format::Table => ask::<Graph>(&client, variables).await?.print(args.observed)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks for the graph: as JSON where it is handed on, as [`Graph`] where it is drawn.
async fn ask<T: DeserializeOwned>(client: &Client, variables: Value) -> Result<T, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer<T> {
        dependency_graph: T,
    }
    Ok(client.query::<Answer<T>>(QUERY, variables).await?.dependency_graph)
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Upstream => "UPSTREAM",
            Self::Downstream => "DOWNSTREAM",
            Self::Both => "BOTH",
        }
    }
}

impl Graph {
    fn print(&self, observed: bool) -> Result<(), Error> {
        if self.nodes.is_empty() {
            output::note("the graph is empty: \"onex register PATH\" registers contracts");
            return Ok(());
        }
        if !self.edges.is_empty() {
            self.table(observed).print()?;
        }
        for line in self.summary() {
            output::note(&line);
        }
        Ok(())
    }

    fn table(&self, observed: bool) -> Table {
        let names = self.names();
        let name = |id: &str| names.get(id).copied().unwrap_or(id).to_owned();
        let titles = ["FROM", "TO", "KIND", "VIA", "ORIGIN"];
        let columns = if observed { 5 } else { 4 };
        let mut table = Table::new(&titles[..columns]);
        for edge in &self.edges {
            let [from, to] = [name(&edge.from), name(&edge.to)];
            let Edge { kind, via, origin, .. } = edge;
            if observed {
                table.row([from, to, kind.clone(), via.clone(), origin.clone()]);
            } else {
                table.row([from, to, kind.clone(), via.clone()]);
            }
        }
        table
    }

    /// What the table does not show: how much there is, who is missing, and what runs in a circle.
    fn summary(&self) -> Vec<String> {
        let mut lines = vec![format!("{}, {}", count(self.nodes.len(), "node"), count(self.edges.len(), "edge"))];
        let missing: Vec<&str> = self.nodes.iter().filter(|node| node.missing).map(|node| &*node.name).collect();
        if !missing.is_empty() {
            lines.push(format!("needed, but not registered: {}", missing.join(", ")));
        }
        let names = self.names();
        for cycle in &self.cycles {
            let members: Vec<&str> = cycle.iter().map(|id| *names.get(id.as_str()).unwrap_or(&id.as_str())).collect();
            lines.push(match members.as_slice() {
                [only] => format!("cycle: {only} feeds itself"),
                all => format!("cycle: {} feed each other", all.join(", ")),
            });
        }
        lines
    }

    fn names(&self) -> HashMap<&str, &str> {
        self.nodes.iter().map(|node| (&*node.id, &*node.name)).collect()
    }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A small graph with everything in it: a cycle, a node with itself, parallel edges, a missing node, odd names.
#[cfg(test)]
fn sample() -> Graph {
    let via = |number| format!("topic.{number}");
    let mut edges: Vec<Value> = (1..=7)
        .map(|number| json!({"from": "1", "to": "2", "kind": "TOPIC", "via": via(number), "origin": "DECLARED"}))
        .collect();
    edges.extend([
        json!({"from": "2", "to": "1", "kind": "TOPIC", "via": "back", "origin": "DECLARED"}),
        json!({"from": "2", "to": "2", "kind": "TOPIC", "via": "self", "origin": "DECLARED"}),
        json!({"from": "3", "to": "1", "kind": "DEPENDENCY", "via": "needs \"b\\c\"", "origin": "DECLARED"}),
        json!({"from": "3", "to": "1", "kind": "TOPIC", "via": "needs \"b\\c\"", "origin": "DECLARED"}),
    ]);
    let graph = json!({
        "nodes": [
            {"id": "1", "name": "a", "missing": false, "depth": 0, "node": {"kind": "COMPUTE", "status": "ONLINE"}},
            {"id": "2", "name": "b \"x\" \\ <y>#", "missing": false, "depth": 1, "node": null},
            {"id": "3", "name": "gone", "missing": true, "depth": 1, "node": null},
        ],
        "edges": edges,
        "cycles": [["1", "2"]],
    });
    serde_json::from_value(graph).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_is_missing_and_what_runs_in_a_circle() {
        assert_eq!(
            sample().summary(),
            ["3 nodes, 11 edges", "needed, but not registered: gone", "cycle: a, b \"x\" \\ <y># feed each other",]
        );
    }
}
