//! When calls run out of time: one task sleeps until the earliest deadline, for all of them.

use super::call::Call;
use crate::model::InvocationId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;
use tokio::time::Instant;

type Queue = BTreeMap<(Instant, InvocationId), Weak<Call>>;

/// The deadlines of calls under way.
#[derive(Default)]
pub struct Deadlines {
    // Held for one insertion or removal; nothing waits under it.
    queue: Mutex<Queue>,
    /// Told when the earliest deadline is now an earlier one.
    earlier: Notify,
}

impl Deadlines {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a call told when its time is up.
    pub fn add(&self, call: &Arc<Call>) {
        let key = (call.deadline, call.id);
        let mut queue = self.queue();
        let is_first = queue.first_key_value().is_none_or(|(first, _)| key < *first);
        queue.insert(key, Arc::downgrade(call));
        drop(queue);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// A call ended before its time was up.
    pub fn remove(&self, call: &Call) {
        self.queue().remove(&(call.deadline, call.id));
    }

    /// Tells calls when their time is up, for ever.
    pub async fn keep(&self) {
        loop {
            let next = self.queue().first_key_value().map(|((deadline, _), _)| *deadline);
            tokio::select! {
                () = async {
                    match next {
                        Some(deadline) => tokio::time::sleep_until(deadline).await,
                        None => std::future::pending().await,
                    }
                } => {}
                () = self.earlier.notified() => continue,
            }
            // Outside the lock: a call that ends takes itself out of the queue.
            for call in self.due(Instant::now()) {
                call.time_is_up();
            }
        }
    }

    fn due(&self, now: Instant) -> Vec<Arc<Call>> {
        let mut queue = self.queue();
        let later = queue.split_off(&(now, InvocationId(uuid::Uuid::max())));
        let due = std::mem::replace(&mut *queue, later);
        due.into_values().filter_map(|call| call.upgrade()).collect()
    }
}
