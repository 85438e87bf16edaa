//! Schemas that topics take from contracts, and what the configuration says of buses.

use crate::support::server::Server;
use serde_json::{Value, json};
use uuid::Uuid;

const CREATE: &str = "mutation($i: CreateBusInput!) { createBus(input: $i) { name endpointUri contractSchemas } }";
const REGISTER: &str = "mutation($i: RegisterInput!) { register(input: $i) { node { id } } }";
const PUBLISH: &str = "mutation($i: PublishInput!) { publish(input: $i) { topic } }";
const DEFINE: &str = "mutation($i: DefineTopicInput!) { defineTopic(input: $i) { schemaSource } }";
const TOPICS: &str =
    "{ bus(by: {name: \"shop\"}) { topics { name schema schemaHash schemaSource schemaNode { name } } } }";

/// A contract that demands this member of the metadata of what is on the topic.
fn contract(name: &str, topic: &str, member: &str) -> String {
    let schema = json!({"required": ["metadata"], "properties": {"metadata": {"required": [member]}}});
    format!("name: {name}\nevent_bus:\n  publish_topics: [{topic}]\n  topic_schemas: {{{topic}: {schema}}}\n")
}

async fn register(server: &Server, contract: &str) -> Value {
    server.query(REGISTER, json!({"i": {"contract": contract}})).await["register"]["node"]["id"].take()
}

fn event(topic: &str, member: &str) -> Value {
    let event = json!({"nodeId": Uuid::from_u128(7), "eventType": "DONE", "metadata": {member: 1}});
    json!({"i": {"bus": "shop", "topic": topic, "event": event}})
}

async fn topic(server: &Server, name: &str) -> Value {
    let topics = server.query(TOPICS, Value::Null).await["bus"]["topics"].take();
    topics.as_array().unwrap().iter().find(|topic| topic["name"] == name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_topic_without_a_schema_of_its_own_takes_that_of_a_contract_where_its_bus_goes_by_contracts() {
    let server = Server::start();
    register(&server, &contract("first", "orders", "total")).await;
    let shop = json!({"i": {"name": "shop", "kind": "LOCAL", "schemaMode": "STRICT", "contractSchemas": true}});
    assert_eq!(server.query(CREATE, shop).await["createBus"]["contractSchemas"], true);
    server.query(CREATE, json!({"i": {"name": "other", "kind": "LOCAL", "schemaMode": "STRICT"}})).await;
    let found = topic(&server, "orders").await;
    assert_eq!((&found["schemaSource"], &found["schemaNode"]), (&json!("CONTRACT"), &json!({"name": "first"})));
    assert_eq!(found["schema"]["required"], json!(["metadata"]));
    let (code, said) = server.refused(PUBLISH, event("orders", "other")).await;
    assert_eq!(code, "EVENT_INVALID_SCHEMA", "{said}");
    assert!(said.contains(found["schemaHash"].as_str().unwrap()) && said.contains("total"), "{said}");
    server.query(PUBLISH, event("orders", "total")).await;
    let mut elsewhere = event("orders", "other");
    elsewhere["i"]["bus"] = json!("other");
    server.query(PUBLISH, elsewhere).await;
    // Another contract of the same topic comes later, and counts when the first is gone.
    let second = register(&server, &contract("second", "orders", "amount")).await;
    assert_eq!(server.refused(PUBLISH, event("orders", "amount")).await.0, "EVENT_INVALID_SCHEMA");
    let deregister = "mutation($n: UUID!) { deregister(input: {nodeId: $n}) { id } }";
    let first = "{ node(by: {name: \"first\"}) { id } }";
    let first = server.query(first, Value::Null).await["node"]["id"].take();
    server.query(deregister, json!({ "n": first })).await;
    server.query(PUBLISH, event("orders", "amount")).await;
    assert_eq!(topic(&server, "orders").await["schemaNode"]["name"], "second");
    server.query(deregister, json!({ "n": second })).await;
    server.query(PUBLISH, event("orders", "whatever")).await;
    assert_eq!(topic(&server, "orders").await["schemaSource"], Value::Null);
}

#[tokio::test]
async fn what_is_defined_counts_before_what_contracts_say_and_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    server.query(CREATE, json!({"i": {"name": "shop", "kind": "LOCAL", "contractSchemas": true}})).await;
    // Without a schema, what is defined beside it holds for that of the contract.
    let strict = json!({"i": {"bus": "shop", "topic": "orders", "mode": "STRICT"}});
    assert_eq!(server.query(DEFINE, strict).await["defineTopic"]["schemaSource"], Value::Null);
    register(&server, &contract("clerk", "orders", "total")).await;
    assert_eq!(server.refused(PUBLISH, event("orders", "other")).await.0, "EVENT_INVALID_SCHEMA");
    assert!(server.stop().success());
    let server = Server::start_in(directory.path(), &[]);
    assert_eq!(topic(&server, "orders").await["schemaSource"], "CONTRACT");
    assert_eq!(server.refused(PUBLISH, event("orders", "other")).await.0, "EVENT_INVALID_SCHEMA");
    let own = json!({"i": {"bus": "shop", "topic": "orders", "mode": "STRICT", "schema": {"required": ["node_id"]}}});
    assert_eq!(server.query(DEFINE, own).await["defineTopic"]["schemaSource"], "DEFINED");
    server.query(PUBLISH, event("orders", "other")).await;
    assert_eq!(topic(&server, "orders").await["schemaNode"], Value::Null);
}

#[tokio::test]
async fn a_contract_whose_schema_of_a_topic_is_none_is_refused_by_field() {
    let server = Server::start();
    let contract = "name: a\nevent_bus: {publish_topics: [t], topic_schemas: {t: {type: nothing}}}";
    let (code, said) = server.refused(REGISTER, json!({"i": {"contract": contract}})).await;
    assert_eq!(code, "CONTRACT_INVALID", "{said}");
    assert!(said.contains("event_bus.topic_schemas.t"), "{said}");
}

#[tokio::test]
async fn the_configuration_says_where_nats_is_and_what_stands_before_an_events_type() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("onex.toml");
    let settings = "[event_bus]\nnats_url = \"nats://me:secret@127.0.0.1:4222\"\nsubject_prefix = \"acme.events.\"\n";
    std::fs::write(&config, settings).unwrap();
    let server = Server::start_in(&directory.path().join("data"), &["--config", config.to_str().unwrap()]);
    let nats = json!({"i": {"name": "nats", "kind": "JETSTREAM", "start": false}});
    assert_eq!(server.query(CREATE, nats).await["createBus"]["endpointUri"], "nats://***@127.0.0.1:4222");
    let own = json!({"i": {"name": "own", "kind": "JETSTREAM", "start": false, "endpointUri": "nats://127.0.0.1:1"}});
    assert_eq!(server.query(CREATE, own).await["createBus"]["endpointUri"], "nats://127.0.0.1:1");
    server.query(CREATE, json!({"i": {"name": "shop", "kind": "LOCAL"}})).await;
    let mut done = event("", "total");
    done["i"].as_object_mut().unwrap().remove("topic");
    assert_eq!(server.query(PUBLISH, done).await["publish"]["topic"], "acme.events.DONE");
}
