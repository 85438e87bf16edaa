//! Watching: in order, nothing missing, nothing twice, from any place.

use crate::support::registry::{HandClock, Registry};
use crate::support::server::Server;
use futures_util::StreamExt;
use onex::log::Filter;
use onex::log::sqlite::SqliteLog;
use onex::model::{NodeName, RegistryId, Sequence};
use onex::registry::command::{Command, Register};
use onex::registry::upkeep;
use onex::registry::watch::{Error, Watcher};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

async fn register(registry: &Registry, count: u64) {
    for number in 0..count {
        registry.register(&format!("node_{number}"), |_| ()).await.unwrap();
    }
}

fn watcher(registry: &Registry, after: Option<u64>) -> Result<Watcher, Error> {
    Watcher::try_new(registry.engine.views().clone(), Filter::default(), after.map(Sequence))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_watcher_sees_every_change_once_while_writers_write() {
    let registry = Arc::new(Registry::new());
    register(&registry, 50).await;
    let total = 50 + 4 * 250;
    let watchers: Vec<_> = (0..6)
        .map(|number| {
            let mut watcher = watcher(&registry, Some(number * 10)).unwrap();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while seen.last() != Some(&total) {
                    let records = watcher.next().await.unwrap().unwrap();
                    seen.extend(records.iter().map(|record| record.sequence.0));
                }
                assert_eq!(seen, (number * 10 + 1..=total).collect::<Vec<_>>());
            })
        })
        .collect();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let registry = registry.clone();
            tokio::spawn(async move {
                for number in 0..250 {
                    let name = NodeName::try_new(&format!("w{writer}_{number}")).unwrap();
                    let command = Register::named(registry.fresh_id(), Some(name));
                    let request = onex::registry::command::Request {
                        command: Command::Register(Box::new(command)),
                        actor: onex::model::Actor::anonymous(None),
                        correlation_id: None,
                    };
                    registry.engine.handle().submit(request).await.unwrap();
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(watchers) {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn history_that_left_memory_is_read_from_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = Arc::new(SqliteLog::open(directory.path(), "a test", RegistryId(Uuid::from_u128(1))).unwrap());
    register(&Registry::on(log.clone()), 600).await;
    // A second registry on the same log has none of it in memory.
    let later = Registry::on(log);
    let mut watcher = watcher(&later, Some(0)).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 600 {
        seen.extend(watcher.next().await.unwrap().unwrap().iter().map(|record| record.sequence.0));
    }
    assert_eq!(seen, (1..=600).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_place_that_was_pruned_is_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let log = Arc::new(SqliteLog::open(directory.path(), "a test", RegistryId(Uuid::from_u128(1))).unwrap());
    let clock = Arc::new(HandClock::default());
    clock.turn_seconds(1_000);
    let upkeep = upkeep::Options { snapshot_every: 5, retain_seconds: Some(60) };
    let registry = Registry::with(log.clone(), clock.clone(), upkeep.clone());
    register(&registry, 20).await;
    clock.turn_seconds(3_600);
    crate::support::eventually("the past is pruned", async || {
        registry.register(&format!("later_{}", registry.state().sequence), |_| ()).await.unwrap();
        (onex::log::Log::pruned_upto(&*log).unwrap() > Sequence::ZERO).then_some(())
    })
    .await;
    let later = Registry::with(log.clone(), clock, upkeep);
    let gone = watcher(&later, Some(0)).unwrap().next().await.unwrap();
    assert!(matches!(gone, Err(Error::Gone { .. })), "{gone:?}");
    let gone = later.engine.views().at(Sequence(1)).await;
    assert!(matches!(gone, Err(onex::registry::view::Error::Gone { .. })), "{gone:?}");
    let oldest = onex::log::Log::pruned_upto(&*log).unwrap();
    assert!(watcher(&later, Some(oldest.0)).unwrap().next().await.unwrap().is_ok());
    assert_eq!(later.engine.views().at(oldest).await.unwrap().sequence, oldest, "the oldest kept place answers");
}

#[tokio::test]
async fn a_place_ahead_of_the_log_is_refused() {
    let registry = Registry::new();
    assert!(matches!(watcher(&registry, Some(1)), Err(Error::Future { .. })));
}

const WATCH: &str = "subscription($after: Sequence, $filter: EventFilter) { registryEvents(after: $after, filter: \
                     $filter) { __typename sequence type nodeId correlationId metadata ... on NodeRegistered { created \
                     node { name description } } ... on NodeUpdated { node { description } } ... on NodeDeregistered { \
                     node { name description tools { nodes { name } } } } ... on ToolRemoved { tool { name providers { \
                     node { name } } } } } }";

#[tokio::test]
async fn over_a_websocket_events_carry_the_thing_as_it_then_was() {
    let server = Server::start();
    for input in [
        json!({"name": "a", "description": "one", "tools": [{"name": "x", "version": "1.0.0"}], "correlationId": "c1"}),
        json!({"name": "a", "description": "two"}),
    ] {
        let document = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
        server.query(document, json!({"input": input})).await;
    }
    let id = server.query("{ node(by: {name: \"a\"}) { id } }", Value::Null).await["node"]["id"].clone();
    let deregister = "mutation($id: UUID!) { deregister(input: {nodeId: $id, reason: \"over\"}) { name description } }";
    let client = server.client();
    let stream = client.subscribe::<Value>(WATCH, json!({"after": 0})).await.unwrap();
    let mut stream = std::pin::pin!(stream);
    let mut events = Vec::new();
    while events.len() < 5 {
        if events.len() == 3 {
            let last = server.query(deregister, json!({"id": id})).await;
            assert_eq!(last["deregister"], json!({"name": "a", "description": "two"}));
        }
        events.push(stream.next().await.unwrap().unwrap()["registryEvents"].clone());
    }
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["NODE_REGISTERED", "TOOL_REGISTERED", "NODE_UPDATED", "TOOL_REMOVED", "NODE_DEREGISTERED"]);
    assert_eq!(events[0]["node"]["description"], "one", "as it was then, not as it is");
    assert_eq!(events[0]["correlationId"], "c1");
    assert_eq!(events[2]["node"]["description"], "two");
    assert_eq!(events[3]["tool"]["providers"][0]["node"]["name"], "a");
    assert_eq!(events[4]["node"], json!({"name": "a", "description": "two", "tools": {"nodes": [{"name": "x"}]}}));
    assert_eq!(events[4]["metadata"], json!({"reason": "over"}));

    let only = json!({"after": 0, "filter": {"types": ["NODE_UPDATED"]}});
    let stream = client.subscribe::<Value>(WATCH, only).await.unwrap();
    let first = std::pin::pin!(stream).next().await.unwrap().unwrap();
    assert_eq!(first["registryEvents"]["type"], "NODE_UPDATED");
}
