//! Calls by MCP over streamable HTTP, to the reference server.

use crate::calls::invoke;
use crate::support::server::Server;
use crate::support::testing::free_port;
use crate::support::{PATIENCE, eventually, node_program};
use onex::model::{ToolKey, ToolName, ToolTransport, Version};
use onex::proxy::outbound::{Failure, Outbound, Policy, Sending};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use uuid::Uuid;

/// The reference server at a port of its own, gone with the test.
struct Reference {
    program: PathBuf,
    child: Child,
    port: u16,
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, port: u16) -> Child {
    let mut command = Command::new("node");
    command.arg(program).arg("streamableHttp").env("PORT", port.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Reference {
    async fn start() -> Option<Self> {
        let program = node_program("@modelcontextprotocol/server-everything/dist/index.js")?;
        let port = free_port();
        let server = Reference { child: spawn(&program, port), program, port };
        server.listens().await;
        Some(server)
    }

    async fn listens(&self) {
        eventually("the reference server listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.ok()
        })
        .await;
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn restart(&mut self) {
        self.child = spawn(&self.program, self.port);
        self.listens().await;
    }

    fn sending(&self, tool: &str, arguments: Value) -> Sending {
        Sending {
            endpoint: format!("http://127.0.0.1:{}/mcp", self.port),
            transport: ToolTransport::Mcp,
            tool: ToolKey { name: ToolName::try_new(tool).unwrap(), version: Version::try_new("1.0.0").unwrap() },
            arguments: Arc::new(arguments),
            invocation: Uuid::new_v4(),
            attempt: 1,
            caller: "anonymous".to_owned(),
            correlation_id: "c-1".to_owned(),
            trace: None,
            deadline: "2026-11-22T12:00:30Z".parse().unwrap(),
            timeout: PATIENCE,
        }
    }
}

fn outbound(allow_loopback: bool) -> Outbound {
    let policy = Policy { allow_loopback, allow_private: false, allow: vec![], response_bytes_max: 1024 * 1024 };
    Outbound::try_new(policy).unwrap()
}

fn unlistened(chunk: Value) {
    panic!("{chunk}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_servers_tools_are_called_and_their_errors_told_apart() {
    let Some(server) = Reference::start().await else { return };
    let outbound = outbound(true);
    let call = async |tool: &str, arguments| outbound.call(server.sending(tool, arguments), unlistened).await;

    let sum = call("get-sum", json!({"a": 1, "b": 2})).await;
    assert_eq!(sum, Ok(json!({"content": [{"type": "text", "text": "The sum of 1 and 2 is 3."}]})));
    let weather = call("get-structured-content", json!({"location": "Chicago"})).await;
    assert_eq!(weather, Ok(json!({"temperature": 36, "conditions": "Light rain / drizzle", "humidity": 82})));

    match call("get-sum", json!({"a": "x"})).await {
        Err(Failure::Tool { code, message, .. }) => {
            assert!(code == "MCP_TOOL_ERROR" && message.contains("Invalid"), "{code} {message}");
        }
        other => panic!("{other:?}"),
    }
    match call("no-such-tool", json!({})).await {
        Err(Failure::NotStarted { kind: "ToolUnknown", message }) => {
            assert!(message.contains("no-such-tool"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    match call("get-sum", json!([1])).await {
        Err(Failure::NotStarted { kind: "Unsendable", .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_comes_in_order_and_before_the_result_of_each_of_many_calls() {
    let Some(server) = Reference::start().await else { return };
    let outbound = outbound(true);
    let calls = (1..=20).map(async |steps| {
        let chunks = Mutex::new(Vec::new());
        let sending = server.sending("trigger-long-running-operation", json!({"duration": 0.2, "steps": steps}));
        let result = outbound.call(sending, |chunk| chunks.lock().unwrap().push(chunk)).await.unwrap();
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.ends_with(&format!("Steps: {steps}.")), "{text}");
        let expected: Vec<Value> =
            (1..=steps).map(|step| json!({"progress": f64::from(step), "total": f64::from(steps)})).collect();
        assert_eq!(chunks.into_inner().unwrap(), expected);
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_mid_call_is_known_at_once_and_used_again_when_it_is_back() {
    let Some(mut server) = Reference::start().await else { return };
    let outbound = Arc::new(outbound(true));
    let sending = server.sending("trigger-long-running-operation", json!({"duration": 60, "steps": 600}));
    let (begun, mut is_begun) = tokio::sync::mpsc::unbounded_channel();
    let calling = tokio::spawn({
        let outbound = outbound.clone();
        async move { outbound.call(sending, move |_| begun.send(()).unwrap_or_default()).await }
    });
    is_begun.recv().await.unwrap();
    server.kill();
    // Not its timeout ends it, which is another failure.
    match calling.await.unwrap() {
        Err(Failure::Unknown { kind: "ConnectionLost", .. }) => {}
        other => panic!("{other:?}"),
    }

    let echo = || server.sending("echo", json!({"message": "hello"}));
    match outbound.call(echo(), unlistened).await {
        Err(Failure::NotStarted { kind: "Unreachable", message }) => assert!(message.contains("refused"), "{message}"),
        other => panic!("{other:?}"),
    }
    let echo = echo();
    server.restart().await;
    assert_eq!(
        outbound.call(echo, unlistened).await,
        Ok(json!({"content": [{"type": "text", "text": "Echo: hello"}]}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_started_anew_is_greeted_anew() {
    let Some(mut server) = Reference::start().await else { return };
    let outbound = outbound(true);
    for _ in 0..3 {
        outbound.call(server.sending("echo", json!({"message": "hello"})), unlistened).await.unwrap();
        server.kill();
        server.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_at_an_address_that_is_not_allowed_is_not_called() {
    let Some(server) = Reference::start().await else { return };
    let mut sending = server.sending("echo", json!({"message": "hello"}));
    for host in ["127.0.0.1", "localhost"] {
        sending.endpoint = format!("http://{host}:{}/mcp", server.port);
        match outbound(false).call(sending.clone(), unlistened).await {
            Err(Failure::NotStarted { kind: "EndpointRefused", message }) => {
                assert!(message.contains("calls.allow_loopback"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_tool_that_names_an_mcp_endpoint_is_called_through_the_registry() {
    let Some(reference) = Reference::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("onex.toml");
    std::fs::write(&config, "[calls]\nallow_loopback = true\n").unwrap();
    let registry = Server::start_in(&directory.path().join("data"), &["--config", config.to_str().unwrap()]);
    let endpoint = format!("http://127.0.0.1:{}/mcp", reference.port);
    let tool = |name: &str| json!({"name": name, "version": "1.0.0", "transport": "MCP", "endpoint": endpoint});
    let register = "mutation($input: RegisterInput!) { register(input: $input) { created } }";
    let tools = json!([tool("echo"), tool("no-such-tool")]);
    registry.query(register, json!({"input": {"name": "everything", "tools": tools}})).await;

    let call = invoke(&registry, json!({"tool": "echo", "arguments": {"message": "hello"}})).await;
    assert_eq!(call["status"], "SUCCEEDED", "{call}");
    assert!(call["result"]["content"][0]["text"].as_str().unwrap().contains("hello"), "{call}");
    let call = invoke(&registry, json!({"tool": "no-such-tool", "arguments": {}})).await;
    assert_eq!(call["status"], "FAILED", "{call}");

    // Without the setting, an address of the registry's own machine is not called.
    drop(registry);
    let registry = Server::start_in(&directory.path().join("data"), &[]);
    let call = invoke(&registry, json!({"tool": "echo", "arguments": {"message": "hello"}})).await;
    assert_eq!((&call["status"], &call["error"]["code"]), (&json!("REJECTED"), &json!("TOOL_NO_PROVIDER")), "{call}");
}
