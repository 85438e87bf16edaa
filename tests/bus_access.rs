//! Who may do what on buses, against the real program.

use crate::support::eventually;
use crate::support::guarded::{CONTRACT, DENIED, OK, ask, code, guarded, guarded_by, public, signature};
use ed25519_dalek::SigningKey;
use futures_util::StreamExt;
use onex::client::Client;
use serde_json::{Value, json};

#[tokio::test]
async fn the_registrys_bus_tells_each_what_it_may_know_of() {
    let guarded = guarded("");
    let (viewer, ..) = guarded.client("vic", &["viewer"], None).await;
    let register = "mutation { register(input: {name: \"a\"}) { node { id } } }";
    ask(&guarded.admin, register, json!({})).await.unwrap();
    let listen = "subscription { busEvents(bus: \"registry\", replay: {all: true}) { event { eventType } } }";
    for (client, first) in [(&guarded.admin, "TOKEN_CREATED"), (&viewer, "NODE_REGISTERED")] {
        let mut events = client.subscribe::<Value>(listen, json!({})).await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap()["busEvents"]["event"]["eventType"], first);
    }
}

#[tokio::test]
async fn a_viewer_has_no_events_kept_and_an_agent_has() {
    let guarded = guarded("");
    let create = "mutation { createBus(input: {name: \"shop\", kind: LOCAL}) { id } }";
    ask(&guarded.admin, create, json!({})).await.unwrap();
    let listen = "subscription { busEvents(bus: \"shop\", durable: \"mine\") { sequence } }";
    let (viewer, ..) = guarded.client("vic", &["viewer"], None).await;
    let mut refused = viewer.subscribe::<Value>(listen, json!({})).await.unwrap();
    assert_eq!(code(&refused.next().await.unwrap()), DENIED);
    let (agent, ..) = guarded.client("agatha", &["agent"], None).await;
    let _events = agent.subscribe::<Value>(listen, json!({})).await.unwrap();
    eventually("the name is known", async || {
        let asked = "{ bus(by: {name: \"shop\"}) { subscribers { name } } }";
        let seen = ask(&guarded.admin, asked, json!({})).await.unwrap();
        (seen["bus"]["subscribers"].to_string().contains("mine")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn buses_and_topics_are_for_those_whom_the_policy_permits_them() {
    let directory = tempfile::tempdir().unwrap();
    let policy = r#"
@id("admin") permit (principal in Role::"admin", action, resource);
@id("own") permit (principal in Role::"tenant", action, resource is Bus) when { resource.name == "own" };
@id("a") permit (principal in Role::"tenant", action, resource is Topic) when { resource.name like "a.*" };
"#;
    let guarded = guarded_by(policy, &directory.path().join("policy.cedar"));
    let (tenant, ..) = guarded.client("ten", &["tenant"], None).await;
    for name in ["own", "hidden"] {
        let create = "mutation($n: String!) { createBus(input: {name: $n, kind: LOCAL}) { id } }";
        ask(&guarded.admin, create, json!({ "n": name })).await.unwrap();
    }
    let seen = "{ buses { totalCount nodes { name } } bus(by: {name: \"hidden\"}) { name } }";
    let expected = json!({"buses": {"totalCount": 1, "nodes": [{"name": "own"}]}, "bus": null});
    assert_eq!(ask(&tenant, seen, json!({})).await.unwrap(), expected);
    let publish = "mutation($b: String!, $t: String!) { publish(input: {bus: $b, topic: $t, event: {nodeId: \
                   \"00000000-0000-4000-8000-000000000001\", eventType: \"DONE\"}}) { topic } }";
    let by = async |client: &Client, bus: &str, topic: &str| {
        code(&ask(client, publish, json!({"b": bus, "t": topic})).await)
    };
    assert_eq!(by(&tenant, "own", "a.x").await, OK);
    assert_ne!(by(&tenant, "own", "b.x").await, OK);
    assert_eq!(by(&tenant, "hidden", "a.x").await, by(&tenant, "nowhere", "a.x").await);
    assert_eq!(by(&guarded.admin, "own", "b.x").await, OK);
    assert_eq!(by(&guarded.admin, "own", "a.y").await, OK);
    let watch = "subscription { busEvents(bus: \"own\", replay: {all: true}) { topic } }";
    let mut events = tenant.subscribe::<Value>(watch, json!({})).await.unwrap();
    let mut topics = Vec::new();
    while topics.len() < 2 {
        topics.push(events.next().await.unwrap().unwrap()["busEvents"]["topic"].clone());
    }
    assert_eq!(topics, ["a.x", "a.y"], "what is on other topics is not for it");
}

#[tokio::test]
async fn equal_subscriptions_to_a_bus_give_each_caller_what_it_may_read() {
    let directory = tempfile::tempdir().unwrap();
    let policy = r#"
@id("admin") permit (principal in Role::"admin", action, resource);
@id("bus") permit (principal in Role::"tenant", action, resource is Bus);
@id("a") permit (principal in Role::"tenant", action, resource is Topic) when { resource.name like "a.*" };
@id("all") permit (principal in Role::"wide", action in [Action::"read", Action::"administer"], resource);
@id("listen") permit (principal in Role::"wide", action == Action::"subscribe", resource is Bus);
@id("b") permit (principal in Role::"wide", action == Action::"subscribe", resource is Topic)
    when { resource.name like "b.*" };
"#;
    let guarded = guarded_by(policy, &directory.path().join("policy.cedar"));
    ask(&guarded.admin, "mutation { createBus(input: {name: \"own\", kind: LOCAL}) { id } }", json!({})).await.unwrap();
    let (one, ..) = guarded.client("one", &["tenant"], None).await;
    let (other, ..) = guarded.client("other", &["tenant"], None).await;
    // Who sees all changes as the admin does, and yet may not subscribe to every topic.
    let (wide, ..) = guarded.client("wide", &["wide"], None).await;
    let watch = "subscription { busEvents(bus: \"own\") { topic missed } }";
    let expected = [
        (&guarded.admin, &["a.x", "b.x", "a.y", "b.y"][..]),
        (&one, &["a.x", "a.y"]),
        (&other, &["a.x", "a.y"]),
        (&wide, &["b.x", "b.y"]),
    ];
    let mut watching = Vec::new();
    for (client, topics) in expected {
        watching.push((client.subscribe::<Value>(watch, json!({})).await.unwrap(), topics));
    }
    let count = "{ bus(by: {name: \"own\"}) { metrics { subscriberCount } } }";
    eventually("all listen", async || {
        let found = ask(&guarded.admin, count, json!({})).await.unwrap();
        (found["bus"]["metrics"]["subscriberCount"] == 4).then_some(())
    })
    .await;
    let publish = "mutation($t: String!) { publish(input: {bus: \"own\", topic: $t, event: {nodeId: \
                   \"00000000-0000-4000-8000-000000000001\", eventType: \"DONE\"}}) { topic } }";
    for topic in ["a.x", "b.x", "a.y", "b.y"] {
        ask(&guarded.admin, publish, json!({ "t": topic })).await.unwrap();
    }
    for (events, topics) in &mut watching {
        for topic in *topics {
            let event = events.next().await.unwrap().unwrap()["busEvents"].take();
            assert_eq!(event, json!({"topic": topic, "missed": 0}));
        }
    }
}

#[tokio::test]
async fn a_node_that_announces_itself_is_known_by_its_key_alone() {
    let guarded = guarded("");
    let (client, node, _) = guarded.client("one", &["node"], None).await;
    let create = "mutation { createBus(input: {name: \"hall\", kind: LOCAL}) { id } }";
    ask(&guarded.admin, create, json!({})).await.unwrap();
    let listen = "subscription { busEvents(bus: \"hall\", replay: {all: true}, where: {eventTypes: \
                  [\"NODE_ANNOUNCE_ACCEPTED\", \"NODE_ANNOUNCE_REJECTED\"]}) { event { eventType metadata } } }";
    let mut answers = guarded.admin.subscribe::<Value>(listen, json!({})).await.unwrap();
    let [key, foreign] = [1, 2].map(|byte| SigningKey::from_bytes(&[byte; 32]));
    let mut announce = async |signer: Option<&SigningKey>| {
        let signed = signer.map(|signer| json!({"signature": signature(signer, CONTRACT)}));
        let metadata = json!({"metadata_block": CONTRACT, "signature_block": signed});
        let event = json!({"nodeId": node, "eventType": "NODE_ANNOUNCE", "metadata": metadata});
        let publish = "mutation($i: PublishInput!) { publish(input: $i) { sequence } }";
        ask(&client, publish, json!({"i": {"bus": "hall", "event": event}})).await.unwrap();
        let event = answers.next().await.unwrap().unwrap()["busEvents"]["event"].take();
        (event["eventType"].as_str().unwrap().to_owned(), event["metadata"]["reason"].to_string())
    };
    for signer in [None, Some(&key)] {
        let (answer, reason) = announce(signer).await;
        assert_eq!(answer, "NODE_ANNOUNCE_REJECTED", "nobody knows its key: {reason}");
        assert!(signer.is_some() || reason.contains("access is configured"), "{reason}");
    }
    let register = "mutation($i: RegisterInput!) { register(input: $i) { node { publicKey } } }";
    let input = json!({"contract": CONTRACT, "publicKey": public(&key), "signature": signature(&key, CONTRACT)});
    assert_eq!(code(&ask(&client, register, json!({ "i": input })).await), OK);
    for (signer, expected) in [(None, "REJECTED"), (Some(&foreign), "REJECTED"), (Some(&key), "ACCEPTED")] {
        let (answer, reason) = announce(signer).await;
        assert_eq!(answer, format!("NODE_ANNOUNCE_{expected}"), "{reason}");
    }
}
