//! What is answered while the log is read: that the process lives, and that it is not ready.

use super::operations::{self, NotReady};
use super::server::{Tls, accept, converse};
use super::stopped;
use crate::graphql::error::ErrorCode;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What is said of a registry that reads its log.
const REASON: &str = "the registry reads its log: ask again in a moment";
/// After how many seconds to ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// How long a request's head may take.
const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Answers so until it is told to stop.
pub async fn serve(listener: TcpListener, tls: Option<Arc<Tls>>, mut stop: watch::Receiver<bool>) {
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
    let service = TowerToHyperService::new(router());
    loop {
        let (stream, address) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = stopped(&mut stop) => return,
        };
        let (http, service, tls, mut stop) = (http.clone(), service.clone(), tls.clone(), stop.clone());
        tokio::spawn(async move {
            match tls {
                None => converse(&http, stream, service, &mut stop, address).await,
                Some(tls) => {
                    if let Ok((stream, _)) = tls.accept(stream).await {
                        converse(&http, stream, service, &mut stop, address).await;
                    }
                }
            }
        });
    }
}

/// The routes of a registry that is not there yet.
fn router() -> Router {
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
