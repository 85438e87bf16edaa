//! Who calls, and whether it may ask now.

use super::Parts;
use crate::graphql::Caller;
use crate::graphql::error::{ErrorCode, extensions};
use crate::model::Actor;
use crate::telemetry::Via;
use async_graphql::ServerError;
use axum::http::HeaderMap;
use serde_json::json;
use serde_json::value::RawValue;
use std::net::SocketAddr;
use std::time::Duration;

/// Why somebody may not ask.
#[derive(Debug)]
pub(super) struct Denied {
    /// Unauthenticated, denied or too often.
    pub(super) code: ErrorCode,
    /// What to do about it.
    pub(super) message: String,
    /// When to ask again, where that helps.
    pub(super) retry_after: Option<Duration>,
}

impl Denied {
    /// The error of an operation.
    pub(super) fn into_error(self) -> ServerError {
        let details = json!({ "retryAfterSeconds": self.retry_after.map(|wait| wait.as_secs_f64()) });
        let extensions = extensions(self.code, details);
        ServerError { extensions: Some(extensions), ..ServerError::new(self.message, None) }
    }
}

/// Who sends an HTTP request or opens a websocket: without access control, whoever it is.
pub(super) fn caller(_: &Parts, address: SocketAddr, headers: &HeaderMap) -> Result<Caller, Denied> {
    let correlation_id = headers.get("x-correlation-id").and_then(|id| id.to_str().ok());
    Ok(Caller {
        actor: Actor::anonymous(Some(address.to_string())),
        correlation_id: correlation_id.filter(|id| !id.is_empty()).map(str::to_owned),
        via: Via::Http,
        trace: headers.get("traceparent").and_then(|trace| trace.to_str().ok()?.parse().ok()),
    })
}

/// Who a websocket's connection_init says that it is; who its handshake said, where it says nothing.
pub(super) fn caller_of_init(_: &Parts, caller: &Caller, _payload: Option<&RawValue>) -> Result<Caller, Denied> {
    Ok(caller.clone())
}

/// Whether the caller may run one more operation now.
pub(super) fn admit(_: &Parts, _: &Caller) -> Result<(), Denied> {
    Ok(())
}
