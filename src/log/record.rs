//! The stored form of changes and things: JSON, versioned, with names of its own.
//!
//! Every type of the model that is stored has a twin here, so that a rename there changes nothing on disk.
//! What is in a log stays readable: a field may be added where its absence has a meaning, never renamed or
//! given another meaning; a change of that sort is a new [`FORMAT`] that still reads the earlier ones.
//! `a_log_written_by_an_earlier_version_reads_the_same` holds this.

use crate::model::{
    Actor, Asked, Attempt, Band, Bus, BusId, BusKind, BusName, BusNotice, BusPolicy, BusStatus, BusTerms, CallError,
    CallErrorCode, CallStats, Capabilities, Change, CollisionKey, Contract, ContractField, ContractName, Declared,
    DefinitionHash, Denial, Dependency, DependencyKind, DurableSubscriber, Durations, EndCause, Ending, EventWanted,
    ExecutionMode, HostName, Invocation, InvocationId, InvocationStatus, LastCall, Lease, LeaseEnd, LeaseId,
    LeaseTerms, Lifecycle, Node, NodeId, NodeKey, NodeKind, NodeName, NodePort, NodeSelection, NodeStatus, NoticeKind,
    Offer, OfferSource, Origin, Overflow, PortKey, PortProtocol, Process, Quarantine, RequestKey, RequesterId,
    SchemaMode, Sequence, SubscriberId, SubscriberName, TemplateVersion, Thing, Time, Token, TokenHash, TokenId, Tool,
    ToolDefinition, ToolKey, ToolName, ToolTransport, TopicName, TopicPattern, TopicTerms, Transport, Transports,
    Trust, TrustState, Ttl, ValidatorId, Verdict, Version,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// The newest form that this version writes, and the greatest that it reads.
pub const FORMAT: u32 = 1;

/// Why stored bytes are no change.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not the JSON that was written.
    #[error("it is not the JSON that was written")]
    Json(#[from] serde_json::Error),
    /// Written by a later version.
    #[error("it has format {0}, and this version reads up to {FORMAT}: start a newer onex")]
    Newer(u32),
    /// A field that cannot be.
    #[error("{0}")]
    Field(String),
}

/// A change with its origin, as stored.
pub fn encode(origin: &Origin, change: &Change) -> Result<String, Malformed> {
    let stored = StoredRecord {
        format: FORMAT,
        actor: origin.actor.principal.clone(),
        address: origin.actor.address.clone(),
        correlation_id: origin.correlation_id.clone(),
        change: Twin::store(change),
    };
    Ok(serde_json::to_string(&stored)?)
}

/// What [`encode`] wrote; the time is kept beside the text.
pub fn decode(text: &str, time: Time) -> Result<(Origin, Change), Malformed> {
    let stored: StoredRecord = match serde_json::from_str(text) {
        Ok(stored) => stored,
        Err(error) => return Err(newer(text).map_or(error.into(), Malformed::Newer)),
    };
    if stored.format > FORMAT {
        return Err(Malformed::Newer(stored.format));
    }
    let actor = Actor { principal: stored.actor, address: stored.address };
    let origin = Origin { time, actor, correlation_id: stored.correlation_id };
    Ok((origin, stored.change.load()?))
}

fn newer(text: &str) -> Option<u32> {
    #[derive(Deserialize)]
    struct Format {
        v: u32,
    }
    serde_json::from_str::<Format>(text).ok().map(|format| format.v).filter(|format| *format > FORMAT)
}

/// A thing of a snapshot, as stored: one line.
pub fn encode_thing(thing: &Thing) -> Result<String, Malformed> {
    Ok(serde_json::to_string(&StoredThing::store(thing))?)
}

/// What [`encode_thing`] wrote.
pub fn decode_thing(text: &str) -> Result<Thing, Malformed> {
    serde_json::from_str::<StoredThing>(text)?.load()
}

#[derive(Serialize, Deserialize)]
struct StoredRecord {
    #[serde(rename = "v")]
    format: u32,
    actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    change: StoredChange,
}

/// The stored form of a model type, there and back.
trait Twin<M>: Sized {
    fn store(model: &M) -> Self;
    fn load(self) -> Result<M, Malformed>;
}

/// Whether a field may be left out: its absence reads back as the same.
trait Blank {
    fn is_blank(&self) -> bool;
}

impl<T> Blank for Option<T> {
    fn is_blank(&self) -> bool {
        self.is_none()
    }
}

impl<T> Blank for Vec<T> {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl Blank for u32 {
    fn is_blank(&self) -> bool {
        *self == 0
    }
}

impl Blank for bool {
    fn is_blank(&self) -> bool {
        !self
    }
}

impl<M, T: Twin<M>> Twin<Vec<M>> for Vec<T> {
    fn store(model: &Vec<M>) -> Self {
        model.iter().map(T::store).collect()
    }
    fn load(self) -> Result<Vec<M>, Malformed> {
        self.into_iter().map(T::load).collect()
    }
}

impl<M, T: Twin<M>> Twin<Option<M>> for Option<T> {
    fn store(model: &Option<M>) -> Self {
        model.as_ref().map(T::store)
    }
    fn load(self) -> Result<Option<M>, Malformed> {
        self.map(T::load).transpose()
    }
}

impl<M, T: Twin<M>> Twin<Arc<M>> for T {
    fn store(model: &Arc<M>) -> Self {
        T::store(&**model)
    }
    fn load(self) -> Result<Arc<M>, Malformed> {
        self.load().map(Arc::new)
    }
}

macro_rules! same {
    ($($plain:ty),*) => {$(
        impl Twin<$plain> for $plain {
            fn store(model: &$plain) -> Self {
                model.clone()
            }
            fn load(self) -> Result<$plain, Malformed> {
                Ok(self)
            }
        }
    )*};
}

same!(String, bool, f64, u16, u32, u64, Uuid, Value);

macro_rules! wrapped {
    ($($stored:ty as $model:ty: $store:expr, $load:expr;)*) => {$(
        impl Twin<$model> for $stored {
            fn store(model: &$model) -> Self {
                let store: fn(&$model) -> $stored = $store;
                store(model)
            }
            fn load(self) -> Result<$model, Malformed> {
                let load: fn($stored) -> Result<$model, Malformed> = $load;
                load(self)
            }
        }
    )*};
}

/// A class of durations, and how many calls are in it.
type StoredCount = (u32, u32);

fn invalid(what: &str, error: impl std::fmt::Display) -> Malformed {
    Malformed::Field(format!("{what} {error}"))
}

wrapped! {
    Uuid as NodeId: |id| id.0, |id| Ok(NodeId(id));
    Uuid as ValidatorId: |id| id.0, |id| Ok(ValidatorId(id));
    Uuid as TokenId: |id| id.0, |id| Ok(TokenId(id));
    String as TokenHash: |hash| DefinitionHash(hash.0).to_string(),
        |text| text.parse::<DefinitionHash>().map(|hash| TokenHash(hash.0)).map_err(|e| invalid("hash:", e));
    String as NodeKey: |key| key.to_string(), |text| text.parse().map_err(|e| invalid("a key:", e));
    Uuid as LeaseId: |id| id.0, |id| Ok(LeaseId(id));
    Uuid as BusId: |id| id.0, |id| Ok(BusId(id));
    Uuid as SubscriberId: |id| id.0, |id| Ok(SubscriberId(id));
    Uuid as InvocationId: |id| id.0, |id| Ok(InvocationId(id));
    String as Arc<str>: |text| text.as_ref().to_owned(), |text| Ok(text.into());
    Vec<StoredCount> as Durations: |durations| durations.counts().collect(), |counts| Ok(Durations::of_counts(counts));
    Uuid as RequesterId: |id| id.0, |id| Ok(RequesterId(id));
    u64 as Sequence: |place| place.0, |place| Ok(Sequence(place));
    i64 as Time: |time| time.as_micros(), |micros| Ok(Time::from_micros(micros));
    u32 as Ttl: |ttl| ttl.as_seconds(), |seconds| Ttl::from_seconds(seconds).ok_or_else(|| invalid("a TTL", "is 0"));
    String as NodeName: |name| name.to_string(), |text| NodeName::try_new(&text).map_err(|e| invalid("a node name", e));
    String as ToolName: |name| name.to_string(), |text| ToolName::try_new(&text).map_err(|e| invalid("a tool name", e));
    String as TopicName: |name| name.to_string(), |text| TopicName::try_new(&text).map_err(|e| invalid("a topic", e));
    String as TopicPattern: |pattern| pattern.as_str().to_owned(),
        |text| TopicPattern::try_new(&text).map_err(|e| invalid("a topic pattern", e));
    String as BusName: |name| name.to_string(), |text| BusName::try_new(&text).map_err(|e| invalid("a bus name", e));
    String as SubscriberName: |name| name.to_string(),
        |text| SubscriberName::try_new(&text).map_err(|e| invalid("a subscriber name", e));
    String as ContractName: |name| name.to_string(),
        |text| ContractName::try_new(&text).map_err(|e| invalid("a contract name", e));
    String as Version: |version| version.to_string(),
        |text| Version::try_new(&text).map_err(|e| invalid("a version", e));
    String as crate::model::ContractHash: |hash| hash.to_string(), |text| text.parse().map_err(|e| invalid("hash:", e));
    String as crate::model::DefinitionHash: |hash| hash.to_string(),
        |text| text.parse().map_err(|e| invalid("hash:", e));
    String as HostName: |host| host.to_string(), |text| HostName::try_new(&text).map_err(|e| invalid("a host", e));
    String as Band: |band| band.to_string(), |text| text.parse().map_err(|e| invalid("a range", e));
    String as [u8; 32]: |hash| DefinitionHash(*hash).to_string(),
        |text| text.parse::<DefinitionHash>().map(|hash| hash.0).map_err(|e| invalid("hash:", e));
    String as Transports: |transports| match transports {
        Transports::One(Transport::Tcp) => "tcp",
        Transports::One(Transport::Udp) => "udp",
        Transports::Both => "both",
    }.to_owned(), |text| match text.as_str() {
        "tcp" => Ok(Transports::One(Transport::Tcp)),
        "udp" => Ok(Transports::One(Transport::Udp)),
        "both" => Ok(Transports::Both),
        other => Err(invalid("transports:", format!("{other:?} is none"))),
    };
    String as DependencyKind: |kind| kind.as_str().to_owned(), |text| Ok(match text.as_str() {
        "node" => DependencyKind::Node,
        "tool" => DependencyKind::Tool,
        _ => DependencyKind::Other(text),
    });
}

macro_rules! twin_enums {
    ($($twin:ident of $model:ident { $($variant:ident),* })*) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum $twin {
            $($variant),*
        }

        impl Twin<$model> for $twin {
            fn store(model: &$model) -> Self {
                match model {
                    $($model::$variant => $twin::$variant),*
                }
            }
            fn load(self) -> Result<$model, Malformed> {
                Ok(match self {
                    $($twin::$variant => $model::$variant),*
                })
            }
        }
    )*};
}

twin_enums! {
    StoredNodeKind of NodeKind {
        Tool, Validator, Test, Adapter, Agent, Compute, Effect, Reducer, Orchestrator, Service, Other
    }
    StoredStatus of NodeStatus { Declared, Online, Draining, Offline }
    StoredMode of ExecutionMode { Memory, Container, External }
    StoredProtocol of PortProtocol { Tcp, Udp, Zmq, Ipc, Jetstream, Redis, Grpc, Http, Websocket }
    StoredTransport of ToolTransport { GraphQl, Bus, Http, Mcp }
    StoredSource of OfferSource { Fields, Contract }
    StoredTrustState of TrustState { Untrusted, Trusted, Verified }
    StoredLifecycle of Lifecycle { Canary, Validated, Frozen }
    StoredTransportLayer of Transport { Tcp, Udp }
    StoredSelection of NodeSelection { First, RoundRobin, LeastLoaded, Random, All }
    StoredCallStatus of InvocationStatus {
        Pending, Routed, Running, Succeeded, Failed, TimedOut, Cancelled, Rejected
    }
    StoredBusKind of BusKind { Local, Ipc, Zmq, Jetstream, Redis }
    StoredBusStatus of BusStatus { Starting, Running, Degraded, Stopped }
    StoredSchemaMode of SchemaMode { Strict, Permissive }
    StoredOverflow of Overflow { DropOldest, DropNewest, Block, Disconnect }
    StoredNoticeKind of NoticeKind {
        InvalidSchema, Dropped, Backpressure, SubscriberSlow, Retry, RetryLimitExceeded, ReplayRequested,
        ReplayDelivered, ReplayFailed
    }
    StoredCallErrorCode of CallErrorCode {
        ToolNotFound, ToolNoProvider, ToolUntrusted, ToolInvalidArguments, ToolInvalidResult, ToolTimeout, ToolFailed,
        ToolOverloaded, ToolCancelled, Unavailable
    }
}

macro_rules! twin_structs {
    ($($twin:ident of $model:ident { $($field:ident: $ty:ty),* ; $($blank:ident: $blank_ty:ty),* })*) => {$(
        #[derive(Serialize, Deserialize)]
        struct $twin {
            $($field: $ty,)*
            $(#[serde(default, skip_serializing_if = "Blank::is_blank")] $blank: $blank_ty,)*
        }

        impl Twin<$model> for $twin {
            fn store(model: &$model) -> Self {
                $twin {
                    $($field: Twin::store(&model.$field),)*
                    $($blank: Twin::store(&model.$blank),)*
                }
            }
            fn load(self) -> Result<$model, Malformed> {
                Ok($model {
                    $($field: Twin::load(self.$field)?,)*
                    $($blank: Twin::load(self.$blank)?,)*
                })
            }
        }
    )*};
}

// Behind the semicolon: fields that are left out where they are empty.
twin_structs! {
    StoredPort of NodePort {
        name: String, protocol: StoredProtocol;
        port: Option<u16>, lease: Option<Uuid>, topic: Option<String>, bus: Option<String>, endpoint_uri: Option<String>
    }
    StoredTemplate of TemplateVersion { template_id: String, hash: String; }
    StoredCapabilities of Capabilities {
        ;
        supports_hot_reload: bool, available_models: Vec<String>, versioned_templates: Vec<StoredTemplate>,
        override_flags: Vec<String>
    }
    StoredDeclared of Declared {
        name: String, kind: StoredNodeKind, execution_mode: StoredMode, metadata: Value,
        capabilities: StoredCapabilities;
        version: Option<String>, description: Option<String>, tags: Vec<String>, namespace: Option<String>,
        host: Option<String>, inbound: Vec<StoredPort>, outbound: Vec<StoredPort>, owned_by_agent: Option<String>,
        subscribed_by_agents: Vec<String>, contract: Option<String>, public_key: Option<String>
    }
    StoredVerdict of Verdict { validator: Uuid, state: StoredTrustState, score: f64, at: i64; failure_modes: Vec<String> }
    StoredTrust of Trust { lifecycle: StoredLifecycle; verdicts: Vec<StoredVerdict> }
    StoredToolKey of ToolKey { name: String, version: String; }
    StoredNode of Node {
        id: Uuid, declared: StoredDeclared, status: StoredStatus, registered_at: i64, trust: StoredTrust;
        last_seen_at: Option<i64>, ttl: Option<u32>, expires_at: Option<i64>, grace_until: Option<i64>,
        tools: Vec<StoredToolKey>
    }
    StoredDefinition of ToolDefinition {
        key: StoredToolKey, hash: String;
        description: Option<String>, tags: Vec<String>, input_schema: Option<Value>, output_schema: Option<Value>,
        error_codes: Vec<String>, timeout_ms: Option<u32>, idempotent: bool, defect: Option<String>
    }
    StoredOffer of Offer {
        node: Uuid, definition: StoredDefinition, source: StoredSource, transport: StoredTransport, registered_at: i64;
        endpoint: Option<String>, ttl: Option<u32>, expires_at: Option<i64>, max_in_flight: Option<u32>
    }
    StoredProcess of Process { pid: u32, started: u64, boot: Uuid; }
    StoredRequestKey of RequestKey { key: String, asked: String; }
    StoredTerms of LeaseTerms {
        host: String, port: u16, protocol: StoredProtocol, transports: String, requester: Uuid, principal: String,
        requested_at: i64;
        program: Option<String>, process: Option<StoredProcess>, purpose: Option<String>, topics: Vec<String>,
        key: Option<String>, request: Option<StoredRequestKey>, range: Option<String>, quarantine_seconds: u32,
        probed: bool, rebound_from: Option<Uuid>
    }
    StoredEnd of LeaseEnd { at: i64, cause: StoredCause; }
    StoredLease of Lease {
        id: Uuid, terms: StoredTerms, allocated_at: i64;
        node: Option<Uuid>, ttl: Option<u32>, expires_at: Option<i64>, grace_until: Option<i64>,
        last_heartbeat_at: Option<i64>, renewals: u32, end: Option<StoredEnd>
    }
    StoredToken of Token {
        id: Uuid, name: String, hash: String, created_at: i64, created_by: String;
        roles: Vec<String>, node: Option<Uuid>, expires_at: Option<i64>
    }
    StoredDenial of Denial {
        action: String, resource: String, reason: String, count: u32, first_at: i64, last_at: i64;
    }
    StoredBusPolicy of BusPolicy {
        queue_capacity: u32, overflow: StoredOverflow, history_events: u32, history_seconds: u32, max_deliveries: u32,
        retry_backoff_ms: u32;
        queues_while_away: bool
    }
    StoredBusTerms of BusTerms {
        name: String, kind: StoredBusKind, metadata: Value, schema_mode: StoredSchemaMode, policy: StoredBusPolicy;
        endpoint: Option<String>, purpose: Option<String>, trusted_only: bool, contract_schemas: bool
    }
    StoredBus of Bus {
        id: Uuid, terms: StoredBusTerms, status: StoredBusStatus, created_at: i64;
        reason: Option<String>, leases: Vec<Uuid>, started_at: Option<i64>
    }
    StoredTopicTerms of TopicTerms {
        ;
        schema: Option<Value>, schema_hash: Option<String>, mode: Option<StoredSchemaMode>, trusted_only: Option<bool>,
        history_events: Option<u32>, history_seconds: Option<u32>
    }
    StoredWanted of EventWanted {
        ;
        topics: Vec<String>, event_types: Vec<String>, nodes: Vec<Uuid>, tags: Vec<String>,
        min_trust: Option<StoredTrustState>, correlation_id: Option<String>
    }
    StoredSubscriber of DurableSubscriber {
        id: Uuid, bus: Uuid, name: String, principal: String, wanted: StoredWanted, created_at: i64;
    }
    StoredNotice of BusNotice {
        kind: StoredNoticeKind, bus: Uuid, count: u64, reason: String, first_at: i64, last_at: i64;
        topic: Option<String>, subscriber: Option<Uuid>, schema_hash: Option<String>
    }
    StoredCallError of CallError {
        code: StoredCallErrorCode, kind: String, message: String; details: Option<Value>, retryable: bool
    }
    StoredAttempt of Attempt {
        number: u32, node: Uuid, started_at: i64, outcome: StoredCallStatus;
        ended_at: Option<i64>, error: Option<StoredCallError>, answered: bool, late_answer_at: Option<i64>
    }
    StoredAsked of Asked {
        tool: String, arguments: Value, caller: String, timeout_ms: u32, requested_at: i64;
        version: Option<String>, node: Option<Uuid>, policy: Option<StoredSelection>, idempotent: bool,
        request: Option<StoredRequestKey>
    }
    StoredEnding of Ending {
        status: StoredCallStatus, at: i64;
        result: Option<Value>, error: Option<StoredCallError>, attempts: Vec<StoredAttempt>,
        trace_log_id: Option<String>, execution_log_url: Option<String>
    }
    StoredInvocation of Invocation {
        id: Uuid, asked: StoredAsked, correlation_id: String, status: StoredCallStatus;
        tool: Option<StoredToolKey>, result: Option<Value>, error: Option<StoredCallError>,
        attempts: Vec<StoredAttempt>, warnings: Vec<String>, completed_at: Option<i64>, trace_log_id: Option<String>,
        execution_log_url: Option<String>
    }
    StoredLastCall of LastCall {
        at: i64, micros: u64, arguments: Value;
        result: Option<Value>, trace_log_id: Option<String>, execution_log_url: Option<String>
    }
    StoredCalls of CallStats {
        calls: u64, successes: u64, timeouts: u64, durations: Vec<StoredCount>; last: Option<StoredLastCall>
    }
    StoredPortKey of PortKey { host: String, port: u16, transport: StoredTransportLayer; }
    StoredQuarantine of Quarantine { until: i64, reason: String; except: Option<Uuid> }
    StoredTool of Tool { key: StoredToolKey, offers: Vec<StoredOffer>; }
    StoredField of ContractField {
        name: String, type_name: String, required: bool;
        description: Option<String>, schema: Option<Value>, fields: Vec<StoredField>
    }
    StoredDependency of Dependency {
        name: String, kind: String, target: String, required: bool; description: Option<String>
    }
    StoredContract of Contract {
        hash: String, name: String, version: String, document: Value;
        kind: Option<StoredNodeKind>, description: Option<String>, inputs: Vec<StoredField>, outputs: Vec<StoredField>,
        publishes: Vec<String>, subscribes: Vec<String>, dead_letters: Vec<String>,
        dependencies: Vec<StoredDependency>, error_codes: Vec<String>, accepts_context: bool, modifies_state: bool,
        side_effects: Vec<String>
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredCollision {
    Contract(String, String),
    Tool(String, String),
}

impl Twin<CollisionKey> for StoredCollision {
    fn store(model: &CollisionKey) -> Self {
        match model {
            CollisionKey::Contract(name, version) => Self::Contract(Twin::store(name), Twin::store(version)),
            CollisionKey::Tool(name, version) => Self::Tool(Twin::store(name), Twin::store(version)),
        }
    }
    fn load(self) -> Result<CollisionKey, Malformed> {
        Ok(match self {
            Self::Contract(name, version) => CollisionKey::Contract(name.load()?, version.load()?),
            Self::Tool(name, version) => CollisionKey::Tool(name.load()?, version.load()?),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredCause {
    Released,
    Lapsed,
    NodeExpired,
    NodeDeregistered,
    ProcessGone,
    Rebound { replacement: Uuid, reason: String },
}

impl Twin<EndCause> for StoredCause {
    fn store(model: &EndCause) -> Self {
        match model {
            EndCause::Released => Self::Released,
            EndCause::Lapsed => Self::Lapsed,
            EndCause::NodeExpired => Self::NodeExpired,
            EndCause::NodeDeregistered => Self::NodeDeregistered,
            EndCause::ProcessGone => Self::ProcessGone,
            EndCause::Rebound { replacement, reason } => {
                Self::Rebound { replacement: Twin::store(replacement), reason: reason.clone() }
            }
        }
    }
    fn load(self) -> Result<EndCause, Malformed> {
        Ok(match self {
            Self::Released => EndCause::Released,
            Self::Lapsed => EndCause::Lapsed,
            Self::NodeExpired => EndCause::NodeExpired,
            Self::NodeDeregistered => EndCause::NodeDeregistered,
            Self::ProcessGone => EndCause::ProcessGone,
            Self::Rebound { replacement, reason } => EndCause::Rebound { replacement: replacement.load()?, reason },
        })
    }
}

macro_rules! twin_change {
    ($($variant:ident { $($field:ident: $ty:ty),* ; $($blank:ident: $blank_ty:ty),* })*) => {
        #[derive(Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum StoredChange {
            $($variant {
                $($field: $ty,)*
                $(#[serde(default, skip_serializing_if = "Blank::is_blank")] $blank: $blank_ty,)*
            },)*
        }

        impl Twin<Change> for StoredChange {
            fn store(model: &Change) -> Self {
                match model {
                    $(Change::$variant { $($field,)* $($blank),* } => Self::$variant {
                        $($field: Twin::store($field),)*
                        $($blank: Twin::store($blank),)*
                    },)*
                }
            }
            fn load(self) -> Result<Change, Malformed> {
                Ok(match self {
                    $(Self::$variant { $($field,)* $($blank),* } => Change::$variant {
                        $($field: Twin::load($field)?,)*
                        $($blank: Twin::load($blank)?,)*
                    },)*
                })
            }
        }
    };
}

impl Twin<Box<Offer>> for StoredOffer {
    fn store(model: &Box<Offer>) -> Self {
        Twin::<Offer>::store(model)
    }
    fn load(self) -> Result<Box<Offer>, Malformed> {
        Twin::<Offer>::load(self).map(Box::new)
    }
}

impl Twin<Box<BusNotice>> for StoredNotice {
    fn store(model: &Box<BusNotice>) -> Self {
        Twin::<BusNotice>::store(model)
    }
    fn load(self) -> Result<Box<BusNotice>, Malformed> {
        Twin::<BusNotice>::load(self).map(Box::new)
    }
}

impl Twin<Box<Denial>> for StoredDenial {
    fn store(model: &Box<Denial>) -> Self {
        Twin::<Denial>::store(model)
    }
    fn load(self) -> Result<Box<Denial>, Malformed> {
        Twin::<Denial>::load(self).map(Box::new)
    }
}

twin_change! {
    ContractRegistered { contract: StoredContract; }
    NodeRegistered { node: Uuid, declared: StoredDeclared, status: StoredStatus; ttl: Option<u32> }
    NodeUpdated {
        node: Uuid, declared: StoredDeclared, status: StoredStatus; ttl: Option<u32>, seen: bool, trust_reset: bool
    }
    NodeSeen { node: Uuid; ttl: Option<u32>, renew_leases: bool, tools: Option<Vec<String>> }
    NodeRejoined { node: Uuid; ttl: Option<u32> }
    NodeExpired { node: Uuid; }
    NodeGraceGranted { node: Uuid, until: i64; }
    NodeDeregistered { node: Uuid; reason: Option<String> }
    ToolRegistered { offer: StoredOffer; }
    ToolRemoved { node: Uuid, tool: StoredToolKey; }
    ToolExpired { node: Uuid, tool: StoredToolKey; }
    CollisionFound { collision: StoredCollision, node: Uuid; }
    TrustChanged { node: Uuid, verdict: StoredVerdict; lifecycle: Option<StoredLifecycle> }
    PortAllocated { lease: Uuid, terms: StoredTerms; node: Option<Uuid>, ttl: Option<u32> }
    PortRenewed { lease: Uuid; node: Option<Uuid>, ttl: Option<u32> }
    PortAttached { lease: Uuid, node: Uuid; }
    PortGraceGranted { lease: Uuid, until: i64; node: Option<Uuid> }
    PortEnded { lease: Uuid, cause: StoredCause; node: Option<Uuid> }
    PortConflict {
        host: String, port: u16, transports: String, reason: String, quarantine_seconds: u32;
        lease: Option<Uuid>, node: Option<Uuid>
    }
    CallInvoked { call: Uuid, asked: StoredAsked; }
    CallAccepted { call: Uuid, tool: StoredToolKey, node: Uuid, attempt: u32, at: i64; warnings: Vec<String> }
    CallRejected { call: Uuid, tool: String, error: StoredCallError, at: i64; }
    CallEnded { call: Uuid, tool: StoredToolKey, node: Uuid, ending: StoredEnding; }
    CallAnsweredLate { call: Uuid, tool: StoredToolKey, node: Uuid, attempt: u32, at: i64; failed: bool }
    TokenCreated { token: StoredToken; }
    TokenRevoked { token: Uuid, name: String; node: Option<Uuid> }
    AccessDenied { denial: StoredDenial; node: Option<Uuid> }
    BusCreated { bus: Uuid, terms: StoredBusTerms; }
    BusTurned { bus: Uuid, status: StoredBusStatus, diagnostics: Value; reason: Option<String>, leases: Vec<Uuid> }
    BusDeleted { bus: Uuid, name: String; }
    TopicDefined { bus: Uuid, topic: String, terms: StoredTopicTerms; }
    SubscriberAttached { subscriber: StoredSubscriber; }
    SubscriberDetached { bus: Uuid, subscriber: Uuid, name: String; }
    BusNoticed { notice: StoredNotice; }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredThing {
    Contract(StoredContract, u64, i64),
    Node(StoredNode),
    Tool(StoredTool),
    Collision(StoredCollision, i64),
    Lease(StoredLease),
    EndedLease(StoredLease, u64),
    Quarantine(StoredPortKey, StoredQuarantine),
    Invocation(StoredInvocation, u64),
    ToolCalls(StoredToolKey, StoredCalls),
    NodeCalls(Uuid, StoredCalls),
    Token(StoredToken),
    Bus(StoredBus),
    Topic(Uuid, String, StoredTopicTerms),
    Subscriber(StoredSubscriber),
}

impl Twin<Thing> for StoredThing {
    fn store(model: &Thing) -> Self {
        match model {
            Thing::Contract(contract, registered, at) => {
                Self::Contract(Twin::store(contract), Twin::store(registered), Twin::store(at))
            }
            Thing::Node(node) => Self::Node(Twin::store(node)),
            Thing::Tool(tool) => Self::Tool(Twin::store(tool)),
            Thing::Collision(collision, since) => Self::Collision(Twin::store(collision), Twin::store(since)),
            Thing::Lease(lease) => Self::Lease(Twin::store(lease)),
            Thing::EndedLease(lease, place) => Self::EndedLease(Twin::store(lease), Twin::store(place)),
            Thing::Quarantine(key, quarantine) => Self::Quarantine(Twin::store(key), Twin::store(quarantine)),
            Thing::Invocation(call, place) => Self::Invocation(Twin::store(call), Twin::store(place)),
            Thing::ToolCalls(tool, calls) => Self::ToolCalls(Twin::store(tool), Twin::store(calls)),
            Thing::NodeCalls(node, calls) => Self::NodeCalls(Twin::store(node), Twin::store(calls)),
            Thing::Token(token) => Self::Token(Twin::store(token)),
            Thing::Bus(bus) => Self::Bus(Twin::store(bus)),
            Thing::Topic(bus, topic, terms) => Self::Topic(Twin::store(bus), Twin::store(topic), Twin::store(terms)),
            Thing::Subscriber(subscriber) => Self::Subscriber(Twin::store(subscriber)),
        }
    }
    fn load(self) -> Result<Thing, Malformed> {
        Ok(match self {
            Self::Contract(contract, registered, at) => {
                Thing::Contract(contract.load()?, registered.load()?, at.load()?)
            }
            Self::Node(node) => Thing::Node(node.load()?),
            Self::Tool(tool) => Thing::Tool(tool.load()?),
            Self::Collision(collision, since) => Thing::Collision(collision.load()?, since.load()?),
            Self::Lease(lease) => Thing::Lease(lease.load()?),
            Self::EndedLease(lease, place) => Thing::EndedLease(lease.load()?, place.load()?),
            Self::Quarantine(key, quarantine) => Thing::Quarantine(key.load()?, quarantine.load()?),
            Self::Invocation(call, place) => Thing::Invocation(call.load()?, place.load()?),
            Self::ToolCalls(tool, calls) => Thing::ToolCalls(tool.load()?, calls.load()?),
            Self::NodeCalls(node, calls) => Thing::NodeCalls(node.load()?, calls.load()?),
            Self::Token(token) => Thing::Token(token.load()?),
            Self::Bus(bus) => Thing::Bus(bus.load()?),
            Self::Topic(bus, topic, terms) => Thing::Topic(bus.load()?, topic.load()?, terms.load()?),
            Self::Subscriber(subscriber) => Thing::Subscriber(subscriber.load()?),
        })
    }
}
