//! Equal subscriptions to a bus share what is written of its events, and each has its own queue, and its own losses,
//! all the same.

use crate::support::door::{Door, caller};
use crate::support::eventually;
use crate::support::server::Server;
use crate::support::socket::Socket;
use futures_util::{FutureExt, StreamExt};
use onex::access;
use onex::graphql::{Answer, Answers, Caller, Given};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;

const CREATE: &str = "mutation($i: CreateBusInput!) { createBus(input: $i) { id } }";
const PUBLISH: &str = "mutation($i: PublishInput!) { publish(input: $i) { matchedSubscribers } }";
const COUNT: &str = "{ bus(by: {name: \"b\"}) { metrics { subscriberCount } } }";
const LISTEN: &str = "subscription { busEvents(bus: \"b\") { sequence missed event { metadata } } }";

fn event(number: u64, text: &str) -> Value {
    let event = json!({
        "nodeId": uuid::Uuid::from_u128(7), "eventType": "COUNTED", "metadata": {"number": number, "text": text},
    });
    json!({"i": {"bus": "b", "topic": "t", "event": event}})
}

/// What it missed, and the number of the event that it got.
fn told(message: &Value) -> (u64, u64) {
    let event = &message["data"]["busEvents"];
    let numbers = (event["missed"].as_u64(), event["event"]["metadata"]["number"].as_u64());
    numbers.0.zip(numbers.1).unwrap_or_else(|| panic!("no event: {:.300}", message.to_string()))
}

/// A bus in this process, on which the bytes of answers can be looked at.
struct Bus(Door);

impl Bus {
    async fn new() -> (Self, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let door = Door::with_buses_in(directory.path().to_owned());
        let made = door.ask(CREATE, json!({"i": {"name": "b", "kind": "LOCAL"}})).await;
        assert!(made["errors"].is_null(), "{made}");
        (Bus(door), directory)
    }

    async fn publish(&self, number: u64) {
        self.publish_on("t", number).await;
    }

    async fn publish_on(&self, topic: &str, number: u64) {
        let mut input = event(number, "");
        input["i"]["topic"] = json!(topic);
        let published = self.0.ask(PUBLISH, input).await;
        assert!(published["data"]["publish"]["matchedSubscribers"].is_u64(), "{published}");
    }

    /// One that listens.
    async fn listen(&self, query: &str) -> Answers {
        self.listen_as(&caller(), query).await
    }

    async fn listen_as(&self, caller: &Caller, query: &str) -> Answers {
        let before = self.0.ask(COUNT, json!({})).await;
        let executable = self.0.documents.prepare(&Given { query, ..Given::default() }, caller).await.unwrap();
        let mut answers = self.0.documents.subscribe(executable, caller);
        eventually("it listens", async || {
            assert!(answers.next().now_or_never().is_none(), "nothing was published for it");
            (self.0.ask(COUNT, json!({})).await != before).then_some(())
        })
        .await;
        answers
    }
}

async fn next(answers: &mut Answers) -> (Answer, (u64, u64)) {
    let answer = tokio::time::timeout(crate::support::PATIENCE, answers.next());
    let answer = answer.await.expect("an event in time").expect("an event");
    let told = told(&serde_json::from_slice(&answer.text).unwrap());
    (answer, told)
}

#[tokio::test]
async fn an_event_is_written_once_for_all_who_ask_the_same() {
    let (bus, _directory) = Bus::new().await;
    let mut equal = Vec::new();
    for _ in 0..3 {
        equal.push(bus.listen(LISTEN).await);
    }
    let mut other = bus.listen(&LISTEN.replace("sequence ", "")).await;
    for number in 0..5 {
        bus.publish(number).await;
    }
    for number in 0..5 {
        let mut bytes = Vec::new();
        for answers in &mut equal {
            let (answer, told) = next(answers).await;
            assert_eq!(told, (0, number));
            bytes.push(answer.text);
        }
        assert!(bytes.iter().all(|text| text.as_ptr() == bytes[0].as_ptr()), "not the same bytes");
        let (answer, told) = next(&mut other).await;
        assert_eq!(told, (0, number));
        assert_ne!(answer.text, bytes[0]);
    }
}

#[tokio::test]
async fn who_lost_something_is_told_so_and_goes_on_with_the_others() {
    let (bus, _directory) = Bus::new().await;
    let narrow = LISTEN.replace("bus: \"b\"", "bus: \"b\", queueCapacity: 1");
    let (mut quick, mut slow) = (bus.listen(&narrow).await, bus.listen(&narrow).await);
    for number in 0..3 {
        bus.publish(number).await;
        assert_eq!(next(&mut quick).await.1, (0, number));
    }
    assert_eq!(next(&mut slow).await.1, (2, 2));
    bus.publish(3).await;
    let ((one, told), (other, also_told)) = (next(&mut quick).await, next(&mut slow).await);
    assert_eq!((told, also_told), ((0, 3), (0, 3)));
    assert_eq!(one.text.as_ptr(), other.text.as_ptr(), "not the same bytes");
}

/// Somebody who may read everything but the topic `secret`.
fn reader(bus: &Bus) -> Caller {
    const POLICY: &str = r#"
        permit(principal, action in [Action::"read", Action::"subscribe"], resource);
        forbid(principal, action == Action::"subscribe", resource == Topic::"secret");
    "#;
    let options = access::Options { policy: access::Policy::try_new(POLICY).unwrap(), keys: None };
    let registry = &bus.0.registry;
    let (views, clock) = (registry.engine.views().clone(), registry.clock.clone());
    let access = Arc::new(access::Access::controlled(views, clock, options, 0, 0));
    let nobody = access.nobody();
    Caller { visitor: access::Visitor::new(access, nobody, Ipv4Addr::LOCALHOST.into()), ..caller() }
}

#[tokio::test]
async fn what_was_lost_before_events_that_one_may_not_read_is_told_with_the_next_that_it_may() {
    let (bus, _directory) = Bus::new().await;
    let narrow = LISTEN.replace("bus: \"b\"", "bus: \"b\", queueCapacity: 1");
    let mut reader = bus.listen_as(&reader(&bus), &narrow).await;
    bus.publish(0).await;
    bus.publish_on("secret", 1).await;
    eventually("it has looked at what it may not read", async || {
        assert!(reader.next().now_or_never().is_none(), "it reads what it may not");
        let waiting = bus.0.ask("{ bus(by: {name: \"b\"}) { subscribers { queued } } }", json!({})).await;
        (waiting["data"]["bus"]["subscribers"][0]["queued"] == 0).then_some(())
    })
    .await;
    bus.publish(2).await;
    assert_eq!(next(&mut reader).await.1, (1, 2));
    bus.publish(3).await;
    assert_eq!(next(&mut reader).await.1, (0, 3));
}

#[tokio::test]
async fn what_was_lost_behind_the_last_event_is_told_when_the_bus_stops() {
    let (bus, _directory) = Bus::new().await;
    let narrow = LISTEN.replace("bus: \"b\"", "bus: \"b\", queueCapacity: 1, overflow: DROP_NEWEST");
    let (mut slow, mut other) = (bus.listen(&narrow).await, bus.listen(LISTEN).await);
    for number in 0..3 {
        bus.publish(number).await;
        assert_eq!(next(&mut other).await.1, (0, number));
    }
    let stopping = async {
        let id = bus.0.ask("{ bus(by: {name: \"b\"}) { id } }", json!({})).await["data"]["bus"]["id"].take();
        let stop = "mutation($b: UUID!) { stopBus(input: {busId: $b}) { status } }";
        bus.0.ask(stop, json!({ "b": id })).await
    };
    let ends = async {
        assert_eq!(next(&mut slow).await.1, (0, 0));
        let end = slow.next().await.expect("it is told");
        (end.code(), serde_json::from_slice::<Value>(&end.text).unwrap(), slow.next().await.is_none())
    };
    let (stopped, (code, end, is_over), other) = tokio::join!(stopping, ends, other.next());
    assert!(stopped["errors"].is_null() && other.is_none(), "{stopped}");
    assert_eq!(
        (code, &end["errors"][0]["extensions"]["details"]["missed"], is_over),
        (Some("BUS_STOPPED"), &json!(2), true),
        "{end}"
    );
}

#[tokio::test]
async fn who_comes_late_or_is_far_behind_has_its_answers_all_the_same() {
    let (bus, _directory) = Bus::new().await;
    let (mut behind, mut quick) = (bus.listen(LISTEN).await, bus.listen(LISTEN).await);
    for number in 0..40 {
        bus.publish(number).await;
        assert_eq!(next(&mut quick).await.1, (0, number));
    }
    drop(quick);
    for number in 0..40 {
        assert_eq!(next(&mut behind).await.1, (0, number));
    }
    let replaying = LISTEN.replace("bus: \"b\"", "bus: \"b\", replay: {last: 10}");
    for _ in 0..2 {
        let executable = bus.0.documents.prepare(&Given { query: &replaying, ..Given::default() }, &caller()).await;
        let mut late = bus.0.documents.subscribe(executable.unwrap(), &caller());
        for number in 30..40 {
            assert_eq!(next(&mut late).await.1, (0, number));
        }
    }
}

#[tokio::test]
async fn a_bus_that_is_stopped_ends_all_who_share_and_begins_anew_with_its_next_run() {
    let (bus, _directory) = Bus::new().await;
    let id = bus.0.ask("{ bus(by: {name: \"b\"}) { id } }", json!({})).await["data"]["bus"]["id"].clone();
    for run in 0..2 {
        let (mut one, mut other) = (bus.listen(LISTEN).await, bus.listen(LISTEN).await);
        bus.publish(run).await;
        for answers in [&mut one, &mut other] {
            assert_eq!(next(answers).await.1, (0, run));
        }
        let turn =
            |operation: &str| format!("mutation($b: UUID!) {{ {operation}(input: {{busId: $b}}) {{ status }} }}");
        let (stop, start) = (turn("stopBus"), turn("startBus"));
        let stopping = bus.0.ask(&stop, json!({ "b": id }));
        // Each has what waits for it before it hears of the end.
        let (stopped, one, other) = tokio::join!(stopping, one.next(), other.next());
        assert!(stopped["errors"].is_null() && one.is_none() && other.is_none(), "{stopped}");
        let started = bus.0.ask(&start, json!({ "b": id })).await;
        assert!(started["errors"].is_null(), "{started}");
    }
}

#[tokio::test]
async fn what_is_refused_is_refused_as_without_sharing() {
    let (bus, _directory) = Bus::new().await;
    for (wrong, code) in [
        ("bus: \"nowhere\"", "BUS_NOT_FOUND"),
        ("bus: \"b\", queueCapacity: 0", "INVALID_ARGUMENT"),
        ("bus: \"b\", topics: [\"a..b\"]", "INVALID_ARGUMENT"),
    ] {
        let query = LISTEN.replace("bus: \"b\"", wrong);
        let executable = bus.0.documents.prepare(&Given { query: &query, ..Given::default() }, &caller()).await;
        let mut answers = bus.0.documents.subscribe(executable.unwrap(), &caller());
        let refused = answers.next().await.unwrap();
        assert_eq!((refused.code(), refused.has_data()), (Some(code), false), "{wrong}");
        assert!(answers.next().await.is_none());
    }
}

/// A server with a bus whose queues hold few events, and sockets that listen there, the first of which reads nothing.
async fn with_one_that_stalls(overflow: &str, reading: usize) -> (Server, Socket, Vec<Socket>) {
    let server = Server::start();
    let input = json!({"name": "b", "kind": "LOCAL", "queueCapacity": 5, "overflow": overflow});
    server.query(CREATE, json!({ "i": input })).await;
    let mut stalled = Socket::narrow(&server).await;
    stalled.subscribe("stalled", LISTEN).await;
    let mut sockets = Vec::new();
    for number in 0..reading {
        let mut socket = Socket::ready(&server).await;
        socket.subscribe(&number.to_string(), LISTEN).await;
        sockets.push(socket);
    }
    eventually("all listen", async || {
        let found = server.query(COUNT, Value::Null).await;
        (found["bus"]["metrics"]["subscriberCount"] == reading as u64 + 1).then_some(())
    })
    .await;
    (server, stalled, sockets)
}

/// Publishes so many large events, each of which those who read have before the next is published.
async fn publish_to_readers(server: &Server, sockets: &mut [Socket], numbers: std::ops::Range<u64>) {
    let text = "x".repeat(60_000);
    for number in numbers {
        server.query(PUBLISH, event(number, &text)).await;
        for socket in &mut *sockets {
            assert_eq!(told(&socket.hear().await["payload"]), (0, number), "others miss nothing");
        }
    }
}

/// More than a queue, a connection and the system keep of what is not read.
const LARGE: u64 = 250;

#[tokio::test]
async fn one_that_stalls_among_equals_is_told_what_it_missed_just_where_it_is_missing() {
    for overflow in ["DROP_OLDEST", "DROP_NEWEST"] {
        let (server, mut stalled, mut sockets) = with_one_that_stalls(overflow, 3).await;
        publish_to_readers(&server, &mut sockets, 0..LARGE).await;
        let (mut got, mut missed, mut published) = (0, 0, LARGE);
        while got + missed < published || published == LARGE {
            // With one more there is something to tell of what was lost behind all that waits.
            publish_to_readers(&server, &mut sockets, published..published + 1).await;
            published += 1;
            while let Some(message) = stalled.hear_soon().await {
                let (lost, number) = told(&message["payload"]);
                assert_eq!(number, got + missed + lost, "what is missing is told with what follows it");
                (got, missed) = (got + 1, missed + lost);
            }
        }
        assert!(missed > 0, "it did not stall");
        let listed = server.query("{ bus(by: {name: \"b\"}) { subscribers { dropped } } }", Value::Null).await;
        let listed = listed["bus"]["subscribers"].as_array().unwrap();
        let mut dropped: Vec<u64> = listed.iter().map(|one| one["dropped"].as_u64().unwrap()).collect();
        dropped.sort_unstable();
        assert_eq!(dropped, [0, 0, 0, missed], "the list of subscribers says it of each");
    }
}

#[tokio::test]
async fn one_that_asked_to_be_sent_away_is_told_so_and_the_others_go_on() {
    let (server, mut stalled, mut sockets) = with_one_that_stalls("DISCONNECT", 2).await;
    publish_to_readers(&server, &mut sockets, 0..LARGE).await;
    let mut got = 0;
    let end = loop {
        let message = stalled.hear().await;
        if message["payload"]["errors"].is_array() {
            break message;
        }
        assert_eq!(told(&message["payload"]), (0, got));
        got += 1;
    };
    assert!(got < LARGE, "it did not stall");
    let error = &end["payload"]["errors"][0];
    assert_eq!(error["extensions"]["code"], "UNAVAILABLE", "{error}");
    assert_eq!((&error["extensions"]["details"]["missed"], &error["path"]), (&json!(1), &json!(["busEvents"])));
    assert_eq!(stalled.hear().await["type"], "complete");
    publish_to_readers(&server, &mut sockets, LARGE..LARGE + 5).await;
}
