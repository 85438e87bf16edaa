//! Durable subscribers through the API: what is not acknowledged comes again, whatever ends in between, and what cannot
//! be done goes to the dead letters.

use crate::support::server::Server;
use crate::support::{PATIENCE, eventually};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use onex::client::Error;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

const EVENTS: &str = "subscription($bus: String!, $durable: String, $topics: [String!], $where: BusEventFilter, \
                      $replay: ReplayInput, $capacity: Int, $acknowledge: Acknowledge) { busEvents(bus: $bus, durable: \
                      $durable, topics: $topics, where: $where, replay: $replay, queueCapacity: $capacity, \
                      acknowledge: $acknowledge) { topic sequence missed redelivery event { eventId metadata } } }";
const PUBLISH: &str = "mutation($i: PublishInput!) { publish(input: $i) { sequence matchedSubscribers } }";
const ACK: &str = "mutation($i: AckEventInput!) { ackEvent(input: $i) { acknowledged notOpen } }";
const SUBSCRIBERS: &str =
    "query($n: String!) { bus(by: {name: $n}) { subscribers { name durability connected lag queued } } }";

type Events = BoxStream<'static, Result<Value, Error>>;

async fn create(server: &Server, name: &str, more: Value) {
    let mut input = json!({"name": name, "kind": "LOCAL"});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.query("mutation($i: CreateBusInput!) { createBus(input: $i) { id } }", json!({ "i": input })).await;
}

async fn publish(server: &Server, bus: &str, topic: &str, number: u64) -> u64 {
    let event = json!({"nodeId": Uuid::nil(), "eventType": "COUNTED", "metadata": {"number": number}});
    let input = json!({"bus": bus, "topic": topic, "event": event});
    server.query(PUBLISH, json!({ "i": input })).await["publish"]["sequence"].as_u64().unwrap()
}

/// Listens, and waits until the registry knows of it.
async fn listen(server: &Server, bus: &str, more: Value) -> Events {
    let mut variables = json!({ "bus": bus });
    variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let events = server.client().subscribe::<Value>(EVENTS, variables.clone()).await.unwrap().boxed();
    if let Some(name) = variables["durable"].as_str() {
        eventually("it is connected", async || {
            (subscriber(server, bus, name).await?["connected"] == true).then_some(())
        })
        .await;
    }
    events
}

async fn subscriber(server: &Server, bus: &str, name: &str) -> Option<Value> {
    let found = server.query(SUBSCRIBERS, json!({ "n": bus })).await;
    found["bus"]["subscribers"].as_array()?.iter().find(|found| found["name"] == name).cloned()
}

async fn gone(server: &Server, bus: &str, name: &str) {
    eventually("it has left", async || (subscriber(server, bus, name).await?["connected"] == false).then_some(()))
        .await;
}

async fn next(events: &mut Events) -> Value {
    let next = tokio::time::timeout(PATIENCE, events.next()).await;
    next.expect("an event in time").expect("an event").unwrap()["busEvents"].take()
}

fn number(event: &Value) -> u64 {
    event["event"]["metadata"]["number"].as_u64().unwrap()
}

async fn acknowledge(server: &Server, bus: &str, name: &str, event: &Value, again: bool) -> Value {
    let input = json!({"bus": bus, "subscriber": name, "sequences": [event["sequence"]], "again": again});
    server.query(ACK, json!({ "i": input })).await["ackEvent"].take()
}

#[tokio::test]
async fn what_a_name_has_not_acknowledged_comes_again_to_whoever_listens_by_it() {
    let server = Server::start();
    create(&server, "shop", json!({})).await;
    let mut billing = listen(&server, "shop", json!({"durable": "billing", "topics": ["orders.>"]})).await;
    for number in 1..=3 {
        publish(&server, "shop", "orders.made", number).await;
    }
    publish(&server, "shop", "payments", 9).await;
    let first = next(&mut billing).await;
    assert_eq!((number(&first), first["redelivery"].as_u64()), (1, Some(0)));
    assert_eq!(
        acknowledge(&server, "shop", "billing", &first, false).await["acknowledged"],
        json!([first["sequence"]])
    );
    let again = acknowledge(&server, "shop", "billing", &first, false).await;
    assert_eq!(again["notOpen"], json!([first["sequence"]]), "what is done with is done with once");
    assert_eq!(number(&next(&mut billing).await), 2);
    drop(billing);
    gone(&server, "shop", "billing").await;
    publish(&server, "shop", "orders.made", 4).await;
    let lag = subscriber(&server, "shop", "billing").await.unwrap();
    assert_eq!(
        (lag["durability"].as_str(), lag["lag"].as_u64()),
        (Some("DURABLE"), Some(3)),
        "what it does not want is not owed"
    );

    let mut billing = listen(&server, "shop", json!({"durable": "billing"})).await;
    let mut found = Vec::new();
    for _ in 0..3 {
        let event = next(&mut billing).await;
        assert_eq!(acknowledge(&server, "shop", "billing", &event, false).await["notOpen"], json!([]));
        found.push((number(&event), event["redelivery"].as_u64().unwrap() > 0));
    }
    found.sort_unstable();
    assert_eq!(found, [(2, true), (3, true), (4, false)], "it kept its filter, and what came twice is marked");
    eventually("nothing is owed", async || (subscriber(&server, "shop", "billing").await?["lag"] == 0).then_some(()))
        .await;
}

#[tokio::test]
async fn what_is_refused_comes_again_later_and_is_a_dead_letter_in_the_end() {
    let server = Server::start();
    create(&server, "jobs", json!({"maxDeliveries": 2, "retryBackoffMs": 20})).await;
    let mut worker = listen(&server, "jobs", json!({"durable": "worker"})).await;
    let mut letters = listen(&server, "jobs", json!({"topics": ["*.dlq"]})).await;
    publish(&server, "jobs", "work", 7).await;
    for redelivery in 0..2 {
        let event = next(&mut worker).await;
        assert_eq!((number(&event), event["redelivery"].as_u64()), (7, Some(redelivery)));
        acknowledge(&server, "jobs", "worker", &event, true).await;
    }
    let letter = next(&mut letters).await;
    assert_eq!((letter["topic"].as_str(), number(&letter)), (Some("work.dlq"), 7));
    let types = "{ events(filter: {types: [EVENT_RETRY, EVENT_RETRY_LIMIT_EXCEEDED]}) { nodes { type } } }";
    eventually("both are told", async || {
        let found = server.query(types, Value::Null).await["events"]["nodes"].take();
        (found == json!([{"type": "EVENT_RETRY"}, {"type": "EVENT_RETRY_LIMIT_EXCEEDED"}])).then_some(())
    })
    .await;
    publish(&server, "jobs", "work", 8).await;
    assert_eq!(number(&next(&mut worker).await), 8, "its own dead letter does not come to it");
    let mut replayed = listen(&server, "jobs", json!({"topics": ["work.dlq"], "replay": {"all": true}})).await;
    assert_eq!(number(&next(&mut replayed).await), 7, "dead letters can be replayed");
}

#[tokio::test]
async fn two_who_listen_by_one_name_share_its_events() {
    let server = Server::start();
    create(&server, "shared", json!({})).await;
    let asked = json!({"durable": "pool", "capacity": 5, "acknowledge": "EXPLICIT"});
    let mut one = listen(&server, "shared", asked.clone()).await;
    let mut other =
        server.client().subscribe::<Value>(EVENTS, json!({"bus": "shared", "durable": "pool"})).await.unwrap().boxed();
    for number in 0..20 {
        publish(&server, "shared", "t", number).await;
    }
    let mut found = BTreeSet::new();
    while found.len() < 20 {
        let event = tokio::select! { event = next(&mut one) => event, event = next(&mut other) => event };
        assert!(found.insert(number(&event)), "each came to one of them: {event}");
        acknowledge(&server, "shared", "pool", &event, false).await;
    }
}

#[tokio::test]
async fn nothing_that_was_acknowledged_to_a_publisher_is_lost_when_the_registry_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(directory.path(), &[]);
    create(&server, "kept", json!({})).await;
    let billing = listen(&server, "kept", json!({"durable": "billing"})).await;
    drop(billing);
    gone(&server, "kept", "billing").await;
    let mut owed: BTreeSet<u64> = BTreeSet::new();
    for round in 0..3_u64 {
        for number in round * 10..round * 10 + 10 {
            publish(&server, "kept", "t", number).await;
            owed.insert(number);
        }
        server.kill();
        server = Server::start_in(directory.path(), &[]);
        let mut billing = listen(&server, "kept", json!({"durable": "billing"})).await;
        // Half of them are done with in this round; the others come again behind the next kill.
        for _ in 0..5 {
            let event = next(&mut billing).await;
            acknowledge(&server, "kept", "billing", &event, false).await;
            assert!(owed.remove(&number(&event)), "what is done with does not come again: {event}");
        }
    }
    let mut billing = listen(&server, "kept", json!({"durable": "billing"})).await;
    while !owed.is_empty() {
        let event = next(&mut billing).await;
        acknowledge(&server, "kept", "billing", &event, false).await;
        owed.remove(&number(&event));
    }
}

#[tokio::test]
async fn the_past_that_memory_lacks_is_read_from_what_is_kept_then_what_is_live_follows_without_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    create(&server, "deep", json!({})).await;
    drop(listen(&server, "deep", json!({"durable": "keeper"})).await);
    gone(&server, "deep", "keeper").await;
    let mut places = Vec::new();
    for number in 0..2_500 {
        places.push(publish(&server, "deep", "t", number).await);
    }
    // A topic keeps 1,000 in memory; a durable subscriber owes all of them, on disk.
    let mut all = listen(&server, "deep", json!({"replay": {"all": true}})).await;
    let mut behind = listen(&server, "deep", json!({"replay": {"sinceSequence": places[99]}})).await;
    for number in 0..100 {
        assert_eq!(self::number(&next(&mut all).await), number);
    }
    publish(&server, "deep", "t", 2_500).await;
    for number in 100..=2_500 {
        let (one, other) = (next(&mut all).await, next(&mut behind).await);
        assert_eq!((self::number(&one), self::number(&other), &one["missed"]), (number, number, &json!(0)));
    }
    assert!(server.stop().success());
    let server = Server::start_in(directory.path(), &[]);
    let mut last = listen(&server, "deep", json!({"replay": {"last": 2}})).await;
    assert_eq!(number(&next(&mut last).await), 2_499, "what went before a restart can be replayed");
    assert_eq!(number(&next(&mut last).await), 2_500);
}

#[tokio::test]
async fn a_durable_subscriber_is_told_what_cannot_be_and_is_forgotten_when_deleted() {
    let server = Server::start();
    create(&server, "strict", json!({})).await;
    let refused = async |more: Value| {
        let mut variables = json!({"bus": "strict", "durable": "a"});
        variables.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        match server.client().subscribe::<Value>(EVENTS, variables).await {
            Ok(mut events) => events.next().await.unwrap().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    };
    assert!(refused(json!({"durable": "no name"})).await.contains("INVALID_ARGUMENT"));
    assert!(refused(json!({"capacity": 0})).await.contains("queueCapacity"));
    assert!(refused(json!({"replay": {"last": 3}})).await.contains("replay.last"));
    assert!(refused(json!({"durable": null, "acknowledge": "EXPLICIT"})).await.contains("acknowledge"));
    let mut held = listen(&server, "strict", json!({"durable": "held", "topics": ["a.>"]})).await;
    assert!(refused(json!({"durable": "held", "topics": ["b.>"]})).await.contains("held"), "it has another filter");
    let delete = "mutation($i: SubscriberRefInput!) { deleteSubscriber(input: $i) { name } }";
    let input = json!({"i": {"bus": "strict", "name": "held"}});
    assert_eq!(server.query(delete, input.clone()).await["deleteSubscriber"]["name"], "held");
    let ended =
        tokio::time::timeout(PATIENCE, held.next()).await.unwrap().expect("it is told").unwrap_err().to_string();
    assert!(ended.contains("NOT_FOUND") && ended.contains("deleted"), "{ended}");
    assert_eq!(server.refused(delete, input).await.0, "NOT_FOUND");
    let types = "{ events(filter: {types: [SUBSCRIBER_ATTACHED, SUBSCRIBER_DETACHED]}) { totalCount } }";
    let before = server.query(types, Value::Null).await["events"]["totalCount"].as_u64().unwrap();
    let mut anew = listen(&server, "strict", json!({"durable": "held", "acknowledge": "ON_DELIVERY"})).await;
    publish(&server, "strict", "b.c", 1).await;
    assert_eq!(number(&next(&mut anew).await), 1, "one of the same name is another");
    eventually("what was delivered is done with", async || {
        (subscriber(&server, "strict", "held").await?["lag"] == 0).then_some(())
    })
    .await;
    assert_eq!(server.query(types, Value::Null).await["events"]["totalCount"].as_u64(), Some(before + 1));
}

#[tokio::test]
async fn a_node_that_announces_itself_again_has_rejoined_and_its_subscription_goes_on_where_it_was() {
    let server = Server::start();
    create(&server, "shop", json!({})).await;
    let node = Uuid::from_u128(5);
    let announce = async |ttl: u64| {
        let metadata = json!({"name": "biller", "ttl": ttl});
        let event = json!({"nodeId": node, "eventType": "NODE_ANNOUNCE", "metadata": metadata});
        server.query(PUBLISH, json!({"i": {"bus": "shop", "event": event}})).await;
    };
    let status = async || {
        let found = server.query("query($id: UUID!) { node(by: {id: $id}) { status } }", json!({ "id": node })).await;
        found["node"]["status"].as_str().map(str::to_owned)
    };
    announce(1).await;
    eventually("it is registered", async || status().await).await;
    let billing = json!({"durable": "billing", "topics": ["orders.>"]});
    let mut events = listen(&server, "shop", billing.clone()).await;
    publish(&server, "shop", "orders.made", 1).await;
    let first = next(&mut events).await;
    acknowledge(&server, "shop", "billing", &first, false).await;
    drop(events);
    gone(&server, "shop", "billing").await;
    eventually("it lapses", async || status().await.filter(|status| status == "OFFLINE")).await;
    publish(&server, "shop", "orders.made", 2).await;
    announce(60).await;
    eventually("it is back", async || status().await.filter(|status| status == "ONLINE")).await;
    let mut events = listen(&server, "shop", billing).await;
    let second = next(&mut events).await;
    assert_eq!((number(&first), number(&second), second["missed"].clone()), (1, 2, json!(0)));
    let asked = "query($id: UUID!) { events(filter: {nodeId: $id}) { nodes { type } } }";
    let told = server.query(asked, json!({ "id": node })).await["events"]["nodes"].take();
    let kinds: Vec<&str> = told.as_array().unwrap().iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds[..3], ["NODE_REGISTERED", "NODE_EXPIRED", "NODE_REJOINED"], "{told}");
}
