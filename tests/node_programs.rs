//! The programs of docs/nodes.md, as they stand there, as nodes of the real server.
//!
//! They are the proof that a node needs no library of ours, so each claim is made of each of them.

use crate::support::server::Server;
use crate::support::{eventually, node_modules, python};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use tempfile::TempDir;

const CALL: &str = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) {
    id status result chunks provider { id } error { code type message details } } }";
const LOOK: &str = "query($id: UUID!) { invocation(id: $id) {
    status result chunks durationMs error { code type message details } attempts { outcome } } }";
const OFFERS: &str = "query($tool: String!) { tool(name: $tool) { providers {
    node { id status lastSeenAt } connected transport } } }";

/// The code block of docs/nodes.md whose first line is the fence with this language and file name.
fn program(fence: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/nodes.md")).unwrap();
    let begin = format!("```{fence}\n");
    let (_, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("docs/nodes.md has no block {fence}"));
    rest.split("```\n").next().unwrap().to_owned()
}

#[test]
fn the_rust_program_of_the_page_is_the_example() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/greeter.rs");
    assert!(std::fs::read_to_string(example).unwrap().ends_with(&program("rust greeter.rs")));
}

#[derive(Clone, Copy)]
enum Language {
    Python,
    TypeScript,
    /// Python as well, without a client: called by HTTP.
    Http,
}

impl Language {
    fn tool(self) -> &'static str {
        match self {
            Language::Python | Language::TypeScript => "word-count",
            Language::Http => "word-count-http",
        }
    }

    /// How the program is started; `None` where what it needs is not installed.
    fn command(self, directory: &Path) -> Option<Command> {
        match self {
            Language::Python => Some(python_command(directory, &python("gql")?, "word_count.py")),
            Language::Http => Some(python_command(directory, &python("gql")?, "word_count_http.py")),
            Language::TypeScript => {
                let mut command = Command::new("node");
                command.arg(compiled(&node_modules()?));
                Some(command)
            }
        }
    }
}

fn python_command(directory: &Path, python: &Path, file: &str) -> Command {
    let path = directory.join(file);
    std::fs::write(&path, program(&format!("python {file}"))).unwrap();
    let mut command = Command::new(python);
    command.arg(path);
    command
}

/// The TypeScript program as JavaScript: checked and compiled once for all tests, with the options that the page names.
fn compiled(modules: &Path) -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node_programs");
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        std::os::unix::fs::symlink(modules, directory.join("node_modules")).unwrap();
        std::fs::write(directory.join("package.json"), r#"{"type": "module"}"#).unwrap();
        std::fs::write(directory.join("word_count.ts"), program("typescript word_count.ts")).unwrap();
        let mut compiler = Command::new(modules.join(".bin/tsc"));
        compiler.current_dir(&directory).args("--target es2023 --module nodenext --strict --types node".split(' '));
        let output = compiler.arg("word_count.ts").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        directory.join("word_count.js")
    })
}

/// A program of the page while it runs, ended with the test.
struct Program {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(mut command: Command, server: &Server) -> Self {
        command.env("ONEX_SERVER", server.url()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(String::new()));
        let keeps = said.clone();
        // Ends with the child: nothing waits for it.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                keeps.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Program { child, said }
    }

    async fn says(&self, what: &str) {
        eventually(&format!("the program says {what:?}"), async || {
            self.said.lock().unwrap().contains(what).then_some(())
        })
        .await;
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    async fn ended(&mut self) -> ExitStatus {
        eventually("the program ends", async || self.child.try_wait().unwrap()).await
    }
}

/// A registry with one of the programs as its only node.
struct Setting {
    tool: &'static str,
    server: Server,
    program: Program,
    node: String,
    directory: TempDir,
}

impl Setting {
    async fn try_start(language: Language) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let command = language.command(directory.path())?;
        let config = directory.path().join("onex.toml");
        std::fs::write(&config, "[calls]\nallow_loopback = true\n").unwrap();
        let arguments = ["--config", config.to_str().unwrap()];
        let server = Server::start_in(&directory.path().join("data"), &arguments);
        let program = Program::start(command, &server);
        let tool = language.tool();
        let node = eventually("the program offers its tool", async || provider(&server, tool).await).await;
        let node = node["node"]["id"].as_str().unwrap().to_owned();
        Some(Setting { tool, server, program, node, directory })
    }

    async fn call(&self, arguments: Value) -> Value {
        self.invoke(json!({"tool": self.tool, "arguments": arguments})).await
    }

    async fn invoke(&self, input: Value) -> Value {
        self.server.query(CALL, json!({"input": input})).await["proxyInvoke"].clone()
    }

    /// Begins a call of so many lines that take so long each, and waits until the program is at it.
    async fn begin(&self, lines: usize, ms_per_line: u64) -> String {
        let arguments = json!({"text": "one two\n".repeat(lines), "msPerLine": ms_per_line});
        let call = json!({"tool": self.tool, "arguments": arguments, "wait": false, "timeoutMs": 120_000});
        let id = self.invoke(call).await["id"].as_str().unwrap().to_owned();
        eventually("the program sends its first chunk", async || {
            let call = self.look(&id).await;
            (call["status"] == "RUNNING" && call["chunks"] != json!([])).then_some(())
        })
        .await;
        id
    }

    async fn look(&self, id: &str) -> Value {
        self.server.query(LOOK, json!({"id": id})).await["invocation"].clone()
    }

    async fn end_of(&self, id: &str) -> Value {
        eventually("the call ends", async || {
            let call = self.look(id).await;
            (!["PENDING", "ROUTED", "RUNNING"].contains(&call["status"].as_str().unwrap())).then_some(call)
        })
        .await
    }

    async fn counts_again(&self) {
        let call = self.call(json!({"text": "still here"})).await;
        assert_eq!(call["result"], json!({"words": 2, "characters": 10}), "{call}");
    }
}

/// The one provider, once calls can reach it.
async fn provider(server: &Server, tool: &str) -> Option<Value> {
    let found = server.query(OFFERS, json!({"tool": tool})).await;
    let provider = &found["tool"]["providers"][0];
    (provider["connected"] == true || provider["transport"] == "HTTP").then(|| provider.clone())
}

async fn results_and_failures_are_the_tools_own(language: Language) {
    let Some(setting) = Setting::try_start(language).await else { return };
    let call = setting.call(json!({"text": "zwölf  Boxkämpfer\njagen 🦊"})).await;
    assert_eq!((&call["status"], &call["error"]), (&json!("SUCCEEDED"), &Value::Null), "{call}");
    assert_eq!(call["result"], json!({"words": 4, "characters": 25}));
    assert_eq!(call["provider"]["id"], setting.node.as_str());
    let call = setting.call(json!({"text": " \n"})).await;
    assert_eq!((&call["status"], &call["result"]), (&json!("FAILED"), &Value::Null), "{call}");
    let error = &call["error"];
    assert_eq!((&error["code"], &error["type"]), (&json!("TOOL_FAILED"), &json!("NoWords")));
    assert_eq!((&error["message"], &error["details"]["lines"]), (&json!("the text has no words"), &json!(2)));
    let call = setting.call(json!({"text": 1})).await;
    assert_eq!((&call["status"], &call["error"]["code"]), (&json!("REJECTED"), &json!("TOOL_INVALID_ARGUMENTS")));
    assert_eq!(call["error"]["details"]["violations"][0]["path"], "/text", "{call}");
}

async fn chunks_come_in_the_order_they_were_sent(language: Language) {
    let Some(setting) = Setting::try_start(language).await else { return };
    let text = (0..50).map(|n| "word ".repeat(n)).collect::<Vec<_>>().join("\n");
    let call = setting.call(json!({"text": text})).await;
    let expected: Vec<Value> = (0..50).map(|n| json!({"line": n + 1, "words": n * (n + 1) / 2})).collect();
    assert_eq!(call["chunks"], json!(expected));
    assert_eq!(call["result"]["words"], 1_225);
}

async fn a_cancelled_call_is_dropped_by_the_program(language: Language) {
    let Some(setting) = Setting::try_start(language).await else { return };
    let id = setting.begin(1_000, 50).await;
    let cancel = "mutation($input: InvocationRefInput!) { cancelInvocation(input: $input) { status } }";
    let cancelled = setting.server.query(cancel, json!({"input": {"invocationId": id}})).await;
    assert_eq!(cancelled["cancelInvocation"]["status"], "CANCELLED");
    setting.program.says(&format!("cancelled {id}")).await;
    assert_eq!(setting.look(&id).await["error"]["code"], "TOOL_CANCELLED");
    setting.counts_again().await;
}

async fn a_program_killed_in_mid_call_fails_the_call_at_once(language: Language) {
    let Some(setting) = Setting::try_start(language).await else { return };
    let id = setting.begin(1_000, 50).await;
    setting.program.signal("-KILL");
    let call = setting.end_of(&id).await;
    // Not its timeout ended it, which is another error.
    assert_eq!((&call["status"], &call["error"]["type"]), (&json!("FAILED"), &json!("ProviderLost")), "{call}");
    assert_eq!(call["attempts"], json!([{"outcome": "FAILED"}]), "nobody else may do it again");
}

async fn a_program_outlasts_a_restart_of_the_registry_as_the_same_node(language: Language) {
    let Some(setting) = Setting::try_start(language).await else { return };
    setting.counts_again().await;
    let address = setting.server.address().to_owned();
    let data_dir = setting.directory.path().join("data");
    // The address is the same, so the old server has to be gone before.
    let Setting { tool, server, program, node, directory } = setting;
    server.kill();
    program.says("not serving").await;
    let server = Server::start_in(&data_dir, &["--listen", &address]);
    let setting = Setting { tool, server, program, node, directory };
    let again = eventually("the program is back", async || provider(&setting.server, setting.tool).await).await;
    assert_eq!(again["node"]["id"], setting.node.as_str());
    setting.counts_again().await;
}

async fn heartbeats_keep_the_node_online(language: Language) {
    let Some(setting) = Setting::try_start(language).await else { return };
    let first = provider(&setting.server, setting.tool).await.unwrap()["node"]["lastSeenAt"].clone();
    let node = eventually("the program is heard of again", async || {
        let node = provider(&setting.server, setting.tool).await?["node"].clone();
        (node["lastSeenAt"].as_str() > first.as_str()).then_some(node)
    })
    .await;
    assert_eq!(node["status"], "ONLINE");
}

async fn sigterm_ends_the_program_when_its_calls_are_answered(language: Language) {
    let Some(mut setting) = Setting::try_start(language).await else { return };
    let id = setting.begin(40, 50).await;
    setting.program.signal("-TERM");
    eventually("the node drains", async || {
        let found = setting.server.query(OFFERS, json!({"tool": setting.tool})).await;
        (found["tool"]["providers"][0]["node"]["status"] == "DRAINING").then_some(())
    })
    .await;
    let new = setting.call(json!({"text": "too late"})).await;
    assert_eq!((&new["status"], &new["error"]["code"]), (&json!("REJECTED"), &json!("TOOL_NO_PROVIDER")), "{new}");
    let call = setting.end_of(&id).await;
    assert_eq!(call["result"], json!({"words": 80, "characters": 320}), "{call}");
    assert_eq!(call["chunks"].as_array().unwrap().len(), 41);
    assert!(setting.program.ended().await.success());
}

macro_rules! claims {
    ($($module:ident($language:ident): $($claim:ident)+;)+) => { $(
        mod $module {
            use super::Language;
            $(
                #[tokio::test]
                async fn $claim() {
                    super::$claim(Language::$language).await;
                }
            )+
        }
    )+ };
}

claims! {
    in_python(Python):
        results_and_failures_are_the_tools_own
        chunks_come_in_the_order_they_were_sent
        a_cancelled_call_is_dropped_by_the_program
        a_program_killed_in_mid_call_fails_the_call_at_once
        a_program_outlasts_a_restart_of_the_registry_as_the_same_node
        heartbeats_keep_the_node_online
        sigterm_ends_the_program_when_its_calls_are_answered;
    in_typescript(TypeScript):
        results_and_failures_are_the_tools_own
        chunks_come_in_the_order_they_were_sent
        a_cancelled_call_is_dropped_by_the_program
        a_program_killed_in_mid_call_fails_the_call_at_once
        a_program_outlasts_a_restart_of_the_registry_as_the_same_node
        heartbeats_keep_the_node_online
        sigterm_ends_the_program_when_its_calls_are_answered;
    over_http(Http):
        results_and_failures_are_the_tools_own
        heartbeats_keep_the_node_online;
}
