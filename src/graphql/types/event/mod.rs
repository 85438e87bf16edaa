//! Changes as clients see them: one type for each kind, with the thing that changed as of that change.

pub(in crate::graphql) mod metadata;

use super::super::error::earlier;
use super::super::render::{Never, Render};
use super::super::scalars::{DateTime, Sequence};
use super::super::{Caller, View, error};
use super::contract::{Contract, ContractCollision};
use super::invocation::{self, Invocation};
use super::lease::PortLease;
use super::node::Node;
use super::tool::Tool;
use crate::log::Record;
use crate::model::{self, Change, EndCause, EventId, InvocationId, NodeId, RegistryId, ToolKey};
use crate::registry::view::Views;
use async_graphql::{Context, Enum, Interface, Object, Result};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// The kinds of change.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "model::EventKind")]
pub enum EventType {
    /// A contract of new content.
    ContractRegistered,
    /// A new node.
    NodeRegistered,
    /// A node says something else of itself, became live, or drains.
    NodeUpdated,
    /// A lapsed node is back.
    NodeRejoined,
    /// A registration lapsed.
    NodeExpired,
    /// A registration that lapsed while the registry was down is kept a while longer, once.
    NodeGraceGranted,
    /// A node is no longer known.
    NodeDeregistered,
    /// A node offers a tool that it did not, or offers it otherwise.
    ToolRegistered,
    /// A node no longer offers a tool.
    ToolRemoved,
    /// A node's offer of a tool lapsed.
    ToolExpired,
    /// Two nodes say different things under one name and version.
    ContractCollision,
    /// A validator said something of a node.
    TrustChanged,
    /// A port was leased.
    PortAllocated,
    /// A lease's lifetime starts anew. Renewals by a node's heartbeat are not among the events.
    PortRenewed,
    /// A lease that lapsed while the registry was down is kept a while longer, once.
    PortGraceGranted,
    /// A lease ended: its holder gave it back, or is gone.
    PortReleased,
    /// A lease was not renewed in time, or its node was not.
    PortExpired,
    /// A lease's number turned out unusable, and another lease took its place.
    PortRebound,
    /// A number turned out to be in somebody's use who holds no lease on it.
    PortConflict,
    /// Somebody called a tool.
    ToolProxyInvoke,
    /// A provider was chosen for a call, the first or a further one.
    ToolProxyAccepted,
    /// A call reached no provider.
    ToolProxyRejected,
    /// A tool answered; with late in the metadata, too late to count.
    ToolProxyResult,
    /// A call failed, or was taken back; with late in the metadata, a failure that was answered too late to count.
    ToolProxyError,
    /// A call got no answer in time.
    ToolProxyTimeout,
    /// A token was made. Shown to who may administer the registry.
    TokenCreated,
    /// A token counts no longer. Shown to who may administer the registry.
    TokenRevoked,
    /// Somebody was refused what it asked for. Shown to who may administer the registry.
    AccessDenied,
    /// A new bus.
    BusCreated,
    /// A bus runs.
    BusStarted,
    /// A bus stands still.
    BusStopped,
    /// What carries a bus is away; it is tried again.
    BusDegraded,
    /// A bus is no longer known.
    BusDeleted,
    /// Something else is said of a topic of a bus.
    TopicDefined,
    /// One listens on a bus by name.
    SubscriberAttached,
    /// One listens on a bus by name no longer.
    SubscriberDetached,
    /// An event did not fit its topic's schema, or was none.
    EventInvalidSchema,
    /// An event was lost by a subscriber, or withheld.
    EventDropped,
    /// Publishers wait for a subscriber.
    EventBackpressure,
    /// A subscriber does not keep up.
    EventSubscriberSlow,
    /// A durable subscriber is given an event again.
    EventRetry,
    /// A durable subscriber did not acknowledge an event as often as it is given: it is a dead letter.
    EventRetryLimitExceeded,
    /// A subscriber asked for what went before.
    EventReplayRequested,
    /// A subscriber was given all that went before and that it asked for.
    EventReplayDelivered,
    /// A subscriber cannot have all that it asked for of what went before.
    EventReplayFailed,
}

/// What every change has.
#[derive(Clone)]
pub struct Base {
    record: Arc<Record>,
    registry: RegistryId,
    views: Arc<Views>,
    caller: Caller,
}

impl Base {
    /// The version that has this change and all of its command.
    async fn after(&self) -> Result<View> {
        let view = self.views.at(self.record.sequence).await.map_err(earlier)?;
        Ok(self.caller.seen(&view))
    }

    /// The version just before the change's command.
    async fn before(&self) -> Result<View> {
        let view = self.views.at(self.record.entry_first.previous()).await.map_err(earlier)?;
        Ok(self.caller.seen(&view))
    }

    fn node_id(&self) -> Option<NodeId> {
        self.record.change.node()
    }

    async fn node_after(&self) -> Result<Node> {
        let view = self.after().await?;
        self.node_id().and_then(|id| Node::by_id(&view, id)).ok_or_else(vanished)
    }

    async fn node_before(&self) -> Result<Node> {
        let view = self.before().await?;
        self.node_id().and_then(|id| Node::by_id(&view, id)).ok_or_else(vanished)
    }

    /// The lease as it then was.
    async fn lease(&self) -> Result<PortLease> {
        let view = self.after().await?;
        self.record.change.lease().and_then(|id| PortLease::by_id(&view, id)).ok_or_else(vanished)
    }

    fn call(&self) -> Result<InvocationId> {
        self.record.change.call().ok_or_else(vanished)
    }

    fn tool_key(&self) -> Option<&ToolKey> {
        match &self.record.change {
            Change::ToolRegistered { offer } => Some(&offer.definition.key),
            Change::ToolRemoved { tool, .. } | Change::ToolExpired { tool, .. } => Some(tool),
            _ => None,
        }
    }

    fn tool(&self, view: &View) -> Result<Tool> {
        self.tool_key().and_then(|key| Tool::by_key(view, key)).ok_or_else(vanished)
    }
}

/// The thing that a change is about is not in the version that must have it: a defect.
fn vanished() -> async_graphql::Error {
    error::internal(&std::io::Error::other("what a change is about is not in the state that reflects it"))
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident { $($body:tt)* })*) => {$(
        #[doc = concat!("See the schema: `", stringify!($name), "`.")]
        pub struct $name(Base);

        $(#[$doc])*
        #[Object]
        impl $name {
            /// The change's place in the log.
            pub(super) async fn sequence(&self) -> Sequence {
                Sequence(self.0.record.sequence)
            }
            /// The same for the same change, at every reading.
            pub(super) async fn id(&self) -> Uuid {
                EventId::of(self.0.registry, self.0.record.sequence).0
            }
            /// What kind of change it is.
            #[graphql(name = "type")]
            pub(super) async fn kind(&self) -> Result<EventType> {
                event_type(&self.0.record.change)
            }
            /// When it was made.
            pub(super) async fn time(&self) -> DateTime {
                DateTime(self.0.record.origin.time)
            }
            /// Who made it: a principal; anonymous where no access is configured, registry for what the registry
            /// does by itself.
            pub(super) async fn actor(&self) -> String {
                self.0.record.origin.actor.principal.clone()
            }
            /// What the caller called the whole undertaking; null where it did not.
            pub(super) async fn correlation_id(&self) -> Option<String> {
                self.0.record.origin.correlation_id.clone()
            }
            /// The node that the change is about; null where it is about none.
            pub(super) async fn node_id(&self) -> Option<Uuid> {
                self.0.node_id().map(|id| id.0)
            }
            /// The details of the change, by name.
            pub(super) async fn metadata(&self) -> Value {
                metadata::of(&self.0.record.change)
            }
            $($body)*
        }
    )*};
}

events! {
    /// A contract of a content that nobody held until now.
    ContractRegistered {
        /// The contract.
        async fn contract(&self) -> Result<Contract> {
            let view = self.0.after().await?;
            match &self.0.record.change {
                Change::ContractRegistered { contract } => Contract::by_hash(&view, contract.hash),
                _ => None,
            }
            .ok_or_else(vanished)
        }
    }

    /// A node that was not known until now.
    NodeRegistered {
        /// The node as it then was.
        async fn node(&self) -> Result<Node> {
            self.0.node_after().await
        }
        /// True: the node was not known before.
        async fn created(&self) -> bool {
            true
        }
    }

    /// A node says something else of itself, became live, or drains.
    NodeUpdated {
        /// The node as it then was.
        async fn node(&self) -> Result<Node> {
            self.0.node_after().await
        }
    }

    /// A node whose registration had lapsed is back.
    NodeRejoined {
        /// The node as it then was.
        async fn node(&self) -> Result<Node> {
            self.0.node_after().await
        }
    }

    /// A registration lapsed.
    NodeExpired {
        /// The node as it then was.
        async fn node(&self) -> Result<Node> {
            self.0.node_after().await
        }
    }

    /// A registration that lapsed while the registry was down is kept a while longer, once.
    NodeGraceGranted {
        /// The node as it then was.
        async fn node(&self) -> Result<Node> {
            self.0.node_after().await
        }
    }

    /// A node is no longer known.
    NodeDeregistered {
        /// The node as it last was.
        async fn node(&self) -> Result<Node> {
            self.0.node_before().await
        }
    }

    /// A node offers a tool that it did not, or offers it otherwise.
    ToolRegistered {
        /// The tool as it then was.
        async fn tool(&self) -> Result<Tool> {
            self.0.tool(&self.0.after().await?)
        }
        /// The node that offers it, as it then was.
        async fn node(&self) -> Result<Node> {
            self.0.node_after().await
        }
    }

    /// A node no longer offers a tool.
    ToolRemoved {
        /// The tool as it last was with that offer.
        async fn tool(&self) -> Result<Tool> {
            self.0.tool(&self.0.before().await?)
        }
        /// The node that offered it, as it last was.
        async fn node(&self) -> Result<Node> {
            self.0.node_before().await
        }
    }

    /// A node's offer of a tool lapsed.
    ToolExpired {
        /// The tool as it last was with that offer.
        async fn tool(&self) -> Result<Tool> {
            self.0.tool(&self.0.before().await?)
        }
        /// The node that offered it, as it last was.
        async fn node(&self) -> Result<Node> {
            self.0.node_before().await
        }
    }

    /// Two nodes say different things under one name and version.
    ContractCollisionFound {
        /// The collision as it then was.
        async fn collision(&self) -> Result<ContractCollision> {
            let view = self.0.after().await?;
            let Change::CollisionFound { collision, .. } = &self.0.record.change else { return Err(vanished()) };
            let since = view.collisions.get(collision).copied().ok_or_else(vanished)?;
            Ok(ContractCollision { view, key: collision.clone(), since })
        }
        /// The node whose word differs from an earlier one's, as it then was.
        async fn node(&self) -> Result<Node> {
            self.0.node_after().await
        }
    }

    /// A validator said something of a node.
    TrustChanged {
        /// The node as it then was.
        async fn node(&self) -> Result<Node> {
            self.0.node_after().await
        }
    }

    /// A port was leased.
    PortAllocated {
        /// The lease as it then was.
        async fn lease(&self) -> Result<PortLease> {
            self.0.lease().await
        }
    }

    /// A lease's lifetime starts anew.
    PortRenewed {
        /// The lease as it then was.
        async fn lease(&self) -> Result<PortLease> {
            self.0.lease().await
        }
    }

    /// A lease that lapsed while the registry was down is kept a while longer, once.
    PortGraceGranted {
        /// The lease as it then was.
        async fn lease(&self) -> Result<PortLease> {
            self.0.lease().await
        }
    }

    /// A lease ended: its holder gave it back, or is gone.
    PortReleased {
        /// The lease as it then was.
        async fn lease(&self) -> Result<PortLease> {
            self.0.lease().await
        }
    }

    /// A lease was not renewed in time, or its node was not.
    PortExpired {
        /// The lease as it then was.
        async fn lease(&self) -> Result<PortLease> {
            self.0.lease().await
        }
    }

    /// A lease's number turned out unusable, and another lease took its place.
    PortRebound {
        /// The lease that ended, as it then was.
        async fn lease(&self) -> Result<PortLease> {
            self.0.lease().await
        }
        /// The lease that took its place, as it then was.
        async fn replacement(&self) -> Result<PortLease> {
            let Change::PortEnded { cause: EndCause::Rebound { replacement, .. }, .. } = &self.0.record.change else {
                return Err(vanished());
            };
            PortLease::by_id(&self.0.after().await?, *replacement).ok_or_else(vanished)
        }
    }

    /// A number turned out to be in somebody's use who holds no lease on it.
    PortConflict {
        /// The lease on it, as it then was, where its holder reported this; null where a probe found it.
        async fn lease(&self) -> Result<Option<PortLease>> {
            match self.0.record.change.lease() {
                Some(_) => self.0.lease().await.map(Some),
                None => Ok(None),
            }
        }
        /// The machine that the number is on.
        async fn host(&self) -> Result<&str> {
            match &self.0.record.change {
                Change::PortConflict { host, .. } => Ok(host.as_str()),
                _ => Err(vanished()),
            }
        }
        /// The number.
        async fn port(&self) -> Result<i32> {
            match &self.0.record.change {
                Change::PortConflict { port, .. } => Ok(i32::from(*port)),
                _ => Err(vanished()),
            }
        }
        /// What was found, in words.
        async fn reason(&self) -> Result<&str> {
            match &self.0.record.change {
                Change::PortConflict { reason, .. } => Ok(reason),
                _ => Err(vanished()),
            }
        }
    }
}

events! {
    /// A token was made.
    TokenCreated {
        /// The token's id.
        async fn token_id(&self) -> Result<Uuid> {
            token_of(&self.0.record.change).map(|(id, _)| id)
        }
        /// The principal that it is of.
        async fn name(&self) -> Result<String> {
            token_of(&self.0.record.change).map(|(_, name)| name)
        }
    }

    /// A token counts no longer.
    TokenRevoked {
        /// The token's id.
        async fn token_id(&self) -> Result<Uuid> {
            token_of(&self.0.record.change).map(|(id, _)| id)
        }
        /// The principal that it was of.
        async fn name(&self) -> Result<String> {
            token_of(&self.0.record.change).map(|(_, name)| name)
        }
    }

    /// Somebody was refused what it asked for: equal attempts of a minute are one.
    AccessDenied {
        /// What was to be done, such as register; authenticate where nobody knew who asked.
        async fn action(&self) -> Result<&str> {
            denial_of(&self.0.record.change).map(|denial| &*denial.action)
        }
        /// With what, as policies name it.
        async fn resource(&self) -> Result<&str> {
            denial_of(&self.0.record.change).map(|denial| &*denial.resource)
        }
        /// Why it was refused, in words.
        async fn reason(&self) -> Result<&str> {
            denial_of(&self.0.record.change).map(|denial| &*denial.reason)
        }
        /// How many attempts.
        async fn count(&self) -> Result<u32> {
            denial_of(&self.0.record.change).map(|denial| denial.count)
        }
    }
}

fn token_of(change: &Change) -> Result<(Uuid, String)> {
    match change {
        Change::TokenCreated { token } => Ok((token.id.0, token.name.clone())),
        Change::TokenRevoked { token, name, .. } => Ok((token.0, name.clone())),
        _ => Err(vanished()),
    }
}

fn denial_of(change: &Change) -> Result<&model::Denial> {
    match change {
        Change::AccessDenied { denial, .. } => Ok(denial),
        _ => Err(vanished()),
    }
}

/// Changes of calls: all alike.
macro_rules! call_events {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        events! {$(
            $(#[$doc])*
            $name {
                /// The call's id.
                async fn invocation_id(&self) -> Result<Uuid> {
                    self.0.call().map(|call| call.0)
                }
                /// The name of the tool that was asked for.
                async fn tool(&self) -> &str {
                    self.0.record.change.tool().map_or("", |tool| tool.as_str())
                }
                /// The call as it then was; null where it is no longer remembered.
                async fn invocation(&self, ctx: &Context<'_>) -> Result<Option<Invocation>> {
                    invocation::of_change(ctx, self.0.record.sequence, self.0.call()?).await
                }
            }
        )*}
    };
}

call_events! {
    /// Somebody called a tool.
    ToolProxyInvoke;
    /// A provider was chosen for a call, the first or a further one.
    ToolProxyAccepted;
    /// A call reached no provider.
    ToolProxyRejected;
    /// A tool answered; with late in the metadata, too late to count.
    ToolProxyResult;
    /// A call failed, or was taken back; with late in the metadata, a failure that was answered too late to count.
    ToolProxyError;
    /// A call got no answer in time.
    ToolProxyTimeout;
}

mod bus;

pub use bus::*;

/// One change in the registry's log, as clients see it; each kind is a type of its own with the thing that changed.
#[derive(Interface)]
#[graphql(
    field(name = "sequence", ty = "Sequence", desc = "The change's place in the log."),
    field(name = "id", ty = "Uuid", desc = "The same for the same change, at every reading."),
    field(name = "type", method = "kind", ty = "EventType", desc = "What kind of change it is."),
    field(name = "time", ty = "DateTime", desc = "When it was made."),
    field(
        name = "actor",
        ty = "String",
        desc = "Who made it: a principal; anonymous where no access is configured, registry for what the registry does by itself."
    ),
    field(
        name = "correlation_id",
        ty = "Option<String>",
        desc = "What the caller called the whole undertaking; null where it did not."
    ),
    field(
        name = "node_id",
        ty = "Option<Uuid>",
        desc = "The node that the change is about; null where it is about none."
    ),
    field(name = "metadata", ty = "Value", desc = "The details of the change, by name.")
)]
pub enum RegistryEvent {
    ContractRegistered(ContractRegistered),
    NodeRegistered(NodeRegistered),
    NodeUpdated(NodeUpdated),
    NodeRejoined(NodeRejoined),
    NodeExpired(NodeExpired),
    NodeGraceGranted(NodeGraceGranted),
    NodeDeregistered(NodeDeregistered),
    ToolRegistered(ToolRegistered),
    ToolRemoved(ToolRemoved),
    ToolExpired(ToolExpired),
    ContractCollisionFound(ContractCollisionFound),
    TrustChanged(TrustChanged),
    PortAllocated(PortAllocated),
    PortRenewed(PortRenewed),
    PortGraceGranted(PortGraceGranted),
    PortReleased(PortReleased),
    PortExpired(PortExpired),
    PortRebound(PortRebound),
    PortConflict(PortConflict),
    ToolProxyInvoke(ToolProxyInvoke),
    ToolProxyAccepted(ToolProxyAccepted),
    ToolProxyRejected(ToolProxyRejected),
    ToolProxyResult(ToolProxyResult),
    ToolProxyError(ToolProxyError),
    ToolProxyTimeout(ToolProxyTimeout),
    TokenCreated(TokenCreated),
    TokenRevoked(TokenRevoked),
    AccessDenied(AccessDenied),
    BusCreated(BusCreated),
    BusStarted(BusStarted),
    BusStopped(BusStopped),
    BusDegraded(BusDegraded),
    BusDeleted(BusDeleted),
    TopicDefined(TopicDefined),
    SubscriberAttached(SubscriberAttached),
    SubscriberDetached(SubscriberDetached),
    EventInvalidSchema(EventInvalidSchema),
    EventDropped(EventDropped),
    EventBackpressure(EventBackpressure),
    EventSubscriberSlow(EventSubscriberSlow),
    EventRetry(EventRetry),
    EventRetryLimitExceeded(EventRetryLimitExceeded),
    EventReplayRequested(EventReplayRequested),
    EventReplayDelivered(EventReplayDelivered),
    EventReplayFailed(EventReplayFailed),
}

/// What events are of has many types, and most of their fields read the log.
impl Render for RegistryEvent {
    type Plan<'a> = Never;

    fn render(&self, plan: &Never, _: &mut Vec<u8>) -> Option<()> {
        match *plan {}
    }
}

fn event_type(change: &Change) -> Result<EventType> {
    match change.event_kind() {
        Some(kind) => Ok(kind.into()),
        // The log gives watchers only changes that have a kind.
        None => Err(error::refuse(error::ErrorCode::Internal, "a change without a kind was shown", json!({}))),
    }
}

impl RegistryEvent {
    /// The change as the caller may see it; `None` where it may not, or nobody does.
    pub(in crate::graphql) fn of(record: Arc<Record>, views: &Arc<Views>, caller: &Caller) -> Option<Self> {
        let change = record.change.event_kind()?;
        if !caller.visitor.shows(&views.current(), &record.change) {
            return None;
        }
        let base = Base { record, registry: views.registry_id(), views: views.clone(), caller: caller.clone() };
        use model::EventKind;
        Some(match change {
            EventKind::ContractRegistered => ContractRegistered(base).into(),
            EventKind::NodeRegistered => NodeRegistered(base).into(),
            EventKind::NodeUpdated => NodeUpdated(base).into(),
            EventKind::NodeRejoined => NodeRejoined(base).into(),
            EventKind::NodeExpired => NodeExpired(base).into(),
            EventKind::NodeGraceGranted => NodeGraceGranted(base).into(),
            EventKind::NodeDeregistered => NodeDeregistered(base).into(),
            EventKind::ToolRegistered => ToolRegistered(base).into(),
            EventKind::ToolRemoved => ToolRemoved(base).into(),
            EventKind::ToolExpired => ToolExpired(base).into(),
            EventKind::ContractCollision => ContractCollisionFound(base).into(),
            EventKind::TrustChanged => TrustChanged(base).into(),
            EventKind::PortAllocated => PortAllocated(base).into(),
            EventKind::PortRenewed => PortRenewed(base).into(),
            EventKind::PortGraceGranted => PortGraceGranted(base).into(),
            EventKind::PortReleased => PortReleased(base).into(),
            EventKind::PortExpired => PortExpired(base).into(),
            EventKind::PortRebound => PortRebound(base).into(),
            EventKind::PortConflict => PortConflict(base).into(),
            EventKind::ToolProxyInvoke => ToolProxyInvoke(base).into(),
            EventKind::ToolProxyAccepted => ToolProxyAccepted(base).into(),
            EventKind::ToolProxyRejected => ToolProxyRejected(base).into(),
            EventKind::ToolProxyResult => ToolProxyResult(base).into(),
            EventKind::ToolProxyError => ToolProxyError(base).into(),
            EventKind::ToolProxyTimeout => ToolProxyTimeout(base).into(),
            EventKind::TokenCreated => TokenCreated(base).into(),
            EventKind::TokenRevoked => TokenRevoked(base).into(),
            EventKind::AccessDenied => AccessDenied(base).into(),
            EventKind::BusCreated => BusCreated::of(base).into(),
            EventKind::BusStarted => BusStarted::of(base).into(),
            EventKind::BusStopped => BusStopped::of(base).into(),
            EventKind::BusDegraded => BusDegraded::of(base).into(),
            EventKind::BusDeleted => BusDeleted::of(base).into(),
            EventKind::TopicDefined => TopicDefined::of(base).into(),
            EventKind::SubscriberAttached => SubscriberAttached::of(base).into(),
            EventKind::SubscriberDetached => SubscriberDetached::of(base).into(),
            EventKind::EventInvalidSchema => EventInvalidSchema::of(base).into(),
            EventKind::EventDropped => EventDropped::of(base).into(),
            EventKind::EventBackpressure => EventBackpressure::of(base).into(),
            EventKind::EventSubscriberSlow => EventSubscriberSlow::of(base).into(),
            EventKind::EventRetry => EventRetry::of(base).into(),
            EventKind::EventRetryLimitExceeded => EventRetryLimitExceeded::of(base).into(),
            EventKind::EventReplayRequested => EventReplayRequested::of(base).into(),
            EventKind::EventReplayDelivered => EventReplayDelivered::of(base).into(),
            EventKind::EventReplayFailed => EventReplayFailed::of(base).into(),
        })
    }
}
