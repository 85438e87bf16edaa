//! What the shop sells.

use serde_json::{Value, json};

/// A product.
pub(super) struct Product {
    pub(super) sku: &'static str,
    pub(super) name: &'static str,
    pub(super) category: &'static str,
    /// In cents, so that sums are right.
    pub(super) cents: u32,
}

/// All there are; the contract of `inventory` names them, too.
pub(super) static PRODUCTS: [Product; 8] = [
    product("BEAN-ETH-250", "Beans from Ethiopia, 250 g", "coffee", 990),
    product("BEAN-COL-1000", "Beans from Colombia, 1 kg", "coffee", 2650),
    product("TEA-SEN-100", "Sencha, 100 g", "tea", 1240),
    product("TEA-ASM-250", "Assam, 250 g", "tea", 1490),
    product("MILL-HAND", "A mill to turn by hand", "equipment", 8900),
    product("KETTLE-GN", "A kettle with a long neck", "equipment", 6400),
    product("CUP-2", "Two cups", "gifts", 2800),
    product("BOX-TASTE", "A box of small bags to taste", "gifts", 3450),
];

const fn product(sku: &'static str, name: &'static str, category: &'static str, cents: u32) -> Product {
    Product { sku, name, category, cents }
}

impl Product {
    /// The product of a number.
    pub(super) fn of(sku: &str) -> Option<&'static Self> {
        PRODUCTS.iter().find(|product| product.sku == sku)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"sku": self.sku, "name": self.name, "category": self.category, "price": euros(self.cents)})
    }
}

/// Cents as euros.
pub(super) fn euros(cents: u32) -> f64 {
    f64::from(cents) / 100.0
}
