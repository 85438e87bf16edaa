//! `onex describe --node`.

use serde_json::{Value, json};

use crate::cli::error::Error;
use crate::cli::sheet::Sheet;
use crate::cli::table::Table;
use crate::cli::value::{NOTHING, duration, list, text, texts, time};
use crate::client::Client;

use super::{ask, node_by};

const QUERY: &str = "query($by: NodeBy!) { node(by: $by) {
    id name kind version versionHash description tags namespace host status executionMode metadata
    registeredAt lastSeenAt expiresAt graceUntil ttlSeconds ownedByAgent subscribedByAgents
    trust { state score validated validatorIds failureModes lifecycle }
    execution { count successCount failureCount successRate lastAt lastDurationMs p50DurationMs p99DurationMs lastInputs
        lastOutputs traceLogId executionLogUrl }
    contract { hash name version publishes subscribes deadLetters dependencies { name kind target description required } }
    tools(first: 200) { nodes { id name version description } totalCount }
    ports { port host protocol purpose expiresAt }
    inboundPorts { name protocol port topic endpointUri busName subscriberCount messagesPerSecond }
    outboundPorts { name protocol port topic endpointUri busName subscriberCount messagesPerSecond }
    upstream { id name status }
    downstream { id name status }
} }";

pub(super) async fn find(client: &Client, name_or_id: &str) -> Result<Value, Error> {
    ask(client, QUERY, json!({"by": node_by(name_or_id)}), "node").await
}

pub(super) fn sheet(node: &Value) -> Sheet {
    let mut sheet = Sheet::default();
    sheet.values([
        ("Name", text(node, "/name")),
        ("Id", text(node, "/id")),
        ("Kind", text(node, "/kind")),
        ("Version", text(node, "/version")),
        ("Contract", text(node, "/versionHash")),
        ("Description", text(node, "/description")),
        ("Tags", text(node, "/tags")),
        ("Namespace", text(node, "/namespace")),
        ("Host", text(node, "/host")),
        ("Status", text(node, "/status")),
        ("Execution", text(node, "/executionMode")),
        ("Registered", time(node, "/registeredAt")),
        ("Last seen", time(node, "/lastSeenAt")),
        ("Expires", time(node, "/expiresAt")),
        ("Grace until", time(node, "/graceUntil")),
        ("TTL seconds", text(node, "/ttlSeconds")),
        ("Owned by", text(node, "/ownedByAgent")),
        ("Subscribed by", text(node, "/subscribedByAgents")),
        ("Metadata", text(node, "/metadata")),
    ]);
    sheet.block("Trust", &trust(node));
    sheet.table("Tools", &tools(node));
    if node["execution"]["count"].as_u64().is_some_and(|count| count > 0) {
        sheet.block("Calls", &calls(node));
    }
    let shown = list(node, "/tools/nodes").len() as u64;
    if let Some(more) = node["tools"]["totalCount"].as_u64().and_then(|all| all.checked_sub(shown)).filter(|n| *n > 0) {
        sheet.block("More tools", &format!("{more}: \"onex inspect tools\" lists all"));
    }
    sheet.list("Topics published", &topics(node, "/contract/publishes", "/outboundPorts"));
    sheet.list("Topics subscribed", &topics(node, "/contract/subscribes", "/inboundPorts"));
    sheet.list("Dead letters to", &texts(node, "/contract/deadLetters"));
    sheet.table("Leased ports", &leases(list(node, "/ports")));
    sheet.table("Inbound ports", &ports(list(node, "/inboundPorts")));
    sheet.table("Outbound ports", &ports(list(node, "/outboundPorts")));
    sheet.table("Dependencies", &dependencies(list(node, "/contract/dependencies")));
    sheet.table("Upstream nodes", &neighbours(list(node, "/upstream")));
    sheet.table("Downstream nodes", &neighbours(list(node, "/downstream")));
    sheet
}

fn calls(node: &Value) -> String {
    let mut sheet = Sheet::default();
    sheet.values([
        ("Ended", text(node, "/execution/count")),
        ("Succeeded", text(node, "/execution/successCount")),
        ("Half within", duration(node, "/execution/p50DurationMs")),
        ("99 of 100 within", duration(node, "/execution/p99DurationMs")),
        ("Last", time(node, "/execution/lastAt")),
        ("Last took", duration(node, "/execution/lastDurationMs")),
        ("Last arguments", text(node, "/execution/lastInputs")),
        ("Last result", text(node, "/execution/lastOutputs")),
        ("Trace", text(node, "/execution/traceLogId")),
        ("Log", text(node, "/execution/executionLogUrl")),
    ]);
    sheet.into_text()
}

fn trust(node: &Value) -> String {
    let mut sheet = Sheet::default();
    sheet.values([
        ("State", text(node, "/trust/state")),
        ("Score", text(node, "/trust/score")),
        ("Validated", text(node, "/trust/validated")),
        ("Validators", text(node, "/trust/validatorIds")),
        ("Failure modes", text(node, "/trust/failureModes")),
        ("Lifecycle", text(node, "/trust/lifecycle")),
    ]);
    sheet.into_text()
}

fn tools(node: &Value) -> Table {
    let mut table = Table::new(&["NAME", "VERSION", "DESCRIPTION"]);
    for tool in list(node, "/tools/nodes") {
        table.row(["/name", "/version", "/description"].map(|at| text(tool, at)));
    }
    table
}

/// Topics that the contract promises, and those of the node's own ports beside it.
fn topics(node: &Value, promised: &str, ports: &str) -> Vec<String> {
    let mut topics = texts(node, promised);
    topics.extend(list(node, ports).iter().filter(|port| port["topic"].is_string()).map(|port| text(port, "/topic")));
    topics.sort();
    topics.dedup();
    topics
}

fn leases(leases: &[Value]) -> Table {
    let mut table = Table::new(&["PORT", "HOST", "PROTOCOL", "PURPOSE", "EXPIRES"]);
    for lease in leases {
        let [port, host, protocol, purpose] = ["/port", "/host", "/protocol", "/purpose"].map(|at| text(lease, at));
        table.row([port, host, protocol, purpose, time(lease, "/expiresAt")]);
    }
    table
}

fn ports(ports: &[Value]) -> Table {
    let columns = ["/name", "/protocol", "/port", "/topic", "/endpointUri"];
    // Few nodes have places on buses.
    if ports.iter().all(|port| port["busName"].is_null()) {
        let mut table = Table::new(&["NAME", "PROTOCOL", "PORT", "TOPIC", "ENDPOINT"]);
        ports.iter().for_each(|port| table.row(columns.map(|at| text(port, at))));
        return table;
    }
    let heads = ["NAME", "PROTOCOL", "PORT", "TOPIC", "ENDPOINT", "BUS", "SUBSCRIBERS", "EVENTS/S"];
    let mut table = Table::new(&heads);
    for port in ports {
        let [name, protocol, number, topic, endpoint] = columns.map(|at| text(port, at));
        // A bus that is not there, or may not be seen, has no rate.
        let is_there = port["messagesPerSecond"].is_number();
        let subscribers = if is_there { text(port, "/subscriberCount") } else { NOTHING.to_owned() };
        let rate = text(port, "/messagesPerSecond");
        table.row([name, protocol, number, topic, endpoint, text(port, "/busName"), subscribers, rate]);
    }
    table
}

/// What a contract says it needs. Also the contract's own sheet shows this.
pub(super) fn dependencies(dependencies: &[Value]) -> Table {
    let mut table = Table::new(&["NAME", "KIND", "TARGET", "REQUIRED", "DESCRIPTION"]);
    for dependency in dependencies {
        table.row(["/name", "/kind", "/target", "/required", "/description"].map(|at| text(dependency, at)));
    }
    table
}

/// Nodes in short. Also the contract's own sheet shows this.
pub(super) fn neighbours(nodes: &[Value]) -> Table {
    let mut table = Table::new(&["NAME", "STATUS", "ID"]);
    for node in nodes {
        table.row(["/name", "/status", "/id"].map(|at| text(node, at)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_contract_and_ports_are_one_list() {
        let node = json!({
            "contract": {"publishes": ["b", "a"]},
            "outboundPorts": [{"topic": "c"}, {"topic": null}, {"topic": "a"}],
        });
        assert_eq!(topics(&node, "/contract/publishes", "/outboundPorts"), ["a", "b", "c"]);
        assert!(topics(&json!({"contract": null}), "/contract/publishes", "/outboundPorts").is_empty());
    }
}
