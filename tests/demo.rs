//! The demo: a registry in which something happens.

use crate::support::server::Server;
use crate::support::{eventually, seed};
use serde_json::{Value, json};

fn demo(data_dir: &std::path::Path) -> Server {
    Server::start_in(data_dir, &["--demo", "--demo-seed", &seed().to_string()])
}

/// Waits until what a query finds is as it should be.
async fn until(server: &Server, what: &str, query: &str, holds: impl Fn(&Value) -> bool) {
    let look = async || holds(&server.query(query, Value::Null).await).then_some(());
    eventually(what, look).await;
}

fn each(found: &Value) -> impl Iterator<Item = &Value> {
    found.as_array().into_iter().flatten()
}

#[tokio::test]
async fn everything_moves_in_a_demo_and_it_ends_when_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let server = demo(&directory.path().join("data"));
    let nodes = "{ nodes { nodes { name status trust { state } } } }";
    until(&server, "nodes are there, one of them declared only", nodes, |found| {
        let with = |status: &str| each(&found["nodes"]["nodes"]).filter(|node| node["status"] == status).count();
        with("ONLINE") >= 11 && with("DECLARED") == 1
    })
    .await;
    until(&server, "validators have spoken", nodes, |found| {
        let states = ["VERIFIED", "TRUSTED", "UNTRUSTED"];
        states.iter().all(|state| each(&found["nodes"]["nodes"]).any(|node| node["trust"]["state"] == *state))
    })
    .await;
    let graph = "{ dependencyGraph { cycles nodes { name missing } } }";
    until(&server, "the graph has a cycle and names that nobody has registered", graph, |found| {
        let graph = &found["dependencyGraph"];
        each(&graph["cycles"]).count() == 1 && each(&graph["nodes"]).filter(|node| node["missing"] == true).count() == 2
    })
    .await;
    let calls = "{ invocations(first: 400) { nodes { status toolName toolVersion } } }";
    until(&server, "calls are answered, of one tool in both versions, and some fail", calls, |found| {
        let has = |holds: &dyn Fn(&Value) -> bool| each(&found["invocations"]["nodes"]).any(holds);
        let quoted =
            |version: &str| has(&|call| call["toolName"] == "quote_shipping" && call["toolVersion"] == version);
        quoted("1.0.0")
            && quoted("2.0.0")
            && has(&|call| call["toolName"] == "pick_order" && call["status"] == "SUCCEEDED")
            && has(&|call| call["status"] == "FAILED")
    })
    .await;
    let buses = "{ buses { nodes { name metrics { published delivered invalid } subscribers { name dropped } } } }";
    until(&server, "events travel on two buses, some do not fit, and a slow reader loses some", buses, |found| {
        // The registry's own bus is nothing of the demo's.
        let buses: Vec<&Value> = each(&found["buses"]["nodes"]).filter(|bus| bus["name"] != "registry").collect();
        let mut subscribers = buses.iter().flat_map(|bus| each(&bus["subscribers"]));
        buses.len() == 2
            && buses.iter().all(|bus| bus["metrics"]["delivered"].as_u64() > Some(0))
            && buses.iter().any(|bus| bus["metrics"]["invalid"].as_u64() > Some(0))
            && subscribers.any(|reader| reader["dropped"].as_u64() > Some(0))
    })
    .await;
    let pools = "{ portPools { host allocated } }";
    until(&server, "ports are leased in two pools", pools, |found| {
        ["localhost", "depot-1"].iter().all(|host| {
            each(&found["portPools"]).any(|pool| pool["host"] == *host && pool["allocated"].as_u64() > Some(0))
        })
    })
    .await;
    let van = "{ node(by: {name: \"van_17\"}) { status } }";
    for status in ["OFFLINE", "ONLINE"] {
        until(&server, &format!("the van is {status}"), van, |found| found["node"]["status"] == status).await;
    }
    assert!(server.stop().success());
}

#[tokio::test]
async fn a_demo_in_a_directory_of_its_own_opens_again() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    for _ in 0..2 {
        let server = demo(&data_dir);
        let query = "{ buses { nodes { metrics { delivered } } } }";
        until(&server, "events travel", query, |found| {
            each(&found["buses"]["nodes"]).any(|bus| bus["metrics"]["delivered"].as_u64() > Some(0))
        })
        .await;
        assert!(!server.said().contains("could not be opened"), "{}", server.said());
        assert!(server.stop().success());
    }
    let Err((status, said)) = Server::try_start_in(directory.path(), &["--demo"]) else {
        panic!("a demo has taken a directory with something else in it");
    };
    assert!(!status.success() && said.contains("is no demo's"), "{said}");
}

#[tokio::test]
async fn a_tool_of_the_demo_answers_whoever_calls_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = demo(&directory.path().join("data"));
    let query = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { status result chunks } }";
    let input = json!({"tool": "pick_order", "arguments": {"orderId": "ORD-1", "shelves": 1}});
    let answered = eventually("the warehouse answers", async || {
        let mut found = server.query(query, json!({ "input": input })).await;
        Some(found["proxyInvoke"].take()).filter(|call| call["status"] == "SUCCEEDED")
    })
    .await;
    assert_eq!(answered["chunks"][0], json!({"shelf": 1, "of": 1, "doing": "picked"}));
    assert!(answered["result"]["parcelId"].as_str().unwrap().starts_with("PCL-"));
}
