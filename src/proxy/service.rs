//! The way to calls, for the doors.

use super::call::{Answer, Call, Found};
use super::choose::Candidate;
use super::core::{Core, Rules};
use super::outbound::Outbound;
use super::providers::{Deliveries, Health, Presence, Stop};
use super::redact;
use super::route::Taken;
use super::routing::{has_trusted, unknown, why};
use super::seen::Seen;
use crate::model::{
    Actor, Asked, CallError, CallErrorCode, Invocation, InvocationId, InvocationStatus, NodeId, NodeSelection, Offer,
    RequestKey, Time, Tool, ToolKey, ToolName, VersionWanted,
};
use crate::registry::command::{Command, Request};
use crate::registry::engine::{self, Clock, Handle, fresh_id};
use crate::registry::refusal::Refusal;
use crate::registry::state::State;
use crate::registry::view::Views;
use crate::telemetry;
use crate::telemetry::trace::TraceContext;
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How many calls one batch may have.
pub const BATCH_LEN_MAX: usize = 1_000;
/// How many calls of a batch are made at once at most.
pub const PARALLEL_MAX: usize = 64;
/// How many calls of a batch are made at once where its caller does not say.
const PARALLEL: usize = 8;
/// How long a call that is to be in the log before it is sent waits for that.
const RECORDED_WITHIN: Duration = Duration::from_secs(5);

/// Who asks.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Who.
    pub actor: Actor,
    /// What the caller calls the whole undertaking.
    pub correlation_id: Option<String>,
    /// Where the caller stands in a trace, where somebody follows one: passed on to the provider.
    pub trace: Option<TraceContext>,
}

/// A call as it is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The tool.
    pub tool: ToolName,
    /// The version; the highest release when absent.
    pub version: Option<VersionWanted>,
    /// What the tool is given.
    pub arguments: Arc<Value>,
    /// Which of several providers; the first when absent.
    pub policy: Option<NodeSelection>,
    /// The only provider that will do.
    pub node: Option<NodeId>,
    /// Only providers that somebody vouches for.
    pub trusted_only: bool,
    /// How long it may take, in milliseconds: within the rules' bounds.
    pub timeout_ms: Option<u32>,
    /// How many others are tried when a provider is lost or refuses.
    pub failovers_max: Option<u32>,
    /// Whether it may be made again when nobody knows what came of it, whatever the tool says.
    pub idempotent: bool,
    /// The caller's name for the request.
    pub request: Option<RequestKey>,
    /// Whether the caller waits for the end.
    pub waits: bool,
    /// Whether the caller may not know of the tool: then it is not there.
    pub unknown: bool,
}

/// What came of asking for a call.
#[derive(Clone, Debug)]
pub enum Invoked {
    /// It was made, or is being made.
    Made(Seen),
    /// It was not to be made: who would have got it.
    Planned(Box<Plan>),
}

/// Who would get a call, and why.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The call that would have been made.
    pub invocation: Arc<Invocation>,
    /// What would be sent.
    pub arguments: Arc<Value>,
    /// Who would get it.
    pub provider: Option<Offer>,
    /// Why.
    pub reason: String,
    /// Everybody who offers the tool, the earliest first.
    pub candidates: Vec<Candidate>,
}

/// Why nothing came of a request about a call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No call has this id, or none that is still kept.
    #[error("no invocation has the id {0}, or it is too long ago: look it up with invocations")]
    NotFound(InvocationId),
    /// No node has this id.
    #[error(transparent)]
    NodeNotFound(#[from] Refusal),
    /// A provider answers a call once.
    #[error("invocation {0} was answered already: an answer counts once")]
    AnsweredAlready(InvocationId),
    /// The same name with another request.
    #[error("idempotencyKey {key:?} was used for another request, {call}: a new request needs a new key")]
    RequestReused {
        /// The name.
        key: String,
        /// The call that it names.
        call: InvocationId,
    },
    /// Too many parts of an answer.
    #[error("{0}: answer with completeInvocation")]
    TooManyChunks(String),
    /// The registry is about to stop.
    #[error("the registry is shutting down and takes no new calls: try again when it is back")]
    Stopping,
    /// The log does not keep up.
    #[error("the registry's log does not keep up with the calls: try again later")]
    Behind,
    /// What was to be in the log before it was answered is not.
    #[error(transparent)]
    NotRecorded(#[from] engine::Error),
}

/// How much there is to do.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Calls that have not ended.
    pub open: usize,
    /// Calls of which something waits to be recorded.
    pub unrecorded: usize,
    /// Open subscriptions to calls.
    pub listeners: usize,
}

/// The way to calls.
pub struct Proxy {
    core: Arc<Core>,
    handle: Handle,
    stopping: AtomicBool,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("rules", &self.core.rules).finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A call that was begun, or one that was made before under the same name.
enum Begun {
    Live(Arc<Call>),
    Stored(Seen),
}

impl Proxy {
    /// Begins to take calls. Runs on the runtime that it is called from.
    pub fn start(
        handle: Handle,
        views: Arc<Views>,
        clock: Arc<dyn Clock>,
        rules: Rules,
        outbound: Outbound,
        metrics: telemetry::Calls,
    ) -> Self {
        let core = Core::new(rules, views, clock, outbound, metrics);
        let (recording, keeping, to_log) = (core.clone(), core.clone(), handle.clone());
        let tasks = vec![
            tokio::spawn(async move { recording.recorder.keep(to_log, |call| recording.forget(call)).await }),
            tokio::spawn(async move { keeping.deadlines.keep().await }),
        ];
        Proxy { core, handle, stopping: AtomicBool::new(false), tasks }
    }

    /// How many calls have not ended, of how many something waits to be recorded, and how many listeners there are.
    pub fn counts(&self) -> Counts {
        let core = &self.core;
        Counts { open: core.open(), unrecorded: core.recorder.waiting(), listeners: core.providers.listeners() }
    }

    /// How calls are made.
    pub fn rules(&self) -> &Rules {
        &self.core.rules
    }

    /// Makes a call, and waits for its end where the caller does.
    pub async fn invoke(&self, asking: Asking, wanted: Wanted) -> Result<Seen, Error> {
        let waits = wanted.waits;
        match self.begin(asking, wanted).await? {
            Begun::Stored(seen) => Ok(seen),
            Begun::Live(call) => {
                if waits {
                    call.ended().await;
                }
                Ok(call.seen())
            }
        }
    }

    /// Makes calls, so many at once, and answers each, in their order; where one that fails stops the rest, those that
    /// were not begun are cancelled.
    pub async fn invoke_all(
        &self,
        calls: Vec<(Asking, Wanted)>,
        parallel: Option<usize>,
        stops_on_error: bool,
    ) -> Vec<Seen> {
        let failed = &AtomicBool::new(false);
        let each = calls.into_iter().map(|(asking, wanted)| async move {
            if stops_on_error && failed.load(Ordering::SeqCst) {
                return self.unmade(&asking, &wanted, stopped_before());
            }
            let seen = match self.invoke(asking.clone(), wanted.clone()).await {
                Ok(seen) => seen,
                Err(error) => self.unmade(&asking, &wanted, refused(&error)),
            };
            let status = seen.invocation.status;
            if status.is_final() && status != InvocationStatus::Succeeded {
                failed.store(true, Ordering::SeqCst);
            }
            seen
        });
        let parallel = parallel.unwrap_or(PARALLEL).clamp(1, PARALLEL_MAX);
        stream::iter(each).buffered(parallel).collect().await
    }

    /// A call of a batch that was not made.
    fn unmade(&self, asking: &Asking, wanted: &Wanted, error: CallError) -> Seen {
        let now = self.core.now();
        let mut invocation = self.invocation(asking, wanted, None, now);
        invocation.status = error.status_of_rejected();
        invocation.completed_at = Some(now);
        invocation.error = Some(error);
        Seen::stored(Arc::new(invocation))
    }

    /// Says who would get a call, and makes none.
    pub fn plan(&self, asking: &Asking, wanted: &Wanted) -> Plan {
        let (now, state) = (self.core.now(), self.core.views.current());
        let found = self.core.find_tool(&state, wanted);
        let mut invocation = self.invocation(asking, wanted, found.as_ref(), now);
        let chosen = match &found {
            Some(found) => self.core.choose(&state, found, wanted, true, now),
            None => Err((unknown(wanted), Vec::new())),
        };
        let (provider, reason, candidates) = match chosen {
            Ok((way, candidates)) => {
                invocation.status = InvocationStatus::Routed;
                invocation.warnings = way.warnings;
                let first = way.candidates.first().copied();
                let mut offers = found.iter().flat_map(|found| &found.tool.offers);
                let provider = offers.find(|offer| Some(offer.node) == first).cloned();
                (provider, why(wanted, &candidates), candidates)
            }
            Err((error, candidates)) => {
                let reason = error.message.clone();
                invocation.status = InvocationStatus::Rejected;
                invocation.error = Some(error);
                (None, reason, candidates)
            }
        };
        invocation.tool = found.map(|found| found.tool.key.clone());
        let arguments = wanted.arguments.clone();
        Plan { invocation: Arc::new(invocation), arguments, provider, reason, candidates }
    }

    async fn begin(&self, asking: Asking, wanted: Wanted) -> Result<Begun, Error> {
        if self.stopping.load(Ordering::SeqCst) {
            return Err(Error::Stopping);
        }
        if self.core.recorder.is_full() {
            return Err(Error::Behind);
        }
        let (now, state) = (self.core.now(), self.core.views.current());
        let found = self.core.find_tool(&state, &wanted);
        let invocation = self.invocation(&asking, &wanted, found.as_ref(), now);
        let deadline = Instant::now() + Duration::from_millis(u64::from(invocation.asked.timeout_ms));
        let call = Call::new(self.core.clone(), invocation, asking, wanted.arguments.clone(), deadline, found);
        if let Some(request) = &wanted.request
            && let Some(before) = self.made_before(&call, request)?
        {
            return Ok(before);
        }
        self.core.add(&call);
        tracing::debug!(
            call = %call.id, correlation_id = &*call.correlation_id, tool = %wanted.tool, caller = call.asked.caller,
            "a tool is called"
        );
        if wanted.request.is_some() || !wanted.waits {
            self.route_once_recorded(&call, wanted).await;
        } else {
            self.core.route(&state, &call, &wanted, now);
        }
        Ok(Begun::Live(call))
    }

    /// What outlives the caller's wait is promised only once it is in the log. A task of its own sees to it: a caller who
    /// leaves meanwhile leaves a call that goes its way.
    async fn route_once_recorded(&self, call: &Arc<Call>, wanted: Wanted) {
        let (core, call) = (self.core.clone(), call.clone());
        let routing = tokio::spawn(async move {
            let is_recorded = tokio::select! {
                recorded = tokio::time::timeout(RECORDED_WITHIN, call.recorded()) => recorded.is_ok(),
                // Its time is up already.
                () = call.ended() => true,
            };
            match is_recorded {
                true => core.route(&core.views.current(), &call, &wanted, core.now()),
                false => call.reject(not_recorded()),
            }
        });
        // A task that panicked has said so; its call ends by its deadline.
        let _ = routing.await;
    }

    /// The call that was made under this name before; remembers this one where there is none.
    fn made_before(&self, call: &Arc<Call>, request: &RequestKey) -> Result<Option<Begun>, Error> {
        let name = (call.asked.caller.clone(), request.key.clone());
        let mut named = self.core.named.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was turned away may be made again.
        if let Some(live) = named.get(&name).filter(|live| !live.is_rejected()) {
            return same_request(live.id, &live.asked, request).map(|()| Some(Begun::Live(live.clone())));
        }
        // Looked at under the lock: a call leaves memory only after the version that has it is there.
        let state = self.core.views.current();
        if let Some(stored) = state.calls.of_request(&name.0, &name.1) {
            same_request(stored.id, &stored.asked, request)?;
            return Ok(self.seen_in(stored.id, &state).map(Begun::Stored));
        }
        named.insert(name, call.clone());
        Ok(None)
    }

    fn invocation(&self, asking: &Asking, wanted: &Wanted, found: Option<&Found>, now: Time) -> Invocation {
        let rules = &self.core.rules;
        let of_tool = found.and_then(|found| found.definition.timeout_ms);
        let timeout_ms = wanted.timeout_ms.or(of_tool).unwrap_or(rules.timeout_ms).min(rules.timeout_ms_max);
        let shown = match found {
            Some(found) => found.compiled.shown_arguments(&wanted.arguments),
            None => redact::hidden(),
        };
        let asked = Asked {
            tool: wanted.tool.clone(),
            version: wanted.version.as_ref().map(|version| version.as_str().to_owned()),
            node: wanted.node,
            policy: wanted.policy,
            arguments: redact::bounded(&shown, rules.record_bytes_max),
            caller: asking.actor.principal.clone(),
            timeout_ms,
            idempotent: wanted.idempotent || found.is_some_and(|found| found.definition.idempotent),
            request: wanted.request.clone(),
            requested_at: now,
        };
        let id = InvocationId(fresh_id(now));
        let correlation_id = asking.correlation_id.as_deref().map_or_else(|| id.to_string().into(), Arc::from);
        Invocation::new(id, Arc::new(asked), correlation_id)
    }

    /// Whether a tool has a provider that is trusted as far as this registry wants; others are neither listed nor
    /// called.
    pub fn is_shown(&self, state: &State, tool: &Tool) -> bool {
        has_trusted(state, tool, self.core.rules.least_trust)
    }

    /// A call by its id, as it is now: as its caller sees it, or as everybody does.
    pub fn seen(&self, id: InvocationId, principal: &str) -> Option<Seen> {
        let seen = match self.core.find(id) {
            Some(call) => call.seen(),
            None => self.forgotten(id)?,
        };
        Some(seen.shown_to(principal))
    }

    /// The provider that knows a call by this id: that of the attempt which the id names.
    pub fn provider_of(&self, id: InvocationId) -> Option<NodeId> {
        let of = |invocation: &Invocation, number| {
            invocation.attempts.iter().find(|attempt| attempt.number == number).map(|attempt| attempt.node)
        };
        match self.core.find(id) {
            Some(call) => of(&call.seen().invocation, call.attempt_of(id)),
            None => self.core.views.current().calls.attempt(id).and_then(|(call, number)| of(call, number)),
        }
    }

    /// A call that memory was found not to have: the current version has all of it, as `Core::known` says.
    fn forgotten(&self, id: InvocationId) -> Option<Seen> {
        self.seen_in(id, &self.core.views.current())
    }

    /// A call as a version has it, with what memory keeps of its payloads.
    fn seen_in(&self, id: InvocationId, state: &State) -> Option<Seen> {
        let stored = state.calls.attempt(id).map(|(call, _)| call.clone());
        if let Some(kept) = self.core.kept(stored.as_ref().map_or(id, |stored| stored.id)) {
            // The log may know more: an answer that came too late.
            let invocation = stored.unwrap_or_else(|| kept.invocation.clone());
            return Some(Seen { invocation, ..Seen::clone(&kept) });
        }
        stored.map(Seen::stored)
    }

    /// Every call of which the log does not have all yet, and a version that has all others.
    pub fn known(&self) -> (Vec<Seen>, Arc<State>) {
        let (live, state) = self.core.known();
        (live.into_iter().map(|call| call.seen().for_others()).collect(), state)
    }

    /// Waits until what is known of calls now is in the log.
    pub async fn flush(&self) {
        self.core.recorder.flush().await;
    }

    /// Takes a call back. One that has ended stays as it is.
    pub fn cancel(&self, id: InvocationId) -> Result<Seen, Error> {
        if let Some(call) = self.core.find(id) {
            call.cancel();
            return Ok(call.seen());
        }
        self.forgotten(id).ok_or(Error::NotFound(id))
    }

    /// A part of an answer. Where nobody waits for it any more, the call says so.
    pub fn progress(&self, id: InvocationId, chunk: Value) -> Result<Seen, Error> {
        let Some(call) = self.core.find(id) else {
            return self.forgotten(id).ok_or(Error::NotFound(id));
        };
        call.progress(call.attempt_of(id), chunk).map_err(Error::TooManyChunks)?;
        Ok(call.seen())
    }

    /// A provider's answer. One that comes too late is discarded, and the call says how it ended.
    pub async fn complete(&self, id: InvocationId, answer: Answer) -> Result<Seen, Error> {
        let Some(call) = self.core.find(id) else { return self.complete_stored(id, &answer).await };
        match call.answer(call.attempt_of(id), answer) {
            Taken::Counted | Taken::Late => Ok(call.seen()),
            Taken::Repeated => Err(Error::AnsweredAlready(id)),
            Taken::Not => Err(Error::NotFound(id)),
        }
    }

    /// An answer to a call that only the log remembers: which of several is the first, its writer decides.
    async fn complete_stored(&self, id: InvocationId, answer: &Answer) -> Result<Seen, Error> {
        let stored = self.forgotten(id).ok_or(Error::NotFound(id))?;
        let answered = self.handle.submit(Request {
            command: Command::AnswerLate { call: id, failed: answer.outcome.is_err() },
            actor: Actor::registry(),
            correlation_id: Some(stored.invocation.correlation_id.to_string()),
        });
        let outcome = answered.await?;
        let seen = self.seen_in(id, &outcome.view).ok_or(Error::NotFound(id))?;
        outcome.first.map(|_| seen).ok_or(Error::AnsweredAlready(id))
    }

    /// A node's calls from now on, so many at once at most; as many as the registry's rules say when absent.
    pub fn listen(&self, node: NodeId, in_flight_max: Option<u32>) -> Result<Deliveries, Error> {
        self.check_node(node)?;
        let room_max = in_flight_max.unwrap_or(u32::MAX);
        let (listening, waiting) = self.core.providers.listen(node, room_max);
        Ok(Deliveries::new(listening, waiting))
    }

    /// Which calls of a node nobody waits for any more, from now on.
    pub fn stops(&self, node: NodeId) -> Result<mpsc::Receiver<Stop>, Error> {
        self.check_node(node)?;
        Ok(self.core.providers.stops(node))
    }

    fn check_node(&self, node: NodeId) -> Result<(), Error> {
        match self.core.views.current().node(node) {
            Some(_) => Ok(()),
            None => Err(Refusal::NodeNotFound { node }.into()),
        }
    }

    /// What a node says of how busy it is, from 0 to 1.
    pub fn report_load(&self, node: NodeId, load: f64) {
        self.core.providers.report_load(node, load);
    }

    /// What is known of a node as a provider of a tool.
    pub fn look(&self, node: NodeId, tool: &ToolKey) -> (Presence, Health) {
        self.core.providers.look(node, tool)
    }

    /// A call's life: as it is now, then at each step, up to its end.
    pub fn follow(
        &self,
        id: InvocationId,
        principal: String,
    ) -> Result<impl Stream<Item = Seen> + Send + use<>, Error> {
        let Some(call) = self.core.find(id) else {
            let stored = self.seen(id, &principal).ok_or(Error::NotFound(id))?;
            return Ok(stream::iter([stored]).left_stream());
        };
        let mut steps = call.steps();
        steps.mark_changed();
        let following = stream::unfold(Some((call, steps)), move |following| {
            let principal = principal.clone();
            async move {
                let (call, mut steps) = following?;
                // The sender lives as long as the call, which is held here.
                steps.changed().await.ok()?;
                let seen = call.seen();
                let ended = seen.invocation.status.is_final();
                Some((seen.shown_to(&principal), (!ended).then_some((call, steps))))
            }
        });
        Ok(following.right_stream())
    }

    /// The steps of every call of one undertaking, from now on, after what is known of it now.
    pub fn follow_all(&self, correlation_id: String) -> impl Stream<Item = Seen> + Send + use<> {
        let steps = self.core.steps();
        let known = self.core.of_undertaking(&correlation_id);
        let core = self.core.clone();
        let live = stream::unfold((steps, core, correlation_id), |(mut steps, core, correlation_id)| async move {
            loop {
                match steps.recv().await {
                    Ok(call) if *call.correlation_id == *correlation_id => {
                        let seen = call.seen().for_others();
                        return Some((vec![seen], (steps, core, correlation_id)));
                    }
                    Ok(_) => {}
                    // Too much happened: all of the undertaking's calls are shown as they are now.
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        let all = core.of_undertaking(&correlation_id);
                        return Some((all, (steps, core, correlation_id)));
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        stream::iter(known).chain(live.flat_map(stream::iter))
    }

    /// Takes no new calls, and waits for those under way.
    pub async fn drain(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        for call in self.core.all() {
            call.ended().await;
        }
    }

    /// Ends what is still under way and has all of it recorded.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.core.all().iter().for_each(Call::interrupt);
        self.core.recorder.flush().await;
    }

    /// The registry was down: calls that were under way then have ended.
    pub async fn end_interrupted(&self) -> Result<(), engine::Error> {
        let state = self.core.views.current();
        let requests = state.calls.open().map(|call| Request {
            command: Command::EndInterrupted(call.id),
            actor: Actor::registry(),
            correlation_id: Some(call.correlation_id.to_string()),
        });
        self.handle.record(requests.collect()).await
    }
}

/// Why a call of a batch was not made where an earlier one failed.
fn stopped_before() -> CallError {
    CallError {
        code: CallErrorCode::ToolCancelled,
        kind: "Cancelled".to_owned(),
        message: "an earlier call of the batch failed, and this one was not made".to_owned(),
        details: None,
        retryable: true,
    }
}

/// Why a call of a batch was not made where the registry refused it.
fn refused(error: &Error) -> CallError {
    let (code, kind) = match error {
        Error::RequestReused { .. } => (CallErrorCode::ToolInvalidArguments, "IdempotencyKeyReused"),
        _ => (CallErrorCode::Unavailable, "Unavailable"),
    };
    let retryable = code == CallErrorCode::Unavailable;
    CallError { code, kind: kind.to_owned(), message: error.to_string(), details: None, retryable }
}

/// Why a call was not made that was to be in the log first.
fn not_recorded() -> CallError {
    CallError {
        code: CallErrorCode::Unavailable,
        kind: "NotRecorded".to_owned(),
        message: "the registry's log does not keep up, and the call was not made: try again later, under a new \
                  idempotencyKey where it had one"
            .to_owned(),
        details: None,
        retryable: true,
    }
}

/// Refuses where a name was used for another request.
fn same_request(call: InvocationId, asked: &Asked, request: &RequestKey) -> Result<(), Error> {
    match asked.request.as_ref().is_some_and(|before| before.asked == request.asked) {
        true => Ok(()),
        false => Err(Error::RequestReused { key: request.key.clone(), call }),
    }
}
