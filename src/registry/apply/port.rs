//! Port leases, and the numbers that are kept back.

use super::Place;
use crate::model::{
    EndCause, Lease, LeaseEnd, LeaseId, LeaseTerms, NodeId, PortKey, Quarantine, Sequence, Time, Transports, Ttl,
};
use crate::registry::state::{Lapsing, State};
use std::sync::Arc;

pub(super) fn allocated(
    state: &mut State,
    place: Place,
    id: LeaseId,
    terms: &Arc<LeaseTerms>,
    node: Option<NodeId>,
    ttl: Option<Ttl>,
) {
    for key in terms.keys() {
        state.leases.release_number(&key);
    }
    let lease = Lease {
        id,
        terms: terms.clone(),
        node,
        allocated_at: place.time,
        ttl,
        expires_at: ttl.map(|ttl| ttl.deadline(place.time)),
        grace_until: None,
        last_heartbeat_at: None,
        renewals: 0,
        end: None,
    };
    put(state, lease);
}

/// Adds a lease that holds.
pub(super) fn put(state: &mut State, lease: Lease) {
    if let Some(deadline) = lease.deadline() {
        state.deadlines.insert((deadline, Lapsing::Lease(lease.id)));
    }
    state.leases.add(Arc::new(lease));
}

fn updated(state: &mut State, id: LeaseId, update: impl FnOnce(&mut Lease)) {
    let Some((before, after)) = state.leases.update(id, update) else {
        debug_assert!(false, "a change of lease {id}, which does not hold");
        return;
    };
    if before.deadline() != after.deadline() {
        if let Some(deadline) = before.deadline() {
            state.deadlines.remove(&(deadline, Lapsing::Lease(id)));
        }
        if let Some(deadline) = after.deadline() {
            state.deadlines.insert((deadline, Lapsing::Lease(id)));
        }
    }
}

pub(super) fn renewed(state: &mut State, now: Time, id: LeaseId, ttl: Option<Ttl>) {
    updated(state, id, |lease| {
        lease.ttl = ttl;
        lease.expires_at = ttl.map(|ttl| ttl.deadline(now));
        lease.grace_until = None;
        lease.last_heartbeat_at = Some(now);
        lease.renewals += 1;
    });
}

/// Every lease of a node begins its lifetime anew.
pub(super) fn renew_of_node(state: &mut State, now: Time, node: NodeId) {
    let leases: Vec<(LeaseId, Option<Ttl>)> = state.leases.of_node(node).map(|lease| (lease.id, lease.ttl)).collect();
    for (id, ttl) in leases {
        renewed(state, now, id, ttl);
    }
}

pub(super) fn attached(state: &mut State, id: LeaseId, node: NodeId) {
    updated(state, id, |lease| lease.node = Some(node));
}

pub(super) fn kept_until(state: &mut State, id: LeaseId, until: Time) {
    updated(state, id, |lease| lease.grace_until = Some(until));
}

pub(super) fn ended(state: &mut State, place: Place, id: LeaseId, cause: &EndCause) {
    let end = LeaseEnd { at: place.time, cause: cause.clone() };
    updated(state, id, |lease| lease.end = Some(end));
    let Some(lease) = state.leases.get(id).filter(|lease| lease.end.is_some()).cloned() else { return };
    state.leases.end(lease.clone(), place.sequence);
    // A number that turned out unusable is kept back by the conflict that was reported with it.
    if matches!(cause, EndCause::Rebound { .. }) || lease.terms.quarantine_seconds == 0 {
        return;
    }
    let until = place.time.plus_seconds(u64::from(lease.terms.quarantine_seconds));
    for key in lease.terms.keys() {
        let reason = format!("a lease on it ended at {}", place.time);
        state.leases.quarantine_number(key, Quarantine { until, reason, except: Some(lease.terms.requester) });
    }
}

pub(super) fn put_ended(state: &mut State, lease: Arc<Lease>, place: Sequence) {
    state.leases.add_ended(lease, place);
}

/// A number turned out to be in use.
pub(super) fn conflicted(
    state: &mut State,
    now: Time,
    first: PortKey,
    transports: Transports,
    reason: &str,
    secs: u32,
) {
    if secs == 0 {
        return;
    }
    let until = now.plus_seconds(u64::from(secs));
    for transport in transports.all() {
        let key = PortKey { transport: *transport, ..first.clone() };
        state.leases.quarantine_number(key, Quarantine { until, reason: reason.to_owned(), except: None });
    }
}
