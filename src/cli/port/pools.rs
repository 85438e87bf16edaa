//! `onex port pools`: where numbers come from, and how many are left.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::error::Error;
use crate::cli::output::{self, Format};
use crate::cli::server::ServerArgs;
use crate::cli::table::Table;
use crate::cli::value::{list, text};

const QUERY: &str = "{ portPools { host transport from to size reserved allocated available quarantined granted refused \
    conflicts } }";

/// How to show the pools.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// How to show the pools.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the pools.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let answer: Value = args.server.client()?.query(QUERY, json!({})).await?;
    let pools = list(&answer, "/portPools");
    match args.format {
        Format::Json => output::print_json(&pools)?,
        Format::Yaml => output::print_yaml(&pools)?,
        Format::Table if pools.is_empty() => output::note("this registry leases no ports"),
        Format::Table => table(pools).print()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn table(pools: &[Value]) -> Table {
    let mut table = Table::new(&[
        "HOST",
        "TRANSPORT",
        "RANGE",
        "SIZE",
        "RESERVED",
        "ALLOCATED",
        "QUARANTINED",
        "AVAILABLE",
        "GRANTED",
        "REFUSED",
        "CONFLICTS",
    ]);
    for pool in pools {
        let range = format!("{}-{}", text(pool, "/from"), text(pool, "/to"));
        let [host, transport, size, reserved, allocated, quarantined, available, granted, refused, conflicts] = [
            "/host",
            "/transport",
            "/size",
            "/reserved",
            "/allocated",
            "/quarantined",
            "/available",
            "/granted",
            "/refused",
            "/conflicts",
        ]
        .map(|at| text(pool, at));
        table.row([
            host,
            transport,
            range,
            size,
            reserved,
            allocated,
            quarantined,
            available,
            granted,
            refused,
            conflicts,
        ]);
    }
    table
}
