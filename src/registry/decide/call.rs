//! Calls of tools. What happened in them has happened: the records are taken as they come, each once.

use super::{Answer, Decision};
use crate::model::{CallError, CallErrorCode, Change, Ending, Invocation, InvocationId, InvocationStatus, Time};
use crate::registry::state::State;
use std::sync::Arc;

/// What a call's service recorded of it.
pub(super) fn record(changes: &[Change]) -> Decision {
    Decision { changes: changes.to_vec(), answer: Answer::Kept(changes.len()) }
}

/// An answer to a call that has ended. One that was answered already stays as it is.
pub(super) fn answer_late(state: &State, now: Time, id: InvocationId, failed: bool) -> Decision {
    let answered = state.calls.attempt(id).and_then(|(call, number)| {
        let attempt = call.attempts.iter().find(|attempt| attempt.number == number && !attempt.answered)?;
        let (call, tool) = (call.id, call.tool.clone()?);
        Some(Change::CallAnsweredLate { call, tool, node: attempt.node, attempt: number, failed, at: now })
    });
    let changes = Vec::from_iter(answered);
    Decision { answer: Answer::Kept(changes.len()), changes }
}

/// The registry was down: nobody waits for a call that was under way, and what came of it is not known.
pub(super) fn end_interrupted(state: &State, now: Time, id: InvocationId) -> Decision {
    let open = state.calls.get(id).filter(|call| !call.status.is_final());
    let changes: Vec<Change> = open.map(|call| interrupted(call, now)).into_iter().collect();
    Decision { answer: Answer::Kept(changes.len()), changes }
}

fn interrupted(call: &Arc<Invocation>, now: Time) -> Change {
    let error = CallError {
        code: CallErrorCode::Unavailable,
        kind: "RegistryRestarted".to_owned(),
        // Also where the log has no provider: it may have been sent in the moment before the end.
        message: "the registry was restarted before the call ended: whether it was carried out is not known".to_owned(),
        details: None,
        retryable: call.asked.idempotent,
    };
    let (Some(tool), Some(node)) = (call.tool.clone(), call.provider()) else {
        return Change::CallRejected { call: call.id, tool: call.asked.tool.clone(), error, at: now };
    };
    let mut attempts = call.attempts.clone();
    for attempt in attempts.iter_mut().filter(|attempt| attempt.ended_at.is_none()) {
        attempt.ended_at = Some(now);
        attempt.outcome = InvocationStatus::Failed;
    }
    let ending = Ending {
        status: InvocationStatus::Failed,
        result: None,
        error: Some(error),
        attempts,
        at: now,
        trace_log_id: None,
        execution_log_url: None,
    };
    Change::CallEnded { call: call.id, tool, node, ending: Arc::new(ending) }
}
