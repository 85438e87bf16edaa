//! Between onex and the command: a process that becomes the command.
//!
//! Two things can be said only from within the command's own process: its number, which LISTEN_PID must be, and that it
//! is to end with its parent. So onex starts itself again as this, and this replaces itself with the command, which
//! keeps the process, its number and what was said.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::cli::error::Error;
use crate::cli::output;

/// What shells end with where a command is not found, and where it cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// What to become.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The process with which to end.
    #[arg(long)]
    parent: u32,
    /// Whether sockets are handed over.
    #[arg(long)]
    listening: bool,
    /// The command and its arguments.
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

/// Becomes the command. Comes back only where that fails.
pub(in crate::cli) fn run(args: Args) -> Result<ExitCode, Error> {
    end_with_parent(args.parent).map_err(Error::Start)?;
    let Some((program, arguments)) = args.command.split_first() else {
        return Ok(ExitCode::from(NOT_FOUND));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    if args.listening {
        command.env("LISTEN_PID", std::process::id().to_string());
    }
    let error = command.exec();
    output::note(&format!("onex: cannot run {}: {error}", program.display()));
    Ok(ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN }))
}

/// Has the system send SIGTERM to this process when its parent ends. Without it, a command whose onex was killed would
/// go on at numbers that are given to others soon, or with work that nobody waits for.
#[cfg(target_os = "linux")]
fn end_with_parent(parent: u32) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::TERM))?;
    // A parent that ended before this was said sends nothing.
    let still = getppid().is_some_and(|pid| i64::from(pid.as_raw_pid()) == i64::from(parent));
    if still { Ok(()) } else { Err(io::Error::other("the onex that started it has ended")) }
}

/// Other systems have no such thing; there a command outlives an onex that was killed.
#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: u32) -> io::Result<()> {
    Ok(())
}
