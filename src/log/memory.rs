//! A log that is gone with the process: for tests, and for measuring everything but the disk.

use super::{AppendError, Filter, Head, Log, Range, ReadError, Record, Snapshot, Verification};
use crate::model::{Entry, RegistryId, Sequence, Time};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A log in memory. Durable in nothing but name.
#[derive(Debug)]
pub struct MemoryLog {
    id: RegistryId,
    // Held for the length of a copy; nothing waits under it.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pruned_upto: Sequence,
    pruned_time: Time,
    entries: Vec<Entry>,
    snapshots: Vec<(Sequence, Time, Vec<crate::model::Thing>)>,
}

impl Inner {
    fn head(&self) -> Head {
        match self.entries.last() {
            Some(entry) => Head { sequence: entry.last(), time: entry.origin.time },
            None => Head { sequence: self.pruned_upto, time: self.pruned_time },
        }
    }

    fn kept(&self, after: Sequence) -> Result<(), ReadError> {
        if after < self.pruned_upto { Err(ReadError::Pruned { oldest: self.pruned_upto }) } else { Ok(()) }
    }
}

impl MemoryLog {
    /// An empty log of the registry with this id.
    pub fn new(id: RegistryId) -> Self {
        MemoryLog { id, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held left whole entries at worst: every change of it is one push.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for MemoryLog {
    fn registry_id(&self) -> RegistryId {
        self.id
    }

    fn head(&self) -> Result<Head, ReadError> {
        Ok(self.inner().head())
    }

    fn pruned_upto(&self) -> Result<Sequence, ReadError> {
        Ok(self.inner().pruned_upto)
    }

    fn append(&self, expected: Sequence, entries: &[Entry]) -> Result<(), AppendError> {
        let mut inner = self.inner();
        let actual = inner.head().sequence;
        if actual != expected {
            return Err(AppendError::Elsewhere { expected, actual });
        }
        inner.entries.extend_from_slice(entries);
        Ok(())
    }

    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let inner = self.inner();
        inner.kept(after)?;
        let from = inner.entries.partition_point(|entry| entry.last() <= after);
        let mut read = 0;
        let wanted = inner.entries[from..].iter().take_while(|entry| {
            let more = read < limit;
            read += entry.changes.len();
            more
        });
        Ok(wanted.cloned().collect())
    }

    fn find(&self, filter: &Filter, range: Range) -> Result<Vec<Record>, ReadError> {
        let inner = self.inner();
        inner.kept(range.after)?;
        let within = |record: &Record| record.sequence > range.after && record.sequence <= range.upto;
        let mut found: Vec<Record> =
            inner.entries.iter().flat_map(|entry| super::records(entry, filter)).filter(within).collect();
        if range.backward {
            found.reverse();
        }
        found.truncate(range.limit);
        Ok(found)
    }

    fn count(&self, filter: &Filter, upto: Sequence) -> Result<u64, ReadError> {
        let inner = self.inner();
        let matching = inner.entries.iter().flat_map(|entry| super::records(entry, filter));
        Ok(matching.filter(|record| record.sequence <= upto).count() as u64)
    }

    fn place_at(&self, time: Time) -> Result<Sequence, ReadError> {
        let inner = self.inner();
        let upto = inner.entries.partition_point(|entry| entry.origin.time <= time);
        match upto.checked_sub(1) {
            Some(last) => Ok(inner.entries[last].last()),
            None if time >= inner.pruned_time => Ok(inner.pruned_upto),
            None => Err(ReadError::Pruned { oldest: inner.pruned_upto }),
        }
    }

    fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), ReadError> {
        let mut inner = self.inner();
        inner.snapshots.push((snapshot.sequence, snapshot.time, snapshot.things.clone()));
        inner.snapshots.sort_by_key(|(sequence, _, _)| *sequence);
        Ok(())
    }

    fn load_snapshot(&self, upto: Sequence) -> Result<Option<Snapshot>, ReadError> {
        let inner = self.inner();
        let latest = inner.snapshots.iter().rev().find(|(sequence, _, _)| *sequence <= upto);
        Ok(latest.map(|(sequence, time, things)| Snapshot { sequence: *sequence, time: *time, things: things.clone() }))
    }

    fn snapshot_place(&self, upto: Sequence) -> Result<Option<Sequence>, ReadError> {
        let inner = self.inner();
        Ok(inner.snapshots.iter().rev().map(|(sequence, _, _)| *sequence).find(|sequence| *sequence <= upto))
    }

    fn prune(&self, upto: Sequence) -> Result<Sequence, ReadError> {
        let mut inner = self.inner();
        let latest = inner.snapshots.iter().rev().find(|(sequence, _, _)| *sequence <= upto);
        let Some((base, time)) = latest.map(|(sequence, time, _)| (*sequence, *time)) else {
            return Ok(inner.pruned_upto);
        };
        if base > inner.pruned_upto {
            inner.entries.retain(|entry| entry.last() > base);
            inner.snapshots.retain(|(sequence, _, _)| *sequence >= base);
            (inner.pruned_upto, inner.pruned_time) = (base, time);
        }
        Ok(inner.pruned_upto)
    }

    fn verify(&self) -> Result<Verification, ReadError> {
        let inner = self.inner();
        let head = inner.head().sequence;
        let changes = head.0 - inner.pruned_upto.0;
        Ok(Verification { batches: 0, changes, from: inner.pruned_upto, upto: head, broken: None })
    }
}
