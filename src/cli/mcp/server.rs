//! A Model Context Protocol server, as a client sees it: reaching it, what it lists, calling its tools.
//!
//! There are two eras of the protocol. A server of the present one (2026-07-28) answers `server/discover` and keeps no
//! session; an older one (up to 2025-11-25) begins with `initialize`. The first is tried, and one that knows nothing of
//! it is taken for older. A server that breaks over the question is started, or called, anew and not asked it again.

use std::ffi::OsString;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use rmcp::handler::client::progress::ProgressDispatcher;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest, Implementation,
    ListToolsRequest, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion, RequestId, ServerPeerInfo,
    ServerResult, SubscriptionFilter,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, NotificationContext, Peer, PeerRequestOptions, RoleClient,
    RunningService, RunningServiceCancellationToken, ServiceError, serve_client_with_lifecycle,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, model::CancelledNotificationParam};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::cli::child::group::{Group, Groups, Pipes};
use crate::cli::child::trampoline;
use crate::cli::error::Error;
use crate::cli::output;
use crate::client::node::{Call, ToolError};

use super::tools;

/// How long a server may take to say who it is. One that a package manager fetches first takes a while.
const GREETED_WITHIN: Duration = Duration::from_secs(120);
/// How long a server may take to list a page of its tools.
const LISTED_WITHIN: Duration = Duration::from_secs(60);
/// How many tools are taken of one server: as many as a node may offer.
const TOOLS_MAX: usize = 1000;
/// How many times other tasks get their turn before an answer is taken for the last word.
const PARTS_BEHIND_MAX: usize = 16;
/// How often a server is asked what it offers that cannot tell when that changes, or may be gone without a word.
const LIST_EVERY: Duration = Duration::from_secs(30);
/// How long a server may take to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Where a server is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// It is started, and spoken to over its stdin and stdout.
    Command(Vec<OsString>),
    /// It is there already, and spoken to over streamable HTTP.
    Url(String),
}

/// What of a server can be shared: who calls its tools needs no more. Cheap to clone.
#[derive(Clone)]
pub(super) struct Server {
    peer: Peer<RoleClient>,
    info: Arc<ServerPeerInfo>,
    progress: ProgressDispatcher,
    changed: Arc<Notify>,
    is_remote: bool,
}

/// A server's presence. It goes with this.
pub(super) struct Presence {
    ended: Pin<Box<dyn Future<Output = String> + Send>>,
    stop: RunningServiceCancellationToken,
}

/// This side of the conversation.
struct Listener {
    progress: ProgressDispatcher,
    changed: Arc<Notify>,
}

impl ClientHandler for Listener {
    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.handle_notification(progress).await;
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    fn get_info(&self) -> ClientConfig {
        let own = Implementation::new("onex", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), own).with_protocol_version(ProtocolVersion::V_2025_11_25)
    }
}

/// Reaches a server.
pub(super) async fn reach(place: &Place, groups: &Groups) -> Result<(Server, Presence), Error> {
    let either = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: Some(ProtocolVersion::V_2025_11_25),
    };
    match greet(place, groups, either).await {
        Ok(reached) => Ok(reached),
        Err(Error::Mcp { .. }) => greet(place, groups, ClientLifecycleMode::Initialize).await,
        Err(error) => Err(error),
    }
}

async fn greet(place: &Place, groups: &Groups, mode: ClientLifecycleMode) -> Result<(Server, Presence), Error> {
    let (progress, changed) = (ProgressDispatcher::new(), Arc::new(Notify::new()));
    let listener = Listener { progress: progress.clone(), changed: changed.clone() };
    let (greeted, group) = match place {
        Place::Command(typed) => {
            let (transport, group) = start(typed, groups)?;
            (timeout(GREETED_WITHIN, serve_client_with_lifecycle(listener, transport, mode)).await, Some(group))
        }
        Place::Url(url) => {
            let http = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(|error| Error::Other(error.into()))?;
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
            let transport = StreamableHttpClientTransport::with_client(http, config);
            (timeout(GREETED_WITHIN, serve_client_with_lifecycle(listener, transport, mode)).await, None)
        }
    };
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Mcp { server: place.to_string(), source };
    let service = greeted.map_err(|elapsed| failed(elapsed.into()))?.map_err(|error| failed(short(error)))?;
    let Some(info) = service.peer_info() else { return Err(failed("it did not say who it is".into())) };
    let peer = service.peer().clone();
    let presence = Presence { stop: service.cancellation_token(), ended: Box::pin(ended(service, group)) };
    let server = Server { peer, info, progress, changed, is_remote: matches!(place, Place::Url(_)) };
    server.listen();
    Ok((server, presence))
}

type Transport = AsyncRwTransport<RoleClient, tokio::process::ChildStdout, tokio::process::ChildStdin>;

fn start(typed: &[OsString], groups: &Groups) -> Result<(Transport, Group), Error> {
    let mut command = trampoline(false).map_err(Error::Start)?;
    command.args(typed).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut group = groups.start(command).map_err(Error::Start)?;
    match group.pipes() {
        Pipes { stdin: Some(stdin), stdout: Some(stdout), .. } => Ok((AsyncRwTransport::new(stdout, stdin), group)),
        _ => Err(Error::Start(std::io::Error::other("the command has no pipes"))),
    }
}

/// Waits for the end of a server, and says how it was.
async fn ended(service: RunningService<RoleClient, Listener>, group: Option<Group>) -> String {
    let Some(mut group) = group else {
        let _ = service.waiting().await;
        return "the connection to it is closed".to_owned();
    };
    tokio::select! {
        ended = group.wait() => match ended {
            Ok(status) => format!("the command has ended ({status})"),
            Err(error) => format!("the command is lost: {error}"),
        },
        // Its stdout is closed, so that it cannot say anything any more; mostly it ends, too.
        _ = service.waiting() => match timeout(END_WITHIN, group.wait()).await {
            Ok(Ok(status)) => format!("the command has ended ({status})"),
            _ => "the command has closed its stdout".to_owned(),
        },
    }
}

/// Errors of initialization quote whole messages, which nobody wants to read.
fn short(error: ClientInitializeError) -> Box<dyn std::error::Error + Send + Sync> {
    match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => short(*fallback),
        ClientInitializeError::ExpectedInitResponse(_) | ClientInitializeError::ExpectedInitResult(_) => {
            "it did not answer as the Model Context Protocol has it".into()
        }
        error => error.into(),
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(typed) => {
                let words: Vec<_> = typed.iter().map(|word| word.to_string_lossy()).collect();
                f.write_str(&words.join(" "))
            }
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl Presence {
    /// Waits until the server is gone, and says how.
    pub(super) async fn ended(&mut self) -> String {
        let how = self.ended.as_mut().await;
        // Who waits for it once more hears the same.
        self.ended = Box::pin(std::future::ready(how.clone()));
        how
    }

    /// Lets the server go.
    pub(super) async fn end(self) {
        self.stop.cancel();
        let _ = timeout(2 * END_WITHIN, self.ended).await;
    }
}

impl Server {
    /// What it calls itself.
    pub(super) fn name(&self) -> Option<&str> {
        self.info.server_info.as_ref().map(|info| info.name.as_str())
    }

    /// Its version, in its own words.
    pub(super) fn version(&self) -> Option<&str> {
        self.info.server_info.as_ref().map(|info| info.version.as_str())
    }

    /// What it says of itself.
    pub(super) fn description(&self) -> Option<&str> {
        let info = self.info.server_info.as_ref();
        info.and_then(|info| info.description.as_deref().or(info.title.as_deref()))
    }

    /// The version of the protocol that is spoken.
    pub(super) fn protocol(&self) -> &str {
        self.info.protocol_version.as_str()
    }

    /// Everything that it lists as a tool, page by page. Entries that are no tools are among them: one that is broken
    /// must not hide the others.
    pub(super) async fn list(&self) -> Result<Vec<Value>, ServiceError> {
        let mut tools = Vec::new();
        let mut cursor = None;
        loop {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
            let asked = timeout(LISTED_WITHIN, self.peer.send_request(request)).await;
            let mut page = match asked.map_err(|_| ServiceError::Timeout { timeout: LISTED_WITHIN })?? {
                ServerResult::ListToolsResult(page) => serde_json::to_value(page).unwrap_or_default(),
                // A page with an entry that is no tool.
                ServerResult::CustomResult(page) => page.0,
                _ => return Err(ServiceError::UnexpectedResponse),
            };
            match page["tools"].take() {
                Value::Array(listed) => tools.extend(listed),
                _ => return Err(ServiceError::UnexpectedResponse),
            }
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if tools.len() > TOOLS_MAX {
                output::note(&format!("the server lists more than {TOOLS_MAX} tools: the others are left out"));
                tools.truncate(TOOLS_MAX);
                cursor = None;
            }
            if cursor.is_none() {
                return Ok(tools);
            }
        }
    }

    /// Waits until what it lists may be other than before.
    pub(super) async fn changed(&self) {
        if self.tells_changes() && !self.is_remote {
            self.changed.notified().await;
        } else {
            let _ = timeout(LIST_EVERY, self.changed.notified()).await;
        }
    }

    fn tells_changes(&self) -> bool {
        self.info.capabilities.tools.as_ref().is_some_and(|tools| tools.list_changed == Some(true))
    }

    /// In the present era a server tells of changes only whom it was asked to tell.
    fn listen(&self) {
        if !self.tells_changes() || self.info.protocol_version.has_initialize() {
            return;
        }
        let (peer, changed) = (self.peer.clone(), self.changed.clone());
        tokio::spawn(async move {
            while !peer.is_transport_closed() {
                let filter = SubscriptionFilter::builder().tools_list_changed().build();
                if let Ok(mut told) = peer.listen(filter).await {
                    // Something may have changed before the server was asked.
                    changed.notify_one();
                    while let Ok(Some(_)) = told.next().await {
                        changed.notify_one();
                    }
                }
                sleep(LIST_EVERY).await;
            }
        });
    }

    /// Calls a tool. Dropped before its end, the server is told that nobody waits any more.
    pub(super) async fn call(&self, tool: String, call: Call) -> Result<Value, ToolError> {
        let arguments = match call.arguments.clone() {
            Value::Object(arguments) => arguments,
            Value::Null => serde_json::Map::new(),
            _ => {
                return Err(ToolError::new("INVALID_ARGUMENTS", "the arguments of an MCP server's tool are an object"));
            }
        };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let asked = self.peer.send_request_with_option(request, PeerRequestOptions::no_options()).await;
        let asked = asked.map_err(tools::failed)?;
        let mut steps = self.progress.subscribe(asked.progress_token.clone()).await;
        let mut waiting = Waiting { peer: self.peer.clone(), id: Some(asked.id.clone()) };
        let mut answer = std::pin::pin!(asked.await_response());
        let answered = loop {
            tokio::select! {
                // Parts first: they came before the answer.
                biased;
                Some(step) = steps.next() => {
                    // What the registry does not take of it is not worth failing for.
                    let _ = call.progress(tools::step(&step)).await;
                }
                answered = &mut answer => break answered,
            }
        };
        waiting.id = None;
        // The library hands each part to a task of its own, which may be behind the answer.
        for _ in 0..PARTS_BEHIND_MAX {
            tokio::task::yield_now().await;
            while let Some(Some(step)) = steps.next().now_or_never() {
                let _ = call.progress(tools::step(&step)).await;
            }
        }
        tools::result(answered.map_err(tools::failed)?)
    }
}

/// A request whose answer is waited for.
struct Waiting {
    peer: Peer<RoleClient>,
    /// Absent once the answer is there.
    id: Option<RequestId>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else { return };
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let reason = Some("nobody waits for the answer any more".to_owned());
            // A server that is gone does not work on it either.
            let _ = peer.notify_cancelled(CancelledNotificationParam::new(Some(id), reason)).await;
        });
    }
}
