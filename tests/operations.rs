//! What operators see of a running registry: metrics, health, logs, traces, and how it ends.

use crate::support::provider::Provider;
use crate::support::registry::Registry;
use crate::support::server::{Server, onex};
use crate::support::socket::Socket;
use crate::support::{Killed, eventually, python};
use onex::log::memory::MemoryLog;
use onex::log::{AppendError, Filter, Head, Log, Range, ReadError, Record, Snapshot, Verification};
use onex::model::{Actor, Entry, NodeName, RegistryId, Sequence, Time};
use onex::registry::command::{Command, Register, Request};
use onex::registry::engine::{Condition, Error};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::io::AsyncWriteExt;

const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
const INVOKE: &str = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { id status } }";
const SEQUENCE: &str = "{ registry { sequence } }";
const EVENTS: &str = "subscription { registryEvents { sequence } }";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn get(server: &Server, path: &str, accept: &str) -> reqwest::Response {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.get(format!("{}{path}", server.url())).header("accept", accept).send().await.unwrap()
}

/// The metrics as Python's own client library reads them.
fn parse(python: &Path, form: &str, text: &str) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/metrics.py");
    let mut command = std::process::Command::new(python);
    let mut child = command.args([script, form]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{form}: not read\n{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The value of the one sample of this name whose labels include these; 0 where there is none.
fn value(families: &[Value], name: &str, labels: Value) -> f64 {
    let samples = families.iter().flat_map(|family| family["samples"].as_array().unwrap());
    let mut found = samples.filter(|sample| {
        sample[0] == name && labels.as_object().unwrap().iter().all(|(label, value)| sample[1][label] == *value)
    });
    let value = found.next().map_or(0.0, |sample| sample[2].as_f64().unwrap());
    assert!(found.next().is_none(), "{name} {labels} is several");
    value
}

/// A registry in which a bit of everything happened.
async fn lively() -> (Server, Provider) {
    let server = Server::start();
    let tool = json!([{"name": "add", "version": "1.0.0"}]);
    let mut provider = Provider::start(&server, "adder", tool).await;
    let call = server.query(INVOKE, json!({"input": {"tool": "add", "arguments": {}}}));
    let answer = async {
        let call = provider.call().await;
        provider.answer(&call, json!(3)).await;
    };
    tokio::join!(call, answer);
    server.query(REGISTER, json!({"input": {"name": "known", "declareOnly": true}})).await;
    server.query(SEQUENCE, Value::Null).await;
    let allocate = "mutation { allocate(input: {requesterId: \"0190c5a0-7a3e-7cc0-8f6e-1b2c3d4e5f60\"}) { port } }";
    server.query(allocate, Value::Null).await;
    server.refused("{ nothing }", Value::Null).await;
    server.refused("mutation { releaseNothing }", Value::Null).await;
    (server, provider)
}

#[tokio::test]
async fn metrics_are_read_by_scrapers_of_both_forms_and_every_one_is_documented() {
    let Some(python) = python("prometheus_client") else { return };
    let (server, _provider) = lively().await;
    let open = get(&server, "/metrics", "application/openmetrics-text; version=1.0.0").await;
    assert_eq!(open.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let open = open.text().await.unwrap();
    assert!(open.ends_with("# EOF\n"), "{open}");
    let older = get(&server, "/metrics", "text/plain").await;
    assert_eq!(older.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let older = older.text().await.unwrap();

    let (open, older) = (parse(&python, "openmetrics", &open), parse(&python, "prometheus", &older));
    let names = |families: &[Value]| -> BTreeSet<String> {
        let samples = families.iter().flat_map(|family| family["samples"].as_array().unwrap());
        samples.map(|sample| sample[0].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&open), names(&older));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    for family in &older {
        assert_ne!(family["help"], "", "{family}");
        assert_ne!(family["type"], "unknown", "{family}");
        // Python's name of a counter is without its end.
        let name = family["name"].as_str().unwrap();
        let name = if family["type"] == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not in docs/operations.md");
    }
    for line in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let name = line.split('`').next().unwrap();
        let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let is_metric = is_name && (name.starts_with("onex_") || name.starts_with("process_"));
        let family = name.strip_suffix("_total").unwrap_or(name);
        let known = older.iter().any(|known| known["name"] == family || known["name"] == name);
        assert!(!is_metric || known, "docs/operations.md has {name}, which is not there");
    }
}

#[tokio::test]
async fn metrics_count_what_happened_by_names_of_the_schema_alone() {
    let Some(python) = python("prometheus_client") else { return };
    let (server, _provider) = lively().await;
    let mut socket = Socket::ready(&server).await;
    socket.operate("events", EVENTS, Value::Null).await;
    let scrape = async || {
        let text = get(&server, "/metrics", "application/openmetrics-text").await.text().await.unwrap();
        parse(&python, "openmetrics", &text)
    };
    let open = json!({"operation": "registryEvents", "transport": "websocket"});
    let families = eventually("the subscription is open", async || {
        let families = scrape().await;
        (value(&families, "onex_graphql_subscriptions_open", open.clone()) == 1.0).then_some(families)
    })
    .await;
    let count = |name, labels| value(&families, name, labels);
    let requests = |kind, operation, code| {
        let labels = json!({"kind": kind, "operation": operation, "code": code, "transport": "http"});
        count("onex_graphql_requests_total", labels)
    };
    assert_eq!(requests("mutation", "register", "OK"), 2.0);
    assert_eq!(requests("mutation", "allocate", "OK"), 1.0);
    assert_eq!(requests("mutation", "proxyInvoke", "OK"), 1.0);
    assert!(requests("query", "registry", "OK") >= 1.0);
    assert_eq!(requests("invalid", "invalid", "INVALID_ARGUMENT"), 2.0);
    let took = json!({"operation": "proxyInvoke", "transport": "http"});
    assert_eq!(count("onex_graphql_request_duration_seconds_count", took), 1.0);
    assert_eq!(count("onex_connections_open", json!({"transport": "websocket"})), 2.0);
    assert_eq!(count("onex_tool_calls_total", json!({"status": "SUCCEEDED"})), 1.0);
    assert_eq!(count("onex_tool_listeners", json!({})), 1.0);
    assert_eq!(count("onex_nodes", json!({"status": "ONLINE"})), 1.0);
    assert_eq!(count("onex_nodes", json!({"status": "DECLARED"})), 1.0);
    assert_eq!(count("onex_tools", json!({})), 1.0);
    assert_eq!(count("onex_port_pool_numbers", json!({"transport": "tcp", "state": "leased"})), 1.0);
    assert_eq!(count("onex_port_pool_requests_total", json!({"transport": "tcp", "outcome": "granted"})), 1.0);
    assert_eq!(count("onex_ready", json!({})), 1.0);
    assert!(count("onex_log_sync_duration_seconds_count", json!({})) >= 3.0);
    assert!(count("onex_log_size_bytes", json!({})) > 0.0);
    assert!(count("process_resident_memory_bytes", json!({})) > 1e6);
    // Nothing that a client wrote stands in a label.
    let all = serde_json::to_string(&families).unwrap();
    assert!(!all.contains("releaseNothing") && !all.contains("nothing"), "{all}");
}

#[tokio::test]
async fn a_registry_is_alive_and_ready_and_says_what_it_is_not() {
    let server = Server::start();
    let alive = get(&server, "/healthz", "*/*").await;
    assert_eq!((alive.status(), alive.text().await.unwrap()), (reqwest::StatusCode::OK, "alive\n".to_owned()));
    let ready = get(&server, "/readyz", "*/*").await;
    assert_eq!(ready.status(), 200);
    assert_eq!(ready.json::<Value>().await.unwrap(), json!({"ready": true, "reasons": []}));
}

#[tokio::test]
async fn while_the_log_is_read_a_registry_is_alive_and_not_ready_and_can_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    // A pipe that nobody writes to is a log that takes for ever to read.
    let pipe = directory.path().join("registry.db");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let address = format!("127.0.0.1:{}", crate::support::testing::free_port());
    let mut command = onex(&["serve", "--listen", &address, "--data-dir", directory.path().to_str().unwrap()]);
    let mut child = Killed(command.stderr(Stdio::null()).spawn().unwrap());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async |path: &str| http.get(format!("http://{address}{path}")).send().await.ok();
    let alive = eventually("it answers", async || ask("/healthz").await).await;
    assert_eq!(alive.status(), 200);
    let ready = ask("/readyz").await.unwrap();
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.json::<Value>().await.unwrap()["reasons"][0]["code"], "STARTING");
    let asked = ask("/graphql?query=%7B__typename%7D").await.unwrap();
    assert_eq!(asked.status(), 503);
    assert_eq!(asked.headers()["retry-after"], "1");
    assert_eq!(asked.json::<Value>().await.unwrap()["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    let pid = child.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = eventually("it ends", async || child.0.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
}

#[test]
fn settings_of_the_stop_and_of_traces_have_their_defaults() {
    let output = onex(&["serve", "--print-config"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for setting in ["stop_seconds = 15", "stop_pause_seconds = 0", "otlp_endpoint = \"\"", "service_name = \"onex\""] {
        assert!(text.contains(setting), "{setting} is not in {text}");
    }
}

/// A server with these settings.
fn with_settings(settings: &str, arguments: &[&str]) -> (Server, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("onex.toml");
    std::fs::write(&file, settings).unwrap();
    let arguments = [arguments, &["--config", file.to_str().unwrap()]].concat();
    (Server::start_in(&directory.path().join("data"), &arguments), directory)
}

/// A tool's endpoint that tells with which headers it was called.
async fn endpoint() -> (String, tokio::sync::mpsc::UnboundedReceiver<axum::http::HeaderMap>) {
    let (called, calls) = tokio::sync::mpsc::unbounded_channel();
    let answer = axum::routing::post(async move |headers: axum::http::HeaderMap| {
        called.send(headers).unwrap();
        ([("content-type", "application/json")], "{}")
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", answer)).await });
    (format!("http://{address}/"), calls)
}

/// Calls a tool by HTTP, in a trace and an undertaking.
async fn call_in_trace(server: &Server, tool: &str) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({"query": INVOKE, "variables": {"input": {"tool": tool, "arguments": {}}}});
    let request = http.post(format!("{}/graphql", server.url())).json(&body);
    let request = request.header("traceparent", TRACEPARENT).header("x-correlation-id", "undertaking-7");
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"]["proxyInvoke"]["status"], "SUCCEEDED", "{answer}");
}

async fn offer_at(server: &Server, endpoint: &str) {
    let tools = json!([{"name": "remote", "version": "1.0.0", "transport": "HTTP", "endpoint": endpoint}]);
    server.query(REGISTER, json!({"input": {"name": "remote", "tools": tools}})).await;
}

#[tokio::test]
async fn a_traceparent_goes_on_to_endpoints_and_listeners_and_lines_have_the_correlation_id() {
    let settings = "[calls]\nallow_loopback = true\n[log]\nlevel = \"debug\"\nformat = \"json\"\n";
    let (server, _directory) = with_settings(settings, &[]);
    let (endpoint, mut calls) = endpoint().await;
    offer_at(&server, &endpoint).await;
    call_in_trace(&server, "remote").await;
    let headers = calls.recv().await.unwrap();
    // Nothing is exported here, so that what came goes on as it is.
    assert_eq!(headers["traceparent"], TRACEPARENT);
    assert_eq!(headers["x-correlation-id"], "undertaking-7");

    let tool = json!([{"name": "local", "version": "1.0.0"}]);
    let mut provider = Provider::start(&server, "listener", tool).await;
    let calling = call_in_trace(&server, "local");
    let answering = async {
        let call = provider.call().await;
        assert_eq!(call["traceparent"], TRACEPARENT, "{call}");
        provider.answer(&call, json!({})).await;
    };
    tokio::join!(calling, answering);

    // Whoever cannot send headers says it in the extensions of the operation.
    let mut socket = Socket::ready(&server).await;
    let variables = json!({"input": {"tool": "remote", "arguments": {}}});
    let payload = json!({"query": INVOKE, "variables": variables, "extensions": {"traceparent": TRACEPARENT}});
    socket.say(json!({"type": "subscribe", "id": "1", "payload": payload})).await;
    assert_eq!(calls.recv().await.unwrap()["traceparent"], TRACEPARENT);

    let lines = eventually("the lines are there", async || {
        let said = server.said();
        let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let ours = |line: &Value| line.to_string().contains("undertaking-7");
        let found: Vec<Value> = lines.into_iter().filter(ours).collect();
        found.iter().any(|line| line["fields"]["message"] == "a request was answered").then_some(found)
    })
    .await;
    for line in lines.iter().filter(|line| line["span"]["name"] == "request") {
        assert_eq!(line["span"]["correlation_id"], "undertaking-7", "{line}");
        assert_eq!(line["span"]["trace_id"], TRACE, "{line}");
    }
    assert!(lines.iter().any(|line| line["span"]["operation"] == "proxyInvoke"), "{lines:#?}");
}

#[cfg(feature = "otlp")]
#[tokio::test]
async fn spans_reach_a_collector_in_the_callers_trace() {
    use std::io::{BufRead, BufReader};
    let Some(python) = python("opentelemetry.proto") else { return };
    let port = crate::support::testing::free_port().to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/collector.py");
    let mut command = std::process::Command::new(&python);
    let mut collector = Killed(command.args([script, &port]).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(collector.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "ready");
    let settings = format!(
        "[calls]\nallow_loopback = true\n[telemetry]\notlp_endpoint = \"http://127.0.0.1:{port}\"\nservice_name = \"of a test\"\n"
    );
    let (server, _directory) = with_settings(&settings, &[]);
    let (endpoint, mut calls) = endpoint().await;
    offer_at(&server, &endpoint).await;
    call_in_trace(&server, "remote").await;
    let passed_on = calls.recv().await.unwrap()["traceparent"].to_str().unwrap().to_owned();
    // The last batch is sent at the end.
    assert!(server.stop().success());
    collector.0.kill().unwrap();
    let span = lines
        .map(|line| serde_json::from_str::<Value>(&line).unwrap())
        .find(|span| span["name"] == "proxyInvoke")
        .unwrap();
    assert_eq!((&span["trace"], &span["parent"]), (&json!(TRACE), &json!("b7ad6b7169203331")), "{span}");
    assert_eq!(span["resource"]["service.name"], "of a test", "{span}");
    assert_eq!(span["attributes"]["correlation_id"], "undertaking-7", "{span}");
    assert!(span["nanos"].as_u64().unwrap() > 0 && span["kind"] == 2, "{span}");
    // Whom the registry called stands below the registry's own span.
    assert_eq!(passed_on, format!("00-{TRACE}-{}-01", span["span"].as_str().unwrap()));
}

#[tokio::test]
async fn a_stop_turns_readiness_off_first_and_lets_calls_finish() {
    let (server, _directory) = with_settings("stop_pause_seconds = 2\n", &[]);
    let tool = json!([{"name": "slow", "version": "1.0.0"}]);
    let mut provider = Provider::start(&server, "slow", tool).await;
    let calling = server.query(INVOKE, json!({"input": {"tool": "slow", "arguments": {}}}));
    let stopping = async {
        let call = provider.call().await;
        server.signal("-TERM");
        let reasons = eventually("the registry is not ready", async || {
            let ready = get(&server, "/readyz", "*/*").await;
            (ready.status() == 503).then_some(ready.json::<Value>().await.unwrap())
        });
        assert_eq!(reasons.await["reasons"][0]["code"], "STOPPING");
        // Others may still come: that is what the pause is for.
        assert!(server.sequence().await > 0);
        provider.answer(&call, json!({})).await;
    };
    let (answer, ()) = tokio::join!(calling, stopping);
    assert_eq!(answer["proxyInvoke"]["status"], "SUCCEEDED");
    assert!(server.ended().success());
}

#[tokio::test]
async fn a_subscriber_is_told_that_the_registry_stops() {
    let server = Server::start();
    let mut socket = Socket::ready(&server).await;
    socket.operate("events", EVENTS, Value::Null).await;
    server.query(REGISTER, json!({"input": {"name": "a"}})).await;
    let event = socket.hear().await;
    assert_eq!((&event["id"], &event["type"]), (&json!("events"), &json!("next")), "{event}");
    server.signal("-TERM");
    let (code, reason) = socket.closed().await;
    assert_eq!(code, 1001);
    assert!(reason.contains("shutting down"), "{reason}");
    assert!(server.ended().success());
}

#[tokio::test]
async fn the_end_takes_no_longer_than_it_may_where_something_hangs() {
    let (server, _directory) = with_settings("stop_seconds = 2\n", &[]);
    let tool = json!([{"name": "never", "version": "1.0.0"}]);
    let mut provider = Provider::start(&server, "never", tool).await;
    let client = server.client();
    let calling = tokio::spawn(async move {
        client.query::<Value>(INVOKE, json!({"input": {"tool": "never", "arguments": {}}})).await
    });
    provider.call().await;
    // A request that never ends, and a peer that never reads.
    let mut stalled = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let begun = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    stalled.write_all(begun).await.unwrap();
    server.signal("-TERM");
    // The call ends as interrupted, and its caller is told.
    let answer = calling.await.unwrap().unwrap();
    assert_eq!(answer["proxyInvoke"]["status"], "FAILED", "{answer}");
    // Its own 30 seconds for a call are longer than the 30 that a test waits.
    assert!(server.ended().success());
    drop(stalled);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (server, _directory) = with_settings("stop_pause_seconds = 3600\n", &[]);
    server.signal("-TERM");
    eventually("the first signal is taken", async || {
        (get(&server, "/readyz", "*/*").await.status() == 503).then_some(())
    })
    .await;
    server.signal("-INT");
    assert_eq!(server.ended().code(), Some(130));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_service_manager_is_told_of_the_start_and_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    let data = directory.path().join("data");
    let mut command = onex(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()]);
    let mut child = Killed(command.env("NOTIFY_SOCKET", &path).stderr(Stdio::null()).spawn().unwrap());
    let heard = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(heard(), "READY=1");
    let pid = child.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(heard(), "STOPPING=1");
    assert!(child.0.wait().unwrap().success());
}

fn doctor(arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = onex(&[&["doctor", "--format", "json"][..], arguments].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let checks = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code(), checks)
}

fn check<'a>(checks: &'a [Value], name: &str) -> &'a Value {
    checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{name} is not in {checks:#?}"))
}

#[tokio::test]
async fn a_sound_registry_passes_the_doctors_checks() {
    let server = Server::start();
    server.query(REGISTER, json!({"input": {"name": "a"}})).await;
    let data = server.data_dir().to_str().unwrap();
    let (status, checks) = doctor(&["--server", server.url(), "--data-dir", data]);
    assert_eq!(status, Some(0), "{checks:#?}");
    for name in [
        "settings",
        "server",
        "clock",
        "ready",
        "version",
        "open files",
        "log writes",
        "writer",
        "access",
        "leases",
        "bands",
        "disk space",
        "data directory",
        "log",
        "log file",
        "hash chain",
        "snapshots",
        "write-ahead log",
    ] {
        assert_ne!(check(&checks, name)["status"], "FAIL", "{checks:#?}");
    }
    let table = server.stdout_of(&["doctor", "--data-dir", data]);
    assert!(table.contains("CHECK") && table.contains("hash chain"), "{table}");
}

#[tokio::test]
async fn the_doctor_finds_what_is_broken_in_a_data_directory() {
    let server = Server::start();
    for name in ["a", "b", "c"] {
        server.query(REGISTER, json!({"input": {"name": name}})).await;
    }
    let url = server.url().to_owned();
    let kept = tempfile::tempdir().unwrap();
    let data = kept.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let log = server.data_dir().join("registry.db");
    let directory = server.data_dir().to_owned();
    // The directory goes with the server: what is broken is a copy of what a clean stop leaves.
    server.signal("-TERM");
    eventually("it has stopped", async || (!directory.join("registry.db-wal").exists()).then_some(())).await;
    std::fs::copy(&log, data.join("registry.db")).unwrap();
    drop(server);
    let offline = ["--offline", "--data-dir", data.to_str().unwrap()];
    assert_eq!(doctor(&offline).0, Some(0));

    let connection = rusqlite::Connection::open(data.join("registry.db")).unwrap();
    connection.execute("UPDATE change SET body = replace(body, '\"b\"', '\"z\"') WHERE sequence = 3", []).unwrap();
    connection.execute("UPDATE change SET time = time + 1 WHERE sequence = 3", []).unwrap();
    drop(connection);
    let (status, checks) = doctor(&offline);
    assert_eq!((status, &check(&checks, "hash chain")["status"]), (Some(1), &json!("FAIL")), "{checks:#?}");

    std::fs::write(data.join("registry.db"), "something else").unwrap();
    let (status, checks) = doctor(&offline);
    assert_eq!((status, &check(&checks, "log")["status"]), (Some(1), &json!("FAIL")), "{checks:#?}");

    let nowhere = kept.path().join("nowhere");
    let (status, checks) = doctor(&["--offline", "--data-dir", nowhere.to_str().unwrap()]);
    assert_eq!((status, &check(&checks, "data directory")["status"]), (Some(1), &json!("FAIL")), "{checks:#?}");
    let (status, checks) = doctor(&["--server", &url, "--data-dir", nowhere.to_str().unwrap()]);
    assert_eq!((status, &check(&checks, "server")["status"]), (Some(1), &json!("FAIL")), "{checks:#?}");
}

#[tokio::test]
async fn the_doctor_finds_settings_limits_strangers_and_overlaps() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    // The number comes from those that the kernel gives to connections, so that the band overlaps them as well.
    let settings = format!("[ports]\nbands = [\"{port}-{port}\"]\n");
    let (server, directory) = with_settings(&settings, &[]);
    let data = server.data_dir().to_str().unwrap().to_owned();
    let (status, checks) = doctor(&["--server", server.url(), "--data-dir", &data]);
    assert_eq!(status, Some(0), "{checks:#?}");
    let leases = check(&checks, "leases");
    assert_eq!(leases["status"], "WARN", "{checks:#?}");
    assert!(leases["found"].as_str().unwrap().contains(&format!("{port}/TCP")), "{leases}");
    assert_eq!(check(&checks, "bands")["status"], "WARN", "{checks:#?}");
    let file = directory.path().join("wrong.toml");
    std::fs::write(&file, "lissten = 1\n").unwrap();
    let config = file.to_str().unwrap();
    let (status, checks) = doctor(&["--server", server.url(), "--data-dir", &data, "--config", config]);
    assert_eq!((status, &check(&checks, "settings")["status"]), (Some(1), &json!("FAIL")), "{checks:#?}");
    drop(taken);
}

/// A log whose disk refuses, or breaks, when it is told to.
struct Moody {
    inner: MemoryLog,
    mood: AtomicU8,
}

const WELL: u8 = 0;
const FULL: u8 = 1;
const BROKEN: u8 = 2;

impl Log for Moody {
    fn registry_id(&self) -> RegistryId {
        self.inner.registry_id()
    }
    fn head(&self) -> Result<Head, ReadError> {
        self.inner.head()
    }
    fn pruned_upto(&self) -> Result<Sequence, ReadError> {
        self.inner.pruned_upto()
    }
    fn append(&self, expected: Sequence, entries: &[Entry]) -> Result<(), AppendError> {
        match self.mood.load(Ordering::SeqCst) {
            WELL => self.inner.append(expected, entries),
            FULL => Err(AppendError::Refused("no space is left".into())),
            _ => Err(AppendError::Unknown("the disk is gone".into())),
        }
    }
    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.inner.read(after, limit)
    }
    fn find(&self, filter: &Filter, range: Range) -> Result<Vec<Record>, ReadError> {
        self.inner.find(filter, range)
    }
    fn count(&self, filter: &Filter, upto: Sequence) -> Result<u64, ReadError> {
        self.inner.count(filter, upto)
    }
    fn place_at(&self, time: Time) -> Result<Sequence, ReadError> {
        self.inner.place_at(time)
    }
    fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), ReadError> {
        self.inner.save_snapshot(snapshot)
    }
    fn load_snapshot(&self, upto: Sequence) -> Result<Option<Snapshot>, ReadError> {
        self.inner.load_snapshot(upto)
    }
    fn snapshot_place(&self, upto: Sequence) -> Result<Option<Sequence>, ReadError> {
        self.inner.snapshot_place(upto)
    }
    fn prune(&self, upto: Sequence) -> Result<Sequence, ReadError> {
        self.inner.prune(upto)
    }
    fn verify(&self) -> Result<Verification, ReadError> {
        self.inner.verify()
    }
}

#[tokio::test]
async fn the_writer_says_whether_its_disk_takes_what_it_writes() {
    let log =
        Arc::new(Moody { inner: MemoryLog::new(RegistryId(uuid::Uuid::from_u128(1))), mood: AtomicU8::new(WELL) });
    let registry = Registry::on(log.clone());
    let handle = registry.engine.handle();
    let register = async |name: &str| {
        let register = Register::named(registry.fresh_id(), Some(NodeName::try_new(name).unwrap()));
        let command = Command::Register(Box::new(register));
        handle.submit(Request { command, actor: Actor::anonymous(None), correlation_id: None }).await
    };
    register("a").await.unwrap();
    assert!(matches!(handle.condition(), Condition::Writing));
    log.mood.store(FULL, Ordering::SeqCst);
    assert!(matches!(register("b").await, Err(Error::NotStored(_))));
    assert!(matches!(handle.condition(), Condition::Refused { .. }));
    log.mood.store(WELL, Ordering::SeqCst);
    register("b").await.unwrap();
    assert!(matches!(handle.condition(), Condition::Writing));
    log.mood.store(BROKEN, Ordering::SeqCst);
    assert!(matches!(register("c").await, Err(Error::Halted(_))));
    log.mood.store(WELL, Ordering::SeqCst);
    assert!(matches!(register("c").await, Err(Error::Halted(_))));
    assert!(matches!(handle.condition(), Condition::Halted(_)));
    tokio::task::spawn_blocking(move || registry.engine.stop()).await.unwrap();
    assert!(matches!(handle.condition(), Condition::Ended));
}
