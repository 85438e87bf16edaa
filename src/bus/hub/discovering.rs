//! Programs that are found on a bus by the carrier's own way of being found: they are registered, and kept as long as
//! they are there.

use super::announcing::Announcing;
use super::running::Running;
use crate::bus::kind::Service;
use crate::model::{Bus, NodeId};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// What in a bus's metadata says that programs are looked for.
pub(super) const SETTING: &str = "importServices";
/// How often it is looked for them.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How many seconds one lasts that is not seen again: three looks and a little more.
pub const LASTS_SECONDS: u32 = 35;

/// Whether programs are to be looked for on a bus.
pub(super) fn is_wanted(bus: &Bus) -> bool {
    bus.terms.metadata.get(SETTING).is_some_and(|wanted| *wanted == true)
}

/// A program as it was last seen, and the node that it is; `None` where it cannot be one.
type Known = HashMap<String, (Service, Option<NodeId>)>;

/// Looks for programs until the bus ends.
pub(super) async fn look(running: Arc<Running>, announcing: Announcing) {
    let mut ended = running.ended();
    let mut known = Known::new();
    loop {
        match running.carrier.discover().await {
            Ok(found) => take_in(&running, &announcing, found, &mut known).await,
            Err(failure) => tracing::debug!(bus = running.name.as_str(), %failure, "programs cannot be looked for"),
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            _ = ended.wait_for(|ended| *ended) => return,
        }
    }
}

async fn take_in(running: &Running, announcing: &Announcing, found: Vec<Service>, known: &mut Known) {
    // Held for a look-up; nothing waits under it. Held no longer than a look: it holds the registry's parts.
    let Some(announced) = announcing.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
    known.retain(|instance, _| found.iter().any(|service| service.instance == *instance));
    for service in found {
        let before = known.get(&service.instance).filter(|(before, _)| *before == service).map(|(_, node)| *node);
        let node = match before {
            Some(None) => continue,
            Some(Some(node)) if announced.seen(&running.name, node).await => continue,
            _ => announced.found(&running.name, running.id, &service).await,
        };
        if let Err(reason) = &node {
            tracing::warn!(
                bus = running.name.as_str(),
                service = service.name,
                instance = service.instance,
                reason,
                "a service cannot be taken in as a node"
            );
        }
        known.insert(service.instance.clone(), (service, node.ok()));
    }
}
