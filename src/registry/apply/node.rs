//! Nodes, and the indexes that find them.

use super::{Place, contract, tool};
use crate::model::{Declared, Node, NodeId, NodeStatus, Time, Trust, Ttl};
use crate::registry::state::{AgentLinks, Lapsing, State};
use crate::registry::words::Texts;
use std::sync::Arc;

pub(super) fn registered(
    state: &mut State,
    place: Place,
    id: NodeId,
    declared: &Arc<Declared>,
    status: NodeStatus,
    ttl: Option<Ttl>,
) {
    let mut node = Node {
        id,
        declared: declared.clone(),
        status,
        registered_at: place.time,
        last_seen_at: None,
        ttl,
        expires_at: None,
        grace_until: None,
        trust: Trust::default(),
        tools: Vec::new(),
    };
    if status.is_live() {
        see(&mut node, place.time);
    }
    put(state, node);
}

/// A live instance was heard of: its lifetime starts anew.
pub(super) fn see(node: &mut Node, now: Time) {
    node.last_seen_at = Some(now);
    node.expires_at = node.ttl.map(|ttl| ttl.deadline(now));
    node.grace_until = None;
}

pub(super) fn updated(state: &mut State, id: NodeId, update: impl FnOnce(&mut Node)) {
    let Some(known) = state.nodes.get(&id) else {
        debug_assert!(false, "a change of node {id}, which is not registered");
        return;
    };
    let mut node = Node::clone(known);
    update(&mut node);
    put(state, node);
}

pub(super) fn deregistered(state: &mut State, id: NodeId) {
    let Some(node) = state.nodes.get(&id).cloned() else {
        debug_assert!(false, "a change of node {id}, which is not registered");
        return;
    };
    for key in &node.tools {
        tool::withdraw(state, id, key);
    }
    contract::moved(state, id, node.declared.contract, None);
    move_life(state, Some(Life::of(&node)), None);
    unindex_declared(state, id, &node.declared);
    state.nodes.remove(&id);
    state.calls.forget_node(id);
}

/// Puts a node in the place of what was known of it.
pub(super) fn put(state: &mut State, node: Node) {
    let id = node.id;
    let known = state.nodes.get(&id).cloned();
    move_life(state, known.as_deref().map(Life::of), Some(Life::of(&node)));
    match &known {
        Some(known) if Arc::ptr_eq(&known.declared, &node.declared) => {}
        known => {
            let before = known.as_ref().map(|known| &known.declared);
            contract::moved(state, id, before.and_then(|before| before.contract), node.declared.contract);
            if let Some(before) = before {
                unindex_declared(state, id, before);
            }
            index_declared(state, id, &node.declared);
        }
    }
    state.nodes.insert(id, Arc::new(node));
}

/// What the indexes of a node's life are made of.
struct Life {
    registered: (Time, NodeId),
    last_seen: (Option<Time>, NodeId),
    deadline: Option<(Time, Lapsing)>,
    status: NodeStatus,
}

impl Life {
    fn of(node: &Node) -> Self {
        Life {
            registered: (node.registered_at, node.id),
            last_seen: (node.last_seen_at, node.id),
            deadline: node.deadline().map(|deadline| (deadline, Lapsing::Node(node.id))),
            status: node.status,
        }
    }
}

/// Moves a node from one place of the indexes to another; what stays is not touched, since each touch copies.
fn move_life(state: &mut State, from: Option<Life>, to: Option<Life>) {
    let same = |part: fn(&Life, &Life) -> bool| from.as_ref().zip(to.as_ref()).is_some_and(|(a, b)| part(a, b));
    let (registered, last_seen) = (same(|a, b| a.registered == b.registered), same(|a, b| a.last_seen == b.last_seen));
    let (deadline, status) = (same(|a, b| a.deadline == b.deadline), same(|a, b| a.status == b.status));
    if let Some(from) = from {
        if !registered {
            state.nodes_by_registration.remove(&from.registered);
        }
        if !last_seen {
            state.nodes_by_last_seen.remove(&from.last_seen);
        }
        if let Some(lapsing) = from.deadline.filter(|_| !deadline) {
            state.deadlines.remove(&lapsing);
        }
        state.status_counts[from.status as usize] -= usize::from(!status);
    }
    if let Some(to) = to {
        if !registered {
            state.nodes_by_registration.insert(to.registered);
        }
        if !last_seen {
            state.nodes_by_last_seen.insert(to.last_seen);
        }
        if let Some(lapsing) = to.deadline.filter(|_| !deadline) {
            state.deadlines.insert(lapsing);
        }
        state.status_counts[to.status as usize] += usize::from(!status);
    }
}

pub(in crate::registry) fn texts(declared: &Declared) -> Texts<'_> {
    Texts { name: declared.name.as_str(), tags: &declared.tags, description: declared.description.as_deref() }
}

fn index_declared(state: &mut State, id: NodeId, declared: &Declared) {
    state.node_names.insert(declared.name.clone(), id);
    state.node_words.insert(id.0, texts(declared));
    if let Some(agent) = &declared.owned_by_agent {
        change_agent(state, agent, |links| _ = links.owns.insert(id));
    }
    for agent in &declared.subscribed_by_agents {
        change_agent(state, agent, |links| _ = links.follows.insert(id));
    }
}

fn unindex_declared(state: &mut State, id: NodeId, declared: &Declared) {
    state.node_names.remove(&declared.name);
    state.node_words.remove(id.0, texts(declared));
    if let Some(agent) = &declared.owned_by_agent {
        change_agent(state, agent, |links| _ = links.owns.remove(&id));
    }
    for agent in &declared.subscribed_by_agents {
        change_agent(state, agent, |links| _ = links.follows.remove(&id));
    }
}

fn change_agent(state: &mut State, agent: &str, change: impl FnOnce(&mut AgentLinks)) {
    let mut links = state.agents.get(agent).map(|links| AgentLinks::clone(links)).unwrap_or_default();
    change(&mut links);
    if links == AgentLinks::default() {
        state.agents.remove(agent);
    } else {
        state.agents.insert(agent.into(), Arc::new(links));
    }
}
