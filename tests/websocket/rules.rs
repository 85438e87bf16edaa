//! The graphql-transport-ws protocol, a test for each of its rules.

use super::{LEGACY, MODERN, WATCH, change, follow, server_with};
use crate::support::server::Server;
use crate::support::socket::Socket;
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

fn init() -> Value {
    json!({"type": "connection_init"})
}

fn subscribe(id: &str, query: &str) -> Value {
    json!({"type": "subscribe", "id": id, "payload": {"query": query}})
}

/// How the server closes a connection on which this is said.
async fn closed_after(server: &Server, messages: &[Value]) -> (u16, String) {
    let mut socket = Socket::open(server, Some(MODERN)).await;
    socket.say_all(messages.iter().cloned()).await;
    socket.closed().await
}

#[tokio::test]
async fn no_subprotocol_that_is_known_closes_with_4406() {
    let server = Server::start();
    for offered in [None, Some("mqtt")] {
        // A client must not take a connection without the protocol that it offered: this one offers and looks.
        let Some(offered) = offered else {
            assert_eq!(Socket::open(&server, None).await.closed().await, (4406, "Subprotocol not acceptable".into()));
            continue;
        };
        let request = format!(
            "GET /graphql HTTP/1.1\r\nhost: {0}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: {offered}\r\n\r\n",
            server.address()
        );
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        let head = String::from_utf8_lossy(&heard).to_lowercase();
        assert!(head.starts_with("http/1.1 101") && !head.contains("sec-websocket-protocol"), "{head}");
        let close = [0x88, 28, (4406_u16 >> 8) as u8, 4406_u16 as u8];
        assert!(heard.windows(4).any(|bytes| bytes == close), "{heard:?}");
    }
}

#[tokio::test]
async fn the_newer_protocol_is_chosen_where_both_are_offered() {
    let server = Server::start();
    let mut socket = Socket::open(&server, Some(&format!("{LEGACY}, {MODERN}"))).await;
    socket.say(init()).await;
    assert_eq!(socket.hear().await, json!({"type": "connection_ack"}));
    socket.say(json!({"type": "ping"})).await;
    assert_eq!(socket.hear().await, json!({"type": "pong"}));
}

#[tokio::test]
async fn a_subscribe_before_the_ack_closes_with_4401() {
    let server = Server::start();
    assert_eq!(closed_after(&server, &[subscribe("1", WATCH)]).await, (4401, "Unauthorized".into()));
}

#[tokio::test]
async fn no_init_in_time_closes_with_4408() {
    let server = server_with("init_seconds = 1");
    assert_eq!(closed_after(&server, &[]).await, (4408, "Connection initialisation timeout".into()));
}

#[tokio::test]
async fn a_second_init_closes_with_4429() {
    let server = Server::start();
    assert_eq!(closed_after(&server, &[init(), init()]).await, (4429, "Too many initialisation requests".into()));
}

#[tokio::test]
async fn an_id_that_is_in_use_closes_with_4409() {
    let server = Server::start();
    let said = [init(), subscribe("a", WATCH), subscribe("a", "{ __typename }")];
    assert_eq!(closed_after(&server, &said).await, (4409, "Subscriber for a already exists".into()));
    let long = "é".repeat(200);
    let (code, reason) = closed_after(&server, &[init(), subscribe(&long, WATCH), subscribe(&long, WATCH)]).await;
    assert_eq!((code, reason), (4409, format!("Subscriber for {}", "é".repeat(54))), "cut between characters");
}

#[tokio::test]
async fn what_is_no_message_closes_with_4400() {
    let server = Server::start();
    let payload = json!({"query": WATCH});
    for message in [
        json!({"id": "1"}),
        json!("hello"),
        json!(null),
        json!(["ping"]),
        json!({"type": 1}),
        json!({"type": "next", "id": "1", "payload": {}}),
        json!({"type": "connection_ack"}),
        json!({"type": "connection_init", "payload": []}),
        json!({"type": "connection_init", "payload": "a"}),
        json!({"type": "ping", "payload": 1}),
        json!({"type": "pong", "payload": "a"}),
        json!({"type": "complete"}),
        json!({"type": "complete", "id": ""}),
        json!({"type": "complete", "id": 1}),
        json!({"type": "subscribe", "id": "", "payload": payload}),
        json!({"type": "subscribe", "id": 1, "payload": payload}),
        json!({"type": "subscribe", "payload": payload}),
        json!({"type": "subscribe", "id": "1"}),
        json!({"type": "subscribe", "id": "1", "payload": null}),
        json!({"type": "subscribe", "id": "1", "payload": WATCH}),
        json!({"type": "subscribe", "id": "1", "payload": [WATCH]}),
        json!({"type": "subscribe", "id": "1", "payload": {}}),
        json!({"type": "subscribe", "id": "1", "payload": {"query": 1}}),
        json!({"type": "subscribe", "id": "1", "payload": {"query": WATCH, "variables": []}}),
        json!({"type": "subscribe", "id": "1", "payload": {"query": WATCH, "extensions": 1}}),
        json!({"type": "subscribe", "id": "1", "payload": {"query": WATCH, "operationName": 1}}),
    ] {
        let (code, reason) = closed_after(&server, &[init(), message.clone()]).await;
        assert_eq!(code, 4400, "{message}: {reason}");
        assert!(reason.len() <= 123 && reason.starts_with("Invalid message received"), "{reason}");
    }
    let mut socket = Socket::ready(&server).await;
    socket.0.send(Message::Text("{".into())).await.unwrap();
    assert_eq!(socket.closed().await.0, 4400);
    let mut socket = Socket::ready(&server).await;
    socket.0.send(Message::Binary(init().to_string().into())).await.unwrap();
    assert_eq!(socket.closed().await.0, 4400);
}

#[tokio::test]
async fn messages_of_the_older_protocol_are_refused() {
    let server = Server::start();
    for kind in ["start", "stop", "connection_terminate", "data", "ka"] {
        let said = [init(), json!({"type": kind, "id": "1", "payload": {"query": WATCH}})];
        assert_eq!(closed_after(&server, &said).await.0, 4400, "{kind}");
    }
}

#[tokio::test]
async fn nulls_stand_for_what_is_absent() {
    let server = Server::start();
    let mut socket = Socket::open(&server, Some(MODERN)).await;
    let payload = json!({"query": "{ __typename }", "variables": null, "operationName": null, "extensions": null});
    socket
        .say_all([
            json!({"type": "connection_init", "payload": null}),
            json!({"type": "ping", "payload": null}),
            json!({"type": "pong", "payload": null, "id": null}),
            json!({"type": "subscribe", "id": "1", "payload": payload, "unknown": 1}),
        ])
        .await;
    assert_eq!(socket.hear().await, json!({"type": "connection_ack"}));
    assert_eq!(socket.hear().await, json!({"type": "pong"}));
    assert_eq!(socket.hear().await["payload"], json!({"data": {"__typename": "Query"}}));
    assert_eq!(socket.hear().await, json!({"type": "complete", "id": "1"}));
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload_even_before_the_init() {
    let server = Server::start();
    let mut socket = Socket::open(&server, Some(MODERN)).await;
    socket.say(json!({"type": "ping", "payload": {"a": [1, "b"]}})).await;
    assert_eq!(socket.hear().await, json!({"type": "pong", "payload": {"a": [1, "b"]}}));
    // A pong that nobody asked for says that somebody is there.
    socket.say_all([json!({"type": "pong", "payload": {"a": 1}}), json!({"type": "pong"}), init()]).await;
    assert_eq!(socket.hear().await, json!({"type": "connection_ack"}));
    socket.0.send(Message::Ping("beat".into())).await.unwrap();
    use futures_util::StreamExt;
    assert_eq!(socket.0.next().await.unwrap().unwrap(), Message::Pong("beat".into()));
}

#[tokio::test]
async fn nothing_more_comes_for_an_id_that_the_client_completed() {
    let server = Server::start();
    let mut socket = Socket::ready(&server).await;
    let complete = |id: &str| json!({"type": "complete", "id": id});
    let register = "mutation { register(input: {name: \"a\"}) { created } }";
    for query in [register, "query($of: Sequence) { registry { sequence } }", "{ registry { sequence } }", WATCH] {
        socket.say_all([subscribe("x", query), complete("x")]).await;
        socket.hear_up_to_now().await;
        // Up to here the registry may not have seen the complete. From here on it has.
        change(&server, &format!("n{}", query.len()), 1, 1).await;
        assert_eq!(socket.hear_up_to_now().await, Vec::<Value>::new(), "{query}");
    }
    // The complete of a subscription is not echoed, and its id is free at once.
    follow(&server, &mut socket, "y", "subscription { registryEvents { sequence } }").await;
    socket.say_all([complete("y"), subscribe("y", "{ __typename }")]).await;
    let heard = [socket.hear().await, socket.hear().await];
    assert_eq!(heard.map(|message| message["type"].clone()), ["next", "complete"]);
    // One for an id that nobody knows is passed over.
    socket.say(complete("never")).await;
    assert_eq!(socket.hear_up_to_now().await, Vec::<Value>::new());
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes_with_1007() {
    let server = Server::start();
    let mut socket = Socket::ready(&server).await;
    let text = Frame::message(vec![b'"', 0xff, 0xfe, b'"'], OpCode::Data(Data::Text), true);
    socket.0.send(Message::Frame(text)).await.unwrap();
    assert_eq!(socket.closed().await.0, 1007);
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_with_1009() {
    let server = server_with("body_bytes_max = 2000");
    let large = "x".repeat(3000);
    assert_eq!(closed_after(&server, &[json!({"type": "ping", "payload": {"a": large}})]).await.0, 1009);
    // In fragments, each of which is small.
    let mut socket = Socket::open(&server, Some(MODERN)).await;
    for part in 0..4 {
        let code = if part == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(vec![b' '; 1000], OpCode::Data(code), false);
        socket.0.feed(Message::Frame(frame)).await.unwrap();
    }
    socket.0.flush().await.unwrap();
    assert_eq!(socket.closed().await.0, 1009);
}

#[tokio::test]
async fn frames_that_break_the_websocket_protocol_close_with_1002() {
    let server = Server::start();
    let mut socket = Socket::ready(&server).await;
    let frame = Frame::message(vec![b'{'], OpCode::Data(Data::Continue), true);
    socket.0.send(Message::Frame(frame)).await.unwrap();
    assert_eq!(socket.closed().await.0, 1002);
}

#[tokio::test]
async fn a_message_may_come_in_fragments_with_a_ping_between() {
    let server = Server::start();
    let mut socket = Socket::open(&server, Some(MODERN)).await;
    let text = init().to_string().into_bytes();
    let (head, tail) = text.split_at(7);
    for frame in [
        Frame::message(head.to_vec(), OpCode::Data(Data::Text), false),
        Frame::ping(vec![1]),
        Frame::message(tail.to_vec(), OpCode::Data(Data::Continue), true),
    ] {
        socket.0.send(Message::Frame(frame)).await.unwrap();
    }
    assert_eq!(socket.hear().await, json!({"type": "connection_ack"}));
}

#[tokio::test]
async fn one_operation_more_than_allowed_is_an_error_of_that_operation() {
    let server = server_with("operations_max = 2");
    let mut socket = Socket::ready(&server).await;
    for id in ["a", "b", "c"] {
        socket.subscribe(id, "subscription { registryEvents { sequence } }").await;
    }
    let error = socket.hear().await;
    assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("c")));
    assert!(error["payload"][0]["message"].as_str().unwrap().contains('2'), "{error}");
    socket.say(json!({"type": "complete", "id": "a"})).await;
    socket.subscribe("c", "{ __typename }").await;
    assert_eq!(socket.hear().await["type"], "next");
}
