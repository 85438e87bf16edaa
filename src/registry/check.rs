//! What holds of every state between commands.

use super::apply;
use super::state::State;
use crate::model::{LeaseStatus, NodeStatus, Sequence};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

impl State {
    /// Checks what must hold of every state between commands; says in one sentence what does not.
    ///
    /// The indexes are computed once more from the things they index and compared. Costs as much as
    /// starting from a snapshot: for tests and for `onex audit verify`, not for every request.
    pub fn check(&self) -> Result<(), String> {
        self.check_nodes()?;
        self.check_tools()?;
        self.check_contracts()?;
        self.check_leases()?;
        self.check_buses()?;
        self.calls.check()?;
        for key in self.collisions.keys() {
            if self.sides(key).len() < 2 {
                return Err(format!("{key:?} is listed as a collision and has one side"));
            }
        }
        let again = apply::restore(self.sequence, self.time, self.things());
        self.same_as(&again).map_err(|index| format!("the index {index} is not what the things it indexes give"))
    }

    fn check_nodes(&self) -> Result<(), String> {
        for (id, node) in &self.nodes {
            let name = &node.declared.name;
            if node.id != *id {
                return Err(format!("node {id} is kept as {}", node.id));
            }
            if self.node_names.get(name) != Some(id) {
                return Err(format!("node {id} is not found by its name {name}"));
            }
            if node.status.is_live() && node.last_seen_at.is_none() {
                return Err(format!("node {name} is live and was never seen"));
            }
            if node.status == NodeStatus::Declared && node.expires_at.is_some() {
                return Err(format!("node {name} was never live and lapses"));
            }
            if let Some(hash) = node.declared.contract
                && !self.contracts.get(&hash).is_some_and(|held| held.holders.contains(id))
            {
                return Err(format!("node {name} keeps contract {hash}, which does not know it"));
            }
            for key in &node.tools {
                let tool = self.tools.get(key);
                if !tool.is_some_and(|tool| tool.offers.iter().any(|offer| offer.node == *id)) {
                    return Err(format!("node {name} offers {key:?}, which does not know it"));
                }
            }
        }
        Ok(())
    }

    fn check_tools(&self) -> Result<(), String> {
        for (key, tool) in &self.tools {
            if tool.offers.is_empty() {
                return Err(format!("nobody offers {key:?}"));
            }
            for (at, offer) in tool.offers.iter().enumerate() {
                if !self.nodes.get(&offer.node).is_some_and(|node| node.tools.contains(key)) {
                    return Err(format!("{key:?} is offered by node {}, which does not know it", offer.node));
                }
                if tool.offers[..at].iter().any(|earlier| earlier.node == offer.node) {
                    return Err(format!("{key:?} is offered twice by node {}", offer.node));
                }
            }
        }
        Ok(())
    }

    fn check_leases(&self) -> Result<(), String> {
        let held: BTreeMap<_, _> = self.leases.held((Bound::Unbounded, Bound::Unbounded)).collect();
        for (key, id) in &held {
            let Some(lease) = self.leases.get(*id) else {
                return Err(format!("{key:?} is held by lease {id}, which is not known"));
            };
            if lease.status() != LeaseStatus::Active || !lease.terms.keys().any(|held| held == *key) {
                return Err(format!("{key:?} is held by lease {id}, which does not hold it"));
            }
            // Two that held one number would both be missing from it but one.
            if lease.terms.keys().any(|key| held.get(&key) != Some(id)) {
                return Err(format!("lease {id} does not hold all that it promises"));
            }
            if let Some(node) = lease.node
                && self.node(node).is_none()
            {
                return Err(format!("lease {id} goes with node {node}, which is not registered"));
            }
        }
        let holding = held.values().collect::<BTreeSet<_>>().len();
        if holding != self.leases.active() {
            return Err(format!("{holding} leases hold numbers, and {} are active", self.leases.active()));
        }
        Ok(())
    }

    fn check_buses(&self) -> Result<(), String> {
        let named = self.bus_topics.keys().chain(self.subscribers.keys());
        match named.into_iter().find(|bus| !self.buses.contains_key(*bus)) {
            Some(bus) => Err(format!("something is kept of bus {bus}, which is not known")),
            None => Ok(()),
        }
    }

    fn check_contracts(&self) -> Result<(), String> {
        for (hash, held) in &self.contracts {
            if held.holders.is_empty() {
                return Err(format!("nobody keeps contract {hash}"));
            }
            if held.registered == Sequence::ZERO || held.registered > self.sequence {
                return Err(format!("contract {hash} was registered at {}, which is not in the log", held.registered));
            }
        }
        Ok(())
    }

    /// Whether two states say the same; else the name of the first part that differs.
    pub fn same_as(&self, other: &State) -> Result<(), &'static str> {
        macro_rules! compare {
            ($($part:ident),*) => {
                $(if self.$part != other.$part { return Err(stringify!($part)); })*
            };
        }
        compare!(
            sequence,
            time,
            nodes,
            tools,
            contracts,
            collisions,
            leases,
            calls,
            tokens,
            buses,
            bus_topics,
            subscribers,
            bus_names,
            node_names,
            nodes_by_registration,
            nodes_by_last_seen,
            deadlines,
            status_counts,
            tool_ids,
            contract_names,
            topics,
            dependents,
            tool_dependents,
            agents,
            node_words,
            tool_words,
            token_hashes
        );
        Ok(())
    }
}
