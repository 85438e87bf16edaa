use serde::{Deserialize, Serialize};

/// What the transports allow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The most bytes of a request body or websocket message: 1 or more.
    pub body_bytes_max: usize,
    /// How many operations one websocket runs at once: 1 or more.
    pub operations_max: usize,
}

impl Default for Http {
    fn default() -> Self {
        let limits = crate::http::Limits::default();
        Http { body_bytes_max: limits.body_bytes_max, operations_max: limits.operations_max }
    }
}
