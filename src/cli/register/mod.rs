//! `onex register`: sends contract files to a registry.

mod files;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ed25519_dalek::SigningKey;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{self, Client};

use super::error::Error;
use super::keygen;
use super::output::{self, Format};
use super::progress;
use super::server::ServerArgs;
use super::table::Table;
use super::value::NOTHING;

pub(super) use files::read as read_contract;

const MUTATION: &str = "mutation($input: RegisterInput!) {
    register(input: $input) { created changed warnings node { id name version } }
}";

/// What to register, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Contract files, and folders to look for them in.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Register live instances; without it the nodes are only declared.
    #[arg(long)]
    live: bool,
    /// Seconds until a live instance lapses unless it sends heartbeats.
    #[arg(long, value_name = "SECONDS", requires = "live",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    ttl: Option<u32>,
    /// The node's own key, as "onex keygen" writes it: the registration is signed by it.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Show also the files that changed nothing.
    #[arg(long, short)]
    verbose: bool,
    /// How many requests may be under way at once.
    #[arg(long, value_name = "N", default_value = "8")]
    jobs: NonZeroUsize,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show what came of it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What came of one file.
#[derive(Debug, Serialize)]
struct Row {
    file: String,
    result: Outcome,
    node: Option<String>,
    version: Option<String>,
    code: Option<String>,
    message: Option<String>,
    warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Created,
    Updated,
    Unchanged,
    Refused,
}

#[derive(Deserialize)]
struct Answer {
    register: Registration,
}

#[derive(Deserialize)]
struct Registration {
    created: bool,
    changed: bool,
    warnings: Vec<String>,
    node: Node,
}

#[derive(Deserialize)]
struct Node {
    name: String,
    version: Option<String>,
}

/// Registers the files, shows what came of each, and fails where any was refused.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let client = args.server.client()?;
    let key = args.key.as_deref().map(keygen::read).transpose()?;
    let files = files::collect(&args.paths)?;
    let rows = register_all(&client, &args, key.as_ref(), &files).await?;
    match args.format {
        Format::Table => {
            let table = table(&rows, args.verbose);
            if !table.is_empty() {
                table.print()?;
            }
        }
        Format::Json => output::print_json(&rows)?,
        Format::Yaml => output::print_yaml(&rows)?,
    }
    output::note(&summary(&rows));
    Ok(if rows.iter().any(|row| row.result == Outcome::Refused) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Sends the files, several at once, and gives their rows in the files' order. A file that is refused does not stop the
/// others; a registry that is gone does.
async fn register_all(
    client: &Client,
    args: &Args,
    key: Option<&SigningKey>,
    files: &[PathBuf],
) -> Result<Vec<Row>, Error> {
    let progress = progress::bar("registering", files.len());
    let input = json!({"declareOnly": !args.live, "ttlSeconds": args.ttl});
    let mut answers =
        stream::iter(files).map(|file| register(client, file, key, input.clone())).buffered(args.jobs.get());
    let mut rows = Vec::new();
    while let Some(row) = answers.next().await {
        match row {
            Ok(row) => rows.push(row),
            Err(error) => {
                progress.finish_and_clear();
                if !rows.is_empty() {
                    output::note(&format!("stopped after {} of {} files", rows.len(), files.len()));
                }
                return Err(error.into());
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(rows)
}

/// Registers one file. Its own faults are in the row; an error is one that every other file would meet too.
async fn register(
    client: &Client,
    file: &Path,
    key: Option<&SigningKey>,
    mut input: Value,
) -> Result<Row, client::Error> {
    let contract = match files::read(file) {
        Ok(contract) => contract,
        Err(reason) => return Ok(Row::refused(file, None, reason)),
    };
    if let Some(key) = key {
        input["publicKey"] = keygen::public(key).into();
        input["signature"] = keygen::sign(key, &contract).into();
    }
    input["contract"] = contract.into();
    match client.query::<Answer>(MUTATION, json!({"input": input})).await {
        Ok(answer) => Ok(Row::done(file, answer.register)),
        Err(client::Error::Refused { message, code, .. }) if code.as_deref() != Some("UNAUTHENTICATED") => {
            Ok(Row::refused(file, code, message))
        }
        Err(error) => Err(error),
    }
}

impl Row {
    fn done(file: &Path, Registration { created, changed, warnings, node }: Registration) -> Self {
        let result = match (created, changed) {
            (true, _) => Outcome::Created,
            (false, true) => Outcome::Updated,
            (false, false) => Outcome::Unchanged,
        };
        let Node { name, version } = node;
        let file = file.display().to_string();
        Self { file, result, node: Some(name), version, code: None, message: None, warnings }
    }

    fn refused(file: &Path, code: Option<String>, message: String) -> Self {
        let (file, result, message) = (file.display().to_string(), Outcome::Refused, Some(message));
        Self { file, result, node: None, version: None, code, message, warnings: Vec::new() }
    }

    fn note(&self) -> String {
        match (&self.message, &self.code) {
            (Some(message), Some(code)) => format!("{message} ({code})"),
            (Some(message), None) => message.clone(),
            (None, _) => self.warnings.join("; "),
        }
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// Rows in which nothing happened are left out unless asked for: in a second run they would be all there is.
fn table(rows: &[Row], verbose: bool) -> Table {
    let mut table = Table::new(&["RESULT", "NODE", "VERSION", "FILE", "NOTE"]);
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_else(|| NOTHING.to_owned());
    for row in rows.iter().filter(|row| verbose || row.result != Outcome::Unchanged) {
        let (node, version) = (or_nothing(&row.node), or_nothing(&row.version));
        table.row([row.result.word().to_owned(), node, version, row.file.clone(), row.note()]);
    }
    table
}

fn summary(rows: &[Row]) -> String {
    let count =
        |outcome: Outcome| format!("{} {}", rows.iter().filter(|row| row.result == outcome).count(), outcome.word());
    let counts = [Outcome::Created, Outcome::Updated, Outcome::Unchanged, Outcome::Refused].map(count).join(", ");
    let files = if rows.len() == 1 { "file" } else { "files" };
    let all_unchanged = rows.iter().all(|row| row.result == Outcome::Unchanged);
    format!("{} {files}: {counts}{}", rows.len(), if all_unchanged { "; nothing changed" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(result: Outcome) -> Row {
        let mut row = Row::refused(Path::new("a.yaml"), Some("CONTRACT_INVALID".into()), "no name".into());
        row.result = result;
        row
    }

    #[test]
    fn the_summary_counts_each_outcome() {
        let rows = [row(Outcome::Created), row(Outcome::Updated), row(Outcome::Created), row(Outcome::Refused)];
        assert_eq!(summary(&rows), "4 files: 2 created, 1 updated, 0 unchanged, 1 refused");
    }

    #[test]
    fn a_second_run_says_that_nothing_changed() {
        let rows = [row(Outcome::Unchanged)];
        assert_eq!(summary(&rows), "1 file: 0 created, 0 updated, 1 unchanged, 0 refused; nothing changed");
        assert!(table(&rows, false).is_empty());
        assert!(!table(&rows, true).is_empty());
    }

    #[test]
    fn a_refusal_is_noted_with_its_code() {
        assert_eq!(row(Outcome::Refused).note(), "no name (CONTRACT_INVALID)");
        assert_eq!(Row::refused(Path::new("a"), None, "too big".into()).note(), "too big");
    }
}
