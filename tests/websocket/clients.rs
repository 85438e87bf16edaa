//! Clients that are not ours, as their makers wrote them: each registers, asks, is refused and watches.

use crate::support::server::Server;
use crate::support::{node_modules, python};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// Runs a client's program against a server of its own, and looks at what it found.
fn check(command: impl FnOnce(&str) -> Command) {
    let server = Server::start();
    let url = format!("{}/graphql", server.url().replace("http", "ws"));
    let output = command(&url).output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {said}\n{wrong}", output.status);
    let found: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = json!([
        ["mutation", {"register": {"created": true}}],
        ["query", {"registry": {"sequence": 1}}],
        ["refused", "INVALID_ARGUMENT"],
        ["events", [1, 2]],
    ]);
    assert_eq!(Value::from(found), expected, "{wrong}");
}

fn node(program: &str) {
    let Some(modules) = node_modules() else { return };
    let program = modules.with_file_name(program);
    check(|url| {
        let mut command = Command::new("node");
        command.arg(program).arg(url);
        command
    });
}

fn gql(subprotocol: &str) {
    let Some(python) = python("gql") else { return };
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/websocket.py");
    check(|url| {
        let mut command = Command::new(python);
        command.arg(program).args([url, subprotocol]);
        command
    });
}

#[test]
fn graphql_ws_in_node() {
    node("websocket-graphql-ws.mjs");
}

#[test]
fn urql_in_node() {
    node("websocket-urql.mjs");
}

#[test]
fn subscriptions_transport_ws_in_node() {
    node("websocket-subscriptions-transport-ws.mjs");
}

#[test]
fn gql_in_python_by_the_newer_protocol() {
    gql("graphql-transport-ws");
}

#[test]
fn gql_in_python_by_the_older_protocol() {
    gql("graphql-ws");
}
