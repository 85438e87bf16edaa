//! Snapshots and retention, away from the writer: taking a snapshot of a large registry takes seconds, and the
//! version it is taken of never changes.

use super::state::State;
use crate::log::{Log, Snapshot};
use crate::model::{Sequence, Time};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

/// When snapshots are taken and what is kept of the past.
#[derive(Clone, Debug)]
pub struct Options {
    /// Take a snapshot after so many changes.
    pub snapshot_every: u64,
    /// Keep changes at least so many seconds; `None`: for ever.
    pub retain_seconds: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options { snapshot_every: 100_000, retain_seconds: None }
    }
}

/// A start that has at most so many changes to replay needs no snapshot at the stop before it.
const REPLAYED_AT_START: u64 = 1_000;

#[derive(Debug)]
pub(super) struct Upkeep {
    versions: SyncSender<Arc<State>>,
    worker: thread::JoinHandle<()>,
    snapshot_every: u64,
    /// The place of the latest snapshot that was asked for.
    latest: Sequence,
}

impl Upkeep {
    pub(super) fn start(log: Arc<dyn Log>, options: Options, latest: Sequence) -> Self {
        // Room for one: a version that comes while a snapshot is being taken waits, a later one is passed over.
        let (versions, waiting) = sync_channel(1);
        let snapshot_every = options.snapshot_every.max(1);
        let worker = thread::spawn(move || work(&*log, &options, &waiting));
        Upkeep { versions, worker, snapshot_every, latest }
    }

    /// Has a snapshot taken of this version if it is time for one. Never waits.
    pub(super) fn consider(&mut self, version: &Arc<State>) {
        if version.sequence.0 - self.latest.0 < self.snapshot_every {
            return;
        }
        match self.versions.try_send(version.clone()) {
            Ok(()) => self.latest = version.sequence,
            // Busy: the next version will do as well.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// Takes a last snapshot where the next start would have much to replay, and waits for it.
    pub(super) fn stop(self, version: Arc<State>) {
        if version.sequence.0 - self.latest.0 > REPLAYED_AT_START {
            // Refused only by a worker that has ended; then there is no snapshot, and the next start replays.
            let _ = self.versions.send(version);
        }
        drop(self.versions);
        let _ = self.worker.join();
    }
}

fn work(log: &dyn Log, options: &Options, waiting: &Receiver<Arc<State>>) {
    while let Ok(version) = waiting.recv() {
        let (sequence, time) = (version.sequence, version.time);
        let snapshot = Snapshot { sequence, time, things: version.things().collect() };
        drop(version);
        match log.save_snapshot(&snapshot) {
            Ok(()) => tracing::info!(%sequence, "a snapshot was taken"),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a snapshot could not be taken");
                continue;
            }
        }
        if let Some(seconds) = options.retain_seconds {
            prune(log, time, seconds);
        }
    }
}

fn prune(log: &dyn Log, now: Time, retain_seconds: u64) {
    let retained_micros = i64::try_from(retain_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    let horizon = Time::from_micros(now.as_micros().saturating_sub(retained_micros));
    // Before the horizon nothing is kept that the oldest remaining snapshot does not sum up.
    let pruned = log.place_at(horizon).and_then(|place| log.prune(place));
    match pruned {
        Ok(upto) => tracing::debug!(%upto, "changes before this place are no longer kept"),
        Err(crate::log::ReadError::Pruned { .. }) => {}
        Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "old changes could not be pruned"),
    }
}
