//! What customers do: each order is a journey through most of the nodes, under one correlation id.

use super::goods::{PRODUCTS, Product};
use super::world::{Event, SHOP, World};
use fastrand::Rng;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a customer thinks between two orders, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 300..1_800;
const COUNTRIES: [&str; 5] = ["AT", "BE", "DE", "FR", "NL"];
const CUSTOMERS: [&str; 6] = ["Ada", "Grace", "Edsger", "Barbara", "Tony", "Radia"];

/// Orders again and again.
pub(super) async fn order_for_ever(world: &World, mut rng: Rng) {
    loop {
        let undertaking = format!("order-{:08x}", rng.u32(..));
        let journey = Journey { world, undertaking: &undertaking };
        journey.go(&mut rng).await;
        tokio::time::sleep(Duration::from_millis(rng.u64(PAUSE_MS))).await;
    }
}

/// One order, from the cart to the parcel.
struct Journey<'a> {
    world: &'a World,
    undertaking: &'a str,
}

/// What was ordered.
struct Order {
    id: Value,
    total: Value,
    country: &'static str,
    lines: Vec<(&'static Product, u32)>,
    mail: String,
}

impl Journey<'_> {
    async fn go(&self, rng: &mut Rng) {
        let Some(order) = self.order(rng).await else { return };
        if !self.pay(rng, &order).await {
            return;
        }
        self.reserve(rng, &order).await;
        self.send(rng, &order).await;
    }

    /// Looks around, fills a cart and orders.
    async fn order(&self, rng: &mut Rng) -> Option<Order> {
        let category = *rng.choice(&["any", "coffee", "tea", "equipment", "gifts"])?;
        self.call("search_products", json!({"category": category, "order": "cheapest", "limit": 5})).await;
        let lines: Vec<_> = (0..rng.usize(1..4))
            .filter_map(|_| rng.choice(&PRODUCTS).map(|product| (product, rng.u32(1..4))))
            .collect();
        self.tell("storefront", "carts.updated", "cart.updated", json!({"lines": lines.len()})).await;
        let (name, country) = (*rng.choice(&CUSTOMERS)?, *rng.choice(&COUNTRIES)?);
        let mail = format!("{}@example.org", name.to_lowercase());
        let written: Vec<_> =
            lines.iter().map(|(product, count)| json!({"sku": product.sku, "quantity": count})).collect();
        let arguments = json!({
            "customer": {"name": name, "email": mail, "level": rng.choice(["guest", "member", "gold"])},
            "lines": written,
            "delivery": {"method": "standard", "country": country, "postcode": "10115"},
            "gift": rng.u8(0..5) == 0,
        });
        let placed = self.call("place_order", arguments).await?;
        let (id, total) = (placed["orderId"].clone(), placed["total"].clone());
        // Somebody's program writes sums as text now and then, which does not fit the topic's schema.
        let told = if rng.u8(0..15) == 0 { json!(total.to_string()) } else { total.clone() };
        let metadata = json!({"orderId": id, "total": told, "lines": lines.len(), "country": country});
        self.tell("checkout", "orders.placed", "order.placed", metadata).await;
        Some(Order { id, total, country, lines, mail })
    }

    /// Pays; false where there is no money.
    async fn pay(&self, rng: &mut Rng, order: &Order) -> bool {
        self.call("score_order", json!({"orderId": order.id, "amount": order.total, "country": order.country})).await;
        let card = json!({"number": format!("4{:015}", rng.u64(0..1_000_000_000_000_000)), "expires": "09/29"});
        let charged = self.call("charge_card", json!({"orderId": order.id, "amount": order.total, "card": card})).await;
        let (topic, kind, template) = match &charged {
            Some(_) => ("orders.paid", "order.paid", "order-paid"),
            None => ("orders.declined", "order.declined", "card-declined"),
        };
        let payment = charged.as_ref().map_or(&Value::Null, |charged| &charged["paymentId"]);
        let metadata = json!({"orderId": order.id, "total": order.total, "paymentId": payment});
        self.tell("payments", topic, kind, metadata).await;
        let message = json!({"channel": "mail", "to": order.mail, "template": template});
        self.call("send_message", message).await;
        charged.is_some()
    }

    /// Takes from the shelves, and has them filled.
    async fn reserve(&self, rng: &mut Rng, order: &Order) {
        for (product, count) in &order.lines {
            // Somebody types a number that the schema does not have.
            let count = if rng.u8(0..40) == 0 { 500 } else { *count };
            let reserved = self.call("reserve_stock", json!({"sku": product.sku, "quantity": count})).await;
            let left = reserved.map_or(Some(0), |reserved| reserved["left"].as_u64());
            if left.is_some_and(|left| left < 5) {
                let metadata = json!({"sku": product.sku, "left": left});
                self.tell("inventory", "stock.low", "stock.low", metadata).await;
                let metadata = json!({"sku": product.sku, "pieces": 40});
                self.tell("replenishment", "stock.ordered", "stock.ordered", metadata).await;
            }
        }
    }

    /// Asks for a price in one of the two versions, picks, packs and ships.
    async fn send(&self, rng: &mut Rng, order: &Order) {
        if rng.u8(0..10) < 7 {
            let arguments = json!({"weightKg": 1.5, "country": order.country});
            self.world.call("quote_shipping", Some("^1"), arguments, self.undertaking).await;
        } else {
            let arguments = json!({"parcel": {"weightKg": 1.5}, "to": {"country": order.country}});
            self.world.call("quote_shipping", Some("^2"), arguments, self.undertaking).await;
        }
        let arguments = json!({"orderId": order.id, "shelves": rng.u8(2..6)});
        let Some(parcel) = self.call("pick_order", arguments).await else { return };
        for (topic, kind) in [("parcels.packed", "parcel.packed"), ("parcels.shipped", "parcel.shipped")] {
            let metadata = json!({"orderId": order.id, "parcelId": parcel["parcelId"], "weightKg": parcel["weightKg"]});
            self.tell("warehouse", topic, kind, metadata).await;
        }
    }

    async fn call(&self, tool: &str, arguments: Value) -> Option<Value> {
        self.world.call(tool, None, arguments, self.undertaking).await
    }

    async fn tell(&self, node: &str, topic: &str, kind: &str, metadata: Value) {
        let event =
            Event { bus: SHOP, topic, kind, node, undertaking: Some(self.undertaking), tags: &["web"], metadata };
        self.world.publish(event).await;
    }
}
