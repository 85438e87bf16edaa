//! `onex mcp`: the Model Context Protocol.

mod attach;
mod server;
mod tools;

use std::process::ExitCode;

use super::error::Error;
use super::server::block_on;

/// What to do with the Model Context Protocol.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Offer the tools of a server as those of a node.
    Attach(attach::Args),
}

/// Does it.
pub(super) fn run(args: Args) -> Result<ExitCode, Error> {
    match args.what {
        What::Attach(args) => block_on(attach::run(args)),
    }
}
