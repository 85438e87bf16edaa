//! Requests that schemathesis makes from the schema: valid by type, senseless by content. Each is answered, none fails
//! in the registry itself, and the registry goes on.

use crate::support::server::Server;
use crate::support::{python, seed};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// For each query and mutation of the schema: the whole takes some 20 seconds.
const REQUESTS_EACH: &str = "12";

#[tokio::test]
async fn whatever_fits_the_schema_is_answered_and_nothing_fails() {
    let Some(python) = python("schemathesis") else { return };
    let server = Server::start();
    // Something to find: named by the words that the requests use.
    let register = "mutation($input: RegisterInput!) { register(input: $input) { created } }";
    for (name, tool) in [("a", "tool_b"), ("node.a", "a")] {
        let contract = format!("name: {name}\nversion: 1.0.0\nevent_bus: {{publish_topics: [topic.c]}}");
        let tools = json!([{"name": tool, "version": "1.0.0", "description": "a tool"}]);
        server.query(register, json!({"input": {"contract": contract, "tools": tools, "tags": ["a"]}})).await;
    }
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(python.with_file_name("schemathesis"));
    command.current_dir(&directory).env("PYTHONPATH", hooks).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("SCHEMATHESIS_HOOKS", "graphql_hooks");
    command.args(["run", &format!("{}/graphql", server.url()), "--phases", "fuzzing", "--checks", "answered"]);
    command.args(["--max-examples", REQUESTS_EACH, "--seed", &(seed() % (1 << 32)).to_string()]);
    command.args(["--suppress-health-check", "all", "--generation-database", "none", "--continue-on-failure"]);
    command.args(["--warnings", "off", "--request-timeout", "30", "--no-color"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    // Else nothing was asked, and nothing was shown.
    assert!(report.contains("No issues found") || report.contains(" passed"), "{report}");
    server.query("{ registry { sequence } }", Value::Null).await;
    let said = server.said();
    assert!(!said.contains("panicked") && !said.contains("a request failed"), "{said}");
}
