//! Who calls, and whether it may ask now.

use super::{Parts, Peer};
use crate::access::{Unknown, Visitor};
use crate::graphql::Caller;
use crate::graphql::error::{ErrorCode, extensions};
use crate::model::Actor;
use crate::telemetry::Via;
use async_graphql::ServerError;
use axum::http::{HeaderMap, header};
use serde_json::json;
use serde_json::value::RawValue;
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

    fn unknown(unknown: &Unknown) -> Self {
        Denied { code: ErrorCode::Unauthenticated, message: unknown.to_string(), retry_after: None }
    }
}

/// Who sends an HTTP request or opens a websocket. A websocket may say so later, in its connection_init.
pub(super) fn caller(parts: &Parts, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Denied> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    let correlation_id = text(header::HeaderName::from_static("x-correlation-id")).map(str::to_owned);
    // What is no text is no token either.
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let known = match parts.access.identify(authorization) {
        Err(Unknown::Missing) if is_handshake(headers) => Ok(parts.access.nobody()),
        known => known,
    };
    match known {
        Ok(known) => {
            // Who proves nothing else goes by the certificate's name.
            let certificate = peer.certificate.as_ref().filter(|_| authorization.is_none());
            let principal = certificate.map_or_else(|| known.name.clone(), |shown| shown.subject.clone());
            Ok(Caller {
                actor: Actor { principal, address: Some(peer.address.to_string()) },
                correlation_id,
                via: Via::Http,
                trace: text(header::HeaderName::from_static("traceparent")).and_then(|trace| trace.parse().ok()),
                visitor: Visitor::new(parts.access.clone(), known, peer.address.ip().to_canonical()),
            })
        }
        Err(unknown) => {
            let actor = Actor::anonymous(Some(peer.address.to_string()));
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
    let said = said.as_ref().and_then(|said| {
        // Some clients put their headers in, as they were.
        let within = [Some(said), said.get("headers")];
        let named = |within: &serde_json::Value| {
            let members = within.as_object()?;
            let mut members = members.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
            members.next().map(|(_, value)| value.clone())
        };
        within.into_iter().flatten().find_map(named)
    });
    let known = match &said {
        // What is no text is no token either.
        Some(said) => parts.access.identify(Some(said.as_str().unwrap_or_default())),
        None if caller.visitor.principal().is_known() => caller.visitor.is_current().map(|()| caller.visitor.known()),
        None => parts.access.identify(None),
    };
    match known {
        Ok(known) => Ok(Caller {
            actor: Actor { principal: known.name.clone(), ..caller.actor.clone() },
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
