//! Kept answers are what a fresh look gives, and answers are the same whichever way they are written.

use crate::support::door::{Door, Questions, caller};
use crate::support::seed;
use fastrand::Rng;
use onex::graphql::{AtHand, Given};
use onex::model::NodeId;
use onex::registry::command::Command;
use serde_json::json;

fn given(query: &str) -> Given<'_> {
    Given { query, ..Given::default() }
}

/// Something that may change what is answered: with a new version, or without one.
async fn happen(door: &Door, rng: &mut Rng, listening: &mut Vec<onex::proxy::Deliveries>) {
    let names = ["alpha", "beta", "gamma"];
    let name = names[rng.usize(0..names.len())];
    let id = door.registry.state().node_by_name(name).map(|node| node.id);
    let heartbeat = "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { id } }";
    match (rng.u8(0..10), id) {
        (0, _) => door.registry.clock.turn_seconds(rng.i64(1..100)),
        (1, Some(NodeId(id))) => {
            let input = json!({"nodeId": id, "load": rng.f64(), "draining": rng.bool()});
            door.ask(heartbeat, json!({ "input": input })).await;
        }
        (2, Some(id)) => listening.extend(door.proxy.listen(id, None).ok()),
        (3, _) => drop(listening.pop()),
        (4, Some(NodeId(id))) => {
            let attest = "mutation($input: AttestInput!) { attest(input: $input) { id } }";
            let state = ["UNTRUSTED", "TRUSTED", "VERIFIED"][rng.usize(0..3)];
            let input = json!({"nodeId": id, "validatorId": id, "state": state});
            door.ask(attest, json!({ "input": input })).await;
        }
        (5, _) => {
            let call = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { id } }";
            let input = json!({"tool": "lookup", "arguments": {}, "wait": false});
            door.ask(call, json!({ "input": input })).await;
        }
        (6, _) => {
            let register = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
            door.ask(register, json!({"input": {"name": name, "description": rng.u32(..).to_string()}})).await;
        }
        (7, Some(NodeId(id))) => {
            let allocate = "mutation($input: AllocateInput!) { allocate(input: $input) { id } }";
            door.ask(allocate, json!({"input": {"requesterId": id, "ttlSeconds": 5}})).await;
        }
        (8, Some(node)) if rng.u8(0..4) == 0 => {
            let _ = door.registry.submit(Command::Deregister { node, reason: None }).await;
        }
        _ => _ = door.registry.submit(Command::ExpireLapsed).await,
    }
}

#[tokio::test]
async fn a_kept_answer_is_what_a_fresh_look_gives() {
    let door = Door::new();
    door.fill().await;
    let mut rng = Rng::with_seed(seed());
    let questions = Questions::new(&door).await;
    let documents: Vec<String> = (0..60).map(|_| questions.draw(&mut rng)).collect();
    let (mut found, mut refused, mut listening) = (0, 0, Vec::new());
    for _ in 0..300 {
        happen(&door, &mut rng, &mut listening).await;
        for _ in 0..8 {
            let document = &documents[rng.usize(0..documents.len())];
            let before = door.registry.state().sequence;
            let kept = door.kept(&given(document));
            let Some(fresh) = door.fresh(&given(document)).await else {
                refused += 1;
                continue;
            };
            // What calls leave in the log comes when it comes.
            if let Some(kept) = kept.filter(|_| door.registry.state().sequence == before) {
                found += 1;
                assert_eq!(text(&kept.text), text(&fresh.text), "{document}");
            }
        }
    }
    assert!(found > 50, "only {found} answers were found kept");
    assert!(refused < 800, "{refused} of 2,400 were refused");
}

fn text(answer: &[u8]) -> &str {
    std::str::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn what_was_answered_is_kept_until_something_changes() {
    let door = Door::new();
    door.fill().await;
    let query = "query($first: Int) { nodes(first: $first) { nodes { name lastSeenAt } } }";
    let two = serde_json::value::to_raw_value(&json!({"first": 2})).unwrap();
    let asked = Given { variables: Some(&two), ..given(query) };
    assert!(door.kept(&asked).is_none(), "nobody has asked yet");
    let answer = door.fresh(&asked).await.unwrap();
    assert_eq!(door.kept(&asked).unwrap().text, answer.text);
    assert!(door.kept(&given(query)).is_none(), "other variables are another question");
    door.registry.clock.turn_seconds(1);
    assert!(door.kept(&asked).is_some(), "time alone changes nothing");
    let node = door.registry.node("alpha").id;
    door.registry.heartbeat(node).await.unwrap();
    assert!(door.kept(&asked).is_none(), "a heartbeat is a change, too");
    let later = door.fresh(&asked).await.unwrap();
    assert_ne!(later.text, answer.text);
    assert_eq!(door.kept(&asked).unwrap().text, later.text);
}

#[tokio::test]
async fn what_looks_beyond_the_version_is_never_kept() {
    let door = Door::new();
    door.fill().await;
    for query in [
        "{ tools { nodes { providers { load } } } }",
        "{ tools { nodes { providers { connected } } } }",
        "{ tools { nodes { providers { inFlight } } } }",
        "{ tools { nodes { providers { healthy } } } }",
        "{ tools { nodes { quarantine } } }",
        "{ tools { nodes { providers { circuit { state } } } } }",
        "{ portPools { granted } }",
        "{ registry { oldestSequence } }",
        "{ invocations { totalCount } }",
        "{ invocation(id: \"00000000-0000-4000-8000-000000000000\") { status } }",
        "{ events { totalCount } }",
        "{ at(time: \"1970-01-12T13:46:40Z\") { sequence } }",
        "{ node(by: {name: \"alpha\"}) { tools { nodes { quarantine } } } }",
    ] {
        let answer = door.fresh(&given(query)).await.unwrap_or_else(|| panic!("{query} is refused"));
        assert!(!answer.has_errors(), "{query}: {}", text(&answer.text));
        assert!(door.kept(&given(query)).is_none(), "{query}");
    }
}

#[tokio::test]
async fn answers_with_errors_and_mutations_are_never_kept() {
    let door = Door::new();
    door.fill().await;
    let query = "{ node(by: {name: \"alpha\"}) { downstream(depth: -1) { name } } }";
    assert!(door.fresh(&given(query)).await.unwrap().has_errors());
    assert!(door.kept(&given(query)).is_none());
    let id = door.registry.node("alpha").id;
    let mutation = format!("mutation {{ heartbeat(input: {{nodeId: \"{id}\"}}) {{ id }} }}");
    assert!(!door.fresh(&given(&mutation)).await.unwrap().has_errors());
    assert!(!matches!(door.documents.at_hand(&given(&mutation), &caller()), Some(AtHand::Answer(_))));
}

/// Asks for the same, with one field twice, in a way that is not tidied up: for such a document all is the library's.
fn by_the_library(document: &str) -> (String, String) {
    let document = document.strip_suffix(" }").unwrap();
    let last = "last: registry { id }";
    (format!("{document} {last} }}"), format!("{document} {last} ... on Query {{ {last} }} }}"))
}

#[tokio::test]
async fn answers_are_the_same_to_the_byte_whichever_way_they_are_written() {
    let door = Door::new();
    door.fill().await;
    let call = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { id status } }";
    let input = json!({"tool": "nobody", "arguments": {"a": [1, {"b": "\u{1}"}]}});
    door.ask(call, json!({ "input": input })).await;
    let mut rng = Rng::with_seed(seed());
    let questions = Questions::new(&door).await;
    let (mut compared, mut bytes) = (0, 0);
    for _ in 0..400 {
        let (ours, librarys) = by_the_library(&questions.draw(&mut rng));
        let before = door.registry.state().sequence;
        let (Some(one), Some(other)) = (door.fresh(&given(&ours)).await, door.fresh(&given(&librarys)).await) else {
            continue;
        };
        // What calls leave in the log comes when it comes.
        if door.registry.state().sequence != before {
            continue;
        }
        compared += 1;
        bytes += one.text.len();
        assert_eq!(text(&one.text), text(&other.text), "{ours}");
    }
    assert!(compared > 200, "only {compared} of 400 documents could be compared");
    assert!(bytes > 100_000, "answers of {bytes} bytes in all say little");
}

#[tokio::test]
async fn what_cannot_be_written_at_once_is_answered_all_the_same() {
    let door = Door::new();
    door.fill().await;
    for (query, answer) in [
        (
            "{ nodes(first: 2) { nodes { name } ... { nodes { kind } } edges { node { trust { state } ... { trust { score } } } } } }",
            r#"{"data":{"nodes":{"nodes":[{"name":"alpha","kind":"EFFECT"},{"name":"beta","kind":"EFFECT"}],"edges":[{"node":{"trust":{"state":"UNTRUSTED","score":0.0}}},{"node":{"trust":{"state":"UNTRUSTED","score":0.0}}}]}}}"#,
        ),
        (
            "query { nodes(first: 1) { ...C } } fragment C on NodeConnection { nodes { ...N __typename } __typename }
             fragment N on Node { called: name ... on Node { kind @skip(if: true) status @include(if: true) } }",
            r#"{"data":{"nodes":{"nodes":[{"called":"alpha","status":"ONLINE","__typename":"Node"}],"__typename":"NodeConnection"}}}"#,
        ),
    ] {
        let fresh = door.fresh(&given(query)).await.unwrap_or_else(|| panic!("{query} is refused"));
        assert_eq!(text(&fresh.text), answer, "{query}");
    }
}
