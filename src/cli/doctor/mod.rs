//! `onex doctor`: looks at a running registry and its data directory, and says what is wrong and what to do.
//!
//! Each check looks at the thing itself and changes nothing, but for a file that is written beside the log and taken away
//! again. What cannot be looked at from here, such as the ports of another machine, is not checked.

mod directory;
mod machine;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::error::Error;
use super::output::{self, Format};
use super::server::ServerArgs;
use super::table::Table;
use crate::config::Config;

/// What to look at.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Look at the data directory alone, and ask no registry
    #[arg(long)]
    offline: bool,
    /// Where the registry keeps its log [default: what the settings say]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Settings of the registry, as TOML
    #[arg(long, value_name = "FILE", env = "ONEX_CONFIG")]
    config: Option<PathBuf>,
    /// How to show what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    status: Verdict,
    /// What was found.
    found: String,
    /// What to do; nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Check { check, status: Verdict::Ok, found: found.into(), advice: None }
    }

    fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Check { check, status: Verdict::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Check { check, status: Verdict::Fail, found: found.into(), advice: Some(advice.into()) }
    }
}

/// Looks, and prints what was found; exit status 1 where something fails.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let mut checks = Vec::new();
    let config = match Config::load(args.config.as_deref(), |name| std::env::var(name).ok()) {
        Ok(config) => {
            checks.push(Check::ok("settings", "can be used"));
            config
        }
        Err(error) => {
            let found = super::error::chain(&error);
            checks.push(Check::fail("settings", found, "correct them: a registry does not start with them"));
            Config::default()
        }
    };
    if !args.offline {
        let client = args.server.client()?;
        server::look(&client, &mut checks).await;
    }
    let is_named = args.data_dir.is_some() || args.config.is_some() || std::env::var_os("ONEX_DATA_DIR").is_some();
    let data_dir = args.data_dir.unwrap_or(config.data_dir);
    directory::look(&data_dir, is_named || args.offline, config.history.snapshot_every, &mut checks);
    match args.format {
        Format::Json => output::print_json(&checks)?,
        Format::Yaml => output::print_yaml(&checks)?,
        Format::Table => table(&checks).print()?,
    }
    let fails = checks.iter().any(|check| check.status == Verdict::Fail);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn table(checks: &[Check]) -> Table {
    let mut table = Table::new(&["CHECK", "STATUS", "FOUND", "WHAT TO DO"]);
    for Check { check, status, found, advice } in checks {
        let status = match status {
            Verdict::Ok => "OK",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
        };
        table.row([(*check).to_owned(), status.to_owned(), found.clone(), advice.clone().unwrap_or_default()]);
    }
    table
}

/// A number of bytes for people.
fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..10_000_000 => format!("{} kB", count / 1_000),
        10_000_000..10_000_000_000 => format!("{} MB", count / 1_000_000),
        _ => format!("{} GB", count / 1_000_000_000),
    }
}
