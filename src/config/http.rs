use serde::{Deserialize, Serialize};

/// What the transports allow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The most bytes of a request body or websocket message: 1 or more.
    pub body_bytes_max: usize,
    /// How many operations one websocket runs at once: 1 or more.
    pub operations_max: usize,
    /// How long a websocket may take to say connection_init, in seconds: 1 or more.
    pub init_seconds: u32,
    /// How long a websocket may take nothing of what waits for it before it is ended, in seconds: 1 or more.
    pub stall_seconds: u32,
}

impl Default for Http {
    fn default() -> Self {
        let limits = crate::http::Limits::default();
        Http {
            body_bytes_max: limits.body_bytes_max,
            operations_max: limits.operations_max,
            init_seconds: limits.init_wait.as_secs() as u32,
            stall_seconds: limits.stall_wait.as_secs() as u32,
        }
    }
}
