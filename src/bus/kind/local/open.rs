//! Opening a bus's file: whose it is, who has it, and where the bus goes on.

use super::file::{File, TABLES};
use super::limits::Limits;
use super::writer::Writer;
use super::{Local, Options, Shared};
use crate::bus::kind::{Clock, Heard};
use rusqlite::Connection;
use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Says in the file whose it is: "onxb".
const APPLICATION_ID: i32 = 0x6f6e_7862;
/// Which tables the file has.
const LAYOUT: i32 = 1;

/// Why a bus's file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has it.
    #[error("{path} is in use by another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is not such a file.
    #[error("{path} is no file of a bus, or one of a later version")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite refuses.
    #[error("{path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Opens a LOCAL bus, and goes on where it was. What it carries is told to `heard`.
pub fn open(options: Options, heard: mpsc::Sender<Heard>, clock: Clock) -> Result<Local, OpenError> {
    let path = options.file.clone();
    let lock = lock(&path)?;
    let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
    let connection = connect(&path).map_err(sqlite)?;
    if !prepare(&connection).map_err(sqlite)? {
        return Err(OpenError::Foreign { path });
    }
    let reader = connect(&path).map_err(sqlite)?;
    reader.execute_batch("PRAGMA query_only = ON").map_err(sqlite)?;
    let shared = Arc::new(Shared::default());
    let (requests, asked) = std::sync::mpsc::channel();
    let file = File::new(connection).map_err(sqlite)?;
    let writer = Writer::new(file, lock, shared.clone(), Limits::new(&options), heard, clock).map_err(sqlite)?;
    std::thread::Builder::new()
        .name("bus".to_owned())
        .spawn(move || writer.run(asked))
        .map_err(|source| OpenError::Io { path, source })?;
    Ok(Local { requests, shared, reader: Arc::new(Mutex::new(File::reading(reader))) })
}

fn lock(file: &Path) -> Result<fs::File, OpenError> {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let open = fs::File::options().create(true).truncate(false).write(true).open(&path);
    let lock = open.map_err(|source| OpenError::Io { path: path.clone(), source })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: file.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Makes the tables where there are none; says whether the file is one of ours.
fn prepare(connection: &Connection) -> rusqlite::Result<bool> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 && (pragma("application_id")?, pragma("user_version")?) != (APPLICATION_ID, LAYOUT) {
        return Ok(false);
    }
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    if tables == 0 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT};
             {TABLES} COMMIT;"
        ))?;
    }
    Ok(true)
}
