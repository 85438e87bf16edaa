//! What is there before the shop opens: buses, topics with schemas, a node that is declared and does not run, and what
//! validators think of the others.

use super::world::{SHOP, TELEMETRY, World, insist};
use crate::client::{Client, Error};
use serde_json::{Value, json};
use uuid::Uuid;

const BUSES: &str = "{ buses { nodes { name } } }";
const CREATE: &str = "mutation($input: CreateBusInput!) { createBus(input: $input) { id } }";
const DEFINE: &str = "mutation($input: DefineTopicInput!) { defineTopic(input: $input) { name } }";
const REGISTER: &str = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
pub(super) const ATTEST: &str = "mutation($input: AttestInput!) { attest(input: $input) { name } }";

/// Two who judge, by ids that are theirs in every demo.
pub(super) const AUDITOR: Uuid = Uuid::from_u128(0x0de0_0000_0000_4000_8000_0000_0000_0001);
const OPERATIONS: Uuid = Uuid::from_u128(0x0de0_0000_0000_4000_8000_0000_0000_0002);

/// Makes buses and topics, where an earlier demo in the same place has not, and the node that is declared only.
pub(super) async fn prepare(client: &Client) -> Result<(), Error> {
    let found: Value = client.query(BUSES, Value::Null).await?;
    let is_there =
        |name: &str| found["buses"]["nodes"].as_array().is_some_and(|all| all.iter().any(|bus| bus["name"] == name));
    for (name, purpose) in [(SHOP, "What happens in the shop"), (TELEMETRY, "What machines say of themselves")] {
        if !is_there(name) {
            let input = json!({"name": name, "kind": "LOCAL", "purpose": purpose, "historyEvents": 500});
            insist(client, CREATE, input).await?;
        }
    }
    let order = json!({"type": "object", "required": ["orderId", "total"], "properties": {
        "orderId": {"type": "string"}, "total": {"type": "number", "minimum": 0}, "lines": {"type": "integer"}}});
    let position = json!({"type": "object", "required": ["latitude", "longitude"], "properties": {
        "latitude": {"type": "number", "minimum": -90, "maximum": 90},
        "longitude": {"type": "number", "minimum": -180, "maximum": 180}}});
    for (bus, topic, metadata) in [(SHOP, "orders.placed", order), (TELEMETRY, "vehicles.position", position)] {
        let schema = json!({"type": "object", "required": ["metadata"], "properties": {"metadata": metadata}});
        insist(client, DEFINE, json!({"bus": bus, "topic": topic, "mode": "PERMISSIVE", "schema": schema})).await?;
    }
    let declared = json!({"contract": include_str!("contracts/customs_desk.yaml"), "declareOnly": true});
    insist(client, REGISTER, declared).await.map(drop)
}

/// What validators think of the nodes at first.
pub(super) async fn judge(world: &World) -> Result<(), Error> {
    for (node, state, score, lifecycle, wrong) in [
        ("catalog", "VERIFIED", 1.0, "VALIDATED", None),
        ("checkout", "VERIFIED", 0.97, "VALIDATED", None),
        ("payments", "TRUSTED", 0.8, "VALIDATED", None),
        ("inventory", "TRUSTED", 0.85, "VALIDATED", None),
        ("warehouse", "TRUSTED", 0.7, "VALIDATED", None),
        ("courier_rates", "VERIFIED", 1.0, "FROZEN", None),
        ("courier_rates_next", "TRUSTED", 0.5, "CANARY", None),
        ("notifications", "UNTRUSTED", 0.2, "CANARY", Some("writes to addresses that nobody confirmed")),
    ] {
        let Some(id) = world.id_of(node) else { continue };
        let wrong: Vec<&str> = wrong.into_iter().collect();
        for validator in [AUDITOR, OPERATIONS] {
            let input = json!({
                "nodeId": id, "validatorId": validator, "state": state, "score": score, "lifecycle": lifecycle,
                "failureModes": wrong,
            });
            insist(&world.client, ATTEST, input).await?;
        }
    }
    Ok(())
}
