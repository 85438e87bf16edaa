//! What has become of requests since the registry started, by pool.

use crate::model::{Band, HostName, Transport, Transports};
use crate::registry::pool::{Pool, Rules};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What has become of requests, for one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Leases granted.
    pub granted: u64,
    /// Requests refused.
    pub refused: u64,
    /// Numbers that turned out to be in use.
    pub conflicts: u64,
}

/// The counts of every pool of the hosts that the configuration names, and of the registry's own. Hosts that only
/// requests name are not counted: there may be any number of them.
#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<HashMap<(HostName, Transport, Band), Counts>>);

impl Counters {
    /// Counts for the pools that a range is in; for all of the host's where there is none.
    pub(super) fn count(
        &self,
        rules: &Rules,
        host: &HostName,
        transports: Transports,
        range: Option<Band>,
        add: impl Fn(&mut Counts),
    ) {
        if *host != rules.host && !rules.bands.iter().any(|(named, _)| named.as_ref() == Some(host)) {
            return;
        }
        let mut counts = self.lock();
        for band in rules.bands(host).filter(|band| range.is_none_or(|range| range.overlaps(*band))) {
            for transport in transports.all() {
                add(counts.entry((host.clone(), *transport, band)).or_default());
            }
        }
    }

    /// Each pool with its counts.
    pub(super) fn beside(&self, pools: Vec<Pool>) -> Vec<(Pool, Counts)> {
        let counts = self.lock();
        let counted = |pool: Pool| {
            let counts = counts.get(&(pool.host.clone(), pool.transport, pool.band)).copied().unwrap_or_default();
            (pool, counts)
        };
        pools.into_iter().map(counted).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(HostName, Transport, Band), Counts>> {
        // A count is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
