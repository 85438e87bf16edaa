//! `onex port renew`: keeps a lease for longer.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::error::Error;
use crate::cli::output::Format;
use crate::cli::server::ServerArgs;

use super::given;
use super::lease::{self, Holder, Name};

/// Which lease to keep, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lease, by its id or its port number.
    #[arg(value_name = "LEASE")]
    lease: Name,
    /// Seconds from now until it lapses; as many as before without it.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    ttl: Option<u32>,
    #[command(flatten)]
    holder: Holder,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show the lease.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Renews and shows the lease.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let client = args.server.client()?;
    let holder = args.holder.id();
    let id = lease::find(&client, args.lease, holder).await?;
    let document = format!("mutation($input: RenewInput!) {{ renew(input: $input) {{ {} }} }}", lease::FIELDS);
    let input = given(json!({"leaseId": id, "ttlSeconds": args.ttl, "requesterId": holder}));
    let mut answer: Value = client.query(&document, json!({"input": input})).await?;
    lease::show(&[answer["renew"].take()], args.format)?;
    Ok(ExitCode::SUCCESS)
}
