//! `onex port rebind`: changes a number that turned out unusable for another.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::error::Error;
use crate::cli::output::{self, Format};
use crate::cli::server::ServerArgs;
use crate::cli::value::text;

use super::given;
use super::lease::{self, Holder, Name};

/// Which lease to change, and why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lease, by its id or its port number.
    #[arg(value_name = "LEASE")]
    lease: Name,
    /// What is wrong with the number; the registry keeps it from others for a while, and says why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The number to try first.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    preferred: Option<u16>,
    #[command(flatten)]
    holder: Holder,
    #[command(flatten)]
    server: ServerArgs,
    /// Print the new number and nothing else.
    #[arg(long, short, conflicts_with = "format")]
    quiet: bool,
    /// How to show the lease in its place.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Rebinds and shows the lease in its place.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let client = args.server.client()?;
    let holder = args.holder.id();
    let id = lease::find(&client, args.lease, holder).await?;
    let document = format!("mutation($input: RebindInput!) {{ rebind(input: $input) {{ {} }} }}", lease::FIELDS);
    let input = json!({"leaseId": id, "reason": args.reason, "preferredPort": args.preferred, "requesterId": holder});
    let mut answer: Value = client.query(&document, json!({"input": given(input)})).await?;
    let lease = answer["rebind"].take();
    if args.quiet {
        output::print(&format!("{}\n", text(&lease, "/port")))?;
    } else {
        lease::show(&[lease], args.format)?;
    }
    Ok(ExitCode::SUCCESS)
}
