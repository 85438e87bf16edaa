//! Calls of tools: the object, and which calls a list has.

mod written;

use super::super::error::{ErrorCode, earlier};
use super::super::limits::budget::List;
use super::super::paging::{Connection, Key, Page, PageArgs, total};
use super::super::reach::{asker, live};
use super::super::render::{rendered, rendered_enums};
use super::super::scalars::DateTime;
use super::super::{Caller, View};
use super::event::RegistryEvent;
use super::history;
use super::node::Node;
use super::tool::{Tool, ToolTransport};
use crate::access::Resource;
use crate::log::{Filter, Range};
use crate::model::{self, CallErrorCode, EventKind, InvocationId, NodeId, Sequence, Time};
use crate::proxy::{Plan, Proxy, Seen};
use async_graphql::{Context, Enum, InputObject, Object, Result};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// How many events of one call are shown.
const EVENTS_MAX: usize = 1_000;

/// Which of several providers gets a call.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::NodeSelection")]
pub enum NodeSelection {
    /// The one that has offered the tool the longest.
    First,
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest calls under way for what it takes, and with the least load by its own word.
    LeastLoaded,
    /// Any.
    Random,
    /// All of them. The result is a list with an object for each provider: nodeId, succeeded, result, error. The call
    /// succeeds when all do.
    All,
}

/// How far a call has come.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::InvocationStatus")]
pub enum InvocationStatus {
    /// Asked for, and not looked at yet.
    Pending,
    /// A provider is chosen, and has not been handed the call yet.
    Routed,
    /// A provider has been handed the call.
    Running,
    /// The tool answered.
    Succeeded,
    /// The tool failed, its answer was wrong, or its provider was lost.
    Failed,
    /// Nobody answered in time.
    TimedOut,
    /// Its caller took it back.
    Cancelled,
    /// It reached no provider.
    Rejected,
}

rendered_enums!(InvocationStatus, ErrorCode);

impl From<CallErrorCode> for ErrorCode {
    fn from(code: CallErrorCode) -> Self {
        match code {
            CallErrorCode::ToolNotFound => ErrorCode::ToolNotFound,
            CallErrorCode::ToolNoProvider => ErrorCode::ToolNoProvider,
            CallErrorCode::ToolUntrusted => ErrorCode::ToolUntrusted,
            CallErrorCode::ToolInvalidArguments => ErrorCode::ToolInvalidArguments,
            CallErrorCode::ToolInvalidResult => ErrorCode::ToolInvalidResult,
            CallErrorCode::ToolTimeout => ErrorCode::ToolTimeout,
            CallErrorCode::ToolFailed => ErrorCode::ToolFailed,
            CallErrorCode::ToolOverloaded => ErrorCode::ToolOverloaded,
            CallErrorCode::ToolCancelled => ErrorCode::ToolCancelled,
            CallErrorCode::Unavailable => ErrorCode::Unavailable,
        }
    }
}

/// Why a call did not succeed.
pub struct InvocationError(model::CallError);

/// Why a call did not succeed.
#[Object]
impl InvocationError {
    /// For programs.
    async fn code(&self) -> ErrorCode {
        self.0.code.into()
    }
    /// The tool's own error code where the code is TOOL_FAILED, else what sort of failure it is, such as ProviderLost.
    #[graphql(name = "type")]
    async fn kind(&self) -> &str {
        &self.0.kind
    }
    /// For people.
    async fn message(&self) -> &str {
        &self.0.message
    }
    /// What belongs to it: with TOOL_INVALID_ARGUMENTS and TOOL_INVALID_RESULT, violations with path, expected, got and
    /// message; null where there is nothing.
    async fn details(&self) -> Option<&Value> {
        self.0.details.as_ref()
    }
    /// Whether the same call may succeed later without anything being done twice.
    async fn retryable(&self) -> bool {
        self.0.retryable
    }
}

rendered!(InvocationError { code, kind as "type", message, details, retryable });

/// One provider's part in a call.
pub struct InvocationAttempt {
    view: View,
    attempt: model::Attempt,
}

/// One provider's part in a call.
#[Object]
impl InvocationAttempt {
    /// Counts up from 1 within the call.
    async fn number(&self) -> u32 {
        self.attempt.number
    }
    /// The provider; null where it is no longer registered.
    async fn node(&self) -> Option<Node> {
        Node::by_id(&self.view, self.attempt.node)
    }
    /// The provider's id.
    async fn node_id(&self) -> Uuid {
        self.attempt.node.0
    }
    /// When the call was sent its way.
    async fn started_at(&self) -> DateTime {
        DateTime(self.attempt.started_at)
    }
    /// When it ended; null while it has not.
    async fn ended_at(&self) -> Option<DateTime> {
        self.attempt.ended_at.map(DateTime)
    }
    /// How it ended; ROUTED or RUNNING while it has not.
    async fn outcome(&self) -> InvocationStatus {
        self.attempt.outcome.into()
    }
    /// Why it did not succeed; null where it did, or has not ended.
    async fn error(&self) -> Option<InvocationError> {
        self.attempt.error.clone().map(InvocationError)
    }
    /// When the provider answered after all, too late to count; null where it did not.
    async fn late_answer_at(&self) -> Option<DateTime> {
        self.attempt.late_answer_at.map(DateTime)
    }
}

rendered!(InvocationAttempt { number, node, node_id, started_at, ended_at, outcome, error, late_answer_at });

/// One call of a tool through the registry.
pub struct Invocation {
    view: View,
    seen: Seen,
    plan: Option<Box<Plan>>,
}

impl Invocation {
    /// A call, with the version of the registry that its tool and nodes are shown from.
    pub(in crate::graphql) fn new(view: View, seen: Seen) -> Self {
        Invocation { view, seen, plan: None }
    }

    /// A call that was not to be made.
    pub(in crate::graphql) fn planned(view: View, plan: Plan) -> Self {
        let seen = Seen::stored(plan.invocation.clone());
        Invocation { view, seen, plan: Some(Box::new(plan)) }
    }

    fn call(&self) -> &model::Invocation {
        &self.seen.invocation
    }

    fn version_found(&self) -> Option<&str> {
        let found = self.call().tool.as_ref().map(|tool| tool.version.as_str());
        found.or(self.call().asked.version.as_deref())
    }

    fn arguments_shown(&self) -> &Value {
        self.seen.whole.as_ref().map_or(&*self.call().asked.arguments, |whole| &*whole.arguments)
    }

    fn result_shown(&self) -> Option<&Value> {
        let whole = self.seen.whole.as_ref().and_then(|whole| whole.result.as_ref());
        whole.or(self.call().result.as_ref()).map(|result| &**result)
    }

    fn took_ms(&self) -> Option<f64> {
        let micros = self.call().completed_at?.micros_since(self.call().asked.requested_at);
        Some(micros as f64 / 1_000.0)
    }
}

/// One call of a tool through the registry. Its caller sees arguments and result as they were for as long as memory has
/// them; everybody else, and the registry's history, without what the tool's schema keeps secret and cut to
/// calls.record_bytes_max.
#[Object]
impl Invocation {
    /// The call's id.
    async fn id(&self) -> Uuid {
        self.call().id.0
    }
    /// The tool that was called; null where the call reached no provider, or the tool is gone.
    async fn tool(&self) -> Option<Tool> {
        Tool::by_key(&self.view, self.call().tool.as_ref()?)
    }
    /// The name that was asked for.
    async fn tool_name(&self) -> &str {
        self.call().asked.tool.as_str()
    }
    /// The version that was found, else what was asked for; null where neither is.
    async fn tool_version(&self) -> Option<&str> {
        self.version_found()
    }
    /// The provider that has, or had, the call: of several the last; null where there was none, or it is gone.
    async fn provider(&self) -> Option<Node> {
        let planned = self.plan.as_ref().and_then(|plan| plan.provider.as_ref()).map(|offer| offer.node);
        Node::by_id(&self.view, planned.or_else(|| self.call().provider())?)
    }
    /// Who asked: a principal.
    async fn caller(&self) -> &str {
        &self.call().asked.caller
    }
    /// What the caller calls the whole undertaking; the call's id where it did not say.
    async fn correlation_id(&self) -> &str {
        &self.call().correlation_id
    }
    /// How far it has come.
    async fn status(&self) -> InvocationStatus {
        self.call().status.into()
    }
    /// What the tool was given.
    async fn arguments(&self) -> &Value {
        self.arguments_shown()
    }
    /// What the tool answered; null where it has not, or failed.
    async fn result(&self) -> Option<&Value> {
        self.result_shown()
    }
    /// Why it did not succeed; null where it did, or has not ended.
    async fn error(&self) -> Option<InvocationError> {
        self.call().error.clone().map(InvocationError)
    }
    /// Parts of the answer that came before it, in order; empty once memory has forgotten them.
    async fn chunks(&self) -> Vec<&Value> {
        self.seen.chunks.iter().map(|chunk| &**chunk).collect()
    }
    /// Each provider's part, the first first.
    async fn attempts(&self) -> List<InvocationAttempt> {
        let attempts = self.call().attempts.iter().cloned();
        attempts.map(|attempt| InvocationAttempt { view: self.view.clone(), attempt }).collect()
    }
    /// What the caller may want to know, in sentences.
    async fn warnings(&self) -> &[String] {
        &self.call().warnings
    }
    /// When it was asked for.
    async fn requested_at(&self) -> DateTime {
        DateTime(self.call().asked.requested_at)
    }
    /// When it ended; null while it has not.
    async fn completed_at(&self) -> Option<DateTime> {
        self.call().completed_at.map(DateTime)
    }
    /// How many milliseconds it took; null while it has not ended.
    async fn duration_ms(&self) -> Option<f64> {
        self.took_ms()
    }
    /// How many milliseconds it may take.
    async fn timeout_ms(&self) -> u32 {
        self.call().asked.timeout_ms
    }
    /// Nobody waits for an answer any longer than this.
    async fn deadline(&self) -> DateTime {
        DateTime(self.call().asked.deadline())
    }
    /// True: it was only asked who would get the call, and nobody did.
    async fn dry_run(&self) -> bool {
        self.plan.is_some()
    }
    /// Who would get the call, and why; null unless it is a dry run.
    async fn plan(&self) -> Option<InvocationPlan<'_>> {
        self.plan.as_ref().map(|plan| InvocationPlan { view: &self.view, plan })
    }
    /// The caller's name for the request; null where it gave none.
    async fn idempotency_key(&self) -> Option<&str> {
        self.call().asked.request.as_ref().map(|request| request.key.as_str())
    }
    /// Where the provider keeps its trace of the call, in its own words; null where it did not say.
    async fn trace_log_id(&self) -> Option<&str> {
        self.call().trace_log_id.as_deref()
    }
    /// Where the provider's log of the call can be read; null where it did not say.
    async fn execution_log_url(&self) -> Option<&str> {
        self.call().execution_log_url.as_deref()
    }
    /// What the registry's history has of it, oldest first: at most 1,000 events, and none of what is no longer kept.
    async fn events(&self, ctx: &Context<'_>) -> Result<List<RegistryEvent>> {
        let services = live(ctx)?;
        // What happened just now is about to be written.
        services.proxy.flush().await;
        let views = &services.views;
        let filter = Filter {
            kinds: EventKind::OF_CALLS.to_vec(),
            correlation_id: Some(self.call().correlation_id.to_string()),
            tool: Some(self.call().asked.tool.to_string()),
            since: Some(self.call().asked.requested_at),
            ..Filter::default()
        };
        let (upto, id) = (views.current().sequence, self.call().id);
        let found = history::blocking(views, move |views| {
            let (mut after, mut of_call) = (views.log().pruned_upto()?, Vec::new());
            // The undertaking may have many calls.
            loop {
                let page = Range { after, upto, backward: false, limit: EVENTS_MAX };
                let found = views.log().find(&filter, page)?;
                let (is_last, last) = (found.len() < EVENTS_MAX, found.last().map(|record| record.sequence));
                of_call.extend(found.into_iter().filter(|record| record.change.call() == Some(id)));
                after = last.unwrap_or(upto);
                if is_last || of_call.len() >= EVENTS_MAX {
                    return Ok(of_call);
                }
            }
        });
        let events = found.await?.into_iter();
        let caller = asker(ctx)?;
        Ok(events.filter_map(|record| RegistryEvent::of(Arc::new(record), views, caller)).collect())
    }
}

rendered!(Invocation {
    id,
    tool,
    tool_name,
    tool_version,
    provider,
    caller,
    correlation_id,
    status,
    arguments,
    result,
    error,
    chunks,
    attempts,
    warnings,
    requested_at,
    completed_at,
    duration_ms,
    timeout_ms,
    deadline,
    dry_run,
    idempotency_key,
    trace_log_id,
    execution_log_url,
});

/// Who would get a call, and why.
pub struct InvocationPlan<'a> {
    view: &'a View,
    plan: &'a Plan,
}

/// Who would get a call, and why.
#[Object]
impl InvocationPlan<'_> {
    /// The provider; null where nobody would.
    async fn provider(&self) -> Option<Node> {
        Node::by_id(self.view, self.plan.provider.as_ref()?.node)
    }
    /// How the call would reach it; null where nobody would get it.
    async fn transport(&self) -> Option<ToolTransport> {
        Some(self.plan.provider.as_ref()?.transport.into())
    }
    /// Its address; null where the transport needs none.
    async fn endpoint(&self) -> Option<&str> {
        self.plan.provider.as_ref()?.endpoint.as_deref()
    }
    /// Why it would be this one, or nobody.
    async fn reason(&self) -> &str {
        &self.plan.reason
    }
    /// How many milliseconds the call could take.
    async fn timeout_ms(&self) -> u32 {
        self.plan.invocation.asked.timeout_ms
    }
    /// What would be sent.
    async fn arguments(&self) -> &Value {
        &self.plan.arguments
    }
    /// Everybody who offers the tool, the earliest first.
    async fn candidates(&self) -> List<InvocationCandidate> {
        let candidates = self.plan.candidates.iter().filter_map(|candidate| {
            let node = Node::by_id(self.view, candidate.node)?;
            Some(InvocationCandidate { node, candidate: candidate.clone() })
        });
        candidates.collect()
    }
}

/// A provider that was looked at for a call.
pub struct InvocationCandidate {
    node: Node,
    candidate: crate::proxy::Candidate,
}

/// A provider that was looked at for a call.
#[Object]
impl InvocationCandidate {
    /// The provider.
    async fn node(&self) -> &Node {
        &self.node
    }
    /// Whether it could take the call.
    async fn eligible(&self) -> bool {
        self.candidate.unfit.is_none()
    }
    /// Why not, or that it could.
    async fn reason(&self) -> String {
        self.candidate.unfit.as_ref().map_or_else(|| "it can take the call".to_owned(), ToString::to_string)
    }
    /// How many calls of the tool it has under way.
    async fn in_flight(&self) -> u32 {
        self.candidate.in_flight
    }
}

rendered!(InvocationCandidate { node, eligible, reason, in_flight });

/// Which calls. Absent fields let everything through; those that are given must all hold.
#[derive(InputObject, Default, Clone)]
pub struct InvocationFilter {
    /// Of tools of this name, in any version.
    tool: Option<String>,
    /// That this node had a part in.
    node_id: Option<Uuid>,
    /// That have come so far.
    status: Option<InvocationStatus>,
    /// Of this undertaking.
    correlation_id: Option<String>,
    /// That this principal asked for.
    caller: Option<String>,
    /// Asked for at this instant or later.
    since: Option<DateTime>,
}

impl InvocationFilter {
    fn matches(&self, call: &model::Invocation) -> bool {
        let asked = &call.asked;
        self.tool.as_ref().is_none_or(|tool| asked.tool.as_str() == tool)
            && self.node_id.is_none_or(|node| call.attempts.iter().any(|attempt| attempt.node == NodeId(node)))
            && self.status.is_none_or(|status| call.status == status.into())
            && self.correlation_id.as_ref().is_none_or(|id| *call.correlation_id == **id)
            && self.caller.as_ref().is_none_or(|caller| asked.caller == *caller)
            && self.since.is_none_or(|since| asked.requested_at >= since.0)
    }
}

type Latest = (Reverse<Time>, InvocationId);

impl Key for Latest {
    const TAG: char = 'i';
    fn write(&self) -> String {
        format!("{}\n{}", self.0.0.as_micros(), self.1)
    }
    fn read(text: &str) -> Option<Self> {
        let (time, id) = text.split_once('\n')?;
        Some((Reverse(Time::from_micros(time.parse().ok()?)), InvocationId(id.parse().ok()?)))
    }
}

/// A page of the calls that match, the latest first. Of an earlier version only what it has; else, with a proxy, as they
/// are now.
pub(in crate::graphql) fn list(
    view: &View,
    proxy: Option<&Proxy>,
    caller: &Caller,
    filter: InvocationFilter,
    args: &PageArgs,
) -> Result<Connection<Invocation>> {
    let page: Page<Latest> = args.page()?;
    let (live, state) = proxy.map(Proxy::known).unzip();
    let live = live.unwrap_or_default();
    let calls = state.as_ref().map_or(&view.calls, |state| &state.calls);
    let known: BTreeSet<InvocationId> = live.iter().map(|seen| seen.invocation.id).collect();
    let stored = calls.all().filter(|call| !known.contains(&call.id));
    let stored = stored.map(|call| Seen::stored(call.clone()));
    let matching = live.into_iter().chain(stored).filter(|seen| filter.matches(&seen.invocation));
    let matching = matching.filter(|seen| is_shown(caller, &seen.invocation));
    let in_order: BTreeMap<Latest, Seen> =
        matching.map(|seen| ((Reverse(seen.invocation.asked.requested_at), seen.invocation.id), seen)).collect();
    let count = in_order.len();
    let total = total(move || count);
    let Some(bounds) = page.bounds() else { return Ok(page.take(std::iter::empty(), total)) };
    let within = in_order.range(bounds);
    Ok(page.take(within.map(|(key, seen)| (*key, Invocation::new(view.clone(), seen.clone()))), total))
}

/// The call with this id as its asker may see it.
pub(in crate::graphql) fn find(
    ctx: &Context<'_>,
    view: &View,
    is_current: bool,
    id: InvocationId,
) -> Result<Option<Invocation>> {
    let seen = if is_current {
        live(ctx)?.proxy.seen(id, &asker(ctx)?.actor.principal)
    } else {
        let stored = view.calls.attempt(id).map(|(call, _)| call.clone());
        stored.map(Seen::stored)
    };
    let caller = asker(ctx)?;
    let seen = seen.filter(|seen| is_shown(caller, &seen.invocation));
    Ok(seen.map(|seen| Invocation::new(view.clone(), seen)))
}

/// Whether a call may be known to who asks: by default to its caller, its providers and admins.
pub(in crate::graphql) fn is_shown(caller: &Caller, call: &model::Invocation) -> bool {
    let visitor = &caller.visitor;
    visitor.reads_all_calls() || visitor.reads(&Resource::of_invocation(call))
}

/// The call that a change is about, as the version that reflects it has it.
pub(super) async fn of_change(ctx: &Context<'_>, place: Sequence, id: InvocationId) -> Result<Option<Invocation>> {
    let view = live(ctx)?.views.at(place).await.map_err(earlier)?;
    let caller = asker(ctx)?;
    let stored = view.calls.get(id).filter(|call| is_shown(caller, call)).cloned();
    Ok(stored.map(|invocation| Invocation::new(caller.seen(&view), Seen::stored(invocation))))
}
