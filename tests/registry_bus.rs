//! The bus that is always there, and carries the registry's own changes.

use crate::support::eventually;
use crate::support::server::Server;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use onex::client::Error;
use serde_json::{Value, json};

const EVENTS: &str = "subscription($topics: [String!], $where: BusEventFilter, $replay: ReplayInput, $durable: String) { \
                      busEvents(bus: \"registry\", topics: $topics, where: $where, replay: $replay, durable: $durable) { bus \
                      topic sequence missed event { eventId nodeId eventType correlationId metadata } } }";
const REGISTER: &str = "mutation($i: RegisterInput!) { register(input: $i) { node { id } } }";

type Events = BoxStream<'static, Result<Value, Error>>;

async fn listen(server: &Server, asked: Value) -> Events {
    server.client().subscribe::<Value>(EVENTS, asked).await.unwrap().boxed()
}

async fn next(events: &mut Events) -> Value {
    let next = tokio::time::timeout(crate::support::PATIENCE, events.next());
    next.await.expect("an event in time").expect("an event").unwrap()["busEvents"].take()
}

async fn register(server: &Server, name: &str) -> Value {
    let input = json!({"i": {"name": name, "tools": [{"name": "add"}], "ttlSeconds": 600, "correlationId": name}});
    server.query(REGISTER, input).await["register"]["node"]["id"].take()
}

#[tokio::test]
async fn the_registrys_changes_travel_there_first_those_of_the_past_and_then_live() {
    let server = Server::start();
    let one = register(&server, "one").await;
    let sequence = server.sequence().await;
    let mut all = listen(&server, json!({"replay": {"all": true}})).await;
    let first = next(&mut all).await;
    let change = server.query("{ events { nodes { id } } }", Value::Null).await["events"]["nodes"][0]["id"].take();
    let metadata = json!({"name": "one", "live": true, "ttl_seconds": 600, "actor": "anonymous"});
    let event = json!({
        "eventId": change, "nodeId": one, "eventType": "NODE_REGISTERED", "correlationId": "one", "metadata": metadata,
    });
    let expected = json!({
        "bus": "registry", "topic": "onex.events.NODE_REGISTERED", "sequence": 1, "missed": 0, "event": event,
    });
    assert_eq!(first, expected);
    assert_eq!(next(&mut all).await["topic"], "onex.events.TOOL_REGISTERED");
    let mut tools = listen(&server, json!({"topics": ["onex.events.TOOL_REGISTERED"]})).await;
    let mut of_two =
        listen(&server, json!({"where": {"correlationId": "two", "eventTypes": ["NODE_REGISTERED"]}})).await;
    eventually("all listen", async || {
        let asked = "{ bus(by: {name: \"registry\"}) { metrics { subscriberCount } } }";
        let found = server.query(asked, Value::Null).await;
        (found["bus"]["metrics"]["subscriberCount"] == 3).then_some(())
    })
    .await;
    assert_eq!(server.sequence().await, sequence, "who listens there changes nothing");
    let two = register(&server, "two").await;
    assert_eq!(next(&mut all).await["event"]["nodeId"], two);
    assert_eq!(next(&mut of_two).await["event"]["nodeId"], two);
    let tool = next(&mut tools).await;
    assert_eq!((&tool["event"]["nodeId"], &tool["event"]["metadata"]["name"]), (&two, &json!("add")));
    let here = "{ bus(by: {name: \"registry\"}) { kind status metrics { delivered } kept { first last } \
                topics { name } } registry { sequence startedAt } }";
    let found = server.query(here, Value::Null).await;
    let bus = &found["bus"];
    assert_eq!((&bus["kind"], &bus["status"]), (&json!("LOCAL"), &json!("RUNNING")));
    assert_eq!(bus["kept"], json!({"first": 1, "last": found["registry"]["sequence"]}));
    assert!(bus["metrics"]["delivered"].as_u64() >= Some(5), "{bus}");
    assert!(bus["topics"].as_array().unwrap().iter().any(|topic| topic["name"] == "onex.events.BUS_CREATED"));
}

#[tokio::test]
async fn the_past_can_be_had_by_count_by_place_and_by_instant() {
    let server = Server::start();
    for name in ["a", "b", "c"] {
        register(&server, name).await;
    }
    let nodes = json!({"eventTypes": ["NODE_REGISTERED"]});
    let mut last = listen(&server, json!({"where": nodes, "replay": {"last": 2}})).await;
    let names = (
        next(&mut last).await["event"]["correlationId"].take(),
        next(&mut last).await["event"]["correlationId"].take(),
    );
    assert_eq!(names, (json!("b"), json!("c")));
    let mut more = listen(&server, json!({"where": nodes, "replay": {"last": 100}})).await;
    assert_eq!(next(&mut more).await["event"]["correlationId"], "a");
    let mut behind = listen(&server, json!({"replay": {"sinceSequence": 3}})).await;
    assert_eq!(next(&mut behind).await["sequence"], 4);
    let monitor =
        ["event-monitor", "--bus", "registry", "--type", "NODE_REGISTERED", "--replay", "last:1", "--count", "1"];
    let shown = server.stdout_of(&monitor);
    assert!(shown.contains("NODE_REGISTERED") && shown.contains("name=c"), "{shown}");
    let times =
        server.query("{ events(filter: {types: [NODE_REGISTERED]}) { nodes { time sequence } } }", Value::Null).await;
    let second = &times["events"]["nodes"][1];
    let mut since = listen(&server, json!({"replay": {"sinceTime": second["time"]}})).await;
    assert_eq!(next(&mut since).await["sequence"], second["sequence"]);
}

#[tokio::test]
async fn it_is_as_it_is_whatever_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let bus = server.query("{ bus(by: {name: \"registry\"}) { id } }", Value::Null).await["bus"]["id"].take();
    let by_id = json!({"i": {"busId": bus}});
    for turn in ["stopBus", "deleteBus"] {
        let document = format!("mutation($i: BusRefInput!) {{ {turn}(input: $i) {{ id }} }}");
        let (code, said) = server.refused(&document, by_id.clone()).await;
        assert_eq!(code, "INVALID_ARGUMENT", "{turn}: {said}");
        assert!(said.contains("always there"), "{said}");
    }
    server.query("mutation($i: BusRefInput!) { startBus(input: $i) { status } }", by_id).await;
    let event = json!({"nodeId": "00000000-0000-4000-8000-000000000001", "eventType": "DONE"});
    let publish = "mutation($i: PublishInput!) { publish(input: $i) { topic } }";
    let (code, said) = server.refused(publish, json!({"i": {"bus": "registry", "event": event}})).await;
    assert!(code == "INVALID_ARGUMENT" && said.contains("of your own"), "{code}: {said}");
    let define = "mutation($i: DefineTopicInput!) { defineTopic(input: $i) { name } }";
    assert_eq!(server.refused(define, json!({"i": {"bus": "registry", "topic": "a"}})).await.0, "INVALID_ARGUMENT");
    let create = "mutation { createBus(input: {name: \"registry\", kind: LOCAL}) { id } }";
    assert_eq!(server.refused(create, Value::Null).await.0, "ALREADY_EXISTS");
    let mut named = listen(&server, json!({"durable": "billing"})).await;
    let refused = named.next().await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("without a name"), "{refused}");
    assert_eq!(server.sequence().await, 0, "none of that made a change, nor is the bus one");
    assert!(server.stop().success());
    let server = Server::start_in(directory.path(), &[]);
    let found =
        server.query("{ buses { totalCount } at(sequence: 0) { buses { nodes { name } } } }", Value::Null).await;
    assert_eq!(found, json!({"buses": {"totalCount": 1}, "at": {"buses": {"nodes": [{"name": "registry"}]}}}));
}
