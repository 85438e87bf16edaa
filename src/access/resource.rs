//! What is asked for: an action, and what it is done with, as policies see both.

use crate::model::{
    Bus, Contract, HostName, Invocation, Lease, LeaseId, Node, NodeId, NodeName, RequesterId, Tool, ToolName,
    TopicName, TrustState,
};
use crate::registry::state::State;
use std::collections::BTreeSet;
use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// As policies name it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }

            /// The one of this name.
            pub fn of_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == name)
            }
        }
    };
}

words! {
    /// What is to be done.
    Action {
        /// To know of something.
        Read = "read",
        /// To follow changes, or events.
        Subscribe = "subscribe",
        /// To have a bus keep events for a name.
        Attach = "attach",
        /// To send an event.
        Publish = "publish",
        /// To make a node known, or change what is known of it.
        Register = "register",
        /// To say that a node is still there.
        Heartbeat = "heartbeat",
        /// To have a node forgotten.
        Deregister = "deregister",
        /// To judge a node.
        Attest = "attest",
        /// To be sent a node's calls.
        Listen = "listen",
        /// To answer a node's calls.
        Complete = "complete",
        /// To call a tool.
        Invoke = "invoke",
        /// To take a call back.
        Cancel = "cancel",
        /// To lease a port.
        Allocate = "allocate",
        /// To have a lease begin anew.
        Renew = "renew",
        /// To give a lease back.
        Release = "release",
        /// To have a lease replaced.
        Rebind = "rebind",
        /// To work with tokens and the audit.
        Administer = "administer",
    }
}

words! {
    /// What sort of thing it is done with.
    Kind {
        /// The registry itself.
        Registry = "Registry",
        /// A node.
        Node = "Node",
        /// A tool.
        Tool = "Tool",
        /// A contract.
        Contract = "Contract",
        /// A topic.
        Topic = "Topic",
        /// A bus.
        Bus = "Bus",
        /// The port numbers of a host.
        PortPool = "PortPool",
        /// A port lease.
        Lease = "Lease",
        /// A call of a tool.
        Invocation = "Invocation",
    }
}

impl Kind {
    /// Whether things of this kind are in the registry, as policies see it.
    pub fn is_in_registry(self) -> bool {
        self != Kind::Invocation
    }
}

/// The id of the registry itself.
pub(super) const REGISTRY_ID: &str = "onex";

/// What something is done with, with what policies may ask of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The registry itself.
    Registry,
    /// A node.
    Node(Box<NodeFacts>),
    /// A tool.
    Tool {
        /// Its name.
        name: String,
        /// Its version; empty where none was found.
        version: String,
        /// Its tags.
        tags: BTreeSet<String>,
        /// Who offers it.
        providers: BTreeSet<NodeId>,
    },
    /// A contract.
    Contract {
        /// Its content.
        hash: String,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// A topic.
    Topic(String),
    /// A bus.
    Bus(String),
    /// The numbers of a host.
    PortPool {
        /// The host.
        host: String,
        /// The requester that is named.
        requester: RequesterId,
        /// The node that the lease is to go with.
        node: Option<NodeId>,
    },
    /// A lease.
    Lease {
        /// Its id.
        id: LeaseId,
        /// The principal that holds it.
        holder: String,
        /// The requester that it names.
        requester: RequesterId,
        /// The node that it goes with.
        node: Option<NodeId>,
        /// The machine.
        host: String,
        /// The number.
        port: u16,
    },
    /// A call.
    Invocation {
        /// Its id.
        id: String,
        /// The tool.
        tool: String,
        /// The principal that called.
        caller: String,
        /// The nodes that have or had it.
        providers: BTreeSet<NodeId>,
    },
}

/// What policies may ask of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeFacts {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its name space.
    pub namespace: String,
    /// What it is for.
    pub kind: String,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// How far it is trusted.
    pub trust: &'static str,
    /// The agent that it belongs to.
    pub owner: String,
    /// Whether it is registered.
    pub registered: bool,
}

fn trust_word(state: TrustState) -> &'static str {
    match state {
        TrustState::Untrusted => "UNTRUSTED",
        TrustState::Trusted => "TRUSTED",
        TrustState::Verified => "VERIFIED",
    }
}

impl Resource {
    /// A node that is registered.
    pub fn of_node(node: &Node) -> Self {
        let declared = &node.declared;
        Resource::Node(Box::new(NodeFacts {
            id: node.id,
            name: declared.name.to_string(),
            namespace: declared.namespace.clone().unwrap_or_default(),
            kind: format!("{:?}", declared.kind).to_uppercase(),
            tags: declared.tags.iter().cloned().collect(),
            trust: trust_word(node.trust.state()),
            owner: declared.owned_by_agent.clone().unwrap_or_default(),
            registered: true,
        }))
    }

    /// A node that is not registered, or no longer.
    pub fn of_unknown_node(id: NodeId, name: Option<&NodeName>) -> Self {
        Resource::Node(Box::new(NodeFacts {
            id,
            name: name.map(NodeName::to_string).unwrap_or_default(),
            namespace: String::new(),
            kind: String::new(),
            tags: BTreeSet::new(),
            trust: trust_word(TrustState::Untrusted),
            owner: String::new(),
            registered: false,
        }))
    }

    /// The node with this id.
    pub fn of_node_id(state: &State, id: NodeId) -> Self {
        state.node(id).map_or_else(|| Resource::of_unknown_node(id, None), |node| Resource::of_node(node))
    }

    /// A tool that somebody offers.
    pub fn of_tool(tool: &Tool) -> Self {
        Resource::Tool {
            name: tool.key.name.to_string(),
            version: tool.key.version.to_string(),
            tags: tool.offers.iter().flat_map(|offer| &offer.definition.tags).cloned().collect(),
            providers: tool.offers.iter().map(|offer| offer.node).collect(),
        }
    }

    /// A tool that nobody offers.
    pub fn of_unknown_tool(name: &ToolName) -> Self {
        Resource::Tool {
            name: name.to_string(),
            version: String::new(),
            tags: BTreeSet::new(),
            providers: BTreeSet::new(),
        }
    }

    /// A contract.
    pub fn of_contract(contract: &Contract) -> Self {
        Resource::Contract {
            hash: contract.hash.to_string(),
            name: contract.name.to_string(),
            version: contract.version.to_string(),
        }
    }

    /// A topic.
    pub fn of_topic(name: &TopicName) -> Self {
        Resource::Topic(name.to_string())
    }

    /// A bus.
    pub fn of_bus(bus: &Bus) -> Self {
        Resource::Bus(bus.terms.name.to_string())
    }

    /// The numbers of a host, and for whom one is wanted.
    pub fn of_pool(host: &HostName, requester: RequesterId, node: Option<NodeId>) -> Self {
        Resource::PortPool { host: host.to_string(), requester, node }
    }

    /// A lease.
    pub fn of_lease(lease: &Lease) -> Self {
        Resource::Lease {
            id: lease.id,
            holder: lease.terms.principal.clone(),
            requester: lease.terms.requester,
            node: lease.node,
            host: lease.terms.host.to_string(),
            port: lease.terms.port,
        }
    }

    /// A call.
    pub fn of_invocation(invocation: &Invocation) -> Self {
        Resource::Invocation {
            id: invocation.id.to_string(),
            tool: invocation.asked.tool.to_string(),
            caller: invocation.asked.caller.clone(),
            providers: invocation.attempts.iter().map(|attempt| attempt.node).collect(),
        }
    }

    /// Whether it is something that is there, and that a caller may or may not know of.
    pub fn is_there(&self) -> bool {
        match self {
            Resource::Node(facts) => facts.registered,
            Resource::Lease { .. } | Resource::Invocation { .. } | Resource::Contract { .. } => true,
            _ => false,
        }
    }

    /// What sort of thing it is.
    pub fn kind(&self) -> Kind {
        match self {
            Resource::Registry => Kind::Registry,
            Resource::Node(_) => Kind::Node,
            Resource::Tool { .. } => Kind::Tool,
            Resource::Contract { .. } => Kind::Contract,
            Resource::Topic(_) => Kind::Topic,
            Resource::Bus(_) => Kind::Bus,
            Resource::PortPool { .. } => Kind::PortPool,
            Resource::Lease { .. } => Kind::Lease,
            Resource::Invocation { .. } => Kind::Invocation,
        }
    }

    /// Its id, as policies name it.
    pub fn id(&self) -> String {
        match self {
            Resource::Registry => REGISTRY_ID.to_owned(),
            Resource::Node(facts) => facts.id.to_string(),
            Resource::Tool { name, version, .. } if version.is_empty() => name.clone(),
            Resource::Tool { name, version, .. } => format!("{name}@{version}"),
            Resource::Contract { hash, .. } => hash.clone(),
            Resource::Topic(name) | Resource::Bus(name) => name.clone(),
            Resource::PortPool { host, .. } => host.clone(),
            Resource::Lease { id, .. } => id.to_string(),
            Resource::Invocation { id, .. } => id.clone(),
        }
    }

    /// The node that it is, or goes with.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Resource::Node(facts) => Some(facts.id),
            Resource::Lease { node, .. } | Resource::PortPool { node, .. } => *node,
            _ => None,
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Resource::Registry => "the registry".to_owned(),
            Resource::Node(facts) if facts.name.is_empty() => format!("node {}", facts.id),
            Resource::Node(facts) => format!("node {}", facts.name),
            Resource::Tool { name, .. } => format!("tool {name}"),
            Resource::Contract { name, version, .. } => format!("contract {name} {version}"),
            Resource::Topic(name) => format!("topic {name}"),
            Resource::Bus(name) => format!("bus {name}"),
            Resource::PortPool { host, node: None, .. } => format!("ports on {host}"),
            Resource::PortPool { host, node: Some(node), .. } => format!("ports on {host} for node {node}"),
            Resource::Lease { port, host, .. } => format!("the lease of port {port} on {host}"),
            Resource::Invocation { id, .. } => format!("invocation {id}"),
        }
    }
}

/// As policies name it: `Node::"…"`.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{:?}", self.kind().as_str(), self.id())
    }
}
