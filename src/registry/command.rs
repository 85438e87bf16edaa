//! A command: what somebody asks of the registry, with everything that deciding needs to know.
//!
//! A command has been parsed and checked by itself: its names are names, its schemas compile, its
//! lifetimes are within bounds. What only the state can tell is for `decide`.

use super::pool::Rules;
use crate::model::{
    Actor, Band, BusId, BusStatus, BusTerms, Capabilities, Change, Contract, DurableSubscriber, ExecutionMode,
    HostName, InvocationId, LeaseId, Lifecycle, NodeId, NodeKey, NodeKind, NodeName, NodePort, PortKey, PortProtocol,
    Process, RequestKey, RequesterId, SubscriberName, Time, TokenHash, TokenId, ToolDefinition, ToolName,
    ToolTransport, TopicName, TopicTerms, Transports, TrustState, Ttl, ValidatorId, Version,
};
use serde_json::Value;
use std::sync::Arc;

/// A command and who sent it.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Who asks.
    pub actor: Actor,
    /// What the caller calls the whole undertaking.
    pub correlation_id: Option<String>,
}

/// What can be asked of the registry.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make a node known, or change what is known of it.
    Register(Box<Register>),
    /// A live node says that it still is.
    Heartbeat(Heartbeat),
    /// Forget a node.
    Deregister {
        /// The node.
        node: NodeId,
        /// Why, in the caller's words.
        reason: Option<String>,
    },
    /// A validator's word on a node.
    Attest(Attest),
    /// Lease ports: all that are wanted, or none.
    Allocate(Box<Allocate>),
    /// A lease's lifetime starts anew.
    Renew {
        /// The lease.
        lease: LeaseId,
        /// Who says so.
        owner: Owner,
        /// How long it lasts from now; as before when absent.
        ttl: Option<Ttl>,
    },
    /// A lease is given back.
    Release {
        /// The lease.
        lease: LeaseId,
        /// Who gives it back.
        owner: Owner,
    },
    /// A leased number turned out unusable: another takes its place.
    Rebind(Box<Rebind>),
    /// What happened in a call of a tool.
    Record(Vec<Change>),
    /// A provider's answer to a call that has ended: recorded where it is the first.
    AnswerLate {
        /// The call as this provider knows it.
        call: InvocationId,
        /// Whether it is the tool's failure.
        failed: bool,
    },
    /// The registry was down: a call that was under way then ends.
    EndInterrupted(InvocationId),
    /// Make a token.
    CreateToken(Box<CreateToken>),
    /// Let a token count no longer.
    RevokeToken(TokenId),
    /// Make a bus known. It stands still until it is turned.
    CreateBus {
        /// The id that it gets.
        bus: BusId,
        /// What is asked for.
        terms: Arc<BusTerms>,
    },
    /// Whoever runs a bus says how it is.
    TurnBus(Box<TurnBus>),
    /// Forget a bus that stands still.
    DeleteBus(BusId),
    /// Say something of a topic of a bus.
    DefineTopic {
        /// The bus.
        bus: BusId,
        /// The topic.
        topic: TopicName,
        /// What.
        terms: Arc<TopicTerms>,
    },
    /// Listen on a bus by name.
    AttachSubscriber(Box<AttachSubscriber>),
    /// Let one who listens by name be forgotten.
    DetachSubscriber {
        /// The bus.
        bus: BusId,
        /// Its name.
        name: SubscriberName,
    },
    /// These processes are gone: what they held is free.
    ProcessesGone(Vec<Process>),
    /// Take for gone what has lapsed by now.
    ExpireLapsed,
    /// The registry was down: what lapsed meanwhile is kept so many seconds from now, once.
    GrantGrace {
        /// Seconds.
        seconds: u32,
    },
}

/// What a registration says of one thing: nothing, that there is none, or what it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Patch<T> {
    /// Nothing: what is known stays.
    #[default]
    Keep,
    /// There is none.
    Clear,
    /// It is this.
    Set(T),
}

impl<T> Patch<T> {
    /// What holds afterwards where `known` held before.
    pub fn over(self, known: Option<T>) -> Option<T> {
        match self {
            Patch::Keep => known,
            Patch::Clear => None,
            Patch::Set(value) => Some(value),
        }
    }

    /// This, or where it says nothing, what `other` gives.
    pub fn or(self, other: Option<T>) -> Self {
        match (self, other) {
            (Patch::Keep, Some(value)) => Patch::Set(value),
            (given, _) => given,
        }
    }
}

/// A registration. What it leaves unsaid is filled from its contract, else kept as it was.
#[derive(Clone, Debug)]
pub struct Register {
    /// The principal that registers: leases that it names must be its own.
    pub principal: String,
    /// The node, where the caller knows it; else the name says which.
    pub id: Option<NodeId>,
    /// The id that the node gets if it is new and the caller named none.
    pub fresh_id: NodeId,
    /// The name; from the contract, or as it was, when absent.
    pub name: Option<NodeName>,
    /// What it is for.
    pub kind: Option<NodeKind>,
    /// Its version.
    pub version: Patch<Version>,
    /// One or a few sentences.
    pub description: Patch<String>,
    /// Each once.
    pub tags: Patch<Vec<String>>,
    /// The name space it belongs to.
    pub namespace: Patch<String>,
    /// The host it runs on.
    pub host: Patch<String>,
    /// Where its code runs.
    pub execution_mode: Option<ExecutionMode>,
    /// A JSON object.
    pub metadata: Patch<Arc<Value>>,
    /// How long the registration lasts.
    pub ttl: Patch<Ttl>,
    /// Known from a contract only: no live instance is speaking.
    pub declare_only: bool,
    /// The contract it keeps, with the node's own fields and tools in it.
    pub contract: Option<NodeContract>,
    /// The tools it offers beside those of its contract.
    pub tools: Patch<Vec<OfferedTool>>,
    /// Where it takes things in.
    pub inbound: Patch<Vec<NodePort>>,
    /// Where it gives things out.
    pub outbound: Patch<Vec<NodePort>>,
    /// What it can do beyond its contract.
    pub capabilities: Patch<Capabilities>,
    /// The agent it belongs to, by name.
    pub owned_by_agent: Patch<String>,
    /// The agents that follow what it does, by name.
    pub subscribed_by_agents: Patch<Vec<String>>,
    /// The key that it signs with from now on.
    pub public_key: Option<NodeKey>,
    /// The keys, of those that matter here, whose signature of the contract was found right.
    pub signed_by: Vec<NodeKey>,
    /// Whether the caller may say anything of any node: then no signature of an earlier key is needed.
    pub overrules_key: bool,
}

impl Register {
    /// A registration that says nothing but, perhaps, a name.
    pub fn named(fresh_id: NodeId, name: Option<NodeName>) -> Self {
        Register {
            principal: Actor::anonymous(None).principal,
            id: None,
            fresh_id,
            name,
            kind: None,
            version: Patch::Keep,
            description: Patch::Keep,
            tags: Patch::Keep,
            namespace: Patch::Keep,
            host: Patch::Keep,
            execution_mode: None,
            metadata: Patch::Keep,
            ttl: Patch::Keep,
            declare_only: false,
            contract: None,
            tools: Patch::Keep,
            inbound: Patch::Keep,
            outbound: Patch::Keep,
            capabilities: Patch::Keep,
            owned_by_agent: Patch::Keep,
            subscribed_by_agents: Patch::Keep,
            public_key: None,
            signed_by: Vec::new(),
            overrules_key: false,
        }
    }
}

/// A contract document, read: the contract, and what it says of the node that keeps it.
#[derive(Clone, Debug)]
pub struct NodeContract {
    /// What is promised.
    pub contract: Arc<Contract>,
    /// The node's id, where the document gives one.
    pub node_id: Option<NodeId>,
    /// The node's name.
    pub node_name: NodeName,
    /// The node's version, which may differ from the contract's.
    pub node_version: Option<Version>,
    /// The name space it belongs to.
    pub namespace: Option<String>,
    /// Each once.
    pub tags: Vec<String>,
    /// The tools that the document offers.
    pub tools: Vec<OfferedTool>,
}

/// One tool as a registration offers it.
#[derive(Clone, Debug, PartialEq)]
pub struct OfferedTool {
    /// What is promised.
    pub definition: Arc<ToolDefinition>,
    /// How calls reach the provider.
    pub transport: ToolTransport,
    /// The provider's address for this tool.
    pub endpoint: Option<String>,
    /// How long the offer lasts without a heartbeat; `None`: as long as the node.
    pub ttl: Option<Ttl>,
    /// How many calls the provider takes at once.
    pub max_in_flight: Option<u32>,
}

/// A live node says that it still is.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// The node.
    pub node: NodeId,
    /// How long the registration lasts from now; as before when absent.
    pub ttl: Option<Ttl>,
    /// Whether it finishes its work and wants no new calls; as before when absent.
    pub draining: Option<bool>,
    /// Whether its port leases are renewed, too.
    pub renew_leases: bool,
    /// The tools whose offers are renewed; all of the node's when absent.
    pub tools: Option<Vec<ToolName>>,
}

/// Ports that are wanted in one step.
#[derive(Clone, Debug)]
pub struct Allocate {
    /// Each of them; the caller gets all or none.
    pub wanted: Vec<Wanted>,
    /// Whether the numbers are to be consecutive, in this order.
    pub contiguous: bool,
    /// What the configuration says.
    pub rules: Arc<Rules>,
}

/// One port that is wanted, and what was found on the way.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The id that the lease gets.
    pub id: LeaseId,
    /// For whom.
    pub requester: RequesterId,
    /// The principal that asks.
    pub principal: String,
    /// The program that asks, as it names itself.
    pub program: Option<String>,
    /// The process that is to hold it, for as long as that lives.
    pub process: Option<Process>,
    /// How it will be spoken to.
    pub protocol: PortProtocol,
    /// For which transports the number is wanted.
    pub transports: Transports,
    /// On which host.
    pub host: HostName,
    /// The node that it is to go with.
    pub node: Option<NodeId>,
    /// Topics that it serves.
    pub topics: Vec<TopicName>,
    /// What it is for.
    pub purpose: Option<String>,
    /// How long it lasts without a renewal.
    pub ttl: Option<Ttl>,
    /// The caller's name for this use.
    pub key: Option<String>,
    /// The caller's name for the request.
    pub request: Option<RequestKey>,
    /// The number that the caller would like.
    pub preferred: Option<u16>,
    /// The numbers that the caller wants it from.
    pub range: Option<Band>,
    /// When the request came in.
    pub requested_at: Time,
    /// The numbers that were looked at, in this order; the first that is not in use is the one that is picked.
    pub probes: Vec<Probe>,
}

impl Wanted {
    /// The promises that a number would make for it.
    pub fn keys(&self, port: u16) -> impl Iterator<Item = PortKey> + '_ {
        PortKey::each(&self.host, port, self.transports)
    }
}

/// A number that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The number.
    pub port: u16,
    /// What was found.
    pub found: Found,
}

/// What was found when looking at a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It could be bound, and listened at.
    Free,
    /// It could not; what the system said.
    InUse(String),
    /// The host is another, which cannot be looked at.
    Unprobed,
}

/// Who says something of a lease: it must be theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The principal.
    pub principal: String,
    /// The requester that it speaks for, where it says so.
    pub requester: Option<RequesterId>,
}

/// A leased number turned out unusable.
#[derive(Clone, Debug)]
pub struct Rebind {
    /// The lease.
    pub lease: LeaseId,
    /// Who says so.
    pub owner: Owner,
    /// What is wrong with the number, in the holder's words.
    pub reason: String,
    /// What is wanted in its place.
    pub wanted: Wanted,
    /// What the configuration says.
    pub rules: Arc<Rules>,
}

/// A token that is to be made.
#[derive(Clone, Debug)]
pub struct CreateToken {
    /// The id that it gets.
    pub id: TokenId,
    /// The principal that it is of.
    pub name: String,
    /// Of its secret.
    pub hash: TokenHash,
    /// Each once.
    pub roles: Vec<String>,
    /// The only node that it may act for.
    pub node: Option<NodeId>,
    /// From when on it counts no longer.
    pub expires_at: Option<Time>,
    /// The principal that makes it.
    pub created_by: String,
}

/// A validator's word on a node.
#[derive(Clone, Debug)]
pub struct Attest {
    /// The node.
    pub node: NodeId,
    /// Who says it.
    pub validator: ValidatorId,
    /// How far it trusts the node.
    pub state: TrustState,
    /// From 0 to 1.
    pub score: f64,
    /// What it found wrong.
    pub failure_modes: Vec<String>,
    /// How settled the registration is from now; as before when absent.
    pub lifecycle: Option<Lifecycle>,
    /// The key of the validator, where it is a node with one, whose signature of this was found right.
    pub signed_by: Option<NodeKey>,
    /// Whether the caller may speak as any validator: then no signature is needed.
    pub overrules_key: bool,
}

/// How a bus is, as whoever runs it found.
#[derive(Clone, Debug)]
pub struct TurnBus {
    /// The bus.
    pub bus: BusId,
    /// How it is.
    pub status: BusStatus,
    /// Why; `None` where somebody wanted it so.
    pub reason: Option<String>,
    /// The ports that it runs on.
    pub leases: Vec<LeaseId>,
    /// What else was found, by name: an object.
    pub diagnostics: Arc<Value>,
}

/// Somebody listens on a bus by name.
#[derive(Clone, Debug)]
pub struct AttachSubscriber {
    /// What it is to be, where it is not there yet.
    pub subscriber: DurableSubscriber,
    /// Whether the caller may listen as one that another principal made.
    pub overrules: bool,
}
