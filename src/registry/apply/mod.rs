//! Folding a change into the state: cannot fail, reads no clock, does no I/O.
//!
//! A change that does not fit the state (a log written by hand) is passed over, loudly in debug builds:
//! a registry that starts with what it can make sense of serves better than one that does not start.

mod bus;
mod call;
mod contract;
mod node;
mod port;
mod token;
mod tool;

use super::state::State;
use crate::model::{Attempt, Change, CollisionKey, Entry, NodeStatus, Origin, PortKey, Sequence, Thing, Time, Trust};
use std::sync::Arc;

/// Where in the log a change stands, and when it was made.
#[derive(Clone, Copy)]
struct Place {
    sequence: Sequence,
    time: Time,
}

/// Folds one command's changes into the state.
pub fn entry(state: &mut State, entry: &Entry) {
    let time = entry.origin.time;
    state.leases.lift_quarantines(time);
    for (sequence, change) in entry.placed() {
        apply(state, Place { sequence, time }, &entry.origin, change);
        state.sequence = sequence;
        state.time = time;
    }
}

fn apply(state: &mut State, place: Place, origin: &Origin, change: &Change) {
    match change {
        Change::ContractRegistered { contract } => contract::registered(state, place, contract),
        Change::NodeRegistered { node, declared, status, ttl } => {
            node::registered(state, place, *node, declared, *status, *ttl);
        }
        Change::NodeUpdated { node, declared, status, ttl, seen, trust_reset } => {
            node::updated(state, *node, |updated| {
                updated.declared = declared.clone();
                updated.status = *status;
                updated.ttl = *ttl;
                if *trust_reset {
                    updated.trust = Trust::default();
                }
                if *seen {
                    node::see(updated, place.time);
                }
            });
            if *seen {
                tool::renew(state, *node, place.time);
            }
        }
        Change::NodeSeen { node, ttl, renew_leases, tools } => {
            node::updated(state, *node, |seen| {
                seen.ttl = *ttl;
                node::see(seen, place.time);
            });
            tool::renew_named(state, *node, place.time, tools.as_deref());
            if *renew_leases {
                port::renew_of_node(state, place.time, *node);
            }
        }
        Change::NodeRejoined { node, ttl } => {
            node::updated(state, *node, |rejoined| {
                rejoined.status = NodeStatus::Online;
                rejoined.ttl = *ttl;
                node::see(rejoined, place.time);
            });
            tool::renew(state, *node, place.time);
        }
        Change::NodeExpired { node } => {
            node::updated(state, *node, |expired| {
                expired.status = NodeStatus::Offline;
                expired.grace_until = None;
            });
        }
        Change::NodeGraceGranted { node, until } => {
            node::updated(state, *node, |granted| granted.grace_until = Some(*until));
            tool::keep_until(state, *node, *until);
        }
        Change::NodeDeregistered { node, .. } => node::deregistered(state, *node),
        Change::ToolRegistered { offer } => tool::registered(state, place, offer),
        Change::ToolRemoved { node, tool } | Change::ToolExpired { node, tool } => tool::removed(state, *node, tool),
        Change::CollisionFound { collision, .. } => {
            if !state.collisions.contains_key(collision) {
                state.collisions.insert(collision.clone(), place.time);
            }
        }
        Change::TrustChanged { node, verdict, lifecycle } => {
            node::updated(state, *node, |judged| {
                judged.trust = std::mem::take(&mut judged.trust).with(verdict.clone());
                if let Some(lifecycle) = lifecycle {
                    judged.trust.lifecycle = *lifecycle;
                }
            });
        }
        Change::PortAllocated { lease, terms, node, ttl } => port::allocated(state, place, *lease, terms, *node, *ttl),
        Change::PortRenewed { lease, ttl, .. } => port::renewed(state, place.time, *lease, *ttl),
        Change::PortAttached { lease, node } => port::attached(state, *lease, *node),
        Change::PortGraceGranted { lease, until, .. } => port::kept_until(state, *lease, *until),
        Change::PortEnded { lease, cause, .. } => port::ended(state, place, *lease, cause),
        Change::PortConflict { host, port, transports, reason, quarantine_seconds, .. } => {
            let keys = PortKey::each(host, *port, *transports);
            port::conflicted(state, place.time, keys, reason, *quarantine_seconds);
        }
        Change::CallInvoked { call, asked } => {
            call::invoked(state, place, *call, asked, origin.correlation_id.as_deref());
        }
        Change::CallAccepted { call, tool, node, attempt, at, warnings } => {
            call::accepted(state, place, *call, tool, Attempt::new(*attempt, *node, *at), warnings);
        }
        Change::CallRejected { call, error, at, .. } => call::rejected(state, place, *call, error, *at),
        Change::CallEnded { call, tool, ending, .. } => call::ended(state, place, *call, tool, ending),
        Change::CallAnsweredLate { call, node, attempt, at, .. } => {
            call::answered_late(state, place, *call, *node, *attempt, *at);
        }
        Change::TokenCreated { token } => token::put(state, token.clone()),
        Change::TokenRevoked { token, .. } => token::revoked(state, *token),
        Change::BusCreated { bus, terms } => bus::created(state, place, *bus, terms),
        Change::BusTurned { bus, status, reason, leases, .. } => {
            bus::turned(state, place, *bus, *status, reason.as_deref(), leases);
        }
        Change::BusDeleted { bus, .. } => bus::deleted(state, *bus),
        Change::TopicDefined { bus, topic, terms } => bus::define(state, *bus, topic.clone(), terms.clone()),
        Change::SubscriberAttached { subscriber } => bus::attach(state, subscriber.clone()),
        Change::SubscriberDetached { bus, name, .. } => bus::detached(state, *bus, name),
        // Told to whoever reads the history; nothing follows from it.
        Change::AccessDenied { .. } | Change::BusNoticed { .. } => {}
    }
}

/// Takes a collision off the list once its sides agree.
fn settle(state: &mut State, key: &CollisionKey) {
    if state.collisions.contains_key(key) && state.sides(key).len() < 2 {
        state.collisions.remove(key);
    }
}

/// A state made of the things of a snapshot, as it was at that place in the log.
pub fn restore(sequence: Sequence, time: Time, things: impl IntoIterator<Item = Thing>) -> State {
    let mut state = State { sequence, time, ..State::beginning() };
    for thing in things {
        match thing {
            Thing::Contract(contract, registered, at) => contract::put(&mut state, contract, registered, at),
            Thing::Node(node) => node::put(&mut state, Arc::unwrap_or_clone(node)),
            Thing::Tool(tool) => tool::put(&mut state, Arc::unwrap_or_clone(tool)),
            Thing::Collision(collision, since) => _ = state.collisions.insert(collision, since),
            Thing::Lease(lease) => port::put(&mut state, Arc::unwrap_or_clone(lease)),
            Thing::EndedLease(lease, place) => port::put_ended(&mut state, lease, place),
            Thing::Quarantine(key, quarantine) => state.leases.quarantine_number(key, quarantine),
            Thing::Invocation(call, place) => state.calls.put(call, place),
            Thing::ToolCalls(tool, stats) => state.calls.put_tool_stats(tool, stats),
            Thing::NodeCalls(node, stats) => state.calls.put_node_stats(node, stats),
            Thing::Token(token) => token::put(&mut state, token),
            Thing::Bus(bus) => bus::put(&mut state, bus),
            Thing::Topic(bus, topic, terms) => bus::define(&mut state, bus, topic, terms),
            Thing::Subscriber(subscriber) => bus::attach(&mut state, subscriber),
        }
    }
    state
}
