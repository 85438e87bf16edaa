//! What happened in calls on its way to the log: gathered for a moment, then written together, so that no call waits for
//! the disk. Those that promise something beyond their own end do wait, for the write that is next.

use super::call::Call;
use crate::registry::command::Request;
use crate::registry::engine::{Error, Handle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long records are gathered.
const GATHERED: Duration = Duration::from_millis(10);
/// How many calls may wait to be recorded: beyond it the log does not keep up, and new calls are refused.
const WAITING_MAX: usize = 50_000;
/// How many calls are recorded in one go.
const AT_ONCE_MAX: usize = 4_096;
/// How long until a write that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The round after which none comes: the log takes nothing more.
const ENDED: u64 = u64::MAX;

#[derive(Default)]
struct Queue {
    calls: Vec<Arc<Call>>,
    /// Counts up with each write that begins.
    round: u64,
}

/// Takes records to the log.
pub struct Recorder {
    // Held for a push or a swap; nothing waits under it.
    queue: Mutex<Queue>,
    /// Told when there is something to record.
    filled: Notify,
    /// Told when somebody waits for the write.
    urgent: Notify,
    /// The last write that is done.
    written: watch::Sender<u64>,
}

impl Default for Recorder {
    fn default() -> Self {
        let (written, _) = watch::channel(0);
        Recorder { queue: Mutex::default(), filled: Notify::new(), urgent: Notify::new(), written }
    }
}

impl Recorder {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether so much waits that no more should be begun.
    pub fn is_full(&self) -> bool {
        self.queue().calls.len() >= WAITING_MAX || *self.written.borrow() == ENDED
    }

    /// How many calls wait to be recorded.
    pub fn waiting(&self) -> usize {
        self.queue().calls.len()
    }

    /// A call has something to record.
    pub fn add(&self, call: Arc<Call>) {
        let mut queue = self.queue();
        queue.calls.push(call);
        if queue.calls.len() == 1 {
            drop(queue);
            self.filled.notify_one();
        }
    }

    /// Waits until all that was added before is in the log.
    pub async fn flush(&self) {
        let round = {
            let queue = self.queue();
            // What was taken before is in the round that is being written, what waits in the next ones.
            queue.round + queue.calls.len().div_ceil(AT_ONCE_MAX) as u64
        };
        self.urgent.notify_one();
        // Ends as well with the log.
        let _ = self.written.subscribe().wait_for(|written| *written >= round).await;
    }

    fn take(&self) -> (Vec<Arc<Call>>, u64) {
        let mut queue = self.queue();
        queue.round += 1;
        let count = queue.calls.len().min(AT_ONCE_MAX);
        let rest = queue.calls.split_off(count);
        let calls = std::mem::replace(&mut queue.calls, rest);
        // What is left is written with the next round: that must come.
        if !queue.calls.is_empty() {
            self.filled.notify_one();
        }
        (calls, queue.round)
    }

    /// Takes records to the log, until the registry stops. `recorded` is told which calls are in the log.
    pub async fn keep(&self, handle: Handle, recorded: impl Fn(&Arc<Call>)) {
        loop {
            self.filled.notified().await;
            tokio::select! {
                () = tokio::time::sleep(GATHERED) => {}
                () = self.urgent.notified() => {}
            }
            let (calls, round) = self.take();
            let requests: Vec<Request> = calls.iter().map(|call| call.take_records()).collect();
            loop {
                match handle.record(requests.clone()).await {
                    Ok(()) => break,
                    Err(Error::Stopped | Error::Halted(_)) => {
                        // Whoever waits for the log waits no more, and no new call is taken.
                        self.written.send_replace(ENDED);
                        return;
                    }
                    Err(error) => {
                        tracing::error!(error = &error as &dyn std::error::Error, "calls could not be recorded");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
            calls.iter().for_each(&recorded);
            self.written.send_replace(round);
        }
    }
}
