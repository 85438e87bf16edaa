//! What can be seen of a data directory from outside, whether a registry runs on it or not.

use super::LookError;
use crate::log::sqlite::{FILE_NAME, SqliteLog};
use crate::log::{Log, Verification};
use std::path::{Path, PathBuf};

/// A data directory as it is found.
#[derive(Debug)]
pub struct Examined {
    /// The log's file.
    pub file: PathBuf,
    /// The last change.
    pub head: u64,
    /// The place of the latest snapshot; `None` where there is none.
    pub snapshot: Option<u64>,
    /// The latest batches, walked.
    pub latest: Verification,
}

/// Looks at a data directory, and walks its latest so many batches.
pub fn examine(directory: &Path, batches: u32) -> Result<Examined, LookError> {
    let unreadable = |source| LookError::Unreadable { directory: directory.display().to_string(), source };
    let log = SqliteLog::open_read_only(directory)?;
    let head = log.head().map_err(unreadable)?.sequence;
    let snapshot = log.snapshot_place(head).map_err(unreadable)?.map(|place| place.0);
    let latest = log.verify_latest(batches).map_err(unreadable)?;
    Ok(Examined { file: directory.join(FILE_NAME), head: head.0, snapshot, latest })
}

/// How many bytes are free for this user where the directory is; `None` where that cannot be told.
#[cfg(unix)]
pub fn free_bytes(directory: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// `None`: only Unix is asked.
#[cfg(not(unix))]
pub fn free_bytes(_: &Path) -> Option<u64> {
    None
}

/// Bytes of the log's files without its snapshots: the file, and the write-ahead log beside it.
pub fn log_bytes(directory: &Path) -> Option<(u64, u64)> {
    let length = |name: &str| Some(std::fs::metadata(directory.join(name)).ok()?.len());
    Some((length(FILE_NAME)?, length(&format!("{FILE_NAME}-wal")).unwrap_or(0)))
}
