//! Tools are called, and calls answered.

use super::super::reach::{asker, live};
use super::super::types::invocation::{Invocation, is_shown};
use super::super::types::invoke::{
    CompleteInvocationInput, InvocationRefInput, ProgressInvocationInput, ProxyInvokeBatchInput, ProxyInvokeInput,
};
use super::super::{Caller, Services, error};
use super::correlation_id;
use crate::access::{Action, Kind, Resource};
use crate::model::nests_too_deep;
use crate::model::{InvocationId, InvocationStatus, JSON_DEPTH_MAX};
use crate::proxy::{self, Asking, Seen, Wanted};
use crate::telemetry::trace::onward;
use async_graphql::{Context, Object, Result, SimpleObject};
use serde_json::json;

/// Tools are called, and calls answered.
#[derive(Default)]
pub struct CallMutation;

/// Tools are called, and calls answered.
#[Object]
impl CallMutation {
    /// Call a tool by name and wait for its answer, or with wait: false only for its acceptance. A tool that fails, does
    /// not answer in time or cannot be reached is no refused request: status and error of the answer say so.
    async fn proxy_invoke(
        &self,
        ctx: &Context<'_>,
        // Boxed, or every mutation would carry the room of the largest input about.
        #[graphql(desc = "Which tool, with what arguments.")] input: Box<ProxyInvokeInput>,
    ) -> Result<Invocation> {
        invoke(live(ctx)?, asker(ctx)?, input).await
    }

    /// Call several tools, some at once; the answers are in the order of the calls.
    async fn proxy_invoke_batch(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The calls.")] input: ProxyInvokeBatchInput,
    ) -> Result<BatchInvocation> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let (calls, parallel, stops_on_error) = input.read(services.proxy.rules().timeout_ms_max)?;
        let calls = calls.into_iter().map(|(named, mut wanted)| {
            permit_invoke(services, caller, &mut wanted)?;
            Ok((asking(caller, named)?, wanted))
        });
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let seen = services.proxy.invoke_all(calls, parallel, stops_on_error).await;
        Ok(BatchInvocation::new(services, caller, seen))
    }

    /// Take a call back: its provider is told, and what it still answers is discarded. A call that has ended stays as
    /// it is.
    async fn cancel_invocation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which call.")] input: InvocationRefInput,
    ) -> Result<Invocation> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        permit_cancel(services, caller, input.id())?;
        let seen = services.proxy.cancel(input.id()).map_err(error::proxy)?;
        let view = caller.seen(&services.views.current());
        Ok(Invocation::new(view, seen.shown_to(&caller.actor.principal)))
    }

    /// A provider gives a part of its answer. Where nobody waits for it any more, the answer's status says so.
    async fn progress_invocation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which call, and the part.")] input: ProgressInvocationInput,
    ) -> Result<Invocation> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        permit_complete(services, caller, InvocationId(input.invocation_id))?;
        if nests_too_deep(&input.chunk) {
            return Err(error::invalid("chunk", format!("nests deeper than {JSON_DEPTH_MAX} levels")));
        }
        let seen = services.proxy.progress(InvocationId(input.invocation_id), input.chunk).map_err(error::proxy)?;
        Ok(Invocation::new(caller.seen(&services.views.current()), seen.for_others()))
    }

    /// A provider answers: with a result, or with the tool's failure. What comes too late is discarded and recorded as
    /// late, and the status says how the call ended.
    async fn complete_invocation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which call, and its answer.")] input: Box<CompleteInvocationInput>,
    ) -> Result<Invocation> {
        complete(live(ctx)?, asker(ctx)?, *input).await
    }
}

/// Calls a tool.
pub(in crate::graphql) async fn invoke(
    services: &Services,
    caller: &Caller,
    mut input: Box<ProxyInvokeInput>,
) -> Result<Invocation> {
    let asking = asking(caller, input.correlation_id.take())?;
    let dry_run = input.dry_run.unwrap_or(false);
    let mut wanted = input.read("", services.proxy.rules().timeout_ms_max)?;
    permit_invoke(services, caller, &mut wanted)?;
    if dry_run {
        let plan = services.proxy.plan(&asking, &wanted);
        return Ok(Invocation::planned(caller.seen(&services.views.current()), plan));
    }
    let seen = services.proxy.invoke(asking, wanted).await.map_err(error::proxy)?;
    Ok(Invocation::new(caller.seen(&services.views.current()), seen))
}

/// Refuses who may not call this tool. To who may not even know of it, it is not there: its call is turned away as any
/// other's of a tool that nobody offers.
fn permit_invoke(services: &Services, caller: &Caller, wanted: &mut Wanted) -> Result<()> {
    let visitor = &caller.visitor;
    if visitor.may_all(Action::Invoke, Kind::Tool) && visitor.reads_all() {
        return Ok(());
    }
    let view = services.views.current();
    let tool = view.tool_wanted(&wanted.tool, wanted.version.as_ref(), |_| true);
    let resource = || tool.map_or_else(|| Resource::of_unknown_tool(&wanted.tool), |tool| Resource::of_tool(tool));
    if !visitor.reads(&resource()) {
        wanted.unknown = true;
        return Ok(());
    }
    let absent = || error::refuse(error::ErrorCode::ToolNotFound, "nobody offers this tool", json!({}));
    caller.permit(Action::Invoke, Kind::Tool, resource, absent)
}

/// Refuses who may not take this call back.
fn permit_cancel(services: &Services, caller: &Caller, id: InvocationId) -> Result<()> {
    if caller.visitor.may_all(Action::Cancel, Kind::Invocation) {
        return Ok(());
    }
    let absent = || error::proxy(proxy::Error::NotFound(id));
    let seen = services.proxy.seen(id, &caller.actor.principal).ok_or_else(absent)?;
    caller.permit(Action::Cancel, Kind::Invocation, || Resource::of_invocation(&seen.invocation), absent)
}

/// Refuses who is not the provider that was handed this call.
fn permit_complete(services: &Services, caller: &Caller, id: InvocationId) -> Result<()> {
    if caller.visitor.may_all(Action::Complete, Kind::Node) {
        return Ok(());
    }
    let absent = || error::proxy(proxy::Error::NotFound(id));
    let node = services.proxy.provider_of(id).ok_or_else(absent)?;
    // Of a call that is neither one's own nor for oneself nobody is to know.
    let seen = services.proxy.seen(id, &caller.actor.principal).ok_or_else(absent)?;
    let resource = || Resource::of_node_id(&services.views.current(), node);
    let permitted = caller.permit(Action::Complete, Kind::Node, resource, absent);
    permitted.map_err(|denied| if is_shown(caller, &seen.invocation) { denied } else { absent() })
}

/// A provider answers.
pub(in crate::graphql) async fn complete(
    services: &Services,
    caller: &Caller,
    input: CompleteInvocationInput,
) -> Result<Invocation> {
    let (id, answer) = input.read()?;
    permit_complete(services, caller, id)?;
    let seen = services.proxy.complete(id, answer).await.map_err(error::proxy)?;
    Ok(Invocation::new(caller.seen(&services.views.current()), seen.for_others()))
}

/// What came of several calls.
#[derive(SimpleObject)]
pub struct BatchInvocation {
    /// Each call, in the order in which they were asked for.
    invocations: Vec<Invocation>,
    /// How many succeeded.
    succeeded: u32,
    /// How many ended otherwise.
    failed: u32,
}

impl BatchInvocation {
    fn new(services: &Services, caller: &Caller, seen: Vec<Seen>) -> Self {
        let count =
            |fits: fn(InvocationStatus) -> bool| seen.iter().filter(|seen| fits(seen.invocation.status)).count() as u32;
        let succeeded = count(|status| status == InvocationStatus::Succeeded);
        let failed = count(|status| status.is_final() && status != InvocationStatus::Succeeded);
        let view = caller.seen(&services.views.current());
        let invocations = seen.into_iter().map(|seen| Invocation::new(view.clone(), seen)).collect();
        BatchInvocation { invocations, succeeded, failed }
    }
}

fn asking(caller: &Caller, given: Option<String>) -> Result<Asking> {
    let correlation_id = correlation_id(caller, given)?;
    Ok(Asking { actor: caller.actor.clone(), correlation_id, trace: onward(caller.trace) })
}
