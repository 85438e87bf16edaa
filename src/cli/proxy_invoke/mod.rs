//! `onex proxy-invoke`: calls tools through the registry.
//!
//! A single call is begun without waiting and then followed: so its id is known at once, Ctrl-C can cancel it, it may
//! take any time, and a lost connection loses nothing. A batch is sent in slices; the registry runs each slice.

mod arguments;
mod batch;
mod call;
mod follow;
mod outcome;
mod plan;
mod single;
mod timeout;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use super::error::Error;
use super::output::Format;
use super::server::ServerArgs;

const EXIT_STATUS: &str = "Exit status:
  0    the call succeeded; with --batch: all of them
  1    the registry could not be asked, or refused to
  2    typed wrongly
  3    the tool failed, or answered otherwise than it promises (TOOL_FAILED, TOOL_INVALID_RESULT)
  4    rejected before any provider was asked (TOOL_NOT_FOUND, TOOL_INVALID_ARGUMENTS, TOOL_UNTRUSTED)
  5    nobody could take it (TOOL_NO_PROVIDER, TOOL_OVERLOADED, UNAVAILABLE)
  6    it took too long (TOOL_TIMEOUT)
  7    it was cancelled (TOOL_CANCELLED)
  130  interrupted; Ctrl-C cancels the call
With --batch, the status is that of the first call that did not succeed.";

/// Which tool to call, with what, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub struct Args {
    /// The tool, by name; with --batch, that of calls that name none.
    #[arg(long, value_name = "NAME", required_unless_present = "batch")]
    tool: Option<String>,
    #[command(flatten)]
    arguments: arguments::ArgumentArgs,
    #[command(flatten)]
    options: call::Options,
    /// Your name for this call: repeating it gives the same outcome and calls nothing again.
    #[arg(long, value_name = "KEY", conflicts_with = "batch")]
    idempotency_key: Option<String>,
    /// Call nothing; show which provider would be called and why, and what would be sent.
    #[arg(long, conflicts_with_all = ["stream", "no_wait"])]
    dry_run: bool,
    /// Print the chunks that come before the result, each in one line, then the result in one.
    #[arg(long, conflicts_with_all = ["batch", "no_wait"])]
    stream: bool,
    /// Print the call's id and do not wait for its end.
    #[arg(long, conflicts_with = "batch")]
    no_wait: bool,
    /// Print a result that is text as it is, without quotes.
    #[arg(long, conflicts_with_all = ["batch", "format"])]
    raw: bool,
    /// Make the calls in a file, or in standard input where it is -: a JSON array or JSON lines of {"tool",
    /// "arguments"} and, where wanted, version, node, policy, trustedOnly, timeoutMs, maxFailovers, idempotent,
    /// idempotencyKey and correlationId. Results are JSON lines in the order of the calls.
    #[arg(long, value_name = "FILE")]
    batch: Option<String>,
    /// How many calls of a batch may be under way at once.
    #[arg(long, value_name = "N", default_value = "8", requires = "batch")]
    parallelism: NonZeroUsize,
    /// Begin no more calls of a batch once one did not succeed.
    #[arg(long, requires = "batch")]
    stop_on_error: bool,
    /// Tell on stderr how it went: provider, attempts, times, ids and events. With --format json or yaml, print all of
    /// that as data in place of the result.
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show the result; a table is made only of a dry run, and is JSON otherwise.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Calls, shows what came of it, and ends with its status.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let client = args.server.client()?;
    match &args.batch {
        Some(file) => batch::run(&client, &args, file).await,
        None => single::run(&client, &args).await,
    }
}

/// Ends when the user interrupts the program, and never otherwise.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler the signal ends the program by itself.
        std::future::pending().await
    }
}
