//! The plain types of the domain: what a node, a contract, a tool and their trust are.
//!
//! Nothing here does I/O, reads a clock or knows a wire format, and nothing here imports another
//! room of this house. The log, GraphQL and the command line each have twins of these types, so a
//! rename here changes nothing on disk or in the schema.

mod access;
pub mod bus;
pub mod bus_call;
mod change;
mod contract;
mod id;
mod invocation;
mod name;
mod node;
mod pattern;
mod port;
mod time;
mod tool;
mod trust;

pub use access::{Denial, InvalidPrincipal, NodeKey, PRINCIPAL_LEN_MAX, Token, TokenHash, check_principal};
pub use bus::{
    Bus, BusKind, BusNotice, BusPolicy, BusStatus, BusTerms, DurableSubscriber, EventWanted, NoticeKind, Overflow,
    SchemaMode, TopicTerms,
};
pub use change::{Change, CollisionKey, ContentHash, Entry, EventKind, Origin, Thing};
pub use contract::{
    Contract, ContractField, Dependency, DependencyKind, FIELD_DEPTH_MAX, JSON_DEPTH_MAX, LIST_LEN_MAX, TEXT_LEN_MAX,
    nests_too_deep,
};
pub use id::{
    BusId, ContractHash, DefinitionHash, EventId, InvocationId, LeaseId, NodeId, OnexEventId, RegistryId, RequesterId,
    Sequence, SubscriberId, TokenId, ToolId, ValidatorId,
};
pub use invocation::{
    Asked, Attempt, CallError, CallErrorCode, CallStats, Durations, Ending, Invocation, InvocationStatus, LastCall,
    NodeSelection,
};
pub use name::{
    BusName, ContractName, InvalidName, InvalidVersionReq, NAME_LEN_MAX, NodeName, SubscriberName, ToolName, TopicName,
    Version, VersionReq, VersionWanted,
};
pub use node::{Capabilities, Declared, ExecutionMode, Node, NodeKind, NodePort, NodeStatus, TemplateVersion};
pub use pattern::TopicPattern;
pub use port::{
    Band, EndCause, HostName, InvalidBand, InvalidHostName, Lease, LeaseEnd, LeaseStatus, LeaseTerms, PortKey,
    PortProtocol, Process, Quarantine, RequestKey, Transport, Transports,
};
pub use time::{InvalidTime, Time, Ttl};
pub use tool::{Offer, OfferSource, Tool, ToolDefinition, ToolKey, ToolTransport};
pub use trust::{Lifecycle, Trust, TrustState, Verdict};

/// Who did something: recorded with every change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The principal, as authenticated; `anonymous` where no access is configured, `registry` for
    /// what the registry does by itself.
    pub principal: String,
    /// The network address the request came from; `None` for what the registry does by itself.
    pub address: Option<String>,
}

impl Actor {
    /// The registry itself: its keeper expires what has lapsed.
    pub fn registry() -> Self {
        Actor { principal: "registry".to_owned(), address: None }
    }

    /// Whoever works on the data directory itself, on the registry's own machine.
    pub fn operator() -> Self {
        Actor { principal: "operator".to_owned(), address: None }
    }

    /// A caller that showed no identity.
    pub fn anonymous(address: Option<String>) -> Self {
        Actor { principal: "anonymous".to_owned(), address }
    }
}
