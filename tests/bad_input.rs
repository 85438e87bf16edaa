//! Bad input: a clear error with its code, nothing changed, nothing logged that leaks.

use crate::support::server::{Server, onex};
use serde_json::{Value, json};

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";

/// What no message and no log line may repeat.
const SECRET: &str = "hunter2hunter2";

fn alias_bomb() -> String {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    format!("name: bomb\n{bomb}")
}

#[tokio::test]
async fn every_bad_registration_is_refused_with_its_code_and_nothing_changes() {
    let server = Server::start();
    let long = "n".repeat(10_000);
    let deep = format!("name: a\nx: {}{}", "[".repeat(200), "]".repeat(200));
    let broken = format!("name: [a\npassword: {SECRET}");
    let contract = |text: &str| json!({"contract": text});
    for (input, code, says) in [
        (json!({}), "INVALID_ARGUMENT", "names no node"),
        (json!({"name": ""}), "INVALID_ARGUMENT", "name: is empty"),
        (json!({"name": "  "}), "INVALID_ARGUMENT", "name: is empty"),
        (json!({"name": long}), "INVALID_ARGUMENT", "has 10000 characters; the most is 255"),
        (json!({"name": "a b"}), "INVALID_ARGUMENT", "name: has ' ' at character 2"),
        (json!({"name": "a\u{0}"}), "INVALID_ARGUMENT", "name: has '\\0'"),
        (json!({"name": "a", "version": ""}), "INVALID_ARGUMENT", "version: is empty"),
        (json!({"name": "a", "description": "d".repeat(20_000)}), "INVALID_ARGUMENT", "the most is 16384"),
        (json!({"name": "a", "tags": vec!["t"; 2_000]}), "INVALID_ARGUMENT", "tags: has 2000 entries"),
        (json!({"name": "a", "metadata": [1]}), "INVALID_ARGUMENT", "metadata: is no JSON object"),
        (json!({"name": "a", "metadata": {"a": "x".repeat(70_000)}}), "INVALID_ARGUMENT", "the most is 65536"),
        (json!({"name": "a", "capabilities": {"nope": 1}}), "INVALID_ARGUMENT", "capabilities: unknown field"),
        (json!({"name": "a", "ttlSeconds": 0}), "INVALID_ARGUMENT", "ttlSeconds: is 0; a lifetime is 1 to"),
        (json!({"name": "a", "ttlSeconds": -5}), "INVALID_ARGUMENT", "ttlSeconds: is -5"),
        (json!({"name": "a", "ttlSeconds": 2_592_001}), "INVALID_ARGUMENT", "1 to 2592000 seconds"),
        (json!({"name": "a", "kind": "SPACESHIP"}), "INVALID_ARGUMENT", "is no NodeKind: it is one of"),
        (json!({"name": "a", "id": "no"}), "INVALID_ARGUMENT", "$input.id is no UUID"),
        (json!({"id": "00000000-0000-4000-8000-000000000000"}), "NODE_NOT_FOUND", "register it first"),
        (
            json!({"name": "a", "inboundPorts": [{"name": "p", "protocol": "TCP", "port": 70_000}]}),
            "INVALID_ARGUMENT",
            "inboundPorts[0].port: is no port number",
        ),
        (json!({"name": "a", "tools": [{"name": "t", "ttlSeconds": 0}]}), "INVALID_ARGUMENT", "tools[0].ttlSeconds"),
        (json!({"name": "a", "correlationId": "c".repeat(300)}), "INVALID_ARGUMENT", "correlationId: has 300 bytes"),
        (contract(&broken), "CONTRACT_INVALID", "is not readable YAML or JSON"),
        (contract(&alias_bomb()), "CONTRACT_INVALID", "is not readable YAML or JSON"),
        (contract(&deep), "CONTRACT_INVALID", ""),
        (contract(""), "CONTRACT_INVALID", "is empty"),
        (contract("name: ''"), "CONTRACT_INVALID", "name: is empty"),
        (contract(&format!("name: {long}")), "CONTRACT_INVALID", "name: has 10000 characters"),
        (contract(&format!("name: a\nx: {}", "y".repeat(1_100_000))), "CONTRACT_INVALID", "at most 1048576"),
        (contract("name: a\nx: .nan"), "CONTRACT_INVALID", ""),
    ] {
        let (refused_code, message) = server.refused(REGISTER, json!({"input": input})).await;
        let shown: String = input.to_string().chars().take(100).collect();
        assert_eq!(refused_code, code, "{shown}: {message}");
        assert!(message.contains(says), "{shown}: {message}");
        assert!(message.len() < 1_000 && !message.contains(SECRET), "{shown}: {message}");
    }
    for (document, says) in [
        (
            "mutation { attest(input: {nodeId: \"00000000-0000-4000-8000-000000000000\", validatorId: \
          \"00000000-0000-4000-8000-000000000000\", state: TRUSTED, score: 1.5}) { id } }",
            "a score is 0 to 1",
        ),
        ("{ nodes(first: 501) { totalCount } }", "a page has 0 to 500"),
        ("{ nodes(after: \"bogus\") { totalCount } }", "is no cursor of this list"),
        ("{ topics(filter: {pattern: \"a..b\"}) { totalCount } }", "empty segment"),
        ("{ dependencyGraph(depth: 1) { cycles } }", "needs a root"),
        ("{ contract(by: {hash: \"xyz\"}) { name } }", "64 hexadecimal digits"),
    ] {
        let (code, message) = server.refused(document, Value::Null).await;
        assert_eq!(code, "INVALID_ARGUMENT", "{document}: {message}");
        assert!(message.contains(says), "{document}: {message}");
    }
    let (code, _) = server.refused("{ dependencyGraph(root: {name: \"nobody\"}) { cycles } }", Value::Null).await;
    assert_eq!(code, "NODE_NOT_FOUND");
    assert_eq!(server.sequence().await, 0, "nothing changed");
    assert!(!server.said().contains(SECRET), "{}", server.said());
}

#[tokio::test]
async fn a_document_of_fifty_megabytes_is_refused_before_it_is_read() {
    let server = Server::start();
    let body = json!({"query": REGISTER, "variables": {"input": {"contract": "x".repeat(50_000_000)}}}).to_string();
    let request = reqwest::Client::new().post(format!("{}/graphql", server.url()));
    let sent = request.header("content-type", "application/json").body(body).send().await;
    // The server may answer and hang up before all is sent; then some clients never see the answer.
    if let Ok(answer) = sent {
        assert_eq!(answer.status().as_u16(), 413);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "INVALID_ARGUMENT");
    }
    assert_eq!(server.sequence().await, 0);

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("contract.yaml"), "x".repeat(50_000_000)).unwrap();
    let output = server.run(&["register", directory.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("50000000 bytes") && said.contains("1048576"), "{said}");
}

#[test]
fn settings_that_cannot_be_are_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, variable, says) in [
        (vec!["--listen", "0.0.0.0:0"], None, "--insecure"),
        (vec![], Some(("ONEX_HISTORY_SNAPSHOT_EVERY", "0")), "history.snapshot_every"),
        (vec![], Some(("ONEX_LISTEN", "here")), "ONEX_LISTEN"),
        (vec!["--config", "/nowhere.toml"], None, "/nowhere.toml"),
    ] {
        let mut command = onex(&["serve", "--data-dir"]);
        command.arg(directory.path()).args(&arguments);
        if let Some((name, value)) = variable {
            command.env(name, value);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
}
