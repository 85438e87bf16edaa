//! Opening a data directory: by one process at a time, and never over something that is not ours.

use super::Hash;
use crate::model::RegistryId;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// The log's file in the data directory.
pub const FILE_NAME: &str = "registry.db";
const LOCK_NAME: &str = "onex.lock";
/// "onex" as SQLite's application id: says whose file it is.
const APPLICATION_ID: i32 = 0x6f6e_6578;
/// The layout of the tables. The form of what they hold is `record::FORMAT`.
const LAYOUT: i32 = 3;
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How much more than one page of log SQLite gathers before it moves it into the file: fewer, larger writes.
const CHECKPOINT_PAGES: u32 = 4_000;

const TABLES: &str = "
    CREATE TABLE registry (id TEXT NOT NULL);
    CREATE TABLE pruned (last INTEGER NOT NULL, time INTEGER NOT NULL, hash BLOB NOT NULL);
    CREATE TABLE batch (
        first INTEGER PRIMARY KEY, last INTEGER NOT NULL, time INTEGER NOT NULL,
        previous BLOB NOT NULL, hash BLOB NOT NULL
    );
    CREATE INDEX batch_time ON batch (time, first, last);
    CREATE TABLE change (
        sequence INTEGER PRIMARY KEY, entry INTEGER NOT NULL, time INTEGER NOT NULL,
        kind TEXT, node BLOB, tool TEXT, lease BLOB, bus BLOB, actor TEXT, correlation_id TEXT, body TEXT NOT NULL
    );
    CREATE INDEX change_visible ON change (sequence) WHERE kind IS NOT NULL;
    CREATE INDEX change_kind ON change (kind, sequence) WHERE kind IS NOT NULL;
    CREATE INDEX change_node ON change (node, sequence) WHERE kind IS NOT NULL AND node IS NOT NULL;
    CREATE INDEX change_tool ON change (tool, sequence) WHERE kind IS NOT NULL AND tool IS NOT NULL;
    CREATE INDEX change_lease ON change (lease, sequence) WHERE kind IS NOT NULL AND lease IS NOT NULL;
    CREATE INDEX change_bus ON change (bus, sequence) WHERE kind IS NOT NULL AND bus IS NOT NULL;
    CREATE INDEX change_actor ON change (actor, sequence) WHERE kind IS NOT NULL;
    CREATE INDEX change_correlation ON change (correlation_id, sequence)
        WHERE kind IS NOT NULL AND correlation_id IS NOT NULL;
";

/// The bus that a change is about, from its body: what layouts before the third have no column for.
pub(super) const BUS_OF_BODY: &str = "unhex(replace(coalesce(
    json_extract(body, '$.change.bus_created.bus'), json_extract(body, '$.change.bus_turned.bus'),
    json_extract(body, '$.change.bus_deleted.bus'), json_extract(body, '$.change.topic_defined.bus'),
    json_extract(body, '$.change.subscriber_attached.subscriber.bus'),
    json_extract(body, '$.change.subscriber_detached.bus'), json_extract(body, '$.change.bus_noticed.notice.bus')
), '-', ''))";
/// Who made a change, from its body.
pub(super) const ACTOR_OF_BODY: &str = "json_extract(body, '$.actor')";

/// Why a data directory could not be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{directory} is in use by {owner}: stop that process, or start this one with another --data-dir")]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// Who has it, in its own words.
        owner: String,
    },
    /// There is no log.
    #[error("{path} does not exist: nothing was ever registered with this --data-dir")]
    Absent {
        /// Where it would be.
        path: PathBuf,
    },
    /// A file of somebody else's stands where the log would be.
    #[error("{path} is not an onex registry ({reason}); nothing was changed: name another --data-dir")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// The log was cut or damaged.
    #[error("{path} is damaged ({reason}); nothing was changed: restore it from a backup")]
    Torn {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// Written by a later version.
    #[error("{path} has layout {layout}, and this version knows {LAYOUT}: start a newer onex")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its layout.
        layout: i32,
    },
    /// The file system refused.
    #[error("{path} could not be opened")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite refused.
    #[error("{path} could not be opened")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    |source| OpenError::Io { path, source }
}

fn sqlite_error(path: &Path) -> impl FnOnce(rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    |source| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Torn { path, reason: source.to_string() },
        Some(ErrorCode::NotADatabase) => OpenError::Foreign { path, reason: source.to_string() },
        _ => OpenError::Sqlite { path, source },
    }
}

/// Makes the directory where there is none and takes it for this process. The lock goes with the process,
/// however it ends.
pub(super) fn lock(directory: &Path, owner: &str) -> Result<File, OpenError> {
    fs::create_dir_all(directory).map_err(io_error(directory))?;
    let path = directory.join(LOCK_NAME);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Whoever has it wrote who it is; it may be about to.
            let _ = file.read_to_string(&mut owner);
            let owner = if owner.trim().is_empty() { "another process".to_owned() } else { owner.trim().to_owned() };
            return Err(OpenError::InUse { directory: directory.to_owned(), owner });
        }
        Err(TryLockError::Error(source)) => return Err(OpenError::Io { path, source }),
    }
    file.set_len(0).and_then(|()| file.write_all(owner.as_bytes())).map_err(io_error(&path))?;
    Ok(file)
}

/// Makes an empty log beside its final name and moves it there whole, so that a start that is cut short
/// leaves nothing that looks like a torn log.
pub(super) fn create_if_absent(path: &Path, id: RegistryId) -> Result<(), OpenError> {
    // Not `exists`, which takes a file that cannot be looked at for one that is not there.
    match fs::symlink_metadata(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_error(path)(error)),
    }
    for left_over in ["db-wal", "db-shm"].map(|extension| path.with_extension(extension)) {
        if left_over.exists() {
            let reason = "registry.db is missing and its write-ahead log is there".to_owned();
            return Err(OpenError::Torn { path: left_over, reason });
        }
    }
    let beside = path.with_extension("db.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&beside)(error)),
        _ => {}
    }
    let fail = |error| sqlite_error(&beside)(error);
    let connection = Connection::open(&beside).map_err(fail)?;
    let fail = |error| sqlite_error(&beside)(error);
    connection
        .execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT}; PRAGMA synchronous = FULL;
             BEGIN; {TABLES} COMMIT;"
        ))
        .and_then(|()| connection.execute("INSERT INTO registry (id) VALUES (?)", [id.0.to_string()]))
        .and_then(|_| {
            let nothing: Hash = [0; 32];
            connection.execute("INSERT INTO pruned (last, time, hash) VALUES (0, 0, ?)", params![nothing])
        })
        .map_err(fail)?;
    connection.close().map_err(|(_, error)| sqlite_error(&beside)(error))?;
    fs::rename(&beside, path).map_err(io_error(path))?;
    sync_directory(path)
}

fn sync_directory(path: &Path) -> Result<(), OpenError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error(directory))
}

/// Looks at the file's first bytes, before SQLite does anything with it.
pub(super) fn check_file(path: &Path) -> Result<(), OpenError> {
    let mut file = File::open(path).map_err(io_error(path))?;
    let size = file.metadata().map_err(io_error(path))?.len();
    let mut header = [0; 100];
    let foreign = |reason: &str| OpenError::Foreign { path: path.to_owned(), reason: reason.to_owned() };
    match file.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(foreign(&format!("it has {size} bytes, fewer than any SQLite file")));
        }
        Err(error) => return Err(io_error(path)(error)),
    }
    if header[..16] != *SQLITE_MAGIC {
        return Err(foreign("it is no SQLite file"));
    }
    let word = |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if word(68) != APPLICATION_ID {
        return Err(foreign("it is an SQLite file of another program"));
    }
    if word(60) > LAYOUT {
        return Err(OpenError::Newer { path: path.to_owned(), layout: word(60) });
    }
    // While there is a write-ahead log, pages may still be on their way from it into the file.
    let waiting = fs::metadata(path.with_extension("db-wal")).map_or(0, |wal| wal.len());
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let expected = page_size * u64::from(word(28).unsigned_abs());
    if waiting == 0 && size < expected {
        let reason = format!("it has {size} bytes of {expected}");
        return Err(OpenError::Torn { path: path.to_owned(), reason });
    }
    Ok(())
}

pub(super) fn connect(path: &Path, read_only: bool) -> Result<Connection, OpenError> {
    let access = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let connection =
        Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(sqlite_error(path))?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(sqlite_error(path))?;
    connection.set_prepared_statement_cache_capacity(64);
    if !read_only {
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
                 PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = 67108864;"
            ))
            .map_err(sqlite_error(path))?;
    }
    Ok(connection)
}

/// Brings the tables of an earlier version into the present layout, whole or not at all.
pub(super) fn migrate(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = layout(connection).map_err(sqlite_error(path))?;
    if found == LAYOUT {
        return Ok(());
    }
    // 2: changes are found by lease, too; what an earlier version wrote is about none.
    let by_lease = "ALTER TABLE change ADD COLUMN lease BLOB;
         CREATE INDEX change_lease ON change (lease, sequence) WHERE kind IS NOT NULL AND lease IS NOT NULL;";
    let by_lease = if found < 2 { by_lease } else { "" };
    // 3: by bus and by who made them.
    let steps = format!(
        "BEGIN IMMEDIATE; {by_lease}
         ALTER TABLE change ADD COLUMN bus BLOB;
         ALTER TABLE change ADD COLUMN actor TEXT;
         UPDATE change SET bus = {BUS_OF_BODY}, actor = {ACTOR_OF_BODY};
         CREATE INDEX change_bus ON change (bus, sequence) WHERE kind IS NOT NULL AND bus IS NOT NULL;
         CREATE INDEX change_actor ON change (actor, sequence) WHERE kind IS NOT NULL;
         PRAGMA user_version = {LAYOUT}; COMMIT;
         -- Into the file itself: that is where an earlier version looks before it opens it.
         PRAGMA wal_checkpoint(TRUNCATE);"
    );
    connection.execute_batch(&steps).map_err(sqlite_error(path))
}

pub(super) fn layout(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

pub(super) fn registry_id(connection: &Connection, path: &Path) -> Result<RegistryId, OpenError> {
    let id: String =
        connection.query_row("SELECT id FROM registry", [], |row| row.get(0)).map_err(sqlite_error(path))?;
    id.parse::<Uuid>()
        .map(RegistryId)
        .map_err(|_| OpenError::Torn { path: path.to_owned(), reason: format!("its registry id {id:?} is no UUID") })
}
