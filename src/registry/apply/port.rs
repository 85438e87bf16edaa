//! Port leases, and the numbers that are kept back.

use super::Place;
use crate::model::{EndCause, Lease, LeaseEnd, LeaseId, LeaseTerms, NodeId, PortKey, Quarantine, Sequence, Time, Ttl};
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
    if terms.keys().any(|key| state.leases.holding(&key).is_some()) {
        debug_assert!(false, "lease {id} is for a number that is leased");
        return;
    }
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

fn updated(state: &mut State, id: LeaseId, update: impl FnOnce(&mut Lease)) -> Option<Arc<Lease>> {
    let Some((before, after)) = state.leases.update(id, update) else {
        debug_assert!(false, "a change of lease {id}, which does not hold");
        return None;
    };
    if before.deadline() != after.deadline() {
        if let Some(deadline) = before.deadline() {
            state.deadlines.remove(&(deadline, Lapsing::Lease(id)));
        }
        if let Some(deadline) = after.deadline() {
            state.deadlines.insert((deadline, Lapsing::Lease(id)));
        }
    }
    Some(after)
}

pub(super) fn renewed(state: &mut State, now: Time, id: LeaseId, ttl: Option<Ttl>) {
    let renew = |lease: &mut Lease| {
        lease.ttl = ttl;
        lease.expires_at = ttl.map(|ttl| ttl.deadline(now));
        lease.grace_until = None;
        lease.last_heartbeat_at = Some(now);
        lease.renewals += 1;
    };
    _ = updated(state, id, renew);
}

/// Every lease of a node begins its lifetime anew.
pub(super) fn renew_of_node(state: &mut State, now: Time, node: NodeId) {
    let leases: Vec<(LeaseId, Option<Ttl>)> = state.leases.of_node(node).map(|lease| (lease.id, lease.ttl)).collect();
    for (id, ttl) in leases {
        renewed(state, now, id, ttl);
    }
}

pub(super) fn attached(state: &mut State, id: LeaseId, node: NodeId) {
    _ = updated(state, id, |lease| lease.node = Some(node));
}

pub(super) fn kept_until(state: &mut State, id: LeaseId, until: Time) {
    _ = updated(state, id, |lease| lease.grace_until = Some(until));
}

pub(super) fn ended(state: &mut State, place: Place, id: LeaseId, cause: &EndCause) {
    let end = LeaseEnd { at: place.time, cause: cause.clone() };
    let Some(lease) = updated(state, id, |lease| lease.end = Some(end)) else { return };
    state.leases.end(lease.clone(), place.sequence);
    if lease.terms.quarantine_seconds == 0 {
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
    keys: impl Iterator<Item = PortKey>,
    reason: &str,
    quarantine_seconds: u32,
) {
    if quarantine_seconds == 0 {
        return;
    }
    let until = now.plus_seconds(u64::from(quarantine_seconds));
    for key in keys {
        state.leases.quarantine_number(key, Quarantine { until, reason: reason.to_owned(), except: None });
    }
}
