//! Calls of tools, as their providers and callers follow them.

use super::super::direct::{Writer, Written, put};
use super::super::reach::{asker, live};
use super::super::scalars::DateTime;
use super::super::types::invocation::{Invocation, is_shown};
use super::super::{Caller, Services, error};
use crate::access::{Action, Kind, Resource};
use crate::model::{InvocationId, NodeId};
use crate::proxy::{self, Deliveries, Delivery, Stop};
use crate::registry::refusal::Refusal;
use async_graphql::parser::types::SelectionSet;
use async_graphql::{Context, Object, Result, ScalarType, SimpleObject, Subscription as GraphQlSubscription};
use futures_util::future::ready;
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::Value;
use uuid::Uuid;

/// Calls of tools, as their providers and callers follow them.
#[derive(Default)]
pub struct CallSubscription;

/// Calls of tools, as their providers and callers follow them.
#[GraphQlSubscription]
impl CallSubscription {
    /// The provider's side: calls of this node's tools, each to be answered with completeInvocation. The node takes
    /// calls for as long as somebody listens; of several listeners each gets its turn. When the connection goes, the
    /// calls that it had are lost.
    async fn tool_calls(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node, which is registered.")] node_id: Uuid,
        #[graphql(desc = "How many calls this listener takes at once: 1 or more; as many as its tools when absent.")]
        max_in_flight: Option<i32>,
    ) -> Result<impl Stream<Item = ToolCall> + use<>> {
        listen(live(ctx)?, asker(ctx)?, node_id, max_in_flight)
    }

    /// Calls that this node was sent and that nobody waits for any more: it may stop working on those that it has.
    async fn tool_cancellations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The node, which is registered.")] node_id: Uuid,
    ) -> Result<impl Stream<Item = ToolCancellation> + use<>> {
        permit_listen(live(ctx)?, asker(ctx)?, NodeId(node_id))?;
        let stops = live(ctx)?.proxy.stops(NodeId(node_id)).map_err(error::proxy)?;
        let next = stream::unfold(stops, |mut stops| async move { Some((stops.recv().await?, stops)) });
        Ok(next.map(|Stop { call, reason }| ToolCancellation { invocation_id: call.0, reason }))
    }

    /// One call's life, or that of every call of an undertaking: as it is now, then at each step. That of one call ends
    /// with it.
    async fn invocation_updates(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The call; else correlationId is given.")] id: Option<Uuid>,
        #[graphql(desc = "The undertaking; else id is given.")] correlation_id: Option<String>,
    ) -> Result<impl Stream<Item = Invocation> + use<>> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let views = services.views.clone();
        let seen = match (id, correlation_id) {
            (Some(id), None) => {
                let principal = caller.actor.principal.clone();
                let absent = || error::proxy(proxy::Error::NotFound(InvocationId(id)));
                let now = services.proxy.seen(InvocationId(id), &principal);
                // Whether one may know of a call does not change while it is under way, but for further providers.
                if !now.is_some_and(|seen| is_shown(caller, &seen.invocation)) {
                    return Err(absent());
                }
                services.proxy.follow(InvocationId(id), principal).map_err(error::proxy)?.left_stream()
            }
            (None, Some(correlation_id)) => services.proxy.follow_all(correlation_id).right_stream(),
            _ => return Err(error::invalid("id", "or correlationId is given, and not both")),
        };
        let caller = caller.clone();
        Ok(seen.filter_map(move |seen| {
            let shown = is_shown(&caller, &seen.invocation);
            ready(shown.then(|| Invocation::new(caller.seen(&views.current()), seen)))
        }))
    }
}

/// The calls of a node.
pub(in crate::graphql) fn listen(
    services: &Services,
    caller: &Caller,
    node_id: Uuid,
    max_in_flight: Option<i32>,
) -> Result<impl Stream<Item = ToolCall> + Send + use<>> {
    permit_listen(services, caller, NodeId(node_id))?;
    let in_flight_max = match max_in_flight.map(u32::try_from) {
        None => None,
        Some(Ok(count)) if count > 0 => Some(count),
        Some(_) => return Err(error::invalid("maxInFlight", "is not 1 or more")),
    };
    let deliveries: Deliveries = services.proxy.listen(NodeId(node_id), in_flight_max).map_err(error::proxy)?;
    Ok(deliveries.map(ToolCall))
}

/// Refuses who may not have this node's calls.
fn permit_listen(services: &Services, caller: &Caller, node: NodeId) -> Result<()> {
    let resource = || Resource::of_node_id(&services.views.current(), node);
    caller.permit(Action::Listen, Kind::Node, resource, || error::refusal(&Refusal::NodeNotFound { node }))
}

/// A call that a provider is to answer.
pub struct ToolCall(Delivery);

impl ToolCall {
    fn id(&self) -> Uuid {
        self.0.call.id.of_attempt(self.0.attempt).0
    }

    fn version_found(&self) -> &str {
        self.0.call.found.as_ref().map_or("", |found| found.tool.key.version.as_str())
    }
}

/// A call that a provider is to answer.
#[Object]
impl ToolCall {
    /// What completeInvocation and progressInvocation call it. The invocation's own id for the first provider that is
    /// asked, another for each further one.
    async fn invocation_id(&self) -> Uuid {
        self.id()
    }
    /// The tool's name.
    async fn tool(&self) -> &str {
        self.0.call.asked.tool.as_str()
    }
    /// The tool's version.
    async fn version(&self) -> &str {
        self.version_found()
    }
    /// What it is given, checked against its input schema.
    async fn arguments(&self) -> &Value {
        &self.0.call.arguments
    }
    /// Who asked: a principal.
    async fn caller(&self) -> &str {
        &self.0.call.asked.caller
    }
    /// What the caller calls the whole undertaking; the invocation's id where it did not say.
    async fn correlation_id(&self) -> &str {
        &self.0.call.correlation_id
    }
    /// Nobody waits for an answer any longer than this.
    async fn deadline(&self) -> DateTime {
        DateTime(self.0.call.asked.deadline())
    }
    /// How many milliseconds the whole call may take.
    async fn timeout_ms(&self) -> u32 {
        self.0.call.asked.timeout_ms
    }
    /// Where the call stands in a trace, as W3C's traceparent; null where its caller follows none.
    async fn traceparent(&self) -> Option<String> {
        self.0.call.trace.map(|trace| trace.to_string())
    }
    /// Which attempt at the call this is, from 1.
    async fn attempt(&self) -> u32 {
        self.0.attempt
    }
}

impl Written for ToolCall {
    fn writer(field: &str, _: &SelectionSet) -> Option<Writer<Self>> {
        let write: fn(&Self, &mut Vec<u8>) = match field {
            "invocationId" => |call, out| put(out, call.id()),
            "tool" => |call, out| put(out, call.0.call.asked.tool.as_str()),
            "version" => |call, out| put(out, call.version_found()),
            "arguments" => |call, out| put(out, &*call.0.call.arguments),
            "caller" => |call, out| put(out, &call.0.call.asked.caller),
            "correlationId" => |call, out| put(out, &*call.0.call.correlation_id),
            "deadline" => |call, out| put(out, DateTime(call.0.call.asked.deadline()).to_value()),
            "timeoutMs" => |call, out| put(out, call.0.call.asked.timeout_ms),
            "traceparent" => |call, out| put(out, call.0.call.trace.map(|trace| trace.to_string())),
            "attempt" => |call, out| put(out, call.0.attempt),
            _ => return None,
        };
        Some(Box::new(write))
    }
}

/// A call that nobody waits for any more.
#[derive(SimpleObject)]
pub struct ToolCancellation {
    /// The call, as its ToolCall names it.
    invocation_id: Uuid,
    /// Why, in words.
    reason: String,
}
