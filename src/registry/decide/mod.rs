//! What is allowed, and the changes it makes: pure, one file a thing.
//!
//! Time comes in with the call, ids come in with the command. A decision is never half: either every
//! change it names happens, or it is a refusal and none does.

mod attest;
pub mod bus;
mod call;
mod lifetime;
pub mod port;
mod register;
pub mod token;

use super::command::Command;
use super::refusal::Refusal;
use super::state::State;
use crate::model::Change;
use crate::model::{Bus, BusId, DurableSubscriber, LeaseId, Node, NodeId, Time, Token};
use std::sync::Arc;

/// What a command does, and what its caller is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// In the order they are applied; empty where there was nothing to do.
    pub changes: Vec<Change>,
    /// What the caller is told.
    pub answer: Answer,
}

/// What a caller is told of a command that was not refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A registration.
    Registered(Registered),
    /// The node that the command was about.
    Node(NodeId),
    /// The node that was forgotten, as it last was.
    Deregistered(Arc<Node>),
    /// The leases that the command was about, in the order in which they were asked for.
    Leased(Vec<LeaseId>),
    /// Nothing was leased, and yet something was learnt: what was found in use is kept back a while.
    NotLeased(Refusal),
    /// The token that was made, or as it last was.
    Token(Arc<Token>),
    /// The bus that the command was about.
    Bus(BusId),
    /// The bus that was deleted, as it last was.
    BusDeleted(Arc<Bus>),
    /// The durable subscriber that the command was about.
    Subscriber(Arc<DurableSubscriber>),
    /// The keeper's own commands: how many nodes, offers and leases they touched.
    Kept(usize),
}

/// What came of a registration.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// The node.
    pub node: NodeId,
    /// Whether it was unknown until now.
    pub created: bool,
    /// Whether anything is now other than it was, the lifetime left aside.
    pub changed: bool,
    /// What the caller may want to know, in sentences.
    pub warnings: Vec<String>,
}

/// Decides a command: the changes it makes, or why it makes none.
pub fn decide(state: &State, now: Time, command: &Command) -> Result<Decision, Refusal> {
    match command {
        Command::Register(register) => register::decide(state, register),
        Command::Heartbeat(heartbeat) => lifetime::heartbeat(state, heartbeat),
        Command::Deregister { node, reason } => lifetime::deregister(state, *node, reason.as_deref()),
        Command::Attest(attest) => attest::decide(state, now, attest),
        Command::Allocate(allocate) => port::allocate(state, now, allocate),
        Command::Renew { lease, owner, ttl } => port::renew(state, *lease, owner, *ttl),
        Command::Release { lease, owner } => port::release(state, *lease, owner),
        Command::Rebind(rebind) => port::rebind(state, now, rebind),
        Command::Record(changes) => Ok(call::record(changes)),
        Command::AnswerLate { call, failed } => Ok(call::answer_late(state, now, *call, *failed)),
        Command::EndInterrupted(id) => Ok(call::end_interrupted(state, now, *id)),
        Command::ProcessesGone(processes) => Ok(port::processes_gone(state, processes)),
        Command::CreateToken(create) => token::create(state, now, create),
        Command::RevokeToken(id) => token::revoke(state, *id),
        Command::CreateBus { bus, terms } => bus::create(state, *bus, terms),
        Command::TurnBus(turn) => bus::turn(state, turn),
        Command::DeleteBus(bus) => bus::delete(state, *bus),
        Command::DefineTopic { bus, topic, terms } => bus::define(state, *bus, topic, terms),
        Command::AttachSubscriber(attach) => bus::attach(state, attach),
        Command::DetachSubscriber { bus, name } => bus::detach(state, *bus, name),
        Command::ExpireLapsed => Ok(lifetime::expire_lapsed(state, now)),
        Command::GrantGrace { seconds } => Ok(lifetime::grant_grace(state, now, *seconds)),
    }
}

fn known(state: &State, id: NodeId) -> Result<&Arc<Node>, Refusal> {
    state.node(id).ok_or(Refusal::NodeNotFound { node: id })
}

/// Refuses where the node's registration is frozen.
fn thawed(node: &Node) -> Result<(), Refusal> {
    match node.trust.lifecycle {
        crate::model::Lifecycle::Frozen => Err(Refusal::NodeFrozen { node: node.id, name: node.declared.name.clone() }),
        _ => Ok(()),
    }
}
