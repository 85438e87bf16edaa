//! Equal subscriptions share one execution, and each has all of its changes all the same.

use super::{LARGE, change, follow, place};
use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::json;

const LIVE: &str = "subscription { registryEvents { sequence } }";

#[tokio::test]
async fn all_who_share_have_every_change_once_and_in_order() {
    let server = Server::start();
    let mut sockets = Vec::new();
    for number in 0..8 {
        let mut socket = Socket::ready(&server).await;
        // Some say the same id, some others.
        let id = format!("id{}", number % 3);
        let first = follow(&server, &mut socket, &id, LIVE).await;
        sockets.push((socket, id, first));
    }
    change(&server, "node", 300, 10).await;
    let last = server.sequence().await;
    for (socket, id, first) in &mut sockets {
        for expected in *first + 1..=last {
            let message = socket.hear().await;
            assert_eq!((place(&message), message["id"].as_str()), (expected, Some(id.as_str())));
        }
    }
}

#[tokio::test]
async fn who_begins_further_back_has_the_past_and_then_the_present_without_a_gap() {
    let server = Server::start();
    change(&server, "past", 100, 10).await;
    let from = "subscription($after: Sequence) { registryEvents(after: $after) { sequence } }";
    let mut live = Socket::ready(&server).await;
    live.operate("live", from, json!({"after": null})).await;
    let mut sockets = Vec::new();
    for after in [0, 50, 99, 100] {
        let mut socket = Socket::ready(&server).await;
        socket.operate("back", from, json!({"after": after})).await;
        sockets.push((after, socket));
    }
    change(&server, "present", 300, 10).await;
    for (after, socket) in &mut sockets {
        for expected in *after + 1..=400 {
            assert_eq!(place(&socket.hear().await), expected);
        }
    }
    // Once they are where the others are, they go on with them.
    change(&server, "future", 50, 10).await;
    for (_, socket) in &mut sockets {
        for expected in 401..=450 {
            assert_eq!(place(&socket.hear().await), expected);
        }
    }
}

#[tokio::test]
async fn who_is_too_slow_for_the_others_misses_nothing() {
    let server = Server::start();
    let mut slow = Socket::narrow(&server).await;
    let begun = follow(&server, &mut slow, "same", LARGE).await;
    let mut quick = Socket::ready(&server).await;
    let first = follow(&server, &mut quick, "same", LARGE).await;
    let large = 250;
    let last = server.sequence().await + large as u64;
    tokio::join!(change(&server, "large", large, 60_000), async {
        for expected in first + 1..=last {
            assert_eq!(place(&quick.hear().await), expected);
        }
    });
    for expected in begun + 1..=last {
        assert_eq!(place(&slow.hear().await), expected);
    }
    // And with the others again.
    change(&server, "more", 20, 10).await;
    for expected in last + 1..=last + 20 {
        assert_eq!((place(&slow.hear().await), place(&quick.hear().await)), (expected, expected));
    }
}

#[tokio::test]
async fn different_filters_are_kept_apart() {
    let server = Server::start();
    let filtered = "subscription($f: EventFilter) { registryEvents(filter: $f) { sequence type } }";
    let mut sockets = Vec::new();
    for kind in ["NODE_REGISTERED", "NODE_DEREGISTERED"] {
        let mut socket = Socket::ready(&server).await;
        socket.operate("f", filtered, json!({"f": {"types": [kind]}})).await;
        assert!(socket.hear_up_to_now().await.is_empty());
        sockets.push((kind, socket));
    }
    // Each follows from its own beginning on: made again until both have something.
    for (kind, socket) in &mut sockets {
        for round in 0.. {
            let input = json!({"input": {"name": format!("n_{kind}_{round}")}});
            let register = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
            let node = server.query(register, input).await["register"]["node"]["id"].clone();
            let deregister = "mutation($id: UUID!) { deregister(input: {nodeId: $id}) { name } }";
            server.query(deregister, json!({"id": node})).await;
            if let Some(message) = socket.hear_soon().await {
                assert_eq!(message["payload"]["data"]["registryEvents"]["type"], *kind);
                break;
            }
        }
    }
}
