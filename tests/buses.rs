//! Buses through the API: what is published comes to those who want it, in order, and what is lost is said.

use crate::support::eventually;
use crate::support::server::Server;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use onex::client::Error;
use serde_json::{Value, json};
use uuid::Uuid;

const CREATE: &str = "mutation($i: CreateBusInput!) { createBus(input: $i) { id name status } }";
const PUBLISH: &str =
    "mutation($i: PublishInput!) { publish(input: $i) { topic sequence eventId matchedSubscribers bus { name } } }";
const EVENTS: &str = "subscription($bus: String!, $topics: [String!], $where: BusEventFilter, $replay: ReplayInput, \
                      $capacity: Int, $overflow: Overflow) { busEvents(bus: $bus, topics: $topics, where: $where, \
                      replay: $replay, queueCapacity: $capacity, overflow: $overflow) { topic sequence missed misfit \
                      event { eventType metadata correlationId tags } } }";
const NODE: Uuid = Uuid::from_u128(7);

async fn create(server: &Server, name: &str, more: Value) -> Value {
    let mut input = json!({"name": name, "kind": "LOCAL"});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.query(CREATE, json!({ "i": input })).await["createBus"].take()
}

async fn publish(server: &Server, bus: &str, topic: &str, number: u64) -> Value {
    let event = json!({"nodeId": NODE, "eventType": "COUNTED", "metadata": {"number": number}});
    let input = json!({"bus": bus, "topic": topic, "event": event});
    server.query(PUBLISH, json!({ "i": input })).await["publish"].take()
}

type Events = BoxStream<'static, Result<Value, Error>>;

async fn listen(server: &Server, bus: &str, more: Value) -> Events {
    let mut variables = json!({ "bus": bus });
    variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.client().subscribe::<Value>(EVENTS, variables).await.unwrap().boxed()
}

async fn next(events: &mut Events) -> Value {
    let next = tokio::time::timeout(crate::support::PATIENCE, events.next());
    next.await.expect("an event in time").expect("an event").unwrap()["busEvents"].take()
}

async fn numbers(events: &mut Events, count: usize) -> Vec<u64> {
    let mut found = Vec::new();
    while found.len() < count {
        found.push(next(events).await["event"]["metadata"]["number"].as_u64().unwrap());
    }
    found
}

/// Waits until so many listen.
async fn listening(server: &Server, bus: &str, count: u64) {
    eventually("they listen", async || {
        let asked = "query($n: String!) { bus(by: {name: $n}) { metrics { subscriberCount } } }";
        let found = server.query(asked, json!({ "n": bus })).await;
        (found["bus"]["metrics"]["subscriberCount"] == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_published_comes_to_each_who_wants_it_in_order() {
    let server = Server::start();
    let made = create(&server, "shop", json!({})).await;
    assert_eq!((made["name"].as_str(), made["status"].as_str()), (Some("shop"), Some("RUNNING")));
    let mut all = listen(&server, "shop", json!({})).await;
    let mut orders = listen(&server, "shop", json!({"topics": ["orders.*"]})).await;
    let mut nobody = listen(&server, "shop", json!({"where": {"eventTypes": ["LOST"]}})).await;
    listening(&server, "shop", 3).await;
    let mut places = Vec::new();
    for number in 0..20 {
        let topic = if number % 2 == 0 { "orders.made" } else { "payments" };
        let published = publish(&server, "shop", topic, number).await;
        assert_eq!(published["matchedSubscribers"], if number % 2 == 0 { 2 } else { 1 });
        places.push(published["sequence"].as_u64().unwrap());
    }
    assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
    assert_eq!(numbers(&mut all, 20).await, (0..20).collect::<Vec<u64>>());
    assert_eq!(numbers(&mut orders, 10).await, (0..20).step_by(2).collect::<Vec<u64>>());
    let lost =
        json!({"bus": "shop", "event": {"nodeId": NODE, "eventType": "LOST", "correlationId": "c-1", "tags": ["a"]}});
    server.query(PUBLISH, json!({ "i": lost })).await;
    let found = next(&mut nobody).await;
    assert_eq!(found["topic"], "onex.events.LOST", "an event without a topic goes to that of its type");
    assert_eq!(found["event"], json!({"eventType": "LOST", "metadata": {}, "correlationId": "c-1", "tags": ["a"]}));
    let metrics = server
        .query("{ bus(by: {name: \"shop\"}) { metrics { published delivered dropped p50LatencyMs } } }", Value::Null)
        .await;
    let metrics = &metrics["bus"]["metrics"];
    assert_eq!((metrics["published"].as_u64(), metrics["dropped"].as_u64()), (Some(21), Some(0)));
    assert!(metrics["p50LatencyMs"].is_number(), "{metrics}");
}

#[tokio::test]
async fn who_comes_late_has_the_past_first_and_then_what_is_live_without_a_gap() {
    let server = Server::start();
    create(&server, "log", json!({"historyEvents": 10})).await;
    let mut places = Vec::new();
    for number in 0..15 {
        places.push(publish(&server, "log", "t", number).await["sequence"].as_u64().unwrap());
    }
    let mut last = listen(&server, "log", json!({"replay": {"last": 3}})).await;
    let mut behind = listen(&server, "log", json!({"replay": {"sinceSequence": places[9]}})).await;
    assert_eq!(numbers(&mut last, 3).await, [12, 13, 14]);
    assert_eq!(numbers(&mut behind, 5).await, [10, 11, 12, 13, 14]);
    publish(&server, "log", "t", 15).await;
    assert_eq!(numbers(&mut last, 1).await, [15]);
    assert_eq!(numbers(&mut behind, 1).await, [15]);
    let client = server.client();
    let asked = json!({"bus": "log", "replay": {"sinceSequence": places[0]}});
    let gone = match client.subscribe::<Value>(EVENTS, asked).await {
        Ok(mut events) => events.next().await.unwrap().unwrap_err(),
        Err(error) => error,
    };
    assert!(gone.to_string().contains("CURSOR_EXPIRED"), "{gone}");
    let types = "{ events(filter: {types: [EVENT_REPLAY_FAILED]}) { totalCount } }";
    eventually("it is told", async || {
        (server.query(types, Value::Null).await["events"]["totalCount"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_or_marked_as_the_topic_says_and_told_either_way() {
    let server = Server::start();
    create(&server, "checked", json!({})).await;
    let define = "mutation($i: DefineTopicInput!) { defineTopic(input: $i) { name } }";
    let schema = json!({"properties": {"metadata": {"required": ["amount"]}}});
    for (topic, mode) in [("strict", "STRICT"), ("permissive", "PERMISSIVE")] {
        let input = json!({"bus": "checked", "topic": topic, "mode": mode, "schema": schema});
        server.query(define, json!({ "i": input })).await;
    }
    let mut events = listen(&server, "checked", json!({})).await;
    listening(&server, "checked", 1).await;
    let input = |topic: &str, metadata: Value| json!({"i": {"bus": "checked", "topic": topic, "event": {"nodeId": NODE, "eventType": "PAID", "metadata": metadata}}});
    let (code, message) = server.refused(PUBLISH, input("strict", json!({"number": 1}))).await;
    assert_eq!(code, "EVENT_INVALID_SCHEMA", "{message}");
    assert!(message.contains("amount") && message.contains("strict"), "{message}");
    server.query(PUBLISH, input("permissive", json!({"number": 2}))).await;
    server.query(PUBLISH, input("strict", json!({"number": 3, "amount": 1}))).await;
    let marked = next(&mut events).await;
    assert_eq!(marked["event"]["metadata"]["number"], 2);
    assert!(marked["misfit"].as_str().unwrap().contains("amount"), "{marked}");
    assert_eq!(next(&mut events).await["misfit"], Value::Null);
    let told = "{ events(filter: {types: [EVENT_INVALID_SCHEMA]}) { nodes { ... on EventInvalidSchema { topic count reason } } } }";
    eventually("both are told", async || {
        let found = server.query(told, Value::Null).await["events"]["nodes"].take();
        (found.as_array()?.len() == 2).then_some(())
    })
    .await;
    let unusable = json!({"i": {"bus": "checked", "topic": "t", "schema": {"type": "nothing"}}});
    assert_eq!(server.refused(define, unusable).await.0, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_bus_that_stops_ends_those_who_listen_and_runs_again_after_a_restart_of_the_registry() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let bus = create(&server, "kept", json!({})).await["id"].clone();
    let mut events = listen(&server, "kept", json!({})).await;
    listening(&server, "kept", 1).await;
    let first = publish(&server, "kept", "t", 1).await["sequence"].as_u64().unwrap();
    assert_eq!(numbers(&mut events, 1).await, [1]);
    let turn = |operation: &str| format!("mutation($b: UUID!) {{ {operation}(input: {{busId: $b}}) {{ status }} }}");
    let stopped = server.query(&turn("stopBus"), json!({ "b": bus })).await;
    assert_eq!(stopped["stopBus"]["status"], "STOPPED");
    assert!(events.next().await.is_none(), "the subscription ends with the bus");
    let event = json!({"i": {"bus": "kept", "event": {"nodeId": NODE, "eventType": "LATE"}}});
    assert_eq!(server.refused(PUBLISH, event).await.0, "BUS_STOPPED");
    server.query(&turn("startBus"), json!({ "b": bus })).await;
    assert_eq!(server.refused(&turn("deleteBus"), json!({ "b": bus })).await.0, "INVALID_ARGUMENT", "it runs");
    assert!(server.stop().success());

    let server = Server::start_in(directory.path(), &[]);
    let asked = "{ bus(by: {name: \"kept\"}) { status startedAt } }";
    assert_eq!(server.query(asked, Value::Null).await["bus"]["status"], "RUNNING");
    let later = publish(&server, "kept", "t", 2).await["sequence"].as_u64().unwrap();
    assert!(later > first, "places never go back");
    server.query(&turn("stopBus"), json!({ "b": bus })).await;
    server.query(&turn("deleteBus"), json!({ "b": bus })).await;
    assert_eq!(server.query(asked, Value::Null).await["bus"], Value::Null);
    assert_eq!(std::fs::read_dir(directory.path().join("buses")).unwrap().count(), 0, "its file goes with it");
    let types = "{ events(filter: {types: [BUS_CREATED, BUS_STARTED, BUS_STOPPED, BUS_DELETED]}) { nodes { type } } }";
    let found = server.query(types, Value::Null).await;
    let found: Vec<&str> =
        found["events"]["nodes"].as_array().unwrap().iter().filter_map(|n| n["type"].as_str()).collect();
    assert_eq!(
        found,
        ["BUS_CREATED", "BUS_STARTED", "BUS_STOPPED", "BUS_STARTED", "BUS_STOPPED", "BUS_DELETED"],
        "one that is started again with the registry was never stopped"
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_code() {
    let server = Server::start();
    create(&server, "one", json!({})).await;
    let refused = async |input: Value| server.refused(CREATE, json!({ "i": input })).await;
    assert_eq!(refused(json!({"name": "one", "kind": "LOCAL"})).await.0, "ALREADY_EXISTS");
    for wrong in [
        json!({"name": "a b", "kind": "LOCAL"}),
        json!({"name": "a", "kind": "LOCAL", "endpointUri": "nats://127.0.0.1:1"}),
        json!({"name": "a", "kind": "JETSTREAM"}),
        json!({"name": "a", "kind": "REDIS", "endpointUri": "http://127.0.0.1:1"}),
        json!({"name": "a", "kind": "ZMQ", "endpointUri": "tcp://here:1"}),
        json!({"name": "a", "kind": "IPC", "endpointUri": "ipc:///tmp/a"}),
        json!({"name": "a", "kind": "ZMQ", "metadata": {"curveClients": []}}),
        json!({"name": "a", "kind": "ZMQ", "metadata": {"curveSecretKeyFile": 7}}),
        json!({"name": "a", "kind": "ZMQ", "metadata": {"curveSecretKeyFile": "/nowhere/key"}}),
        json!({"name": "a", "kind": "LOCAL", "queueCapacity": 0}),
        json!({"name": "a", "kind": "LOCAL", "metadata": [1]}),
    ] {
        assert_eq!(refused(wrong.clone()).await.0, "INVALID_ARGUMENT", "{wrong}");
    }
    let away = json!({"name": "a", "kind": "REDIS", "endpointUri": "redis://127.0.0.1:1/0"});
    assert_eq!(refused(away).await.0, "BUS_UNREACHABLE");
    let event = json!({"i": {"bus": "nowhere", "event": {"nodeId": NODE, "eventType": "E"}}});
    assert_eq!(server.refused(PUBLISH, event).await.0, "BUS_NOT_FOUND");
    let event = json!({"i": {"bus": "one", "topic": "a..b", "event": {"nodeId": NODE, "eventType": "E"}}});
    assert_eq!(server.refused(PUBLISH, event).await.0, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn who_publishes_what_whom_reads_is_seen_beside_what_contracts_declare() {
    let server = Server::start();
    create(&server, "seen", json!({})).await;
    let register = "mutation($i: RegisterInput!) { register(input: $i) { node { id } } }";
    let node = async |name: &str, contract: String| {
        let registered = server.query(register, json!({"i": {"name": name, "contract": contract}})).await;
        registered["register"]["node"]["id"].clone()
    };
    let contract = |name: &str, event_bus: &str| {
        format!("name: {name}\nnode_version: {{major: 1, minor: 0, patch: 0}}\nnode_type: COMPUTE_GENERIC\n{event_bus}")
    };
    let maker = node("maker", contract("maker", "event_bus: {publish_topics: [orders]}\n")).await;
    let taker = node("taker", contract("taker", "event_bus: {subscribe_topics: [orders]}\n")).await;
    let spy = node("spy", contract("spy", "")).await;
    let watch = "subscription($n: UUID) { busEvents(bus: \"seen\", nodeId: $n) { topic } }";
    let mut streams = Vec::new();
    for reader in [&taker, &spy] {
        streams.push(server.client().subscribe::<Value>(watch, json!({ "n": reader })).await.unwrap().boxed());
    }
    listening(&server, "seen", 2).await;
    let event = json!({"nodeId": maker, "eventType": "MADE"});
    server.query(PUBLISH, json!({"i": {"bus": "seen", "topic": "orders", "event": event}})).await;
    for stream in &mut streams {
        assert_eq!(next(stream).await["topic"], "orders");
    }
    let asked = "query($o: Boolean!) { dependencyGraph(observed: $o) { edges { from to via origin } } }";
    let edges = server.query(asked, json!({"o": true})).await["dependencyGraph"]["edges"].take();
    let edges = edges.as_array().unwrap();
    let edge = |to: &Value, origin: &str| json!({"from": maker, "to": to, "via": "orders", "origin": origin});
    assert!(edges.contains(&edge(&taker, "BOTH")) && edges.contains(&edge(&spy, "OBSERVED")), "{edges:?}");
    assert_eq!(edges.len(), 2, "{edges:?}");
    let declared = server.query(asked, json!({"o": false})).await["dependencyGraph"]["edges"].take();
    assert_eq!(declared, json!([edge(&taker, "DECLARED")]));
}

#[tokio::test]
async fn a_node_that_announces_itself_on_a_bus_is_registered_and_answered() {
    let server = Server::start();
    create(&server, "hall", json!({})).await;
    let mut answers =
        listen(&server, "hall", json!({"where": {"eventTypes": ["NODE_ANNOUNCE_ACCEPTED", "NODE_ANNOUNCE_REJECTED"]}}))
            .await;
    listening(&server, "hall", 1).await;
    let contract = json!({"name": "greeter", "node_version": {"major": 1, "minor": 2, "patch": 0}, "node_type": "COMPUTE_GENERIC"});
    let announce = async |metadata: Value| {
        let event = json!({
            "nodeId": NODE, "eventType": "NODE_ANNOUNCE", "correlationId": "hello", "metadata": metadata,
        });
        server.query(PUBLISH, json!({"i": {"bus": "hall", "event": event}})).await;
    };
    announce(json!({"node_id": NODE, "metadata_block": contract, "ttl": 60, "execution_mode": "container"})).await;
    let accepted = next(&mut answers).await;
    assert_eq!(accepted["event"]["eventType"], "NODE_ANNOUNCE_ACCEPTED", "{accepted}");
    assert_eq!(accepted["event"]["correlationId"], "hello");
    assert_eq!(accepted["event"]["metadata"]["node_id"], json!(NODE));
    let asked = "query($id: UUID!) { node(by: {id: $id}) { name version status executionMode ttlSeconds } }";
    let node = server.query(asked, json!({ "id": NODE })).await["node"].take();
    let expected = json!({"name": "greeter", "version": "1.2.0", "status": "ONLINE", "executionMode": "CONTAINER", "ttlSeconds": 60});
    assert_eq!(node, expected);
    for (wrong, word) in [
        (json!({}), "metadata_block"),
        (json!({"node_id": Uuid::from_u128(8), "metadata_block": contract}), "node_id"),
        (json!({"metadata_block": contract, "trust_state": "verified"}), "signature"),
        (json!({"metadata_block": 7}), "no contract"),
        (json!({"metadata_block": contract, "ttl": -1}), "ttlSeconds"),
    ] {
        announce(wrong.clone()).await;
        let rejected = next(&mut answers).await;
        assert_eq!(rejected["event"]["eventType"], "NODE_ANNOUNCE_REJECTED", "{wrong}: {rejected}");
        let reason = rejected["event"]["metadata"]["reason"].as_str().unwrap();
        assert!(reason.contains(word), "{wrong}: {reason}");
    }
}

const METRICS: &str =
    "subscription($every: Int) { busMetrics(bus: \"shop\", everyMs: $every) { published subscriberCount } }";

#[tokio::test]
async fn what_a_bus_has_to_do_is_told_as_it_changes_until_the_bus_is_deleted() {
    let server = Server::start();
    let bus = create(&server, "shop", json!({})).await["id"].take();
    let asked = json!({ "every": 200 });
    let mut metrics = server.client().subscribe::<Value>(METRICS, asked).await.unwrap().boxed();
    let mut next = async || {
        let next = tokio::time::timeout(crate::support::PATIENCE, metrics.next());
        next.await.expect("an answer in time").map(|answer| answer.unwrap()["busMetrics"].take())
    };
    assert_eq!(next().await, Some(json!({"published": 0, "subscriberCount": 0})), "at once, and none of its own");
    publish(&server, "shop", "orders", 1).await;
    assert_eq!(next().await, Some(json!({"published": 1, "subscriberCount": 0})));
    for turn in ["stopBus", "deleteBus"] {
        let document = format!("mutation($i: BusRefInput!) {{ {turn}(input: $i) {{ id }} }}");
        server.query(&document, json!({"i": {"busId": bus}})).await;
    }
    // It may have been seen to stand still before it was gone.
    let last = next().await;
    assert!(last.is_none() || (last.unwrap()["published"] == 0 && next().await.is_none()));
    for every in [199, 60_001] {
        let asked = server.client().subscribe::<Value>(METRICS, json!({ "every": every })).await;
        let refused = match asked {
            Ok(mut events) => events.next().await.unwrap().unwrap_err(),
            Err(error) => error,
        };
        assert!(refused.to_string().contains("everyMs"), "{refused}");
    }
}

#[tokio::test]
async fn one_bus_is_followed_in_the_history_and_live() {
    let server = Server::start();
    create(&server, "other", json!({})).await;
    let bus = create(&server, "shop", json!({})).await["id"].take();
    let watch = "subscription($bus: UUID!) { registryEvents(after: 0, filter: {busId: $bus}) { type } }";
    let mut events = server.client().subscribe::<Value>(watch, json!({ "bus": bus })).await.unwrap().boxed();
    let mut next = async || {
        let next = tokio::time::timeout(crate::support::PATIENCE, events.next());
        next.await.expect("an event in time").unwrap().unwrap()["registryEvents"]["type"].take()
    };
    assert_eq!((next().await, next().await), (json!("BUS_CREATED"), json!("BUS_STARTED")));
    let define = "mutation($i: DefineTopicInput!) { defineTopic(input: $i) { name } }";
    for name in ["other", "shop"] {
        server.query(define, json!({"i": {"bus": name, "topic": "orders", "historyEvents": 3}})).await;
    }
    assert_eq!(next().await, json!("TOPIC_DEFINED"));
    let count = "query($bus: UUID!) { events(filter: {busId: $bus}) { totalCount } \
                 nobody: events(filter: {actor: \"ann\"}) { totalCount } }";
    let found = server.query(count, json!({ "bus": bus })).await;
    assert_eq!(found, json!({"events": {"totalCount": 3}, "nobody": {"totalCount": 0}}));
}

#[tokio::test]
async fn a_nodes_place_on_a_bus_says_who_listens_there_and_how_much_travels() {
    let server = Server::start();
    create(&server, "shop", json!({})).await;
    let mut orders = listen(&server, "shop", json!({"topics": ["orders.*"]})).await;
    let _payments = listen(&server, "shop", json!({"topics": ["payments"]})).await;
    listening(&server, "shop", 2).await;
    let place = |name: &str, bus: Option<&str>| json!({"name": name, "protocol": "WEBSOCKET", "topic": "orders.made", "bus": bus});
    let register = "mutation($i: RegisterInput!) { register(input: $i) { node { id } } }";
    let ports = json!([place("here", Some("shop")), place("elsewhere", Some("none")), place("alone", None)]);
    let all = json!({"name": "all", "protocol": "WEBSOCKET", "bus": "shop"});
    let input = json!({"name": "clerk", "outboundPorts": ports, "inboundPorts": [all]});
    server.query(register, json!({ "i": input })).await;
    let asked = "{ node(by: {name: \"clerk\"}) { outboundPorts { bus { name } subscriberCount messagesPerSecond } \
                 inboundPorts { subscriberCount messagesPerSecond } } }";
    let node = server.query(asked, Value::Null).await["node"].take();
    let nowhere = json!({"bus": null, "subscriberCount": 0, "messagesPerSecond": null});
    let here = json!({"bus": {"name": "shop"}, "subscriberCount": 1, "messagesPerSecond": 0.0});
    assert_eq!(node["outboundPorts"], json!([here, nowhere, nowhere]));
    assert_eq!(node["inboundPorts"], json!([{"subscriberCount": 2, "messagesPerSecond": 0.0}]));
    publish(&server, "shop", "orders.made", 1).await;
    next(&mut orders).await;
    eventually("it has a rate", async || {
        let node = server.query(asked, Value::Null).await["node"].take();
        let rate = |ports: &str| node[ports][0]["messagesPerSecond"].as_f64();
        (rate("outboundPorts") > Some(0.0) && rate("inboundPorts") > Some(0.0)).then_some(())
    })
    .await;
    let described = server.run(&["describe", "--node", "clerk"]);
    let text = String::from_utf8_lossy(&described.stdout).into_owned();
    assert!(text.contains("EVENTS/S") && text.contains("shop"), "{text} {described:?}");
}
