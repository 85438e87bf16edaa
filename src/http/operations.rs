//! What operators and their machines ask: metrics, whether the process lives, whether it is ready.

use super::Parts;
use crate::telemetry::Format;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

/// What is answered from while the registry runs; `app` knows it.
pub trait Operations: Send + Sync {
    /// The metrics as they are now.
    fn metrics(&self, format: Format) -> String;

    /// Why requests should go elsewhere; empty where the registry is ready.
    fn not_ready(&self) -> Vec<NotReady>;
}

/// One reason not to send requests here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// For programs: `STARTING`, `STOPPING`, `LOG_HALTED`, `LOG_REFUSED`, `WRITER_ENDED` or `DISK_FULL`.
    pub code: &'static str,
    /// For people: what is the matter, and what to do.
    pub reason: String,
}

/// The metrics, as Prometheus or OpenMetrics text.
pub(super) async fn metrics(State(parts): State<Arc<Parts>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept);
    ([(header::CONTENT_TYPE, format.content_type())], parts.operations.metrics(format)).into_response()
}

/// That this is answered is all that it says.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// Whether requests should be sent here, and if not, why.
pub(super) async fn ready(State(parts): State<Arc<Parts>>) -> Response {
    readiness(parts.operations.not_ready())
}

/// 200 where there is no reason against it, else 503.
pub(super) fn readiness(reasons: Vec<NotReady>) -> Response {
    #[derive(Serialize)]
    struct Readiness {
        ready: bool,
        reasons: Vec<NotReady>,
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let readiness = Readiness { ready: reasons.is_empty(), reasons };
    // Text always can be written.
    let body = serde_json::to_string(&readiness).unwrap_or_default();
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body + "\n").into_response()
}
