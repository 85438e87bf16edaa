//! Errors as clients see them: a sentence for people, a code for programs, details for both.
//!
//! Everything that a resolver refuses is made here. What the server did wrong is told to the log, with an id, and
//! the client gets the id.

use crate::bus::hub;
use crate::bus::router::{End, EndReason, Refused};
use crate::contracts::Invalid;
use crate::model::EndCause;
use crate::ports;
use crate::proxy;
use crate::registry::pool::Because;
use crate::registry::refusal::Refusal;
use crate::registry::{engine, graph, view, watch};
use async_graphql::{Enum, Error, ErrorExtensionValues, Value};
use serde_json::json;
use uuid::Uuid;

/// What went wrong, for programs: `extensions.code` of an error.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The request is malformed or asks for what cannot be; changing it is the only way.
    InvalidArgument,
    /// What is asked about is not there.
    NotFound,
    /// What is to be made is there already, and is somebody else's.
    AlreadyExists,
    /// It is not known who asks, and it must be; a token or what else proves it goes with the request.
    Unauthenticated,
    /// Whoever asks may not do that; the details say which rule says so, or that none allows it.
    PermissionDenied,
    /// Asked too often; the details say when to ask again.
    RateLimited,
    /// The document is named by a hash or id that is not known; send its text as well.
    PersistedQueryNotFound,
    /// The answer would be too large; ask for less.
    TooComplex,
    /// The registry cannot do it now; the same request may work later.
    Unavailable,
    /// The registry failed; its log has the details under the id in the message.
    Internal,
    /// The contract document cannot be used; `details.field` names the field.
    ContractInvalid,
    /// No node has this id.
    NodeNotFound,
    /// The node's registration is frozen.
    NodeFrozen,
    /// The port number that was asked for cannot be had; the message says who has it.
    PortUnavailable,
    /// No number of the range or pool can be had.
    PortExhausted,
    /// No lease has this id.
    LeaseNotFound,
    /// The lease ended: it expired, was released, or was replaced by another.
    LeaseExpired,
    /// The lease is somebody else's.
    LeaseNotOwned,
    /// The requester holds as many leases as it may, or leases name as many hosts as they may.
    QuotaExceeded,
    /// Nobody offers the tool.
    ToolNotFound,
    /// Nobody who offers the tool can take a call now; the details say why of each.
    ToolNoProvider,
    /// Those who could take the call are not trusted as far as is wanted.
    ToolUntrusted,
    /// The arguments do not fit the tool's schema; the details say where.
    ToolInvalidArguments,
    /// What the tool answered does not fit its schema; the details say where.
    ToolInvalidResult,
    /// The tool did not answer in time.
    ToolTimeout,
    /// The tool says that it failed, or its provider was lost.
    ToolFailed,
    /// Those who could take the call have as many as they take.
    ToolOverloaded,
    /// The call was taken back.
    ToolCancelled,
    /// No bus has this id or name.
    BusNotFound,
    /// The bus stands still.
    BusStopped,
    /// What carries the bus is away, or does not take it now.
    BusUnreachable,
    /// The event is none, or does not fit its topic's schema; the details say where.
    EventInvalidSchema,
    /// The place asked for is no longer kept; `details.oldest` names the oldest that is.
    CursorExpired,
}

impl ErrorCode {
    /// The code as it stands in `extensions.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::InvalidArgument => "INVALID_ARGUMENT",
            ErrorCode::NotFound => "NOT_FOUND",
            ErrorCode::AlreadyExists => "ALREADY_EXISTS",
            ErrorCode::Unauthenticated => "UNAUTHENTICATED",
            ErrorCode::PermissionDenied => "PERMISSION_DENIED",
            ErrorCode::RateLimited => "RATE_LIMITED",
            ErrorCode::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            ErrorCode::TooComplex => "TOO_COMPLEX",
            ErrorCode::Unavailable => "UNAVAILABLE",
            ErrorCode::Internal => "INTERNAL",
            ErrorCode::ContractInvalid => "CONTRACT_INVALID",
            ErrorCode::NodeNotFound => "NODE_NOT_FOUND",
            ErrorCode::NodeFrozen => "NODE_FROZEN",
            ErrorCode::PortUnavailable => "PORT_UNAVAILABLE",
            ErrorCode::PortExhausted => "PORT_EXHAUSTED",
            ErrorCode::LeaseNotFound => "LEASE_NOT_FOUND",
            ErrorCode::LeaseExpired => "LEASE_EXPIRED",
            ErrorCode::LeaseNotOwned => "LEASE_NOT_OWNED",
            ErrorCode::QuotaExceeded => "QUOTA_EXCEEDED",
            ErrorCode::ToolNotFound => "TOOL_NOT_FOUND",
            ErrorCode::ToolNoProvider => "TOOL_NO_PROVIDER",
            ErrorCode::ToolUntrusted => "TOOL_UNTRUSTED",
            ErrorCode::ToolInvalidArguments => "TOOL_INVALID_ARGUMENTS",
            ErrorCode::ToolInvalidResult => "TOOL_INVALID_RESULT",
            ErrorCode::ToolTimeout => "TOOL_TIMEOUT",
            ErrorCode::ToolFailed => "TOOL_FAILED",
            ErrorCode::ToolOverloaded => "TOOL_OVERLOADED",
            ErrorCode::ToolCancelled => "TOOL_CANCELLED",
            ErrorCode::BusNotFound => "BUS_NOT_FOUND",
            ErrorCode::BusStopped => "BUS_STOPPED",
            ErrorCode::BusUnreachable => "BUS_UNREACHABLE",
            ErrorCode::EventInvalidSchema => "EVENT_INVALID_SCHEMA",
            ErrorCode::CursorExpired => "CURSOR_EXPIRED",
        }
    }

    /// Whether the same request may work later.
    fn retryable(self) -> bool {
        matches!(
            self,
            ErrorCode::BusUnreachable
                | ErrorCode::Unavailable
                | ErrorCode::RateLimited
                | ErrorCode::PortUnavailable
                | ErrorCode::PortExhausted
        )
    }
}

/// The extensions of an error with this code and these details.
pub fn extensions(code: ErrorCode, details: serde_json::Value) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    values.set("code", code.as_str());
    values.set("retryable", code.retryable());
    // Anything that is JSON is a GraphQL value.
    values.set("details", Value::from_json(details).unwrap_or(Value::Null));
    values
}

pub(super) fn refuse(code: ErrorCode, message: impl Into<String>, details: serde_json::Value) -> Error {
    Error { extensions: Some(extensions(code, details)), ..Error::new(message) }
}

/// An argument that cannot be.
pub(super) fn invalid(field: &str, reason: impl std::fmt::Display) -> Error {
    refuse(ErrorCode::InvalidArgument, format!("{field}: {reason}"), json!({ "field": field }))
}

/// What the server did wrong: logged in full, told by id.
pub(super) fn internal(error: &(dyn std::error::Error + 'static)) -> Error {
    #[expect(clippy::disallowed_methods, reason = "the id of a log line, drawn at the door")]
    let id = Uuid::new_v4();
    tracing::error!(%id, error, "a request failed");
    refuse(ErrorCode::Internal, format!("the registry failed; its log has the details under {id}"), json!({ "id": id }))
}

pub(super) fn contract(error: &Invalid) -> Error {
    refuse(
        ErrorCode::ContractInvalid,
        format!("the contract is refused: {error}"),
        json!({
            "field": error.field, "reason": error.reason,
        }),
    )
}

pub(super) fn tool(error: &Invalid) -> Error {
    let details = json!({ "field": error.field, "reason": error.reason });
    refuse(ErrorCode::ContractInvalid, format!("the registration is refused: {error}"), details)
}

/// No bus is called so.
pub(super) fn no_bus(named: &str) -> Error {
    let message = format!("no bus has the name or id {named:?}: buses are created by createBus, or onex bus create");
    refuse(ErrorCode::BusNotFound, message, json!({ "bus": named }))
}

/// Why a subscriber of a bus gets nothing more; `None` where it has had all that there was for it.
pub(super) fn ended(bus: &str, end: End) -> Option<Error> {
    let End { reason, missed } = end;
    let (code, message) = match (reason, missed) {
        (EndReason::Overflowed, _) => {
            let full = format!("the queue of this subscriber of {bus} was full, and it had asked to be sent away then");
            (ErrorCode::Unavailable, full)
        }
        (EndReason::Forgotten, _) => {
            let gone = format!(
                "the name of this subscriber of {bus} is gone, and its place with it: it was deleted, or what carries \
                 the bus has lost it. Listen by it again to begin anew"
            );
            (ErrorCode::NotFound, gone)
        }
        (EndReason::Stopped | EndReason::Unknown, 0) => return None,
        (EndReason::Stopped | EndReason::Unknown, _) => {
            let lost = format!(
                "{bus} stopped, and behind the last event that this subscriber got it lost {missed} more. Subscribe again \
                 once it is started"
            );
            (ErrorCode::BusStopped, lost)
        }
    };
    Some(refuse(code, message, json!({ "bus": bus, "missed": missed })))
}

/// What a bus did not do.
pub(super) fn bus(error: hub::Error) -> Error {
    let message = error.to_string();
    match error {
        hub::Error::Registry(error) => engine(error),
        hub::Error::Stopped { name } => refuse(ErrorCode::BusStopped, message, json!({ "bus": name })),
        hub::Error::Unreachable { name, .. } | hub::Error::HeldUp { name } => {
            refuse(ErrorCode::BusUnreachable, message, json!({ "bus": name }))
        }
        hub::Error::Unusable { what, .. } => refuse(ErrorCode::InvalidArgument, message, json!({ "field": what })),
        hub::Error::Misfit(misfit) => {
            let details = json!({
                "topic": misfit.topic.as_str(), "path": misfit.path, "reason": misfit.reason,
                "schemaHash": misfit.schema_hash.map(|hash| hash.to_string()),
            });
            refuse(ErrorCode::EventInvalidSchema, message, details)
        }
        hub::Error::NotAttached(Refused::Gone(gone)) => {
            refuse(ErrorCode::CursorExpired, message, json!({ "oldest": gone.oldest.map(|place| place.0) }))
        }
        hub::Error::NotAttached(Refused::Stopped) => refuse(ErrorCode::BusStopped, message, json!({})),
        hub::Error::NotAttached(Refused::TooMany) => refuse(ErrorCode::QuotaExceeded, message, json!({})),
        hub::Error::NotAttached(_) => refuse(ErrorCode::InvalidArgument, message, json!({ "field": "queueCapacity" })),
    }
}

pub(super) fn refusal(refusal: &Refusal) -> Error {
    let (code, details) = match refusal {
        Refusal::NodeNotFound { node } => (ErrorCode::NodeNotFound, json!({ "nodeId": node.0 })),
        Refusal::NameMissing => (ErrorCode::InvalidArgument, json!({ "field": "name" })),
        Refusal::NameTaken { name, holder } => {
            (ErrorCode::AlreadyExists, json!({ "name": name.as_str(), "holder": holder.0 }))
        }
        Refusal::NodeFrozen { node, name } => {
            (ErrorCode::NodeFrozen, json!({ "nodeId": node.0, "name": name.as_str() }))
        }
        Refusal::NeverLive { node, name } => {
            (ErrorCode::InvalidArgument, json!({ "nodeId": node.0, "name": name.as_str() }))
        }
        Refusal::ToolOfferedTwice { name, version } => {
            (ErrorCode::InvalidArgument, json!({ "tool": name, "version": version }))
        }
        Refusal::SignatureMissing { node, name } => {
            (ErrorCode::PermissionDenied, json!({ "nodeId": node.0, "name": name.as_str(), "field": "signature" }))
        }
        Refusal::AttestationUnsigned { validator, name } => {
            let details = json!({ "validatorId": validator.0, "name": name.as_str(), "field": "signature" });
            (ErrorCode::PermissionDenied, details)
        }
        Refusal::KeyUnproven { name } => {
            (ErrorCode::PermissionDenied, json!({ "name": name.as_str(), "field": "signature" }))
        }
        Refusal::TokenNotFound { token } => (ErrorCode::NotFound, json!({ "tokenId": token.0 })),
        Refusal::TokenExpired { .. } => (ErrorCode::InvalidArgument, json!({ "field": "expiresAt" })),
        Refusal::TokenKnown { token } => (ErrorCode::AlreadyExists, json!({ "tokenId": token.0 })),
        Refusal::TooManyTokens { max } => (ErrorCode::QuotaExceeded, json!({ "max": max })),
        Refusal::BusNotFound { bus } => (ErrorCode::BusNotFound, json!({ "busId": bus.0 })),
        Refusal::BusNameTaken { name, holder } => {
            (ErrorCode::AlreadyExists, json!({ "name": name.as_str(), "holder": holder.0 }))
        }
        Refusal::BusNotStopped { bus, .. } | Refusal::BusOfRegistry { bus } => {
            (ErrorCode::InvalidArgument, json!({ "busId": bus.0 }))
        }
        Refusal::SubscriberNotFound { bus, name } => {
            (ErrorCode::NotFound, json!({ "busId": bus.0, "name": name.as_str() }))
        }
        Refusal::SubscriberNotOwn { name } => (ErrorCode::PermissionDenied, json!({ "name": name.as_str() })),
        Refusal::SubscriberDiffers { name } => (ErrorCode::AlreadyExists, json!({ "name": name.as_str() })),
        Refusal::TooMany { what, max } => (ErrorCode::QuotaExceeded, json!({ "what": what, "max": max })),
        _ => port_refusal(refusal),
    };
    let mut error = refuse(code, refusal.to_string(), details);
    if let Refusal::PortUnavailable { because, .. } = refusal
        && **because == Because::Reserved
        && let Some(extensions) = &mut error.extensions
    {
        // Unlike other numbers, it will not be had later either.
        extensions.set("retryable", false);
    }
    error
}

fn port_refusal(refusal: &Refusal) -> (ErrorCode, serde_json::Value) {
    match refusal {
        Refusal::PortUnavailable { host, port, because, .. } => {
            let mut details = json!({ "host": host.as_str(), "port": port });
            match &**because {
                Because::Leased { lease, holder, since, until } => {
                    details["leaseId"] = json!(lease.0);
                    details["holder"] = json!(holder);
                    details["since"] = json!(since.to_string());
                    details["until"] = json!(until.map(|until| until.to_string()));
                }
                Because::Quarantined { until, .. } => details["until"] = json!(until.to_string()),
                Because::Reserved | Because::InUse(_) | Because::Claimed => {}
            }
            (ErrorCode::PortUnavailable, details)
        }
        Refusal::PortExhausted { host, shortage, .. } | Refusal::NoConsecutivePorts { host, shortage, .. } => {
            let details = json!({
                "host": host.as_str(), "size": shortage.size, "leased": shortage.leased,
                "reserved": shortage.reserved, "quarantined": shortage.quarantined, "nextAt": shortage.next_at.map(|next_at| next_at.to_string()),
            });
            (ErrorCode::PortExhausted, details)
        }
        Refusal::LeaseNotFound { lease } => (ErrorCode::LeaseNotFound, json!({ "leaseId": lease.0 })),
        Refusal::LeaseEnded { lease, port, at, cause } => {
            let mut details = json!({ "leaseId": lease.0, "port": port, "endedAt": at.to_string() });
            if let EndCause::Rebound { replacement, .. } = cause {
                details["reboundTo"] = json!(replacement.0);
            }
            (ErrorCode::LeaseExpired, details)
        }
        Refusal::TooManyHosts { host, max } => (ErrorCode::QuotaExceeded, json!({ "host": host.as_str(), "max": max })),
        Refusal::LeaseNotOwned { lease, port, holder } => {
            (ErrorCode::LeaseNotOwned, json!({ "leaseId": lease.0, "port": port, "holder": holder }))
        }
        Refusal::QuotaExceeded { requester, held, max } => {
            (ErrorCode::QuotaExceeded, json!({ "requesterId": requester.0, "held": held, "max": max }))
        }
        Refusal::LeaseOfAnotherKind { lease, name, .. } => {
            (ErrorCode::InvalidArgument, json!({ "leaseId": lease.0, "name": name }))
        }
        Refusal::NodeOffline { node, name } => {
            (ErrorCode::InvalidArgument, json!({ "nodeId": node.0, "name": name.as_str() }))
        }
        Refusal::LeaseOfAnother { lease, port, name } => {
            (ErrorCode::InvalidArgument, json!({ "leaseId": lease.0, "port": port, "name": name }))
        }
        Refusal::RequestReused { key, lease } => {
            (ErrorCode::InvalidArgument, json!({ "idempotencyKey": key, "leaseId": lease.0 }))
        }
        Refusal::KeyTaken { key, lease, port } => {
            (ErrorCode::AlreadyExists, json!({ "key": key, "leaseId": lease.0, "port": port }))
        }
        Refusal::HeldApart => (ErrorCode::InvalidArgument, json!({ "field": "contiguous" })),
        Refusal::NamedTwice { kind, name } => (ErrorCode::InvalidArgument, json!({ "kind": kind, "name": name })),
        // Those that are not of ports have been answered; named here, so that a new refusal is given its code.
        Refusal::NodeNotFound { .. }
        | Refusal::NameMissing
        | Refusal::NameTaken { .. }
        | Refusal::NodeFrozen { .. }
        | Refusal::NeverLive { .. }
        | Refusal::ToolOfferedTwice { .. }
        | Refusal::SignatureMissing { .. }
        | Refusal::BusNotFound { .. }
        | Refusal::BusNameTaken { .. }
        | Refusal::BusNotStopped { .. }
        | Refusal::BusOfRegistry { .. }
        | Refusal::SubscriberNotFound { .. }
        | Refusal::SubscriberNotOwn { .. }
        | Refusal::SubscriberDiffers { .. }
        | Refusal::TooMany { .. }
        | Refusal::AttestationUnsigned { .. }
        | Refusal::KeyUnproven { .. }
        | Refusal::TokenNotFound { .. }
        | Refusal::TokenExpired { .. }
        | Refusal::TokenKnown { .. }
        | Refusal::TooManyTokens { .. } => (ErrorCode::Internal, json!({})),
    }
}

pub(super) fn ports(error: ports::Error) -> Error {
    match error {
        ports::Error::Registry(error) => engine(error),
        ports::Error::Blind(ref source) => {
            tracing::error!(error = source as &dyn std::error::Error, "a port number could not be looked at");
            refuse(ErrorCode::Unavailable, error.to_string(), json!({}))
        }
    }
}

pub(super) fn proxy(error: proxy::Error) -> Error {
    let (code, details) = match &error {
        proxy::Error::NotFound(call) => (ErrorCode::NotFound, json!({ "invocationId": call.0 })),
        proxy::Error::NodeNotFound(reason) => return refusal(reason),
        proxy::Error::AnsweredAlready(call) => (ErrorCode::AlreadyExists, json!({ "invocationId": call.0 })),
        proxy::Error::RequestReused { key, call } => {
            (ErrorCode::InvalidArgument, json!({ "idempotencyKey": key, "invocationId": call.0 }))
        }
        proxy::Error::NotRecorded(reason) => return engine(reason.clone()),
        proxy::Error::TooManyChunks(_) => (ErrorCode::TooComplex, json!({})),
        proxy::Error::Behind | proxy::Error::Stopping => (ErrorCode::Unavailable, json!({})),
    };
    refuse(code, error.to_string(), details)
}

pub(super) fn engine(error: engine::Error) -> Error {
    match error {
        engine::Error::Refused(reason) => refusal(&reason),
        engine::Error::NotStored(_) | engine::Error::Halted(_) | engine::Error::Stopped => {
            refuse(ErrorCode::Unavailable, error.to_string(), json!({}))
        }
    }
}

pub(super) fn earlier(error: view::Error) -> Error {
    match &error {
        view::Error::Future { current, .. } => {
            refuse(ErrorCode::InvalidArgument, error.to_string(), json!({ "current": current.0 }))
        }
        view::Error::FutureTime { now, .. } => {
            refuse(ErrorCode::InvalidArgument, error.to_string(), json!({ "now": now.to_string() }))
        }
        view::Error::Gone { oldest, .. } => {
            refuse(ErrorCode::CursorExpired, error.to_string(), json!({ "oldest": oldest.0 }))
        }
        view::Error::Unreadable(_) => internal(&error),
    }
}

pub(super) fn watching(error: watch::Error) -> Error {
    match &error {
        watch::Error::Future { current, .. } => {
            refuse(ErrorCode::InvalidArgument, error.to_string(), json!({ "current": current.0 }))
        }
        watch::Error::Gone { oldest, .. } => {
            refuse(ErrorCode::CursorExpired, error.to_string(), json!({ "oldest": oldest.0 }))
        }
        watch::Error::Unreadable(_) => internal(&error),
    }
}

pub(super) fn too_large(error: graph::TooLarge) -> Error {
    let details = json!({ "nodesMax": graph::VERTICES_MAX, "edgesMax": graph::EDGES_MAX });
    refuse(ErrorCode::TooComplex, error.to_string(), details)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{AppendError, ReadError};
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// A log that is kept.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const SECRET: &str = "disk /dev/sda7 has failed";

    fn failed() -> ReadError {
        ReadError::Failed(Box::new(std::io::Error::other(SECRET)))
    }

    #[test]
    fn what_the_registry_did_wrong_is_logged_once_and_told_by_id_alone() {
        for make in [
            || internal(&failed()),
            || earlier(view::Error::Unreadable(failed())),
            || watching(watch::Error::Unreadable(failed())),
        ] {
            let lines = Lines::default();
            let writer = lines.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
            let error = tracing::subscriber::with_default(subscriber, make);
            let told = format!("{} {:?}", error.message, error.extensions);
            assert!(told.contains("INTERNAL") && !told.contains(SECRET), "{told}");
            let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            assert_eq!(log.matches(SECRET).count(), 1, "{log}");
            let (_, id) = error.message.rsplit_once(' ').unwrap();
            assert_eq!(log.matches(id).count(), 1, "{log}");
        }
    }

    #[test]
    fn what_could_not_be_stored_is_told_without_the_reason() {
        let source = || Box::new(std::io::Error::other(SECRET));
        let (refused, unknown) = (AppendError::Refused(source()), AppendError::Unknown(source()));
        for error in [engine::Error::NotStored(Arc::new(refused)), engine::Error::Halted(Arc::new(unknown))] {
            let error = super::engine(error);
            let told = format!("{} {:?}", error.message, error.extensions);
            assert!(told.contains("UNAVAILABLE") && !told.contains(SECRET), "{told}");
        }
    }
}
