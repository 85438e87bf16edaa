//! Commands in process groups of their own, each of which ends as a whole.

use std::collections::HashSet;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::time::timeout;

/// For how long a group that was asked to end may take before it is killed.
const END_WITHIN: Duration = Duration::from_secs(2);

/// The groups that are there. When this goes, so do they: nothing that onex started outlives it.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Groups {
    alive: Arc<Alive>,
}

#[derive(Debug, Default)]
struct Alive(Mutex<HashSet<Pid>>);

impl Alive {
    fn pids(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Groups {
    /// Starts a command in a group of its own.
    pub(in crate::cli) fn start(&self, mut command: Command) -> io::Result<Group> {
        command.process_group(0);
        let child = tokio::process::Command::from(command).spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        self.alive.pids().extend(pid);
        Ok(Group { process: Some(Process { child, pid, alive: self.alive.clone() }) })
    }

    /// Kills what is still there.
    pub(in crate::cli) fn kill(&self) {
        for pid in self.alive.pids().drain() {
            signal(pid, Signal::KILL);
        }
    }
}

/// A command that runs. Dropped before its end, its group is asked to end, and soon killed.
#[derive(Debug)]
pub(in crate::cli) struct Group {
    /// Absent once it is being dropped.
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    pid: Option<Pid>,
    alive: Arc<Alive>,
}

/// What a command reads and writes, as far as it was piped.
pub(in crate::cli) struct Pipes {
    pub(in crate::cli) stdin: Option<ChildStdin>,
    pub(in crate::cli) stdout: Option<ChildStdout>,
    pub(in crate::cli) stderr: Option<ChildStderr>,
}

impl Group {
    /// Its pipes, once.
    pub(in crate::cli) fn pipes(&mut self) -> Pipes {
        let child = self.process.as_mut().map(|process| &mut process.child);
        match child {
            Some(child) => {
                Pipes { stdin: child.stdin.take(), stdout: child.stdout.take(), stderr: child.stderr.take() }
            }
            None => Pipes { stdin: None, stdout: None, stderr: None },
        }
    }

    /// Waits for the command's end. What it has started besides may go on until this is dropped.
    pub(in crate::cli) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.process {
            Some(process) => process.child.wait().await,
            None => Err(io::Error::other("the command is gone")),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // Of one that has ended something may go on in its group, which is killed by the drop of the process.
        if matches!(process.child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        if let Some(pid) = process.pid {
            signal(pid, Signal::TERM);
        }
        // Without a runtime the drop of the process kills at once.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = timeout(END_WITHIN, process.child.wait()).await;
            });
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not there any more where all groups were killed already: by now the number may be another's.
        if let Some(pid) = self.pid.filter(|pid| self.alive.pids().remove(pid)) {
            signal(pid, Signal::KILL);
        }
    }
}

/// A group that is gone needs no signal.
fn signal(pid: Pid, signal: Signal) {
    let _ = kill_process_group(pid, signal);
}
