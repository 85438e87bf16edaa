//! The bus `registry`, which carries the registry's own changes.
//!
//! Nothing carries it but the log itself, which has everything in order and is followed without a queue. So nothing is
//! done for it while nobody listens, nothing is ever lost on it, and what it tells makes no further change.

use super::Hub;
use crate::bus::kind::{Carried, Facts, Place};
use crate::bus::router::TopicView;
use crate::bus::{Arrived, Event, Measured, envelope};
use crate::model::{
    Change, EventId, EventKind, NodeId, OnexEventId, Origin, RegistryId, Sequence, Time, TopicName, TrustState,
};
use crate::registry::view::Views;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Over how many seconds a rate is taken.
const RATE_SECONDS: u64 = 5;

/// Who listens on the bus, and what they were given.
#[derive(Debug)]
pub(super) struct OfRegistry {
    /// Where the log ended when this process began.
    begun: Sequence,
    listeners: AtomicUsize,
    delivered: AtomicU64,
}

impl OfRegistry {
    pub(super) fn new(views: &Views) -> Arc<Self> {
        let (listeners, delivered) = (AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(OfRegistry { begun: views.sequence(), listeners, delivered })
    }
}

/// One that listens on the bus, until it is dropped.
#[derive(Debug)]
pub struct ListensToRegistry(Arc<OfRegistry>);

impl ListensToRegistry {
    /// It was given an event.
    pub fn given(&self) {
        self.0.delivered.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for ListensToRegistry {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hub {
    /// One more listens on the bus `registry`.
    pub fn listens_to_registry(&self) -> ListensToRegistry {
        self.of_registry.listeners.fetch_add(1, Ordering::Relaxed);
        ListensToRegistry(self.of_registry.clone())
    }

    /// How many listen on it.
    pub(super) fn count_of_registry(&self) -> usize {
        self.of_registry.listeners.load(Ordering::Relaxed)
    }

    /// What it has to do. What was published since the start counts by places of the log, of which heartbeats take some.
    pub(super) fn measure_of_registry(&self) -> Measured {
        let since = self.clock.now().as_micros() - (RATE_SECONDS as i64) * 1_000_000;
        let shown = self.views.shown_since(Time::from_micros(since));
        Measured {
            published: self.views.sequence().0.saturating_sub(self.of_registry.begun.0),
            delivered: self.of_registry.delivered.load(Ordering::Relaxed),
            messages_per_second: shown as f64 / RATE_SECONDS as f64,
            ..Measured::default()
        }
    }

    /// Its topics: one for each kind of change.
    pub(super) fn topics_of_registry(&self) -> Vec<TopicView> {
        let names = EventKind::ALL.iter().filter_map(|kind| self.defaults.topic_of(kind.as_str()).ok());
        let view = |name| TopicView {
            name,
            schema_hash: None,
            is_defined: false,
            subscribers: 0,
            measured: Measured::default(),
        };
        names.map(view).collect()
    }

    /// What the log keeps, in places; `None` where it cannot be read.
    pub(super) async fn facts_of_registry(&self) -> Option<Facts> {
        let views = self.views.clone();
        let pruned = tokio::task::spawn_blocking(move || views.log().pruned_upto()).await.ok()?.ok()?;
        let last = self.views.sequence();
        let place = |sequence: Sequence| Place(sequence.0);
        Some(Facts {
            events: last.0.saturating_sub(pruned.0),
            first: (last > pruned).then(|| place(pruned.next())),
            last: (last > Sequence::ZERO).then(|| place(last)),
            ..Facts::default()
        })
    }
}

/// A change at a place as an event of the bus, on this topic and with these details; `None` for what watchers are spared.
/// It is the registry's own word, and so trusted as far as can be.
pub fn event_of(
    registry: RegistryId,
    place: Sequence,
    origin: &Origin,
    change: &Change,
    topic: TopicName,
    details: Value,
) -> Option<Arrived> {
    let mut metadata = Map::new();
    if let Value::Object(details) = details {
        metadata.extend(details.into_iter().map(|(name, value)| (snake_case(&name), value)));
    }
    metadata.insert("actor".to_owned(), origin.actor.principal.clone().into());
    let event = Event {
        id: OnexEventId(EventId::of(registry, place).0),
        timestamp: origin.time,
        node: change.node().unwrap_or(NodeId(registry.0)),
        event_type: change.event_kind()?.as_str().to_owned(),
        correlation_id: origin.correlation_id.clone(),
        tags: Vec::new(),
        metadata,
    };
    let text = envelope::write(&event);
    let carried = Carried { topic, place: Place(place.0), at: origin.time, text, traceparent: None };
    Some(Arrived::new(&carried, event, None, TrustState::Verified))
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Actor, LeaseId};
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn a_change_is_an_event_of_its_node_or_else_of_the_registry() {
        let registry = RegistryId(Uuid::from_u128(9));
        let origin = Origin {
            time: Time::from_micros(5_000_000),
            actor: Actor::anonymous(None),
            correlation_id: Some("c-1".to_owned()),
        };
        let topic = TopicName::try_new("onex.events.ANY").unwrap();
        let event = |change: &Change, details| {
            event_of(registry, Sequence(7), &origin, change, topic.clone(), details).unwrap()
        };
        let (node, lease) = (NodeId(Uuid::from_u128(1)), LeaseId(Uuid::from_u128(2)));
        let expired = event(&Change::NodeExpired { node }, json!({}));
        assert_eq!((expired.event.node, expired.place, expired.trust), (node, Place(7), TrustState::Verified));
        let renewed = Change::PortRenewed { lease, node: None, ttl: None };
        let renewed = event(&renewed, json!({"leaseId": lease.0, "ttlSeconds": {"keptAs": 1}}));
        assert_eq!(renewed.event.node, NodeId(registry.0));
        let text: Value = serde_json::from_slice(&renewed.text).unwrap();
        let metadata = json!({"lease_id": lease.0, "ttl_seconds": {"keptAs": 1}, "actor": "anonymous"});
        assert_eq!((&text["metadata"], &text["correlation_id"]), (&metadata, &json!("c-1")));
        assert_eq!(text["event_id"], json!(EventId::of(registry, Sequence(7)).0));
        assert_eq!(envelope::read(&renewed.text, true).unwrap(), renewed.event);
    }
}
