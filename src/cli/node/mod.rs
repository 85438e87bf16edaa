//! `onex node`: programs as nodes.

mod command;
mod run;
mod stay;

use std::process::ExitCode;

use super::error::Error;
use super::server::block_on;

#[cfg(feature = "mcp")]
pub(super) use stay::{Stayed, leave, stay};

/// What to do with a node.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Run a command for each call of a tool: arguments on its stdin, the result on its stdout.
    Run(run::Args),
}

/// Does it.
pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    match args.what {
        What::Run(args) => block_on(run::run(args)),
    }
}
