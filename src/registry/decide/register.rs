//! Registration: one step for a node, its contract, its tools and the places it serves.

use super::{Answer, Decision, Registered, port, thawed};
use crate::model::{Change, CollisionKey, ContentHash};
use crate::model::{Declared, Node, NodeId, NodeKind, NodeStatus, Offer, OfferSource, Time, ToolKey, Trust};
use crate::registry::command::{NodeContract, OfferedTool, Patch, Register};
use crate::registry::pool;
use crate::registry::refusal::Refusal;
use crate::registry::state::State;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn decide(state: &State, register: &Register) -> Result<Decision, Refusal> {
    let known = find(state, register)?;
    let id = known.map_or_else(|| register_id(register), |node| node.id);
    let declared = declared(register, known)?;
    if let Some(holder) = state.node_names.get(&declared.name).filter(|holder| **holder != id) {
        return Err(Refusal::NameTaken { name: declared.name, holder: *holder });
    }
    signed(register, known, &declared)?;
    let offers = offers(state, register, known, id)?;

    let mut warnings = Vec::new();
    let mut changes = Vec::new();
    if let Some(NodeContract { contract, .. }) = &register.contract
        && !state.contracts.contains_key(&contract.hash)
    {
        changes.push(Change::ContractRegistered { contract: contract.clone() });
        note_unversioned_change(state, known, contract, &mut warnings);
    }
    let served: Vec<_> = declared.inbound.iter().chain(&declared.outbound).cloned().collect();
    let attached = port::attach(state, id, &register.principal, &port::newly_named(&served, known))?;
    let moves = node_changes(register, known, id, declared, &mut changes);
    changes.extend(attached);
    for lease in served.iter().filter_map(|port| pool::latest(state, port.lease?)) {
        if let Some(end) = &lease.end {
            let (port, cause) = (lease.terms.port, &end.cause);
            warnings.push(format!("port {port} is no longer promised: its lease {} ended: {cause}", lease.id));
        }
    }
    for offer in offers.values() {
        let ToolKey { name, version } = &offer.definition.key;
        if let Some(defect) = &offer.definition.defect {
            warnings.push(format!("tool {name} {version} takes no calls until it is mended: {defect}"));
        }
    }
    let tools_from = changes.len();
    tool_changes(state, known, id, offers, &mut changes);
    let says_otherwise = moves.says_otherwise || changes.len() > tools_from;

    if let Some(node) = known
        && says_otherwise
    {
        thawed(node)?;
    }
    if let Some(in_document) = register.contract.as_ref().and_then(|contract| contract.node_id)
        && in_document != id
    {
        warnings.push(format!("the document gives the id {in_document}; the node is known as {id} and keeps that"));
    }
    collisions(state, register, known, id, &mut changes, &mut warnings);
    let answer = Registered { node: id, created: known.is_none(), changed: says_otherwise || moves.status, warnings };
    Ok(Decision { changes, answer: Answer::Registered(answer) })
}

/// A node with a key has its registrations signed by it; another key takes its place by that, too, or by an admin's word.
fn signed(register: &Register, known: Option<&Arc<Node>>, declared: &Declared) -> Result<(), Refusal> {
    let is_signed_by = |key| register.signed_by.contains(&key);
    let before = known.and_then(|node| Some((node, node.declared.public_key?)));
    if let Some((node, key)) = before
        && !is_signed_by(key)
        && !register.overrules_key
    {
        return Err(Refusal::SignatureMissing { node: node.id, name: declared.name.clone() });
    }
    let overruled = before.is_some_and(|(_, key)| is_signed_by(key));
    match register.public_key {
        Some(key) if !is_signed_by(key) && !overruled => Err(Refusal::KeyUnproven { name: declared.name.clone() }),
        _ => Ok(()),
    }
}

fn register_id(register: &Register) -> NodeId {
    let in_contract = register.contract.as_ref().and_then(|contract| contract.node_id);
    register.id.or(in_contract).unwrap_or(register.fresh_id)
}

fn name(register: &Register) -> Option<&crate::model::NodeName> {
    register.name.as_ref().or(register.contract.as_ref().map(|contract| &contract.node_name))
}

/// The node that is meant: by the id, else by the name.
fn find<'a>(state: &'a State, register: &Register) -> Result<Option<&'a Arc<Node>>, Refusal> {
    let in_contract = register.contract.as_ref().and_then(|contract| contract.node_id);
    if let Some(id) = register.id {
        return Ok(state.node(id));
    }
    let by_contract = in_contract.and_then(|id| state.node(id));
    match name(register) {
        Some(name) => Ok(by_contract.or_else(|| state.node_by_name(name.as_str()))),
        None => Err(Refusal::NameMissing),
    }
}

fn declared(register: &Register, known: Option<&Arc<Node>>) -> Result<Declared, Refusal> {
    let before = known.map(|node| Declared::clone(&node.declared));
    let document = register.contract.as_ref();
    let contract = document.map(|document| &document.contract);
    let name = match (name(register), &before) {
        (Some(name), _) => name.clone(),
        (None, Some(before)) => before.name.clone(),
        (None, None) => {
            return Err(register.id.map_or(Refusal::NameMissing, |node| Refusal::NodeNotFound { node }));
        }
    };
    let base = before.unwrap_or_else(|| blank(name.clone()));
    let tags = document.map(|document| document.tags.clone()).filter(|tags| !tags.is_empty());
    Ok(Declared {
        name,
        kind: register.kind.or(contract.and_then(|contract| contract.kind)).unwrap_or(base.kind),
        version: register
            .version
            .clone()
            .or(document.and_then(|document| document.node_version.clone()))
            .over(base.version),
        description: register
            .description
            .clone()
            .or(contract.and_then(|contract| contract.description.clone()))
            .over(base.description),
        tags: register.tags.clone().or(tags).over(Some(base.tags)).unwrap_or_default(),
        namespace: register
            .namespace
            .clone()
            .or(document.and_then(|document| document.namespace.clone()))
            .over(base.namespace),
        host: register.host.clone().over(base.host),
        execution_mode: register.execution_mode.unwrap_or(base.execution_mode),
        metadata: register.metadata.clone().over(Some(base.metadata)).unwrap_or_else(no_metadata),
        capabilities: register.capabilities.clone().over(Some(base.capabilities)).unwrap_or_default(),
        inbound: register.inbound.clone().over(Some(base.inbound)).unwrap_or_default(),
        outbound: register.outbound.clone().over(Some(base.outbound)).unwrap_or_default(),
        owned_by_agent: register.owned_by_agent.clone().over(base.owned_by_agent),
        subscribed_by_agents: register
            .subscribed_by_agents
            .clone()
            .over(Some(base.subscribed_by_agents))
            .unwrap_or_default(),
        contract: contract.map(|contract| contract.hash).or(base.contract),
        public_key: register.public_key.or(base.public_key),
    })
}

fn no_metadata() -> Arc<Value> {
    Arc::new(Value::Object(serde_json::Map::new()))
}

/// What is known of a node of which nothing has been said.
fn blank(name: crate::model::NodeName) -> Declared {
    Declared {
        name,
        kind: NodeKind::Other,
        version: None,
        description: None,
        tags: Vec::new(),
        namespace: None,
        host: None,
        execution_mode: Default::default(),
        metadata: no_metadata(),
        capabilities: Default::default(),
        inbound: Vec::new(),
        outbound: Vec::new(),
        owned_by_agent: None,
        subscribed_by_agents: Vec::new(),
        contract: None,
        public_key: None,
    }
}

/// Every offer that the node makes from now on, by tool.
fn offers(
    state: &State,
    register: &Register,
    known: Option<&Arc<Node>>,
    id: NodeId,
) -> Result<BTreeMap<ToolKey, Offer>, Refusal> {
    let mut offers = BTreeMap::new();
    let mut add = |tool: &OfferedTool, source: OfferSource| {
        let mut offer = offer(tool, source, id);
        if let Some(earlier) = offers.get(&tool.definition.key) {
            agree(earlier, &mut offer)?;
        }
        offers.insert(tool.definition.key.clone(), offer);
        Ok(())
    };
    if let Some(document) = &register.contract {
        for tool in &document.tools {
            add(tool, OfferSource::Contract)?;
        }
    }
    if let Patch::Set(tools) = &register.tools {
        for tool in tools {
            add(tool, OfferSource::Fields)?;
        }
    }
    // What this registration says nothing of stays as it was.
    let kept = known.iter().flat_map(|node| &node.tools).filter_map(|key| state.tools.get(key));
    for offer in kept.flat_map(|tool| &tool.offers).filter(|offer| offer.node == id) {
        let keep = match offer.source {
            OfferSource::Fields => register.tools == Patch::Keep,
            OfferSource::Contract => register.contract.is_none(),
        };
        match offers.get_mut(&offer.definition.key) {
            Some(now) if keep => agree(offer, now)?,
            None if keep => _ = offers.insert(offer.definition.key.clone(), offer.clone()),
            _ => {}
        }
    }
    Ok(offers)
}

/// A node says one thing of a tool, in its contract and beside it; what the contract offers stays the contract's.
fn agree(other: &Offer, offer: &mut Offer) -> Result<(), Refusal> {
    if other.definition.hash != offer.definition.hash {
        let ToolKey { name, version } = &offer.definition.key;
        return Err(Refusal::ToolOfferedTwice { name: name.to_string(), version: version.to_string() });
    }
    if other.source == OfferSource::Contract {
        offer.source = OfferSource::Contract;
    }
    Ok(())
}

fn offer(tool: &OfferedTool, source: OfferSource, node: NodeId) -> Offer {
    Offer {
        node,
        definition: tool.definition.clone(),
        source,
        transport: tool.transport,
        endpoint: tool.endpoint.clone(),
        ttl: tool.ttl,
        expires_at: None,
        max_in_flight: tool.max_in_flight,
        registered_at: Time::default(),
    }
}

/// What a registration changes of the node itself.
struct Moves {
    /// It says something else of itself than before.
    says_otherwise: bool,
    /// It has another status than before.
    status: bool,
}

fn node_changes(
    register: &Register,
    known: Option<&Arc<Node>>,
    id: NodeId,
    declared: Declared,
    changes: &mut Vec<Change>,
) -> Moves {
    let live = !register.declare_only;
    let Some(node) = known else {
        let status = if live { NodeStatus::Online } else { NodeStatus::Declared };
        let ttl = register.ttl.clone().over(None);
        changes.push(Change::NodeRegistered { node: id, declared: Arc::new(declared), status, ttl });
        return Moves { says_otherwise: true, status: true };
    };
    let ttl = register.ttl.clone().over(node.ttl);
    let status = match node.status {
        NodeStatus::Offline if live => {
            changes.push(Change::NodeRejoined { node: id, ttl });
            NodeStatus::Online
        }
        // Who registers anew begins anew.
        NodeStatus::Declared | NodeStatus::Draining if live => NodeStatus::Online,
        status => status,
    };
    let says_otherwise = *node.declared != declared;
    let woken = live && matches!(node.status, NodeStatus::Declared | NodeStatus::Draining);
    if says_otherwise || woken || (!live && ttl != node.ttl) {
        let trust_reset = node.declared.contract.is_some()
            && node.declared.contract != declared.contract
            && node.trust != Trust::default();
        // The same allocation where nothing in it changed: applying then leaves the indexes alone.
        let declared = if says_otherwise { Arc::new(declared) } else { node.declared.clone() };
        changes.push(Change::NodeUpdated { node: id, declared, status, ttl, seen: live, trust_reset });
    } else if live && node.status.is_live() {
        changes.push(Change::NodeSeen { node: id, ttl, renew_leases: false, tools: None });
    }
    Moves { says_otherwise, status: status != node.status }
}

fn tool_changes(
    state: &State,
    known: Option<&Arc<Node>>,
    id: NodeId,
    offers: BTreeMap<ToolKey, Offer>,
    changes: &mut Vec<Change>,
) {
    for key in known.iter().flat_map(|node| &node.tools).filter(|key| !offers.contains_key(key)) {
        changes.push(Change::ToolRemoved { node: id, tool: key.clone() });
    }
    for offer in offers.into_values() {
        let known = state.tools.get(&offer.definition.key);
        let before = known.and_then(|tool| tool.offers.iter().find(|known| known.node == id));
        if !before.is_some_and(|before| says_the_same(before, &offer)) {
            changes.push(Change::ToolRegistered { offer: Box::new(offer) });
        }
    }
}

fn says_the_same(before: &Offer, now: &Offer) -> bool {
    before.definition.hash == now.definition.hash
        && before.source == now.source
        && before.transport == now.transport
        && before.endpoint == now.endpoint
        && before.ttl == now.ttl
        && before.max_in_flight == now.max_in_flight
}

/// Announces where what this registration brings differs from what others say under the same name and version.
fn collisions(
    state: &State,
    register: &Register,
    known: Option<&Arc<Node>>,
    id: NodeId,
    changes: &mut Vec<Change>,
    warnings: &mut Vec<String>,
) {
    let mut brought: Vec<(CollisionKey, ContentHash)> = Vec::new();
    if let Some(NodeContract { contract, .. }) = &register.contract
        && known.is_none_or(|node| node.declared.contract != Some(contract.hash))
    {
        let key = CollisionKey::Contract(contract.name.clone(), contract.version.clone());
        brought.push((key, ContentHash::Contract(contract.hash)));
    }
    brought.extend(changes.iter().filter_map(|change| match change {
        Change::ToolRegistered { offer } => {
            let ToolKey { name, version } = offer.definition.key.clone();
            Some((CollisionKey::Tool(name, version), ContentHash::Definition(offer.definition.hash)))
        }
        _ => None,
    }));
    for (collision, hash) in brought {
        let others = state
            .sides(&collision)
            .into_iter()
            .filter(|(side, _)| *side != hash)
            .find_map(|(_, nodes)| nodes.into_iter().find(|node| *node != id));
        if let Some(other) = others {
            let (what, name, version) = match &collision {
                CollisionKey::Contract(name, version) => ("contract", name.as_str(), version),
                CollisionKey::Tool(name, version) => ("tool", name.as_str(), version),
            };
            let whose = state.node(other).map_or_else(String::new, |node| node.declared.name.to_string());
            warnings.push(format!(
                "{what} {name} {version} is registered with other content by node {whose}; both are kept, and the \
                 one registered first counts"
            ));
            changes.push(Change::CollisionFound { collision, node: id });
        }
    }
}

/// Warns of content that changed under an unchanged version.
fn note_unversioned_change(
    state: &State,
    known: Option<&Arc<Node>>,
    contract: &crate::model::Contract,
    warnings: &mut Vec<String>,
) {
    let before = known.and_then(|node| state.contract_of(node));
    if let Some(before) = before
        && (&before.name, &before.version) == (&contract.name, &contract.version)
    {
        warnings.push(format!(
            "contract {} changed its content and kept its version {}: raise the version, so that others can tell \
             the two apart",
            contract.name, contract.version
        ));
    }
}
