//! Nodes that say on a bus that they are there, and what they are answered.

use super::running::Running;
use crate::bus::Arrived;
use crate::bus::envelope::{self, Event};
use crate::bus::kind::{Outgoing, Service};
use crate::model::{BusId, BusName, NodeId, OnexEventId};
use futures_util::future::BoxFuture;
use serde_json::{Map, json};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// By which type of event a node says that it is there.
const ANNOUNCE: &str = "NODE_ANNOUNCE";
const ACCEPTED: &str = "NODE_ANNOUNCE_ACCEPTED";
const REJECTED: &str = "NODE_ANNOUNCE_REJECTED";
/// How many are looked at at once on a bus; further ones wait.
const AT_ONCE_MAX: usize = 64;

/// Registers those who announce themselves.
pub trait Announced: Send + Sync {
    /// Registers the node that an event announces. Fails with what it is to be told.
    fn announced<'a>(&'a self, bus: &'a BusName, event: &'a Arrived) -> BoxFuture<'a, Result<NodeId, String>>;

    /// Registers a program that was found on a bus, for `LASTS_SECONDS`. Fails with why it cannot be a node.
    fn found<'a>(
        &'a self,
        name: &'a BusName,
        bus: BusId,
        service: &'a Service,
    ) -> BoxFuture<'a, Result<NodeId, String>>;

    /// Such a node is still there; says no where the registry does not know it any longer.
    fn seen<'a>(&'a self, bus: &'a BusName, node: NodeId) -> BoxFuture<'a, bool>;

    /// As whom the registry speaks on buses.
    fn speaker(&self) -> NodeId;
}

/// Who looks at announcements: known once the registry has its parts together, and until it stops. Whoever looks holds
/// the registry's parts, the buses among them: were it held for ever, nothing of them would ever be closed.
pub(super) type Announcing = Arc<Mutex<Option<Arc<dyn Announced>>>>;

/// Those that are looked at on one bus.
pub(super) struct Desk {
    announcing: Announcing,
    places: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(announcing: Announcing) -> Self {
        Desk { announcing, places: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Looks at an event that came, where it is an announcement. The bus goes on meanwhile.
    pub(super) async fn look(&self, running: &Arc<Running>, arrived: &Arc<Arrived>) {
        if arrived.event.event_type != ANNOUNCE {
            return;
        }
        // Held for a look-up; nothing waits under it.
        let announced = self.announcing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(announced) = announced else { return };
        // The semaphore is never closed.
        let Ok(place) = self.places.clone().acquire_owned().await else { return };
        let (running, arrived) = (running.clone(), arrived.clone());
        tokio::spawn(async move {
            let answer = announced.announced(&running.name, &arrived).await;
            let outgoing = answered(&*announced, &running, &arrived, answer);
            if let Some(outgoing) = outgoing
                && let Err(failure) = running.carrier.publish(outgoing).await
            {
                tracing::warn!(bus = running.name.as_str(), %failure, "an announcement is not answered");
            }
            drop(place);
        });
    }
}

fn answered(
    announced: &dyn Announced,
    running: &Running,
    arrived: &Arrived,
    answer: Result<NodeId, String>,
) -> Option<Outgoing> {
    let asked = &arrived.event;
    let mut metadata = Map::new();
    metadata.insert("node_id".to_owned(), json!(asked.node.to_string()));
    metadata.insert("announced_by".to_owned(), json!(asked.id.to_string()));
    let event_type = match answer {
        Ok(node) => {
            metadata.insert("node_id".to_owned(), json!(node.to_string()));
            ACCEPTED
        }
        Err(reason) => {
            metadata.insert("reason".to_owned(), json!(reason));
            REJECTED
        }
    };
    // The same answer to the same event each time: of several registries on a broker, one is heard.
    let id = Uuid::new_v5(&asked.id.0, event_type.as_bytes());
    let event = Event {
        id: OnexEventId(id),
        timestamp: running.clock().now(),
        node: announced.speaker(),
        event_type: event_type.to_owned(),
        correlation_id: asked.correlation_id.clone(),
        tags: Vec::new(),
        metadata,
    };
    let topic = running.defaults.topic_of(event_type).ok()?;
    let traceparent = arrived.traceparent.clone();
    Some(Outgoing { topic, text: envelope::write(&event), id, traceparent })
}
