//! One call while it is in memory: from when it is asked for until its end is in the log.

use super::core::Core;
use super::ending::{answers_of_all, bounded, ending_record, failure, invalid_result};
use super::providers::{Delivery, NotSent, Stop};
use super::redact;
use super::route::{Event, Moves, Route, Taken};
use super::schemas::Compiled;
use super::seen::{Seen, Whole};
use super::service::Asking;
use crate::model::{
    Actor, Asked, Attempt, CallError, CallErrorCode, Change, Invocation, InvocationId, InvocationStatus,
    JSON_DEPTH_MAX, NodeId, Time, Tool, ToolDefinition, ToolTransport, nests_too_deep,
};
use crate::registry::command::{Command, Request};
use crate::telemetry::trace::TraceContext;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// How many parts of an answer one call may have.
pub const CHUNKS_MAX: usize = 10_000;
/// How many bytes they may have together.
pub const CHUNK_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The tool that a call found.
#[derive(Clone)]
pub struct Found {
    /// The tool, with everybody who offers it.
    pub tool: Arc<Tool>,
    /// The definition that the call is checked against.
    pub definition: Arc<ToolDefinition>,
    /// Its schemas.
    pub compiled: Arc<Compiled>,
}

/// What a provider answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The result, or why there is none.
    pub outcome: Result<Arc<Value>, CallError>,
    /// Where the provider keeps its trace of the call.
    pub trace_log_id: Option<String>,
    /// Where the provider's log of the call can be read.
    pub execution_log_url: Option<String>,
}

/// A call under way.
pub struct Call {
    /// Its id.
    pub id: InvocationId,
    /// When its time is up.
    pub deadline: Instant,
    /// Who asked.
    pub actor: Actor,
    /// What the caller calls the whole undertaking; the id as text where it did not say.
    pub correlation_id: Arc<str>,
    /// Where the caller stands in a trace, where somebody follows one.
    pub trace: Option<TraceContext>,
    /// The arguments as they were.
    pub arguments: Arc<Value>,
    /// What was asked, as everybody may see it.
    pub asked: Arc<Asked>,
    /// The tool; `None` where there is none of that name.
    pub found: Option<Found>,
    core: Arc<Core>,
    inner: Mutex<Inner>,
    /// Counts up with every step.
    steps: watch::Sender<u32>,
    /// Wakes those who wait for the end alone: of the steps before it they need not hear.
    ending: Notify,
}

struct Inner {
    invocation: Invocation,
    route: Option<Route>,
    all: bool,
    /// Whether some provider was sent the call.
    accepted: bool,
    /// What providers answered, by attempt.
    results: HashMap<u32, Arc<Value>>,
    result: Option<Arc<Value>>,
    chunks: Vec<Arc<Value>>,
    chunk_bytes: usize,
    /// Calls that the registry itself makes for it.
    tasks: HashMap<u32, AbortHandle>,
    /// What is not in the log yet.
    records: Vec<Change>,
    /// Whether the recorder will come by.
    queued: bool,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("id", &self.id).field("tool", &self.asked.tool).finish_non_exhaustive()
    }
}

/// Who a call may be sent to, and how.
pub struct Way {
    /// Providers in the order in which they are tried.
    pub candidates: Vec<NodeId>,
    /// All of them get it at once.
    pub all: bool,
    /// How many others are tried when one is lost.
    pub failovers_max: u32,
    /// What the caller may want to know, in sentences.
    pub warnings: Vec<String>,
}

impl Call {
    pub(super) fn new(
        core: Arc<Core>,
        invocation: Invocation,
        asking: Asking,
        arguments: Arc<Value>,
        deadline: Instant,
        found: Option<Found>,
    ) -> Arc<Self> {
        let Asking { actor, trace, .. } = asking;
        let (id, asked, correlation_id) = (invocation.id, invocation.asked.clone(), invocation.correlation_id.clone());
        let records = vec![Change::CallInvoked { call: id, asked: asked.clone() }];
        let inner = Inner {
            invocation,
            route: None,
            all: false,
            accepted: false,
            results: HashMap::new(),
            result: None,
            chunks: Vec::new(),
            chunk_bytes: 0,
            tasks: HashMap::new(),
            records,
            queued: false,
        };
        let (steps, _) = watch::channel(0);
        let (inner, ending) = (Mutex::new(inner), Notify::new());
        Arc::new(Call {
            id,
            deadline,
            actor,
            correlation_id,
            trace,
            arguments,
            asked,
            found,
            core,
            inner,
            steps,
            ending,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in there is a defect; what it left still ends by its deadline.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call as it is now.
    pub fn seen(&self) -> Seen {
        let inner = self.lock();
        let whole = Whole { arguments: self.arguments.clone(), result: inner.result.clone() };
        Seen { invocation: Arc::new(inner.now()), whole: Some(whole), chunks: inner.chunks.as_slice().into() }
    }

    /// Told at every step.
    pub fn steps(&self) -> watch::Receiver<u32> {
        self.steps.subscribe()
    }

    /// How many providers have been asked.
    pub(super) fn attempts(&self) -> u32 {
        self.lock().route.iter().flat_map(Route::attempts).count() as u32
    }

    /// The number of the attempt that a provider means by this id; 0 where it means none.
    pub fn attempt_of(&self, id: InvocationId) -> u32 {
        (1..=self.attempts()).find(|number| self.id.of_attempt(*number) == id).unwrap_or(0)
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.lock().invocation.status.is_final()
    }

    /// Whether it reached no provider.
    pub fn is_rejected(&self) -> bool {
        self.lock().invocation.status == InvocationStatus::Rejected
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        // Made before looking: what ends in between wakes it.
        let ending = self.ending.notified();
        if !self.has_ended() {
            ending.await;
        }
    }

    /// It reaches no provider.
    pub fn reject(self: &Arc<Self>, error: CallError) {
        let now = self.core.now();
        let mut inner = self.lock();
        if inner.invocation.status.is_final() {
            return;
        }
        self.end(&mut inner, InvocationStatus::Rejected, Some(error), now);
        self.step(inner);
    }

    /// It goes its way.
    pub fn begin(self: &Arc<Self>, way: Way) {
        let now = self.core.now();
        let mut inner = self.lock();
        // Its time may be up already.
        if inner.invocation.status.is_final() {
            return;
        }
        inner.invocation.warnings = way.warnings;
        inner.invocation.status = InvocationStatus::Routed;
        inner.invocation.tool = self.found.as_ref().map(|found| found.tool.key.clone());
        inner.all = way.all;
        let mut route = Route::new(way.candidates, way.all, self.asked.idempotent, way.failovers_max);
        let moves = route.begin(now);
        inner.route = Some(route);
        self.carry_out(&mut inner, moves, now);
        self.step(inner);
    }

    /// A provider is handed the call; whether it is still to be.
    pub fn handed(self: &Arc<Self>, attempt: u32) -> bool {
        let now = self.core.now();
        let mut inner = self.lock();
        let open = inner.is_open(attempt);
        if let Some(route) = inner.route.as_mut().filter(|_| open) {
            route.on(now, Event::Handed(attempt));
            tracing::trace!(call = %self.id, correlation_id = &*self.correlation_id, attempt, "a provider has the call");
            self.step(inner);
        }
        open
    }

    /// A provider's connection is gone.
    pub fn provider_lost(self: &Arc<Self>, attempt: u32) {
        let error = failure("ProviderLost", "the provider's connection was lost before it answered", self);
        self.on(Event::Lost(attempt, error));
    }

    /// Nobody waits any longer.
    pub fn time_is_up(self: &Arc<Self>) {
        let timeout_ms = self.asked.timeout_ms;
        let error = CallError {
            code: CallErrorCode::ToolTimeout,
            kind: "Timeout".to_owned(),
            message: format!("{} did not answer within {timeout_ms} ms", self.asked.tool),
            details: Some(json!({ "timeoutMs": timeout_ms })),
            retryable: self.asked.idempotent,
        };
        self.on(Event::Deadline(error));
    }

    /// The caller takes the call back.
    pub fn cancel(self: &Arc<Self>) {
        let error = CallError {
            code: CallErrorCode::ToolCancelled,
            kind: "Cancelled".to_owned(),
            message: "the call was taken back".to_owned(),
            details: None,
            retryable: false,
        };
        self.on(Event::Cancelled(error));
    }

    /// The registry stops.
    pub fn interrupt(self: &Arc<Self>) {
        let error = CallError {
            code: CallErrorCode::Unavailable,
            ..failure("RegistryStopped", "the registry stopped before the call ended", self)
        };
        self.on(Event::Interrupted(error));
    }

    /// A provider answers, through a listener or by the registry's own call.
    pub fn answer(self: &Arc<Self>, attempt: u32, answer: Answer) -> Taken {
        let compiled = self.found.as_ref().map(|found| &found.compiled);
        let (result, error) = match answer.outcome {
            Err(error) => (None, Some(bounded(error))),
            Ok(result) if nests_too_deep(&result) => {
                let reason = format!("nests deeper than {JSON_DEPTH_MAX} levels");
                (None, Some(invalid_result(&[json!({ "path": "", "message": reason })], self)))
            }
            Ok(result) => match compiled.map_or(Ok(()), |compiled| compiled.check_result(&result)) {
                Ok(()) => (Some(result), None),
                Err(violations) => (None, Some(invalid_result(&violations, self))),
            },
        };
        let now = self.core.now();
        let mut inner = self.lock();
        let Some(route) = &mut inner.route else { return Taken::Not };
        let moves = route.on(now, Event::Answered(attempt, error.clone()));
        match moves.taken {
            Taken::Counted => {
                inner.tasks.remove(&attempt);
                inner.results.extend(result.map(|result| (attempt, result)));
                inner.invocation.trace_log_id = answer.trace_log_id;
                inner.invocation.execution_log_url = answer.execution_log_url;
                // A tool that fails works; a server that fails does not.
                let wrong = error
                    .filter(|error| error.code == CallErrorCode::ToolInvalidResult || error.kind.starts_with("HTTP_5"));
                self.release(&inner, attempt, Some(wrong.as_ref().map_or(Ok(()), |wrong| Err(&*wrong.message))), now);
            }
            Taken::Late => self.record_late(&mut inner, attempt, error.is_some(), now),
            Taken::Not | Taken::Repeated => {}
        }
        let taken = moves.taken;
        self.carry_out(&mut inner, moves, now);
        self.step(inner);
        taken
    }

    /// A part of the answer; false where nobody waits for it, an error where there are too many.
    pub fn progress(self: &Arc<Self>, attempt: u32, chunk: Value) -> Result<bool, String> {
        let mut inner = self.lock();
        if !inner.is_open(attempt) {
            return Ok(false);
        }
        let bytes = chunk.to_string().len();
        if inner.chunks.len() >= CHUNKS_MAX || inner.chunk_bytes + bytes > CHUNK_BYTES_MAX {
            return Err(format!(
                "a call takes {CHUNKS_MAX} parts of an answer and {CHUNK_BYTES_MAX} bytes of them at most"
            ));
        }
        inner.chunk_bytes += bytes;
        inner.chunks.push(Arc::new(chunk));
        self.step(inner);
        Ok(true)
    }

    /// Takes in what happened.
    pub(super) fn on(self: &Arc<Self>, event: Event) {
        let now = self.core.now();
        let mut inner = self.lock();
        if inner.invocation.status.is_final() {
            return;
        }
        let event = match event {
            Event::Refused(attempt, error) => Event::Refused(attempt, bounded(error)),
            Event::Lost(attempt, error) => Event::Lost(attempt, bounded(error)),
            event => event,
        };
        let lost = match &event {
            Event::Refused(attempt, error) | Event::Lost(attempt, error) if inner.is_open(*attempt) => {
                tracing::info!(
                    call = %self.id, correlation_id = &*self.correlation_id, attempt, kind = error.kind,
                    "a provider is lost, or refuses"
                );
                // One that has enough to do works.
                let fault = (error.code != CallErrorCode::ToolOverloaded).then(|| error.message.clone());
                Some((*attempt, fault))
            }
            _ => None,
        };
        let Some(route) = &mut inner.route else {
            // Nobody has been asked yet.
            if let Event::Deadline(error) | Event::Cancelled(error) | Event::Interrupted(error) = event {
                self.end(&mut inner, InvocationStatus::Rejected, Some(error), now);
                self.step(inner);
            }
            return;
        };
        let moves = route.on(now, event);
        if let Some((attempt, fault)) = lost {
            inner.tasks.remove(&attempt);
            self.release(&inner, attempt, fault.as_deref().map(Err), now);
        }
        self.carry_out(&mut inner, moves, now);
        self.step(inner);
    }

    /// Does what the route says is to be done.
    fn carry_out(self: &Arc<Self>, inner: &mut Inner, mut moves: Moves, now: Time) {
        loop {
            for (attempt, _) in &moves.stop {
                self.stop(inner, *attempt, &moves, now);
            }
            if let Some((status, error)) = moves.end.take() {
                self.end(inner, status, error, now);
            }
            let mut next = Moves::default();
            for (attempt, node) in moves.send {
                if let Err(error) = self.send(inner, attempt, node, now)
                    && let Some(route) = &mut inner.route
                {
                    let after = route.on(now, Event::Refused(attempt, error));
                    next.send.extend(after.send);
                    next.end = after.end.or(next.end);
                }
            }
            if next.send.is_empty() && next.end.is_none() {
                return;
            }
            moves = next;
        }
    }

    fn send(self: &Arc<Self>, inner: &mut Inner, attempt: u32, node: NodeId, now: Time) -> Result<(), CallError> {
        let Some(found) = &self.found else { return Err(self.not_sent(NotSent::Gone)) };
        let key = &found.tool.key;
        // As it is now: this may be long after it was chosen.
        let offer = self.core.offer_now(node, key, found.definition.hash, now);
        let offer = offer.ok_or_else(|| self.not_sent(NotSent::Gone))?;
        let in_flight_max = offer.max_in_flight.unwrap_or(self.core.rules.in_flight_max);
        if offer.transport == ToolTransport::GraphQl {
            let delivery = Delivery { call: self.clone(), attempt };
            let sent = self.core.providers.send(node, key, delivery, in_flight_max, now);
            sent.map_err(|not_sent| self.not_sent(not_sent))?;
        } else {
            let taken = self.core.providers.take(node, key, in_flight_max, now);
            taken.map_err(|not_sent| self.not_sent(not_sent))?;
            let task = self.core.call_out(self, attempt, &offer);
            inner.tasks.insert(attempt, task);
            inner.route.iter_mut().for_each(|route| _ = route.on(now, Event::Handed(attempt)));
        }
        self.core.know_attempt(self, attempt);
        inner.accepted = true;
        let warnings = inner.invocation.warnings.clone();
        tracing::debug!(
            call = %self.id, correlation_id = &*self.correlation_id, tool = %self.asked.tool, %node, attempt,
            "a call is sent to its provider"
        );
        let tool = found.tool.key.clone();
        inner.records.push(Change::CallAccepted { call: self.id, tool, node, attempt, at: now, warnings });
        Ok(())
    }

    fn not_sent(&self, why: NotSent) -> CallError {
        let (code, kind, message) = match why {
            NotSent::Gone => (CallErrorCode::ToolNoProvider, "ProviderGone", "the provider left just now"),
            NotSent::Full => {
                (CallErrorCode::ToolOverloaded, "Overloaded", "the provider was sent other calls just now")
            }
            NotSent::Open => (CallErrorCode::ToolNoProvider, "Quarantined", "the provider failed too often just now"),
        };
        CallError { code, retryable: true, ..failure(kind, message, self) }
    }

    /// Nobody waits for this attempt any more.
    fn stop(&self, inner: &mut Inner, attempt: u32, moves: &Moves, now: Time) {
        let error = moves.end.as_ref().and_then(|(_, error)| error.as_ref());
        let reason = error.map(|error| error.message.clone()).unwrap_or_default();
        if let Some(task) = inner.tasks.remove(&attempt) {
            task.abort();
        }
        let timed_out = moves.end.as_ref().is_some_and(|(status, _)| *status == InvocationStatus::TimedOut);
        let too_slow = timed_out && self.had_its_time();
        self.release(inner, attempt, too_slow.then_some(Err(&*reason)), now);
        if let Some(node) = inner.node_of(attempt) {
            self.core.providers.stop(node, &Stop { call: self.id.of_attempt(attempt), reason });
        }
    }

    /// Whether the call might take as long as its tool says, or the registry does. One that its caller gave less time
    /// says nothing of the provider.
    fn had_its_time(&self) -> bool {
        let of_tool = self.found.as_ref().and_then(|found| found.definition.timeout_ms);
        self.asked.timeout_ms >= of_tool.unwrap_or(self.core.rules.timeout_ms)
    }

    /// The provider has one call less under way.
    fn release(&self, inner: &Inner, attempt: u32, worked: Option<Result<(), &str>>, now: Time) {
        if let (Some(node), Some(found)) = (inner.node_of(attempt), &self.found) {
            self.core.providers.release(node, &found.tool.key, self.id.of_attempt(attempt), worked, now);
        }
    }

    fn record_late(&self, inner: &mut Inner, attempt: u32, failed: bool, now: Time) {
        let (Some(found), Some(node)) = (&self.found, inner.node_of(attempt)) else { return };
        let (call, tool) = (self.id, found.tool.key.clone());
        inner.invocation.attempts = inner.attempts();
        tracing::info!(call = %call, correlation_id = &*self.correlation_id, %node, attempt, "an answer came too late");
        inner.records.push(Change::CallAnsweredLate { call, tool, node, attempt, failed, at: now });
    }

    fn end(&self, inner: &mut Inner, status: InvocationStatus, error: Option<CallError>, now: Time) {
        let attempts = inner.attempts();
        inner.result = if inner.all {
            Some(Arc::new(answers_of_all(&attempts, &inner.results)))
        } else if status == InvocationStatus::Succeeded {
            // Absent only where the registry has a defect: a success without a result.
            Some(inner.results.values().next().cloned().unwrap_or_default())
        } else {
            None
        };
        let bytes_max = self.core.rules.record_bytes_max;
        let shown = match (&inner.result, &self.found) {
            (Some(_), Some(found)) if inner.all => {
                let shown = |result: &Arc<Value>| found.compiled.shown_result(result);
                let shown = inner.results.iter().map(|(attempt, result)| (*attempt, shown(result))).collect();
                Some(redact::bounded(&Arc::new(answers_of_all(&attempts, &shown)), bytes_max))
            }
            (Some(result), Some(found)) => Some(redact::bounded(&found.compiled.shown_result(result), bytes_max)),
            _ => None,
        };
        let rejected = !inner.accepted;
        let invocation = &mut inner.invocation;
        // A call that nobody was sent was not tried, whatever ended it.
        let of_rejected = || error.as_ref().map_or(InvocationStatus::Rejected, CallError::status_of_rejected);
        invocation.status = if rejected { of_rejected() } else { status };
        if rejected {
            invocation.tool = None;
        }
        invocation.error = error.map(bounded);
        // The log does not tell null from nothing.
        invocation.result = shown.filter(|shown| !shown.is_null());
        invocation.completed_at = Some(now);
        invocation.attempts = if rejected { Vec::new() } else { attempts };
        let (status, attempts) = (invocation.status, invocation.attempts.len());
        tracing::debug!(
            call = %self.id, correlation_id = &*self.correlation_id, tool = %self.asked.tool, status = status.as_str(),
            attempts, "a call ended"
        );
        let took = now.micros_since(self.asked.requested_at);
        self.core.metrics.ended(status.as_str(), Duration::from_micros(took));
        let record = ending_record(invocation);
        inner.records.extend(record);
        self.core.deadlines.remove(self);
    }

    /// Tells who waits, and has what is new recorded.
    fn step(self: &Arc<Self>, inner: MutexGuard<'_, Inner>) {
        let ended = inner.invocation.status.is_final();
        self.queue(inner);
        self.steps.send_modify(|steps| *steps = steps.wrapping_add(1));
        if ended {
            self.ending.notify_waiters();
        }
        self.core.tell(self);
    }

    /// Has what is new recorded.
    fn queue(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>) {
        let new = !inner.records.is_empty() && !std::mem::replace(&mut inner.queued, true);
        drop(inner);
        if new {
            self.core.recorder.add(self.clone());
        }
    }

    /// Waits until all that is known of it now is in the log.
    pub async fn recorded(self: &Arc<Self>) {
        self.queue(self.lock());
        self.core.recorder.flush().await;
    }

    /// What is new since the recorder last came by.
    pub(super) fn take_records(&self) -> Request {
        let mut inner = self.lock();
        inner.queued = false;
        Request {
            command: Command::Record(std::mem::take(&mut inner.records)),
            actor: self.actor.clone(),
            correlation_id: Some(self.correlation_id.to_string()),
        }
    }

    /// Whether all there is to say of it is in the log.
    pub(super) fn is_recorded(&self) -> bool {
        let inner = self.lock();
        inner.invocation.status.is_final() && inner.records.is_empty()
    }

    /// The call as memory keeps it when the log has its end; `None` where the log has all of it.
    pub(super) fn more_than_recorded(&self) -> Option<Seen> {
        let keeps_more = self.lock().keeps_more(self);
        keeps_more.then(|| self.seen())
    }
}

impl Inner {
    fn now(&self) -> Invocation {
        let mut invocation = self.invocation.clone();
        if let Some(route) = self.route.as_ref().filter(|_| self.accepted) {
            invocation.attempts = route.attempts().cloned().collect();
            if !invocation.status.is_final() && route.is_running() {
                invocation.status = InvocationStatus::Running;
            }
        }
        invocation
    }

    fn attempts(&self) -> Vec<Attempt> {
        self.route.iter().flat_map(Route::attempts).cloned().collect()
    }

    fn is_open(&self, attempt: u32) -> bool {
        let mut attempts = self.route.iter().flat_map(Route::attempts);
        attempts.any(|known| known.number == attempt && known.ended_at.is_none())
    }

    fn node_of(&self, attempt: u32) -> Option<NodeId> {
        let mut attempts = self.route.iter().flat_map(Route::attempts);
        attempts.find(|known| known.number == attempt).map(|known| known.node)
    }

    /// Whether memory has more of the payloads than the log will.
    fn keeps_more(&self, call: &Call) -> bool {
        let same = match (&self.result, &self.invocation.result) {
            (Some(whole), Some(shown)) => Arc::ptr_eq(whole, shown),
            (None, None) => true,
            _ => false,
        };
        !same || !Arc::ptr_eq(&call.arguments, &call.asked.arguments) || !self.chunks.is_empty()
    }
}
