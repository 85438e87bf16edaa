//! Versions of the registry: the current one for every reader without waiting, and earlier ones.

use super::apply;
use super::state::State;
use crate::log::{self, Filter, Log, ReadError, Record};
use crate::model::{Entry, RegistryId, Sequence, Time};
use arc_swap::ArcSwap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{Semaphore, watch};

/// How many of the latest versions are kept: asking for one of them costs a pointer.
const RECENT_VERSIONS_MAX: usize = 128;
/// How many changes of the latest batches are kept for watchers.
const RECENT_CHANGES_MAX: usize = 16_384;
/// How many earlier versions that somebody asked for are kept.
const FOLDED_VERSIONS_MAX: usize = 8;
/// How many changes are read from the log at once while folding.
const FOLDED_AT_ONCE: usize = 10_000;

/// A batch as the writer published it.
#[derive(Debug)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    /// What watchers see of it: made when the first of them looks, shared by all.
    records: OnceLock<Vec<Arc<Record>>>,
}

impl Batch {
    /// A batch is never empty.
    pub(super) fn new(entries: Vec<Entry>) -> Arc<Self> {
        Arc::new(Batch { entries, records: OnceLock::new() })
    }

    fn first(&self) -> Sequence {
        self.entries.first().map_or(Sequence::ZERO, |entry| entry.first)
    }

    fn last(&self) -> Sequence {
        self.entries.last().map_or(Sequence::ZERO, Entry::last)
    }

    fn len(&self) -> usize {
        self.entries.iter().map(|entry| entry.changes.len()).sum()
    }

    pub(super) fn records(&self) -> &[Arc<Record>] {
        let everything = Filter::default();
        self.records.get_or_init(|| {
            self.entries.iter().flat_map(|entry| log::records(entry, &everything)).map(Arc::new).collect()
        })
    }
}

/// Why an earlier version cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has not come yet.
    #[error("place {asked} is beyond the end of the log, which is {current}")]
    Future {
        /// The place that was asked for.
        asked: Sequence,
        /// Where the log ends.
        current: Sequence,
    },
    /// That instant has not come yet.
    #[error("{asked} is in the future: it is {now}")]
    FutureTime {
        /// The instant that was asked for.
        asked: Time,
        /// The instant now.
        now: Time,
    },
    /// It is no longer kept.
    #[error("the state at {asked} is no longer kept: the oldest kept place is {oldest}")]
    Gone {
        /// The place that was asked for.
        asked: Sequence,
        /// The earliest place that can be asked for.
        oldest: Sequence,
    },
    /// The log could not be read.
    #[error("an earlier state could not be read from the log")]
    Unreadable(#[from] ReadError),
}

#[derive(Debug, Default)]
struct Recent {
    versions: VecDeque<Arc<State>>,
    batches: VecDeque<Arc<Batch>>,
    changes: usize,
    /// Earlier versions that somebody asked for, the latest asked last.
    folded: Vec<Arc<State>>,
}

/// Every version of the registry that can be asked.
pub struct Views {
    log: Arc<dyn Log>,
    current: ArcSwap<State>,
    // Held for a few pointer moves; nothing waits under it.
    recent: Mutex<Recent>,
    changed: watch::Sender<Sequence>,
    /// One at a time: folding reads much, and the next one may find what it needs.
    folding: Semaphore,
}

impl std::fmt::Debug for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Views").field("current", &self.current().sequence).finish_non_exhaustive()
    }
}

impl Views {
    pub(super) fn new(log: Arc<dyn Log>, state: Arc<State>) -> Self {
        let (changed, _) = watch::channel(state.sequence);
        let recent = Recent { versions: VecDeque::from([state.clone()]), ..Recent::default() };
        Views { log, current: ArcSwap::new(state), recent: Mutex::new(recent), changed, folding: Semaphore::new(1) }
    }

    /// The current version.
    pub fn current(&self) -> Arc<State> {
        self.current.load_full()
    }

    /// The place of the current version.
    pub fn sequence(&self) -> Sequence {
        self.current.load().sequence
    }

    /// The log behind the versions, for questions about history.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// The registry whose versions these are.
    pub fn registry_id(&self) -> RegistryId {
        self.log.registry_id()
    }

    /// Told whenever there is a new version: its place.
    pub fn changes(&self) -> watch::Receiver<Sequence> {
        self.changed.subscribe()
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // What a panicking holder left is a shorter memory at worst.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, state: Arc<State>, batch: Arc<Batch>) {
        let mut recent = self.recent();
        // First of all: whoever finds a change in the batches finds the version that has it.
        self.current.store(state.clone());
        recent.changes += batch.len();
        recent.batches.push_back(batch);
        while recent.changes > RECENT_CHANGES_MAX && recent.batches.len() > 1 {
            recent.changes -= recent.batches.pop_front().map_or(0, |batch| batch.len());
        }
        recent.versions.push_back(state.clone());
        if recent.versions.len() > RECENT_VERSIONS_MAX {
            recent.versions.pop_front();
        }
        drop(recent);
        self.changed.send_replace(state.sequence);
    }

    /// The batches behind a place, if they are all still in memory.
    pub(super) fn recent_batches(&self, after: Sequence) -> Option<Vec<Arc<Batch>>> {
        let recent = self.recent();
        let from = recent.batches.partition_point(|batch| batch.last() <= after);
        let reaches_back = recent.batches.front().is_some_and(|batch| batch.first() <= after.next());
        reaches_back.then(|| recent.batches.range(from..).cloned().collect())
    }

    /// How many of the latest changes that are in memory were made at this instant or later and are shown to watchers.
    pub fn shown_since(&self, instant: Time) -> usize {
        let recent = self.recent();
        let entries = recent.batches.iter().rev().flat_map(|batch| batch.entries.iter().rev());
        let entries = entries.take_while(|entry| entry.origin.time >= instant);
        let shown = |entry: &Entry| entry.changes.iter().filter(|change| change.event_kind().is_some()).count();
        entries.map(shown).sum()
    }

    /// The version that reflects the change at this place and all of its command: a command is never seen by half.
    pub async fn at(self: &Arc<Self>, place: Sequence) -> Result<Arc<State>, Error> {
        let current = self.current();
        if place > current.sequence {
            return Err(Error::Future { asked: place, current: current.sequence });
        }
        let place = self.end_of_entry(place);
        if let Some(version) = self.remembered(place) {
            return Ok(version);
        }
        // The semaphore is never closed.
        let _turn = self.folding.acquire().await;
        if let Some(version) = self.remembered(place) {
            return Ok(version);
        }
        let views = self.clone();
        match tokio::task::spawn_blocking(move || views.fold(place)).await {
            Ok(folded) => folded,
            Err(panicked) => Err(Error::Unreadable(ReadError::Failed(panicked.into()))),
        }
    }

    /// The version that reflects everything up to this instant.
    pub async fn at_time(self: &Arc<Self>, time: Time, now: Time) -> Result<Arc<State>, Error> {
        if time > now {
            return Err(Error::FutureTime { asked: time, now });
        }
        let current = self.current();
        if time >= current.time {
            return Ok(current);
        }
        let log = self.log.clone();
        let place = tokio::task::spawn_blocking(move || log.place_at(time)).await;
        match place.map_err(|panicked| ReadError::Failed(panicked.into())).and_then(|place| place) {
            Ok(place) => self.at(place).await,
            Err(ReadError::Pruned { oldest }) => Err(Error::Gone { asked: Sequence::ZERO, oldest }),
            Err(error) => Err(Error::Unreadable(error)),
        }
    }

    /// The last place of the entry that has this place, while it is in memory.
    fn end_of_entry(&self, place: Sequence) -> Sequence {
        let recent = self.recent();
        let at = recent.batches.partition_point(|batch| batch.last() < place);
        let entries = recent.batches.get(at).map(|batch| batch.entries.as_slice()).unwrap_or_default();
        let entry = entries.iter().find(|entry| (entry.first..=entry.last()).contains(&place));
        entry.map_or(place, Entry::last)
    }

    fn remembered(&self, place: Sequence) -> Option<Arc<State>> {
        let recent = self.recent();
        let at = recent.versions.partition_point(|version| version.sequence < place);
        let exact = recent.versions.get(at).filter(|version| version.sequence == place);
        exact.or_else(|| recent.folded.iter().find(|version| version.sequence == place)).cloned()
    }

    /// The latest version in memory that is not beyond this place.
    fn base(&self, place: Sequence) -> Option<Arc<State>> {
        let recent = self.recent();
        let versions = recent.versions.iter().chain(&recent.folded);
        versions.filter(|version| version.sequence <= place).max_by_key(|version| version.sequence).cloned()
    }

    fn fold(&self, place: Sequence) -> Result<Arc<State>, Error> {
        let stored = self.log.snapshot_place(place)?;
        let base = match self.base(place).filter(|base| Some(base.sequence) >= stored) {
            Some(base) => base,
            None => Arc::new(self.stored_base(place)?),
        };
        let mut state = State::clone(&base);
        if let Some(batches) = self.recent_batches(state.sequence) {
            let entries = batches.iter().flat_map(|batch| &batch.entries).filter(|entry| entry.last() > base.sequence);
            for entry in entries {
                if state.sequence >= place {
                    break;
                }
                apply::entry(&mut state, entry);
            }
        }
        while state.sequence < place {
            let at_once = FOLDED_AT_ONCE.min((place.0 - state.sequence.0) as usize);
            let entries = match self.log.read(state.sequence, at_once) {
                Err(ReadError::Pruned { oldest }) => return Err(Error::Gone { asked: place, oldest }),
                read => read?,
            };
            if entries.is_empty() {
                let reason = "the log ends before it".to_owned();
                return Err(ReadError::Damaged { place, reason }.into());
            }
            for entry in &entries {
                if state.sequence >= place {
                    break;
                }
                apply::entry(&mut state, entry);
            }
        }
        let state = Arc::new(state);
        let mut recent = self.recent();
        recent.folded.push(state.clone());
        if recent.folded.len() > FOLDED_VERSIONS_MAX {
            recent.folded.remove(0);
        }
        Ok(state)
    }

    fn stored_base(&self, place: Sequence) -> Result<State, Error> {
        if let Some(snapshot) = self.log.load_snapshot(place)? {
            return Ok(apply::restore(snapshot.sequence, snapshot.time, snapshot.things));
        }
        match self.log.pruned_upto()? {
            Sequence::ZERO => Ok(State::beginning()),
            oldest => Err(Error::Gone { asked: place, oldest }),
        }
    }
}
