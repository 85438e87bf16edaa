//! The state: what the log adds up to, in collections that share structure between versions.
//!
//! Everything below `nodes`, `tools`, `contracts`, `collisions`, `leases`, `calls`, `tokens`, `buses`, `bus_topics` and
//! `subscribers` is an index that could be computed from these; [`State::check`] does so and compares.

use super::calls::Calls;
use super::leases::Leases;
use super::words::Words;
use crate::model::{
    Bus, BusId, BusName, CollisionKey, ContentHash, Contract, ContractHash, ContractName, DependencyKind,
    DurableSubscriber, LeaseId, Node, NodeId, NodeName, NodeStatus, Offer, Sequence, SubscriberName, Thing, Time,
    Token, TokenHash, TokenId, Tool, ToolDefinition, ToolId, ToolKey, ToolName, TopicName, TopicTerms, Version,
    VersionWanted,
};
use imbl::{HashMap, OrdMap, OrdSet};
use std::sync::Arc;

/// A contract and who keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldContract {
    /// The contract.
    pub contract: Arc<Contract>,
    /// When its content was first registered.
    pub registered_at: Time,
    /// The place in the log where it was: earlier ones come first where two share name and version.
    pub registered: Sequence,
    /// The nodes that keep it now; never empty between commands.
    pub holders: OrdSet<NodeId>,
}

/// Who is on a topic, as far as contracts say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicUse {
    /// Nodes that publish on it.
    pub publishers: OrdSet<NodeId>,
    /// Nodes that read it.
    pub subscribers: OrdSet<NodeId>,
    /// Nodes that send there what they could not handle.
    pub dead_letters: OrdSet<NodeId>,
}

impl TopicUse {
    fn is_empty(&self) -> bool {
        self.publishers.is_empty() && self.subscribers.is_empty() && self.dead_letters.is_empty()
    }
}

/// The nodes that an agent has to do with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentLinks {
    /// Nodes that belong to it.
    pub owns: OrdSet<NodeId>,
    /// Nodes that it follows.
    pub follows: OrdSet<NodeId>,
}

/// Something that lapses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lapsing {
    /// A registration.
    Node(NodeId),
    /// An offer with a lifetime of its own.
    Offer(NodeId, ToolKey),
    /// A port lease.
    Lease(LeaseId),
}

/// One version of the registry: complete and never changing once it is shared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The last change that this version reflects.
    pub sequence: Sequence,
    /// When that change was made.
    pub time: Time,
    /// Every node.
    pub nodes: HashMap<NodeId, Arc<Node>>,
    /// Every tool that somebody offers, by name, then from the lowest version to the highest.
    pub tools: OrdMap<ToolKey, Arc<Tool>>,
    /// Every contract that some node keeps.
    pub contracts: HashMap<ContractHash, Arc<HeldContract>>,
    /// What collides, and since when.
    pub collisions: OrdMap<CollisionKey, Time>,
    /// Port leases, and the numbers that are kept back.
    pub leases: Leases,
    /// Calls of tools: those under way, the last that ended, and what they add up to.
    pub calls: Calls,
    /// Tokens that have not been revoked; those that have expired are among them.
    pub tokens: OrdMap<TokenId, Arc<Token>>,
    /// Buses.
    pub buses: OrdMap<BusId, Arc<Bus>>,
    /// What is said of their topics.
    pub bus_topics: OrdMap<BusId, OrdMap<TopicName, Arc<TopicTerms>>>,
    /// Those who listen on them by name.
    pub subscribers: OrdMap<BusId, OrdMap<SubscriberName, Arc<DurableSubscriber>>>,

    /// Nodes by name.
    pub node_names: OrdMap<NodeName, NodeId>,
    /// Nodes by when they were first registered.
    pub nodes_by_registration: OrdSet<(Time, NodeId)>,
    /// Nodes by when they were last seen; those never seen come first.
    pub nodes_by_last_seen: OrdSet<(Option<Time>, NodeId)>,
    /// What lapses, the earliest first.
    pub deadlines: OrdSet<(Time, Lapsing)>,
    /// How many nodes have each status, in the order of [`NodeStatus`].
    pub status_counts: [usize; 4],
    /// Tools by id.
    pub tool_ids: HashMap<ToolId, ToolKey>,
    /// Contracts by name and version; the one that was registered first comes first.
    pub contract_names: OrdMap<(ContractName, Version), OrdSet<(Sequence, ContractHash)>>,
    /// Topics that contracts name.
    pub topics: OrdMap<TopicName, Arc<TopicUse>>,
    /// For each name of a node: who depends on it, whether it is registered or not.
    pub dependents: OrdMap<Arc<str>, OrdSet<NodeId>>,
    /// For each name of a tool: who depends on it, whether it is offered or not.
    pub tool_dependents: OrdMap<Arc<str>, OrdSet<NodeId>>,
    /// For each name of an agent: which nodes it has to do with, whether it is registered or not.
    pub agents: OrdMap<Arc<str>, Arc<AgentLinks>>,
    /// Words of nodes.
    pub node_words: Words,
    /// Words of tools, by tool id.
    pub tool_words: Words,
    /// Buses by name.
    pub bus_names: OrdMap<BusName, BusId>,
    /// Tokens by the hashes of their secrets.
    pub token_hashes: HashMap<TokenHash, TokenId>,
}

impl State {
    /// The node with this id.
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    /// The node with this name.
    pub fn node_by_name(&self, name: &str) -> Option<&Arc<Node>> {
        self.node_names.get(name).and_then(|id| self.nodes.get(id))
    }

    /// The node's contract, where it was registered with one.
    pub fn contract_of(&self, node: &Node) -> Option<&Arc<Contract>> {
        let held = self.contracts.get(&node.declared.contract?)?;
        Some(&held.contract)
    }

    /// The contract that counts under this name and version: the one registered first.
    pub fn contract_named(&self, name: &ContractName, version: &Version) -> Option<&Arc<HeldContract>> {
        let hashes = self.contract_names.get(&(name.clone(), version.clone()))?;
        self.contracts.get(&hashes.get_min()?.1)
    }

    /// Every version of a tool, the lowest first.
    pub fn tool_versions(&self, name: &ToolName) -> Vec<&Arc<Tool>> {
        let from = ToolKey { name: name.clone(), version: Version::lowest() };
        self.tools.range(from..).take_while(|(key, _)| key.name == *name).map(|(_, tool)| tool).collect()
    }

    /// The tool that a caller means who says this of its version, among those that `fits` lets through: of several the
    /// highest, and without a word of the version the highest release, else the highest. One whose definition has a
    /// defect hides no other.
    pub fn tool_wanted(
        &self,
        name: &ToolName,
        version: Option<&VersionWanted>,
        fits: impl Fn(&Tool) -> bool,
    ) -> Option<&Arc<Tool>> {
        if let Some(VersionWanted::Exactly(version)) = version {
            let key = ToolKey { name: name.clone(), version: version.clone() };
            return self.tools.get(&key).filter(|tool| fits(tool));
        }
        let wanted = |tool: &&Arc<Tool>| version.is_none_or(|version| version.matches(&tool.key.version)) && fits(tool);
        let versions = self.tool_versions(name).into_iter().filter(wanted);
        versions.max_by_key(|tool| (tool.is_sound(), version.is_some() || tool.key.version.is_release()))
    }

    /// The definition that calls of a tool are checked against: of offers without a defect that of the most trusted node
    /// that is ONLINE, else that of the most trusted; among equals the earliest. A provider that is gone, or that nobody
    /// trusts, hides nobody.
    pub fn definition_of<'a>(&self, tool: &'a Tool) -> &'a Arc<ToolDefinition> {
        let rank =
            |offer: &&Offer| self.node(offer.node).map(|node| (node.status == NodeStatus::Online, node.trust.state()));
        let sound = tool.offers.iter().filter(|offer| offer.definition.defect.is_none());
        // The last of equals is the greatest: from behind, that is the earliest.
        sound.rev().max_by_key(rank).map_or_else(|| tool.definition(), |offer| &offer.definition)
    }

    /// The token of this secret's hash.
    pub fn token_of(&self, hash: &TokenHash) -> Option<&Arc<Token>> {
        self.token_hashes.get(hash).and_then(|id| self.tokens.get(id))
    }

    /// The bus with this name.
    pub fn bus_by_name(&self, name: &str) -> Option<&Arc<Bus>> {
        self.bus_names.get(name).and_then(|id| self.buses.get(id))
    }

    /// What is said of topics of a bus.
    pub fn topics_of(&self, bus: BusId) -> impl Iterator<Item = (&TopicName, &Arc<TopicTerms>)> {
        self.bus_topics.get(&bus).into_iter().flatten()
    }

    /// Those who listen on a bus by name.
    pub fn subscribers_of(&self, bus: BusId) -> impl Iterator<Item = &Arc<DurableSubscriber>> {
        self.subscribers.get(&bus).into_iter().flat_map(OrdMap::values)
    }

    /// How many nodes have this status.
    pub fn count_of(&self, status: NodeStatus) -> usize {
        self.status_counts[status as usize]
    }

    /// The earliest instant at which something lapses; `None` where nothing does.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.get_min().map(|(time, _)| *time)
    }

    /// The sides of what may be a collision: each content with the nodes that say it, the first said first.
    pub fn sides(&self, key: &CollisionKey) -> Vec<(ContentHash, Vec<NodeId>)> {
        match key {
            CollisionKey::Contract(name, version) => self
                .contract_names
                .get(&(name.clone(), version.clone()))
                .into_iter()
                .flatten()
                .filter_map(|(_, hash)| self.contracts.get(hash))
                .map(|held| (ContentHash::Contract(held.contract.hash), held.holders.iter().copied().collect()))
                .collect(),
            CollisionKey::Tool(name, version) => {
                let mut sides: Vec<(ContentHash, Vec<NodeId>)> = Vec::new();
                let tool = self.tools.get(&ToolKey { name: name.clone(), version: version.clone() });
                for offer in tool.iter().flat_map(|tool| &tool.offers) {
                    let hash = ContentHash::Definition(offer.definition.hash);
                    match sides.iter_mut().find(|(side, _)| *side == hash) {
                        Some((_, nodes)) => nodes.push(offer.node),
                        None => sides.push((hash, vec![offer.node])),
                    }
                }
                sides
            }
        }
    }

    /// The state before the first change: there is the bus that is always there, and nothing else.
    pub fn beginning() -> Self {
        let (mut state, bus) = (State::default(), Bus::of_registry());
        state.bus_names.insert(bus.terms.name.clone(), bus.id);
        state.buses.insert(bus.id, bus);
        state
    }

    /// Everything that the state is made of, in the order in which a snapshot keeps it.
    ///
    /// The bus that is always there is not among it.
    pub fn things(&self) -> impl Iterator<Item = Thing> + '_ {
        let contracts = self.contracts.values();
        let contracts =
            contracts.map(|held| Thing::Contract(held.contract.clone(), held.registered, held.registered_at));
        let nodes = self.nodes.values().map(|node| Thing::Node(node.clone()));
        let tools = self.tools.values().map(|tool| Thing::Tool(tool.clone()));
        let collisions = self.collisions.iter().map(|(key, since)| Thing::Collision(key.clone(), *since));
        let tokens = self.tokens.values().map(|token| Thing::Token(token.clone()));
        let first = contracts.chain(nodes).chain(tools).chain(collisions);
        let buses = self.buses.values().filter(|bus| !bus.is_of_registry()).map(|bus| Thing::Bus(bus.clone()));
        let of_bus = |(bus, topics): (&BusId, &OrdMap<TopicName, Arc<TopicTerms>>)| {
            let bus = *bus;
            let topics = topics.clone().into_iter();
            topics.map(move |(topic, terms)| Thing::Topic(bus, topic, terms))
        };
        let topics = self.bus_topics.iter().flat_map(of_bus);
        let subscribers = self.subscribers.values().flat_map(OrdMap::values);
        let subscribers = subscribers.map(|subscriber| Thing::Subscriber(subscriber.clone()));
        let on_buses = buses.chain(topics).chain(subscribers);
        first.chain(self.leases.things()).chain(self.calls.things()).chain(tokens).chain(on_buses)
    }

    /// Adds a contract's topics and dependencies for a node that keeps it.
    pub(super) fn link(&mut self, node: NodeId, contract: &Contract) {
        for (topics, side) in sides_of(contract) {
            for topic in topics {
                let mut uses = self.topics.get(topic).map(|uses| TopicUse::clone(uses)).unwrap_or_default();
                side(&mut uses).insert(node);
                self.topics.insert(topic.clone(), Arc::new(uses));
            }
        }
        for dependency in &contract.dependencies {
            if let Some(index) = self.dependents_by(&dependency.kind) {
                index.entry(dependency.target.as_str().into()).or_default().insert(node);
            }
        }
    }

    /// Takes out what [`State::link`] added.
    pub(super) fn unlink(&mut self, node: NodeId, contract: &Contract) {
        for (topics, side) in sides_of(contract) {
            for topic in topics {
                let Some(mut uses) = self.topics.get(topic).map(|uses| TopicUse::clone(uses)) else { continue };
                side(&mut uses).remove(&node);
                if uses.is_empty() {
                    self.topics.remove(topic);
                } else {
                    self.topics.insert(topic.clone(), Arc::new(uses));
                }
            }
        }
        for dependency in &contract.dependencies {
            if let Some(index) = self.dependents_by(&dependency.kind) {
                remove_from(index, dependency.target.as_str(), node);
            }
        }
    }

    fn dependents_by(&mut self, kind: &DependencyKind) -> Option<&mut OrdMap<Arc<str>, OrdSet<NodeId>>> {
        match kind {
            DependencyKind::Node => Some(&mut self.dependents),
            DependencyKind::Tool => Some(&mut self.tool_dependents),
            DependencyKind::Other(_) => None,
        }
    }
}

type Side = fn(&mut TopicUse) -> &mut OrdSet<NodeId>;

fn sides_of(contract: &Contract) -> [(&Vec<TopicName>, Side); 3] {
    [
        (&contract.publishes, |uses| &mut uses.publishers),
        (&contract.subscribes, |uses| &mut uses.subscribers),
        (&contract.dead_letters, |uses| &mut uses.dead_letters),
    ]
}

pub(super) fn remove_from(index: &mut OrdMap<Arc<str>, OrdSet<NodeId>>, key: &str, node: NodeId) {
    if let Some(nodes) = index.get_mut(key) {
        nodes.remove(&node);
        if nodes.is_empty() {
            index.remove(key);
        }
    }
}
