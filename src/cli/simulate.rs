//! `onex simulate`: runs a scenario of buses in simulated time, and says whether it went as its file expects.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Deserialize;

use crate::bus::simulate::{self, Scenario};

use super::error::Error;
use super::output::{self, TextFormat};

/// What to simulate.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The scenario, in YAML or JSON.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What chance begins with; without it as the file says, and drawn where that says nothing. Always shown, since the
    /// same seed gives the same outcome.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How to show the outcome.
    #[arg(long, value_enum, default_value_t)]
    format: TextFormat,
}

/// Runs the scenario; exit status 1 where it does not go as expected.
pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    let unreadable = |source| Error::Read { path: args.file.clone(), source };
    let text = std::fs::read_to_string(&args.file).map_err(unreadable)?;
    let scenario = Scenario::read(&text);
    let scenario = scenario.map_err(|invalid| Error::Usage(format!("{}: {invalid}", args.file.display())))?;
    let seed = args.seed.or_else(|| written_seed(&text)).unwrap_or_else(draw);
    let outcome = simulate::run(&scenario, seed);
    match args.format {
        TextFormat::Text => output::print(&outcome.to_string())?,
        TextFormat::Json => output::print(&format!("{}\n", outcome.to_json().map_err(Error::Json)?))?,
    }
    Ok(if outcome.is_expected() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The seed that the file gives. A scenario that was read has one in any case, and does not say whose it is.
fn written_seed(text: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Seeded {
        seed: Option<u64>,
    }
    serde_saphyr::from_str::<Seeded>(text).ok()?.seed
}

/// A seed that is short enough to be typed again.
fn draw() -> u64 {
    fastrand::u32(..).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_of_zero_is_a_seed() {
        let example = include_str!("../../docs/simulate/broker-away.yaml");
        assert_eq!(written_seed(example), Some(11));
        assert_eq!(written_seed("{name: a, seed: 0}"), Some(0));
        assert_eq!(written_seed("{name: a, buses: []}"), None);
    }
}
