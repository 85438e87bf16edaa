//! What happens besides orders: leases that come and go, machines that speak of themselves, prices that change, a van
//! that is lost and found, an auditor who changes its mind.

use super::goods::{PRODUCTS, euros};
use super::setup::{ATTEST, AUDITOR};
use super::world::{Event, SHOP, TELEMETRY, World};
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;
use uuid::Uuid;

const ALLOCATE: &str = "mutation($input: AllocateInput!) { allocate(input: $input) { id } }";
const RELEASE: &str = "mutation($input: ReleaseInput!) { release(input: $input) { id } }";
const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
const HEARTBEAT: &str = "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { status } }";
const VAN: &str = include_str!("contracts/van_17.yaml");

/// How many leases the demo gives back by itself when it has more; others lapse.
const LEASES_KEPT: usize = 14;
/// How long the van is known after it was last heard of, in seconds.
const VAN_TTL_SECONDS: u32 = 3;
/// How many positions it sends before a tunnel, and how many it does not send in it.
const VAN_SEEN: u32 = 14;
const VAN_LOST: u32 = 12;
/// The positions at which its receiver is confused, below two bridges: early, so that whoever looks sees it.
const VAN_CONFUSED: [u32; 2] = [6, 13];
/// The host of the second pool.
const DEPOT: &str = "depot-1";

/// All of that, for ever.
pub(super) async fn run(world: &World, mut rng: Rng) {
    let (leases, loads, prices) = (lease(world, rng.fork()), measure(world, rng.fork()), reprice(world, rng.fork()));
    tokio::join!(leases, loads, prices, drive(world, rng.fork()), audit(world, rng.fork()));
}

/// Leases come and go in both pools.
async fn lease(world: &World, mut rng: Rng) {
    let requester = uuid::Builder::from_random_bytes(rng.u128(..).to_ne_bytes()).into_uuid();
    let mut held: VecDeque<Value> = VecDeque::new();
    loop {
        let is_depot = rng.u8(0..3) == 0;
        let (program, purpose, protocol) = match (is_depot, rng.u8(0..3)) {
            (true, 0) => ("scanner", "a scanner at the gate", "TCP"),
            (true, _) => ("conveyor", "the control of a conveyor", "GRPC"),
            (false, 0) => ("picker", "a picker's tablet", "WEBSOCKET"),
            (false, 1) => ("till", "a till in the shop", "HTTP"),
            (false, _) => ("labels", "a printer of labels", "TCP"),
        };
        let node = (!is_depot && rng.bool()).then(|| world.id_of("warehouse")).flatten();
        let input = json!({
            "requesterId": requester, "protocol": protocol, "host": is_depot.then_some(DEPOT), "nodeId": node,
            "program": program, "purpose": purpose, "ttlSeconds": rng.u32(10..75),
        });
        if let Some(mut answer) = world.ask(ALLOCATE, input).await {
            held.push_back(answer["allocate"]["id"].take());
        }
        if held.len() > LEASES_KEPT
            && let Some(lease) = held.pop_front()
        {
            // It may have lapsed, which is no less a part of the story.
            world.ask(RELEASE, json!({ "leaseId": lease })).await;
        }
        pause(&mut rng, 500..2_500).await;
    }
}

/// Every node says now and then how busy it is.
async fn measure(world: &World, mut rng: Rng) {
    let names = world.names();
    loop {
        if let Some(node) = rng.choice(&names).copied() {
            let load = f64::from(rng.u32(2..95)) / 100.0;
            let metadata = json!({"load": load, "memoryMb": rng.u32(40..900), "threads": rng.u32(2..16)});
            let (topic, kind, tags) = match load > 0.85 {
                true => ("nodes.hot", "node.hot", ["alarm"]),
                false => ("nodes.load", "node.load", ["sample"]),
            };
            let event = Event { bus: TELEMETRY, topic, kind, node, undertaking: None, tags: &tags, metadata };
            world.publish(event).await;
        }
        pause(&mut rng, 60..260).await;
    }
}

/// Prices go up and down.
async fn reprice(world: &World, mut rng: Rng) {
    loop {
        if let Some(product) = rng.choice(&PRODUCTS) {
            let cents = product.cents * rng.u32(90..115) / 100;
            let metadata = json!({"sku": product.sku, "was": euros(product.cents), "is": euros(cents)});
            let (topic, kind, tags) = ("prices.changed", "price.changed", ["prices"]);
            let event = Event { bus: SHOP, topic, kind, node: "catalog", undertaking: None, tags: &tags, metadata };
            world.publish(event).await;
        }
        pause(&mut rng, 2_000..6_000).await;
    }
}

/// A van drives, is lost in a tunnel, and comes back.
async fn drive(world: &World, mut rng: Rng) {
    let contract = json!({"contract": VAN, "ttlSeconds": VAN_TTL_SECONDS});
    let Some(registered) = world.ask(REGISTER, contract).await else { return };
    let Some(van) = registered["register"]["node"]["id"].as_str().and_then(|id| Uuid::parse_str(id).ok()) else {
        return;
    };
    let wrong = ["its clock is wrong"];
    let doubt =
        json!({"nodeId": van, "validatorId": AUDITOR, "state": "UNTRUSTED", "score": 0.3, "failureModes": wrong});
    world.ask(ATTEST, doubt).await;
    let (mut latitude, mut longitude) = (51.34, 12.37);
    for moment in (1..=VAN_SEEN + VAN_LOST).cycle() {
        latitude += (rng.f64() - 0.5) / 200.0;
        longitude += (rng.f64() - 0.4) / 200.0;
        if moment <= VAN_SEEN {
            world.ask(HEARTBEAT, json!({ "nodeId": van })).await;
            let shown = if VAN_CONFUSED.contains(&moment) { latitude + 400.0 } else { latitude };
            let metadata = json!({"latitude": shown, "longitude": longitude, "speedKmh": rng.u32(0..110)});
            let (topic, tags) = ("vehicles.position", ["van-17"]);
            let event = Event {
                bus: TELEMETRY,
                topic,
                kind: "vehicle.position",
                node: "van_17",
                undertaking: None,
                tags: &tags,
                metadata,
            };
            world.publish_as(van, event).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// An auditor looks at one node again and again, and is not sure of it.
async fn audit(world: &World, mut rng: Rng) {
    let Some(node) = world.id_of("fraud_check") else { return };
    loop {
        let score = f64::from(rng.u32(40..100)) / 100.0;
        let state = if score > 0.75 { "VERIFIED" } else { "TRUSTED" };
        let input = json!({"nodeId": node, "validatorId": AUDITOR, "state": state, "score": score});
        world.ask(ATTEST, input).await;
        pause(&mut rng, 4_000..12_000).await;
    }
}

async fn pause(rng: &mut Rng, between_ms: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(rng.u64(between_ms))).await;
}
