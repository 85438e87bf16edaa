//! Real contracts of a live system, where they are there.

use crate::support::corpus;
use crate::support::server::Server;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_live_systems_contracts_give_its_nodes_topics_and_edges() {
    let Some(folder) = corpus("onex-infra") else { return };
    let server = Server::start();
    let output = server.run(&["register", folder.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("115 files: 115 created, 0 updated, 0 unchanged, 0 refused"), "{said}");

    let counts =
        server.query("{ registry { counts { nodes topics contracts tools declaredNodes } } }", Value::Null).await;
    let counts = &counts["registry"]["counts"];
    assert_eq!((&counts["nodes"], &counts["topics"], &counts["contracts"]), (&115.into(), &166.into(), &115.into()));
    assert_eq!((&counts["declaredNodes"], &counts["tools"]), (&115.into(), &1.into()));

    let graph =
        server.query("{ dependencyGraph { edges { from to kind via } nodes { name missing } } }", Value::Null).await;
    let edges = graph["dependencyGraph"]["edges"].as_array().unwrap();
    let topic_edges: Vec<(&str, &str, &str)> = edges
        .iter()
        .filter(|edge| edge["kind"] == "TOPIC")
        .map(|edge| (edge["from"].as_str().unwrap(), edge["to"].as_str().unwrap(), edge["via"].as_str().unwrap()))
        .collect();
    let pairs: BTreeSet<(&str, &str)> = topic_edges.iter().map(|(from, to, _)| (*from, *to)).collect();
    assert_eq!((topic_edges.len(), pairs.len()), (51, 32));
    assert!(pairs.iter().any(|(from, to)| from == to), "one node is paired with itself");

    let before = server.sequence().await;
    let again = server.run(&["register", folder.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && said.contains("115 unchanged") && said.contains("nothing changed"), "{said}");
    assert_eq!(server.sequence().await, before, "registering again changes nothing");
}

#[tokio::test]
async fn documents_of_the_older_form_load_and_unfilled_templates_are_refused() {
    let Some(folder) = corpus("onex-legacy") else { return };
    let server = Server::start();
    let output = server.run(&["register", folder.to_str().unwrap(), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    for result in results.as_array().unwrap() {
        let file = result["file"].as_str().unwrap();
        // A document that still has its template's placeholders is refused wherever it lies.
        let unfilled = std::fs::read_to_string(file).unwrap().contains("TEMPLATE-UUID-REPLACE-ME");
        assert_eq!(result["result"] == "refused", unfilled, "{result}");
        if unfilled {
            assert_eq!(result["code"], "CONTRACT_INVALID");
            assert!(result["message"].as_str().unwrap().contains("uuid:"), "{result}");
        }
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("6 files:"), "{said}");
}
