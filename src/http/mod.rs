//! The HTTP door: routes, and the GraphQL transports.
//!
//! The transports are our own: a request is refused before anything of it runs, with the status that the
//! GraphQL-over-HTTP draft gives it, and websockets follow their protocols to the letter.

mod answer;
mod body;
mod encoding;
mod event_stream;
mod graphql_http;
mod identity;
mod operations;
mod request;
mod server;
mod site;
pub mod starting;
pub mod web;
mod websocket;

pub use operations::{NotReady, Operations};
pub use server::{Tls, TlsError, TlsFiles, serve};
pub use site::Sites;

use crate::access::{Access, Known};
use crate::graphql::Documents;
use crate::telemetry::Metrics;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State, WebSocketUpgrade};
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use site::Verdict;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tower_service::Service;
use web::Pages;

/// Where GraphQL is spoken.
const PATH: &str = "/graphql";

/// What a client calls its undertaking; the answer says it again.
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// What programs are told at `/`, and everybody where there are no pages.
const INDEX: &str = concat!(
    "onex ",
    env!("CARGO_PKG_VERSION"),
    "\n\nGraphQL over HTTP and websocket: /graphql\nThe schema: run \"onex schema\"\nFrom the command line: onex \
     --help\n"
);

/// What the transports allow.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most bytes of a request body or websocket message.
    pub body_bytes_max: usize,
    /// How many operations one websocket runs at once.
    pub operations_max: usize,
    /// How long a websocket may take to say connection_init.
    pub init_wait: Duration,
    /// How long a websocket may take nothing of what waits for it.
    pub stall_wait: Duration,
    /// How many operations one request has, as an array; 0: none has one.
    pub batch_max: usize,
    /// Whether data beside errors has a status of its own, 294, for those who accept the GraphQL media type.
    pub tell_partial: bool,
    /// How many connections there are at once.
    pub connections_max: usize,
    /// How many of them one address has; 0: 1,000, and as many as there are where the address is this machine's own.
    pub connections_per_address_max: usize,
    /// How long a connection may take to send a request's headers, the first and each that follows.
    pub header_wait: Duration,
    /// How long a request's body may take to arrive.
    pub body_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes_max: 4 * 1024 * 1024,
            operations_max: 256,
            init_wait: Duration::from_secs(10),
            stall_wait: Duration::from_secs(30),
            batch_max: 10,
            tell_partial: false,
            connections_max: 16_384,
            connections_per_address_max: 0,
            header_wait: Duration::from_secs(60),
            body_wait: Duration::from_secs(30),
        }
    }
}

/// What the routes work with.
pub struct Parts {
    /// Who may ask.
    pub access: Arc<Access>,
    /// Takes requests from text to answer.
    pub documents: Arc<Documents>,
    /// What the transports allow.
    pub limits: Limits,
    /// From where it may be asked.
    pub sites: Sites,
    /// What browsers are shown; `None` where that is turned off.
    pub pages: Option<Pages>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What operators ask.
    pub operations: Arc<dyn Operations>,
    /// Turns true when the server is about to stop.
    pub stopping: watch::Receiver<bool>,
    /// Held by every websocket: closed when the last one is gone.
    pub open: mpsc::Sender<()>,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
struct Peer {
    /// Where it is, as far as this machine can tell.
    address: SocketAddr,
    /// The same as text, which each of its requests is recorded with.
    shown: Arc<str>,
    /// Whose certificate it has shown; `None` where it has none, or was asked for none.
    certificate: Option<Known>,
}

impl Peer {
    fn new(address: SocketAddr, certificate: Option<Known>) -> Self {
        Peer { address, shown: address.to_string().into(), certificate }
    }
}

/// Every route.
fn router(parts: Arc<Parts>) -> Router {
    Router::new()
        .route(PATH, get(graphql_get).post(graphql_http::post).fallback(graphql_http::options))
        .route("/metrics", get(operations::metrics))
        .route("/healthz", get(operations::alive))
        .route("/readyz", get(operations::ready))
        .fallback(web::answer)
        .with_state(parts)
}

/// Waits until the server is about to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Ends as well where whoever would say so is gone.
    let _ = stop.wait_for(|stopping| *stopping).await;
}

/// Answers one request: first whether it may be asked from there, then what the routes say.
async fn respond(parts: &Parts, mut router: Router, request: Request) -> Response {
    let correlation_id = request.headers().get(CORRELATION_ID).cloned();
    let is_graphql = request.uri().path() == PATH;
    let routed = |request| async move {
        match router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    };
    let mut response = match parts.sites.judge(&request) {
        Verdict::Own => routed(request).await,
        Verdict::Foreign(origin) => {
            let mut response = routed(request).await;
            site::allow(&mut response, origin);
            response
        }
        Verdict::Answered(response) => response,
    };
    // A layer around the routes would cost each request another allocation.
    if is_graphql {
        parts.metrics.connections.answered(PATH, response.status().as_u16());
    }
    if let Some(id) = correlation_id {
        response.headers_mut().insert(CORRELATION_ID, id);
    }
    response
}

/// A GET is a query, or the handshake of a websocket.
async fn graphql_get(
    State(parts): State<Arc<Parts>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    let caller = match identity::caller(&parts, &peer, request.headers()) {
        Ok(caller) => caller,
        Err(denied) => return answer::Accepted::of(request.headers()).denied(denied),
    };
    match upgrade {
        Ok(upgrade) => websocket::upgrade(upgrade, parts, caller),
        Err(_) if !request.headers().contains_key("upgrade") => graphql_http::get(&parts, caller, request).await,
        Err(rejection) => rejection.into_response(),
    }
}
