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

pub(super) fn updated(state: &mut State, _place: Place, id: NodeId, update: impl FnOnce(&mut Node)) {
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
    unindex_life(state, &node);
    unindex_declared(state, id, &node.declared);
    state.nodes.remove(&id);
}

/// Puts a node in the place of what was known of it.
pub(super) fn put(state: &mut State, node: Node) {
    let id = node.id;
    let known = state.nodes.get(&id).cloned();
    if let Some(known) = &known {
        unindex_life(state, known);
    }
    index_life(state, &node);
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

fn index_life(state: &mut State, node: &Node) {
    state.nodes_by_registration.insert((node.registered_at, node.id));
    state.nodes_by_last_seen.insert((node.last_seen_at, node.id));
    if let Some(deadline) = node.deadline() {
        state.deadlines.insert((deadline, Lapsing::Node(node.id)));
    }
    state.status_counts[node.status as usize] += 1;
}

fn unindex_life(state: &mut State, node: &Node) {
    state.nodes_by_registration.remove(&(node.registered_at, node.id));
    state.nodes_by_last_seen.remove(&(node.last_seen_at, node.id));
    if let Some(deadline) = node.deadline() {
        state.deadlines.remove(&(deadline, Lapsing::Node(node.id)));
    }
    state.status_counts[node.status as usize] -= 1;
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
