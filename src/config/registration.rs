use serde::{Deserialize, Serialize};

/// How registrations live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// The longest lifetime that a registration may ask for, in seconds: 1 or more.
    pub ttl_seconds_max: u32,
    /// How long a registration that lapsed while the registry was down is kept, in seconds.
    pub grace_seconds: u32,
}

impl Default for Registration {
    fn default() -> Self {
        Registration { ttl_seconds_max: 30 * 24 * 60 * 60, grace_seconds: 30 }
    }
}
