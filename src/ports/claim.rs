//! Numbers that requests under way are looking at: nobody else picks them meanwhile.

use crate::model::PortKey;
use crate::registry::command::{Found, Wanted};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The claims of all requests.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashSet<PortKey>>);

impl Claims {
    /// A request's own claims, none yet; they end with it.
    pub(super) fn begin(&self) -> Claim<'_> {
        Claim { all: self, keys: Vec::new() }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PortKey>> {
        // A set is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request has claimed.
pub(super) struct Claim<'a> {
    all: &'a Claims,
    keys: Vec<PortKey>,
}

impl Claim<'_> {
    /// Lets nobody else pick while this request does, and lets go of what it picked before and did not find in use.
    pub(super) fn picking(&mut self, wanted: &mut [Wanted]) -> Picking<'_> {
        for wanted in wanted.iter_mut() {
            wanted.probes.retain(|probe| matches!(probe.found, Found::InUse(_)));
        }
        let mut claimed = self.all.lock();
        let in_use = |key: &PortKey| {
            let mut probes = wanted.iter().filter(|wanted| wanted.host == key.host).flat_map(|wanted| &wanted.probes);
            probes.any(|probe| probe.port == key.port)
        };
        self.keys.retain(|key| in_use(key) || !claimed.remove(key));
        Picking { claimed, keys: &mut self.keys }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claimed = self.all.lock();
        self.keys.iter().for_each(|key| _ = claimed.remove(key));
    }
}

/// The claims of all, while one request adds its own.
pub(super) struct Picking<'a> {
    claimed: MutexGuard<'a, HashSet<PortKey>>,
    keys: &'a mut Vec<PortKey>,
}

impl Picking<'_> {
    /// What is claimed, by whomever.
    pub(super) fn claimed(&self) -> &HashSet<PortKey> {
        &self.claimed
    }

    /// Claims a number.
    pub(super) fn claim(&mut self, wanted: &Wanted, port: u16) {
        for key in wanted.keys(port) {
            self.keys.push(key.clone());
            self.claimed.insert(key);
        }
    }
}
