//! Watching: first the history behind a place, then what happens, without a gap and without a queue.
//!
//! A watcher keeps no queue that could run over: it remembers how far it has come and takes what is there when it
//! is asked for more, from memory while that reaches back, else from the log. A slow one falls behind and catches
//! up; only retention can take away what it has not seen, and then it is told.

use super::view::Views;
use crate::log::{Filter, Range, ReadError, Record};
use crate::model::Sequence;
use std::sync::Arc;
use tokio::sync::watch;

/// How many records are read from the log at once.
const READ_AT_ONCE: usize = 256;

/// Follows the registry's changes.
#[derive(Debug)]
pub struct Watcher {
    views: Arc<Views>,
    filter: Filter,
    place: Sequence,
    changes: watch::Receiver<Sequence>,
}

/// Why a watcher cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place lies ahead of the log.
    #[error("place {asked} is beyond the end of the log, which is {current}")]
    Future {
        /// Where it was to begin.
        asked: Sequence,
        /// Where the log ends.
        current: Sequence,
    },
    /// What comes next is no longer kept.
    #[error("the changes after {after} are no longer kept up to {oldest}: go on from there")]
    Gone {
        /// How far the watcher had come.
        after: Sequence,
        /// The earliest place that it can go on from.
        oldest: Sequence,
    },
    /// The log could not be read.
    #[error("the log could not be read")]
    Unreadable(#[from] ReadError),
}

impl Watcher {
    /// A watcher of what follows this place; `None`: of what happens from now on.
    pub fn try_new(views: Arc<Views>, filter: Filter, after: Option<Sequence>) -> Result<Self, Error> {
        let current = views.current().sequence;
        let place = after.unwrap_or(current);
        if place > current {
            return Err(Error::Future { asked: place, current });
        }
        let changes = views.changes();
        Ok(Watcher { views, filter, place, changes })
    }

    /// How far the watcher has come: a new one may go on from here.
    pub fn place(&self) -> Sequence {
        self.place
    }

    /// The next records that match, at least one, in order. Waits until there are any; `None` once the registry
    /// has stopped.
    pub async fn next(&mut self) -> Option<Result<Vec<Arc<Record>>, Error>> {
        loop {
            // Marked as seen before looking: what comes after the look wakes the wait below.
            let current = *self.changes.borrow_and_update();
            while self.place < current {
                match self.advance(current).await {
                    Ok(records) if records.is_empty() => {}
                    Ok(records) => return Some(Ok(records)),
                    Err(error) => return Some(Err(error)),
                }
            }
            self.changes.changed().await.ok()?;
        }
    }

    /// What matches in the next stretch of the log; empty where nothing in it does.
    async fn advance(&mut self, current: Sequence) -> Result<Vec<Arc<Record>>, Error> {
        if let Some(batches) = self.views.recent_batches(self.place) {
            let records = batches.iter().flat_map(|batch| batch.records());
            let matching: Vec<Arc<Record>> = records
                .filter(|record| record.sequence > self.place)
                .filter(|record| self.filter.matches(&record.origin, &record.change))
                .cloned()
                .collect();
            let seen = matching.last().map_or(current, |record| record.sequence.max(current));
            self.place = self.place.max(seen);
            return Ok(matching);
        }
        let (log, filter) = (self.views.log().clone(), self.filter.clone());
        let range = Range { after: self.place, upto: current, backward: false, limit: READ_AT_ONCE };
        let found = tokio::task::spawn_blocking(move || log.find(&filter, range)).await;
        match found.map_err(|panicked| ReadError::Failed(panicked.into())).and_then(|found| found) {
            Ok(found) => {
                self.place = match found.last() {
                    Some(last) if found.len() == READ_AT_ONCE => last.sequence,
                    _ => current,
                };
                Ok(found.into_iter().map(Arc::new).collect())
            }
            Err(ReadError::Pruned { oldest }) => Err(Error::Gone { after: self.place, oldest }),
            Err(error) => Err(Error::Unreadable(error)),
        }
    }
}
