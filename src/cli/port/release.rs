//! `onex port release`: gives leases back.

use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::error::{self, Error};
use crate::cli::output::{self, Format};
use crate::cli::server::ServerArgs;
use crate::client::{self, Client};

use super::given;
use super::lease::{self, Holder, Name};

/// Which leases to give back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The leases, by their ids or their port numbers.
    #[arg(required = true, value_name = "LEASE")]
    leases: Vec<Name>,
    #[command(flatten)]
    holder: Holder,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show what was released.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Releases each, and fails where one was refused: that does not stop the others, as with `rm`.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let client = args.server.client()?;
    let mut released = Vec::new();
    let mut refused = Vec::new();
    for &name in &args.leases {
        match release(&client, name, args.holder.id()).await {
            Ok(lease) => released.push(lease),
            Err(error) if concerns_all(&error) => {
                if !released.is_empty() {
                    output::note(&format!("stopped after {} of {} leases", released.len(), args.leases.len()));
                }
                return Err(error);
            }
            Err(error) => refused.push(format!("onex: {name} is not released: {}", error::chain(&error))),
        }
    }
    if !released.is_empty() || args.format != Format::Table {
        lease::show(&released, args.format)?;
    }
    refused.iter().for_each(|line| output::note(line));
    Ok(if refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn release(client: &Client, name: Name, holder: Option<Uuid>) -> Result<Value, Error> {
    let id = lease::find(client, name, holder).await?;
    let document = format!("mutation($input: ReleaseInput!) {{ release(input: $input) {{ {} }} }}", lease::FIELDS);
    let input = given(json!({"leaseId": id, "requesterId": holder}));
    let mut answer: Value = client.query(&document, json!({"input": input})).await?;
    Ok(answer["release"].take())
}

/// Whether every other lease would meet the same.
fn concerns_all(error: &Error) -> bool {
    match error {
        Error::Client(client::Error::Refused { code, .. }) => code.as_deref() == Some("UNAUTHENTICATED"),
        Error::Client(_) => true,
        _ => false,
    }
}
