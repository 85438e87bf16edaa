//! `onex tools`, `describe-tool` and `proxy-invoke`: what users type to find tools and to call them.

use crate::support::eventually;
use crate::support::server::{Server, onex};
use futures_util::StreamExt;
use onex::client::Client;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
const CALLS: &str = "subscription($node: UUID!) { toolCalls(nodeId: $node) { invocationId tool arguments } }";
const COMPLETE: &str = "mutation($input: CompleteInvocationInput!) { completeInvocation(input: $input) { status } }";
const PROGRESS: &str = "mutation($input: ProgressInvocationInput!) { progressInvocation(input: $input) { status } }";

/// A node that offers tools and answers their calls until it is dropped.
struct Provider {
    id: String,
    /// Lets a call of `count` go on by one.
    go_on: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tools() -> Value {
    let numbers = json!({
        "type": "object", "required": ["a", "b"], "additionalProperties": false,
        "properties": {
            "a": {"type": "integer", "minimum": 0, "description": "The first number."},
            "b": {"type": "integer", "default": 2},
        },
    });
    let name = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    json!([
        {"name": "add", "description": "Adds two numbers.", "tags": ["math"], "inputSchema": numbers, "idempotent": true,
         "outputSchema": {"type": "integer"}},
        {"name": "divide", "description": "Divides.", "tags": ["math"], "errorCodes": ["DivisionByZero"]},
        {"name": "lie", "outputSchema": {"type": "integer"}},
        {"name": "greet", "inputSchema": name},
        {"name": "count"},
        {"name": "wait"},
    ])
}

async fn register(server: &Server, name: &str, tools: Value) -> String {
    let input = json!({"name": name, "version": "1.0.0", "ttlSeconds": 600, "tools": tools});
    let node = server.query(REGISTER, json!({"input": input})).await;
    node["register"]["node"]["id"].as_str().unwrap().to_owned()
}

async fn provider(server: &Server, name: &str) -> Provider {
    let id = register(server, name, tools()).await;
    let client = server.client();
    let mut calls = client.subscribe::<Value>(CALLS, json!({"node": id})).await.unwrap();
    let go_on = Arc::new(Notify::new());
    let gate = go_on.clone();
    let task = tokio::spawn(async move {
        let mut answers = JoinSet::new();
        while let Some(Ok(mut call)) = calls.next().await {
            answers.spawn(answer(client.clone(), call["toolCalls"].take(), gate.clone()));
        }
    });
    let connected = "query($name: String!) { tool(name: $name) { providers { node { name } connected } } }";
    eventually("the provider is connected", async || {
        let tool = server.query(connected, json!({"name": "add"})).await;
        let providers = tool["tool"]["providers"].as_array()?.clone();
        providers.iter().any(|provider| provider["node"]["name"] == name && provider["connected"] == true).then_some(())
    })
    .await;
    Provider { id, go_on, task }
}

async fn answer(client: Client, call: Value, go_on: Arc<Notify>) {
    let id = &call["invocationId"];
    let arguments = &call["arguments"];
    let number = |name: &str| arguments[name].as_i64().unwrap_or_default();
    let outcome = match call["tool"].as_str().unwrap() {
        "add" => json!({"result": number("a") + number("b")}),
        "divide" if number("by") == 0 => {
            json!({"error": {"code": "DivisionByZero", "message": "by is 0", "details": {"by": 0}}})
        }
        "divide" => json!({"result": 1}),
        "lie" => json!({"result": "seven"}),
        "greet" => json!({"result": format!("hello {}", arguments["name"].as_str().unwrap_or("nobody"))}),
        "count" => {
            for chunk in 1..=3 {
                go_on.notified().await;
                let input = json!({"invocationId": id, "chunk": {"at": chunk}});
                client.query::<Value>(PROGRESS, json!({"input": input})).await.unwrap();
            }
            json!({"result": "counted"})
        }
        _ => return std::future::pending().await,
    };
    let mut input = outcome;
    input["invocationId"] = id.clone();
    // A call that was cancelled meanwhile is answered nonetheless.
    let _ = client.query::<Value>(COMPLETE, json!({"input": input})).await;
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a call from the shell. It blocks this thread: the providers of a test are tasks of others.
fn invoke(server: &Server, arguments: &[&str]) -> Output {
    server.run(&[&["proxy-invoke"], arguments].concat())
}

#[track_caller]
fn check(output: &Output, status: i32, on_stdout: &str, on_stderr: &[&str]) {
    let (shown, said) = (shown(output), said(output));
    assert_eq!((output.status.code(), shown.as_str()), (Some(status), on_stdout), "{said}");
    for part in on_stderr {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

/// Starts a call to be followed while it runs.
fn start(url: &str, arguments: &[&str]) -> Child {
    let mut command = onex(&["proxy-invoke"]);
    command.args(arguments).env("ONEX_SERVER", url);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn output(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// The ids of the calls of a tool that a provider works on.
async fn running(server: &Server, tool: &str, count: usize) -> Vec<String> {
    let document = "query($filter: InvocationFilter) { invocations(filter: $filter) { nodes { id } } }";
    eventually("the calls run", async || {
        let filter = json!({"filter": {"tool": tool, "status": "RUNNING"}});
        let found = server.query(document, filter).await;
        let found = found["invocations"]["nodes"].as_array()?.clone();
        let ids: Vec<String> = found.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect();
        (ids.len() == count).then_some(ids)
    })
    .await
}

async fn status(server: &Server, id: &str) -> Value {
    let document = "query($id: UUID!) { invocation(id: $id) { status } }";
    server.query(document, json!({"id": id})).await["invocation"]["status"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_found_by_words_and_filters() {
    let server = Server::start();
    let empty = server.run(&["tools"]);
    assert!(said(&empty).contains("onex register"), "{}", said(&empty));
    let provider = provider(&server, "calculator").await;
    register(&server, "absent", json!([{"name": "subtract", "tags": ["math"]}])).await;
    let names = |arguments: &[&str]| {
        let output = server.run(&[&["tools", "--format", "json"], arguments].concat());
        assert!(output.status.success(), "{}", said(&output));
        let tools: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["two", "numbers"]), ["add"]);
    assert_eq!(names(&["--tag", "math"]), ["add", "divide", "subtract"]);
    assert_eq!(names(&["--tag", "math", "--callable"]), ["add", "divide"]);
    assert_eq!(names(&["--tag", "math", "--callable", "--limit", "1"]), ["add"]);
    assert_eq!(names(&["--node", "absent"]), ["subtract"]);
    assert_eq!(names(&["--node", &provider.id]).len(), 6);
    assert!(names(&["--trusted-only"]).is_empty());
    check(&invoke(&server, &["--tool", "add", "--arg", "a=1", "--arg", "b=2"]), 0, "3\n", &[]);
    eventually("the call counts", async || {
        let table = shown(&server.run(&["tools", "add"]));
        assert!(table.contains("Adds two numbers.") && table.contains("1/1"), "{table}");
        let row: Vec<String> = table.lines().nth(1)?.split_whitespace().map(str::to_owned).collect();
        (row[3] == "1" && row[4] == "0" && row[6] == "ms").then_some(())
    })
    .await;
    let same = server.run(&["inspect", "tools", "--search", "add"]);
    assert_eq!(shown(&same), shown(&server.run(&["tools", "add"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_says_what_to_give_and_its_example_works() {
    let server = Server::start();
    let _provider = provider(&server, "calculator").await;
    let page = shown(&server.run(&["describe-tool", "add", "--version", "^1"]));
    for part in ["calculator", "CLOSED", "The first number.", ">= 0", "Result:\n  integer"] {
        assert!(page.contains(part), "{part:?} is not in: {page}");
    }
    assert_eq!(page, shown(&server.run(&["describe", "--tool", "add", "--version", "^1"])));
    let example = page.lines().find_map(|line| line.trim().strip_prefix("onex ")).unwrap();
    let line = format!("{} {example}", crate::support::server::ONEX);
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).env("ONEX_SERVER", server.url());
    let output = shell.output().unwrap();
    check(&output, 0, "3\n", &[]);
    let json = server.run(&["describe-tool", "add", "--format", "json"]);
    let tool: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(tool["inputSchema"]["properties"]["a"]["minimum"], 0);
    let absent = server.run(&["describe-tool", "nothing"]);
    check(&absent, 1, "", &["no tool is registered as \"nothing\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_printed_alone_and_the_rest_is_told_aside() {
    let server = Server::start();
    let _provider = provider(&server, "calculator").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("arguments.json");
    std::fs::write(&file, "{\"a\": 40, \"b\": 2}").unwrap();
    let file = format!("@{}", file.display());
    check(&invoke(&server, &["--tool", "add", "--args", &file]), 0, "42\n", &[]);
    check(&invoke(&server, &["--tool", "add", "--args", &file, "--arg", "b=3"]), 0, "43\n", &[]);
    // What the schema calls text is text, whatever it looks like.
    check(&invoke(&server, &["--tool", "greet", "--arg", "name=007"]), 0, "\"hello 007\"\n", &[]);
    check(&invoke(&server, &["--tool", "greet", "--arg", "name=7", "--raw"]), 0, "hello 7\n", &[]);
    check(&invoke(&server, &["--tool", "greet", "--arg", "name=7", "--format", "yaml"]), 0, "hello 7\n", &[]);

    let mut child = {
        let mut command = onex(&["proxy-invoke", "--tool", "add", "--args", "-"]);
        command.env("ONEX_SERVER", server.url()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    child.stdin.take().unwrap().write_all(b"{\"a\": 1, \"b\": 1}").unwrap();
    check(&output(child), 0, "2\n", &[]);

    let adding = ["--tool", "add", "--args", "{\"a\": 1, \"b\": 2}", "--correlation-id", "shopping", "--verbose"];
    let told = invoke(&server, &adding);
    let parts = [
        "add 1.0.0 on calculator: SUCCEEDED in ",
        "attempt 1: calculator",
        "correlation id shopping",
        "TOOL_PROXY_RESULT",
    ];
    check(&told, 0, "3\n", &parts);
    let whole = invoke(&server, &[&adding[..], &["--format", "json"]].concat());
    let whole: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(
        (&whole["status"], &whole["result"], &whole["provider"]["name"]),
        (&json!("SUCCEEDED"), &json!(3), &json!("calculator"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outcome_has_its_exit_status() {
    let server = Server::start();
    let _provider = provider(&server, "calculator").await;
    register(&server, "absent", json!([{"name": "subtract"}])).await;
    let call = |arguments: &str| invoke(&server, &arguments.split(' ').collect::<Vec<_>>());
    check(&call("--tool divide --arg by=0"), 3, "", &["by is 0", "TOOL_FAILED", "DivisionByZero", "{\"by\":0}"]);
    check(&call("--tool lie"), 3, "", &["TOOL_INVALID_RESULT", "--node"]);
    check(&call("--tool nothing"), 4, "", &["TOOL_NOT_FOUND", "onex tools"]);
    let wrong = call("--tool add --arg a=x --correlation-id mine");
    check(&wrong, 4, "", &["TOOL_INVALID_ARGUMENTS", "/a: expected ", "got \"x\"", "onex describe-tool add", "mine"]);
    check(&call("--tool greet --trusted-only"), 4, "", &["TOOL_UNTRUSTED"]);
    check(&call("--tool subtract"), 5, "", &["TOOL_NO_PROVIDER", "onex describe-tool subtract"]);
    check(&call("--tool wait --timeout 200ms"), 6, "", &["TOOL_TIMEOUT", "200 ms", "--timeout"]);
    check(&call("--tool add --args {"), 2, "", &["--args is no JSON"]);
    check(&call("--tool add --args @/nowhere/to/be/found"), 2, "", &["/nowhere/to/be/found"]);
    check(&call("--tool add --node nobody"), 1, "", &["no node is registered as \"nobody\""]);
    let unreachable = onex(&["proxy-invoke", "--tool", "add", "--server", "http://127.0.0.1:1"]).output().unwrap();
    check(&unreachable, 1, "", &["onex serve"]);

    let child = start(server.url(), &["--tool", "wait"]);
    let [id] = &running(&server, "wait", 1).await[..] else { panic!() };
    let cancel = "mutation($input: InvocationRefInput!) { cancelInvocation(input: $input) { status } }";
    server.query(cancel, json!({"input": {"invocationId": id}})).await;
    check(&output(child), 7, "", &["TOOL_CANCELLED"]);

    let child = start(server.url(), &["--tool", "wait"]);
    let [id] = &running(&server, "wait", 1).await[..] else { panic!() };
    interrupt(&child);
    check(&output(child), 130, "", &["interrupted", id]);
    assert_eq!(status(&server, id).await, "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_who_why_and_what_and_calls_nobody() {
    let server = Server::start();
    let _provider = provider(&server, "calculator").await;
    let second = provider(&server, "second").await;
    let adding = ["--tool", "add", "--args", "{\"a\": 1, \"b\": 2}", "--dry-run"];
    let page = shown(&invoke(&server, &adding));
    for part in ["Tool:        add 1.0.0", "Provider:    calculator", "GRAPHQL", "\"a\": 1", "second"] {
        assert!(page.contains(part), "{part:?} is not in: {page}");
    }
    let json = invoke(&server, &[&adding[..], &["--format", "json", "--node", "second"]].concat());
    let planned: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&planned["dryRun"], &planned["plan"]["provider"]["id"]), (&json!(true), &json!(second.id)));
    let rejected = invoke(&server, &["--tool", "nothing", "--dry-run"]);
    check(&rejected, 4, &shown(&rejected), &["TOOL_NOT_FOUND"]);
    let metrics = server.query("{ tool(name: \"add\") { metrics { calls } } }", Value::Null).await;
    assert_eq!(metrics["tool"]["metrics"]["calls"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_waited_for_gives_its_id_and_a_key_its_outcome() {
    let server = Server::start();
    let _provider = provider(&server, "calculator").await;
    let adding = ["--tool", "add", "--args", "{\"a\": 1, \"b\": 2}", "--idempotency-key", "once"];
    let begun = invoke(&server, &[&adding[..], &["--no-wait"]].concat());
    let id = shown(&begun).trim().to_owned();
    eventually("it ends by itself", async || (status(&server, &id).await == "SUCCEEDED").then_some(())).await;
    let again = invoke(&server, &[&adding[..], &["--verbose"]].concat());
    check(&again, 0, "3\n", &[&id, "idempotency key once"]);
    let rejected = invoke(&server, &["--tool", "nothing", "--no-wait"]);
    check(&rejected, 4, &shown(&rejected), &["TOOL_NOT_FOUND"]);
}

/// Passes bytes on to a server, until it is told to drop every connection.
struct Wire {
    url: String,
    cut: Arc<Notify>,
    /// Told when every connection is dropped.
    is_cut: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn wire(server: &Server) -> Wire {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cut = Arc::new(Notify::new());
    let is_cut = Arc::new(Notify::new());
    let (cutting, dropped, address) = (cut.clone(), is_cut.clone(), server.address().to_owned());
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (mut near, _) = accepted.unwrap();
                    let mut far = TcpStream::connect(&address).await.unwrap();
                    connections.spawn(async move { _ = tokio::io::copy_bidirectional(&mut near, &mut far).await });
                }
                () = cutting.notified() => {
                    connections.shutdown().await;
                    dropped.notify_one();
                }
            }
        }
    });
    Wire { url, cut, is_cut, task }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_prints_each_chunk_once_over_a_lost_connection() {
    let server = Server::start();
    let provider = provider(&server, "calculator").await;
    let wire = wire(&server).await;
    let mut child = start(&wire.url, &["--tool", "count", "--stream"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().map(Result::unwrap);
    provider.go_on.notify_one();
    assert_eq!(next().as_deref(), Some("{\"at\":1}"));
    // The first may have come with the answer that the call has begun; the second comes by the subscription, so that
    // there is a connection to lose.
    provider.go_on.notify_one();
    assert_eq!(next().as_deref(), Some("{\"at\":2}"));
    wire.cut.notify_one();
    wire.is_cut.notified().await;
    provider.go_on.notify_one();
    assert_eq!(next().as_deref(), Some("{\"at\":3}"));
    assert_eq!(next().as_deref(), Some("\"counted\""));
    assert_eq!(next(), None);
    let output = output(child);
    check(&output, 0, "", &["was lost", "trying again"]);
}

fn rows(output: &Output) -> Vec<Value> {
    shown(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of(rows: &[Value], member: &str) -> Vec<Value> {
    rows.iter().map(|row| row[member].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_in_order_and_ends_with_the_first_failure() {
    let server = Server::start();
    let _provider = provider(&server, "calculator").await;
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
        directory.path().join(name).display().to_string()
    };
    let sums: String = (0..150).map(|a| format!("{{\"arguments\": {{\"a\": {a}, \"b\": 1}}}}\n")).collect();
    let sums = write("sums.jsonl", &sums);
    let all = invoke(&server, &["--batch", &sums, "--tool", "add", "--parallelism", "16"]);
    assert_eq!(all.status.code(), Some(0), "{}", said(&all));
    assert_eq!(of(&rows(&all), "result"), (1..=150).map(Value::from).collect::<Vec<_>>());
    assert_eq!(of(&rows(&all), "call"), (1..=150).map(Value::from).collect::<Vec<_>>());
    assert!(said(&all).contains("150 calls: 150 succeeded"), "{}", said(&all));

    let mixed = json!([
        {"tool": "add", "arguments": {"a": 1, "b": 2}},
        {"tool": "divide", "arguments": {"by": 0}},
        {"tool": "nothing"},
        {"tool": "greet", "arguments": {"name": "you"}, "policy": "round-robin", "node": "calculator", "timeoutMs": 5000},
    ]);
    let mixed = write("mixed.json", &mixed.to_string());
    let output = invoke(&server, &["--batch", &mixed]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert_eq!(of(&rows(&output), "status"), ["SUCCEEDED", "FAILED", "REJECTED", "SUCCEEDED"]);
    assert_eq!(rows(&output)[1]["error"]["type"], "DivisionByZero");
    assert!(said(&output).contains("4 calls: 2 succeeded, 1 failed, 1 rejected"), "{}", said(&output));

    let stopped = invoke(&server, &["--batch", &mixed, "--parallelism", "1", "--stop-on-error"]);
    assert_eq!(of(&rows(&stopped), "status"), ["SUCCEEDED", "FAILED", "CANCELLED", "CANCELLED"]);
    let early = write("early.jsonl", &"{\"tool\": \"divide\"}\n".repeat(30));
    let stopped = invoke(&server, &["--batch", &early, "--parallelism", "1", "--stop-on-error"]);
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
    assert!(said(&stopped).contains("30 calls: 0 succeeded, 1 failed, 29 cancelled"), "{}", said(&stopped));

    let planned = invoke(&server, &["--batch", &mixed, "--dry-run"]);
    assert_eq!(rows(&planned)[0]["plan"]["provider"]["name"], "calculator");

    for (text, says) in [
        ("{\"arguments\": {}}", "call 1: it names no tool"),
        ("{\"tool\": \"add\", \"timeout\": 1}", "timeout"),
        ("{", "no JSON"),
    ] {
        let wrong = invoke(&server, &["--batch", &write("wrong", text)]);
        check(&wrong, 2, "", &[says]);
    }
    check(&invoke(&server, &["--batch", &write("empty", "")]), 0, "", &["0 calls"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_batch_cancels_what_is_under_way() {
    let server = Server::start();
    let _provider = provider(&server, "calculator").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("waits");
    std::fs::write(&file, "{\"tool\": \"wait\"}\n".repeat(9)).unwrap();
    let child = start(server.url(), &["--batch", file.to_str().unwrap(), "--parallelism", "3"]);
    let ids = running(&server, "wait", 3).await;
    interrupt(&child);
    let output = output(child);
    check(&output, 130, "", &["interrupted"]);
    for id in &ids {
        eventually("it is cancelled", async || (status(&server, id).await == "CANCELLED").then_some(())).await;
    }
    running(&server, "wait", 0).await;
}
