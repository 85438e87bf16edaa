//! The data directory, whether a registry runs on it or not.

use super::{Check, bytes};
use crate::app::{self, FREE_BYTES_MIN};
use crate::cli::error::chain;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// How many of the latest batches are walked: what was written last is what a fault hits first, and it takes no time.
const BATCHES: u32 = 1_000;
/// Less free space than this is worth a word.
const FREE_BYTES_LOW: u64 = 1_000_000_000;
/// A write-ahead log beyond this is not being moved into the file.
const AHEAD_BYTES_HIGH: u64 = 256 * 1024 * 1024;
/// The file that shows whether files can be written; gone again at once.
const TRIAL: &str = ".onex-doctor";

/// Looks at the directory; where nobody named it and it is not there, that is worth a word and no more.
pub(super) fn look(directory: &Path, is_named: bool, snapshot_every: u64, checks: &mut Vec<Check>) {
    let shown = directory.display();
    if !directory.is_dir() {
        let found = format!("{shown} is not there");
        checks.push(match is_named {
            true => Check::fail("data directory", found, "name the right one with --data-dir, or restore a backup"),
            false => Check::warn("data directory", found, "name it with --data-dir, where it is on this machine"),
        });
        return;
    }
    space(directory, checks);
    writable(directory, checks);
    match app::examine(directory, BATCHES) {
        Ok(examined) => {
            checks.push(Check::ok("log", format!("{} has {} changes", examined.file.display(), examined.head)));
            log_writable(&examined.file, checks);
            history(&examined, checks);
            snapshots(&examined, snapshot_every, checks);
        }
        Err(error) => {
            let advice = "restore the data directory from a backup, where the message names no other way";
            checks.push(Check::fail("log", chain(&error), advice));
        }
    }
    if let Some((_, ahead)) = app::log_bytes(directory) {
        let found = format!("{} ahead of the file", bytes(ahead));
        checks.push(match ahead > AHEAD_BYTES_HIGH {
            true => Check::warn(
                "write-ahead log",
                found,
                "find who reads registry.db for long, and end that: it keeps \
                                                           the log from being moved into the file",
            ),
            false => Check::ok("write-ahead log", found),
        });
    }
}

fn space(directory: &Path, checks: &mut Vec<Check>) {
    let Some(free) = app::free_bytes(directory) else { return };
    let found = format!("{} free", bytes(free));
    checks.push(match free {
        0..FREE_BYTES_MIN => Check::fail("disk space", found, "make room: the registry is not ready with so little"),
        FREE_BYTES_MIN..FREE_BYTES_LOW => {
            Check::warn("disk space", found, "make room, or keep less of the past: history.retain_days")
        }
        _ => Check::ok("disk space", found),
    });
}

fn writable(directory: &Path, checks: &mut Vec<Check>) {
    let trial = directory.join(TRIAL);
    let tried = File::create(&trial).and_then(|mut file| file.write_all(b"onex").and_then(|()| file.sync_all()));
    // Not there where it could not be made.
    let _ = fs::remove_file(&trial);
    checks.push(match tried {
        Ok(()) => Check::ok("data directory", "can be written"),
        Err(error) => refused(directory, &error),
    });
}

fn refused(path: &Path, error: &io::Error) -> Check {
    let found = format!("{} cannot be written: {error}", path.display());
    let advice = "give it to the user that the registry runs as, and look whether the file system is read-only";
    Check::fail("data directory", found, advice)
}

fn log_writable(file: &Path, checks: &mut Vec<Check>) {
    // Opened for writing, and nothing written.
    match OpenOptions::new().append(true).open(file) {
        Ok(_) => checks.push(Check::ok("log file", "can be written")),
        Err(error) => checks.push(Check { check: "log file", ..refused(file, &error) }),
    }
}

fn history(examined: &app::Examined, checks: &mut Vec<Check>) {
    let latest = &examined.latest;
    checks.push(match &latest.broken {
        None => {
            let found = format!("the latest {} batches are as they were written", latest.batches);
            Check::ok("hash chain", found)
        }
        Some(broken) => {
            let found = format!("broken at change {}: {}", broken.place, broken.reason);
            let advice = "keep the directory as it is, look into it with \"onex audit verify\", and restore a backup";
            Check::fail("hash chain", found, advice)
        }
    });
}

fn snapshots(examined: &app::Examined, every: u64, checks: &mut Vec<Check>) {
    let behind = examined.head - examined.snapshot.unwrap_or(0).min(examined.head);
    let found = match examined.snapshot {
        Some(place) => format!("the latest is of change {place}, {behind} changes ago"),
        None => format!("none yet, {behind} changes"),
    };
    checks.push(match behind > every.saturating_mul(2) {
        true => Check::warn(
            "snapshots",
            found,
            "a start will take long: see in the registry's log lines why none was taken (history.snapshot_every)",
        ),
        false => Check::ok("snapshots", found),
    });
}
