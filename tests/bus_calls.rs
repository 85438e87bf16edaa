//! Tools are called over buses: those who serve them are programs that know nothing of the registry, each with the
//! usual library of its broker, and all are asked the same.

use crate::calls::invoke;
use crate::support::program::Program;
use crate::support::server::Server;
use crate::support::testing::Broker;
use crate::support::{eventually, python};
use futures_util::future::join_all;
use serde_json::{Value, json};

const CREATE: &str = "mutation($i: CreateBusInput!) { createBus(input: $i) { status endpoints { request } } }";
const REGISTER: &str = "mutation($i: RegisterInput!) { register(input: $i) { node { id } warnings } }";

async fn create(server: &Server, kind: &str, url: Option<&str>, metadata: Value) -> Value {
    let input = json!({"name": "shop", "kind": kind, "endpointUri": url, "metadata": metadata});
    server.query(CREATE, json!({ "i": input })).await["createBus"].take()
}

/// A node with tools that are served on the bus, and one that nobody serves.
async fn register(server: &Server) {
    let tool = |name: &str| json!({"name": name, "version": "1.0.0", "transport": "BUS", "endpoint": format!("bus://shop/math.{name}")});
    let tools = ["add", "divide", "context", "die", "nobody"].map(tool);
    server.query(REGISTER, json!({"i": {"name": "math", "tools": tools}})).await;
}

async fn call(server: &Server, tool: &str, arguments: Value) -> Value {
    let input = json!({"tool": tool, "arguments": arguments, "timeoutMs": 20_000, "correlationId": "order 7"});
    invoke(server, input).await
}

fn failure(invocation: &Value) -> (&str, &str, &str) {
    let text = |value: &'static str| invocation["error"][value].as_str().unwrap_or_default();
    (invocation["status"].as_str().unwrap(), text("code"), text("type"))
}

/// What holds on every kind. `tells_of_loss`: whether it is known at once that a program has gone.
async fn called(server: &Server, mut program: Program, failed: &str, tells_of_loss: bool) {
    program.listens().await;
    let sum = call(server, "add", json!({"a": 1, "b": 2})).await;
    assert_eq!((&sum["status"], &sum["result"]), (&json!("SUCCEEDED"), &json!({"sum": 3})), "{sum}");

    let context = call(server, "context", json!({})).await["result"].take();
    let header = |name: &str| {
        // Some libraries write the names of headers their own way.
        let found = context.as_object().unwrap().iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str().unwrap().to_owned())
    };
    assert_eq!(header("onex-tool"), Some("context".to_owned()), "{context}");
    assert_eq!(
        (header("x-correlation-id").as_deref(), header("onex-attempt").as_deref()),
        (Some("order 7"), Some("1"))
    );
    assert!(header("onex-invocation-id").is_some() && header("onex-deadline").is_some(), "{context}");

    let divided = call(server, "divide", json!({"a": 1, "b": 0})).await;
    assert_eq!(failure(&divided), ("FAILED", "TOOL_FAILED", failed), "{divided}");
    assert_eq!(divided["error"]["message"], "nothing is divided by 0");
    assert_eq!(divided["error"]["details"], json!({"b": 0}));

    let many = (0..100).map(|number| call(server, "add", json!({"a": number, "b": 1})));
    for (number, sum) in join_all(many).await.into_iter().enumerate() {
        assert_eq!(sum["result"], json!({"sum": number + 1}), "{sum}");
    }

    let unserved = call(server, "nobody", json!({})).await;
    assert_eq!(failure(&unserved).1, "TOOL_NO_PROVIDER", "{unserved}");

    let died = invoke(
        server,
        json!({"tool": "die", "arguments": {}, "timeoutMs": if tells_of_loss { 30_000 } else { 3_000 }}),
    )
    .await;
    let expected = if tells_of_loss {
        ("FAILED", "TOOL_FAILED", "ConnectionLost")
    } else {
        ("TIMED_OUT", "TOOL_TIMEOUT", "Timeout")
    };
    assert_eq!(failure(&died), expected, "{died}");
    let gone = call(server, "add", json!({"a": 1, "b": 2})).await;
    assert_eq!(failure(&gone).1, "TOOL_NO_PROVIDER", "{gone}");
    let attempts = gone["attempts"].as_array().unwrap();
    assert!(attempts.iter().all(|attempt| attempt["error"]["type"] == "Unreachable"), "it was never begun: {gone}");
}

#[tokio::test]
async fn tools_are_called_over_a_jetstream_bus_where_nats_services_serve_them() {
    let (Some(broker), Some(python)) = (Broker::nats().await, python("nats")) else { return };
    let url = format!("nats://127.0.0.1:{}", broker.port);
    let server = Server::start();
    create(&server, "JETSTREAM", Some(&url), json!({})).await;
    register(&server).await;
    let program = Program::start(&python, "serve_nats.py", &[&url]);
    called(&server, program, "NATS_DivisionByZero", false).await;
}

#[tokio::test]
async fn tools_are_called_over_a_redis_bus() {
    let (Some(broker), Some(python)) = (Broker::redis().await, python("redis")) else { return };
    let url = format!("redis://127.0.0.1:{}/0", broker.port);
    let server = Server::start();
    create(&server, "REDIS", Some(&url), json!({})).await;
    register(&server).await;
    let program = Program::start(&python, "serve_redis.py", &[&url, "shop"]);
    called(&server, program, "DivisionByZero", false).await;
}

async fn by_sockets(kind: &str) {
    let Some(python) = python("zmq") else { return };
    let server = Server::start();
    let made = create(&server, kind, None, json!({})).await;
    register(&server).await;
    let program = Program::start(&python, "serve_zmq.py", &[made["endpoints"]["request"].as_str().unwrap()]);
    called(&server, program, "DivisionByZero", true).await;
}

#[tokio::test]
async fn tools_are_called_over_a_zmq_bus() {
    by_sockets("ZMQ").await;
}

#[tokio::test]
async fn tools_are_called_over_an_ipc_bus() {
    by_sockets("IPC").await;
}

#[tokio::test]
async fn a_tool_on_a_bus_that_carries_no_calls_is_not_called_and_says_what_to_do() {
    let server = Server::start();
    create(&server, "LOCAL", None, json!({})).await;
    register(&server).await;
    let refused = call(&server, "add", json!({})).await;
    assert_eq!(failure(&refused).1, "TOOL_NO_PROVIDER", "{refused}");
    assert!(refused["error"].to_string().contains("listen with toolCalls"), "{refused}");
}

#[tokio::test]
async fn services_of_nats_are_found_and_are_nodes_with_tools_that_lapse_unless_they_are_seen_again() {
    let (Some(broker), Some(python)) = (Broker::nats().await, python("nats")) else { return };
    let url = format!("nats://127.0.0.1:{}", broker.port);
    let server = Server::start();
    let mut program = Program::start(&python, "serve_nats.py", &[&url]);
    program.listens().await;
    create(&server, "JETSTREAM", Some(&url), json!({"importServices": true})).await;
    let asked = "{ tools { nodes { name version description idempotent providers { node { name status \
                 expiresAt } transport endpoint } } } nodes { nodes { name description } } }";
    let found = eventually("the service is found", async || {
        let found = server.query(asked, Value::Null).await;
        (found["tools"]["nodes"].as_array().unwrap().len() == 4).then_some(found)
    })
    .await;
    let tools = found["tools"]["nodes"].as_array().unwrap();
    let add = tools.iter().find(|tool| tool["name"] == "math.add").expect("math.add");
    assert_eq!(
        (&add["version"], &add["description"], &add["idempotent"]),
        (&json!("1.2.0"), &json!("Does add"), &json!(true))
    );
    assert_eq!(found["nodes"]["nodes"].as_array().unwrap().len(), 1, "the registry is no service of its own: {found}");
    assert_eq!(found["nodes"]["nodes"][0]["description"], "Reckons");
    assert!(add["providers"][0]["node"]["expiresAt"].is_string(), "{add}");
    // Its schema came with it.
    let refused = call(&server, "math.add", json!({"a": 1})).await;
    assert_eq!(failure(&refused).1, "TOOL_INVALID_ARGUMENTS", "{refused}");
    let sum = call(&server, "math.add", json!({"a": 1, "b": 2})).await;
    assert_eq!(sum["result"], json!({"sum": 3}), "{sum}");
}

#[tokio::test]
async fn the_registry_is_found_among_the_services_of_nats() {
    let (Some(broker), Some(python)) = (Broker::nats().await, python("nats")) else { return };
    let url = format!("nats://127.0.0.1:{}", broker.port);
    let server = Server::start();
    create(&server, "JETSTREAM", Some(&url), json!({})).await;
    let mut asking = Program::start(&python, "services.py", &[&url]);
    let found = asking.line().await;
    assert_eq!((&found["name"], &found["type"]), (&json!("onex"), &json!("io.nats.micro.v1.info_response")));
    assert_eq!(found["metadata"]["graphql"], json!(format!("{}/graphql", server.url())));
}
