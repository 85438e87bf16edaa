//! How calls end: what the log is told of it, and what is said of failures.

use super::call::Call;
use super::redact;
use super::schemas::sentence;
use crate::model::{
    Attempt, CallError, CallErrorCode, Change, Ending, Invocation, InvocationStatus, NAME_LEN_MAX, nests_too_deep,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// How many bytes are kept of what a tool says of its failure, and how many characters of its message.
const DETAILS_BYTES_MAX: usize = 4_096;

/// What the log is told of a call's end.
pub(super) fn ending_record(call: &Invocation) -> Option<Change> {
    let at = call.completed_at?;
    let (Some(tool), Some(node)) = (&call.tool, call.provider()) else {
        let error = call.error.clone()?;
        return Some(Change::CallRejected { call: call.id, tool: call.asked.tool.clone(), error, at });
    };
    let ending = Ending {
        status: call.status,
        result: call.result.clone(),
        error: call.error.clone(),
        attempts: call.attempts.clone(),
        at,
        trace_log_id: call.trace_log_id.clone(),
        execution_log_url: call.execution_log_url.clone(),
    };
    Some(Change::CallEnded { call: call.id, tool: tool.clone(), node, ending: Arc::new(ending) })
}

/// What a call of all providers answers: each one's part, in the order of the attempts.
pub(super) fn answers_of_all(attempts: &[Attempt], results: &HashMap<u32, Arc<Value>>) -> Value {
    let each = attempts.iter().map(|attempt| {
        json!({
            "nodeId": attempt.node.0,
            "succeeded": attempt.outcome == InvocationStatus::Succeeded,
            "result": results.get(&attempt.number).map(|result| &**result),
            "error": attempt.error.as_ref().map(|error| json!({ "type": error.kind, "message": error.message })),
        })
    });
    Value::Array(each.collect())
}

/// What a tool says of its failure, no longer than is kept of it.
pub(super) fn bounded(mut error: CallError) -> CallError {
    let details = error.details.take().filter(|details| !details.is_null() && !nests_too_deep(details));
    error.details = details.map(|details| Arc::unwrap_or_clone(redact::bounded(&Arc::new(details), DETAILS_BYTES_MAX)));
    error.kind = error.kind.chars().take(NAME_LEN_MAX).collect();
    error.message = error.message.chars().take(DETAILS_BYTES_MAX).collect();
    error
}

pub(super) fn failure(kind: &str, message: &str, call: &Call) -> CallError {
    CallError {
        code: CallErrorCode::ToolFailed,
        kind: kind.to_owned(),
        message: message.to_owned(),
        details: None,
        retryable: call.asked.idempotent,
    }
}

pub(super) fn invalid_result(violations: &[Value], call: &Call) -> CallError {
    CallError {
        code: CallErrorCode::ToolInvalidResult,
        kind: "InvalidResult".to_owned(),
        message: format!("what {} answered does not fit its schema: {}", call.asked.tool, sentence(violations)),
        details: Some(json!({ "violations": violations })),
        retryable: call.asked.idempotent,
    }
}
