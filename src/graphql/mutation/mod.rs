//! Commands as mutations: read the input, submit, answer from the first version that reflects it.

mod access;
pub(super) mod buses;
pub(super) mod calls;
mod ports;

use super::error;
use super::reach::{asker, live};
use super::types::node::Node;
use super::types::register::{DeregisterInput, HeartbeatInput, RegisterInput, Registration};
use super::types::trust::AttestInput;
use super::{Caller, View};
use crate::access::{Action, Kind, Resource};
use crate::model::{NodeId, Sequence};
use crate::registry::command::{Command, Register, Request};
use crate::registry::decide::Answer;
use crate::registry::engine::Outcome;
use crate::registry::refusal::Refusal;
use async_graphql::{Context, MergedObject, Object, Result};
use uuid::Uuid;

/// Everything that can be changed. Each change is durable before it is answered.
#[derive(MergedObject, Default)]
pub struct Mutation(
    RegistrationMutation,
    ports::PortMutation,
    calls::CallMutation,
    access::AccessMutation,
    buses::BusMutation,
);

/// The longest correlation id, in bytes.
const CORRELATION_ID_LEN_MAX: usize = 255;

/// Nodes come, stay, are judged and go.
#[derive(Default)]
pub struct RegistrationMutation;

/// Nodes come, stay, are judged and go.
#[Object]
impl RegistrationMutation {
    /// Register a node with its contract, tools and the places it serves in one step; again with the same id or name
    /// to update it. All of it happens, or none.
    async fn register(
        &self,
        ctx: &Context<'_>,
        // Boxed, or every mutation would carry the room of the largest input about.
        #[graphql(desc = "What the node says of itself.")] mut input: Box<RegisterInput>,
    ) -> Result<Registration> {
        let services = live(ctx)?;
        let caller = asker(ctx)?;
        let correlation_id = input.correlation_id.take();
        let view = services.views.current();
        // Whoever is bound to a node speaks of that one.
        input.id = input.id.or(caller.visitor.bound_to().map(|node| node.0));
        // Ids are drawn here, at the door: deciding is a function of what it is given.
        #[expect(clippy::disallowed_methods, reason = "the one place where node ids are drawn")]
        let mut register = input.read(Uuid::new_v4(), &caller.actor.principal, &services.bounds, &view)?;
        permit_register(caller, &view, &mut register)?;
        let outcome = submit(ctx, Command::Register(Box::new(register)), correlation_id).await?;
        match outcome.answer {
            Answer::Registered(registered) => {
                let Node { view, node } = as_of(ctx, registered.node, outcome.view, outcome.first).await?;
                Ok(Registration { view, node, registered })
            }
            _ => Err(unexpected()),
        }
    }

    /// A live node says that it still is. One whose registration lapsed is ONLINE again.
    async fn heartbeat(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which node, and for how long.")] mut input: HeartbeatInput,
    ) -> Result<Node> {
        let services = live(ctx)?;
        let correlation_id = input.correlation_id.take();
        let load = input.load;
        if load.is_some_and(|load| !(0.0..=1.0).contains(&load)) {
            return Err(error::invalid("load", "is not between 0 and 1"));
        }
        let heartbeat = input.read(&services.bounds)?;
        let id = heartbeat.node;
        permit(ctx, Action::Heartbeat, id)?;
        let heard = node(ctx, submit(ctx, Command::Heartbeat(heartbeat), correlation_id).await?).await?;
        if let Some(load) = load {
            services.proxy.report_load(id, load);
        }
        Ok(heard)
    }

    /// Forget a node: its tools go with it, and its contract where nobody else keeps it. Answers the node as it last
    /// was.
    async fn deregister(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which node, and why.")] mut input: DeregisterInput,
    ) -> Result<Node> {
        let correlation_id = input.correlation_id.take();
        let node = NodeId(input.node_id);
        let reason = input.reason()?;
        permit(ctx, Action::Deregister, node)?;
        let outcome = submit(ctx, Command::Deregister { node, reason }, correlation_id).await?;
        match outcome.answer {
            Answer::Deregistered(node) => {
                let services = live(ctx)?;
                let before = outcome.first.map_or(Sequence::ZERO, Sequence::previous);
                let view = services.views.at(before).await.map_err(error::earlier)?;
                Ok(Node { view: asker(ctx)?.seen(&view), node })
            }
            _ => Err(unexpected()),
        }
    }

    /// A validator's word on a node: how far it trusts it, and how settled the registration is.
    async fn attest(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who says what of which node.")] mut input: AttestInput,
    ) -> Result<Node> {
        let correlation_id = input.correlation_id.take();
        permit(ctx, Action::Attest, NodeId(input.node_id))?;
        let mut attest = input.read(&live(ctx)?.views.current())?;
        attest.overrules_key = asker(ctx)?.visitor.may(Action::Administer, &Resource::Registry);
        node(ctx, submit(ctx, Command::Attest(attest), correlation_id).await?).await
    }
}

pub(super) async fn submit(ctx: &Context<'_>, command: Command, correlation_id: Option<String>) -> Result<Outcome> {
    let (services, caller) = (live(ctx)?, asker(ctx)?);
    let correlation_id = self::correlation_id(caller, correlation_id)?;
    let request = Request { command, actor: caller.actor.clone(), correlation_id };
    services.handle.submit(request).await.map_err(error::engine)
}

/// What the caller calls the undertaking: in the request, else by its transport.
fn correlation_id(caller: &Caller, given: Option<String>) -> Result<Option<String>> {
    let correlation_id = given.or_else(|| caller.correlation_id.clone());
    match &correlation_id {
        Some(id) if id.is_empty() || id.len() > CORRELATION_ID_LEN_MAX => {
            let reason = format!("has {} bytes; it has 1 to {CORRELATION_ID_LEN_MAX}", id.len());
            Err(error::invalid("correlationId", reason))
        }
        _ => Ok(correlation_id),
    }
}

async fn node(ctx: &Context<'_>, outcome: Outcome) -> Result<Node> {
    match outcome.answer {
        Answer::Node(id) => as_of(ctx, id, outcome.view, outcome.first).await,
        _ => Err(unexpected()),
    }
}

/// The node as its command left it: in the version after the batch, or, where a later command of the same batch took
/// it away, in the version after its own.
async fn as_of(ctx: &Context<'_>, id: NodeId, view: View, first: Option<Sequence>) -> Result<Node> {
    let caller = asker(ctx)?;
    // Whoever may act on a node is shown it, even where it may see little else.
    let shown = |view: &View| view.node(id).map(|node| Node { view: caller.seen(view), node: node.clone() });
    if let Some(node) = shown(&view) {
        return Ok(node);
    }
    // A command that changed nothing saw the node as it was before the batch's end: it is gone since.
    let Some(first) = first else { return Err(error::refusal(&Refusal::NodeNotFound { node: id })) };
    let view = live(ctx)?.views.at(first).await.map_err(error::earlier)?;
    shown(&view).ok_or_else(unexpected)
}

/// Refuses who may not do this with a node.
fn permit(ctx: &Context<'_>, action: Action, id: NodeId) -> Result<()> {
    let (services, caller) = (live(ctx)?, asker(ctx)?);
    let resource = || Resource::of_node_id(&services.views.current(), id);
    caller.permit(action, Kind::Node, resource, || error::refusal(&Refusal::NodeNotFound { node: id }))
}

/// Refuses who may not register this node. Where that depends on the node, the command is made to mean just the one that
/// was looked at: whoever may act for one node alone registers that one.
fn permit_register(caller: &Caller, view: &View, register: &mut Register) -> Result<()> {
    let visitor = &caller.visitor;
    register.overrules_key = visitor.may(Action::Administer, &Resource::Registry);
    if visitor.may_all(Action::Register, Kind::Node) {
        return Ok(());
    }
    let document = register.contract.as_ref();
    let in_document = document.and_then(|document| document.node_id);
    let name = register.name.as_ref().or(document.map(|document| &document.node_name)).cloned();
    let known = match register.id {
        Some(id) => view.node(id),
        None => {
            let by_document = in_document.and_then(|id| view.node(id));
            by_document.or_else(|| view.node_by_name(name.as_ref()?.as_str()))
        }
    };
    let id = known.map(|node| node.id).or(register.id).or(in_document).unwrap_or(register.fresh_id);
    let resource = || match known {
        Some(node) => Resource::of_node(node),
        None => Resource::of_unknown_node(id, name.as_ref()),
    };
    caller.permit(Action::Register, Kind::Node, resource, || error::refusal(&Refusal::NodeNotFound { node: id }))?;
    register.id = Some(id);
    Ok(())
}

/// The registry answered another command than was sent: a defect.
pub(super) fn unexpected() -> async_graphql::Error {
    error::internal(&std::io::Error::other("a command got the answer of another kind of command"))
}
