use serde::{Deserialize, Serialize};

/// What is kept of the past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// Take a snapshot after so many changes, so that a start replays no more: 1 or more.
    pub snapshot_every: u64,
    /// Keep changes at least so many days; 0 keeps them for ever.
    pub retain_days: u32,
}

impl Default for History {
    fn default() -> Self {
        History { snapshot_every: 100_000, retain_days: 0 }
    }
}
