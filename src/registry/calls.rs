//! The calls of a state: those under way, the last that ended, and what all of them add up to.

use crate::model::{
    CallStats, Invocation, InvocationId, InvocationStatus, NodeId, RequestKey, Sequence, Thing, ToolKey,
};
use imbl::{HashMap, OrdMap};
use std::sync::Arc;

/// How many calls that have ended are remembered: the oldest goes first.
pub const ENDED_KEPT_MAX: usize = 10_000;

/// Every call that is under way, the last that ended, and what a tool's and a node's calls add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    by_id: HashMap<InvocationId, (Arc<Invocation>, Sequence)>,
    /// Calls by the place of their latest change; each has one of its own.
    open: OrdMap<Sequence, InvocationId>,
    ended: OrdMap<Sequence, InvocationId>,
    /// The call that a later attempt belongs to, by the id that the attempt's provider knows.
    attempts: HashMap<InvocationId, InvocationId>,
    /// The call that a request made, by its caller's principal and name for it.
    requests: HashMap<(Arc<str>, Arc<str>), InvocationId>,
    of_tool: HashMap<ToolKey, Arc<CallStats>>,
    of_node: HashMap<NodeId, Arc<CallStats>>,
}

impl Calls {
    /// The call with this id.
    pub fn get(&self, id: InvocationId) -> Option<&Arc<Invocation>> {
        self.by_id.get(&id).map(|(call, _)| call)
    }

    /// The call and the number of the attempt that a provider means by this id.
    pub fn attempt(&self, id: InvocationId) -> Option<(&Arc<Invocation>, u32)> {
        if let Some(call) = self.get(id) {
            return Some((call, 1));
        }
        let call = self.get(*self.attempts.get(&id)?)?;
        let attempt = call.attempts.iter().find(|attempt| call.id.of_attempt(attempt.number) == id)?;
        Some((call, attempt.number))
    }

    /// The call that this caller made under this name; one that was turned away does not count.
    pub fn of_request(&self, caller: &str, key: &str) -> Option<&Arc<Invocation>> {
        self.get(*self.requests.get(&(caller.into(), key.into()))?)
    }

    /// Every call that is under way, the one with the earliest latest change first.
    pub fn open(&self) -> impl Iterator<Item = &Arc<Invocation>> {
        self.open.values().filter_map(|id| self.get(*id))
    }

    /// Every call, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Invocation>> {
        self.by_id.values().map(|(call, _)| call)
    }

    /// What the calls of a tool add up to.
    pub fn of_tool(&self, tool: &ToolKey) -> Option<&Arc<CallStats>> {
        self.of_tool.get(tool)
    }

    /// What the calls that a node took add up to.
    pub fn of_node(&self, node: NodeId) -> Option<&Arc<CallStats>> {
        self.of_node.get(&node)
    }

    pub(super) fn things(&self) -> impl Iterator<Item = Thing> + '_ {
        let in_order = self.open.iter().chain(&self.ended);
        let calls = in_order.filter_map(|(place, id)| Some(Thing::Invocation(self.get(*id)?.clone(), *place)));
        let tools = self.of_tool.iter().map(|(tool, stats)| Thing::ToolCalls(tool.clone(), stats.clone()));
        calls.chain(tools).chain(self.of_node.iter().map(|(node, stats)| Thing::NodeCalls(*node, stats.clone())))
    }

    /// Puts a call in the place of what was known of it, and forgets the oldest where too many have ended.
    pub(super) fn put(&mut self, call: Arc<Invocation>, place: Sequence) {
        let id = call.id;
        self.unplace(id);
        if call.status.is_final() {
            self.ended.insert(place, id);
        } else {
            self.open.insert(place, id);
        }
        for attempt in call.attempts.iter().filter(|attempt| attempt.number > 1) {
            self.attempts.insert(id.of_attempt(attempt.number), id);
        }
        if call.status == InvocationStatus::Rejected {
            // Nobody was asked: the same request may be made again under its name.
            self.forget_request(&call);
        } else if let Some(RequestKey { key, .. }) = &call.asked.request {
            self.requests.insert((call.asked.caller.as_str().into(), key.as_str().into()), id);
        }
        self.by_id.insert(id, (call, place));
        while self.ended.len() > ENDED_KEPT_MAX
            && let Some((_, oldest)) = self.ended.get_min().cloned()
        {
            self.forget(oldest);
        }
    }

    /// Takes a call out of the order that it stands in.
    fn unplace(&mut self, id: InvocationId) {
        if let Some((_, place)) = self.by_id.get(&id) {
            self.open.remove(place);
            self.ended.remove(place);
        }
    }

    fn forget(&mut self, id: InvocationId) {
        self.unplace(id);
        let Some((call, _)) = self.by_id.remove(&id) else { return };
        for attempt in call.attempts.iter().filter(|attempt| attempt.number > 1) {
            self.attempts.remove(&id.of_attempt(attempt.number));
        }
        self.forget_request(&call);
    }

    fn forget_request(&mut self, call: &Invocation) {
        let Some(RequestKey { key, .. }) = &call.asked.request else { return };
        let request = (call.asked.caller.as_str().into(), key.as_str().into());
        if self.requests.get(&request) == Some(&call.id) {
            self.requests.remove(&request);
        }
    }

    pub(super) fn put_tool_stats(&mut self, tool: ToolKey, stats: Arc<CallStats>) {
        self.of_tool.insert(tool, stats);
    }

    pub(super) fn put_node_stats(&mut self, node: NodeId, stats: Arc<CallStats>) {
        self.of_node.insert(node, stats);
    }

    pub(super) fn count_for_tool(&mut self, tool: &ToolKey, count: impl FnOnce(&mut CallStats)) {
        count(Arc::make_mut(self.of_tool.entry(tool.clone()).or_default()));
    }

    pub(super) fn count_for_node(&mut self, node: NodeId, count: impl FnOnce(&mut CallStats)) {
        count(Arc::make_mut(self.of_node.entry(node).or_default()));
    }

    pub(super) fn forget_tool(&mut self, tool: &ToolKey) {
        self.of_tool.remove(tool);
    }

    pub(super) fn forget_node(&mut self, node: NodeId) {
        self.of_node.remove(&node);
    }

    /// Says in one sentence what does not hold of the calls and must.
    pub(super) fn check(&self) -> Result<(), String> {
        for (id, (call, place)) in &self.by_id {
            if call.id != *id {
                return Err(format!("call {id} is kept as {}", call.id));
            }
            let order = if call.status.is_final() { &self.ended } else { &self.open };
            if order.get(place) != Some(id) {
                return Err(format!("call {id} ({:?}) is not in its order", call.status));
            }
            if call.status.is_final() != call.completed_at.is_some() {
                return Err(format!("call {id} is {:?} and its end says otherwise", call.status));
            }
            if call.status == InvocationStatus::Succeeded && call.error.is_some() {
                return Err(format!("call {id} succeeded and has an error"));
            }
        }
        match self.open.len() + self.ended.len() == self.by_id.len() {
            true => Ok(()),
            false => Err("a call is in an order and not known".to_owned()),
        }
    }
}
