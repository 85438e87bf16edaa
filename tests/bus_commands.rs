//! `onex bus`, `publish`, `event-monitor` and `simulate`: what users type to let events travel, and to see them do.

use crate::support::eventually;
use crate::support::server::{Server, onex};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";

async fn register(server: &Server, name: &str) -> String {
    let node = server.query(REGISTER, json!({"input": {"name": name, "version": "1.0.0", "ttlSeconds": 600}})).await;
    node["register"]["node"]["id"].as_str().unwrap().to_owned()
}

/// Runs a command that is typed with single spaces.
fn run(server: &Server, typed: &str) -> Output {
    server.run(&typed.split(' ').collect::<Vec<_>>())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a command that must succeed prints.
#[track_caller]
fn shown(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn json_of(output: &Output) -> Value {
    serde_json::from_str(&shown(output)).unwrap()
}

#[track_caller]
fn check_refused(output: &Output, status: i32, parts: &[&str]) {
    let said = said(output);
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(status), true), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

/// The words of the only row of a table.
#[track_caller]
fn row(table: &str) -> Vec<&str> {
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert_eq!(rows.len(), 1, "{table}");
    rows[0].split_whitespace().collect()
}

/// Starts a command to be followed while it runs.
fn start(server: &Server, typed: &str) -> Child {
    let mut command = onex(&typed.split(' ').collect::<Vec<_>>());
    command.env("ONEX_SERVER", server.url()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until somebody listens on a bus; gives it as it is listed.
async fn listener(server: &Server, bus: &str) -> Value {
    eventually("somebody listens", async || {
        let listed = json_of(&run(server, &format!("inspect subscribers --bus {bus} --format json")));
        listed.get(0).cloned()
    })
    .await
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/simulate").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_is_created_listed_stopped_and_deleted() {
    let server = Server::start();
    let none = run(&server, "bus list --kind redis");
    assert!(shown(&none).is_empty() && said(&none).contains("no buses match"), "{}", said(&none));
    let creating = "bus create main --kind local --mode strict --trusted-only --queue-capacity 9 --overflow block \
                    --history-events 5 --history-seconds 60 --purpose orders --format json";
    let bus = json_of(&run(&server, creating));
    assert_eq!((&bus["name"], &bus["kind"], &bus["status"]), (&json!("main"), &json!("LOCAL"), &json!("RUNNING")));
    assert_eq!((&bus["schemaMode"], &bus["trustedOnly"]), (&json!("STRICT"), &json!(true)));
    let policy = json!([9, "BLOCK", 5, 60]);
    let names = ["queueCapacity", "overflow", "historyEvents", "historySeconds"];
    assert_eq!(json!(names.map(|name| &bus["policy"][name])), policy);

    let table = shown(&run(&server, "bus list --search orders"));
    assert_eq!(row(&table), ["main", "LOCAL", "RUNNING", "0", "0", "0.0/s", "0", "-"]);
    assert_eq!(table, shown(&run(&server, "inspect buses --search orders")));
    assert_eq!(row(&shown(&run(&server, "bus create late --kind local --stopped")))[2], "STOPPED");
    assert_eq!(
        json_of(&run(&server, "bus list --format json")).as_array().unwrap().len(),
        3,
        "the registry's own is there, too"
    );
    assert_eq!(row(&shown(&run(&server, "bus list --status stopped")))[0], "late");
    assert_eq!(row(&shown(&run(&server, "inspect buses --search ORDERS")))[0], "main");

    assert_eq!(row(&shown(&run(&server, "bus start late")))[2], "RUNNING");
    check_refused(&run(&server, "bus delete main"), 1, &["main", "stop it first", "INVALID_ARGUMENT"]);
    let by_id = format!("bus stop {}", bus["id"].as_str().unwrap());
    assert_eq!(row(&shown(&run(&server, &by_id)))[..3], ["main", "LOCAL", "STOPPED"]);
    let deleted = run(&server, "bus delete main");
    assert!(shown(&deleted).is_empty() && said(&deleted).contains("main is deleted"), "{}", said(&deleted));
    let left = shown(&run(&server, "bus list"));
    assert!(left.contains("late") && !left.contains("main"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_published_and_shown() {
    let server = Server::start();
    let node = register(&server, "shop").await;
    shown(&run(&server, "bus create main --kind local"));
    let typed = "publish main --topic shop.orders --type order.placed --node shop --metadata {\"order\":1} --tag new \
                 --tag paid --correlation-id cart-7 --format json";
    let published = json_of(&run(&server, typed));
    assert_eq!((&published["topic"], &published["matchedSubscribers"]), (&json!("shop.orders"), &json!(0)));
    let first = published["sequence"].as_u64().unwrap();

    // In a file with the names that events travel with, on standard input with those of the API.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("event.json");
    let event_id = "0190c5a0-7a3e-4cc0-8f6e-1b2c3d4e5f60";
    let event = json!({"event_id": event_id, "event_type": "NODE_START", "node_id": node, "metadata": {"by": "file"}});
    std::fs::write(&file, event.to_string()).unwrap();
    let table = shown(&run(&server, &format!("publish main --event {}", file.display())));
    let words = row(&table);
    assert_eq!((words[0], words[1], words[3], words[4]), ("main", "onex.events.NODE_START", "0", event_id));
    let mut command = onex(&["publish", "main", "--event", "-", "--topic", "shop.returns"]);
    command.env("ONEX_SERVER", server.url()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"eventType\": \"order.returned\", \"nodeId\": \"shop\"}").unwrap();
    assert_eq!(row(&shown(&child.wait_with_output().unwrap()))[1], "shop.returns");

    let monitor = |more: &str| run(&server, &format!("event-monitor --bus main {more}"));
    let text = shown(&monitor("--replay all --count 3"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for part in ["shop.orders", "order.placed", " shop ", "cart-7", "order=1"] {
        assert!(lines[0].contains(part), "{part:?} is not in: {text}");
    }
    let of = |output: Output| json_of(&output)["event"]["eventType"].take();
    assert_eq!(of(monitor("--replay last:1 --count 1 --format json")), "order.returned");
    assert_eq!(of(monitor(&format!("--replay behind:{first} --count 1 --format json"))), "NODE_START");
    let filters = "--topic shop.* --type order.placed --node shop --tag new --tag paid --min-trust untrusted";
    assert_eq!(of(monitor(&format!("{filters} --replay all --count 1 --format json"))), "order.placed");
    assert_eq!(of(monitor("--replay since:2020-01-01T00:00:00Z --topic shop.returns --count 1 --format json")), {
        json!("order.returned")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_listed_and_events_come_as_they_are_published() {
    let server = Server::start();
    register(&server, "shop").await;
    shown(&run(&server, "bus create main --kind local"));
    let nobody = run(&server, "inspect subscribers --bus main");
    assert!(shown(&nobody).is_empty() && said(&nobody).contains("onex event-monitor"), "{}", said(&nobody));
    let child = start(&server, "event-monitor --bus main --topic shop.> --count 1 --format json");
    let listed = listener(&server, "main").await;
    assert_eq!(
        (&listed["topics"], &listed["durability"], &listed["connected"]),
        (&json!(["shop.>"]), &json!("EPHEMERAL"), &json!(true))
    );
    let table = shown(&run(&server, "inspect subscribers --bus main"));
    assert!(
        row(&table).ends_with(&["shop.>", "EPHEMERAL", "yes", "0", "0", listed["id"].as_str().unwrap()]),
        "{table}"
    );
    let published = json_of(&run(&server, "publish main --topic shop.a.b --type T --node shop --format json"));
    assert_eq!(published["matchedSubscribers"], 1);
    let event = json_of(&child.wait_with_output().unwrap());
    assert_eq!((&event["sequence"], &event["missed"]), (&published["sequence"], &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_goes_on_when_the_bus_is_back_and_ends_when_it_is_gone() {
    let server = Server::start();
    register(&server, "shop").await;
    shown(&run(&server, "bus create main --kind local"));
    let publish = |kind: &str| shown(&run(&server, &format!("publish main --type {kind} --node shop")));
    let mut child = start(&server, "event-monitor --bus main --replay all --format json");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next =
        || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["event"]["eventType"].take();
    publish("FIRST");
    assert_eq!(next(), "FIRST");
    shown(&run(&server, "bus stop main"));
    shown(&run(&server, "bus start main"));
    // Whether it is there again by now or not: it is given what it has not seen, once.
    publish("SECOND");
    publish("THIRD");
    assert_eq!((next(), next()), (json!("SECOND"), json!("THIRD")));
    shown(&run(&server, "bus stop main"));
    shown(&run(&server, "bus delete main"));
    // Another of the same name is not taken for it.
    shown(&run(&server, "bus create main --kind local"));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    for part in ["to go on after event", "connected again", "BUS_NOT_FOUND"] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_with_its_code() {
    let server = Server::start();
    register(&server, "shop").await;
    let refused = |typed: &str, status: i32, parts: &[&str]| check_refused(&run(&server, typed), status, parts);
    for typed in [
        "bus start none",
        "bus stop 0190c5a0-7a3e-4cc0-8f6e-1b2c3d4e5f60",
        "bus delete none",
        "inspect subscribers --bus none",
        "event-monitor --bus none",
        "publish none --type T --node shop",
    ] {
        refused(typed, 1, &["BUS_NOT_FOUND", "onex bus"]);
    }
    refused("bus create main --kind local --endpoint nats://127.0.0.1:1", 1, &["INVALID_ARGUMENT", "endpointUri"]);
    refused("bus create main --kind local --queue-capacity 0", 1, &["INVALID_ARGUMENT", "queueCapacity"]);
    shown(&run(&server, "bus create main --kind local --stopped"));
    refused("bus create main --kind local", 1, &["ALREADY_EXISTS"]);
    refused("publish main --type T --node shop", 1, &["BUS_STOPPED", "start it"]);
    refused("event-monitor --bus main", 1, &["BUS_STOPPED", "start it"]);
    shown(&run(&server, "bus start main"));
    refused("publish main --type T --node nobody", 1, &["\"nobody\"", "onex inspect nodes"]);
    refused("event-monitor --bus main --topic a..b", 1, &["INVALID_ARGUMENT", "topics"]);
    refused("publish main --type T", 2, &["--node"]);
    refused("publish main --type T --node shop --metadata 7", 2, &["is no JSON object"]);
    refused("publish main --event /nowhere/to/be/found", 1, &["cannot read /nowhere/to/be/found"]);
    refused("event-monitor --bus main --replay first:1", 2, &["last:10"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("event.json");
    std::fs::write(&file, "{\"event_typ\": \"T\"}").unwrap();
    refused(&format!("publish main --event {}", file.display()), 2, &["is no event", "event_typ"]);
    std::fs::write(&file, "{\"event_type\": \"T\"}").unwrap();
    refused(&format!("publish main --event {}", file.display()), 2, &["has no node_id", "--node"]);
}

/// Runs a scenario; no registry is asked.
fn simulate(file: &Path, more: &[&str]) -> Output {
    onex(&["simulate"]).arg(file).args(more).output().unwrap()
}

#[test]
fn the_examples_of_scenarios_go_as_they_say() {
    for (name, seed) in [("slow-reader.yaml", 7), ("broker-away.yaml", 11)] {
        let text = shown(&simulate(&example(name), &[]));
        assert!(text.contains(&format!("seed {seed}\n")) && text.ends_with("as expected\n"), "{text}");
        let json = json_of(&simulate(&example(name), &["--format", "json"]));
        assert_eq!((&json["seed"], &json["failures"]), (&json!(seed), &json!([])));
    }
    let other = simulate(&example("broker-away.yaml"), &["--seed", "3", "--format", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&other.stdout).unwrap()["seed"], 3);
}

#[test]
fn a_scenario_that_goes_otherwise_fails_and_its_seed_repeats_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("scenario.yaml");
    let scenario = json!({
        "name": "too much", "seconds": 5, "buses": [{"name": "b"}], "subscribers": [{"name": "s"}],
        "publishers": [{"name": "p", "event_type": "T", "count": 30, "rate": 10, "jitter": 0.5}],
        "expect": [{"subscriber": "s", "received": 4}],
    });
    std::fs::write(&file, scenario.to_string()).unwrap();
    let output = simulate(&file, &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not as expected:\n  subscriber s: received should be 4; it is 30"), "{text}");
    // The file gives no seed: one is drawn, and shown.
    let drawn = text.lines().next().unwrap().rsplit_once("seed ").unwrap().1;
    let again = simulate(&file, &["--seed", drawn]);
    assert_eq!(again.stdout, output.stdout);
    let json = simulate(&file, &["--format", "json"]);
    assert_eq!(json.status.code(), Some(1));
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap()["failures"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_no_scenario_is_refused_with_where_it_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("scenario.yaml");
    check_refused(&simulate(&file, &[]), 1, &["cannot read", "scenario.yaml"]);
    std::fs::write(&file, "{name: n, seconds: 1, buses: [{name: b}], subscribers: [{name: s, bus: c}]}").unwrap();
    check_refused(&simulate(&file, &[]), 2, &["scenario.yaml: subscribers[0] (s)", "\"c\""]);
}
