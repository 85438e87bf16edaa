//! Being there: heartbeats, what lapses, leaving.

use super::{Answer, Decision, known, port, thawed};
use crate::model::{Change, EndCause, LeaseId, NodeId, NodeStatus, Time};
use crate::registry::command::Heartbeat;
use crate::registry::refusal::Refusal;
use crate::registry::state::{Lapsing, State};
use std::collections::BTreeSet;

/// The most that one command takes for gone: the next follows at once, and nobody waits long behind it.
const EXPIRED_AT_ONCE_MAX: usize = 1_000;

pub(super) fn heartbeat(state: &State, heartbeat: &Heartbeat) -> Result<Decision, Refusal> {
    let node = known(state, heartbeat.node)?;
    let ttl = heartbeat.ttl.or(node.ttl);
    let mut changes = Vec::new();
    match node.status {
        NodeStatus::Declared => {
            return Err(Refusal::NeverLive { node: node.id, name: node.declared.name.clone() });
        }
        // Its leases ended with it.
        NodeStatus::Offline => changes.push(Change::NodeRejoined { node: node.id, ttl }),
        NodeStatus::Online | NodeStatus::Draining => {
            let (renew_leases, tools) = (heartbeat.renew_leases, heartbeat.tools.clone());
            changes.push(Change::NodeSeen { node: node.id, ttl, renew_leases, tools });
        }
    }
    let status = match heartbeat.draining {
        Some(true) => NodeStatus::Draining,
        Some(false) => NodeStatus::Online,
        None if node.status == NodeStatus::Draining => NodeStatus::Draining,
        None => NodeStatus::Online,
    };
    let status_so_far = if node.status.is_live() { node.status } else { NodeStatus::Online };
    if status != status_so_far {
        changes.push(Change::NodeUpdated {
            node: node.id,
            declared: node.declared.clone(),
            status,
            ttl,
            seen: true,
            trust_reset: false,
        });
    }
    Ok(Decision { changes, answer: Answer::Node(node.id) })
}

pub(super) fn deregister(state: &State, id: NodeId, reason: Option<&str>) -> Result<Decision, Refusal> {
    let node = known(state, id)?;
    thawed(node)?;
    let mut changes: Vec<Change> =
        node.tools.iter().map(|tool| Change::ToolRemoved { node: id, tool: tool.clone() }).collect();
    changes.extend(port::end_of_node(state, id, &EndCause::NodeDeregistered));
    changes.push(Change::NodeDeregistered { node: id, reason: reason.map(str::to_owned) });
    Ok(Decision { changes, answer: Answer::Deregistered(node.clone()) })
}

pub(super) fn expire_lapsed(state: &State, now: Time) -> Decision {
    let lapsed = state.deadlines.iter().take_while(|(deadline, _)| *deadline <= now).take(EXPIRED_AT_ONCE_MAX);
    let mut changes = Vec::new();
    // A lease may lapse with its node, and by itself.
    let mut ended: BTreeSet<LeaseId> = BTreeSet::new();
    for (_, lapsing) in lapsed {
        match lapsing {
            Lapsing::Node(node) => {
                let leases = port::end_of_node(state, *node, &EndCause::NodeExpired);
                changes.extend(leases.filter(|change| change.lease().is_none_or(|lease| ended.insert(lease))));
                changes.push(Change::NodeExpired { node: *node });
            }
            Lapsing::Offer(node, tool) => changes.push(Change::ToolExpired { node: *node, tool: tool.clone() }),
            Lapsing::Lease(lease) => {
                let node = state.leases.get(*lease).and_then(|lease| lease.node);
                if ended.insert(*lease) {
                    changes.push(Change::PortEnded { lease: *lease, node, cause: EndCause::Lapsed });
                }
            }
        }
    }
    Decision { answer: Answer::Kept(changes.len()), changes }
}

/// Each registration and lease that lapsed while nobody watched gets one grace period; a restart in the middle of it
/// does not start another.
pub(super) fn grant_grace(state: &State, now: Time, seconds: u32) -> Decision {
    let until = now.plus_seconds(u64::from(seconds));
    let lapsed = state.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
    let mut nodes: BTreeSet<NodeId> = BTreeSet::new();
    let mut leases = Vec::new();
    for (_, lapsing) in lapsed {
        match lapsing {
            Lapsing::Node(id) | Lapsing::Offer(id, _) => _ = nodes.insert(*id),
            Lapsing::Lease(id) => leases.extend(state.leases.get(*id)),
        }
    }
    nodes.retain(|id| state.node(*id).is_some_and(|node| node.status.is_live() && node.grace_until.is_none()));
    leases.retain(|lease| lease.grace_until.is_none());
    let nodes = nodes.into_iter().map(|node| Change::NodeGraceGranted { node, until });
    let leases = leases.into_iter().map(|lease| (lease.id, lease.node));
    let leases = leases.map(|(lease, node)| Change::PortGraceGranted { lease, node, until });
    let changes: Vec<Change> = nodes.chain(leases).collect();
    Decision { answer: Answer::Kept(changes.len()), changes }
}
