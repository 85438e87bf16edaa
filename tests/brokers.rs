//! Buses with somebody else at the other end: real brokers that are killed and come back, and programs that know
//! nothing of the registry but the documented JSON.

use crate::support::certificates::Certificates;
use crate::support::credentials::Credentials;
use crate::support::door::{Door, caller};
use crate::support::program::Program;
use crate::support::server::Server;
use crate::support::testing::Broker;
use crate::support::{PATIENCE, eventually, python};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use onex::bus::durable::Acknowledging;
use onex::bus::history::Replay;
use onex::bus::hub::{ListeningByName, Shown};
use onex::client::Error;
use onex::graphql::Given;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const CREATE: &str = "mutation($i: CreateBusInput!) { createBus(input: $i) { id status endpoints { publish subscribe \
                      request } portLeases { port purpose } } }";
const PUBLISH: &str = "mutation($i: PublishInput!) { publish(input: $i) { sequence } }";
const EVENTS: &str = "subscription($bus: String!, $durable: String) { busEvents(bus: $bus, durable: $durable) { topic \
                      sequence redelivery missed event { eventId eventType nodeId metadata } } }";
const ACK: &str = "mutation($i: AckEventInput!) { ackEvent(input: $i) { acknowledged } }";

/// A broker of each kind that is there: the kind, its URL and the broker.
async fn brokers() -> Vec<(&'static str, String, Broker)> {
    let nats = Broker::nats().await.map(|nats| ("JETSTREAM", format!("nats://127.0.0.1:{}", nats.port), nats));
    let redis = Broker::redis().await.map(|redis| ("REDIS", format!("redis://127.0.0.1:{}/0", redis.port), redis));
    nats.into_iter().chain(redis).collect()
}

type Events = BoxStream<'static, Result<Value, Error>>;

async fn create(server: &Server, kind: &str, endpoint: Option<String>) -> Value {
    let input = json!({"name": "shop", "kind": kind, "endpointUri": endpoint, "retryBackoffMs": 50});
    server.query(CREATE, json!({ "i": input })).await["createBus"].take()
}

async fn listen(server: &Server, durable: Option<&str>) -> Events {
    let variables = json!({"bus": "shop", "durable": durable});
    let events = server.client().subscribe::<Value>(EVENTS, variables).await.unwrap().boxed();
    eventually("it listens", async || {
        let asked = "{ bus(by: {name: \"shop\"}) { subscribers { name durability connected } } }";
        let bus = server.query(asked, Value::Null).await["bus"].take();
        let is_it = |seen: &Value| match durable {
            Some(name) => seen["name"] == name && seen["connected"] == true,
            None => seen["durability"] == "EPHEMERAL",
        };
        bus["subscribers"].as_array()?.iter().any(is_it).then_some(())
    })
    .await;
    events
}

async fn next(events: &mut Events) -> Value {
    let next = tokio::time::timeout(PATIENCE, events.next()).await;
    next.expect("an event in time").expect("an event").unwrap()["busEvents"].take()
}

fn event(number: u64) -> Value {
    json!({"nodeId": Uuid::from_u128(7), "eventType": "COUNTED", "metadata": {"number": number}})
}

/// An envelope as the documentation has it, by somebody else.
fn envelope(number: u64) -> String {
    let envelope = json!({
        "event_id": Uuid::new_v4(), "node_id": Uuid::from_u128(9), "timestamp": "2026-11-22T12:00:00Z",
        "event_type": "COUNTED", "metadata": {"number": number},
    });
    envelope.to_string()
}

/// What a program sees is the documented JSON, and no more.
fn check_envelope(line: &Value, topic: &str, number: u64) {
    assert_eq!(line["topic"], topic);
    let seen: Value = serde_json::from_str(line["text"].as_str().unwrap()).unwrap();
    let mut names: Vec<&String> = seen.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["event_id", "event_type", "metadata", "node_id", "timestamp"], "{seen}");
    assert_eq!((&seen["event_type"], &seen["metadata"]), (&json!("COUNTED"), &json!({"number": number})));
}

/// A program publishes and receives on the broker itself, beside the registry.
async fn beside(server: &Server, python: &Path, name: &str, url: &str) {
    let mut events = listen(server, None).await;
    let mut receiver =
        Program::start(python, name, &["receive", "--url", url, "--bus", "shop", "--topic", "orders.made"]);
    receiver.listens().await;
    let input = json!({"i": {"bus": "shop", "topic": "orders.made", "event": event(1)}});
    server.query(PUBLISH, input).await;
    check_envelope(&receiver.line().await, "orders.made", 1);
    receiver.ended().await;
    assert_eq!(next(&mut events).await["event"]["metadata"]["number"], 1);
    let text = envelope(2);
    let arguments = ["publish", "--url", url, "--bus", "shop", "--topic", "orders.paid", "--text", &text];
    Program::start(python, name, &arguments).ended().await;
    let seen = next(&mut events).await;
    assert_eq!((seen["topic"].as_str(), &seen["event"]["metadata"]["number"]), (Some("orders.paid"), &json!(2)));
    assert_eq!(seen["event"]["nodeId"], json!(Uuid::from_u128(9)));
}

/// A durable subscriber and those who publish, while the broker is killed and started again.
async fn killed_in_mid_flow(server: &Server, broker: &mut Broker) {
    let mut events = listen(server, Some("billing")).await;
    let publish = async |number: u64| {
        let input = json!({"i": {"bus": "shop", "topic": "t", "event": event(number)}});
        server.client().query::<Value>(PUBLISH, input).await.is_ok()
    };
    let mut answered = Vec::new();
    for number in 0..20 {
        assert!(publish(number).await);
        answered.push(number);
    }
    // Some are done with, some are with the subscriber, some wait: then the broker goes.
    let mut found: BTreeMap<u64, u32> = BTreeMap::new();
    let mut take = async |events: &mut Events| {
        let given = next(events).await;
        let number = given["event"]["metadata"]["number"].as_u64().unwrap();
        let before = found.entry(number).or_default();
        assert!(*before == 0 || given["redelivery"].as_u64().unwrap() > 0, "what comes twice is marked: {given}");
        *before += 1;
        let input = json!({"bus": "shop", "subscriber": "billing", "sequences": [given["sequence"]]});
        let _ = server.client().query::<Value>(ACK, json!({ "i": input })).await;
        found.len()
    };
    for _ in 0..5 {
        take(&mut events).await;
    }
    broker.kill();
    let status = async |wanted: &str| {
        let asked = "{ bus(by: {name: \"shop\"}) { status reason } }";
        let bus = server.query(asked, Value::Null).await["bus"].take();
        (bus["status"] == wanted).then_some(bus)
    };
    let degraded = eventually("it is DEGRADED", async || status("DEGRADED").await).await;
    assert!(degraded["reason"].is_string(), "{degraded}");
    assert!(!publish(1_000).await, "nobody is told that an event was taken which nobody has");
    broker.start_again().await;
    eventually("it is RUNNING", async || status("RUNNING").await).await;
    for number in 20..30 {
        assert!(publish(number).await);
        answered.push(number);
    }
    while take(&mut events).await < answered.len() {}
    let lost: Vec<_> = answered.iter().filter(|number| !found.contains_key(number)).collect();
    assert_eq!(lost, Vec::<&u64>::new(), "what was answered is lost");
}

/// Whoever listens goes on with a broker that has forgotten all it had.
async fn emptied(broker: &mut Broker, kind: &str, url: &str) {
    let server = Server::start();
    create(&server, kind, Some(url.to_owned())).await;
    let mut events = listen(&server, None).await;
    let mut named = listen(&server, Some("billing")).await;
    let publish = async |number: u64| {
        let input = json!({"i": {"bus": "shop", "topic": "t", "event": event(number)}});
        server.client().query::<Value>(PUBLISH, input).await.ok()
    };
    for number in 1..=3 {
        assert!(publish(number).await.is_some());
        assert_eq!(next(&mut events).await["event"]["metadata"]["number"], number);
    }
    broker.kill();
    broker.start_empty().await;
    eventually("it is taken again", async || publish(4).await).await;
    assert_eq!(next(&mut events).await["event"]["metadata"]["number"], 4);
    // Who listened by name hears that its place is gone, and begins anew.
    let ended = async {
        loop {
            match named.next().await.expect("it is told why it ends") {
                Ok(_) => {}
                Err(error) => return error.to_string(),
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("it waits for what will never come");
    assert!(ended.contains("NOT_FOUND") && ended.contains("lost"), "{ended}");
    let mut named = listen(&server, Some("billing")).await;
    let mut number = 4;
    let first = eventually("it is given something", async || {
        number += 1;
        publish(number).await?;
        tokio::time::timeout(Duration::from_millis(200), named.next()).await.ok()
    });
    let first = first.await.expect("an event").unwrap()["busEvents"].take();
    assert!(first["event"]["metadata"]["number"].as_u64() > Some(4), "{first}");
}

#[tokio::test]
async fn who_listens_goes_on_when_a_broker_comes_back_with_nothing_of_what_it_had() {
    for (kind, url, mut broker) in brokers().await {
        emptied(&mut broker, kind, &url).await;
    }
}

/// Who was away with its registry while the broker gave up events is told how many, by name or not.
async fn given_up(broker: &mut Broker, kind: &str, url: &str) {
    const LAST: u64 = 300;
    let (ours, theirs) = (Server::start(), Server::start());
    let input = json!({"i": {"name": "shop", "kind": kind, "endpointUri": url, "historyEvents": 20}});
    let publish = async |server: &Server, number: u64| {
        server.query(PUBLISH, json!({"i": {"bus": "shop", "topic": "t", "event": event(number)}})).await;
    };
    ours.query(CREATE, input.clone()).await;
    let mut listening = [listen(&ours, None).await, listen(&ours, Some("billing")).await];
    publish(&ours, 1).await;
    let [first, named] = [next(&mut listening[0]).await, next(&mut listening[1]).await];
    assert_eq!((&first["event"], &first["missed"]), (&named["event"], &json!(0)));
    let done = json!({"i": {"bus": "shop", "subscriber": "billing", "sequences": [named["sequence"]]}});
    ours.query(ACK, done).await;
    ours.signal("-STOP");
    broker.kill();
    broker.start_again().await;
    theirs.query(CREATE, input).await;
    // So many that REDIS gives some up, which does so by the hundred.
    for number in 2..=LAST {
        publish(&theirs, number).await;
    }
    ours.signal("-CONT");
    for events in &mut listening {
        let mut before = 1;
        let mut missed = 0;
        while before < LAST {
            let event = next(events).await;
            let number = event["event"]["metadata"]["number"].as_u64().unwrap();
            assert_eq!(event["missed"], number - before - 1, "{kind}: {event} behind {before}");
            missed += number - before - 1;
            before = number;
        }
        assert!(missed > 0, "{kind}: nothing was given up");
    }
}

#[tokio::test]
async fn who_was_away_while_its_broker_gave_up_events_is_told_how_many() {
    for (kind, url, mut broker) in brokers().await {
        given_up(&mut broker, kind, &url).await;
    }
}

/// Whoever comes to a name next is told what one that left was not.
async fn left_untold(kind: &str, url: &str) {
    let directory = tempfile::tempdir().unwrap();
    let door = Door::with_buses_in(directory.path().to_owned());
    let ask = async |query: &str, variables: Value| {
        let mut answer = door.ask(query, variables).await;
        assert!(answer["errors"].is_null(), "{answer}");
        answer["data"].take()
    };
    let bus = async || {
        let asked =
            "{ bus(by: {name: \"shop\"}) { metrics { subscriberCount } subscribers { dropped } kept { events } } }";
        ask(asked, json!({})).await["bus"].take()
    };
    let is_left = async || {
        let left = async || (bus().await["metrics"]["subscriberCount"] == 0).then_some(());
        eventually("nobody listens", left).await;
    };
    ask(CREATE, json!({"i": {"name": "shop", "kind": kind, "endpointUri": url, "historyEvents": 20}})).await;
    let listening = "subscription { busEvents(bus: \"shop\", durable: \"billing\") { missed event { metadata } } }";
    let listen = async || {
        let given = Given { query: listening, ..Given::default() };
        door.documents.subscribe(door.documents.prepare(&given, &caller()).await.unwrap(), &caller())
    };
    let mut answers = listen().await;
    eventually("the name is there", async || {
        assert!(answers.next().now_or_never().is_none(), "nothing was published for it");
        (bus().await["metrics"]["subscriberCount"] == 1).then_some(())
    })
    .await;
    drop(answers);
    is_left().await;
    for number in 1..=300 {
        ask(PUBLISH, json!({"i": {"bus": "shop", "topic": "t", "event": event(number)}})).await;
    }
    // One that is given events and takes none of them.
    let view = door.registry.engine.views().current();
    let subscriber = view.subscribers_of(view.bus_by_name("shop").unwrap().id).next().unwrap().clone();
    let (begin, acknowledging) = (Replay::default(), Acknowledging::default());
    let shown: Shown = Arc::new(|_| true);
    let one = ListeningByName { subscriber, begin, acknowledging, open_max: None, node: None, shown };
    let named = door.buses.listen_by_name(one).await.ok().unwrap();
    let lost = async || (bus().await["subscribers"][0]["dropped"] != 0).then_some(());
    eventually("it is known what it lost", lost).await;
    drop(named);
    is_left().await;
    let mut answers = listen().await;
    let first = tokio::time::timeout(PATIENCE, answers.next()).await.unwrap().unwrap();
    let first: Value = serde_json::from_slice(&first.text).unwrap();
    let kept = bus().await["kept"]["events"].as_u64().unwrap();
    assert!(kept < 300, "{kind}: nothing was given up");
    assert_eq!(first["data"]["busEvents"]["missed"], 300 - kept, "{kind}: {first}");
}

#[tokio::test]
async fn who_comes_to_a_name_is_told_what_one_that_left_was_not() {
    for (kind, url, _broker) in brokers().await {
        left_untold(kind, &url).await;
    }
}

/// What is published while the broker is away waits for it.
async fn waited_for(broker: &mut Broker, kind: &str, url: &str) {
    let server = Server::start();
    let input = json!({"name": "patient", "kind": kind, "endpointUri": url, "queuesWhileAway": true});
    server.query(CREATE, json!({ "i": input })).await;
    broker.kill();
    eventually("it is DEGRADED", async || {
        let bus = server.query("{ bus(by: {name: \"patient\"}) { status } }", Value::Null).await["bus"].take();
        (bus["status"] == "DEGRADED").then_some(())
    })
    .await;
    let publish = async |number: u64| {
        let input = json!({"i": {"bus": "patient", "topic": "t", "event": event(number)}});
        server.query(PUBLISH, input).await["publish"]["sequence"].as_u64().unwrap()
    };
    let (first, second, ()) = tokio::join!(publish(1), publish(2), broker.start_again());
    assert_ne!(first, second);
}

#[tokio::test]
async fn what_is_published_while_a_broker_is_away_waits_where_its_bus_has_it_so() {
    for (kind, url, mut broker) in brokers().await {
        waited_for(&mut broker, kind, &url).await;
    }
}

#[tokio::test]
async fn a_jetstream_bus_is_reached_over_tls_by_a_user_whose_password_nobody_is_shown() {
    let certificates = Certificates::new();
    certificates.authority("other");
    let tls = ["--tls", "--tlscert", &certificates.text("server.pem"), "--tlskey", &certificates.text("server.key")];
    let user = ["--user", "registry", "--pass", "hush"];
    let Some(broker) = Broker::nats_with(tls.into_iter().chain(user).map(str::to_owned).collect()).await else {
        return;
    };
    let server = Server::start();
    let input = |password: &str, ca: &str| {
        let url = format!("tls://registry:{password}@127.0.0.1:{}", broker.port);
        let metadata = json!({"tlsCa": certificates.text(ca)});
        json!({"i": {"name": "sealed", "kind": "JETSTREAM", "endpointUri": url, "metadata": metadata}})
    };
    let (_, foreign) = server.refused(CREATE, input("hush", "other.pem")).await;
    let (_, stranger) = server.refused(CREATE, input("guess", "ca.pem")).await;
    assert!(!foreign.contains("hush") && !stranger.contains("guess"), "{foreign} {stranger}");
    let made = server.query(CREATE, input("hush", "ca.pem")).await;
    assert_eq!(made["createBus"]["status"], "RUNNING", "{made}");
    carries(&server, "hush").await;
}

/// The bus `sealed` carries an event, and nothing that is asked of it tells the secret.
async fn carries(server: &Server, secret: &str) {
    let mut events = server.client().subscribe::<Value>(EVENTS, json!({"bus": "sealed"})).await.unwrap().boxed();
    eventually("it listens", async || {
        let asked = "{ bus(by: {name: \"sealed\"}) { endpointUri metadata metrics { subscriberCount } } }";
        let bus = server.query(asked, Value::Null).await["bus"].take();
        assert!(!bus.to_string().contains(secret), "{bus}");
        (bus["metrics"]["subscriberCount"] != 0).then_some(())
    })
    .await;
    let published = json!({"i": {"bus": "sealed", "topic": "t", "event": event(7)}});
    server.query(PUBLISH, published).await;
    assert_eq!(next(&mut events).await["event"]["metadata"]["number"], 7);
}

#[tokio::test]
async fn a_jetstream_bus_is_reached_with_a_credentials_file_and_not_with_a_strangers() {
    let credentials = Credentials::new();
    credentials.user("ours.creds");
    credentials.stranger("theirs.creds");
    let configuration = credentials.path("server.conf").display().to_string();
    let Some(broker) = Broker::nats_with(vec!["-c".to_owned(), configuration]).await else { return };
    let server = Server::start();
    let input = |name: &str| {
        let url = format!("nats://127.0.0.1:{}", broker.port);
        let metadata = json!({"credentials": credentials.path(name)});
        json!({"i": {"name": "sealed", "kind": "JETSTREAM", "endpointUri": url, "metadata": metadata}})
    };
    for name in ["theirs.creds", "nobodys.creds"] {
        let (_, refused) = server.refused(CREATE, input(name)).await;
        assert!(!refused.contains("SEED"), "{refused}");
    }
    let made = server.query(CREATE, input("ours.creds")).await;
    assert_eq!(made["createBus"]["status"], "RUNNING", "{made}");
    let text = std::fs::read_to_string(credentials.path("ours.creds")).unwrap();
    let seed = text.lines().find(|line| line.starts_with("SU")).unwrap();
    carries(&server, seed).await;
}

#[tokio::test]
async fn a_jetstream_bus_is_shared_with_nats_py_and_loses_nothing_when_its_server_is_killed() {
    let Some(mut broker) = Broker::nats().await else { return };
    let server = Server::start();
    let url = format!("nats://127.0.0.1:{}", broker.port);
    assert_eq!(create(&server, "JETSTREAM", Some(url.clone())).await["status"], "RUNNING");
    if let Some(python) = python("nats") {
        beside(&server, &python, "bus_nats.py", &url).await;
    }
    killed_in_mid_flow(&server, &mut broker).await;
}

#[tokio::test]
async fn a_redis_bus_is_shared_with_redis_py_and_loses_nothing_when_its_server_is_killed() {
    let Some(mut broker) = Broker::redis().await else { return };
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}/0", broker.port);
    assert_eq!(create(&server, "REDIS", Some(url.clone())).await["status"], "RUNNING");
    if let Some(python) = python("redis") {
        beside(&server, &python, "bus_redis.py", &url).await;
    }
    killed_in_mid_flow(&server, &mut broker).await;
}

/// Programs with ZeroMQ sockets publish, publish with an answer, and subscribe.
async fn by_sockets(server: &Server, made: &Value) {
    let Some(python) = python("zmq") else { return };
    let endpoint = |what: &str| made["endpoints"][what].as_str().unwrap().to_owned();
    let (publish, subscribe, request) = (endpoint("publish"), endpoint("subscribe"), endpoint("request"));
    let mut events = listen(server, None).await;
    let text = envelope(1);
    let asked = ["request", "--endpoint", &request, "--topic", "orders.made", "--text", &text];
    let mut asking = Program::start(&python, "bus_zmq.py", &asked);
    let answer = asking.line().await;
    let seen = next(&mut events).await;
    assert_eq!(seen["event"]["metadata"]["number"], 1);
    assert!(answer.to_string().contains(&seen["sequence"].to_string()), "{answer} names the place of {seen}");
    let mut listener =
        Program::start(&python, "bus_zmq.py", &["subscribe", "--endpoint", &subscribe, "--topic", "orders."]);
    // Nobody says when a subscription has come: what is published is repeated until something is heard.
    let repeat = async {
        for number in 2.. {
            let input = json!({"i": {"bus": "shop", "topic": "orders.paid", "event": event(number)}});
            server.query(PUBLISH, input).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let heard = tokio::select! { heard = listener.line() => heard, () = repeat => unreachable!() };
    assert_eq!(heard["topic"], "orders.paid");
    let text = envelope(999);
    let said = ["publish", "--endpoint", &publish, "--topic", "orders.sent", "--text", &text];
    let _speaking = Program::start(&python, "bus_zmq.py", &said);
    while next(&mut events).await["event"]["metadata"]["number"] != 999 {}
}

#[tokio::test]
async fn a_zmq_bus_is_reached_with_pyzmq_at_ports_that_it_leases_and_keeps_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let made = create(&server, "ZMQ", None).await;
    let leases = made["portLeases"].as_array().unwrap();
    assert_eq!(leases.len(), 3, "{made}");
    for what in ["publish", "subscribe", "request"] {
        let port = &leases.iter().find(|lease| lease["purpose"].as_str().unwrap().ends_with(what)).unwrap()["port"];
        assert_eq!(made["endpoints"][what], json!(format!("tcp://127.0.0.1:{port}")));
    }
    by_sockets(&server, &made).await;
    let asked = "subscription { busEvents(bus: \"shop\", durable: \"a\") { topic } }";
    let mut refused = server.client().subscribe::<Value>(asked, json!({})).await.unwrap().boxed();
    assert!(refused.next().await.unwrap().unwrap_err().to_string().contains("durable"));
    assert!(server.stop().success());

    let server = Server::start_in(directory.path(), &[]);
    let asked = "{ bus(by: {name: \"shop\"}) { id status endpoints { publish subscribe request } } }";
    let back = server.query(asked, Value::Null).await["bus"].take();
    assert_eq!((&back["status"], &back["endpoints"]), (&json!("RUNNING"), &made["endpoints"]));
    let stop = "mutation($b: UUID!) { stopBus(input: {busId: $b}) { portLeases { port } } }";
    let stopped = server.query(stop, json!({"b": back["id"]})).await;
    assert_eq!(stopped["stopBus"]["portLeases"], json!([]));
    let leases = server.query("{ registry { counts { activeLeases } } }", Value::Null).await;
    assert_eq!(leases["registry"]["counts"]["activeLeases"], 0, "its ports are free again");
}

#[tokio::test]
async fn an_ipc_bus_is_reached_with_pyzmq_at_sockets_in_the_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let made = create(&server, "IPC", None).await;
    let endpoint = made["endpoints"]["publish"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    assert!(endpoint.starts_with("ipc:///") && endpoint.ends_with(&format!("/buses/{id}/publish")), "{endpoint}");
    by_sockets(&server, &made).await;
}
