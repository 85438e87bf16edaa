//! What is answered while the log is read: that the process lives, and that it is not ready.

use super::operations::{self, NotReady};
use crate::graphql::error::ErrorCode;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

/// What is said of a registry that reads its log.
const REASON: &str = "the registry reads its log: ask again in a moment";
/// After how many seconds to ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The routes of a registry that is not there yet.
pub fn router() -> Router {
    Router::new().route("/healthz", get(operations::alive)).route("/readyz", get(not_ready)).fallback(unavailable)
}

async fn not_ready() -> Response {
    operations::readiness(vec![NotReady { code: "STARTING", reason: REASON.to_owned() }])
}

async fn unavailable() -> Response {
    let extensions = json!({"code": ErrorCode::Unavailable.as_str(), "retryable": true, "details": {}});
    let body = json!({"errors": [{"message": REASON, "extensions": extensions}]}).to_string();
    let headers =
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json")), (header::RETRY_AFTER, RETRY_AFTER)];
    (StatusCode::SERVICE_UNAVAILABLE, headers, body).into_response()
}
