//! Somebody who listens on a bus, for as long as this is there.

use super::Error;
use super::running::Running;
use crate::bus::queue::Given;
use crate::bus::router::{Attaching, End};
use crate::model::SubscriberId;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// How many events are taken at once.
const TAKEN_AT_ONCE: usize = 64;

/// Somebody who listens. Dropped, it does no longer.
pub struct Listening {
    running: Arc<Running>,
    id: SubscriberId,
    waker: Arc<Notify>,
    taken: VecDeque<Given>,
    ended: Option<End>,
}

impl Listening {
    pub(super) fn try_new(running: Arc<Running>, attaching: Attaching) -> Result<Self, Error> {
        let id = attaching.id;
        // Before it is attached: what comes right then has somebody to wake.
        let waker = running.waker(id);
        let attached = running.router().attach(running.clock().now(), attaching);
        running.look_again();
        if let Err(refused) = attached {
            running.leave(id);
            return Err(Error::NotAttached(refused));
        }
        Ok(Listening { running, id, waker, taken: VecDeque::new(), ended: None })
    }

    /// The next event; why there is no further one once there is none.
    pub async fn next(&mut self) -> Result<Given, End> {
        loop {
            if let Some(given) = self.taken.pop_front() {
                return Ok(given);
            }
            if let Some(end) = self.ended {
                return Err(end);
            }
            let taken = self.running.router().take(self.running.clock().now(), self.id, TAKEN_AT_ONCE);
            if taken.released {
                self.running.release();
            }
            self.ended = taken.ended;
            if taken.given.is_empty() && self.ended.is_none() {
                // A permit that was left by an earlier turn costs one more look.
                self.waker.notified().await;
            } else {
                self.taken = taken.given.into();
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.running.leave(self.id);
    }
}
