//! Lifetimes: what lapses, what comes back, and what a restart does to either.

use crate::support::registry::{Registry, ttl};
use crate::support::server::Server;
use crate::support::{eventually, registry::HandClock};
use onex::app::SystemClock;
use onex::model::{NodeStatus, Time, ToolKey, ToolName, Ttl, Version};
use onex::registry::command::{Command, Heartbeat, OfferedTool, Patch};
use onex::registry::engine::Clock;
use onex::registry::refusal::Refusal;
use onex::registry::upkeep;
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn a_registration_lapses_at_its_deadline_unless_renewed() {
    let registry = Registry::new();
    let node = registry.register("a", |r| r.ttl = ttl(10)).await.unwrap().node;
    registry.clock.turn_seconds(9);
    registry.heartbeat(node).await.unwrap();
    registry.clock.turn_seconds(9);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(registry.node("a").status, NodeStatus::Online);
    registry.clock.turn_seconds(1);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(registry.node("a").status, NodeStatus::Offline);
    registry.heartbeat(node).await.unwrap();
    assert_eq!(registry.node("a").status, NodeStatus::Online, "a heartbeat brings it back");
}

#[tokio::test]
async fn what_was_never_live_takes_no_heartbeat_and_never_lapses() {
    let registry = Registry::new();
    let node = registry.register("a", |r| (r.declare_only, r.ttl) = (true, ttl(5))).await.unwrap().node;
    assert!(matches!(registry.heartbeat(node).await, Err(Refusal::NeverLive { .. })));
    registry.clock.turn_seconds(100);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(registry.node("a").status, NodeStatus::Declared);
}

#[tokio::test]
async fn a_draining_node_stays_so_until_it_says_otherwise() {
    let registry = Registry::new();
    let node = registry.register("a", |_| ()).await.unwrap().node;
    for (draining, status) in
        [(Some(true), NodeStatus::Draining), (None, NodeStatus::Draining), (Some(false), NodeStatus::Online)]
    {
        registry
            .submit(Command::Heartbeat(Heartbeat { node, ttl: None, draining, renew_leases: false, tools: None }))
            .await
            .unwrap();
        assert_eq!(registry.node("a").status, status);
    }
}

/// An offer of a tool with a lifetime of its own.
fn brief_offer(name: &str, seconds: u32) -> OfferedTool {
    let key = ToolKey { name: ToolName::try_new(name).unwrap(), version: Version::unstated() };
    let fields = onex::contracts::ToolFields::named(key);
    let definition = onex::contracts::define_tool(fields, "tool", onex::contracts::Spelling::Api).unwrap();
    OfferedTool {
        definition,
        transport: Default::default(),
        endpoint: None,
        ttl: Ttl::from_seconds(seconds),
        max_in_flight: None,
    }
}

#[tokio::test]
async fn an_offer_with_a_lifetime_of_its_own_lapses_by_itself() {
    let registry = Registry::new();
    let node = registry.register("a", |r| r.tools = Patch::Set(vec![brief_offer("x", 5)])).await.unwrap().node;
    registry.clock.turn_seconds(4);
    registry.heartbeat(node).await.unwrap();
    registry.clock.turn_seconds(4);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(registry.state().tools.len(), 1, "a heartbeat renews the offers");
    registry.clock.turn_seconds(1);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert!(registry.state().tools.is_empty() && registry.node("a").tools.is_empty());
    assert_eq!(registry.node("a").status, NodeStatus::Online);
}

#[tokio::test]
async fn offers_that_lapsed_while_the_registry_was_down_share_their_nodes_grace() {
    let registry = Registry::new();
    registry.register("a", |r| (r.ttl, r.tools) = (ttl(5), Patch::Set(vec![brief_offer("x", 5)]))).await.unwrap();
    registry.clock.turn_seconds(60);
    registry.submit(Command::GrantGrace { seconds: 30 }).await.unwrap();
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!((registry.node("a").status, registry.state().tools.len()), (NodeStatus::Online, 1));
    registry.clock.turn_seconds(30);
    registry.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!((registry.node("a").status, registry.state().tools.len()), (NodeStatus::Offline, 0));
}

#[tokio::test]
async fn grace_is_granted_once_and_a_second_restart_does_not_stretch_it() {
    let registry = Registry::new();
    registry.register("a", |r| r.ttl = ttl(10)).await.unwrap();
    registry.clock.turn_seconds(60);
    let again = |registry: &Registry| {
        let clock = Arc::new(HandClock::default());
        clock.turn_seconds(1_000_060);
        Registry::with(registry.log.clone(), clock, upkeep::Options::default())
    };
    let restarted = again(&registry);
    restarted.submit(Command::GrantGrace { seconds: 30 }).await.unwrap();
    let until = restarted.node("a").grace_until.unwrap();
    restarted.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(restarted.node("a").status, NodeStatus::Online, "within its grace");

    let restarted = again(&restarted);
    restarted.clock.turn_seconds(20);
    restarted.submit(Command::GrantGrace { seconds: 30 }).await.unwrap();
    assert_eq!(restarted.node("a").grace_until, Some(until), "one grace, not two");
    restarted.clock.turn_seconds(10);
    restarted.submit(Command::ExpireLapsed).await.unwrap();
    assert_eq!(restarted.node("a").status, NodeStatus::Offline);
}

const STATUS: &str = "query($name: String!) { node(by: {name: $name}) { id status graceUntil expiresAt } }";

#[tokio::test]
async fn the_keeper_expires_rejoins_are_told_and_a_restart_keeps_the_deadline() {
    let kept = tempfile::tempdir().unwrap();
    let data_dir = kept.path().join("data");
    let server = Server::start_in(&data_dir, &[]);
    let register = "mutation { register(input: {name: \"a\", ttlSeconds: 1}) { node { id } } }";
    server.query(register, Value::Null).await;
    let by_name = json!({"name": "a"});
    eventually("the registration lapses", async || {
        let node = server.query(STATUS, by_name.clone()).await;
        (node["node"]["status"] == "OFFLINE").then_some(())
    })
    .await;
    server.query(register, Value::Null).await;
    let events = "{ events { nodes { type } } }";
    let events = server.query(events, Value::Null).await;
    let kinds: Vec<&str> =
        events["events"]["nodes"].as_array().unwrap().iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["NODE_REGISTERED", "NODE_EXPIRED", "NODE_REJOINED"]);

    // The registry is away when the deadline passes: one grace, stated, then the end.
    server.query("mutation { register(input: {name: \"a\", ttlSeconds: 1}) { node { id } } }", Value::Null).await;
    let before = server.query(STATUS, by_name.clone()).await;
    let deadline: Time = before["node"]["expiresAt"].as_str().unwrap().parse().unwrap();
    server.kill();
    eventually("the deadline passes", async || (SystemClock.now() > deadline).then_some(())).await;
    let config = kept.path().join("onex.toml");
    std::fs::write(&config, "[registration]\ngrace_seconds = 2\n").unwrap();
    let server = Server::start_in(&data_dir, &["--config", config.to_str().unwrap()]);
    let after = server.query(STATUS, by_name.clone()).await;
    assert_eq!(after["node"]["status"], "ONLINE");
    assert_eq!(after["node"]["expiresAt"], before["node"]["expiresAt"], "the deadline is not reset in silence");
    assert!(after["node"]["graceUntil"].is_string());
    eventually("the grace ends", async || {
        let node = server.query(STATUS, by_name.clone()).await;
        (node["node"]["status"] == "OFFLINE").then_some(())
    })
    .await;
}
