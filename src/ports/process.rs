//! Processes that hold leases: told apart by when they were started, and noticed when they are gone.

use crate::model::{Actor, Process};
use crate::registry::command::{Command, Request};
use crate::registry::engine::{Error, Handle};
use crate::registry::view::Views;
use std::fs;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How often processes are looked at: what one held is free so long after it is gone, at the latest, and its
/// quarantine begins.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The most bytes of a line that are read: more than the fields up to the start time can be.
const STAT_LEN_MAX: usize = 1_024;

/// Which start of the machine this is.
pub fn boot() -> Option<Uuid> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().parse().ok()
}

/// A process that is there, and the name it goes by. A zombie is there: its parent has not taken notice of its end.
pub fn find(pid: u32, boot: Uuid) -> Option<(Process, String)> {
    let mut stat = [0; STAT_LEN_MAX];
    let length = fs::File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
    let (name, started) = read_stat(&String::from_utf8_lossy(&stat[..length]))?;
    Some((Process { pid, started, boot }, name))
}

/// The name and the start time (field 22) of a line of /proc/PID/stat, proc(5). The name may hold anything, spaces
/// and brackets too, so fields are counted from the last bracket.
fn read_stat(stat: &str) -> Option<(String, u64)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let started = after.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some((name.to_owned(), started))
}

/// Whether a process lives where processes have other numbers than here, as in a container.
pub fn counts_otherwise(pid: u32) -> bool {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/pid")).ok();
    // Another user's cannot be read; then the numbers are taken to be the same.
    matches!((namespace(&pid.to_string()), namespace("self")), (Some(theirs), Some(ours)) if theirs != ours)
}

/// Frees what processes held that are gone, until the registry stops.
pub async fn keep(handle: Handle, views: Arc<Views>, boot: Uuid) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let view = views.current();
        let is_there = |process: &Process| find(process.pid, boot).is_some_and(|(found, _)| found == *process);
        let gone: Vec<Process> = view.leases.processes().filter(|process| !is_there(process)).copied().collect();
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
        let (process, _) = find(std::process::id(), boot).unwrap();
        assert_eq!(find(process.pid, boot).map(|(found, _)| found), Some(process));
        assert_eq!(find(0, boot), None);
    }
}
