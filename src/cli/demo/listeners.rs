//! Who listens on the buses: nodes that keep up, and a report that does not.

use super::world::{SHOP, TELEMETRY, World};
use crate::app;
use crate::bus::hub::Hub;
use crate::bus::router::Attaching;
use crate::client::Error;
use crate::model::{BusId, EventWanted, NodeId, SubscriberId, TopicPattern};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

const BUSES: &str = "{ buses { nodes { id name } } }";
/// How many events wait for the slow one: few, so that it loses some while everybody looks.
const SLOW_CAPACITY: u32 = 20;
/// How long it takes for each.
const SLOW: Duration = Duration::from_millis(220);

/// What somebody listens to.
struct Listener {
    name: &'static str,
    bus: &'static str,
    topics: &'static [&'static str],
    is_slow: bool,
}

static LISTENERS: [Listener; 6] = [
    quick("inventory", SHOP, &["orders.placed", "stock.ordered"]),
    quick("warehouse", SHOP, &["orders.paid"]),
    quick("notifications", SHOP, &["orders.paid", "orders.declined", "parcels.shipped"]),
    quick("replenishment", SHOP, &["stock.low", "carts.updated"]),
    quick("fleet-map", TELEMETRY, &["vehicles.>"]),
    Listener { name: "monthly-report", bus: TELEMETRY, topics: &[">"], is_slow: true },
];

const fn quick(name: &'static str, bus: &'static str, topics: &'static [&'static str]) -> Listener {
    Listener { name, bus, topics, is_slow: false }
}

#[derive(Deserialize)]
struct Buses {
    buses: Nodes,
}

#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<Bus>,
}

#[derive(Deserialize)]
struct Bus {
    id: Uuid,
    name: String,
}

/// Listens until the buses stop.
pub(super) async fn listen(world: &World, hub: &Hub) {
    match buses(world).await {
        Ok(buses) => {
            join_all(LISTENERS.iter().map(|listener| listener.run(world, hub, &buses))).await;
        }
        Err(error) => tracing::warn!(%error, "nobody listens on the demo's buses"),
    }
}

async fn buses(world: &World) -> Result<HashMap<String, BusId>, Error> {
    let found: Buses = world.client.query(BUSES, Value::Null).await?;
    Ok(found.buses.nodes.into_iter().map(|bus| (bus.name, BusId(bus.id))).collect())
}

impl Listener {
    async fn run(&self, world: &World, hub: &Hub, buses: &HashMap<String, BusId>) {
        let Some(bus) = buses.get(self.bus) else { return };
        let topics = self.topics.iter().filter_map(|topic| TopicPattern::try_new(topic).ok()).collect();
        let attaching = Attaching {
            wanted: EventWanted { topics, ..EventWanted::default() },
            capacity: self.is_slow.then_some(SLOW_CAPACITY),
            node: world.id_of(self.name).map(NodeId),
            ..Attaching::new(SubscriberId(app::fresh_id()), self.name)
        };
        let mut listening = match hub.listen(*bus, attaching) {
            Ok(listening) => listening,
            Err(error) => return tracing::warn!(%error, name = self.name, "a listener of the demo was refused"),
        };
        while listening.next().await.is_ok() {
            if self.is_slow {
                tokio::time::sleep(SLOW).await;
            }
        }
    }
}
