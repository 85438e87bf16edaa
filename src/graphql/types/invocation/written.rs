//! Calls as they are written without the library: the fields that need nothing but the call.

use super::{Invocation, InvocationStatus};
use crate::graphql::direct::{Fields, Writer, Written, put};
use crate::graphql::error::ErrorCode;
use crate::graphql::scalars::DateTime;
use crate::model::CallError;
use async_graphql::ScalarType;
use async_graphql::parser::types::SelectionSet;
use async_graphql::resolver_utils::enum_value;

impl Written for Invocation {
    fn writer(field: &str, below: &SelectionSet) -> Option<Writer<Self>> {
        let write: fn(&Self, &mut Vec<u8>) = match field {
            "id" => |call, out| put(out, call.call().id.0),
            "toolName" => |call, out| put(out, call.call().asked.tool.as_str()),
            "toolVersion" => |call, out| put(out, call.version_found()),
            "caller" => |call, out| put(out, &call.call().asked.caller),
            "correlationId" => |call, out| put(out, &*call.call().correlation_id),
            "status" => |call, out| put(out, enum_value(InvocationStatus::from(call.call().status))),
            "arguments" => |call, out| put(out, call.arguments_shown()),
            "result" => |call, out| put(out, call.result_shown()),
            "warnings" => |call, out| put(out, &call.call().warnings),
            "requestedAt" => |call, out| put(out, DateTime(call.call().asked.requested_at).to_value()),
            "completedAt" => |call, out| put(out, call.call().completed_at.map(|at| DateTime(at).to_value())),
            "durationMs" => |call, out| put(out, call.took_ms()),
            "timeoutMs" => |call, out| put(out, call.call().asked.timeout_ms),
            "deadline" => |call, out| put(out, DateTime(call.call().asked.deadline()).to_value()),
            "dryRun" => |call, out| put(out, call.plan.is_some()),
            "idempotencyKey" => |call, out| put(out, call.call().asked.request.as_ref().map(|request| &request.key)),
            "traceLogId" => |call, out| put(out, &call.call().trace_log_id),
            "executionLogUrl" => |call, out| put(out, &call.call().execution_log_url),
            "error" => {
                let fields = Fields::of(below)?;
                return Some(Box::new(move |call, out| match &call.call().error {
                    Some(error) => fields.write(error, out),
                    None => out.extend_from_slice(b"null"),
                }));
            }
            _ => return None,
        };
        Some(Box::new(write))
    }
}

impl Written for CallError {
    fn writer(field: &str, _: &SelectionSet) -> Option<Writer<Self>> {
        let write: fn(&Self, &mut Vec<u8>) = match field {
            "code" => |error, out| put(out, enum_value(ErrorCode::from(error.code))),
            "type" => |error, out| put(out, &error.kind),
            "message" => |error, out| put(out, &error.message),
            "details" => |error, out| put(out, &error.details),
            "retryable" => |error, out| put(out, error.retryable),
            _ => return None,
        };
        Some(Box::new(write))
    }
}
