//! `onex port exec` on systems that are no Unix: it says so.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::error::Error;

/// What would be run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    _command: Vec<OsString>,
}

/// Fails.
pub(super) fn run(_: Args) -> Result<ExitCode, Error> {
    Err(Error::Other("\"onex port exec\" needs a Unix system: here, \"onex port allocate -q\" gives a number".into()))
}
