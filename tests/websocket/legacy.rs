//! The older protocol `graphql-ws`, as subscriptions-transport-ws speaks it.

use super::{LEGACY, change};
use crate::support::server::Server;
use crate::support::socket::Socket;
use serde_json::{Value, json};

async fn ready(server: &Server) -> Socket {
    let mut socket = Socket::open(server, Some(LEGACY)).await;
    socket.say(json!({"type": "connection_init", "payload": {}})).await;
    assert_eq!(socket.hear().await, json!({"type": "connection_ack"}));
    assert_eq!(socket.hear().await, json!({"type": "ka"}), "clients wait for the next one only once they had one");
    socket
}

fn start(id: &str, query: &str) -> Value {
    json!({"type": "start", "id": id, "payload": {"query": query, "variables": null, "operationName": null}})
}

/// Everything that is heard up to the answer to a query, but for that.
async fn hear_up_to_now(socket: &mut Socket) -> Vec<Value> {
    socket.say(start("now", "{ nobody }")).await;
    let mut heard = Vec::new();
    loop {
        match socket.hear().await {
            message if message["id"] == "now" => return heard,
            message => heard.push(message),
        }
    }
}

#[tokio::test]
async fn operations_are_answered_with_data_and_complete() {
    let server = Server::start();
    let mut socket = ready(&server).await;
    socket.say(start("q", "mutation { register(input: {name: \"a\"}) { created } }")).await;
    let data = json!({"data": {"register": {"created": true}}});
    assert_eq!(socket.hear().await, json!({"type": "data", "id": "q", "payload": data}));
    assert_eq!(socket.hear().await, json!({"type": "complete", "id": "q"}));
    socket.say(start("s", "subscription { registryEvents(after: 0) { sequence } }")).await;
    let data = json!({"data": {"registryEvents": {"sequence": 1}}});
    assert_eq!(socket.hear().await, json!({"type": "data", "id": "s", "payload": data}));
}

#[tokio::test]
async fn a_stopped_operation_says_nothing_more() {
    let server = Server::start();
    let mut socket = ready(&server).await;
    socket.say(start("s", "subscription { registryEvents(after: 0) { sequence } }")).await;
    socket.say(json!({"type": "stop", "id": "s"})).await;
    hear_up_to_now(&mut socket).await;
    change(&server, "a", 1, 1).await;
    assert_eq!(hear_up_to_now(&mut socket).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_later_operation_takes_the_place_of_an_earlier_one_with_its_id() {
    let server = Server::start();
    let mut socket = ready(&server).await;
    socket.say(start("s", "subscription { registryEvents { sequence } }")).await;
    socket.say(start("s", "{ __typename }")).await;
    assert_eq!(socket.hear().await["payload"], json!({"data": {"__typename": "Query"}}));
    assert_eq!(socket.hear().await, json!({"type": "complete", "id": "s"}));
}

#[tokio::test]
async fn what_cannot_run_is_an_error() {
    let server = Server::start();
    let mut socket = ready(&server).await;
    for query in ["{ nobody }", "{", "subscription { registryEvents(after: 99) { sequence } }"] {
        socket.say(start("x", query)).await;
        let error = socket.hear().await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("x")));
        assert_eq!(error["payload"]["extensions"]["code"], "INVALID_ARGUMENT", "{error}");
    }
    socket.say(start("x", "{ nobody nowhere }")).await;
    let error = socket.hear().await;
    assert_eq!(error["payload"]["errors"].as_array().map(Vec::len), Some(2), "{error}");
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_the_connection_goes_on() {
    let server = Server::start();
    let mut socket = ready(&server).await;
    for message in [json!({"type": "subscribe", "id": "1"}), json!([]), json!({"type": "start", "payload": {}})] {
        socket.say(message).await;
        assert_eq!(socket.hear().await["type"], "connection_error");
    }
    for message in [json!({"type": "start", "id": "1"}), json!({"type": "start", "id": "1", "payload": {"query": 1}})] {
        socket.say(message).await;
        let error = socket.hear().await;
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("1")));
    }
    assert_eq!(hear_up_to_now(&mut socket).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_start_before_the_init_and_a_second_init_are_refused() {
    let server = Server::start();
    let mut socket = Socket::open(&server, Some(LEGACY)).await;
    socket.say(start("1", "{ __typename }")).await;
    assert_eq!(socket.hear().await, json!({"type": "connection_error", "payload": {"message": "Unauthorized"}}));
    assert_eq!(socket.closed().await.0, 4401);
    let mut socket = ready(&server).await;
    socket.say(json!({"type": "connection_init"})).await;
    assert_eq!(socket.hear().await["type"], "connection_error");
    assert_eq!(socket.closed().await.0, 4429);
}

#[tokio::test]
async fn a_client_that_leaves_is_let_go() {
    let server = Server::start();
    let mut socket = ready(&server).await;
    socket.say(json!({"type": "connection_terminate"})).await;
    assert_eq!(socket.closed().await, (1000, String::new()));
}
