//! Many calls at once.
//!
//! They are sent in slices, so that there is progress to show and an end to stop at; within a slice the registry keeps
//! as many under way as was asked for. A slice is a mutation over a websocket: it takes as long as it takes, and a
//! registry that is gone is noticed.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::process::ExitCode;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::cli::describe::node_id;
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::progress;
use crate::cli::value::{list, text};
use crate::client::Client;

use super::arguments;
use super::call::Options;
use super::outcome::{self, FIELDS};
use super::single::{CANCEL_WITHIN, cancelled, interrupted_status, show_line};
use super::{Args, interrupted, plan};

/// A slice has so many calls for each that is under way: the slowest of a slice holds up the next slice, but not often.
const ROUNDS: usize = 4;
/// The most calls of a slice, and the most bytes unless one call alone has more: well below what a registry reads.
const SLICE_MAX: usize = 100;
const SLICE_BYTES_MAX: usize = 1 << 20;

/// One call, as a line has it.
#[derive(Deserialize)]
struct Line {
    tool: Option<String>,
    #[serde(default)]
    arguments: Value,
    #[serde(rename = "idempotencyKey")]
    idempotency_key: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Makes the calls, shows what came of each in its place, and ends with the status of the first that did not succeed.
pub(super) async fn run(client: &Client, args: &Args, file: &str) -> Result<ExitCode, Error> {
    let inputs = inputs(client, args, file).await?;
    let mut shown = Shown { args, bar: progress::bar("calling", inputs.len()), total: inputs.len(), rows: Vec::new() };
    let mut interrupted = pin!(interrupted());
    for slice in slices(&inputs, args.parallelism.get()) {
        if shown.is_to_stop() {
            shown.not_begun(slice)?;
            continue;
        }
        let invocations = tokio::select! {
            invocations = send(client, args, slice) => invocations,
            () = &mut interrupted => {
                shown.finish();
                return Ok(cancel(client, slice).await);
            }
        };
        match invocations {
            Ok(invocations) => invocations.into_iter().try_for_each(|invocation| shown.row(invocation))?,
            Err(error) => {
                shown.finish();
                return Err(error);
            }
        }
    }
    shown.finish();
    Ok(ExitCode::from(shown.status()))
}

/// The calls of a file, each as the API takes it.
async fn inputs(client: &Client, args: &Args, file: &str) -> Result<Vec<Value>, Error> {
    let text = if file == "-" { arguments::input()? } else { arguments::file(file)? };
    let place = if file == "-" { "standard input" } else { file };
    let correlation_id = args.options.correlation_id.clone().unwrap_or_else(fresh_id);
    let defaults = Options { correlation_id: Some(correlation_id), ..args.options.clone() };
    let mut nodes = Nodes { client, known: HashMap::new() };
    let mut inputs = Vec::new();
    for (index, line) in values(&text, place)?.into_iter().enumerate() {
        let wrong = |why: String| Error::Usage(format!("{place}: call {}: {why}", index + 1));
        let (line, options) = read(line).map_err(|error| wrong(error.to_string()))?;
        let tool = line.tool.as_ref().or(args.tool.as_ref());
        let tool = tool.ok_or_else(|| wrong("it names no tool, and --tool names none for all".to_owned()))?;
        let arguments = if line.arguments.is_null() { json!({}) } else { line.arguments };
        let options = options.or(&defaults);
        let mut input = options.input(tool, arguments, nodes.id(options.node.as_deref()).await?);
        if let Some(key) = line.idempotency_key {
            input["idempotencyKey"] = key.into();
        }
        inputs.push(input);
    }
    Ok(inputs)
}

/// One call of the file, with the options that it has of its own.
fn read(line: Value) -> Result<(Line, Options), serde_json::Error> {
    let mut line: Line = serde_json::from_value(line)?;
    let options = serde_json::from_value(std::mem::take(&mut line.rest).into())?;
    Ok((line, options))
}

/// The ids of the nodes that calls name: most batches name few, so each is looked up once.
struct Nodes<'a> {
    client: &'a Client,
    known: HashMap<String, Value>,
}

impl Nodes<'_> {
    async fn id(&mut self, name: Option<&str>) -> Result<Value, Error> {
        let Some(name) = name else { return Ok(Value::Null) };
        if let Some(id) = self.known.get(name) {
            return Ok(id.clone());
        }
        let id = node_id(self.client, name).await?;
        self.known.insert(name.to_owned(), id.clone());
        Ok(id)
    }
}

/// The values of a JSON array, or those that stand one behind the other.
fn values(text: &str, place: &str) -> Result<Vec<Value>, Error> {
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let mut values = values.map_err(|error| Error::Usage(format!("{place} is no JSON: {error}")))?;
    match &mut values[..] {
        [Value::Array(calls)] => Ok(std::mem::take(calls)),
        _ => Ok(values),
    }
}

/// An id for an undertaking that was given none, so that what is under way can be found by it.
#[expect(clippy::disallowed_methods, reason = "the command line is a door: it draws the id that the registry takes")]
fn fresh_id() -> String {
    Uuid::new_v4().to_string()
}

/// Cuts the calls into slices.
fn slices(mut inputs: &[Value], parallelism: usize) -> Vec<&[Value]> {
    let most = parallelism.saturating_mul(ROUNDS).min(SLICE_MAX);
    let mut slices = Vec::new();
    while !inputs.is_empty() {
        let mut bytes = 0;
        let fitting = inputs.iter().take(most).take_while(|input| {
            bytes += input.to_string().len();
            bytes <= SLICE_BYTES_MAX
        });
        let (slice, rest) = inputs.split_at(fitting.count().max(1));
        slices.push(slice);
        inputs = rest;
    }
    slices
}

/// Makes the calls of a slice, and gives what came of each in their order.
async fn send(client: &Client, args: &Args, slice: &[Value]) -> Result<Vec<Value>, Error> {
    if args.dry_run {
        let plans = slice.iter().map(|input| plan::ask(client, input.clone()));
        return stream::iter(plans).buffered(args.parallelism.get()).try_collect().await;
    }
    let document = format!(
        "mutation($input: ProxyInvokeBatchInput!) {{ proxyInvokeBatch(input: $input) {{ invocations {{ {FIELDS} }} }} }}"
    );
    let input = json!({"calls": slice, "parallelism": args.parallelism, "stopOnError": args.stop_on_error});
    let mut answers = client.subscribe::<Value>(&document, json!({"input": input})).await?;
    let mut answer = answers.next().await.transpose()?.unwrap_or_default();
    match answer["proxyInvokeBatch"]["invocations"].take() {
        Value::Array(invocations) if invocations.len() == slice.len() => Ok(invocations),
        _ => Err(Error::Other("the registry ended a batch without its answers: what came of them is unknown".into())),
    }
}

/// Cancels what is under way of a slice. Its calls are found by the ids of their undertakings.
async fn cancel(client: &Client, slice: &[Value]) -> ExitCode {
    let asked = timeout(CANCEL_WITHIN, async {
        let mut count = 0;
        for undertaking in slice.iter().map(|input| text(input, "/correlationId")).collect::<BTreeSet<_>>() {
            for id in under_way(client, &undertaking).await? {
                count += usize::from(cancelled(client, &id).await? == "CANCELLED");
            }
        }
        Ok::<_, Error>(count)
    })
    .await;
    interrupted_status(&match asked {
        Ok(Ok(count)) => format!("interrupted: {count} calls that were under way are cancelled, and no more are begun"),
        Ok(Err(error)) => format!("interrupted, but what is under way could not be cancelled: {error}"),
        Err(_) => "interrupted, but the registry did not answer: what is under way may go on".to_owned(),
    })
}

async fn under_way(client: &Client, undertaking: &str) -> Result<Vec<Value>, Error> {
    let document =
        "query($filter: InvocationFilter) { invocations(filter: $filter, first: 500) { nodes { id status } } }";
    let filter = json!({"correlationId": undertaking});
    let answer: Value = client.query(document, json!({"filter": filter})).await?;
    let found = list(&answer, "/invocations/nodes").iter().filter(|invocation| !outcome::is_over(invocation));
    Ok(found.map(|invocation| invocation["id"].clone()).collect())
}

/// What was shown so far.
struct Shown<'a> {
    args: &'a Args,
    bar: ProgressBar,
    total: usize,
    /// The exit status of each call.
    rows: Vec<u8>,
}

impl Shown<'_> {
    /// Shows what came of the next call.
    fn row(&mut self, invocation: Value) -> Result<(), Error> {
        let planned = self.args.dry_run && invocation["error"].is_null();
        self.rows.push(if planned { 0 } else { outcome::exit_status(&invocation) });
        let row = row(self.rows.len(), invocation, self.args.verbose || self.args.dry_run);
        self.bar.suspend(|| show_line(self.args.format, &row))?;
        self.bar.inc(1);
        Ok(())
    }

    /// Shows calls that are not sent because an earlier one did not succeed: as the registry shows those of a slice.
    fn not_begun(&mut self, slice: &[Value]) -> Result<(), Error> {
        slice.iter().try_for_each(|input| {
            let error =
                json!({"code": "TOOL_CANCELLED", "message": "not begun, since an earlier call did not succeed"});
            self.row(given_up(input, error))
        })
    }

    fn is_to_stop(&self) -> bool {
        self.args.stop_on_error && self.status() != 0
    }

    /// The status of the first call that did not succeed.
    fn status(&self) -> u8 {
        self.rows.iter().copied().find(|status| *status != 0).unwrap_or(0)
    }

    /// Says in one line how the batch went.
    fn finish(&self) {
        self.bar.finish_and_clear();
        output::note(&summary(&self.rows, self.total, if self.args.dry_run { "would be made" } else { "succeeded" }));
    }
}

/// A call that was never made, in the form of one that was.
fn given_up(input: &Value, error: Value) -> Value {
    json!({
        "id": null, "toolName": input["tool"], "toolVersion": null, "status": "CANCELLED", "error": error,
        "correlationId": input["correlationId"], "result": null, "durationMs": null, "provider": null,
    })
}

/// What is shown of one call: its number in the batch, and what matters of it, or all.
fn row(number: usize, mut invocation: Value, whole: bool) -> Value {
    if whole {
        invocation["call"] = number.into();
        return invocation;
    }
    let outcome = if outcome::succeeded(&invocation) { "result" } else { "error" };
    json!({
        "call": number,
        "id": invocation["id"],
        "tool": invocation["toolName"],
        "version": invocation["toolVersion"],
        "status": invocation["status"],
        outcome: invocation[outcome].take(),
        "provider": invocation["provider"]["name"],
        "durationMs": invocation["durationMs"],
    })
}

fn summary(rows: &[u8], total: usize, done: &str) -> String {
    let count = |status: u8| rows.iter().filter(|row| **row == status).count();
    let calls = if total == 1 { "call" } else { "calls" };
    let others = [(3, "failed"), (4, "rejected"), (5, "not taken"), (6, "timed out"), (7, "cancelled"), (1, "unclear")];
    let mut words = vec![format!("{} {done}", count(0))];
    words.extend(
        others
            .iter()
            .filter(|(status, _)| count(*status) > 0)
            .map(|(status, word)| format!("{} {word}", count(*status))),
    );
    if rows.len() < total {
        words.push(format!("{} without an answer", total - rows.len()));
    }
    format!("{total} {calls}: {}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_an_array_or_lines() {
        let calls = |text: &str| values(text, "f").map_err(|error| error.to_string());
        let two = vec![json!({"tool": "a"}), json!({"tool": "b"})];
        assert_eq!(calls("[{\"tool\": \"a\"},\n{\"tool\": \"b\"}]"), Ok(two.clone()));
        assert_eq!(calls("{\"tool\": \"a\"}\n\n{\"tool\":\n\"b\"}\n"), Ok(two));
        assert_eq!(calls(" \n"), Ok(Vec::new()));
        assert!(calls("{}\n{oops}").unwrap_err().starts_with("f is no JSON: key must be a string at line 2"));
    }

    #[test]
    fn slices_are_bounded_in_calls_and_bytes() {
        let of = |count: usize, parallelism: usize| -> Vec<usize> {
            let inputs = vec![json!({"tool": "a"}); count];
            slices(&inputs, parallelism).into_iter().map(<[Value]>::len).collect()
        };
        assert_eq!(of(9, 1), [4, 4, 1]);
        assert_eq!(of(250, 1_000), [100, 100, 50]);
        assert_eq!(of(0, 8), Vec::<usize>::new());
        let large = json!({"arguments": "x".repeat(SLICE_BYTES_MAX / 2)});
        let inputs =
            [large.clone(), json!(1), large.clone(), json!({"arguments": "x".repeat(SLICE_BYTES_MAX * 2)}), json!(2)];
        let counts: Vec<usize> = slices(&inputs, 8).into_iter().map(<[Value]>::len).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
    }

    #[test]
    fn a_row_has_the_result_or_the_error() {
        let done = json!({"id": "i", "toolName": "a", "status": "SUCCEEDED", "result": 3, "error": null});
        let shown = row(1, done.clone(), false);
        assert_eq!((&shown["call"], &shown["tool"], &shown["result"]), (&json!(1), &json!("a"), &json!(3)));
        assert!(shown.get("error").is_none());
        let failed = row(2, json!({"status": "FAILED", "error": {"code": "TOOL_FAILED"}}), false);
        assert!(failed.get("result").is_none() && failed["error"]["code"] == "TOOL_FAILED");
        assert_eq!(row(3, done, true)["toolName"], "a");
    }

    #[test]
    fn the_summary_counts_what_happened_alone() {
        assert_eq!(
            summary(&[0, 0, 3, 7], 6, "succeeded"),
            "6 calls: 2 succeeded, 1 failed, 1 cancelled, 2 without an answer"
        );
        assert_eq!(summary(&[0], 1, "would be made"), "1 call: 1 would be made");
    }
}
