//! The log in a data directory: SQLite, write-ahead, synchronous=FULL.
//!
//! `registry.db` holds the changes, `snapshots/` the snapshots, `onex.lock` who is using them. The file can
//! be opened with any SQLite tool while the registry runs: the table `change` has a row a change, with the
//! change as JSON in `body`.

mod chain;
mod open;
mod snapshots;

pub use open::{FILE_NAME, OpenError};

use super::record::{self, Malformed};
use super::{AppendError, Filter, Head, Log, Range, ReadError, Record, Snapshot, Verification};
use crate::model::{Change, Entry, EventKind, Origin, RegistryId, Sequence, Time};
use crate::telemetry;
use chain::Link;
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, params, params_from_iter};
use snapshots::Snapshots;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How many batches one step of pruning takes away, so that the writer never waits long for it.
const PRUNED_AT_ONCE: u32 = 2_000;
/// How many idle connections are kept for readers.
const IDLE_READERS_MAX: usize = 8;

type Hash = [u8; 32];

/// A log in a data directory, opened for one process.
#[derive(Debug)]
pub struct SqliteLog {
    id: RegistryId,
    path: PathBuf,
    // Before the writer, and so closed before it: the last to close moves the write-ahead log into the file, and a
    // reader cannot.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
    snapshots: Snapshots,
    metrics: telemetry::Storage,
    /// Holds the lock on the data directory for as long as the log is open; absent in a reader of another's log.
    _lock: Option<std::fs::File>,
}

impl SqliteLog {
    /// Opens the log in this directory, or makes one; `owner` says in a line who is opening it, for whoever
    /// tries next.
    pub fn open(directory: &Path, owner: &str, fresh_id: RegistryId) -> Result<Self, OpenError> {
        let path = directory.join(open::FILE_NAME);
        // Looked at before anything is written, so that a directory of somebody else's stays as it is.
        if path.exists() {
            open::check_file(&path)?;
        }
        let lock = open::lock(directory, owner)?;
        open::create_if_absent(&path, fresh_id)?;
        Self::with(directory, path, Some(lock), false)
    }

    /// Counts here how long the disk takes.
    pub fn counting(mut self, metrics: telemetry::Storage) -> Self {
        self.metrics = metrics;
        self
    }

    /// Opens the log in this directory for reading only, whether a registry is running on it or not.
    pub fn open_read_only(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(open::FILE_NAME);
        if !path.exists() {
            return Err(OpenError::Absent { path });
        }
        Self::with(directory, path, None, true)
    }

    fn with(directory: &Path, path: PathBuf, lock: Option<std::fs::File>, read_only: bool) -> Result<Self, OpenError> {
        open::check_file(&path)?;
        let writer = open::connect(&path, read_only)?;
        if !read_only {
            open::migrate(&writer, &path)?;
        }
        let id = open::registry_id(&writer, &path)?;
        let snapshots = Snapshots::new(directory.join("snapshots"), id);
        let (writer, readers, metrics) = (Mutex::new(writer), Mutex::default(), telemetry::Storage::default());
        Ok(SqliteLog { id, path, writer, readers, snapshots, metrics, _lock: lock })
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // SQLite rolls back what a panicking holder left open.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_reader<T>(&self, read: impl FnOnce(&Connection) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open::connect(&self.path, true).map_err(|error| ReadError::Failed(error.into()))?,
        };
        let result = read(&connection);
        let mut idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS_MAX {
            idle.push(connection);
        }
        result
    }

    /// The range of places that the filter's instants leave of a range.
    fn narrowed(&self, filter: &Filter, range: Range) -> Result<Range, ReadError> {
        let before = |time: Time| self.place_at(Time::from_micros(time.as_micros() - 1)).or_else(start_of_kept);
        let after = filter.since.map(before).transpose()?.unwrap_or(range.after).max(range.after);
        let upto = filter.until.map(before).transpose()?.unwrap_or(range.upto).min(range.upto);
        Ok(Range { after, upto, ..range })
    }
}

/// A search by time that begins before what is kept begins where the kept begins.
fn start_of_kept(error: ReadError) -> Result<Sequence, ReadError> {
    match error {
        ReadError::Pruned { oldest } => Ok(oldest),
        error => Err(error),
    }
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                ReadError::Damaged { place: Sequence::ZERO, reason: error.to_string() }
            }
            _ => ReadError::Failed(error.into()),
        }
    }
}

fn append_failed(error: rusqlite::Error) -> AppendError {
    match error.sqlite_error_code() {
        // SQLite has rolled back and the file is as it was.
        Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            AppendError::Refused(error.into())
        }
        _ => AppendError::Unknown(error.into()),
    }
}

fn damaged(place: Sequence) -> impl FnOnce(Malformed) -> ReadError {
    move |malformed| {
        let cause = std::error::Error::source(&malformed).map(|cause| format!(": {cause}")).unwrap_or_default();
        ReadError::Damaged { place, reason: format!("{malformed}{cause}") }
    }
}

/// The end of the chain as stored: the last place, its time and its hash.
fn tip(connection: &Connection) -> rusqlite::Result<(Head, Hash)> {
    let last = connection
        .prepare_cached("SELECT last, time, hash FROM batch ORDER BY first DESC LIMIT 1")?
        .query_row([], |row| Ok((head_of(row)?, row.get(2)?)))
        .optional()?;
    match last {
        Some(last) => Ok(last),
        None => anchor(connection),
    }
}

/// What the first kept batch follows on: the end of what was pruned, or the beginning of all.
fn anchor(connection: &Connection) -> rusqlite::Result<(Head, Hash)> {
    connection
        .prepare_cached("SELECT last, time, hash FROM pruned")?
        .query_row([], |row| Ok((head_of(row)?, row.get(2)?)))
}

fn head_of(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head { sequence: Sequence(row.get(0)?), time: Time::from_micros(row.get(1)?) })
}

impl Log for SqliteLog {
    fn registry_id(&self) -> RegistryId {
        self.id
    }

    fn head(&self) -> Result<Head, ReadError> {
        self.with_reader(|connection| Ok(tip(connection)?.0))
    }

    fn pruned_upto(&self) -> Result<Sequence, ReadError> {
        self.with_reader(|connection| Ok(anchor(connection)?.0.sequence))
    }

    fn append(&self, expected: Sequence, entries: &[Entry]) -> Result<(), AppendError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(append_failed)?;
        let (head, previous) = tip(&transaction).map_err(append_failed)?;
        if head.sequence != expected {
            return Err(AppendError::Elsewhere { expected, actual: head.sequence });
        }
        let time = first.origin.time;
        let mut link = Link::new(&previous, first.first, last.last(), time);
        {
            let mut insert = transaction.prepare_cached(INSERT_CHANGE).map_err(append_failed)?;
            for entry in entries {
                for (sequence, change) in entry.placed() {
                    let body = record::encode(&entry.origin, change)
                        .map_err(|malformed| AppendError::Refused(malformed.into()))?;
                    link.add(entry.first, &body);
                    let columns = Columns::of(&entry.origin, change);
                    insert
                        .execute(params![
                            sequence.0,
                            entry.first.0,
                            time.as_micros(),
                            columns.kind,
                            columns.node,
                            columns.tool,
                            columns.lease,
                            columns.bus,
                            columns.actor,
                            columns.correlation_id,
                            body
                        ])
                        .map_err(append_failed)?;
                }
            }
            transaction
                .prepare_cached("INSERT INTO batch (first, last, time, previous, hash) VALUES (?, ?, ?, ?, ?)")
                .and_then(|mut insert| {
                    insert.execute(params![first.first.0, last.last().0, time.as_micros(), previous, link.finish()])
                })
                .map_err(append_failed)?;
        }
        #[expect(clippy::disallowed_methods, reason = "how long the disk takes, for the metrics alone")]
        let begun = Instant::now();
        transaction.commit().map_err(append_failed)?;
        self.metrics.synced(begun.elapsed());
        Ok(())
    }

    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.with_reader(|connection| {
            // One transaction: pruning goes on meanwhile, and this sees one version.
            let connection = &*connection.unchecked_transaction()?;
            let kept_after = anchor(connection)?.0.sequence;
            if after < kept_after {
                return Err(ReadError::Pruned { oldest: kept_after });
            }
            read_entries(connection, after, limit)
        })
    }

    fn find(&self, filter: &Filter, range: Range) -> Result<Vec<Record>, ReadError> {
        let range = self.narrowed(filter, range)?;
        self.with_reader(|connection| {
            let connection = &*connection.unchecked_transaction()?;
            let kept_after = anchor(connection)?.0.sequence;
            if range.after < kept_after {
                return Err(ReadError::Pruned { oldest: kept_after });
            }
            let (mut sql, mut values) = condition(filter, range);
            sql.insert_str(0, "SELECT sequence, entry, time, body FROM change WHERE ");
            sql.push_str(if range.backward { " ORDER BY sequence DESC LIMIT ?" } else { " ORDER BY sequence LIMIT ?" });
            values.push(SqlValue::Integer(i64::try_from(range.limit).unwrap_or(i64::MAX)));
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(values))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let (sequence, entry_first, origin, change) = decode_row(row)?;
                found.push(Record { sequence, entry_first, origin: Arc::new(origin), change });
            }
            Ok(found)
        })
    }

    fn count(&self, filter: &Filter, upto: Sequence) -> Result<u64, ReadError> {
        let whole = Range { after: Sequence::ZERO, upto, backward: false, limit: usize::MAX };
        let range = self.narrowed(filter, whole)?;
        self.with_reader(|connection| {
            let (condition, values) = condition(filter, range);
            let sql = format!("SELECT count(*) FROM change WHERE {condition}");
            Ok(connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?)
        })
    }

    fn place_at(&self, time: Time) -> Result<Sequence, ReadError> {
        self.with_reader(|connection| {
            let last: Option<u64> = connection
                .prepare_cached("SELECT last FROM batch WHERE time <= ? ORDER BY time DESC, first DESC LIMIT 1")?
                .query_row([time.as_micros()], |row| row.get(0))
                .optional()?;
            match last {
                Some(last) => Ok(Sequence(last)),
                None => match anchor(connection)?.0 {
                    pruned if time >= pruned.time || pruned.sequence == Sequence::ZERO => Ok(pruned.sequence),
                    pruned => Err(ReadError::Pruned { oldest: pruned.sequence }),
                },
            }
        })
    }

    fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), ReadError> {
        match self.chain_at(snapshot.sequence)? {
            Some(chain) => self.snapshots.save(snapshot, &chain),
            None => {
                let reason = "a snapshot is taken where a batch ends, and none ends there".to_owned();
                Err(ReadError::Damaged { place: snapshot.sequence, reason })
            }
        }
    }

    fn load_snapshot(&self, upto: Sequence) -> Result<Option<Snapshot>, ReadError> {
        self.snapshots.load(upto, |place| self.chain_at(place))
    }

    fn snapshot_place(&self, upto: Sequence) -> Result<Option<Sequence>, ReadError> {
        Ok(self.snapshots.places()?.into_iter().rev().find(|place| *place <= upto))
    }

    fn prune(&self, upto: Sequence) -> Result<Sequence, ReadError> {
        // Read whole before anything goes: it is all that is left of what goes.
        let Some(base) = self.load_snapshot(upto)?.map(|snapshot| snapshot.sequence) else {
            return self.pruned_upto();
        };
        while self.prune_step(base)? {}
        self.snapshots.remove_before(base)?;
        self.pruned_upto()
    }

    fn verify(&self) -> Result<Verification, ReadError> {
        self.with_reader(|connection| chain::verify(connection, None))
    }
}

impl SqliteLog {
    /// Walks the hash chain of the latest so many batches.
    pub fn verify_latest(&self, batches: u32) -> Result<Verification, ReadError> {
        self.with_reader(|connection| chain::verify(connection, Some(batches)))
    }

    /// The hash of the batch that ends at this place; `None` where none does.
    fn chain_at(&self, place: Sequence) -> Result<Option<Hash>, ReadError> {
        self.with_reader(|connection| {
            let (pruned, hash) = anchor(connection)?;
            if pruned.sequence == place && place != Sequence::ZERO {
                return Ok(Some(hash));
            }
            let mut ending = connection
                .prepare_cached("SELECT hash FROM batch WHERE first <= ?1 AND last = ?1 ORDER BY first DESC LIMIT 1")?;
            Ok(ending.query_row([place.0], |row| row.get(0)).optional()?)
        })
    }

    /// Takes away some batches; whether any are left to take away.
    fn prune_step(&self, base: Sequence) -> Result<bool, ReadError> {
        let mut writer = self.writer();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let taken: Option<(u64, i64, Hash)> = transaction
            .query_row(
                "SELECT last, time, hash FROM (SELECT * FROM batch WHERE last <= ? ORDER BY first LIMIT ?)
                 ORDER BY first DESC LIMIT 1",
                params![base.0, PRUNED_AT_ONCE],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        let Some((last, time, hash)) = taken else { return Ok(false) };
        transaction.execute("DELETE FROM change WHERE sequence <= ?", [last])?;
        transaction.execute("DELETE FROM batch WHERE last <= ?", [last])?;
        transaction.execute("UPDATE pruned SET last = ?, time = ?, hash = ?", params![last, time, hash])?;
        transaction.commit()?;
        Ok(true)
    }
}

const INSERT_CHANGE: &str = "INSERT INTO change \
                             (sequence, entry, time, kind, node, tool, lease, bus, actor, correlation_id, body) \
                             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// What history is searched by.
#[derive(PartialEq)]
struct Columns<'a> {
    kind: Option<&'static str>,
    node: Option<[u8; 16]>,
    tool: Option<&'a str>,
    lease: Option<[u8; 16]>,
    bus: Option<[u8; 16]>,
    actor: &'a str,
    correlation_id: Option<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(origin: &'a Origin, change: &'a Change) -> Self {
        Columns {
            kind: change.event_kind().map(EventKind::as_str),
            node: change.node().map(|node| *node.0.as_bytes()),
            tool: change.tool().map(|tool| tool.as_str()),
            lease: change.lease().map(|lease| *lease.0.as_bytes()),
            bus: change.bus().map(|bus| *bus.0.as_bytes()),
            actor: &origin.actor.principal,
            correlation_id: origin.correlation_id.as_deref(),
        }
    }
}

/// The filter without its instants, which the range carries, as SQL.
fn condition(filter: &Filter, range: Range) -> (String, Vec<SqlValue>) {
    let place = |place: Sequence| SqlValue::Integer(i64::try_from(place.0).unwrap_or(i64::MAX));
    let mut sql = "kind IS NOT NULL AND sequence > ? AND sequence <= ?".to_owned();
    let mut values = vec![place(range.after), place(range.upto)];
    if !filter.kinds.is_empty() {
        let marks = vec!["?"; filter.kinds.len()].join(", ");
        sql.push_str(&format!(" AND kind IN ({marks})"));
        values.extend(filter.kinds.iter().map(|kind| SqlValue::Text(kind.as_str().to_owned())));
    }
    if let Some(node) = filter.node {
        sql.push_str(" AND node = ?");
        values.push(SqlValue::Blob(node.0.as_bytes().to_vec()));
    }
    if let Some(tool) = &filter.tool {
        sql.push_str(" AND tool = ?");
        values.push(SqlValue::Text(tool.clone()));
    }
    if let Some(lease) = filter.lease {
        sql.push_str(" AND lease = ?");
        values.push(SqlValue::Blob(lease.0.as_bytes().to_vec()));
    }
    if let Some(bus) = filter.bus {
        sql.push_str(" AND bus = ?");
        values.push(SqlValue::Blob(bus.0.as_bytes().to_vec()));
    }
    if let Some(correlation_id) = &filter.correlation_id {
        sql.push_str(" AND correlation_id = ?");
        values.push(SqlValue::Text(correlation_id.clone()));
    }
    if let Some(actor) = &filter.actor {
        sql.push_str(" AND actor = ?");
        values.push(SqlValue::Text(actor.clone()));
    }
    (sql, values)
}

/// A row of (sequence, entry, time, body).
fn decode_row(row: &Row<'_>) -> Result<(Sequence, Sequence, Origin, Change), ReadError> {
    let (sequence, entry, time) = (Sequence(row.get(0)?), Sequence(row.get(1)?), Time::from_micros(row.get(2)?));
    let body =
        row.get_ref(3)?.as_str().map_err(|error| ReadError::Damaged { place: sequence, reason: error.to_string() })?;
    let (origin, change) = record::decode(body, time).map_err(damaged(sequence))?;
    Ok((sequence, entry, origin, change))
}

fn read_entries(connection: &Connection, after: Sequence, limit: usize) -> Result<Vec<Entry>, ReadError> {
    // A place within an entry gives that entry whole.
    let start: Option<u64> = connection
        .prepare_cached("SELECT entry FROM change WHERE sequence = ?")?
        .query_row([after.0 + 1], |row| row.get(0))
        .optional()?;
    let Some(start) = start else { return Ok(Vec::new()) };
    let mut statement = connection
        .prepare_cached("SELECT sequence, entry, time, body FROM change WHERE sequence >= ? ORDER BY sequence")?;
    let mut rows = statement.query([start])?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut read = 0;
    let mut expected = Sequence(start);
    while let Some(row) = rows.next()? {
        let (sequence, first, origin, change) = decode_row(row)?;
        if sequence != expected {
            let reason = "it is missing, and later ones are there".to_owned();
            return Err(ReadError::Damaged { place: expected, reason });
        }
        expected = sequence.next();
        match entries.last_mut() {
            Some(entry) if entry.first == first => entry.changes.push(change),
            _ if read >= limit => break,
            _ => entries.push(Entry { first, origin, changes: vec![change] }),
        }
        read += 1;
    }
    Ok(entries)
}
