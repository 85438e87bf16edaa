//! A change: one entry of the registry's log, and all that the state is made of.

use super::{
    Actor, Asked, Bus, BusId, BusName, BusNotice, BusStatus, BusTerms, CallError, CallStats, Contract, ContractHash,
    ContractName, Declared, DefinitionHash, Denial, DurableSubscriber, EndCause, Ending, HostName, Invocation,
    InvocationId, InvocationStatus, Lease, LeaseId, LeaseStatus, LeaseTerms, Lifecycle, Node, NodeId, NodeStatus,
    NoticeKind, Offer, PortKey, Quarantine, Sequence, SubscriberId, SubscriberName, Time, Token, TokenId, Tool,
    ToolKey, ToolName, TopicName, TopicTerms, Transports, Ttl, Verdict, Version,
};
use serde_json::Value;
use std::sync::Arc;

/// What happened. Each is a statement of fact: folding them in order gives the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A contract of a content that nobody held until now.
    ContractRegistered {
        /// The contract; the node that brought it is named by the change that follows.
        contract: Arc<Contract>,
    },
    /// A node that was not known until now.
    NodeRegistered {
        /// Its id.
        node: NodeId,
        /// What it says of itself.
        declared: Arc<Declared>,
        /// [`NodeStatus::Declared`] or [`NodeStatus::Online`].
        status: NodeStatus,
        /// How long the registration lasts.
        ttl: Option<Ttl>,
    },
    /// A known node says something else of itself, or became live, or drains.
    NodeUpdated {
        /// Its id.
        node: NodeId,
        /// What it now says of itself.
        declared: Arc<Declared>,
        /// What it now is.
        status: NodeStatus,
        /// How long the registration lasts.
        ttl: Option<Ttl>,
        /// Whether a live instance said this: then it was seen just now.
        seen: bool,
        /// Whether its contract is another one, which voids what validators said of the earlier.
        trust_reset: bool,
    },
    /// A live node was heard of. Kept out of the events that watchers see.
    NodeSeen {
        /// Its id.
        node: NodeId,
        /// How long the registration lasts from now.
        ttl: Option<Ttl>,
        /// Whether its port leases are renewed with it.
        renew_leases: bool,
        /// The tools whose offers are renewed with it; `None`: all of the node's.
        tools: Option<Vec<ToolName>>,
    },
    /// A node that had lapsed is back.
    NodeRejoined {
        /// Its id.
        node: NodeId,
        /// How long the registration lasts from now.
        ttl: Option<Ttl>,
    },
    /// A registration lapsed.
    NodeExpired {
        /// Its id.
        node: NodeId,
    },
    /// Registrations that lapsed while the registry was down are kept a while longer, once.
    NodeGraceGranted {
        /// The node.
        node: NodeId,
        /// Until when.
        until: Time,
    },
    /// A node is no longer known.
    NodeDeregistered {
        /// Its id.
        node: NodeId,
        /// Why, in the caller's words.
        reason: Option<String>,
    },
    /// A node offers a tool that it did not, or offers it otherwise.
    ToolRegistered {
        /// The offer; `registered_at` and `expires_at` are the change's own business and are set by applying it.
        offer: Box<Offer>,
    },
    /// A node no longer offers a tool.
    ToolRemoved {
        /// Who offered it.
        node: NodeId,
        /// The tool.
        tool: ToolKey,
    },
    /// An offer lapsed.
    ToolExpired {
        /// Who offered it.
        node: NodeId,
        /// The tool.
        tool: ToolKey,
    },
    /// Two nodes say different things under one name and version.
    CollisionFound {
        /// What collides.
        collision: CollisionKey,
        /// The node whose word differs from an earlier one's.
        node: NodeId,
    },
    /// A validator said something of a node.
    TrustChanged {
        /// The node.
        node: NodeId,
        /// What was said.
        verdict: Verdict,
        /// What was said of its lifecycle, if anything.
        lifecycle: Option<Lifecycle>,
    },
    /// A port was leased.
    PortAllocated {
        /// The lease.
        lease: LeaseId,
        /// What it was granted for.
        terms: Arc<LeaseTerms>,
        /// The node that it goes with.
        node: Option<NodeId>,
        /// How long it lasts from now without a renewal.
        ttl: Option<Ttl>,
    },
    /// A lease's lifetime starts anew.
    PortRenewed {
        /// The lease.
        lease: LeaseId,
        /// The node that it goes with.
        node: Option<NodeId>,
        /// How long it lasts from now.
        ttl: Option<Ttl>,
    },
    /// A lease goes with a node from now on: the node named it as the place that it serves. Kept out of the events
    /// that watchers see, who see the node's registration.
    PortAttached {
        /// The lease.
        lease: LeaseId,
        /// The node.
        node: NodeId,
    },
    /// A lease that lapsed while the registry was down is kept a while longer, once.
    PortGraceGranted {
        /// The lease.
        lease: LeaseId,
        /// The node that it goes with.
        node: Option<NodeId>,
        /// Until when.
        until: Time,
    },
    /// A lease ended. Its number is kept from others for as long as its terms say.
    PortEnded {
        /// The lease.
        lease: LeaseId,
        /// The node that it went with.
        node: Option<NodeId>,
        /// Why.
        cause: EndCause,
    },
    /// A number turned out to be in somebody's use whom the registry does not know. It is kept from everybody a while.
    PortConflict {
        /// The host.
        host: HostName,
        /// The number.
        port: u16,
        /// For which transports it was wanted.
        transports: Transports,
        /// The lease on it, where its holder reported this; `None` where a probe found it.
        lease: Option<LeaseId>,
        /// The node that the lease goes with.
        node: Option<NodeId>,
        /// What was found, in words.
        reason: String,
        /// For how many seconds the number is kept from everybody.
        quarantine_seconds: u32,
    },
    /// Somebody called a tool.
    CallInvoked {
        /// The call.
        call: InvocationId,
        /// What was asked.
        asked: Arc<Asked>,
    },
    /// A provider was chosen for a call.
    CallAccepted {
        /// The call.
        call: InvocationId,
        /// The tool that was found.
        tool: ToolKey,
        /// The provider.
        node: NodeId,
        /// The number of the attempt.
        attempt: u32,
        /// When.
        at: Time,
        /// What the caller may want to know, in sentences.
        warnings: Vec<String>,
    },
    /// A call reached no provider.
    CallRejected {
        /// The call.
        call: InvocationId,
        /// The tool that was asked for.
        tool: ToolName,
        /// Why.
        error: CallError,
        /// When.
        at: Time,
    },
    /// A call that had a provider ended.
    CallEnded {
        /// The call.
        call: InvocationId,
        /// The tool.
        tool: ToolKey,
        /// The provider that had it last.
        node: NodeId,
        /// How.
        ending: Arc<Ending>,
    },
    /// A provider answered a call that had ended: the answer was discarded.
    CallAnsweredLate {
        /// The call.
        call: InvocationId,
        /// The tool.
        tool: ToolKey,
        /// The provider.
        node: NodeId,
        /// The number of its attempt.
        attempt: u32,
        /// Whether the answer said that the tool failed.
        failed: bool,
        /// When.
        at: Time,
    },
    /// A token was made.
    TokenCreated {
        /// The token, without its secret.
        token: Arc<Token>,
    },
    /// A token counts no longer.
    TokenRevoked {
        /// The token.
        token: TokenId,
        /// The principal that it was of.
        name: String,
        /// The only node that it could act for, where it was bound to one.
        node: Option<NodeId>,
    },
    /// A bus that was not known until now.
    BusCreated {
        /// Its id.
        bus: BusId,
        /// What was asked for.
        terms: Arc<BusTerms>,
    },
    /// A bus runs, stands still, or is tried again.
    BusTurned {
        /// The bus.
        bus: BusId,
        /// How it is now.
        status: BusStatus,
        /// Why; `None` where somebody wanted it so.
        reason: Option<String>,
        /// The ports that it runs on.
        leases: Vec<LeaseId>,
        /// What whoever runs it found, by name: an object.
        diagnostics: Arc<Value>,
    },
    /// A bus is no longer known, nor are its topics and subscribers.
    BusDeleted {
        /// The bus.
        bus: BusId,
        /// Its name.
        name: BusName,
    },
    /// Something else is said of a topic of a bus.
    TopicDefined {
        /// The bus.
        bus: BusId,
        /// The topic.
        topic: TopicName,
        /// What is said of it now.
        terms: Arc<TopicTerms>,
    },
    /// One listens by name.
    SubscriberAttached {
        /// It.
        subscriber: Arc<DurableSubscriber>,
    },
    /// One listens by name no longer.
    SubscriberDetached {
        /// The bus.
        bus: BusId,
        /// Its id.
        subscriber: SubscriberId,
        /// Its name.
        name: SubscriberName,
    },
    /// A bus tells of its events.
    BusNoticed {
        /// What.
        notice: Box<BusNotice>,
    },
    /// Somebody was refused what it asked for.
    AccessDenied {
        /// What, why and how often. Who is the change's actor.
        denial: Box<Denial>,
        /// The node that it was about, where it was about one.
        node: Option<NodeId>,
    },
}

/// One name and version under which two nodes say different things.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CollisionKey {
    /// Contracts.
    Contract(ContractName, Version),
    /// Tool definitions.
    Tool(ToolName, Version),
}

/// What distinguishes the sides of a collision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentHash {
    /// A contract's.
    Contract(ContractHash),
    /// A tool definition's.
    Definition(DefinitionHash),
}

impl Change {
    /// The node that the change is about; `None` for a contract, which belongs to no one node.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Change::ContractRegistered { .. } => None,
            Change::NodeRegistered { node, .. }
            | Change::NodeUpdated { node, .. }
            | Change::NodeSeen { node, .. }
            | Change::NodeRejoined { node, .. }
            | Change::NodeExpired { node }
            | Change::NodeGraceGranted { node, .. }
            | Change::NodeDeregistered { node, .. }
            | Change::ToolRemoved { node, .. }
            | Change::ToolExpired { node, .. }
            | Change::CollisionFound { node, .. }
            | Change::TrustChanged { node, .. } => Some(*node),
            Change::ToolRegistered { offer } => Some(offer.node),
            Change::PortAttached { node, .. } => Some(*node),
            Change::CallInvoked { asked, .. } => asked.node,
            Change::CallRejected { .. } => None,
            Change::TokenCreated { token } => token.node,
            Change::TokenRevoked { node, .. } | Change::AccessDenied { node, .. } => *node,
            Change::BusCreated { .. }
            | Change::BusTurned { .. }
            | Change::BusDeleted { .. }
            | Change::TopicDefined { .. }
            | Change::SubscriberAttached { .. }
            | Change::SubscriberDetached { .. }
            | Change::BusNoticed { .. } => None,
            Change::CallAccepted { node, .. }
            | Change::CallEnded { node, .. }
            | Change::CallAnsweredLate { node, .. } => Some(*node),
            Change::PortAllocated { node, .. }
            | Change::PortRenewed { node, .. }
            | Change::PortGraceGranted { node, .. }
            | Change::PortEnded { node, .. }
            | Change::PortConflict { node, .. } => *node,
        }
    }

    /// The lease that the change is about, where it is about one.
    pub fn lease(&self) -> Option<LeaseId> {
        match self {
            Change::PortAllocated { lease, .. }
            | Change::PortRenewed { lease, .. }
            | Change::PortAttached { lease, .. }
            | Change::PortGraceGranted { lease, .. }
            | Change::PortEnded { lease, .. } => Some(*lease),
            Change::PortConflict { lease, .. } => *lease,
            _ => None,
        }
    }

    /// The tool that the change is about, where it is about one.
    pub fn tool(&self) -> Option<&ToolName> {
        match self {
            Change::ToolRegistered { offer } => Some(&offer.definition.key.name),
            Change::ToolRemoved { tool, .. } | Change::ToolExpired { tool, .. } => Some(&tool.name),
            Change::CollisionFound { collision: CollisionKey::Tool(name, _), .. } => Some(name),
            Change::CallInvoked { asked, .. } => Some(&asked.tool),
            Change::CallRejected { tool, .. } => Some(tool),
            Change::CallAccepted { tool, .. }
            | Change::CallEnded { tool, .. }
            | Change::CallAnsweredLate { tool, .. } => Some(&tool.name),
            _ => None,
        }
    }

    /// The call that the change is about, where it is about one.
    pub fn call(&self) -> Option<InvocationId> {
        match self {
            Change::CallInvoked { call, .. }
            | Change::CallAccepted { call, .. }
            | Change::CallRejected { call, .. }
            | Change::CallEnded { call, .. }
            | Change::CallAnsweredLate { call, .. } => Some(*call),
            _ => None,
        }
    }

    /// The bus that the change is about, where it is about one.
    pub fn bus(&self) -> Option<BusId> {
        match self {
            Change::BusCreated { bus, .. }
            | Change::BusTurned { bus, .. }
            | Change::BusDeleted { bus, .. }
            | Change::TopicDefined { bus, .. }
            | Change::SubscriberDetached { bus, .. } => Some(*bus),
            Change::SubscriberAttached { subscriber } => Some(subscriber.bus),
            Change::BusNoticed { notice } => Some(notice.bus),
            _ => None,
        }
    }

    /// The kind of event that watchers see; `None` for what they are spared.
    pub fn event_kind(&self) -> Option<EventKind> {
        Some(match self {
            Change::ContractRegistered { .. } => EventKind::ContractRegistered,
            Change::NodeRegistered { .. } => EventKind::NodeRegistered,
            Change::NodeUpdated { .. } => EventKind::NodeUpdated,
            Change::NodeSeen { .. } => return None,
            Change::NodeRejoined { .. } => EventKind::NodeRejoined,
            Change::NodeExpired { .. } => EventKind::NodeExpired,
            Change::NodeGraceGranted { .. } => EventKind::NodeGraceGranted,
            Change::NodeDeregistered { .. } => EventKind::NodeDeregistered,
            Change::ToolRegistered { .. } => EventKind::ToolRegistered,
            Change::ToolRemoved { .. } => EventKind::ToolRemoved,
            Change::ToolExpired { .. } => EventKind::ToolExpired,
            Change::CollisionFound { .. } => EventKind::ContractCollision,
            Change::TrustChanged { .. } => EventKind::TrustChanged,
            Change::PortAllocated { .. } => EventKind::PortAllocated,
            Change::PortRenewed { .. } => EventKind::PortRenewed,
            Change::PortAttached { .. } => return None,
            Change::PortGraceGranted { .. } => EventKind::PortGraceGranted,
            Change::PortEnded { cause, .. } => match cause.status() {
                LeaseStatus::Expired => EventKind::PortExpired,
                LeaseStatus::Rebound => EventKind::PortRebound,
                LeaseStatus::Released | LeaseStatus::Active => EventKind::PortReleased,
            },
            Change::PortConflict { .. } => EventKind::PortConflict,
            Change::CallInvoked { .. } => EventKind::ToolProxyInvoke,
            Change::CallAccepted { .. } => EventKind::ToolProxyAccepted,
            Change::CallRejected { error, .. } => match error.status_of_rejected() {
                InvocationStatus::Rejected => EventKind::ToolProxyRejected,
                InvocationStatus::TimedOut => EventKind::ToolProxyTimeout,
                _ => EventKind::ToolProxyError,
            },
            Change::CallEnded { ending, .. } => match ending.status {
                InvocationStatus::Succeeded => EventKind::ToolProxyResult,
                InvocationStatus::TimedOut => EventKind::ToolProxyTimeout,
                _ => EventKind::ToolProxyError,
            },
            Change::CallAnsweredLate { failed: false, .. } => EventKind::ToolProxyResult,
            Change::CallAnsweredLate { failed: true, .. } => EventKind::ToolProxyError,
            Change::TokenCreated { .. } => EventKind::TokenCreated,
            Change::TokenRevoked { .. } => EventKind::TokenRevoked,
            Change::AccessDenied { .. } => EventKind::AccessDenied,
            Change::BusCreated { .. } => EventKind::BusCreated,
            Change::BusTurned { status, .. } => match status {
                BusStatus::Running => EventKind::BusStarted,
                BusStatus::Degraded => EventKind::BusDegraded,
                BusStatus::Stopped => EventKind::BusStopped,
                BusStatus::Starting => return None,
            },
            Change::BusDeleted { .. } => EventKind::BusDeleted,
            Change::TopicDefined { .. } => EventKind::TopicDefined,
            Change::SubscriberAttached { .. } => EventKind::SubscriberAttached,
            Change::SubscriberDetached { .. } => EventKind::SubscriberDetached,
            Change::BusNoticed { notice } => match notice.kind {
                NoticeKind::InvalidSchema => EventKind::EventInvalidSchema,
                NoticeKind::Dropped => EventKind::EventDropped,
                NoticeKind::Backpressure => EventKind::EventBackpressure,
                NoticeKind::SubscriberSlow => EventKind::EventSubscriberSlow,
                NoticeKind::Retry => EventKind::EventRetry,
                NoticeKind::RetryLimitExceeded => EventKind::EventRetryLimitExceeded,
                NoticeKind::ReplayRequested => EventKind::EventReplayRequested,
                NoticeKind::ReplayDelivered => EventKind::EventReplayDelivered,
                NoticeKind::ReplayFailed => EventKind::EventReplayFailed,
            },
        })
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The kinds of change that watchers see.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $name,)*
        }

        impl EventKind {
            /// The kinds that calls of tools are of.
            pub const OF_CALLS: &[EventKind] = &[
                EventKind::ToolProxyInvoke,
                EventKind::ToolProxyAccepted,
                EventKind::ToolProxyRejected,
                EventKind::ToolProxyResult,
                EventKind::ToolProxyError,
                EventKind::ToolProxyTimeout,
            ];

            /// The kinds that say who may ask, and who was refused.
            pub const OF_ACCESS: &[EventKind] =
                &[EventKind::TokenCreated, EventKind::TokenRevoked, EventKind::AccessDenied];

            /// Every kind.
            pub const ALL: &[EventKind] = &[$(EventKind::$name,)*];

            /// The kind's name as the API and the log spell it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(EventKind::$name => $code,)*
                }
            }
        }
    };
}

event_kinds! {
    /// A contract of new content.
    ContractRegistered = "CONTRACT_REGISTERED",
    /// A new node.
    NodeRegistered = "NODE_REGISTERED",
    /// A node says something else of itself.
    NodeUpdated = "NODE_UPDATED",
    /// A lapsed node is back.
    NodeRejoined = "NODE_REJOINED",
    /// A registration lapsed.
    NodeExpired = "NODE_EXPIRED",
    /// A registration that lapsed while the registry was down is kept a while.
    NodeGraceGranted = "NODE_GRACE_GRANTED",
    /// A node is no longer known.
    NodeDeregistered = "NODE_DEREGISTERED",
    /// A node offers a tool.
    ToolRegistered = "TOOL_REGISTERED",
    /// A node no longer offers a tool.
    ToolRemoved = "TOOL_REMOVED",
    /// An offer lapsed.
    ToolExpired = "TOOL_EXPIRED",
    /// Two nodes say different things under one name and version.
    ContractCollision = "CONTRACT_COLLISION",
    /// A validator said something of a node.
    TrustChanged = "TRUST_CHANGED",
    /// A port was leased.
    PortAllocated = "PORT_ALLOCATED",
    /// A lease's lifetime starts anew.
    PortRenewed = "PORT_RENEWED",
    /// A lease that lapsed while the registry was down is kept a while.
    PortGraceGranted = "PORT_GRACE_GRANTED",
    /// A lease ended because its holder gave it back or is gone.
    PortReleased = "PORT_RELEASED",
    /// A lease was not renewed in time.
    PortExpired = "PORT_EXPIRED",
    /// A lease was replaced by another.
    PortRebound = "PORT_REBOUND",
    /// A number turned out to be in somebody else's use.
    PortConflict = "PORT_CONFLICT",
    /// Somebody called a tool.
    ToolProxyInvoke = "TOOL_PROXY_INVOKE",
    /// A provider was chosen for a call.
    ToolProxyAccepted = "TOOL_PROXY_ACCEPTED",
    /// A call reached no provider.
    ToolProxyRejected = "TOOL_PROXY_REJECTED",
    /// A tool answered.
    ToolProxyResult = "TOOL_PROXY_RESULT",
    /// A call failed, or was taken back.
    ToolProxyError = "TOOL_PROXY_ERROR",
    /// A call got no answer in time.
    ToolProxyTimeout = "TOOL_PROXY_TIMEOUT",
    /// A token was made.
    TokenCreated = "TOKEN_CREATED",
    /// A token counts no longer.
    TokenRevoked = "TOKEN_REVOKED",
    /// Somebody was refused what it asked for.
    AccessDenied = "ACCESS_DENIED",
    /// A new bus.
    BusCreated = "BUS_CREATED",
    /// A bus runs.
    BusStarted = "BUS_STARTED",
    /// A bus stands still.
    BusStopped = "BUS_STOPPED",
    /// What carries a bus is away.
    BusDegraded = "BUS_DEGRADED",
    /// A bus is no longer known.
    BusDeleted = "BUS_DELETED",
    /// Something else is said of a topic.
    TopicDefined = "TOPIC_DEFINED",
    /// One listens by name.
    SubscriberAttached = "SUBSCRIBER_ATTACHED",
    /// One listens by name no longer.
    SubscriberDetached = "SUBSCRIBER_DETACHED",
    /// An event did not fit its topic's schema.
    EventInvalidSchema = "EVENT_INVALID_SCHEMA",
    /// An event was lost.
    EventDropped = "EVENT_DROPPED",
    /// Publishers wait for a subscriber.
    EventBackpressure = "EVENT_BACKPRESSURE",
    /// A subscriber does not keep up.
    EventSubscriberSlow = "EVENT_SUBSCRIBER_SLOW",
    /// A durable subscriber is given an event again.
    EventRetry = "EVENT_RETRY",
    /// An event became a dead letter.
    EventRetryLimitExceeded = "EVENT_RETRY_LIMIT_EXCEEDED",
    /// A subscriber asked for what went before.
    EventReplayRequested = "EVENT_REPLAY_REQUESTED",
    /// It was given all of it.
    EventReplayDelivered = "EVENT_REPLAY_DELIVERED",
    /// It cannot have all of it.
    EventReplayFailed = "EVENT_REPLAY_FAILED",
}

/// Who asked for a command's changes, when, and in what connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The instant that the registry put into the command.
    pub time: Time,
    /// Who.
    pub actor: Actor,
    /// What the caller calls the whole undertaking.
    pub correlation_id: Option<String>,
}

/// All that one command changed: it happens whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The place of the first change; the others follow without a gap.
    pub first: Sequence,
    /// Who, when, why.
    pub origin: Origin,
    /// Never empty.
    pub changes: Vec<Change>,
}

impl Entry {
    /// The place of the last change.
    pub fn last(&self) -> Sequence {
        Sequence(self.first.0 + self.changes.len() as u64 - 1)
    }

    /// Each change with its place.
    pub fn placed(&self) -> impl Iterator<Item = (Sequence, &Change)> {
        (self.first.0..).map(Sequence).zip(&self.changes)
    }
}

/// One thing of a state: what a snapshot is made of. Contracts come first, then nodes, then tools, then what is leased.
#[derive(Clone, Debug, PartialEq)]
pub enum Thing {
    /// A contract, where in the log its content was first registered, and when.
    Contract(Arc<Contract>, Sequence, Time),
    /// A node.
    Node(Arc<Node>),
    /// A tool with everyone who offers it.
    Tool(Arc<Tool>),
    /// A collision, and since when.
    Collision(CollisionKey, Time),
    /// A lease that holds.
    Lease(Arc<Lease>),
    /// A lease that has ended, and where in the log.
    EndedLease(Arc<Lease>, Sequence),
    /// A number that is kept from most for a while.
    Quarantine(PortKey, Quarantine),
    /// A call, and the place of its latest change.
    Invocation(Arc<Invocation>, Sequence),
    /// What a tool's calls add up to.
    ToolCalls(ToolKey, Arc<CallStats>),
    /// What the calls that a node took add up to.
    NodeCalls(NodeId, Arc<CallStats>),
    /// A token that has not been revoked.
    Token(Arc<Token>),
    /// A bus.
    Bus(Arc<Bus>),
    /// What is said of a topic of a bus.
    Topic(BusId, TopicName, Arc<TopicTerms>),
    /// One that listens on a bus by name.
    Subscriber(Arc<DurableSubscriber>),
}
