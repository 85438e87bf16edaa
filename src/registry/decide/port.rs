//! Port leases: who gets which number, and for how long.
//!
//! Numbers were picked and looked at before; whether they can be had is judged here, by the state as it is now.

use super::{Answer, Decision, known};
use crate::model::{
    Change, EndCause, Lease, LeaseId, LeaseStatus, LeaseTerms, Node, NodeId, NodePort, NodeStatus, PortKey,
    RequesterId, Time,
};
use crate::registry::command::{Allocate, Found, Owner, Rebind, Wanted};
use crate::registry::pool::{self, Because, Rules};
use crate::registry::refusal::Refusal;
use crate::registry::state::State;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

/// The most leases that one command takes from processes that are gone.
const ENDED_AT_ONCE_MAX: usize = 1_000;

/// The most hosts that leases name: each costs memory, and anybody can name any.
const HOSTS_MAX: usize = 1_000;

/// What is already held for a wish: by the request's name, else by the use's.
pub enum Held<'a> {
    /// The same request was answered with this lease.
    Answered(&'a Arc<Lease>),
    /// The requester still holds this lease for the same use.
    Named(&'a Arc<Lease>),
}

impl Held<'_> {
    /// The lease.
    pub fn lease(&self) -> &Lease {
        match self {
            Held::Answered(lease) | Held::Named(lease) => lease,
        }
    }
}

/// What the requester already has of what is wanted.
pub fn held<'a>(state: &'a State, wanted: &Wanted) -> Result<Option<Held<'a>>, Refusal> {
    if let Some(request) = &wanted.request
        && let Some(lease) = state.leases.requested(wanted.requester, &request.key)
    {
        if lease.terms.request.as_ref().is_some_and(|earlier| earlier.asked != request.asked) {
            return Err(Refusal::RequestReused { key: request.key.clone(), lease: lease.id });
        }
        return Ok(pool::latest(state, lease.id).map(Held::Answered));
    }
    let Some(key) = &wanted.key else { return Ok(None) };
    let Some(lease) = state.leases.named(wanted.requester, &wanted.host, key) else { return Ok(None) };
    if lease.status() != LeaseStatus::Active {
        return Ok(None);
    }
    let terms = &lease.terms;
    if terms.principal != wanted.principal {
        let holder = pool::holder(state, lease);
        return Err(Refusal::LeaseNotOwned { lease: lease.id, port: terms.port, holder });
    }
    let same = terms.protocol == wanted.protocol && terms.transports == wanted.transports;
    if !same || wanted.range.is_some_and(|range| !range.contains(terms.port)) {
        return Err(Refusal::KeyTaken { key: key.clone(), lease: lease.id, port: terms.port });
    }
    Ok(Some(Held::Named(lease)))
}

/// What can be refused before a number is picked: an unknown node, too many leases. `granted` counts what the same
/// command has already given to this requester.
pub fn admit(state: &State, rules: &Rules, wanted: &Wanted, granted: usize) -> Result<(), Refusal> {
    if let Some(node) = wanted.node {
        let node = known(state, node)?;
        if node.status == NodeStatus::Offline {
            return Err(Refusal::NodeOffline { node: node.id, name: node.declared.name.clone() });
        }
    }
    let configured =
        rules.host == wanted.host || rules.bands.iter().any(|(host, _)| host.as_ref() == Some(&wanted.host));
    if !configured && state.leases.host(&wanted.host).is_none() && state.leases.hosts().len() >= HOSTS_MAX {
        return Err(Refusal::TooManyHosts { host: wanted.host.clone(), max: HOSTS_MAX });
    }
    let held = state.leases.count_of_requester(wanted.requester);
    let max = rules.leases_per_requester_max as usize;
    if max > 0 && held + granted >= max {
        return Err(Refusal::QuotaExceeded { requester: wanted.requester, held: held + granted, max });
    }
    Ok(())
}

pub(super) fn allocate(state: &State, now: Time, allocate: &Allocate) -> Result<Decision, Refusal> {
    let mut changes = Vec::new();
    let mut leases = Vec::new();
    let mut ports: Vec<u16> = Vec::new();
    let mut short = false;
    let mut taken: HashSet<PortKey> = HashSet::new();
    let mut granted: HashMap<RequesterId, usize> = HashMap::new();
    let mut names = HashSet::new();
    for wanted in &allocate.wanted {
        let request = wanted.request.as_ref().map(|request| &request.key);
        // A key is unique on its host, a request's key everywhere.
        let both = [("key", Some(&wanted.host), wanted.key.as_ref()), ("idempotency key", None, request)];
        for (kind, host, name) in both {
            if let Some(name) = name
                && !names.insert((kind, wanted.requester, host, name))
            {
                return Err(Refusal::NamedTwice { kind, name: name.clone() });
            }
        }
        match held(state, wanted)? {
            Some(Held::Answered(lease)) => {
                ports.push(lease.terms.port);
                leases.push(lease.id);
            }
            Some(Held::Named(lease)) => {
                ports.push(lease.terms.port);
                let ttl = wanted.ttl.or(lease.ttl);
                changes.push(Change::PortRenewed { lease: lease.id, node: lease.node, ttl });
                leases.push(lease.id);
            }
            None => {
                let count = granted.entry(wanted.requester).or_default();
                admit(state, &allocate.rules, wanted, *count)?;
                *count += 1;
                changes.extend(conflicts(wanted, &allocate.rules, None));
                match terms(state, now, wanted, &allocate.rules, None, &mut taken)? {
                    Some(terms) => {
                        ports.push(terms.port);
                        let default = wanted.process.is_none().then_some(allocate.rules.ttl);
                        let (lease, node, ttl) = (wanted.id, wanted.node, wanted.ttl.or(default));
                        changes.push(Change::PortAllocated { lease, terms: Arc::new(terms), node, ttl });
                        leases.push(lease);
                    }
                    None => short = true,
                }
            }
        }
    }
    if short {
        // What was found in use is remembered all the same, so that nobody runs into it again at once.
        changes.retain(|change| matches!(change, Change::PortConflict { .. }));
        let found = allocate.wanted.iter().find(|wanted| !wanted.probes.is_empty()).map(in_use);
        let refusal = found.unwrap_or(Refusal::HeldApart);
        return Ok(Decision { changes, answer: Answer::NotLeased(refusal) });
    }
    if allocate.contiguous && !ports.windows(2).all(|pair| Some(pair[1]) == pair[0].checked_add(1)) {
        return Err(Refusal::HeldApart);
    }
    Ok(Decision { changes, answer: Answer::Leased(leases) })
}

/// What the lease is granted for; `None` where no number was found free.
fn terms(
    state: &State,
    now: Time,
    wanted: &Wanted,
    rules: &Rules,
    rebound_from: Option<LeaseId>,
    taken: &mut HashSet<PortKey>,
) -> Result<Option<LeaseTerms>, Refusal> {
    let found = wanted.probes.iter().find(|probe| !matches!(probe.found, Found::InUse(_)));
    let Some(probe) = found else { return Ok(None) };
    let terms = LeaseTerms {
        host: wanted.host.clone(),
        port: probe.port,
        protocol: wanted.protocol,
        transports: wanted.transports,
        requester: wanted.requester,
        principal: wanted.principal.clone(),
        program: wanted.program.clone(),
        process: wanted.process,
        purpose: wanted.purpose.clone(),
        topics: wanted.topics.clone(),
        key: wanted.key.clone(),
        request: wanted.request.clone(),
        range: wanted.range,
        quarantine_seconds: rules.quarantine_seconds,
        probed: probe.found == Found::Free,
        requested_at: wanted.requested_at.min(now),
        rebound_from,
    };
    for key in terms.keys() {
        let because = pool::why_not(state, rules, now, &key, wanted.requester);
        let because = because.or_else(|| taken.contains(&key).then_some(Because::Claimed));
        if let Some(because) = because {
            return Err(Refusal::PortUnavailable {
                host: wanted.host.clone(),
                port: probe.port,
                transports: wanted.transports,
                because: Box::new(because),
            });
        }
        taken.insert(key);
    }
    Ok(Some(terms))
}

fn conflicts<'a>(wanted: &'a Wanted, rules: &'a Rules, lease: Option<&'a Lease>) -> impl Iterator<Item = Change> + 'a {
    wanted.probes.iter().filter_map(move |probe| match &probe.found {
        Found::InUse(reason) => Some(Change::PortConflict {
            host: wanted.host.clone(),
            port: probe.port,
            transports: wanted.transports,
            lease: lease.map(|lease| lease.id),
            node: lease.and_then(|lease| lease.node),
            reason: reason.clone(),
            quarantine_seconds: rules.conflict_quarantine_seconds,
        }),
        Found::Free | Found::Unprobed => None,
    })
}

fn in_use(wanted: &Wanted) -> Refusal {
    let found = wanted.probes.iter().rev().find_map(|probe| match &probe.found {
        Found::InUse(reason) => Some((probe.port, reason.clone())),
        Found::Free | Found::Unprobed => None,
    });
    let (port, reason) = found.unwrap_or((0, "nothing was found free".to_owned()));
    Refusal::PortUnavailable {
        host: wanted.host.clone(),
        port,
        transports: wanted.transports,
        because: Box::new(Because::InUse(reason)),
    }
}

/// The lease, where it holds and is the caller's.
pub fn owned<'a>(state: &'a State, id: LeaseId, owner: &Owner) -> Result<&'a Arc<Lease>, Refusal> {
    let lease = state.leases.get(id).ok_or(Refusal::LeaseNotFound { lease: id })?;
    let terms = &lease.terms;
    let others = owner.requester.is_some_and(|requester| requester != terms.requester);
    if others || terms.principal != owner.principal || terms.process.is_some() {
        let holder = pool::holder(state, lease);
        return Err(Refusal::LeaseNotOwned { lease: id, port: terms.port, holder });
    }
    match lease.end.clone() {
        None => Ok(lease),
        Some(end) => Err(Refusal::LeaseEnded { lease: id, port: terms.port, at: end.at, cause: end.cause }),
    }
}

pub(super) fn renew(
    state: &State,
    id: LeaseId,
    owner: &Owner,
    ttl: Option<crate::model::Ttl>,
) -> Result<Decision, Refusal> {
    let lease = owned(state, id, owner)?;
    let changes = vec![Change::PortRenewed { lease: id, node: lease.node, ttl: ttl.or(lease.ttl) }];
    Ok(Decision { changes, answer: Answer::Leased(vec![id]) })
}

pub(super) fn release(state: &State, id: LeaseId, owner: &Owner) -> Result<Decision, Refusal> {
    let lease = owned(state, id, owner)?;
    let changes = vec![Change::PortEnded { lease: id, node: lease.node, cause: EndCause::Released }];
    Ok(Decision { changes, answer: Answer::Leased(vec![id]) })
}

pub(super) fn rebind(state: &State, now: Time, rebind: &Rebind) -> Result<Decision, Refusal> {
    let Rebind { lease: id, owner, reason, wanted, rules } = rebind;
    let lease = owned(state, *id, owner)?;
    let mut changes: Vec<Change> = conflicts(wanted, rules, None).collect();
    let mut taken = lease.terms.keys().collect();
    let Some(terms) = terms(state, now, wanted, rules, Some(*id), &mut taken)? else {
        return Ok(Decision { changes, answer: Answer::NotLeased(in_use(wanted)) });
    };
    changes.push(Change::PortConflict {
        host: lease.terms.host.clone(),
        port: lease.terms.port,
        transports: lease.terms.transports,
        lease: Some(*id),
        node: lease.node,
        reason: reason.clone(),
        quarantine_seconds: rules.conflict_quarantine_seconds,
    });
    let cause = EndCause::Rebound { replacement: wanted.id, reason: reason.clone() };
    changes.push(Change::PortEnded { lease: *id, node: lease.node, cause });
    let (node, ttl) = (lease.node, wanted.ttl);
    changes.push(Change::PortAllocated { lease: wanted.id, terms: Arc::new(terms), node, ttl });
    Ok(Decision { changes, answer: Answer::Leased(vec![wanted.id]) })
}

/// Processes that held leases are gone.
pub(super) fn processes_gone(state: &State, processes: &[crate::model::Process]) -> Decision {
    let leases = processes.iter().flat_map(|process| state.leases.of_process(process)).take(ENDED_AT_ONCE_MAX);
    let changes: Vec<Change> = leases
        .map(|lease| Change::PortEnded { lease: lease.id, node: lease.node, cause: EndCause::ProcessGone })
        .collect();
    Decision { answer: Answer::Kept(changes.len()), changes }
}

/// The end of a node's leases, with the node.
pub(super) fn end_of_node<'a>(
    state: &'a State,
    node: NodeId,
    cause: &'a EndCause,
) -> impl Iterator<Item = Change> + 'a {
    let end = move |lease: &Arc<Lease>| Change::PortEnded { lease: lease.id, node: Some(node), cause: cause.clone() };
    state.leases.of_node(node).map(end)
}

/// Makes leases go with the node that names them as places it serves.
pub(super) fn attach(state: &State, node: NodeId, principal: &str, ports: &[NodePort]) -> Result<Vec<Change>, Refusal> {
    let mut changes: Vec<Change> = Vec::new();
    for port in ports {
        let Some(id) = port.lease else { continue };
        let owner = Owner { principal: principal.to_owned(), requester: None };
        let lease = owned(state, id, &owner)?;
        if port.port.is_some_and(|number| number != lease.terms.port) {
            return Err(Refusal::LeaseOfAnother { lease: id, port: lease.terms.port, name: port.name.clone() });
        }
        let carries = |transport| lease.terms.transports.all().contains(&transport);
        if !port.protocol.transport().is_some_and(carries) {
            let (transports, name) = (lease.terms.transports, port.name.clone());
            return Err(Refusal::LeaseOfAnotherKind { lease: id, transports, name });
        }
        match lease.node {
            Some(owner) if owner == node => {}
            Some(_) => {
                let holder = pool::holder(state, lease);
                return Err(Refusal::LeaseNotOwned { lease: id, port: lease.terms.port, holder });
            }
            None if changes.iter().any(|change| change.lease() == Some(id)) => {}
            None => changes.push(Change::PortAttached { lease: id, node }),
        }
    }
    Ok(changes)
}

/// The leases that a node's registration names and had not named before.
pub(super) fn newly_named(ports: &[NodePort], known: Option<&Arc<Node>>) -> Vec<NodePort> {
    let before = |lease: LeaseId| {
        let declared = known.map(|node| &node.declared);
        declared.is_some_and(|declared| {
            declared.inbound.iter().chain(&declared.outbound).any(|port| port.lease == Some(lease))
        })
    };
    ports.iter().filter(|port| port.lease.is_some_and(|lease| !before(lease))).cloned().collect()
}
