//! The nodes that run, and what their tools answer.

use super::chance::Chance;
use super::goods::{PRODUCTS, Product, euros};
use crate::client::node::{Call, Node, Running, ToolError};
use crate::client::{Client, Error};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a node counts as there after it was last heard of: short, so that a demo that was killed shows it.
const TTL_SECONDS: u32 = 15;
/// How long one shelf of the warehouse takes.
const SHELF: Duration = Duration::from_millis(600);
/// In how many of a hundred cases a card is declined, and the bank does not answer.
const DECLINED_PERCENT: u32 = 12;
const UNREACHABLE_PERCENT: u32 = 5;

/// A node of a contract, and the function that answers all calls of its tools.
macro_rules! node {
    ($contract:literal) => {
        Node::of_contract(include_str!(concat!("contracts/", $contract, ".yaml"))).ttl_seconds(TTL_SECONDS)
    };
    ($contract:literal, $chance:expr, $answer:path) => {{
        let chance: Chance = $chance.clone();
        node!($contract).other_handler(move |call| $answer(call, chance.clone()))
    }};
}

/// Connects all of them; they are there for as long as what this answers is kept.
pub(super) async fn connect(client: &Client, chance: &Chance) -> Result<Vec<Running>, Error> {
    let nodes = [
        node!("storefront"),
        node!("catalog", chance, search_products),
        node!("checkout", chance, place_order),
        node!("payments", chance, charge_card),
        node!("fraud_check", chance, score_order),
        node!("inventory", chance, reserve_stock),
        node!("replenishment"),
        node!("warehouse", chance, pick_order),
        node!("courier_rates", chance, quote_by_weight),
        node!("courier_rates_next", chance, quote_by_size),
        node!("notifications", chance, send_message),
    ];
    try_join_all(nodes.map(|node| node.connect(client))).await
}

/// What every tool takes at least, so that a call can be seen to be under way.
async fn think(chance: &Chance, from_ms: u64, to_ms: u64) {
    let wait = chance.roll().u64(from_ms..to_ms);
    tokio::time::sleep(Duration::from_millis(wait)).await;
}

/// A number as papers have it, such as `PAY-4F2A91`.
fn numbered(chance: &Chance, prefix: &str) -> String {
    format!("{prefix}-{:06X}", chance.roll().u32(0..0x100_0000))
}

async fn search_products(call: Call, chance: Chance) -> Result<Value, ToolError> {
    think(&chance, 5, 40).await;
    let asked = &call.arguments;
    let words = asked["words"].as_str().unwrap_or_default().to_lowercase();
    let category = asked["category"].as_str().unwrap_or("any");
    let (from, to) =
        (asked["price"]["from"].as_f64().unwrap_or(0.0), asked["price"]["to"].as_f64().unwrap_or(f64::MAX));
    let fits = |product: &&Product| {
        (category == "any" || product.category == category)
            && product.name.to_lowercase().contains(&words)
            && (from..=to).contains(&euros(product.cents))
    };
    let mut found: Vec<&Product> = PRODUCTS.iter().filter(fits).collect();
    match asked["order"].as_str() {
        Some("cheapest") => found.sort_by_key(|product| product.cents),
        Some("dearest") => found.sort_by_key(|product| std::cmp::Reverse(product.cents)),
        _ => found.sort_by_key(|product| product.name),
    }
    let limit = asked["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10);
    let shown: Vec<Value> = found.iter().take(limit).map(|product| product.to_json()).collect();
    Ok(json!({"total": found.len(), "products": shown}))
}

async fn place_order(call: Call, chance: Chance) -> Result<Value, ToolError> {
    think(&chance, 20, 90).await;
    let mut cents = 0;
    for line in call.arguments["lines"].as_array().into_iter().flatten() {
        let sku = line["sku"].as_str().unwrap_or_default();
        let Some(product) = Product::of(sku) else {
            let error = ToolError::new("UNKNOWN_PRODUCT", format!("there is no product {sku:?}"));
            return Err(error.with_details(json!({"known": PRODUCTS.each_ref().map(|product| product.sku)})));
        };
        // The schema bounds it to 20.
        cents += product.cents * line["quantity"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    }
    Ok(json!({"orderId": numbered(&chance, "ORD"), "total": euros(cents), "currency": "EUR"}))
}

async fn charge_card(call: Call, chance: Chance) -> Result<Value, ToolError> {
    think(&chance, 60, 350).await;
    if chance.is(UNREACHABLE_PERCENT) {
        return Err(ToolError::new("BANK_UNREACHABLE", "the bank did not answer: try again").retryable());
    }
    if chance.is(DECLINED_PERCENT) {
        let error = ToolError::new("CARD_DECLINED", "the bank declined the card");
        return Err(error.with_details(json!({"amount": call.arguments["amount"], "reason": "insufficient_funds"})));
    }
    let status = if call.arguments["capture"] == "when-shipped" { "authorised" } else { "captured" };
    Ok(json!({"paymentId": numbered(&chance, "PAY"), "status": status}))
}

async fn score_order(call: Call, chance: Chance) -> Result<Value, ToolError> {
    think(&chance, 10, 60).await;
    let (amount, is_abroad) = (call.arguments["amount"].as_f64().unwrap_or(0.0), call.arguments["country"] == "other");
    let luck = chance.roll().f64() * 0.4;
    let score = (luck + amount / 1000.0 + if is_abroad { 0.3 } else { 0.0 }).min(1.0);
    let verdict = match score {
        score if score < 0.5 => "pass",
        score if score < 0.85 => "review",
        _ => "reject",
    };
    let reasons = [(amount > 300.0, "a large order"), (is_abroad, "a country that we know little of")];
    let reasons: Vec<&str> = reasons.into_iter().filter(|(is, _)| *is).map(|(_, reason)| reason).collect();
    Ok(json!({"score": (score * 100.0).round() / 100.0, "verdict": verdict, "reasons": reasons}))
}

async fn reserve_stock(call: Call, chance: Chance) -> Result<Value, ToolError> {
    think(&chance, 5, 50).await;
    let wanted = call.arguments["quantity"].as_u64().unwrap_or(1);
    let there = chance.roll().u64(0..60);
    if there < wanted {
        let error = ToolError::new("OUT_OF_STOCK", format!("{there} are left, and {wanted} were asked for"));
        return Err(error.with_details(json!({"left": there})).retryable());
    }
    Ok(json!({"reserved": wanted, "left": there - wanted}))
}

async fn pick_order(call: Call, chance: Chance) -> Result<Value, ToolError> {
    let shelves = call.arguments["shelves"].as_u64().unwrap_or(5);
    for shelf in 1..=shelves {
        tokio::time::sleep(SHELF).await;
        call.progress(json!({"shelf": shelf, "of": shelves, "doing": "picked"})).await?;
    }
    tokio::time::sleep(SHELF).await;
    call.progress(json!({"doing": "packed"})).await?;
    let grams = chance.roll().u32(200..9_000);
    Ok(json!({"parcelId": numbered(&chance, "PCL"), "weightKg": f64::from(grams) / 1000.0}))
}

/// What a parcel costs by its weight, in cents.
fn cents_of(weight_kg: f64, country: &Value) -> f64 {
    let base = if country == "DE" { 390.0 } else { 890.0 };
    (base + weight_kg * 85.0).round()
}

async fn quote_by_weight(call: Call, chance: Chance) -> Result<Value, ToolError> {
    think(&chance, 5, 30).await;
    let weight = call.arguments["weightKg"].as_f64().unwrap_or(1.0);
    Ok(json!({"price": cents_of(weight, &call.arguments["country"]) / 100.0}))
}

async fn quote_by_size(call: Call, chance: Chance) -> Result<Value, ToolError> {
    think(&chance, 30, 140).await;
    let (parcel, to) = (&call.arguments["parcel"], &call.arguments["to"]);
    let side = |name: &str, usual: f64| parcel["sizeCm"][name].as_f64().unwrap_or(usual);
    // What is large counts as heavy: 200 kg to the cubic metre.
    let by_size = side("length", 30.0) * side("width", 20.0) * side("height", 15.0) / 5000.0;
    let weight = parcel["weightKg"].as_f64().unwrap_or(1.0).max(by_size);
    let (factor, days) = match call.arguments["service"].as_str() {
        Some("economy") => (0.8, 5),
        Some("express") => (2.1, 1),
        _ => (1.0, 2),
    };
    let extras = call.arguments["extras"].as_array().map_or(0, Vec::len);
    let offers = [("Postwagen", 1.0, 0), ("Swift", 1.25, -1), ("Lastkahn", 0.85, 2)].map(|(carrier, dear, later)| {
        let cents =
            cents_of(weight, &to["country"]) * factor * dear + 150.0 * f64::from(u32::try_from(extras).unwrap_or(0));
        json!({"carrier": carrier, "price": cents.round() / 100.0, "days": (days + later).max(1)})
    });
    Ok(json!({ "offers": offers }))
}

async fn send_message(_: Call, chance: Chance) -> Result<Value, ToolError> {
    think(&chance, 20, 120).await;
    Ok(json!({"messageId": numbered(&chance, "MSG")}))
}
