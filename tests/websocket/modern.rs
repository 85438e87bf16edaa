//! Operations over graphql-transport-ws.

use super::{WATCH, change};
use crate::support::server::Server;
use crate::support::socket::Socket;
use futures_util::StreamExt;
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

#[tokio::test]
async fn queries_mutations_and_subscriptions_run_side_by_side() {
    let server = Server::start();
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("watch", WATCH).await;
    socket.subscribe("write", "mutation { register(input: {name: \"a\"}) { created } }").await;
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let message = socket.hear().await;
        heard.push((message["id"].as_str().unwrap().to_owned(), message["type"].as_str().unwrap().to_owned()));
    }
    heard.sort();
    let expected = [("watch", "next"), ("write", "complete"), ("write", "next")];
    assert_eq!(heard, expected.map(|(id, kind)| (id.to_owned(), kind.to_owned())));
    // An id is free again once its operation is complete, and a stopped one says nothing more.
    socket.say(json!({"type": "complete", "id": "watch"})).await;
    socket.subscribe("write", "mutation { register(input: {name: \"b\"}) { created } }").await;
    assert_eq!(socket.hear().await["payload"]["data"]["register"]["created"], true);
    assert_eq!(socket.hear().await, json!({"type": "complete", "id": "write"}));
    socket.say(json!({"type": "ping", "payload": {"a": 1}})).await;
    assert_eq!(socket.hear().await, json!({"type": "pong", "payload": {"a": 1}}));
}

#[tokio::test]
async fn what_cannot_run_is_an_error_and_not_an_event() {
    let server = Server::start();
    let mut socket = Socket::ready(&server).await;
    for query in ["{ nobody }", "{", "subscription { registryEvents(after: 99) { sequence } }"] {
        socket.subscribe("x", query).await;
        let message = socket.hear().await;
        assert_eq!(
            (message["type"].as_str(), message["id"].as_str()),
            (Some("error"), Some("x")),
            "{query}: {message}"
        );
        assert_eq!(message["payload"][0]["extensions"]["code"], "INVALID_ARGUMENT", "{message}");
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_misses_nothing() {
    let server = Server::start();
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("slow", "subscription { registryEvents(after: 0) { sequence metadata } }").await;
    change(&server, "node", 400, 200).await;
    for expected in 1..=400 {
        let message = socket.hear().await;
        assert_eq!(message["payload"]["data"]["registryEvents"]["sequence"], expected);
    }
}

#[tokio::test]
async fn a_page_of_another_site_is_refused_and_one_of_this_server_is_not() {
    let server = Server::start();
    for (origin, welcome) in [("https://evil.example", false), ("null", false), (server.url(), true)] {
        let mut request = format!("ws://{}/graphql", server.address()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        request.headers_mut().insert("origin", origin.parse().unwrap());
        assert_eq!(connect_async(request).await.is_ok(), welcome, "{origin}");
    }
}

#[tokio::test]
async fn one_id_serves_many_operations_in_turn_and_a_close_is_answered() {
    let server = Server::start();
    let mut socket = Socket::ready(&server).await;
    for _ in 0..500 {
        socket.subscribe("same", "{ registry { sequence } }").await;
        assert_eq!(socket.hear().await["type"], "next");
        assert_eq!(socket.hear().await["type"], "complete");
    }
    // More operations that end at once than frames may wait, and a ping between them.
    for number in 0..200 {
        socket.subscribe(&number.to_string(), "{ nope").await;
    }
    socket.say(json!({"type": "ping"})).await;
    let mut heard = 0;
    while heard < 201 {
        socket.hear().await;
        heard += 1;
    }
    socket.0.close(None).await.unwrap();
    assert!(matches!(socket.0.next().await, Some(Ok(Message::Close(_))) | None));
}

#[tokio::test]
async fn a_server_that_stops_says_where_each_subscription_goes_on() {
    let server = Server::start();
    change(&server, "node", 3, 1).await;
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("watch", WATCH).await;
    for place in 1..=3 {
        assert_eq!(super::place(&socket.hear().await), place);
    }
    let node = server.query("{ node(by: {name: \"node_0\"}) { id } }", json!(null)).await["node"]["id"].clone();
    let calls = "subscription($id: UUID!) { toolCancellations(nodeId: $id) { reason } }";
    socket.operate("calls", calls, json!({"id": node})).await;
    assert!(socket.hear_up_to_now().await.is_empty());
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    let mut errors = [socket.hear().await, socket.hear().await];
    errors.sort_by_key(|error| error["id"].to_string());
    for (error, details) in errors.iter().zip([json!({}), json!({"resumeAfter": 3})]) {
        assert_eq!(error["type"], "error");
        let extensions = &error["payload"][0]["extensions"];
        assert_eq!(extensions, &json!({"code": "UNAVAILABLE", "retryable": true, "details": details}), "{error}");
        assert!(error["payload"][0]["message"].as_str().unwrap().contains("shutting down"));
    }
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 1001);
    assert!(reason.contains("shutting down"), "{reason}");
    drop(socket);
    assert!(stopped.await.unwrap().success());
}
