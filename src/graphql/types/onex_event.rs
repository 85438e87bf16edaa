//! What travels on buses.

use super::super::error::invalid;
use super::super::scalars::{DateTime, Sequence};
use super::bus::Bus;
use crate::bus::Event;
use crate::bus::history::Replay;
use crate::bus::kind::Place;
use crate::bus::queue::Given;
use crate::model::{self, NodeId, OnexEventId, Time};
use async_graphql::{InputObject, Object, OneofObject, Result, SimpleObject};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// An event that is to be published.
#[derive(InputObject)]
pub struct OnexEventInput {
    /// Its own id; drawn when absent. The same id is the same event.
    event_id: Option<Uuid>,
    /// Whose it is.
    pub(in crate::graphql) node_id: Uuid,
    /// What it is, such as NODE_START or core.node.start.
    pub(in crate::graphql) event_type: String,
    /// When it happened; now when absent.
    timestamp: Option<DateTime>,
    /// The undertaking that it is part of.
    correlation_id: Option<String>,
    /// Words to find it by.
    tags: Option<Vec<String>>,
    /// What else there is to say: an object.
    metadata: Option<Value>,
}

impl OnexEventInput {
    pub(in crate::graphql) fn read(self, fresh: Uuid, now: Time) -> Result<Event> {
        let metadata = match self.metadata {
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(Value::Object(metadata)) => metadata,
            Some(_) => return Err(invalid("event.metadata", "is no object")),
        };
        Ok(Event {
            id: OnexEventId(self.event_id.unwrap_or(fresh)),
            timestamp: self.timestamp.map_or(now, |time| time.0),
            node: NodeId(self.node_id),
            event_type: self.event_type,
            correlation_id: self.correlation_id,
            tags: self.tags.unwrap_or_default(),
            metadata,
        })
    }
}

/// What is published where.
#[derive(InputObject)]
pub struct PublishInput {
    /// The bus, by name or id.
    pub(in crate::graphql) bus: String,
    /// The topic; when absent the event's type behind onex.events, or behind what event_bus.subject_prefix says.
    pub(in crate::graphql) topic: Option<String>,
    /// The event.
    pub(in crate::graphql) event: OnexEventInput,
}

/// What came of publishing.
#[derive(SimpleObject)]
pub struct Publication {
    /// The bus.
    pub(in crate::graphql) bus: Bus,
    /// The topic.
    pub(in crate::graphql) topic: String,
    /// The event's id.
    pub(in crate::graphql) event_id: Uuid,
    /// Where in the bus's order.
    pub(in crate::graphql) sequence: Sequence,
    /// For how many of those who listened it was; null where that was not known in time.
    pub(in crate::graphql) matched_subscribers: Option<usize>,
}

/// What of the past is given first: one of these.
#[derive(OneofObject)]
pub enum ReplayInput {
    /// The last so many that match.
    Last(u32),
    /// Everything behind this place in the bus's order.
    SinceSequence(Sequence),
    /// Everything that was carried at this instant or later.
    SinceTime(DateTime),
    /// All that is kept.
    All(bool),
}

impl ReplayInput {
    pub(in crate::graphql) fn read(&self) -> Replay {
        match self {
            ReplayInput::Last(count) => Replay::Last(*count as usize),
            ReplayInput::SinceSequence(place) => Replay::Behind(Place(place.0.0)),
            ReplayInput::SinceTime(instant) => Replay::Since(instant.0),
            ReplayInput::All(true) => Replay::All,
            ReplayInput::All(false) => Replay::None,
        }
    }
}

/// An event as a subscriber is given it.
pub struct BusEvent {
    pub(in crate::graphql) bus: model::BusName,
    pub(in crate::graphql) given: Given,
}

/// An event as a subscriber is given it.
#[Object]
impl BusEvent {
    /// The bus, by name.
    async fn bus(&self) -> &str {
        self.bus.as_str()
    }
    /// The topic.
    async fn topic(&self) -> &str {
        self.given.event.topic.as_str()
    }
    /// Where in the bus's order.
    async fn sequence(&self) -> Sequence {
        Sequence(model::Sequence(self.given.event.place.0))
    }
    /// The event.
    async fn event(&self) -> OnexEvent {
        OnexEvent(self.given.event.clone())
    }
    /// How many events this subscriber lost just before this one.
    async fn missed(&self) -> u64 {
        self.given.missed
    }
    /// How often it was delivered before.
    async fn redelivery(&self) -> u32 {
        self.given.redelivery
    }
    /// What of it does not fit its topic's schema, in words; null where it fits.
    async fn misfit(&self) -> Option<String> {
        self.given.event.misfit.as_ref().map(ToString::to_string)
    }
}

/// What a node says that happened.
pub struct OnexEvent(Arc<crate::bus::Arrived>);

/// What a node says that happened.
#[Object]
impl OnexEvent {
    /// Its own id.
    async fn event_id(&self) -> Uuid {
        self.0.event.id.0
    }
    /// Whose it is.
    async fn node_id(&self) -> Uuid {
        self.0.event.node.0
    }
    /// What it is.
    async fn event_type(&self) -> &str {
        &self.0.event.event_type
    }
    /// When it happened, by whom it happened to.
    async fn timestamp(&self) -> DateTime {
        DateTime(self.0.event.timestamp)
    }
    /// The undertaking that it is part of; null where it is of none.
    async fn correlation_id(&self) -> Option<&str> {
        self.0.event.correlation_id.as_deref()
    }
    /// Words to find it by.
    async fn tags(&self) -> &[String] {
        &self.0.event.tags
    }
    /// What else there is to say.
    async fn metadata(&self) -> Value {
        Value::Object(self.0.event.metadata.clone())
    }
}
