//! What somebody may know of: a state without the rest.
//!
//! Most callers may read everything, and see the state itself. For others a state is made of the things that they may
//! read, as one is made of a snapshot: lists, counts, searches and the graph then are right by themselves, as if the
//! rest were not there.

use super::Visitor;
use super::resource::{Action, Kind, Resource};
use crate::model::{BusId, Change, CollisionKey, Node, Sequence, Thing, Tool};
use crate::registry::apply::restore;
use crate::registry::state::State;
use std::collections::HashSet;
use std::sync::Arc;

/// The kinds of which a state is made.
const KINDS: &[Kind] =
    &[Kind::Registry, Kind::Node, Kind::Tool, Kind::Contract, Kind::Topic, Kind::Bus, Kind::PortPool, Kind::Lease];

impl Visitor {
    /// Whether the principal may read all that a state is made of.
    pub fn reads_all(&self) -> bool {
        KINDS.iter().all(|kind| self.may_all(Action::Read, *kind))
    }

    /// Whether it may read everything of a kind.
    pub fn reads_all_of(&self, kind: Kind) -> bool {
        self.may_all(Action::Read, kind)
    }

    /// Whether the principal may read every call of a tool.
    pub fn reads_all_calls(&self) -> bool {
        self.may_all(Action::Read, Kind::Invocation)
    }

    /// Whether it may know of every change.
    pub fn sees_all_changes(&self) -> bool {
        self.reads_all() && self.reads_all_calls() && self.may_all(Action::Administer, Kind::Registry)
    }

    /// The state as the principal may know it.
    pub fn seen(&self, state: &Arc<State>) -> Arc<State> {
        let Some(gate) = self.access.gate.as_ref().filter(|_| !self.reads_all()) else { return state.clone() };
        if gate.policy.load().asks_circumstances() {
            return Arc::new(self.without_the_rest(state));
        }
        let key = (self.rights(), state.sequence);
        if let Some(seen) = gate.seen.get(&key) {
            return seen;
        }
        let seen = Arc::new(self.without_the_rest(state));
        gate.seen.insert(key, seen.clone());
        seen
    }

    fn without_the_rest(&self, state: &State) -> State {
        let reads = |resource: &Resource| self.reads(resource);
        let nodes: HashSet<_> =
            state.nodes.values().filter(|node| reads(&Resource::of_node(node))).map(|node| node.id).collect();
        let contracts: HashSet<_> = state
            .contracts
            .values()
            .filter(|held| held.holders.iter().any(|holder| nodes.contains(holder)))
            .filter(|held| reads(&Resource::of_contract(&held.contract)))
            .map(|held| held.contract.hash)
            .collect();
        let tools = state.tools.values().filter(|tool| reads(&Resource::of_tool(tool))).filter_map(|tool| {
            let offers: Vec<_> = tool.offers.iter().filter(|offer| nodes.contains(&offer.node)).cloned().collect();
            (!offers.is_empty()).then(|| Tool { offers, ..Tool::clone(tool) })
        });
        let tools: Vec<Tool> = tools.collect();
        let offered: HashSet<_> = tools.iter().map(|tool| tool.key.clone()).collect();
        let buses: HashSet<_> =
            state.buses.values().filter(|bus| reads(&Resource::of_bus(bus))).map(|bus| bus.id).collect();
        let mut kept: Vec<Thing> = Vec::new();
        let mut later: Vec<Thing> = Vec::new();
        for thing in state.things() {
            match thing {
                Thing::Contract(contract, ..) if !contracts.contains(&contract.hash) => {}
                Thing::Node(node) if nodes.contains(&node.id) => {
                    let mut shown = Node::clone(&node);
                    shown.tools.retain(|key| offered.contains(key));
                    if node.declared.contract.is_some_and(|hash| !contracts.contains(&hash)) {
                        let mut declared = crate::model::Declared::clone(&node.declared);
                        declared.contract = None;
                        shown.declared = Arc::new(declared);
                    }
                    kept.push(Thing::Node(Arc::new(shown)));
                }
                Thing::Node(_) | Thing::Tool(_) | Thing::Token(_) => {}
                Thing::Bus(bus) if !buses.contains(&bus.id) => {}
                Thing::Topic(bus, ..) if !buses.contains(&bus) => {}
                Thing::Subscriber(subscriber) if !buses.contains(&subscriber.bus) => {}
                Thing::Lease(lease) | Thing::EndedLease(lease, _) if !reads(&Resource::of_lease(&lease)) => {}
                Thing::ToolCalls(tool, _) if !offered.contains(&tool) => {}
                Thing::NodeCalls(node, _) if !nodes.contains(&node) => {}
                Thing::Lease(lease) if lease.node.is_some_and(|node| !nodes.contains(&node)) => {
                    let mut shown = crate::model::Lease::clone(&lease);
                    shown.node = None;
                    later.push(Thing::Lease(Arc::new(shown)));
                }
                // Whether it is one for who sees only some of its sides shows at the end.
                Thing::Collision(..) => later.push(thing),
                Thing::Contract(..) => kept.push(thing),
                thing => later.push(thing),
            }
        }
        kept.extend(tools.into_iter().map(|tool| Thing::Tool(Arc::new(tool))));
        let mut seen = restore(state.sequence, state.time, kept.into_iter().chain(later));
        // It is in every state that is made, whoever it is made for.
        if !buses.contains(&BusId::REGISTRY)
            && let Some(bus) = seen.buses.remove(&BusId::REGISTRY)
        {
            seen.bus_names.remove(&bus.terms.name);
        }
        let hidden: Vec<_> = seen.topics.keys().filter(|name| !reads(&Resource::of_topic(name))).cloned().collect();
        hidden.iter().for_each(|name| _ = seen.topics.remove(name));
        let one_sided: Vec<CollisionKey> =
            seen.collisions.keys().filter(|key| seen.sides(key).len() < 2).cloned().collect();
        one_sided.iter().for_each(|key| _ = seen.collisions.remove(key));
        seen
    }

    /// Whether the principal may read one thing.
    pub fn reads(&self, resource: &Resource) -> bool {
        self.may(Action::Read, resource)
    }

    /// Whether the principal may know of a change: of everything that it is about. What is about something that is no
    /// longer known is shown to whom everything of that kind is.
    pub fn shows(&self, state: &State, change: &Change) -> bool {
        if !self.access.is_on() {
            return true;
        }
        if matches!(change, Change::TokenCreated { .. } | Change::TokenRevoked { .. } | Change::AccessDenied { .. }) {
            return self.may(Action::Administer, &Resource::Registry);
        }
        let all = |kind| self.may_all(Action::Read, kind);
        let node = change.node().filter(|_| !all(Kind::Node)).is_none_or(|id| {
            let declared = match change {
                Change::NodeRegistered { declared, .. } | Change::NodeUpdated { declared, .. } => Some(&declared.name),
                _ => None,
            };
            let resource = match state.node(id) {
                Some(node) => Resource::of_node(node),
                None => Resource::of_unknown_node(id, declared),
            };
            self.reads(&resource)
        });
        let tool = change.tool().filter(|_| !all(Kind::Tool)).is_none_or(|name| {
            let tool = state.tool_wanted(name, None, |_| true);
            self.reads(&tool.map_or_else(|| Resource::of_unknown_tool(name), |tool| Resource::of_tool(tool)))
        });
        let contract = match change {
            Change::ContractRegistered { contract } => self.reads(&Resource::of_contract(contract)),
            _ => true,
        };
        let lease = change
            .lease()
            .filter(|_| !all(Kind::Lease))
            .is_none_or(|id| state.leases.get(id).is_some_and(|lease| self.reads(&Resource::of_lease(lease))));
        let call = change.call().filter(|_| !all(Kind::Invocation)).is_none_or(|id| {
            let caller = match change {
                Change::CallInvoked { asked, .. } => Some(asked.caller == self.principal().name),
                _ => None,
            };
            let known = state.calls.get(id);
            caller == Some(true) || known.is_some_and(|call| self.reads(&Resource::of_invocation(call)))
        });
        let bus = change.bus().filter(|_| !all(Kind::Bus)).is_none_or(|id| {
            let name = match change {
                Change::BusCreated { terms, .. } => Some(&terms.name),
                Change::BusDeleted { name, .. } => Some(name),
                _ => state.buses.get(&id).map(|bus| &bus.terms.name),
            };
            name.is_some_and(|name| self.reads(&Resource::Bus(name.to_string())))
        });
        node && tool && contract && lease && call && bus
    }
}

/// By what a state that was made for somebody is found again.
pub(super) type SeenKey = (super::Rights, Sequence);
