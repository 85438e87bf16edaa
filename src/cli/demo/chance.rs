//! What happens by chance in tools, of which several may answer at once.

use fastrand::Rng;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Dice that many share.
#[derive(Clone)]
pub(super) struct Chance(Arc<Mutex<Rng>>);

impl Chance {
    pub(super) fn new(rng: Rng) -> Self {
        Chance(Arc::new(Mutex::new(rng)))
    }

    /// Held for one throw only.
    pub(super) fn roll(&self) -> MutexGuard<'_, Rng> {
        // A generator has no state that a panic could leave by half.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something happens that does in so many of a hundred cases.
    pub(super) fn is(&self, percent: u32) -> bool {
        self.roll().u32(0..100) < percent
    }
}
