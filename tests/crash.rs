//! Killed at any moment under load, the registry starts again with every acknowledged change and no half of one.

use crate::support::seed;
use crate::support::server::Server;
use onex::client::Client;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How many times the registry is killed.
const KILLS: u64 = 12;
/// How many clients write at once.
const WRITERS: u64 = 8;

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
const NODES: &str = "query($after: String) { nodes(first: 500, after: $after) { pageInfo { hasNextPage endCursor } \
                     nodes { name description tools { nodes { name description } } contract { description } } } }";

/// What was acknowledged last of each node, and what was asked last.
#[derive(Default)]
struct Told {
    acknowledged: HashMap<String, u64>,
    asked: HashMap<String, u64>,
}

/// One registration: node, contract and two tools all bear the same number.
fn registration(name: &str, number: u64) -> Value {
    let tool =
        |tool: &str| json!({"name": format!("{name}.{tool}"), "version": "1.0.0", "description": number.to_string()});
    let contract = format!("name: {name}\nversion: 1.0.0\ndescription: \"{number}\"\nsalt: {name}");
    json!({"input": {
        "name": name, "description": number.to_string(), "contract": contract, "tools": [tool("one"), tool("two")],
        "ttlSeconds": 86_400,
    }})
}

async fn write(client: Client, writer: u64, told: Arc<Mutex<Told>>) {
    for number in 1.. {
        let name = format!("w{writer}_{}", number % 5);
        told.lock().unwrap().asked.insert(name.clone(), number);
        match client.query::<Value>(REGISTER, registration(&name, number)).await {
            Ok(_) => {
                told.lock().unwrap().acknowledged.insert(name, number);
            }
            // The registry is gone.
            Err(_) => return,
        }
    }
}

async fn nodes(server: &Server) -> HashMap<String, Value> {
    let mut found = HashMap::new();
    let mut after = Value::Null;
    loop {
        let page = server.query(NODES, json!({"after": after})).await["nodes"].clone();
        for node in page["nodes"].as_array().unwrap() {
            found.insert(node["name"].as_str().unwrap().to_owned(), node.clone());
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return found;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let mut random = seed();
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let config = directory.path().join("onex.toml");
    // Snapshots often, so that some kills fall into one.
    std::fs::write(&config, "[history]\nsnapshot_every = 200\n").unwrap();
    let told = Arc::new(Mutex::new(Told::default()));
    let mut survived = 0;
    for _ in 0..KILLS {
        let server = Server::start_in(&data_dir, &["--config", config.to_str().unwrap()]);
        let found = nodes(&server).await;
        survived = found.len();
        {
            let told = told.lock().unwrap();
            for (name, acknowledged) in &told.acknowledged {
                let node = found.get(name).unwrap_or_else(|| panic!("{name} was acknowledged and is lost"));
                let number: u64 = node["description"].as_str().unwrap().parse().unwrap();
                assert!(
                    (*acknowledged..=told.asked[name]).contains(&number),
                    "{name}: {number} is there, {acknowledged} was acknowledged, {} was asked",
                    told.asked[name]
                );
                // All of one registration, or none of it.
                let same = json!(node["description"]);
                assert_eq!(node["contract"]["description"], same, "{node}");
                let tools = node["tools"]["nodes"].as_array().unwrap();
                assert!(tools.len() == 2 && tools.iter().all(|tool| tool["description"] == same), "{node}");
            }
        }
        // Numbers begin anew with each life: what was asked before no longer counts.
        *told.lock().unwrap() = Told::default();
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| tokio::spawn(write(server.client(), writer, told.clone()))).collect();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(20 + (random >> 33) % 300)).await;
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
    }
    assert!(survived > 0, "nothing was ever written");
    let verified = crate::support::server::onex(&["audit", "verify", "--data-dir"]).arg(&data_dir).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
}
