//! `onex audit`: whether the history is what was written.

use super::output;
use crate::app::audit;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Walk the log's chain of hashes, replay it, and say where it breaks
    Verify {
        /// Where the registry keeps its log; it may be running meanwhile
        #[arg(long, value_name = "DIRECTORY", env = "ONEX_DATA_DIR", default_value = "onex-data")]
        data_dir: PathBuf,
    },
}

/// Checks the history; exit status 1 where it is not what was written.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let Command::Verify { data_dir } = args.command;
    let found = audit(&data_dir)?;
    match found.broken {
        Some(broken) => {
            output::print(&format!(
                "BROKEN at change {}: {}\nchanges before it are as they were written: {} in {} batches\n",
                broken.place, broken.reason, found.changes, found.batches
            ))?;
            Ok(ExitCode::FAILURE)
        }
        None => {
            let pruned = match found.from.0 {
                0 => String::new(),
                upto => format!("; changes up to {upto} are no longer kept"),
            };
            output::print(&format!(
                "intact: changes {} to {} in {} batches{pruned}\n",
                found.from.next(),
                found.upto,
                found.batches
            ))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
