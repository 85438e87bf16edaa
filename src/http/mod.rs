//! The HTTP door: routes, and the GraphQL transports.
//!
//! The transports are our own: a request is refused before anything of it runs, with the status that the
//! GraphQL-over-HTTP draft gives it, and websockets follow their protocols to the letter.

mod answer;
mod graphql_http;
mod identity;
mod operations;
pub mod starting;
mod websocket;

pub use operations::{NotReady, Operations};

use crate::access::Access;
use crate::graphql::Documents;
use crate::graphql::error::ErrorCode;
use crate::telemetry::Metrics;
use axum::Router;
use axum::extract::{ConnectInfo, Request, State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

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
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes_max: 4 * 1024 * 1024,
            operations_max: 256,
            init_wait: Duration::from_secs(10),
            stall_wait: Duration::from_secs(30),
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
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What operators ask.
    pub operations: Arc<dyn Operations>,
    /// Turns true when the server is about to stop.
    pub stopping: watch::Receiver<bool>,
    /// Held by every websocket: closed when the last one is gone.
    pub open: mpsc::Sender<()>,
}

/// Every route.
pub fn router(parts: Parts) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/graphql", get(graphql_get).post(graphql_post))
        .route("/metrics", get(operations::metrics))
        .route("/healthz", get(operations::alive))
        .route("/readyz", get(operations::ready))
        .with_state(Arc::new(parts))
}

async fn index() -> &'static str {
    concat!(
        "onex ",
        env!("CARGO_PKG_VERSION"),
        "\n\nGraphQL over HTTP and websocket: /graphql\nThe schema: run \"onex schema\"\nFrom the command line: onex \
         --help\n"
    )
}

/// Requests to one path, counted. A layer around the routes would cost each request another allocation.
fn counted(parts: &Parts, response: Response) -> Response {
    parts.metrics.connections.answered("/graphql", response.status().as_u16());
    response
}

async fn graphql_post(state: State<Arc<Parts>>, from: ConnectInfo<SocketAddr>, request: Request) -> Response {
    let parts = state.0.clone();
    counted(&parts, graphql_http::post(state, from, request).await)
}

async fn graphql_get(
    state: State<Arc<Parts>>,
    from: ConnectInfo<SocketAddr>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    let parts = state.0.clone();
    counted(&parts, read_or_upgrade(state, from, upgrade, request).await)
}

/// A GET is a query, or the handshake of a websocket.
async fn read_or_upgrade(
    State(parts): State<Arc<Parts>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    let caller = match identity::caller(&parts, address, request.headers()) {
        Ok(caller) => caller,
        Err(denied) => return answer::Media::accepted(request.headers()).denied(denied),
    };
    match upgrade {
        // A browser sends a websocket to any site without asking first, and says only where the page is from.
        Ok(_) if !same_origin(request.headers()) => {
            let message = "a websocket from a page of another site is refused";
            answer::Media::Json.refused(StatusCode::FORBIDDEN, ErrorCode::InvalidArgument, message)
        }
        Ok(upgrade) => websocket::upgrade(upgrade, parts, caller),
        Err(_) if !request.headers().contains_key("upgrade") => graphql_http::get(&parts, caller, request).await,
        Err(rejection) => rejection.into_response(),
    }
}

/// Whether the request comes from a page of this server, or from no page at all.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match headers.get(header::ORIGIN) {
        None => true,
        Some(_) => {
            let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
            origin.is_some() && origin == text(header::HOST)
        }
    }
}
