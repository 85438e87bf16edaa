//! Who calls, and whether it may ask now.

use super::{Parts, Peer};
use crate::access::{Unknown, Visitor};
use crate::graphql::Caller;
use crate::graphql::error::{ErrorCode, extensions};
use crate::model::Actor;
use crate::telemetry::Via;
use async_graphql::ServerError;
use axum::http::{HeaderMap, HeaderName, header};
use serde_json::json;
use serde_json::value::RawValue;
use std::time::Duration;

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The trace that a request is of (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

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

    fn unknown(unknown: &Unknown) -> Self {
        Denied { code: ErrorCode::Unauthenticated, message: unknown.to_string(), retry_after: None }
    }
}

/// Who sends an HTTP request or opens a websocket. A websocket may say so later, in its connection_init.
pub(super) fn caller(parts: &Parts, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Denied> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    let correlation_id = text(CORRELATION_ID).map(str::to_owned);
    // What is no text is no token either.
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let known = match parts.access.identify(authorization, peer.certificate.as_ref()) {
        Err(Unknown::Missing) if is_handshake(headers) => Ok(parts.access.nobody()),
        known => known,
    };
    match known {
        Ok(known) => Ok(Caller {
            actor: Actor { principal: known.name.clone(), address: Some(peer.shown.to_string()) },
            correlation_id,
            via: Via::Http,
            trace: text(TRACEPARENT).and_then(|trace| trace.parse().ok()),
            visitor: Visitor::new(parts.access.clone(), known, peer.address.ip().to_canonical()),
        }),
        Err(unknown) => {
            let actor = Actor::anonymous(Some(peer.shown.to_string()));
            parts.access.refused_unknown(&actor, correlation_id.as_deref(), &unknown);
            Err(Denied::unknown(&unknown))
        }
    }
}

fn is_handshake(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// Who a websocket's connection_init says that it is; who its handshake said, where it says nothing.
pub(super) fn caller_of_init(parts: &Parts, caller: &Caller, payload: Option<&RawValue>) -> Result<Caller, Denied> {
    let said: Option<serde_json::Value> = payload.and_then(|payload| serde_json::from_str(payload.get()).ok());
    let named = |wanted: &HeaderName| {
        let said = said.as_ref()?;
        // Some clients put their headers in, as they were.
        let members = [Some(said), said.get("headers")].into_iter().flatten().filter_map(|within| within.as_object());
        let mut members = members.flatten().filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_str()));
        members.next().map(|(_, value)| value)
    };
    let text = |wanted: &HeaderName| named(wanted).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
    let known = match named(&header::AUTHORIZATION) {
        // What is no text is no token either.
        Some(said) => parts.access.identify(Some(said.as_str().unwrap_or_default()), None),
        None if caller.visitor.principal().is_known() => caller.visitor.is_current().map(|()| caller.visitor.known()),
        None => parts.access.identify(None, None),
    };
    match known {
        Ok(known) => Ok(Caller {
            actor: Actor { principal: known.name.clone(), ..caller.actor.clone() },
            correlation_id: text(&CORRELATION_ID).map(str::to_owned).or_else(|| caller.correlation_id.clone()),
            trace: text(&TRACEPARENT).and_then(|trace| trace.parse().ok()).or(caller.trace),
            visitor: Visitor::new(parts.access.clone(), known, caller.visitor.address()),
            ..caller.clone()
        }),
        Err(unknown) => {
            parts.access.refused_unknown(&caller.actor, caller.correlation_id.as_deref(), &unknown);
            Err(Denied::unknown(&unknown))
        }
    }
}

/// Whether the caller may run one more operation now.
pub(super) fn admit(parts: &Parts, caller: &Caller) -> Result<(), Denied> {
    caller.visitor.is_current().map_err(|unknown| Denied::unknown(&unknown))?;
    parts.access.take(&caller.visitor).map_err(|wait| Denied {
        code: ErrorCode::RateLimited,
        message: format!(
            "{} asks more often than access.requests_per_second allows: ask again in {:.3} seconds",
            caller.actor.principal,
            wait.as_secs_f64()
        ),
        retry_after: Some(wait),
    })
}
