//! Nodes that are made with the kit: in Rust, of a command, of an MCP server.

use crate::support::server::{Server, onex};
use crate::support::{eventually, node_modules};
use futures_util::future::{join_all, select_all};
use futures_util::{StreamExt, stream};
use onex::client::node::{Call, Node, Running, State, Tool, ToolError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

const INVOKE: &str = "mutation($input: ProxyInvokeInput!) {
    proxyInvoke(input: $input) { id status result chunks error { code type message details } provider { name } }
}";

async fn invoke(server: &Server, tool: &str, arguments: Value) -> Value {
    invoke_with(server, json!({"tool": tool, "arguments": arguments})).await
}

async fn invoke_with(server: &Server, input: Value) -> Value {
    server.query(INVOKE, json!({"input": input})).await["proxyInvoke"].take()
}

/// The type and message of the error of a call that must fail.
async fn failed(server: &Server, tool: &str, arguments: Value) -> (String, String) {
    let answer = invoke(server, tool, arguments).await;
    assert_eq!(answer["error"]["code"], "TOOL_FAILED", "{answer}");
    let text = |field: &str| answer["error"][field].as_str().unwrap().to_owned();
    (text("type"), text("message"))
}

async fn node(server: &Server, name: &str) -> Value {
    let document = "query($name: String!) { node(by: {name: $name}) {
        id status tools(first: 100) { nodes { name version idempotent providers { connected } } }
    } }";
    server.query(document, json!({"name": name})).await["node"].take()
}

async fn status(server: &Server, name: &str) -> String {
    node(server, name).await["status"].as_str().unwrap_or("UNKNOWN").to_owned()
}

async fn tools_of(server: &Server, name: &str) -> Vec<String> {
    let node = node(server, name).await;
    let tools = node["tools"]["nodes"].as_array().into_iter().flatten();
    tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn echo() -> Tool {
    Tool::new("echo", |call: Call| async move { Ok(call.arguments) })
}

async fn echoing(server: &Server) -> Running {
    Node::new("echoer").tool(echo()).connect(&server.client()).await.unwrap()
}

#[tokio::test]
async fn many_operations_share_one_websocket() {
    let server = Server::start();
    let connection = server.client().connect().await.unwrap();
    let mut events =
        connection.subscribe::<Value>("subscription { registryEvents(after: 0) { type } }", json!({})).await.unwrap();
    let register = "mutation($name: String!) { register(input: {name: $name}) { node { name } } }";
    let names: Vec<String> = (0..50).map(|number| format!("node_{number}")).collect();
    let answers = join_all(names.iter().map(|name| connection.query::<Value>(register, json!({"name": name})))).await;
    for (name, answer) in names.iter().zip(answers) {
        assert_eq!(answer.unwrap()["register"]["node"]["name"], *name);
    }
    assert_eq!(events.next().await.unwrap().unwrap()["registryEvents"]["type"], "NODE_REGISTERED");
    drop(events);
    let refused = connection.query::<Value>("{ nothing }", json!({})).await;
    assert!(matches!(refused, Err(onex::client::Error::Refused { .. })), "{refused:?}");

    let waits = connection.subscribe::<Value>("subscription { registryEvents { type } }", json!({})).await.unwrap();
    server.kill();
    assert!(connection.ended().await.is_lost());
    let last: Vec<_> = waits.collect().await;
    assert!(matches!(&last[..], [Err(error)] if error.is_lost()), "{last:?}");
    assert!(connection.query::<Value>("{ registry { id } }", json!({})).await.is_err());
}

#[tokio::test]
async fn a_node_of_a_few_lines_answers_calls() {
    #[derive(Deserialize)]
    struct Greet {
        name: String,
    }
    let server = Server::start();
    let greet = Tool::new("greet", |call: Call| async move {
        let Greet { name } = call.args()?;
        call.progress("thinking").await?;
        Ok(json!({"text": format!("Hello, {name}")}))
    });
    let running =
        Node::new("greeter").version("1.2.0").tool(greet.idempotent(true)).connect(&server.client()).await.unwrap();
    assert_eq!(running.name(), "greeter");
    assert_eq!(node(&server, "greeter").await["id"], running.id().to_string());
    assert_eq!(node(&server, "greeter").await["tools"]["nodes"][0]["version"], "1.2.0");

    let answer = invoke(&server, "greet", json!({"name": "Ada"})).await;
    assert_eq!(answer["status"], "SUCCEEDED", "{answer}");
    assert_eq!(answer["result"], json!({"text": "Hello, Ada"}));
    assert_eq!(answer["chunks"], json!(["thinking"]));
    assert_eq!(failed(&server, "greet", json!({"name": 1})).await.0, "INVALID_ARGUMENTS");
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_fails_its_call_alone() {
    let server = Server::start();
    let fails = Tool::new("fails", |_| async { Err(ToolError::new("NoSuchCity", "there is no such city")) });
    let reads = Tool::new("reads", |_| async { Ok(std::fs::read_to_string("/no/such/file")?.into()) });
    let panics = Tool::new("panics", |_| async { panic!("at the disco") });
    let node = Node::new("n").tool(fails.error_codes(["NoSuchCity"])).tool(reads).tool(panics).tool(echo());
    let _running = node.connect(&server.client()).await.unwrap();

    assert_eq!(
        failed(&server, "fails", json!({})).await,
        ("NoSuchCity".to_owned(), "there is no such city".to_owned())
    );
    let (kind, message) = failed(&server, "reads", json!({})).await;
    assert!(kind == "FAILED" && message.contains("No such file"), "{kind}: {message}");
    let (kind, message) = failed(&server, "panics", json!({})).await;
    assert!(kind == "PANIC" && message.contains("at the disco"), "{kind}: {message}");
    assert_eq!(invoke(&server, "echo", json!({"a": 1})).await["result"], json!({"a": 1}));
}

/// Says when it is dropped.
struct OnDrop(mpsc::UnboundedSender<&'static str>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_dropped() {
    let server = Server::start();
    let (said, mut hears) = mpsc::unbounded_channel();
    let waits = Tool::new("waits", move |call: Call| {
        let said = said.clone();
        async move {
            let _dropped = OnDrop(said.clone());
            let _ = said.send("begun");
            tokio::spawn(async move {
                call.cancelled().await;
                let _ = said.send("told");
            });
            std::future::pending().await
        }
    });
    let _running = Node::new("n").tool(waits).connect(&server.client()).await.unwrap();

    let answer = invoke_with(&server, json!({"tool": "waits", "arguments": {}, "wait": false})).await;
    assert_eq!(hears.recv().await, Some("begun"));
    let cancel = "mutation($id: UUID!) { cancelInvocation(input: {invocationId: $id}) { status } }";
    server.query(cancel, json!({"id": answer["id"]})).await;
    let mut both = [hears.recv().await.unwrap(), hears.recv().await.unwrap()];
    both.sort_unstable();
    assert_eq!(both, ["dropped", "told"]);

    let answer = invoke_with(&server, json!({"tool": "waits", "arguments": {}, "timeoutMs": 200})).await;
    assert_eq!(answer["status"], "TIMED_OUT");
    let all = [hears.recv().await, hears.recv().await, hears.recv().await].map(Option::unwrap);
    assert!(all.contains(&"dropped") && all.contains(&"told"), "{all:?}");
}

#[tokio::test]
async fn no_more_handlers_run_at_once_than_were_allowed() {
    let server = Server::start();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = {
        let (now, most) = (now.clone(), most.clone());
        Tool::new("counts", move |_| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(Value::Null)
            }
        })
    };
    let _running = Node::new("n").tool(counts).max_in_flight(3).connect(&server.client()).await.unwrap();
    let calls = (0..12).map(|_| invoke(&server, "counts", json!({})));
    let answers: Vec<Value> = stream::iter(calls).buffer_unordered(6).collect().await;
    assert!(answers.iter().any(|answer| answer["status"] == "SUCCEEDED"), "{answers:?}");
    assert!((1..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[tokio::test]
async fn a_node_comes_back_as_itself_when_its_registry_does() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let address = server.address().to_owned();
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go) = (begun.clone(), go.clone());
        Tool::new("slow", move |_| {
            let (begun, go) = (begun.clone(), go.clone());
            async move {
                begun.notify_one();
                go.notified().await;
                Ok(json!("done"))
            }
        })
    };
    let running = Node::new("n").tool(slow).tool(echo()).connect(&server.client()).await.unwrap();
    let mut states = running.states();
    let id = running.id();
    let input = json!({"tool": "slow", "arguments": {}, "wait": false, "timeoutMs": 60_000});
    let invocation = invoke_with(&server, input).await["id"].take();
    begun.notified().await;

    server.kill();
    assert!(matches!(states.next().await, Some(State::Lost(_))));
    // Its answer is ready while nobody is there to take it.
    go.notify_one();
    let server = Server::start_in(directory.path(), &["--listen", &address]);
    while !matches!(states.next().await, Some(State::Connected)) {}
    assert_eq!((running.id(), status(&server, "n").await.as_str()), (id, "ONLINE"));
    eventually("a call after the return", async || {
        (invoke(&server, "echo", json!({"a": 1})).await["result"] == json!({"a": 1})).then_some(())
    })
    .await;
    let document = "query($id: UUID!) { invocation(id: $id) { status } }";
    eventually("the call that was under way has ended", async || {
        let answer = server.query(document, json!({"id": invocation})).await;
        let status = answer["invocation"]["status"].as_str().unwrap_or("FORGOTTEN").to_owned();
        (!["PENDING", "ROUTED", "RUNNING"].contains(&&*status)).then_some(status)
    })
    .await;
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_outlast_a_registry_that_stops_while_they_come_back() {
    const NODES: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(directory.path(), &[]);
    let (address, client) = (server.address().to_owned(), server.client());
    let coming = (0..NODES).map(|number| Node::new(format!("n{number}")).tool(echo()).connect(&client));
    let nodes: Vec<Running> = join_all(coming).await.into_iter().map(Result::unwrap).collect();
    for _ in 0..6 {
        let back = nodes.iter().map(|node| {
            let mut states = node.states();
            Box::pin(async move { while !matches!(states.next().await, Some(State::Connected) | None) {} })
        });
        let first_back = select_all(back);
        assert!(server.stop().success());
        server = Server::start_in(directory.path(), &["--listen", &address]);
        // The others are in the middle of it.
        first_back.await;
    }
    let document = "{ tool(name: \"echo\") { providers { connected } } }";
    eventually("all of them take calls again", async || {
        let tool = server.query(document, Value::Null).await["tool"].take();
        let providers = tool["providers"].as_array()?;
        (providers.iter().filter(|provider| provider["connected"] == true).count() == NODES).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_drains_ends_its_calls_and_is_offline() {
    let server = Server::start();
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go) = (begun.clone(), go.clone());
        Tool::new("slow", move |_| {
            let (begun, go) = (begun.clone(), go.clone());
            async move {
                begun.notify_one();
                go.notified().await;
                Ok(json!("done"))
            }
        })
    };
    let running = Node::new("n").tool(slow).connect(&server.client()).await.unwrap();
    let id = running.id();
    let (answer, ()) = tokio::join!(invoke(&server, "slow", json!({})), async {
        begun.notified().await;
        let (left, ()) = tokio::join!(running.drain(), async {
            eventually("draining", async || (status(&server, "n").await == "DRAINING").then_some(())).await;
            go.notify_one();
        });
        left.unwrap();
    });
    assert_eq!(answer["result"], "done");
    running.closed().await.unwrap();
    eventually("offline", async || (status(&server, "n").await == "OFFLINE").then_some(())).await;

    let again = Node::new("n").tool(echo()).connect(&server.client()).await.unwrap();
    assert_eq!((again.id(), status(&server, "n").await.as_str()), (id, "ONLINE"));
    again.deregister().await.unwrap();
    assert_eq!(status(&server, "n").await, "UNKNOWN");
}

#[tokio::test]
async fn a_node_changes_what_it_offers() {
    let server = Server::start();
    let running = echoing(&server).await;
    let other = Tool::new("other", |_| async { Ok(json!(2)) });
    running.set_tools(vec![other.clone()]).await.unwrap();
    assert_eq!(tools_of(&server, "echoer").await, ["other"]);
    assert_eq!(invoke(&server, "other", json!({})).await["result"], 2);

    let twice = running.set_tools(vec![other.clone(), other.description("another")]).await;
    assert!(matches!(twice, Err(onex::client::Error::Refused { .. })), "{twice:?}");
    assert_eq!(invoke(&server, "other", json!({})).await["result"], 2);
}

#[tokio::test]
async fn a_node_that_the_registry_refuses_says_so() {
    let server = Server::start();
    let refused = Node::new("no name").tool(echo()).connect(&server.client()).await;
    assert!(matches!(refused, Err(onex::client::Error::Refused { .. })), "{refused:?}");
    let client = onex::client::Client::try_new("http://127.0.0.1:1", None).unwrap();
    assert!(Node::new("n").connect(&client).await.unwrap_err().is_lost());
}

/// A command of onex that stays, and what it says.
struct Program {
    child: Child,
    said: mpsc::UnboundedReceiver<String>,
    all: Vec<String>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(server: &Server, folder: &Path, arguments: &[&str]) -> Self {
        let mut command = onex(arguments);
        command.env("ONEX_SERVER", server.url()).current_dir(folder).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, said) = mpsc::unbounded_channel();
        // Ends with the child: nothing waits for it.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { child, said, all: Vec::new() }
    }

    /// Waits for a line that holds these words.
    async fn says(&mut self, words: &str) -> String {
        let waits = async {
            while let Some(line) = self.said.recv().await {
                self.all.push(line.clone());
                if line.contains(words) {
                    return line;
                }
            }
            panic!("{words:?} was not said, but {:?}", self.all)
        };
        tokio::time::timeout(crate::support::PATIENCE, waits).await.unwrap()
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    async fn status(&mut self) -> Option<i32> {
        eventually("the end of the program", async || self.child.try_wait().unwrap()).await.code()
    }
}

const CONTRACT: &str = "name: shell
version: 1.0.0
tools:
  - {name: sh.echo, input_schema: {type: object, required: [a]}}
  - {name: sh.fail}
  - {name: sh.talk}
  - {name: sh.wait}
  - {name: sh.env}
";

const SCRIPT: &str = r#"case "$ONEX_TOOL" in
    sh.echo) cat ;;
    sh.fail) echo "it broke" >&2; exit 7 ;;
    sh.talk) echo hello ;;
    sh.wait) sleep 1000 & echo $! > pid; wait ;;
    sh.env) printf '["%s", "%s", "%s", "%s"]' \
        "$ONEX_TOOL_VERSION" "$ONEX_CALLER" "$ONEX_INVOCATION_ID" "$ONEX_CORRELATION_ID" ;;
esac"#;

fn is_alive(pid: &str) -> bool {
    // A process that has ended and that nobody has asked for its status has no command line any more.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

async fn pid_in(folder: &Path) -> String {
    eventually("a process id", async || {
        let text = std::fs::read_to_string(folder.join("pid")).ok()?;
        text.ends_with('\n').then(|| text.trim().to_owned())
    })
    .await
}

#[tokio::test]
async fn any_command_becomes_a_node() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("contract.yaml"), CONTRACT).unwrap();
    let arguments = ["node", "run", "--contract", "contract.yaml", "--", "sh", "-c", SCRIPT];
    let mut program = Program::start(&server, folder.path(), &arguments);
    program.says("shell offers sh.echo 1.0.0").await;

    assert_eq!(invoke(&server, "sh.echo", json!({"a": [1, "é"]})).await["result"], json!({"a": [1, "é"]}));
    assert_eq!(invoke(&server, "sh.echo", json!({})).await["error"]["code"], "TOOL_INVALID_ARGUMENTS");
    assert_eq!(failed(&server, "sh.fail", json!({})).await, ("EXIT_7".to_owned(), "it broke".to_owned()));
    program.says("it broke").await;
    let (kind, message) = failed(&server, "sh.talk", json!({})).await;
    assert!(kind == "INVALID_OUTPUT" && message.contains("hello"), "{message}");
    let environment = invoke_with(&server, json!({"tool": "sh.env", "arguments": {}, "correlationId": "trip"})).await;
    assert_eq!(environment["result"][0], "1.0.0");
    assert_eq!(environment["result"][2], environment["id"]);
    assert_eq!(environment["result"][3], "trip");

    let late = invoke_with(&server, json!({"tool": "sh.wait", "arguments": {}, "timeoutMs": 500})).await;
    assert_eq!(late["status"], "TIMED_OUT");
    let pid = pid_in(folder.path()).await;
    eventually("the end of what the command started", async || (!is_alive(&pid)).then_some(())).await;

    program.signal("-TERM");
    assert_eq!(program.status().await, Some(0));
    eventually("offline", async || (status(&server, "shell").await == "OFFLINE").then_some(())).await;
}

#[tokio::test]
async fn what_a_command_started_ends_with_onex() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["node", "run", "--name", "n", "--tool", "sh.wait", "--", "sh", "-c", SCRIPT];
    let mut program = Program::start(&server, folder.path(), &arguments);
    program.says("n offers sh.wait").await;
    invoke_with(&server, json!({"tool": "sh.wait", "arguments": {}, "wait": false})).await;
    let pid = pid_in(folder.path()).await;
    program.signal("-TERM");
    eventually("draining", async || (status(&server, "n").await == "DRAINING").then_some(())).await;
    assert!(is_alive(&pid));
    program.signal("-TERM");
    assert_eq!(program.status().await, Some(143));
    eventually("the end of what the command started", async || (!is_alive(&pid)).then_some(())).await;
}

#[tokio::test]
async fn a_contract_without_tools_is_no_node_to_run() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("contract.yaml"), "name: quiet\n").unwrap();
    let mut program =
        Program::start(&server, folder.path(), &["node", "run", "--contract", "contract.yaml", "--", "true"]);
    program.says("declares no tool").await;
    assert_eq!(program.status().await, Some(1));
}

fn mcp_server() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/node/mcp-server.mjs")
}

#[cfg(feature = "mcp")]
#[tokio::test]
async fn the_mcp_reference_server_is_attached() {
    let Some(programs) = node_modules() else { return };
    let everything = programs.join("@modelcontextprotocol/server-everything/dist/index.js");
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["mcp", "attach", "--name", "ev", "--prefix", "ev.", "--", "node", everything.to_str().unwrap(), "stdio"];
    let mut program = Program::start(&server, folder.path(), &arguments);
    program.says("ev offers").await;
    let tools = tools_of(&server, "ev").await;
    for tool in ["ev.echo", "ev.get-sum", "ev.get-structured-content"] {
        assert!(tools.iter().any(|name| name == tool), "{tools:?}");
    }

    let said = invoke(&server, "ev.echo", json!({"message": "hi"})).await;
    assert_eq!(said["result"], json!({"content": [{"type": "text", "text": "Echo: hi"}]}), "{said}");
    let structured = invoke(&server, "ev.get-structured-content", json!({"location": "New York"})).await;
    assert!(structured["result"]["temperature"].is_number(), "{structured}");
    let refused = invoke(&server, "ev.get-sum", json!({"a": 1})).await;
    assert_eq!(refused["error"]["code"], "TOOL_INVALID_ARGUMENTS", "{refused}");
    let (kind, _) =
        failed(&server, "ev.get-resource-reference", json!({"resourceType": "Text", "resourceId": -1})).await;
    assert_eq!(kind, "MCP_TOOL_ERROR");
    let steps = json!({"duration": 0.2, "steps": 2});
    let long = invoke(&server, "ev.trigger-long-running-operation", steps).await;
    assert_eq!(long["chunks"], json!([{"progress": 1.0, "total": 2.0}, {"progress": 2.0, "total": 2.0}]), "{long}");

    program.signal("-TERM");
    assert_eq!(program.status().await, Some(0));
    eventually("offline", async || (status(&server, "ev").await == "OFFLINE").then_some(())).await;
}

#[cfg(feature = "mcp")]
#[tokio::test]
async fn an_mcp_server_of_either_era_is_followed_until_it_ends() {
    if node_modules().is_none() {
        return;
    }
    for era in ["present", "older"] {
        let server = Server::start();
        let folder = tempfile::tempdir().unwrap();
        let script = mcp_server();
        let arguments = ["mcp", "attach", "--", "node", script.to_str().unwrap(), era];
        let mut program = Program::start(&server, folder.path(), &arguments);
        program.says("by-hand offers").await;
        let mut tools = tools_of(&server, "by-hand").await;
        tools.retain(|tool| tool != "broken");
        tools.sort_unstable();
        assert_eq!(tools, ["add", "die", "grow", "wait"], "{era}");

        assert_eq!(invoke(&server, "add", json!({"a": 1, "b": 2})).await["result"], json!({"sum": 3}), "{era}");
        let late = invoke_with(&server, json!({"tool": "wait", "arguments": {}, "timeoutMs": 300})).await;
        assert_eq!(late["status"], "TIMED_OUT");
        program.says("stopped").await;

        invoke(&server, "grow", json!({})).await;
        eventually("what it lists now", async || {
            let tools = tools_of(&server, "by-hand").await;
            let has = |name: &str| tools.iter().any(|tool| tool == name);
            (has("grown") && !has("add")).then_some(())
        })
        .await;

        let lost = invoke(&server, "die", json!({})).await;
        assert_eq!(lost["error"]["type"], "MCP_SERVER_LOST", "{lost}");
        program.says("exit status: 3").await;
        assert_eq!(program.status().await, Some(1));
        assert_eq!(status(&server, "by-hand").await, "UNKNOWN", "{era}");
    }
}
