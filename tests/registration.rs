//! What registering does, in process.

use crate::support::registry::{Registry, ttl};
use onex::contracts::{ToolFields, define_tool};
use onex::model::{CollisionKey, Lifecycle, NodeKind, NodeStatus, ToolKey, ToolName, TrustState, ValidatorId, Version};
use onex::registry::command::{Attest, Command, OfferedTool, Patch};
use onex::registry::decide::Answer;
use onex::registry::refusal::Refusal;
use serde_json::json;
use uuid::Uuid;

fn tool(name: &str, version: &str, description: &str) -> OfferedTool {
    let key = ToolKey { name: ToolName::try_new(name).unwrap(), version: Version::try_new(version).unwrap() };
    let fields = ToolFields {
        description: Some(description.to_owned()),
        input_schema: Some(json!({"type": "object"})),
        ..ToolFields::named(key)
    };
    let definition = define_tool(fields, "tool", onex::contracts::Spelling::Api).unwrap();
    OfferedTool { definition, transport: Default::default(), endpoint: None, ttl: None, max_in_flight: None }
}

fn tools(tools: &[OfferedTool]) -> Patch<Vec<OfferedTool>> {
    Patch::Set(tools.to_vec())
}

fn attest(registry: &Registry, name: &str, state: TrustState, lifecycle: Option<Lifecycle>) -> Command {
    Command::Attest(Attest {
        node: registry.node(name).id,
        validator: ValidatorId(Uuid::from_u128(5)),
        state,
        score: state.default_score(),
        failure_modes: Vec::new(),
        lifecycle,
        signed_by: None,
        overrules_key: false,
    })
}

#[tokio::test]
async fn registering_again_by_name_or_id_updates_and_keeps_identity() {
    let registry = Registry::new();
    let first = registry.register("a", |r| r.description = Patch::Set("one".to_owned())).await.unwrap();
    assert!(first.created && first.changed);
    let same = registry.register("a", |r| r.description = Patch::Set("one".to_owned())).await.unwrap();
    assert_eq!((same.node, same.created, same.changed), (first.node, false, false));
    let renamed = registry.register("b", |r| r.id = Some(first.node)).await.unwrap();
    assert_eq!((renamed.node, renamed.created, renamed.changed), (first.node, false, true));
    assert!(registry.state().node_by_name("a").is_none());
    assert_eq!(registry.node("b").declared.description.as_deref(), Some("one"), "what is not said stays");
    registry.register("b", |r| r.description = Patch::Clear).await.unwrap();
    assert_eq!(registry.node("b").declared.description, None, "what is cleared goes");
}

#[tokio::test]
async fn a_name_that_is_somebody_elses_is_refused() {
    let registry = Registry::new();
    let a = registry.register("a", |_| ()).await.unwrap().node;
    let b = registry.register("b", |_| ()).await.unwrap().node;
    let taken = registry.register("a", |r| r.id = Some(b)).await.unwrap_err();
    assert!(matches!(taken, Refusal::NameTaken { holder, .. } if holder == a));
}

#[tokio::test]
async fn a_contract_fills_what_fields_leave_out() {
    let registry = Registry::new();
    registry.register_contract("name: a\nnode_type: effect\nversion: 1.2.3\ndescription: From it.").await.unwrap();
    let node = registry.node("a");
    assert_eq!(node.status, NodeStatus::Declared);
    assert_eq!(node.declared.kind, NodeKind::Effect);
    assert_eq!(node.declared.description.as_deref(), Some("From it."));
    // The live instance says only that it is there: what the contract said stays.
    registry.register("a", |r| r.ttl = ttl(30)).await.unwrap();
    let node = registry.node("a");
    assert_eq!((node.status, node.declared.kind), (NodeStatus::Online, NodeKind::Effect));
    assert!(node.declared.contract.is_some() && node.expires_at.is_some());
    // A contract registered later by somebody who is not the instance leaves the instance online.
    registry.register_contract("name: a\nnode_type: effect\nversion: 1.2.4").await.unwrap();
    assert_eq!(registry.node("a").status, NodeStatus::Online);
    assert_eq!(registry.state().contracts.len(), 1, "the contract that nobody keeps any more is gone");
}

#[tokio::test]
async fn content_that_changes_under_its_version_is_warned_of() {
    let registry = Registry::new();
    registry.register_contract("name: a\nversion: 1.0.0\ndescription: one").await.unwrap();
    let again = registry.register_contract("name: a\nversion: 1.0.0\ndescription: two").await.unwrap();
    assert!(again.warnings[0].contains("kept its version 1.0.0"), "{:?}", again.warnings);
    assert!(registry.state().collisions.is_empty(), "one node does not collide with itself");
}

#[tokio::test]
async fn tools_named_replace_those_named_before_and_spare_the_contracts() {
    let registry = Registry::new();
    registry.register_contract("name: a\nversion: 1.0.0\nmcp: {expose: true, tool_name: shown}").await.unwrap();
    registry.register("a", |r| r.tools = tools(&[tool("x", "1", "x"), tool("y", "1", "y")])).await.unwrap();
    registry.register("a", |r| r.tools = tools(&[tool("y", "1", "y")])).await.unwrap();
    let names: Vec<String> = registry.node("a").tools.iter().map(|key| key.name.to_string()).collect();
    assert_eq!(names, ["shown", "y"]);
    registry.register("a", |_| ()).await.unwrap();
    assert_eq!(registry.node("a").tools.len(), 2, "a registration that does not speak of tools keeps them");
    registry.register("a", |r| r.tools = Patch::Clear).await.unwrap();
    assert_eq!(registry.node("a").tools.len(), 1);
}

#[tokio::test]
async fn one_tool_offered_twice_otherwise_is_refused_with_all_of_the_registration() {
    let registry = Registry::new();
    let twice = registry.register("a", |r| r.tools = tools(&[tool("x", "1", "one"), tool("x", "1", "two")])).await;
    assert!(matches!(twice, Err(Refusal::ToolOfferedTwice { .. })));
    assert!(registry.state().nodes.is_empty());
}

#[tokio::test]
async fn providers_that_disagree_are_both_kept_and_shown_until_they_agree() {
    let registry = Registry::new();
    let a = registry.register("a", |r| r.tools = tools(&[tool("x", "1", "one")])).await.unwrap();
    let b = registry.register("b", |r| r.tools = tools(&[tool("x", "1", "two")])).await.unwrap();
    assert!(a.warnings.is_empty() && b.warnings[0].contains("tool x 1"), "{:?}", b.warnings);
    let key = CollisionKey::Tool(ToolName::try_new("x").unwrap(), Version::try_new("1").unwrap());
    let sides = registry.state().sides(&key);
    assert_eq!(sides.iter().map(|(_, nodes)| nodes.clone()).collect::<Vec<_>>(), [vec![a.node], vec![b.node]]);
    let state = registry.state();
    let counts =
        state.tool_wanted(&ToolName::try_new("x").unwrap(), None, |_| true).unwrap().definition().description.clone();
    assert_eq!(counts.as_deref(), Some("one"), "what was said first counts");
    registry.submit(Command::Deregister { node: a.node, reason: None }).await.unwrap();
    assert!(registry.state().collisions.is_empty());
    assert_eq!(registry.state().tools.len(), 1);
}

#[tokio::test]
async fn contracts_that_disagree_collide() {
    let registry = Registry::new();
    registry.register_contract("name: a\ncontract_name: c\nversion: 1.0.0\ndescription: one").await.unwrap();
    let other =
        registry.register_contract("name: b\ncontract_name: c\nversion: 1.0.0\ndescription: two").await.unwrap();
    assert!(other.warnings[0].contains("contract c 1.0.0"), "{:?}", other.warnings);
    assert_eq!(registry.state().collisions.len(), 1);
    registry.register_contract("name: b\ncontract_name: c\nversion: 1.0.1\ndescription: two").await.unwrap();
    assert!(registry.state().collisions.is_empty());
}

#[tokio::test]
async fn a_frozen_registration_refuses_changes_and_takes_heartbeats() {
    let registry = Registry::new();
    let node = registry.register("a", |_| ()).await.unwrap().node;
    registry.submit(attest(&registry, "a", TrustState::Verified, Some(Lifecycle::Frozen))).await.unwrap();
    let change = registry.register("a", |r| r.host = Patch::Set("h".to_owned())).await;
    assert!(matches!(change, Err(Refusal::NodeFrozen { .. })));
    let gone = registry.submit(Command::Deregister { node, reason: None }).await;
    assert!(matches!(gone, Err(Refusal::NodeFrozen { .. })));
    registry.heartbeat(node).await.unwrap();
    assert!(!registry.register("a", |_| ()).await.unwrap().changed, "saying the same again is no change");
    registry.submit(attest(&registry, "a", TrustState::Verified, Some(Lifecycle::Validated))).await.unwrap();
    registry.register("a", |r| r.host = Patch::Set("h".to_owned())).await.unwrap();
}

#[tokio::test]
async fn another_contract_voids_what_validators_said() {
    let registry = Registry::new();
    registry.register_contract("name: a\nversion: 1.0.0").await.unwrap();
    registry.submit(attest(&registry, "a", TrustState::Verified, None)).await.unwrap();
    registry.register_contract("name: a\nversion: 1.0.0").await.unwrap();
    assert_eq!(registry.node("a").trust.state(), TrustState::Verified);
    registry.register_contract("name: a\nversion: 1.0.1").await.unwrap();
    assert_eq!(registry.node("a").trust.state(), TrustState::Untrusted);
}

#[tokio::test]
async fn deregistering_answers_the_node_as_it_last_was() {
    let registry = Registry::new();
    let node = registry.register("a", |r| r.tools = tools(&[tool("x", "1", "x")])).await.unwrap().node;
    let outcome = registry.submit(Command::Deregister { node, reason: Some("over".to_owned()) }).await.unwrap();
    let Answer::Deregistered(last) = outcome.answer else { panic!() };
    assert_eq!(last.tools.len(), 1);
    assert!(registry.state().nodes.is_empty() && registry.state().tools.is_empty());
    let unknown = registry.heartbeat(node).await;
    assert!(matches!(unknown, Err(Refusal::NodeNotFound { .. })));
}

#[tokio::test]
async fn a_contract_and_the_fields_beside_it_must_say_the_same_of_a_tool() {
    let registry = Registry::new();
    let contract = "name: a\nversion: 1.0.0\ntools: [{name: x, description: one, input_schema: {type: object}}]";
    registry.register_contract(contract).await.unwrap();
    let otherwise = registry.register("a", |r| r.tools = tools(&[tool("x", "1.0.0", "two")])).await;
    assert!(matches!(otherwise, Err(Refusal::ToolOfferedTwice { .. })));
    registry.register("a", |r| r.tools = tools(&[tool("x", "1.0.0", "one")])).await.unwrap();
    registry.register("a", |r| r.tools = Patch::Clear).await.unwrap();
    assert_eq!(registry.node("a").tools.len(), 1, "what the contract offers stays while the contract does");
}

#[tokio::test]
async fn a_tool_without_a_version_has_the_one_that_the_contract_gives_the_node() {
    let registry = Registry::new();
    registry.register_contract("node_name: a\ncontract_version: {major: 2}\nmcp: {expose: true}").await.unwrap();
    let key = registry.node("a").tools[0].clone();
    assert_eq!((key.name.as_str(), key.version.as_str()), ("a", "2.0.0"));
}
