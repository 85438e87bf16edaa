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
use transport::{Chunks, InOrder};

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
        let service = config.serve_with_lifecycle(InOrder::new(transport), lifecycle).await?;
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
