//! GraphQL over websocket: both protocols rule by rule, what waits and what is shared, and clients of others.

mod clients;
mod legacy;
mod modern;
mod queue;
mod rules;
mod shared;

use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::{Value, json};

const MODERN: &str = "graphql-transport-ws";
const LEGACY: &str = "graphql-ws";
const WATCH: &str = "subscription { registryEvents(after: 0) { sequence } }";
const LARGE: &str = "subscription { registryEvents { sequence ... on NodeRegistered { node { metadata } } } }";

/// A server with these settings of its transports.
fn server_with(settings: &str) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("onex.toml");
    std::fs::write(&file, format!("[http]\n{settings}\n")).unwrap();
    let data = directory.path().join("data");
    Server::start_in(&data, &["--config", file.to_str().unwrap()]).keeping(directory)
}

/// Makes so many changes, with so many bytes each in the node's metadata.
async fn change(server: &Server, name: &str, count: usize, bytes: usize) {
    const AT_ONCE: usize = 20;
    let fields = |n| format!("n{n}: register(input: $n{n}) {{ created }}");
    for from in (0..count).step_by(AT_ONCE) {
        let upto = (from + AT_ONCE).min(count);
        let head: Vec<String> = (from..upto).map(|n| format!("$n{n}: RegisterInput!")).collect();
        let body: Vec<String> = (from..upto).map(fields).collect();
        let input = |n| json!({"name": format!("{name}_{n}"), "metadata": {"x": "x".repeat(bytes)}});
        let variables: serde_json::Map<String, Value> = (from..upto).map(|n| (format!("n{n}"), input(n))).collect();
        let document = format!("mutation({}) {{ {} }}", head.join(", "), body.join(" "));
        server.query(&document, Value::Object(variables)).await;
    }
}

/// The place of the change that a frame tells of.
fn place(message: &Value) -> u64 {
    let place = message["payload"]["data"]["registryEvents"]["sequence"].as_u64();
    place.unwrap_or_else(|| panic!("no event: {:.300}", message.to_string()))
}

/// Waits until a subscription follows the registry: its first event is of a change that was made for that.
async fn follow(server: &Server, socket: &mut Socket, id: &str, query: &str) -> u64 {
    socket.subscribe(id, query).await;
    let after = server.sequence().await;
    // The subscription begins some time after it was asked for.
    for round in 0.. {
        change(server, &format!("first_{id}_{round}_{after}"), 1, 1).await;
        if let Some(message) = socket.hear_soon().await {
            return place(&message);
        }
    }
    unreachable!()
}
