//! Tools: there as long as some node offers them.

use super::{Place, settle};
use crate::model::CollisionKey;
use crate::model::{Node, NodeId, Offer, Time, Tool, ToolDefinition, ToolKey, ToolName};
use crate::registry::state::{Lapsing, State};
use crate::registry::words::Texts;
use std::sync::Arc;

pub(super) fn registered(state: &mut State, place: Place, offer: &Offer) {
    let Some(node) = state.nodes.get(&offer.node) else {
        debug_assert!(false, "an offer of node {}, which is not registered", offer.node);
        return;
    };
    let key = &offer.definition.key;
    let mut node = Node::clone(node);
    if let Err(at) = node.tools.binary_search(key) {
        node.tools.insert(at, key.clone());
        super::node::put(state, node);
    }
    let mut offer = offer.clone();
    offer.expires_at = offer.ttl.map(|ttl| ttl.deadline(place.time));
    let mut tool = match state.tools.get(key) {
        Some(tool) => Tool::clone(tool),
        None => Tool { key: key.clone(), offers: Vec::new() },
    };
    match tool.offers.iter_mut().find(|known| known.node == offer.node) {
        Some(known) => {
            offer.registered_at = known.registered_at;
            *known = offer;
        }
        None => {
            offer.registered_at = place.time;
            tool.offers.push(offer);
        }
    }
    put(state, tool);
}

/// Takes a node's offer off the tool and the tool off the node.
pub(super) fn removed(state: &mut State, id: NodeId, key: &ToolKey) {
    if let Some(node) = state.nodes.get(&id)
        && let Ok(at) = node.tools.binary_search(key)
    {
        let mut node = Node::clone(node);
        node.tools.remove(at);
        super::node::put(state, node);
    }
    withdraw(state, id, key);
}

/// Takes a node's offer off the tool; the tool goes with its last offer.
pub(super) fn withdraw(state: &mut State, id: NodeId, key: &ToolKey) {
    let Some(known) = state.tools.get(key).cloned() else { return };
    let mut tool = Tool::clone(&known);
    tool.offers.retain(|offer| offer.node != id);
    if tool.offers.is_empty() {
        unindex(state, &known);
        state.tools.remove(key);
        state.calls.forget_tool(key);
        settle(state, &CollisionKey::Tool(key.name.clone(), key.version.clone()));
    } else {
        put(state, tool);
    }
}

/// The node was heard of: its offers' lifetimes start anew.
pub(super) fn renew(state: &mut State, id: NodeId, now: Time) {
    renew_named(state, id, now, None);
}

/// The lifetimes of the node's offers of these tools start anew; of all where none are named.
pub(super) fn renew_named(state: &mut State, id: NodeId, now: Time, tools: Option<&[ToolName]>) {
    for_each_lapsing(state, id, |offer| {
        if tools.is_none_or(|tools| tools.contains(&offer.definition.key.name)) {
            offer.expires_at = offer.ttl.map(|ttl| ttl.deadline(now));
        }
    });
}

/// The node's offers last until then at least.
pub(super) fn keep_until(state: &mut State, id: NodeId, until: Time) {
    for_each_lapsing(state, id, |offer| offer.expires_at = offer.expires_at.max(Some(until)));
}

/// Changes the offers of a node that have lifetimes of their own.
fn for_each_lapsing(state: &mut State, id: NodeId, change: impl Fn(&mut Offer)) {
    let Some(node) = state.nodes.get(&id).cloned() else { return };
    for key in &node.tools {
        let Some(tool) = state.tools.get(key) else { continue };
        if tool.offers.iter().any(|offer| offer.node == id && offer.ttl.is_some()) {
            let mut tool = Tool::clone(tool);
            tool.offers.iter_mut().filter(|offer| offer.node == id).for_each(&change);
            put(state, tool);
        }
    }
}

/// Puts a tool in the place of what was known of it.
pub(super) fn put(state: &mut State, tool: Tool) {
    let known = state.tools.get(&tool.key).cloned();
    let same_words = known.as_ref().is_some_and(|known| Arc::ptr_eq(known.definition(), tool.definition()));
    if let Some(known) = &known {
        known.offers.iter().for_each(|offer| _ = lapsing(offer).map(|lapsing| state.deadlines.remove(&lapsing)));
        if !same_words {
            state.tool_words.remove(tool.key.id().0, texts(known.definition()));
        }
    }
    tool.offers.iter().for_each(|offer| _ = lapsing(offer).map(|lapsing| state.deadlines.insert(lapsing)));
    if !same_words {
        state.tool_words.insert(tool.key.id().0, texts(tool.definition()));
    }
    if known.is_none() {
        state.tool_ids.insert(tool.key.id(), tool.key.clone());
    }
    let key = tool.key.clone();
    state.tools.insert(key.clone(), Arc::new(tool));
    settle(state, &CollisionKey::Tool(key.name, key.version));
}

fn unindex(state: &mut State, tool: &Tool) {
    tool.offers.iter().for_each(|offer| _ = lapsing(offer).map(|lapsing| state.deadlines.remove(&lapsing)));
    state.tool_words.remove(tool.key.id().0, texts(tool.definition()));
    state.tool_ids.remove(&tool.key.id());
}

fn lapsing(offer: &Offer) -> Option<(Time, Lapsing)> {
    Some((offer.expires_at?, Lapsing::Offer(offer.node, offer.definition.key.clone())))
}

pub(in crate::registry) fn texts(definition: &ToolDefinition) -> Texts<'_> {
    Texts { name: definition.key.name.as_str(), tags: &definition.tags, description: definition.description.as_deref() }
}
