//! What waits for a peer, and what happens to the others meanwhile.

use super::{LARGE, change, follow, place, server_with};
use crate::support::eventually;
use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::json;

/// Everything from the beginning, in frames of some 4 kB: 2,000 of them are more than the system keeps for a client that
/// keeps little, so that the stream cannot be over before the client has read most of it.
fn hot() -> String {
    let fields: Vec<String> = (0..80).map(|number| format!("a{number}: id")).collect();
    format!("subscription {{ registryEvents(after: 0) {{ sequence {} }} }}", fields.join(" "))
}

#[tokio::test]
async fn a_hot_stream_does_not_starve_what_else_is_asked_on_its_connection() {
    let server = Server::start();
    change(&server, "node", 2_000, 1).await;
    let mut socket = Socket::narrow(&server).await;
    socket.subscribe("hot", &hot()).await;
    assert_eq!(place(&socket.hear().await), 1);
    socket.subscribe("quiet", "{ __typename }").await;
    let mut last = 1;
    loop {
        let message = socket.hear().await;
        if message["id"] == "quiet" {
            assert_eq!(message["type"], "next");
            break;
        }
        last += 1;
        assert_eq!(place(&message), last, "the hot stream loses nothing");
    }
    assert!(last < 2_000, "the hot stream came first");
}

#[tokio::test]
async fn a_quiet_subscription_is_heard_beside_a_hot_one() {
    let server = Server::start();
    let mut socket = Socket::narrow(&server).await;
    let quiet = "subscription { registryEvents(filter: {types: [NODE_DEREGISTERED]}) { sequence } }";
    socket.subscribe("quiet", quiet).await;
    assert!(socket.hear_up_to_now().await.is_empty());
    change(&server, "node", 2_000, 1).await;
    let node = server.query("{ node(by: {name: \"node_0\"}) { id } }", json!(null)).await["node"]["id"].clone();
    socket.subscribe("hot", &hot()).await;
    assert_eq!(place(&socket.hear().await), 1);
    let deregister = "mutation($id: UUID!) { deregister(input: {nodeId: $id}) { name } }";
    server.query(deregister, json!({"id": node})).await;
    let mut last = 1;
    loop {
        let message = socket.hear().await;
        if message["id"] == "quiet" {
            assert_eq!(place(&message), 2_001);
            break;
        }
        last += 1;
        assert_eq!(place(&message), last, "the hot stream loses nothing");
    }
    assert!(last < 2_000, "the hot stream came first");
}

#[tokio::test]
async fn a_reader_that_stops_holds_up_nobody_and_is_told_where_to_go_on() {
    let server = server_with("stall_seconds = 1");
    let mut stopped = Socket::narrow(&server).await;
    let first = follow(&server, &mut stopped, "large", LARGE).await;
    let mut reading = Socket::ready(&server).await;
    let begun = follow(&server, &mut reading, "large", LARGE).await;
    // More than the ring of those who share has, and than the system keeps of what is not read.
    let large = 250;
    let last = server.sequence().await + large as u64;
    let ((), (), (seen, error)) = tokio::join!(
        change(&server, "large", large, 60_000),
        async {
            for expected in begun + 1..=last {
                assert_eq!(place(&reading.hear().await), expected, "the others have everything");
            }
        },
        async {
            eventually("the server gives it up", async || server.said().contains("takes nothing").then_some(())).await;
            // What was on its way is still there, then where to go on.
            let mut seen = first;
            loop {
                let message = stopped.hear().await;
                if message["type"] == "error" {
                    break (seen, message);
                }
                let next = place(&message);
                assert!(next > seen, "in order");
                seen = next;
            }
        }
    );
    assert_eq!(error["payload"][0]["extensions"]["details"], json!({"resumeAfter": seen}), "{error}");
    assert!(seen < last, "it was ended before it had all");
    assert_eq!(stopped.closed().await.0, 1013);
    // From there on, nothing is missing and nothing comes twice.
    let mut again = Socket::ready(&server).await;
    let resumed = "subscription($after: Sequence!) { registryEvents(after: $after) { sequence } }";
    again.operate("again", resumed, json!({"after": seen})).await;
    for expected in seen + 1..=last {
        assert_eq!(place(&again.hear().await), expected);
    }
}

#[tokio::test]
async fn what_crosses_the_end_of_its_connection_is_to_be_sent_again_and_not_given_up() {
    let server = server_with("stall_seconds = 1");
    let mut socket = Socket::narrow(&server).await;
    follow(&server, &mut socket, "large", LARGE).await;
    change(&server, "large", 250, 60_000).await;
    eventually("the server gives it up", async || server.said().contains("takes nothing").then_some(())).await;
    socket.subscribe("late", "subscription { registryEvents { sequence } }").await;
    let error = loop {
        let message = socket.hear().await;
        if message["id"] == "late" {
            break message;
        }
    };
    assert_eq!(error["type"], "error", "{error}");
    let said = &error["payload"][0];
    assert_eq!(said["extensions"], json!({"code": "UNAVAILABLE", "retryable": true, "details": {}}), "{error}");
    assert!(said["message"].as_str().unwrap().contains("send it again"), "{error}");
    assert_eq!(socket.closed().await.0, 1013);
}

#[tokio::test]
async fn who_asks_and_does_not_read_holds_up_itself_alone() {
    const ASKED: usize = 8;
    let server = Server::start();
    change(&server, "node", 100, 30_000).await;
    let mut greedy = Socket::narrow(&server).await;
    let page = "{ nodes(first: 100) { nodes { metadata } } }";
    // Three megabytes each: more than may wait, and than the system keeps.
    for number in 0..ASKED {
        greedy.subscribe(&number.to_string(), page).await;
    }
    let mut other = Socket::ready(&server).await;
    other.subscribe("1", "{ __typename }").await;
    assert_eq!(other.hear().await["type"], "next");
    let mut completed = 0;
    while completed < ASKED {
        let message = greedy.hear().await;
        assert!(message["payload"]["errors"].is_null(), "{:.300}", message.to_string());
        completed += usize::from(message["type"] == "complete");
    }
}
