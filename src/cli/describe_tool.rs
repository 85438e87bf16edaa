//! `onex describe-tool NAME`, which is also `onex describe --tool NAME`.

use std::process::ExitCode;

use super::describe;
use super::error::Error;
use super::output::Format;
use super::server::ServerArgs;

/// Which tool to describe, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tool's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// Which version, or the highest of a range such as ^1.2; the highest release without it.
    #[arg(long, value_name = "V|RANGE")]
    version: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show it; json and yaml have the schemas as they were registered.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the description.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    describe::tool(&args.server.client()?, &args.name, args.version.as_deref(), args.format).await
}
