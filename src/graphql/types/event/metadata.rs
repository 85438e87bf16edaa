//! What changes say, by name: the `metadata` of events and of the audit.

use super::super::super::error::ErrorCode;
use crate::model::{self, Change, CollisionKey};
use serde_json::{Value, json};

/// What a change says, by name.
pub(in crate::graphql) fn of(change: &Change) -> Value {
    match change {
        Change::ContractRegistered { contract } => json!({
            "name": contract.name.as_str(), "version": contract.version.as_str(), "hash": contract.hash.to_string(),
        }),
        Change::NodeRegistered { declared, status, ttl, .. } => json!({
            "name": declared.name.as_str(),
            "live": status.is_live(),
            "ttlSeconds": ttl.map(model::Ttl::as_seconds),
        }),
        Change::NodeUpdated { declared, status, ttl, trust_reset, .. } => json!({
            "name": declared.name.as_str(),
            "draining": *status == model::NodeStatus::Draining,
            "ttlSeconds": ttl.map(model::Ttl::as_seconds),
            "trustReset": trust_reset,
        }),
        Change::NodeRejoined { ttl, .. } | Change::NodeSeen { ttl, .. } => {
            json!({ "ttlSeconds": ttl.map(model::Ttl::as_seconds) })
        }
        Change::NodeExpired { .. } => json!({}),
        Change::NodeGraceGranted { until, .. } => json!({ "until": until.to_string() }),
        Change::NodeDeregistered { reason, .. } => json!({ "reason": reason }),
        Change::ToolRegistered { offer } => json!({
            "name": offer.definition.key.name.as_str(),
            "version": offer.definition.key.version.as_str(),
            "definitionHash": offer.definition.hash.to_string(),
        }),
        Change::ToolRemoved { tool, .. } | Change::ToolExpired { tool, .. } => {
            json!({ "name": tool.name.as_str(), "version": tool.version.as_str() })
        }
        Change::CollisionFound { collision, .. } => match collision {
            CollisionKey::Contract(name, version) => {
                json!({ "subject": "CONTRACT", "name": name.as_str(), "version": version.as_str() })
            }
            CollisionKey::Tool(name, version) => {
                json!({ "subject": "TOOL", "name": name.as_str(), "version": version.as_str() })
            }
        },
        Change::TrustChanged { verdict, lifecycle, .. } => json!({
            "validatorId": verdict.validator.0,
            "state": format!("{:?}", verdict.state).to_uppercase(),
            "score": verdict.score,
            "failureModes": verdict.failure_modes,
            "lifecycle": lifecycle.map(|lifecycle| format!("{lifecycle:?}").to_uppercase()),
        }),
        Change::PortAllocated { lease, terms, ttl, .. } => json!({
            "leaseId": lease.0, "host": terms.host.as_str(), "port": terms.port, "probed": terms.probed,
            "transports": terms.transports.to_string(), "requesterId": terms.requester.0,
            "allocatedBy": terms.allocated_by(), "ttlSeconds": ttl.map(model::Ttl::as_seconds),
        }),
        Change::PortRenewed { lease, ttl, .. } => {
            json!({ "leaseId": lease.0, "ttlSeconds": ttl.map(model::Ttl::as_seconds) })
        }
        Change::PortAttached { lease, .. } => json!({ "leaseId": lease.0 }),
        Change::PortGraceGranted { lease, until, .. } => json!({ "leaseId": lease.0, "until": until.to_string() }),
        Change::PortEnded { lease, cause, .. } => json!({ "leaseId": lease.0, "cause": cause.to_string() }),
        Change::PortConflict { host, port, transports, lease, reason, quarantine_seconds, .. } => json!({
            "leaseId": lease.map(|lease| lease.0), "host": host.as_str(), "port": port,
            "transports": transports.to_string(), "reason": reason, "quarantineSeconds": quarantine_seconds,
        }),
        Change::CallInvoked { .. }
        | Change::CallAccepted { .. }
        | Change::CallRejected { .. }
        | Change::CallEnded { .. }
        | Change::CallAnsweredLate { .. } => call_metadata(change),
        // Never the hash: it is nobody's business.
        Change::TokenCreated { token } => json!({
            "tokenId": token.id.0, "name": token.name, "roles": token.roles, "nodeId": token.node.map(|node| node.0),
            "expiresAt": token.expires_at.map(|time| time.to_string()),
        }),
        Change::TokenRevoked { token, name, .. } => json!({ "tokenId": token.0, "name": name }),
        Change::AccessDenied { denial, .. } => json!({
            "action": denial.action, "resource": denial.resource, "reason": denial.reason, "count": denial.count,
            "firstAt": denial.first_at.to_string(), "lastAt": denial.last_at.to_string(),
        }),
        Change::BusCreated { .. }
        | Change::BusTurned { .. }
        | Change::BusDeleted { .. }
        | Change::TopicDefined { .. }
        | Change::SubscriberAttached { .. }
        | Change::SubscriberDetached { .. }
        | Change::BusNoticed { .. } => of_bus(change),
    }
}

fn of_bus(change: &Change) -> Value {
    match change {
        Change::BusCreated { bus, terms } => json!({
            "busId": bus.0, "name": terms.name.as_str(), "kind": format!("{:?}", terms.kind).to_uppercase(),
            "endpointUri": terms.shown_endpoint(), "purpose": terms.purpose,
        }),
        Change::BusTurned { bus, reason, leases, diagnostics, .. } => json!({
            "busId": bus.0, "reason": reason, "leaseIds": leases.iter().map(|lease| lease.0).collect::<Vec<_>>(),
            "diagnostics": **diagnostics,
        }),
        Change::BusDeleted { bus, name } => json!({ "busId": bus.0, "name": name.as_str() }),
        Change::TopicDefined { bus, topic, terms } => json!({
            "busId": bus.0, "topic": topic.as_str(), "schemaHash": terms.schema_hash.map(|hash| hash.to_string()),
        }),
        Change::SubscriberAttached { subscriber } => json!({
            "busId": subscriber.bus.0, "subscriberId": subscriber.id.0, "name": subscriber.name.as_str(),
            "topics": subscriber.wanted.topics.iter().map(model::TopicPattern::as_str).collect::<Vec<_>>(),
        }),
        Change::SubscriberDetached { bus, subscriber, name } => {
            json!({ "busId": bus.0, "subscriberId": subscriber.0, "name": name.as_str() })
        }
        Change::BusNoticed { notice } => json!({
            "busId": notice.bus.0, "topic": notice.topic.as_ref().map(model::TopicName::as_str),
            "subscriberId": notice.subscriber.map(|id| id.0), "count": notice.count, "reason": notice.reason,
            "schemaHash": notice.schema_hash.map(|hash| hash.to_string()),
            "firstAt": notice.first_at.to_string(), "lastAt": notice.last_at.to_string(),
        }),
        _ => json!({}),
    }
}

fn call_metadata(change: &Change) -> Value {
    match change {
        Change::CallInvoked { call, asked } => json!({
            "invocationId": call.0, "tool": asked.tool.as_str(), "version": asked.version, "caller": asked.caller,
            "arguments": *asked.arguments, "timeoutMs": asked.timeout_ms,
        }),
        Change::CallAccepted { call, tool, node, attempt, at, warnings } => json!({
            "invocationId": call.0, "tool": tool.name.as_str(), "version": tool.version.as_str(), "nodeId": node.0,
            "attempt": attempt, "at": at.to_string(), "warnings": warnings,
        }),
        Change::CallRejected { call, tool, error, at } => json!({
            "invocationId": call.0, "tool": tool.as_str(), "at": at.to_string(), "error": error_metadata(error),
        }),
        Change::CallEnded { call, tool, node, ending } => json!({
            "invocationId": call.0, "tool": tool.name.as_str(), "version": tool.version.as_str(), "nodeId": node.0,
            "status": ending.status.as_str(), "result": ending.result.as_deref(),
            "error": ending.error.as_ref().map(error_metadata), "attempts": ending.attempts.len(),
            "at": ending.at.to_string(), "late": false,
        }),
        Change::CallAnsweredLate { call, tool, node, attempt, failed, at } => json!({
            "invocationId": call.0, "tool": tool.name.as_str(), "version": tool.version.as_str(), "nodeId": node.0,
            "attempt": attempt, "failed": failed, "at": at.to_string(), "late": true,
        }),
        _ => json!({}),
    }
}

fn error_metadata(error: &model::CallError) -> Value {
    json!({
        "code": ErrorCode::from(error.code).as_str(), "type": error.kind, "message": error.message,
        "retryable": error.retryable,
    })
}
