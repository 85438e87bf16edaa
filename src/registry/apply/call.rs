//! Calls of tools: what was recorded of each, and what they add up to.

use super::Place;
use crate::model::{
    Asked, Attempt, CallError, CallErrorCode, Ending, Invocation, InvocationId, InvocationStatus, LastCall, NodeId,
    NodeSelection, Time, ToolKey,
};
use crate::registry::state::State;
use std::sync::Arc;

pub(super) fn invoked(
    state: &mut State,
    place: Place,
    id: InvocationId,
    asked: &Arc<Asked>,
    correlation_id: Option<&str>,
) {
    let correlation_id = correlation_id.map_or_else(|| id.to_string().into(), Arc::from);
    state.calls.put(Arc::new(Invocation::new(id, asked.clone(), correlation_id)), place.sequence);
}

/// Changes a call that is under way; one that has ended stays as it ended, and a forgotten one forgotten.
fn updated_open(state: &mut State, place: Place, id: InvocationId, update: impl FnOnce(&mut Invocation)) -> bool {
    let is_open = state.calls.get(id).is_some_and(|call| !call.status.is_final());
    if is_open {
        updated(state, place, id, update);
    }
    is_open
}

fn updated(state: &mut State, place: Place, id: InvocationId, update: impl FnOnce(&mut Invocation)) {
    let Some(call) = state.calls.get(id) else { return };
    let mut call = Invocation::clone(call);
    update(&mut call);
    state.calls.put(Arc::new(call), place.sequence);
}

pub(super) fn accepted(
    state: &mut State,
    place: Place,
    id: InvocationId,
    tool: &ToolKey,
    attempt: Attempt,
    warnings: &[String],
) {
    updated_open(state, place, id, |call| {
        call.tool = Some(tool.clone());
        call.warnings = warnings.to_vec();
        call.status = InvocationStatus::Routed;
        call.attempts.push(attempt);
    });
}

pub(super) fn rejected(state: &mut State, place: Place, id: InvocationId, error: &CallError, at: Time) {
    updated_open(state, place, id, |call| {
        call.status = error.status_of_rejected();
        call.error = Some(error.clone());
        call.completed_at = Some(at);
    });
}

pub(super) fn ended(state: &mut State, place: Place, id: InvocationId, tool: &ToolKey, ending: &Ending) {
    let ended = updated_open(state, place, id, |call| {
        call.status = ending.status;
        call.result = ending.result.clone();
        call.error = ending.error.clone();
        call.attempts = ending.attempts.clone();
        call.completed_at = Some(ending.at);
        call.trace_log_id = ending.trace_log_id.clone();
        call.execution_log_url = ending.execution_log_url.clone();
    });
    // A call that its caller took back, or that the registry gave up, says nothing of the tool.
    let Some(call) = state.calls.get(id).cloned().filter(|_| ended && !given_up(ending)) else {
        return;
    };
    let last = |from: Time, at: Time, result: &Option<Arc<serde_json::Value>>| LastCall {
        at,
        micros: at.micros_since(from),
        arguments: call.asked.arguments.clone(),
        result: result.clone(),
        trace_log_id: ending.trace_log_id.clone(),
        execution_log_url: ending.execution_log_url.clone(),
    };
    if state.tools.contains_key(tool) {
        let call = last(call.asked.requested_at, ending.at, &ending.result);
        state.calls.count_for_tool(tool, |stats| stats.add(ending.status, call));
    }
    for attempt in ending.attempts.iter().filter(|attempt| says_something(attempt)) {
        if state.nodes.contains_key(&attempt.node) {
            // Where all were asked, the result is what all of them answered.
            let is_its_own =
                attempt.outcome == InvocationStatus::Succeeded && call.asked.policy != Some(NodeSelection::All);
            let result = ending.result.clone().filter(|_| is_its_own);
            let call = last(attempt.started_at, attempt.ended_at.unwrap_or(ending.at), &result);
            state.calls.count_for_node(attempt.node, |stats| stats.add(attempt.outcome, call));
        }
    }
}

fn given_up(ending: &Ending) -> bool {
    let by_registry = ending.error.as_ref().is_some_and(|error| error.code == CallErrorCode::Unavailable);
    by_registry || ending.status == InvocationStatus::Cancelled
}

/// Whether an attempt says something of its node: one that the node was never sent does not.
fn says_something(attempt: &Attempt) -> bool {
    let never_sent = [CallErrorCode::ToolNoProvider, CallErrorCode::ToolOverloaded];
    attempt.error.as_ref().is_none_or(|error| !never_sent.contains(&error.code))
}

pub(super) fn answered_late(state: &mut State, place: Place, id: InvocationId, node: NodeId, attempt: u32, at: Time) {
    updated(state, place, id, |call| {
        let late = call.attempts.iter_mut().find(|known| known.number == attempt && known.node == node);
        if let Some(late) = late {
            late.answered = true;
            late.late_answer_at.get_or_insert(at);
        }
    });
}
