//! The data directory: one process at a time, nothing foreign overwritten, nothing rewritten unseen.

use crate::support::eventually;
use crate::support::server::{Server, onex};
use futures_util::{FutureExt, StreamExt};
use onex::log::Log;
use onex::log::sqlite::{OpenError, SqliteLog};
use onex::model::RegistryId;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;
use uuid::Uuid;

const REGISTER: &str = "mutation($name: String!) { register(input: {name: $name, ttlSeconds: 600}) { node { id } } }";

async fn filled(data_dir: &Path, count: usize) {
    let server = Server::start_in(data_dir, &[]);
    for number in 0..count {
        server.query(REGISTER, json!({"name": format!("node_{number}")})).await;
    }
    assert!(server.stop().success());
}

fn verify(data_dir: &Path) -> Output {
    onex(&["audit", "verify", "--data-dir"]).arg(data_dir).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_second_process_is_refused_and_told_who_is_first() {
    let server = Server::start();
    let (status, said) = Server::try_start_in(server.data_dir(), &[]).err().expect("the second is refused");
    assert_eq!(status.code(), Some(1));
    assert!(said.contains(&format!("onex process {}", server.pid())) && said.contains("--data-dir"), "{said}");
}

#[tokio::test]
async fn an_untouched_log_is_intact_running_or_stopped() {
    let server = Server::start();
    server.query(REGISTER, json!({"name": "a"})).await;
    let running = verify(server.data_dir());
    assert!(
        running.status.success() && stdout(&running).contains("intact: changes 1 to 1 in 1 batches"),
        "{running:?}"
    );
}

#[tokio::test]
async fn a_rewritten_history_is_found_at_its_place() {
    let tampers: &[(&str, &str)] = &[
        ("UPDATE change SET body = replace(body, 'node_1', 'node_x') WHERE sequence = 2", "its content is not"),
        ("DELETE FROM change WHERE sequence = 2", "change 2 is missing"),
        ("DELETE FROM batch WHERE first = 2", "changes 2 to 2 are missing"),
        ("UPDATE change SET kind = 'NODE_EXPIRED' WHERE sequence = 2", "indexed as something it is not"),
        ("UPDATE change SET time = time - 1 WHERE sequence = 2", "indexed as something it is not"),
        (
            "INSERT INTO change SELECT 9, 9, time, kind, node, tool, lease, bus, actor, correlation_id, body FROM change WHERE sequence = 2",
            "in no batch",
        ),
        ("UPDATE batch SET previous = hash WHERE first = 2", "does not follow"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    filled(&data_dir, 4).await;
    let untouched = fs::read(data_dir.join("registry.db")).unwrap();
    assert!(verify(&data_dir).status.success());
    for (tamper, says) in tampers {
        fs::write(data_dir.join("registry.db"), &untouched).unwrap();
        let connection = Connection::open(data_dir.join("registry.db")).unwrap();
        connection.execute_batch(tamper).unwrap();
        connection.close().unwrap();
        let found = verify(&data_dir);
        assert_eq!(found.status.code(), Some(1), "{tamper}");
        let place = match *says {
            says if says.contains("no batch") => "change 9",
            says if says.contains("2 to 2") => "change 3",
            _ => "change 2",
        };
        let text = stdout(&found);
        assert!(text.contains("BROKEN") && text.contains(place) && text.contains(says), "{tamper}: {text}");
    }
}

#[test]
fn a_foreign_or_torn_file_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let data_dir = directory.path().join(name);
        fs::create_dir(&data_dir).unwrap();
        fs::write(data_dir.join("registry.db"), content).unwrap();
        data_dir
    };
    let ours = directory.path().join("ours");
    drop(SqliteLog::open(&ours, "a test", RegistryId(Uuid::from_u128(1))).unwrap());
    let whole = fs::read(ours.join("registry.db")).unwrap();
    let other = directory.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();

    for (data_dir, says) in [
        (write("empty", b""), "is not an onex registry (it has 0 bytes"),
        (
            write("text", &b"some notes of somebody's, long enough to have a header's length".repeat(3)),
            "it is no SQLite file",
        ),
        (write("sqlite", &fs::read(&other).unwrap()), "an SQLite file of another program"),
        (write("torn", &whole[..whole.len() / 2]), "is damaged (it has"),
    ] {
        let path = data_dir.join("registry.db");
        let before = fs::read(&path).unwrap();
        let (status, said) = Server::try_start_in(&data_dir, &[]).err().expect(says);
        assert_eq!(status.code(), Some(1));
        assert!(said.contains(says) && said.contains("nothing was changed"), "{said}");
        assert_eq!(fs::read(&path).unwrap(), before, "{says}");
    }
}

#[tokio::test]
async fn a_damaged_log_is_said_to_be_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    filled(&data_dir, 3).await;
    let connection = Connection::open(data_dir.join("registry.db")).unwrap();
    connection.execute_batch("UPDATE change SET body = 'nothing' WHERE sequence = 2").unwrap();
    connection.close().unwrap();
    let (_, said) = Server::try_start_in(&data_dir, &[]).err().expect("the start is refused");
    assert!(said.contains("the log is damaged at 2"), "{said}");
}

#[tokio::test]
async fn a_damaged_snapshot_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let config = directory.path().join("onex.toml");
    fs::write(&config, "[history]\nsnapshot_every = 2\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let server = Server::start_in(&data_dir, &arguments);
    for number in 0..9 {
        server.query(REGISTER, json!({"name": format!("node_{number}")})).await;
    }
    assert!(server.stop().success());
    let snapshots: Vec<_> = fs::read_dir(data_dir.join("snapshots")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(!snapshots.is_empty());
    for (at, path) in snapshots.iter().enumerate() {
        let text = fs::read_to_string(path).unwrap();
        let damaged = if at % 2 == 0 { text[..text.len() / 2].to_owned() } else { text.replace("node_1", "node_x") };
        fs::write(path, damaged).unwrap();
    }
    let server = Server::start_in(&data_dir, &arguments);
    let counts =
        server.query("{ registry { counts { nodes } } node(by: {name: \"node_1\"}) { name } }", Value::Null).await;
    assert_eq!(counts, json!({"registry": {"counts": {"nodes": 9}}, "node": {"name": "node_1"}}));
}

#[tokio::test]
async fn a_snapshot_of_another_history_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let config = directory.path().join("onex.toml");
    fs::write(&config, "[history]\nsnapshot_every = 4\n").unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let grow = async |names: &[&str]| {
        let server = Server::start_in(&data_dir, &arguments);
        for name in names {
            server.query(REGISTER, json!({"name": name})).await;
        }
        assert!(server.stop().success());
    };
    grow(&["a", "b"]).await;
    let backup = fs::read(data_dir.join("registry.db")).unwrap();
    grow(&["c", "d", "e"]).await;
    assert!(fs::read_dir(data_dir.join("snapshots")).unwrap().count() > 0);
    // The backup comes back, and the snapshots of what came after it are still there.
    fs::write(data_dir.join("registry.db"), &backup).unwrap();
    grow(&["x", "y", "z"]).await;
    let server = Server::start_in(&data_dir, &arguments);
    let nodes = server.query("{ nodes { nodes { name } } }", Value::Null).await;
    let names: Vec<&str> =
        nodes["nodes"]["nodes"].as_array().unwrap().iter().filter_map(|n| n["name"].as_str()).collect();
    assert_eq!(names, ["a", "b", "x", "y", "z"]);
}

#[test]
fn a_log_is_opened_by_one_process_only_and_read_by_any() {
    let directory = tempfile::tempdir().unwrap();
    let id = RegistryId(Uuid::from_u128(1));
    let log = SqliteLog::open(directory.path(), "the first", id).unwrap();
    let second = SqliteLog::open(directory.path(), "the second", id);
    assert!(matches!(second, Err(OpenError::InUse { owner, .. }) if owner == "the first"));
    assert_eq!(SqliteLog::open_read_only(directory.path()).unwrap().registry_id(), id);
    drop(log);
    SqliteLog::open(directory.path(), "the second", id).unwrap();
    let nowhere = SqliteLog::open_read_only(&directory.path().join("nowhere"));
    assert!(matches!(nowhere, Err(OpenError::Absent { .. })));
}

/// What layout 3 has and layout 2 has not, taken away.
const TO_LAYOUT_2: &str = "DROP INDEX change_bus; DROP INDEX change_actor; ALTER TABLE change DROP COLUMN bus;
    ALTER TABLE change DROP COLUMN actor; PRAGMA user_version = 2;";
/// What layout 2 has and layout 1 has not.
const TO_LAYOUT_1: &str = "DROP INDEX change_lease; ALTER TABLE change DROP COLUMN lease; PRAGMA user_version = 1;";

#[tokio::test]
async fn changes_of_an_earlier_layout_are_found_by_bus_and_by_who_made_them() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let create = "mutation { createBus(input: {name: \"shop\", kind: LOCAL}) { id } }";
    let bus = server.query(create, Value::Null).await["createBus"]["id"].take();
    server.query("mutation { createBus(input: {name: \"other\", kind: LOCAL}) { id } }", Value::Null).await;
    let named = "subscription { busEvents(bus: \"shop\", durable: \"billing\") { sequence } }";
    let attached = "query($bus: UUID!) { events(filter: {busId: $bus, actor: \"anonymous\"}) { nodes { type } } }";
    let types = json!([{"type": "BUS_CREATED"}, {"type": "BUS_STARTED"}, {"type": "SUBSCRIBER_ATTACHED"}]);
    let mut events = Box::pin(server.client().subscribe::<Value>(named, json!({})).await.unwrap());
    eventually("the subscriber is known", async || {
        let _ = events.next().now_or_never();
        (server.query(attached, json!({ "bus": bus })).await["events"]["nodes"] == types).then_some(())
    })
    .await;
    drop(events);
    assert!(server.stop().success());
    let earlier = Connection::open(directory.path().join("registry.db")).unwrap();
    earlier.execute_batch(TO_LAYOUT_2).unwrap();
    drop(earlier);
    assert!(verify(directory.path()).status.success(), "an earlier layout is read as it is");
    let server = Server::start_in(directory.path(), &[]);
    assert_eq!(server.query(attached, json!({ "bus": bus })).await["events"]["nodes"], types);
    let by_others = "query($bus: UUID!) { events(filter: {busId: $bus, actor: \"ann\"}) { totalCount } }";
    assert_eq!(server.query(by_others, json!({ "bus": bus })).await["events"]["totalCount"], 0);
    assert!(verify(directory.path()).status.success());
}

#[tokio::test]
async fn a_log_of_the_first_layout_is_brought_into_the_present_one() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path(), 2).await;
    let path = directory.path().join("registry.db");
    let earlier = Connection::open(&path).unwrap();
    earlier.execute_batch(&format!("{TO_LAYOUT_2} {TO_LAYOUT_1}")).unwrap();
    drop(earlier);
    assert!(verify(directory.path()).status.success(), "an earlier layout is read as it is");
    let server = Server::start_in(directory.path(), &[]);
    let header = fs::read(&path).unwrap();
    assert_eq!(header[60..64], 3i32.to_be_bytes(), "an earlier version sees at once that it is not its own");
    let allocate = "mutation { allocate(input: {requesterId: \"00000000-0000-4000-8000-000000000001\"}) { id } }";
    let lease = server.query(allocate, Value::Null).await["allocate"]["id"].take();
    let events = "query($lease: UUID!) { events(filter: {leaseId: $lease}) { nodes { type } } nodes { totalCount } }";
    let found = server.query(events, json!({"lease": lease})).await;
    assert_eq!(found, json!({"events": {"nodes": [{"type": "PORT_ALLOCATED"}]}, "nodes": {"totalCount": 2}}));
    assert!(verify(directory.path()).status.success());
}

#[test]
fn a_log_written_by_an_earlier_version_reads_the_same() {
    let stored = include_str!("stored/changes.jsonl");
    let time = onex::model::Time::from_micros(1_000_000);
    let mut kinds = Vec::new();
    for line in stored.lines() {
        let (origin, change) = onex::log::record::decode(line, time).unwrap();
        assert_eq!(onex::log::record::encode(&origin, &change).unwrap(), line);
        kinds.push(format!("{change:?}").chars().take_while(|c| c.is_alphanumeric()).collect::<String>());
    }
    assert_eq!(
        kinds,
        [
            "ContractRegistered",
            "NodeRegistered",
            "NodeUpdated",
            "NodeSeen",
            "NodeRejoined",
            "NodeExpired",
            "NodeGraceGranted",
            "NodeDeregistered",
            "ToolRegistered",
            "ToolRemoved",
            "ToolExpired",
            "CollisionFound",
            "TrustChanged",
            "PortAllocated",
            "PortAllocated",
            "PortRenewed",
            "PortAttached",
            "PortGraceGranted",
            "PortEnded",
            "PortEnded",
            "PortConflict",
            "NodeSeen",
            "NodeSeen",
            "ToolRegistered",
            "CallInvoked",
            "CallInvoked",
            "CallAccepted",
            "CallRejected",
            "CallEnded",
            "CallEnded",
            "CallAnsweredLate",
            "TokenCreated",
            "TokenRevoked",
            "AccessDenied",
            "NodeRegistered",
            "BusCreated",
            "BusTurned",
            "BusDeleted",
            "TopicDefined",
            "SubscriberAttached",
            "SubscriberDetached",
            "BusNoticed",
        ]
    );
    let newer = stored.lines().next().unwrap().replacen("\"v\":1", "\"v\":2", 1);
    let refused = onex::log::record::decode(&newer, time).unwrap_err().to_string();
    assert!(refused.contains("start a newer onex"), "{refused}");
}
