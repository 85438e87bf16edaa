//! Processes that hold leases: told apart by when they were started, and noticed when they are gone.

use crate::model::{Actor, Process};
use crate::registry::command::{Command, Request};
use crate::registry::engine::{Error, Handle};
use crate::registry::view::Views;
use std::fs;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How often processes are looked at: the leases of one that is gone end so long after it, or a little later where there
/// are thousands, and the quarantine of its numbers begins.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The most bytes of a line that are read: more than the fields up to the start time can be.
const STAT_LEN_MAX: usize = 1_024;

/// Which start of the machine this is.
pub fn boot() -> Option<Uuid> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().parse().ok()
}

/// A process that is there, and the name it goes by. A zombie is there: its parent has not taken notice of its end.
/// `None` only where it is certain that there is none: whoever cannot look must not take its leases away.
pub fn find(pid: u32, boot: Uuid) -> io::Result<Option<(Process, String)>> {
    let gone = |error: &io::Error| {
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
    };
    let mut stat = [0; STAT_LEN_MAX];
    let read = fs::File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut stat));
    let length = match read {
        Err(error) if gone(&error) => return Ok(None),
        read => read?,
    };
    let (name, started) = read_stat(&String::from_utf8_lossy(&stat[..length])).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some((Process { pid, started, boot }, name)))
}

/// The name and the start time (field 22) of a line of /proc/PID/stat, proc(5). The name may hold anything, spaces
/// and brackets too, so fields are counted from the last bracket.
fn read_stat(stat: &str) -> Option<(String, u64)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let started = after.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some((name.to_owned(), started))
}

/// The number here of the process that another one calls `pid`: in a container, processes have numbers of their own.
/// `None` where there is no such process.
pub fn named_by(speaker: u32, pid: u32) -> Option<u32> {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/pid")).ok();
    let theirs = namespace(&speaker.to_string());
    // Another user's cannot be read; then the numbers are taken to be the same.
    if theirs.is_none() || theirs == namespace("self") {
        return Some(pid);
    }
    let calls_itself = |of: &str| {
        let status = fs::read_to_string(format!("/proc/{of}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().last()?.parse::<u32>().ok()
    };
    let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut processes = processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    processes.find(|of| namespace(of) == theirs && calls_itself(of) == Some(pid))?.parse().ok()
}

/// Frees what processes held that are gone, until the registry stops.
pub async fn keep(handle: Handle, views: Arc<Views>, boot: Uuid) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let view = views.current();
        // Looking at many takes milliseconds, which others should not wait for.
        let look = move || gone(view.leases.processes(), boot);
        let Ok(gone) = tokio::task::spawn_blocking(look).await else { continue };
        if gone.is_empty() {
            continue;
        }
        tracing::debug!(processes = gone.len(), "processes that held ports are gone");
        let request = Request { command: Command::ProcessesGone(gone), actor: Actor::registry(), correlation_id: None };
        match handle.submit(request).await {
            Ok(_) => {}
            Err(Error::Stopped) => return,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "ports of processes that are gone stay leased"
                );
            }
        }
    }
}

fn gone<'a>(processes: impl Iterator<Item = &'a Process>, boot: Uuid) -> Vec<Process> {
    let is_gone = |process: &&Process| match find(process.pid, boot) {
        Ok(found) => found.is_none_or(|(found, _)| found != **process),
        Err(error) => {
            tracing::warn!(pid = process.pid, %error, "a process that holds ports cannot be looked at; it keeps them");
            false
        }
    };
    processes.filter(is_gone).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_its_start_whatever_its_name() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(read_stat(&format!("12 (a (b) c) {fields}")), Some(("a (b) c".to_owned(), 4711)));
        assert_eq!(read_stat("12 (a) S 1"), None);
        assert_eq!(read_stat(""), None);
    }

    #[test]
    fn this_process_is_there_and_the_idle_one_is_not() {
        let boot = boot().unwrap();
        let (process, _) = find(std::process::id(), boot).unwrap().unwrap();
        assert_eq!(find(process.pid, boot).unwrap().map(|(found, _)| found), Some(process));
        assert_eq!(find(0, boot).unwrap(), None);
        let reused = Process { started: process.started + 1, ..process };
        assert_eq!(gone([process, reused].iter(), boot), [reused], "the same number, another process");
        assert_eq!(named_by(process.pid, 4_711), Some(4_711), "here everybody counts alike");
    }
}
