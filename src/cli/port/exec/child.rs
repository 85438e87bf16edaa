//! The command as a process: starting it, steering it, and how it ended.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::process::Child;

use crate::cli::child::{signals, trampoline};
use crate::cli::error::{self, Error};
use crate::cli::output;

use super::leases::Leases;
use super::ports::filled;
use super::sockets::{self, Socket};

/// Starts the command, by way of the trampoline. onex keeps no copy of the sockets: when the command closes one, nobody
/// listens there any more.
pub(super) fn start(typed: &[OsString], leases: &Leases, sockets: Vec<Socket>) -> Result<Child, Error> {
    let mut command = trampoline(!sockets.is_empty()).map_err(Error::Start)?;
    let numbers: Vec<(&str, u16)> = leases.numbers().collect();
    command.envs(numbers.iter().map(|(name, number)| (name, number.to_string())));
    if !sockets.is_empty() {
        sockets::hand_over(sockets, &mut command).map_err(Error::Start)?;
    }
    // The program's own name is taken as it was typed.
    command.args(typed.iter().take(1)).args(typed.iter().skip(1).map(|argument| filled(argument, &numbers)));
    tokio::process::Command::from(command).spawn().map_err(Error::Start)
}

/// Sends a signal on to the command, unless the terminal has sent it to both.
pub(super) fn pass_on(child: &Child, signal: Signal) {
    // The number is there until the child's end was seen, so that it cannot be another process's by now.
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let Some(pid) = pid.filter(|_| !(is_typed(signal) && in_foreground())) else { return };
    if let Err(error) = kill_process(pid, signal) {
        output::note(&format!("onex: cannot pass signal {} on: {}", signal.as_raw(), error::chain(&error)));
    }
}

/// Whether a key of the terminal sends this: Ctrl-C or Ctrl-\.
fn is_typed(signal: Signal) -> bool {
    [Signal::INT, Signal::QUIT].contains(&signal)
}

/// Whether this process and the command are the ones that the keys of a terminal reach. Who sent a signal cannot be
/// told from here, so one that somebody sends to onex alone meanwhile is taken for the terminal's. That loses a signal
/// which another way would deliver, but the opposite mistake is worse: a second Ctrl-C makes many programs give up
/// without cleaning up.
fn in_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|terminal| tcgetpgrp(&terminal).is_ok_and(|foreground| foreground == getpgrp()))
}

/// The exit status that tells how the command ended.
pub(super) fn status(ended: ExitStatus) -> ExitCode {
    match ended.code() {
        Some(code) => u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from),
        None => signals::status(ended.signal().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_end_becomes_onexs() {
        for (raw, code) in [(0, 0), (7 << 8, 7), (127 << 8, 127), (255 << 8, 255), (9, 137), (15, 143)] {
            assert_eq!(status(ExitStatus::from_raw(raw)), ExitCode::from(code));
        }
    }
}
