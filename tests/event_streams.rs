//! GraphQL as server-sent events.

use crate::support::node_modules;
use crate::support::server::Server;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const WATCH: &str = "subscription { registryEvents(after: 0) { sequence type } }";

fn post(server: &Server, query: &str) -> reqwest::RequestBuilder {
    let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
    request.header("accept", "text/event-stream").json(&json!({ "query": query }))
}

async fn register(server: &Server, name: &str) {
    let document = "mutation($name: String!) { register(input: {name: $name}) { created } }";
    server.query(document, json!({ "name": name })).await;
}

/// The next event: its name and data. Comments are passed over.
async fn next(response: &mut reqwest::Response, unread: &mut String) -> Option<(String, Value)> {
    loop {
        if let Some((event, rest)) = unread.split_once("\n\n").map(|(event, rest)| (event.to_owned(), rest.to_owned()))
        {
            *unread = rest;
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let Some(kind) = field("event:") else { continue };
            let data = field("data:").unwrap_or_default();
            return Some((kind.to_owned(), serde_json::from_str(data).unwrap_or_default()));
        }
        *unread += str::from_utf8(&response.chunk().await.ok()??).unwrap();
    }
}

#[tokio::test]
async fn a_subscription_is_answered_by_events_until_the_server_stops() {
    let server = Server::start();
    register(&server, "a").await;
    let mut response = post(&server, WATCH).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let mut unread = String::new();
    for sequence in 1..=3 {
        let (kind, data) = next(&mut response, &mut unread).await.unwrap();
        assert_eq!((kind.as_str(), &data["data"]["registryEvents"]["sequence"]), ("next", &json!(sequence)));
        register(&server, &format!("n{sequence}")).await;
    }
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    // No complete: whoever reads on would take that for the end.
    while let Some((kind, _)) = next(&mut response, &mut unread).await {
        assert_eq!(kind, "next");
    }
    assert!(stopped.await.unwrap().success());
}

#[tokio::test]
async fn what_answers_once_is_one_event_and_so_is_a_refusal() {
    let server = Server::start();
    for (query, path) in [("{ __typename }", "/data/__typename"), ("{ nobody }", "/errors/0/message")] {
        let mut response = post(&server, query).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let mut unread = String::new();
        let (kind, data) = next(&mut response, &mut unread).await.unwrap();
        assert!(kind == "next" && data.pointer(path).is_some(), "{kind} {data}");
        assert_eq!(next(&mut response, &mut unread).await.unwrap().0, "complete");
        assert!(next(&mut response, &mut unread).await.is_none());
    }
}

#[tokio::test]
async fn a_subscription_comes_as_events_to_those_who_take_them_besides() {
    let server = Server::start();
    register(&server, "a").await;
    let request = reqwest::Client::new().get(format!("{}/graphql", server.url())).query(&[("query", WATCH)]);
    let accept = "application/graphql-response+json, application/json, text/event-stream, multipart/mixed";
    let mut response = request.header("accept", accept).send().await.unwrap();
    let (kind, data) = next(&mut response, &mut String::new()).await.unwrap();
    assert_eq!((kind.as_str(), &data["data"]["registryEvents"]["sequence"]), ("next", &json!(1)));
}

/// Runs a program of tests/node against a server; what it printed.
async fn node(server: &Server, program: &str) -> Option<String> {
    node_modules()?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node").join(program);
    let url = format!("{}/graphql", server.url());
    let run = move || Command::new("node").arg(path).arg(url).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(said.into_owned())
}

#[tokio::test]
async fn a_client_of_graphql_over_sse_follows_and_asks() {
    let server = Server::start();
    register(&server, "a").await;
    node(&server, "event-stream.mjs").await;
}

/// Every MUST and SHOULD of the suite, but for two that ask for status 400 where the draft has 422 since.
#[tokio::test]
async fn the_audit_of_graphql_over_http_passes() {
    let server = Server::start();
    node(&server, "http-audit.mjs").await;
}
