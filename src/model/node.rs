//! A node: a program that offers tools or takes part in event flow.

use super::{
    ContractHash, LeaseId, NodeId, NodeKey, NodeName, PortProtocol, Time, ToolKey, TopicName, Trust, Ttl, Version,
};
use serde_json::Value;
use std::sync::Arc;

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// Offers tools.
    Tool,
    /// Judges other nodes.
    Validator,
    /// Takes part in tests.
    Test,
    /// Translates between systems.
    Adapter,
    /// Acts on its own account, with tools.
    Agent,
    /// Computes without side effects.
    Compute,
    /// Acts on the world outside.
    Effect,
    /// Folds events into state.
    Reducer,
    /// Directs other nodes.
    Orchestrator,
    /// Serves a long-lived function to others.
    Service,
    /// None of these, or not said.
    Other,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeStatus {
    /// Known from a contract; no live instance.
    Declared,
    /// Registered and within its lifetime.
    Online,
    /// Finishing its work; wants no new calls.
    Draining,
    /// Its registration lapsed.
    Offline,
}

impl NodeStatus {
    /// Whether an instance is there, working or finishing its work.
    pub fn is_live(self) -> bool {
        matches!(self, NodeStatus::Online | NodeStatus::Draining)
    }
}

/// Where a node's code runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExecutionMode {
    /// In a process on its host.
    #[default]
    Memory,
    /// In a container.
    Container,
    /// Somewhere the registry knows nothing of.
    External,
}

/// An address that a node serves, or a place on a bus that it has.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePort {
    /// Its name within the node, e.g. `metrics`.
    pub name: String,
    /// How it is spoken to.
    pub protocol: PortProtocol,
    /// The number, where there is one.
    pub port: Option<u16>,
    /// The lease that promises the number, where there is one.
    pub lease: Option<LeaseId>,
    /// The topic, for a place on a bus.
    pub topic: Option<TopicName>,
    /// The bus by name, for a place on a bus.
    pub bus: Option<String>,
    /// The whole address, where there is one.
    pub endpoint_uri: Option<String>,
}

/// What a node can do beyond its contract.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capabilities {
    /// Takes new code or configuration without a restart.
    pub supports_hot_reload: bool,
    /// Names of the models it can run.
    pub available_models: Vec<String>,
    /// Templates it holds, each by content.
    pub versioned_templates: Vec<TemplateVersion>,
    /// Names of flags that change its behaviour.
    pub override_flags: Vec<String>,
}

/// One template in one version.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateVersion {
    /// The template's id.
    pub template_id: String,
    /// The hash of its content, as its owner computes it.
    pub hash: String,
}

/// What a node says of itself: all that a registration gives, and nothing that the registry adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Unique in the registry.
    pub name: NodeName,
    /// What it is for.
    pub kind: NodeKind,
    /// Its version, where it says one.
    pub version: Option<Version>,
    /// One or a few sentences.
    pub description: Option<String>,
    /// In the order given, each once.
    pub tags: Vec<String>,
    /// The name space it belongs to, e.g. `omnibase.nodes`.
    pub namespace: Option<String>,
    /// The host it runs on.
    pub host: Option<String>,
    /// Where its code runs.
    pub execution_mode: ExecutionMode,
    /// A JSON object of the node's own.
    pub metadata: Arc<Value>,
    /// What it can do beyond its contract.
    pub capabilities: Capabilities,
    /// Where it takes things in.
    pub inbound: Vec<NodePort>,
    /// Where it gives things out.
    pub outbound: Vec<NodePort>,
    /// The agent it belongs to, by name.
    pub owned_by_agent: Option<String>,
    /// The agents that follow what it does, by name.
    pub subscribed_by_agents: Vec<String>,
    /// The contract it keeps, by content; `None` where it was registered without one.
    pub contract: Option<ContractHash>,
    /// The key that its registrations are signed with, where it has one.
    pub public_key: Option<NodeKey>,
}

/// A node as the registry knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Kept through every update.
    pub id: NodeId,
    /// What it says of itself.
    pub declared: Arc<Declared>,
    /// Whether it is there.
    pub status: NodeStatus,
    /// When it was first registered.
    pub registered_at: Time,
    /// When a live instance was last heard of; `None` for one that never was.
    pub last_seen_at: Option<Time>,
    /// How long a registration lasts without a heartbeat; `None` where it never lapses.
    pub ttl: Option<Ttl>,
    /// When the registration lapses unless renewed.
    pub expires_at: Option<Time>,
    /// Until when a registration that lapsed while the registry was down is kept all the same.
    pub grace_until: Option<Time>,
    /// How far it is trusted.
    pub trust: Trust,
    /// The tools it offers, in the order of their keys.
    pub tools: Vec<ToolKey>,
}

impl Node {
    /// The instant after which the registry takes the node for gone; `None` where that never comes.
    pub fn deadline(&self) -> Option<Time> {
        if !self.status.is_live() {
            return None;
        }
        self.expires_at.map(|expires_at| self.grace_until.map_or(expires_at, |grace| grace.max(expires_at)))
    }
}
