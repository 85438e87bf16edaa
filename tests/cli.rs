//! The command line as a user types it.

use crate::support::eventually;
use crate::support::server::{ONEX, Server, onex};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const SOURCE: &str = "name: source\nversion: 1.0.0\nnode_type: effect\ndescription: Reads.\nevent_bus: {publish_topics: \
                      [t.raw]}\nmcp: {expose: true, tool_name: read_all, description: Reads everything}\n";
const SINK: &str = "name: sink\nversion: {major: 2, minor: 0, patch: 1}\nevent_bus: {subscribe_topics: [t.raw]}\n\
                    dependencies: [{name: db, type: node}]\n";

fn contracts() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("source", SOURCE), ("sink", SINK), ("bad", "name: [\n")] {
        fs::create_dir(directory.path().join(name)).unwrap();
        fs::write(directory.path().join(name).join("contract.yaml"), text).unwrap();
    }
    directory
}

fn registered(server: &Server) -> TempDir {
    let folder = contracts();
    let output = server.run(&["register", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "one of the three is bad");
    folder
}

#[test]
fn a_folder_is_registered_past_its_bad_file_and_every_result_is_told() {
    let server = Server::start();
    let folder = contracts();
    let path = folder.path().to_str().unwrap();
    let results = |output: &std::process::Output| -> Vec<(String, String)> {
        let results: Value = serde_json::from_slice(&output.stdout).unwrap();
        let results = results.as_array().unwrap().iter().map(|result| {
            let file = Path::new(result["file"].as_str().unwrap()).parent().unwrap().file_name().unwrap();
            (file.to_str().unwrap().to_owned(), result["result"].as_str().unwrap().to_owned())
        });
        results.collect()
    };
    let owned = |list: [(&str, &str); 3]| list.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
    let first = server.run(&["register", path, "--format", "json"]);
    assert_eq!(results(&first), owned([("bad", "refused"), ("sink", "created"), ("source", "created")]));
    assert_eq!(first.status.code(), Some(1));
    fs::write(folder.path().join("sink/contract.yaml"), SINK.replace("minor: 0", "minor: 1")).unwrap();
    let second = server.run(&["register", path, "--format", "json"]);
    assert_eq!(results(&second), owned([("bad", "refused"), ("sink", "updated"), ("source", "unchanged")]));
    fs::remove_dir_all(folder.path().join("bad")).unwrap();
    let table = server.run(&["register", path, "--verbose"]);
    assert!(table.status.success());
    let (out, talk) = (String::from_utf8_lossy(&table.stdout), String::from_utf8_lossy(&table.stderr));
    assert!(out.contains("unchanged") && talk.contains("2 files: 0 created, 0 updated, 2 unchanged"), "{out}{talk}");
}

#[test]
fn everything_that_is_listed_can_be_had_in_every_format() {
    let server = Server::start();
    let _folder = registered(&server);
    for (arguments, holds) in [
        (vec!["inspect", "nodes"], "source"),
        (vec!["inspect", "tools"], "read_all"),
        (vec!["inspect", "contracts"], "2.0.1"),
        (vec!["inspect", "topics"], "t.raw"),
        (vec!["describe", "--node", "sink"], "db"),
        (vec!["describe", "--tool", "read_all"], "Reads everything"),
        (vec!["describe", "--contract", "source"], "t.raw"),
        (vec!["graph"], "t.raw"),
        (vec!["graph", "--node", "source", "--direction", "downstream", "--depth", "1"], "sink"),
    ] {
        for format in ["table", "json", "yaml"] {
            let mut arguments = arguments.clone();
            arguments.extend(["--format", format]);
            let text = server.stdout_of(&arguments);
            assert!(text.contains(holds), "{arguments:?}: {text}");
            assert!(!text.contains('\u{1b}'), "colours only on a terminal: {arguments:?}");
            if format == "json" {
                serde_json::from_str::<Value>(&text).unwrap();
            }
        }
    }
    assert!(server.stdout_of(&["graph", "--format", "dot"]).starts_with("digraph"));
    assert!(server.stdout_of(&["graph", "--format", "mermaid"]).starts_with("flowchart LR"));
}

#[test]
fn what_is_not_there_is_said_in_one_line_with_what_to_try() {
    let server = Server::start();
    for (arguments, says) in [
        (vec!["describe", "--node", "nobody"], "onex inspect nodes"),
        (vec!["describe", "--tool", "nothing"], "onex inspect tools"),
        (vec!["graph", "--node", "nobody"], "nobody"),
    ] {
        let output = server.run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
    let unreachable = onex(&["inspect", "nodes", "--server", "http://127.0.0.1:1"]).output().unwrap();
    let said = String::from_utf8_lossy(&unreachable.stderr).into_owned();
    assert_eq!(unreachable.status.code(), Some(1));
    assert!(said.contains("http://127.0.0.1:1") && said.contains("onex serve") && said.lines().count() == 1, "{said}");
}

#[test]
fn the_schema_settings_and_completions_need_no_server() {
    let schema = onex(&["schema"]).output().unwrap();
    assert_eq!(String::from_utf8(schema.stdout).unwrap(), onex::graphql::sdl());
    let settings = onex(&["serve", "--print-config", "--listen", "127.0.0.1:7"]).output().unwrap();
    let settings = String::from_utf8(settings.stdout).unwrap();
    assert!(
        settings.contains("listen = \"127.0.0.1:7\"") && settings.contains("ONEX_HISTORY_RETAIN_DAYS"),
        "{settings}"
    );
    for shell in ["bash", "zsh", "fish"] {
        assert!(onex(&["completions", shell]).output().unwrap().stdout.len() > 1_000, "{shell}");
    }
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_when_the_registry_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let server = Server::start_in(&data_dir, &[]);
    let register = |name: &str| json!({"input": {"name": name}});
    let document = "mutation($input: RegisterInput!) { register(input: $input) { created } }";
    server.query(document, register("before")).await;
    let address = server.address().to_owned();
    let mut watch = Command::new(ONEX)
        .args(["watch", "--after", "0", "--format", "json", "--server", server.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| _ = sender.send(line)));
    let mut heard: Vec<Value> = Vec::new();
    let mut hear = async |count: usize| {
        eventually("the watch tells of it", async || {
            heard.extend(receiver.try_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap()));
            (heard.len() >= count).then_some(())
        })
        .await;
    };
    hear(1).await;
    assert!(server.stop().success());
    let server = Server::start_in(&data_dir, &["--listen", &address]);
    server.query(document, register("after")).await;
    hear(2).await;
    watch.kill().unwrap();
    watch.wait().unwrap();
    reader.join().unwrap();
    let places: Vec<u64> = heard.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert_eq!(places, [1, 2]);
}
