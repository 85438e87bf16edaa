//! A call by the Model Context Protocol, over streamable HTTP.
//!
//! A server is asked first whether it speaks the protocol of 2026-07-28, which has no sessions, and greeted in the one of
//! 2025-11-25 where it does not. What was found out, and the session, are kept for the next calls to the same endpoint.

mod answer;
mod transport;

use super::{Failure, Sending};
use answer::Ended;
use reqwest::{Client, Url};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest, Implementation,
    ProtocolVersion, RequestMetaObject,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, PeerRequestOptions, RequestHandle, RoleClient,
    RunningService,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use transport::Chunks;

/// How many servers are kept connected at once.
const SERVICES_MAX: usize = 256;
/// A connection that nobody used for this long, and at most for twice as long, is closed.
const IDLE_SERVICE_WITHIN: Duration = Duration::from_secs(5 * 60);
/// How many chunks of one call wait to be taken; a server that sends more is read no further meanwhile.
const CHUNKS_MAX: usize = 64;

type Service = RunningService<RoleClient, ClientConfig>;

/// A server's place: filled by the first call, emptied when the connection turns out to be broken.
#[derive(Default)]
struct Slot {
    service: tokio::sync::Mutex<Option<Arc<Service>>>,
    /// Whether it was used since the last look for idle ones.
    used: AtomicBool,
}

impl Slot {
    /// Lets the next call connect anew; calls under way keep what they have.
    async fn forget(&self, broken: &Arc<Service>) {
        let mut kept = self.service.lock().await;
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, broken)) {
            *kept = None;
        }
    }
}

type Slots = Mutex<HashMap<String, Arc<Slot>>>;

fn locked(slots: &Slots) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A slot that only the map holds has no call under way.
fn is_free(slot: &Arc<Slot>) -> bool {
    Arc::strong_count(slot) == 1
}

/// The servers that are connected, by endpoint.
pub(super) struct Services {
    http: Client,
    response_bytes_max: usize,
    slots: Arc<Slots>,
}

impl Services {
    pub fn new(http: Client, response_bytes_max: usize) -> Self {
        Services { http, response_bytes_max, slots: Arc::default() }
    }

    /// Calls a tool by its name at an endpoint, which was checked.
    pub async fn call(&self, url: Url, sending: &Sending, chunk: impl Fn(Value) + Send) -> Result<Value, Failure> {
        let request = request(sending)?;
        let deadline = Instant::now() + sending.timeout;
        let endpoint = String::from(url);
        let slot = self.slot(&endpoint)?;
        loop {
            let connecting = timeout_at(deadline, self.service(&slot, &endpoint)).await;
            let (service, is_new) = connecting.map_err(|_| {
                Failure::not_started("Unreachable", "the time was over before the MCP server had finished its greeting")
            })??;
            let asking = ask(&service, sending, request.clone(), &chunk);
            let ended = timeout_at(deadline, asking).await.map_err(|_| {
                Failure::unknown("Timeout", "the time was over before the answer of the MCP server came")
            })?;
            match ended {
                Ended::Well(result) => return Ok(result),
                Ended::Badly(failure) => return Err(failure),
                Ended::Broken(failure) => {
                    slot.forget(&service).await;
                    return Err(failure);
                }
                // The server has forgotten the session, or the connection had ended: it never saw this call. A new
                // session that is refused like that would be so for ever.
                Ended::Stale if is_new => {
                    slot.forget(&service).await;
                    let message = "the MCP server refuses the session that it has just begun";
                    return Err(Failure::not_started("HandshakeFailed", message));
                }
                Ended::Stale => slot.forget(&service).await,
            }
        }
    }

    fn slot(&self, endpoint: &str) -> Result<Arc<Slot>, Failure> {
        let mut slots = locked(&self.slots);
        if let Some(slot) = slots.get(endpoint) {
            slot.used.store(true, Ordering::Relaxed);
            return Ok(slot.clone());
        }
        if slots.len() >= SERVICES_MAX {
            let free = slots.iter().filter(|(_, slot)| is_free(slot));
            let least = free.min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed)).map(|(name, _)| name.clone());
            let Some(least) = least else {
                let message = format!("{SERVICES_MAX} MCP servers are being called, and no more are called at once");
                return Err(Failure::not_started("TooManyConnections", message));
            };
            slots.remove(&least);
        }
        if slots.is_empty() {
            tokio::spawn(sweep(Arc::downgrade(&self.slots)));
        }
        let slot = Arc::new(Slot { used: AtomicBool::new(true), ..Slot::default() });
        slots.insert(endpoint.to_owned(), slot.clone());
        Ok(slot)
    }

    /// The connection to a server, and whether it was made just now. Who comes meanwhile waits for it.
    async fn service(&self, slot: &Slot, endpoint: &str) -> Result<(Arc<Service>, bool), Failure> {
        let mut kept = slot.service.lock().await;
        if let Some(service) = kept.as_ref().filter(|service| !service.is_transport_closed()) {
            return Ok((service.clone(), false));
        }
        let service = Arc::new(self.connect(endpoint).await.map_err(|error| answer::unconnected(&error))?);
        *kept = Some(service.clone());
        Ok((service, true))
    }

    async fn connect(&self, endpoint: &str) -> Result<Service, ClientInitializeError> {
        let transport = transport::connect(self.http.clone(), endpoint, self.response_bytes_max);
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
        };
        // No capabilities: there is nobody here to ask, and no model to sample from.
        let own = Implementation::new("onex", env!("CARGO_PKG_VERSION"));
        let config = ClientConfig::new(ClientCapabilities::default(), own);
        let service = config.serve_with_lifecycle(transport, lifecycle).await?;
        let is_modern = service.peer_info().is_some_and(|info| !info.protocol_version.has_initialize());
        if is_modern && let Err(error) = service.list_tools(None).await {
            // The transport reads from it which arguments a server wants in headers. Most want none.
            tracing::debug!(endpoint, %error, "an MCP server does not list its tools");
        }
        Ok(service)
    }
}

/// Closes connections that nobody uses, until there are none.
async fn sweep(slots: Weak<Slots>) {
    loop {
        tokio::time::sleep(IDLE_SERVICE_WITHIN).await;
        let Some(slots) = slots.upgrade() else { return };
        let mut slots = locked(&slots);
        slots.retain(|_, slot| slot.used.swap(false, Ordering::Relaxed) || !is_free(slot));
        if slots.is_empty() {
            return;
        }
    }
}

fn request(sending: &Sending) -> Result<CallToolRequestParams, Failure> {
    let params = CallToolRequestParams::new(sending.tool.name.to_string());
    match &*sending.arguments {
        Value::Object(arguments) => Ok(params.with_arguments(arguments.clone())),
        Value::Null => Ok(params),
        _ => Err(Failure::not_started("Unsendable", "MCP takes an object of arguments by name, and these are none")),
    }
}

/// What the server is told besides the arguments, as HTTP endpoints are in headers.
fn meta(sending: &Sending) -> RequestMetaObject {
    let mut meta = RequestMetaObject::new();
    for (name, value) in [
        ("onex/invocationId", json!(sending.invocation)),
        ("onex/attempt", json!(sending.attempt)),
        ("onex/toolVersion", json!(sending.tool.version.as_str())),
        ("onex/caller", json!(sending.caller)),
        ("onex/correlationId", json!(sending.correlation_id)),
        ("onex/deadline", json!(sending.deadline.to_string())),
    ] {
        meta.insert(name.to_owned(), value);
    }
    // Under the name that OpenTelemetry's conventions for the protocol give it.
    if let Some(trace) = sending.trace {
        meta.insert("traceparent".to_owned(), json!(trace.to_string()));
    }
    meta
}

async fn ask(
    service: &Service,
    sending: &Sending,
    params: CallToolRequestParams,
    chunk: &(impl Fn(Value) + Send),
) -> Ended {
    let (chunks, mut arriving) = mpsc::channel(CHUNKS_MAX);
    let mut request = CallToolRequest::new(params);
    request.extensions.insert(Chunks(chunks));
    let options = PeerRequestOptions::no_options().with_meta(meta(sending));
    let request = ClientRequest::CallToolRequest(request);
    let Ok(handle) = service.send_cancellable_request(request, options).await else { return Ended::Stale };
    let mut waiting = Waiting(Some(handle));
    let Some(handle) = waiting.0.as_mut() else { return Ended::Stale };
    let answer = loop {
        tokio::select! {
            biased;
            Some(value) = arriving.recv() => chunk(value),
            answer = &mut handle.rx => break answer,
        }
    };
    waiting.0 = None;
    // Those that came before the answer, and were not yet taken.
    while let Ok(value) = arriving.try_recv() {
        chunk(value);
    }
    answer::read(answer, sending.tool.name.as_str())
}

/// A call that is waited for: tells the server when that ends before there is an answer.
struct Waiting(Option<RequestHandle<RoleClient>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(handle) = self.0.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // A server that is gone need not be told.
            runtime.spawn(handle.cancel(Some("nobody waits for the answer any more".to_owned())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{policy, sending, serve};
    use super::super::{Outbound, Policy};
    use super::*;
    use crate::model::{ToolName, ToolTransport};
    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::http::{HeaderMap, Response, StatusCode};
    use axum::routing::post;
    use futures_util::{StreamExt, stream};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use uuid::Uuid;

    /// One message that a server got.
    #[derive(Debug)]
    struct Got {
        method: String,
        session: Option<String>,
        version: Option<String>,
        params: Value,
    }

    /// A server of one era, whose tools do as their names say.
    #[derive(Clone)]
    struct Server {
        is_modern: bool,
        got: UnboundedSender<Got>,
    }

    /// Says when an answer is read no further.
    struct Closed(UnboundedSender<Got>);

    impl Drop for Closed {
        fn drop(&mut self) {
            let _ = self.0.send(Got { method: "closed".to_owned(), session: None, version: None, params: Value::Null });
        }
    }

    fn response(status: u16, media_type: &str, body: impl Into<Body>) -> Response<Body> {
        Response::builder().status(status).header("content-type", media_type).body(body.into()).unwrap()
    }

    fn event(message: &Value) -> Result<Bytes, std::convert::Infallible> {
        Ok(format!("data: {message}\n\n").into())
    }

    fn progress(params: &Value, at: u32) -> Value {
        let token = &params["_meta"]["progressToken"];
        let params = json!({"progressToken": token, "progress": at, "message": "on it"});
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    }

    impl Server {
        async fn start(is_modern: bool) -> (String, UnboundedReceiver<Got>) {
            let (got, arrived) = unbounded_channel();
            let server = Server { is_modern, got };
            let answer = move |headers: HeaderMap, body: Bytes| server.clone().answer(headers, body);
            (format!("{}/mcp", serve(Router::new().route("/mcp", post(answer))).await), arrived)
        }

        async fn answer(self, headers: HeaderMap, body: Bytes) -> Response<Body> {
            let message: Value = serde_json::from_slice(&body).unwrap();
            let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let (session, version) = (header("mcp-session-id"), header("mcp-protocol-version"));
            let (method, params) =
                (message["method"].as_str().unwrap_or_default().to_owned(), message["params"].clone());
            let _ = self.got.send(Got { method: method.clone(), session, version, params: params.clone() });
            let id = &message["id"];
            if id.is_null() {
                return response(202, "text/plain", "");
            }
            let result = |result: Value| {
                let answer = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
                response(200, "application/json", answer)
            };
            let info = json!({"name": "stub", "version": "1"});
            match method.as_str() {
                "server/discover" if self.is_modern => result(json!({
                    "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
                    "serverInfo": info, "ttlMs": 0, "cacheScope": "private"
                })),
                "initialize" if !self.is_modern => {
                    let greeting = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": info});
                    let mut response = result(greeting);
                    response.headers_mut().insert("mcp-session-id", "s-1".parse().unwrap());
                    response
                }
                "tools/list" => {
                    result(json!({"resultType": "complete", "tools": [], "ttlMs": 0, "cacheScope": "private"}))
                }
                "tools/call" => self.tool(&params, id).await,
                _ => {
                    let error = json!({"code": -32601, "message": "no such method"});
                    response(200, "application/json", json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string())
                }
            }
        }

        async fn tool(&self, params: &Value, id: &Value) -> Response<Body> {
            let answer = |member: &str, value: Value| {
                let mut answer = json!({"jsonrpc": "2.0", "id": id});
                answer[member] = value;
                answer
            };
            let json = |answer: Value| response(200, "application/json", answer.to_string());
            let arguments = &params["arguments"];
            let text = |text: &str| json!([{"type": "text", "text": text}]);
            match params["name"].as_str().unwrap() {
                "add" => json(answer("result", json!({"content": [], "structuredContent": {"sum": 3}}))),
                "nothing" => json(answer("result", json!({}))),
                "fails" => json(answer("result", json!({"content": text("b is 0"), "isError": true}))),
                "refuses" => json(answer("error", arguments.clone())),
                "asks" => json(answer("result", json!({"resultType": "input_required", "inputRequests": {}}))),
                "nameless" => json(json!({"jsonrpc": "2.0", "error": {"code": -32700, "message": "cannot be read"}})),
                "status" => {
                    let mut response = response(arguments["status"].as_u64().unwrap() as u16, "text/plain", "busy");
                    if arguments["later"] == true {
                        response.headers_mut().insert("retry-after", "1".parse().unwrap());
                    }
                    response
                }
                "talks" => json(answer("result", json!({"content": text(&"x".repeat(2_000))}))),
                "babbles" => response(200, "text/html", "<html>"),
                "steps" => {
                    let last = answer("result", json!({"content": text("done")}));
                    let steps = (1..=100).map(|at| progress(params, at)).chain([last]).map(|message| event(&message));
                    response(200, "text/event-stream", Body::from_stream(stream::iter(steps.collect::<Vec<_>>())))
                }
                "hangs" => {
                    let closed = Closed(self.got.clone());
                    let rest = stream::once(async move {
                        let _closed = closed;
                        std::future::pending().await
                    });
                    let begun = stream::iter([event(&progress(params, 1))]).chain(rest);
                    response(200, "text/event-stream", Body::from_stream(begun))
                }
                "breaks" => {
                    let begun = stream::iter([event(&progress(params, 1))]);
                    response(200, "text/event-stream", Body::from_stream(begun))
                }
                _ => json(answer("error", json!({"code": -32602, "message": "Unknown tool: none"}))),
            }
        }
    }

    fn calling(endpoint: &str, tool: &str, arguments: Value) -> Sending {
        let mut sending = sending(endpoint);
        sending.tool.name = ToolName::try_new(tool).unwrap();
        sending.transport = ToolTransport::Mcp;
        sending.arguments = Arc::new(arguments);
        sending
    }

    async fn called(outbound: &Outbound, endpoint: &str, tool: &str, arguments: Value) -> Result<Value, Failure> {
        outbound.call(calling(endpoint, tool, arguments), |_| ()).await
    }

    async fn until(got: &mut UnboundedReceiver<Got>, method: &str) -> Got {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(10), got.recv());
            let found = next.await.unwrap_or_else(|_| panic!("no {method}")).unwrap();
            if found.method == method {
                return found;
            }
        }
    }

    #[tokio::test]
    async fn a_server_is_spoken_to_in_the_protocol_of_its_era() {
        for (is_modern, version, session, greeting) in
            [(true, "2026-07-28", None, "server/discover"), (false, "2025-11-25", Some("s-1"), "initialize")]
        {
            let (endpoint, mut got) = Server::start(is_modern).await;
            let outbound = Outbound::try_new(policy()).unwrap();
            assert_eq!(called(&outbound, &endpoint, "add", json!({"a": 1})).await, Ok(json!({"sum": 3})));
            until(&mut got, greeting).await;
            let call = until(&mut got, "tools/call").await;
            assert_eq!((call.version.as_deref(), call.session.as_deref()), (Some(version), session));
            assert_eq!((&call.params["name"], &call.params["arguments"]), (&json!("add"), &json!({"a": 1})));
            let meta = &call.params["_meta"];
            assert_eq!(meta["onex/invocationId"], json!(Uuid::from_u128(7)), "{meta}");
            assert_eq!(meta["onex/deadline"], "2026-11-22T12:00:30Z", "{meta}");

            // The connection is kept: nobody is greeted again.
            assert_eq!(called(&outbound, &endpoint, "nothing", Value::Null).await, Ok(json!({"content": []})));
            let mut again = Vec::new();
            while let Ok(got) = got.try_recv() {
                again.push(got.method);
            }
            assert_eq!(again, ["tools/call"], "{is_modern}");
        }
    }

    #[tokio::test]
    async fn every_answer_is_what_it_says() {
        let tool = |code: &str, message: &str| Err((code.to_owned(), message.to_owned()));
        let not_started = |kind: &str| Ok(("not started".to_owned(), kind.to_owned()));
        let unknown = |kind: &str| Ok(("unknown".to_owned(), kind.to_owned()));
        let error = |code: i32, message: &str| json!({"code": code, "message": message});
        let status = |status: u16, later: bool| json!({"status": status, "later": later});
        for is_modern in [true, false] {
            let (endpoint, _got) = Server::start(is_modern).await;
            let outbound = Outbound::try_new(policy()).unwrap();
            for (name, arguments, expected) in [
                ("fails", json!({}), tool("MCP_TOOL_ERROR", "b is 0")),
                ("refuses", error(-32602, "a is no number"), tool("MCP_INVALID_PARAMS", "a is no number")),
                ("refuses", error(-32603, "broken"), tool("MCP_INTERNAL_ERROR", "broken")),
                ("refuses", error(-32000, "no"), tool("MCP_-32000", "no")),
                (
                    "asks",
                    json!({}),
                    tool("MCP_INPUT_REQUIRED", "the tool asks for more input, which nobody here can give"),
                ),
                ("refuses", error(-32601, "no such method"), not_started("ToolUnknown")),
                ("none", json!({}), not_started("ToolUnknown")),
                ("add", json!([1]), not_started("Unsendable")),
                ("status", status(429, false), not_started("ProviderOverloaded")),
                ("status", status(503, true), not_started("ProviderUnavailable")),
                ("status", status(503, false), unknown("ProviderUnavailable")),
                ("status", status(502, false), unknown("GatewayFailed")),
                ("status", status(400, false), unknown("ResponseInvalid")),
                ("talks", json!({}), unknown("ResponseTooLarge")),
                ("babbles", json!({}), unknown("ResponseInvalid")),
                ("breaks", json!({}), unknown("ConnectionLost")),
                ("refuses", error(-32001, "Session not found"), unknown("SessionLost")),
                ("nameless", json!({}), tool("MCP_-32700", "cannot be read")),
            ] {
                let found = match called(&outbound, &endpoint, name, arguments.clone()).await {
                    Err(Failure::Tool { code, message, retryable: false, .. }) => Err((code, message)),
                    Err(Failure::NotStarted { kind, .. }) => Ok(("not started".to_owned(), kind.to_owned())),
                    Err(Failure::Unknown { kind, .. }) => Ok(("unknown".to_owned(), kind.to_owned())),
                    other => panic!("{name} {arguments}: {other:?}"),
                };
                assert_eq!(found, expected, "{name} {arguments}, modern: {is_modern}");
            }
            // And after all that, the server is called as before.
            assert_eq!(called(&outbound, &endpoint, "add", json!({})).await, Ok(json!({"sum": 3})));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn chunks_come_in_order_and_all_before_the_result() {
        for is_modern in [true, false] {
            let (endpoint, _got) = Server::start(is_modern).await;
            let outbound = Outbound::try_new(policy()).unwrap();
            let chunks = Mutex::new(Vec::new());
            let sending = calling(&endpoint, "steps", json!({}));
            let result = outbound.call(sending, |chunk| chunks.lock().unwrap().push(chunk)).await;
            assert_eq!(result, Ok(json!({"content": [{"type": "text", "text": "done"}]})));
            let expected: Vec<Value> =
                (1..=100).map(|at| json!({"progress": f64::from(at), "message": "on it"})).collect();
            assert_eq!(chunks.into_inner().unwrap(), expected);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_is_told_when_nobody_waits_any_more() {
        // Where there are no sessions, it is told by the closed connection.
        for (is_modern, told) in [(true, "closed"), (false, "notifications/cancelled")] {
            let (endpoint, mut got) = Server::start(is_modern).await;
            let outbound = Outbound::try_new(policy()).unwrap();
            let begun = tokio::sync::Notify::new();
            let sending = calling(&endpoint, "hangs", json!({}));
            tokio::select! {
                result = outbound.call(sending, |_| begun.notify_one()) => panic!("{result:?}"),
                () = begun.notified() => {}
            }
            until(&mut got, told).await;

            let mut sending = calling(&endpoint, "hangs", json!({}));
            sending.timeout = Duration::from_millis(200);
            let timed_out = outbound.call(sending, |_| ()).await;
            assert!(matches!(timed_out, Err(Failure::Unknown { kind: "Timeout", .. })), "{timed_out:?}");
            until(&mut got, told).await;
        }
    }

    #[tokio::test]
    async fn a_server_that_cannot_be_greeted_has_not_begun() {
        let deaf = serve(Router::new().route("/mcp", post(std::future::pending::<StatusCode>))).await;
        let dumb = serve(Router::new()).await;
        let (endpoint, _got) = Server::start(true).await;
        let strict = Policy { allow_loopback: false, allow: vec!["localhost.test".parse().unwrap()], ..policy() };
        for (policy, endpoint, expected) in [
            (policy(), format!("{deaf}/mcp"), "Unreachable"),
            (policy(), format!("{dumb}/mcp"), "HandshakeFailed"),
            (policy(), "http://127.0.0.1:1/mcp".to_owned(), "Unreachable"),
            (policy(), "http://no.such.host.invalid/mcp".to_owned(), "Unreachable"),
            (strict, endpoint, "EndpointRefused"),
        ] {
            let mut sending = calling(&endpoint, "add", json!({}));
            sending.timeout = Duration::from_millis(500);
            match Outbound::try_new(policy).unwrap().call(sending, |_| ()).await {
                Err(Failure::NotStarted { kind, message }) => assert_eq!(kind, expected, "{endpoint}: {message}"),
                other => panic!("{endpoint}: {other:?}"),
            }
        }
    }
}
