//! Commands that onex starts and stays beside: how they start, and how signals go ([`signals`]).
//!
//! A command is started by way of the [`trampoline`], so that it ends with onex. One that answers a call, or serves a
//! protocol, gets a process group of its own ([`group`]), which ends as a whole.

pub(super) mod group;
pub(super) mod signals;
mod trampoline;

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

pub(super) use trampoline::{Args, run};

/// What becomes a command: the program and its arguments are still to be added, in this order. With `listening` it is
/// told that the sockets that it inherits are for it.
///
/// The system takes the *thread* that starts a process for the parent that it ends with, so this must be started by one
/// that lives as long as onex: the main one, on which [`block_on`](super::server::block_on) runs everything.
pub(super) fn trampoline(listening: bool) -> io::Result<Command> {
    let mut command = Command::new(this_program()?);
    command.arg0("onex").args(["exec-child", "--parent"]).arg(std::process::id().to_string());
    if listening {
        command.arg("--listening");
    }
    command.arg("--");
    Ok(command)
}

/// The file of this program. On Linux the one that runs, even if another has taken its place meanwhile.
fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}
