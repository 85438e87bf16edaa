//! Tools are called, and calls answered.

use super::super::reach::{asker, live};
use super::super::types::invocation::Invocation;
use super::super::types::invoke::{
    CompleteInvocationInput, InvocationRefInput, ProgressInvocationInput, ProxyInvokeBatchInput, ProxyInvokeInput,
};
use super::super::{Caller, Services, error};
use super::correlation_id;
use crate::model::nests_too_deep;
use crate::model::{InvocationId, InvocationStatus, JSON_DEPTH_MAX};
use crate::proxy::{Asking, Seen};
use crate::telemetry::trace::onward;
use async_graphql::{Context, Object, Result, SimpleObject};

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
        let calls = calls.into_iter().map(|(named, wanted)| Ok((asking(caller, named)?, wanted)));
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let seen = services.proxy.invoke_all(calls, parallel, stops_on_error).await;
        Ok(BatchInvocation::new(services, seen))
    }

    /// Take a call back: its provider is told, and what it still answers is discarded. A call that has ended stays as
    /// it is.
    async fn cancel_invocation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which call.")] input: InvocationRefInput,
    ) -> Result<Invocation> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let seen = services.proxy.cancel(input.id()).map_err(error::proxy)?;
        Ok(Invocation::new(services.views.current(), seen.shown_to(&caller.actor.principal)))
    }

    /// A provider gives a part of its answer. Where nobody waits for it any more, the answer's status says so.
    async fn progress_invocation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which call, and the part.")] input: ProgressInvocationInput,
    ) -> Result<Invocation> {
        let services = live(ctx)?;
        if nests_too_deep(&input.chunk) {
            return Err(error::invalid("chunk", format!("nests deeper than {JSON_DEPTH_MAX} levels")));
        }
        let seen = services.proxy.progress(InvocationId(input.invocation_id), input.chunk).map_err(error::proxy)?;
        Ok(Invocation::new(services.views.current(), seen.for_others()))
    }

    /// A provider answers: with a result, or with the tool's failure. What comes too late is discarded and recorded as
    /// late, and the status says how the call ended.
    async fn complete_invocation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which call, and its answer.")] input: Box<CompleteInvocationInput>,
    ) -> Result<Invocation> {
        complete(live(ctx)?, *input)
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
    let wanted = input.read("", services.proxy.rules().timeout_ms_max)?;
    if dry_run {
        let plan = services.proxy.plan(&asking, &wanted);
        return Ok(Invocation::planned(services.views.current(), plan));
    }
    let seen = services.proxy.invoke(asking, wanted).await.map_err(error::proxy)?;
    Ok(Invocation::new(services.views.current(), seen))
}

/// A provider answers.
pub(in crate::graphql) fn complete(services: &Services, input: CompleteInvocationInput) -> Result<Invocation> {
    let (id, answer) = input.read()?;
    let seen = services.proxy.complete(id, answer).map_err(error::proxy)?;
    Ok(Invocation::new(services.views.current(), seen.for_others()))
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
    fn new(services: &Services, seen: Vec<Seen>) -> Self {
        let count =
            |fits: fn(InvocationStatus) -> bool| seen.iter().filter(|seen| fits(seen.invocation.status)).count() as u32;
        let succeeded = count(|status| status == InvocationStatus::Succeeded);
        let failed = count(|status| status.is_final() && status != InvocationStatus::Succeeded);
        let view = services.views.current();
        let invocations = seen.into_iter().map(|seen| Invocation::new(view.clone(), seen)).collect();
        BatchInvocation { invocations, succeeded, failed }
    }
}

fn asking(caller: &Caller, given: Option<String>) -> Result<Asking> {
    let correlation_id = correlation_id(caller, given)?;
    Ok(Asking { actor: caller.actor.clone(), correlation_id, trace: onward(caller.trace) })
}
