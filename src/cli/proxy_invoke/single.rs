//! One call: begin it, follow it, show what came of it.

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::cli::describe::node_id_if_given;
use crate::cli::error::Error;
use crate::cli::output::{self, Format};
use crate::cli::value::{list, text};
use crate::client::Client;

use super::follow::Followed;
use super::outcome::{self, FIELDS};
use super::{Args, interrupted, plan};

/// How long cancelling may take before the program ends without having heard of it.
pub(super) const CANCEL_WITHIN: Duration = Duration::from_secs(5);
/// How long the events of a call that has ended are waited for: they reach the log with the batch that comes next.
const EVENTS_WITHIN: Duration = Duration::from_secs(1);

/// One of these is the last of a call.
const LAST_EVENTS: [&str; 4] = ["TOOL_PROXY_RESULT", "TOOL_PROXY_ERROR", "TOOL_PROXY_TIMEOUT", "TOOL_PROXY_REJECTED"];

/// Makes one call.
pub(super) async fn run(client: &Client, args: &Args) -> Result<ExitCode, Error> {
    let input = input(client, args).await?;
    if args.dry_run {
        return plan::run(client, args, input).await;
    }
    let fields = if args.stream || args.whole() { format!("{FIELDS} chunks") } else { FIELDS.to_owned() };
    let mut interrupted = pin!(interrupted());
    let mut beginning = pin!(begin(client, &input, &fields));
    let begun = tokio::select! {
        begun = &mut beginning => begun?,
        () = &mut interrupted => {
            // The registry may have it already: it can be cancelled once its id is known.
            let begun = timeout(CANCEL_WITHIN, beginning).await;
            return Ok(match begun {
                Ok(Ok(begun)) => cancel(client, &begun["id"]).await,
                _ => interrupted_status("interrupted before the registry answered: whether it makes the call is unknown"),
            });
        }
    };
    if args.no_wait {
        return show_begun(args, &begun);
    }
    let id = begun["id"].clone();
    let followed = Followed::new(client, begun, &fields).until_end(|chunk| match args.stream {
        true => show_line(args.format, chunk),
        false => Ok(()),
    });
    let ended = tokio::select! {
        ended = followed => ended?,
        () = &mut interrupted => return Ok(cancel(client, &id).await),
    };
    show(client, args, ended).await
}

/// The input of the call, without the choice of waiting.
async fn input(client: &Client, args: &Args) -> Result<Value, Error> {
    // The parser has seen to it that a call without a batch names its tool.
    let tool = args.tool.as_deref().unwrap_or_default();
    let schema = match args.arguments.depend_on_schema() {
        true => schema(client, tool, args.options.version.as_deref()).await?,
        false => Value::Null,
    };
    let arguments = args.arguments.build(&schema)?;
    let node = node_id_if_given(client, args.options.node.as_deref()).await?;
    let mut input = args.options.input(tool, arguments, node);
    if let Some(key) = &args.idempotency_key {
        input["idempotencyKey"] = key.as_str().into();
    }
    Ok(input)
}

/// The schema of a tool's arguments; null where there is none, or no such tool, which the call will say better.
async fn schema(client: &Client, tool: &str, version: Option<&str>) -> Result<Value, Error> {
    let document = "query($name: String!, $version: String) { tool(name: $name, version: $version) { inputSchema } }";
    let mut answer: Value = client.query(document, json!({"name": tool, "version": version})).await?;
    Ok(answer["tool"]["inputSchema"].take())
}

/// Asks for the call without waiting for its end.
async fn begin(client: &Client, input: &Value, fields: &str) -> Result<Value, Error> {
    let mut input = input.clone();
    input["wait"] = false.into();
    ask(client, input, fields).await
}

/// Sends the call as it is.
pub(super) async fn ask(client: &Client, input: Value, fields: &str) -> Result<Value, Error> {
    let document = format!("mutation($input: ProxyInvokeInput!) {{ proxyInvoke(input: $input) {{ {fields} }} }}");
    let mut answer: Value = client.query(&document, json!({"input": input})).await?;
    Ok(answer["proxyInvoke"].take())
}

/// Cancels what was interrupted, and says whether that was in time.
async fn cancel(client: &Client, id: &Value) -> ExitCode {
    let shown = text(id, "");
    let asked = timeout(CANCEL_WITHIN, cancelled(client, id)).await;
    interrupted_status(&match asked {
        Ok(Ok(status)) if status == "CANCELLED" => format!("interrupted: invocation {shown} is cancelled"),
        Ok(Ok(status)) => format!("interrupted: invocation {shown} had ended before, as {status}"),
        Ok(Err(error)) => format!("interrupted, but invocation {shown} could not be cancelled: {error}"),
        Err(_) => format!("interrupted, but the registry did not answer: invocation {shown} may go on"),
    })
}

/// Cancels one call, and gives the status that it has then.
pub(super) async fn cancelled(client: &Client, id: &Value) -> Result<String, Error> {
    let document = "mutation($input: InvocationRefInput!) { cancelInvocation(input: $input) { status } }";
    let answer: Value = client.query(document, json!({"input": {"invocationId": id}})).await?;
    Ok(text(&answer, "/cancelInvocation/status"))
}

/// Says why the program ends now.
pub(super) fn interrupted_status(why: &str) -> ExitCode {
    output::note(&format!("onex: {why}"));
    ExitCode::from(130)
}

/// Shows a call that is not waited for. One that was rejected has ended already.
fn show_begun(args: &Args, begun: &Value) -> Result<ExitCode, Error> {
    outcome::tell_warnings(begun);
    match args.format {
        Format::Table => output::print(&format!("{}\n", text(begun, "/id")))?,
        Format::Json => output::print_json(begun)?,
        Format::Yaml => output::print_yaml(begun)?,
    }
    if outcome::is_over(begun) && !outcome::succeeded(begun) {
        outcome::tell_error(begun);
        return Ok(ExitCode::from(outcome::exit_status(begun)));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(client: &Client, args: &Args, mut ended: Value) -> Result<ExitCode, Error> {
    outcome::tell_warnings(&ended);
    if args.verbose {
        ended["events"] = events(client, &ended["id"]).await;
    }
    match args.whole() {
        true => show_data(args, &ended)?,
        false if outcome::succeeded(&ended) => show_data(args, &ended["result"])?,
        false => {}
    }
    if args.verbose {
        outcome::tell_all(&ended);
    }
    if !outcome::succeeded(&ended) {
        outcome::tell_error(&ended);
    }
    Ok(ExitCode::from(outcome::exit_status(&ended)))
}

/// The events of a call that has ended; as far as they are there, since the call itself is known without them.
async fn events(client: &Client, id: &Value) -> Value {
    let document = "query($id: UUID!) { invocation(id: $id) { events { sequence type time } } }";
    let mut events = Value::Null;
    let whole = async {
        loop {
            let Ok(mut answer) = client.query::<Value>(document, json!({"id": id})).await else { return };
            events = answer["invocation"]["events"].take();
            if list(&events, "").iter().any(|event| LAST_EVENTS.iter().any(|last| event["type"] == *last)) {
                return;
            }
            tokio::time::sleep(EVENTS_WITHIN / 20).await;
        }
    };
    // What was found until then is shown.
    let _ = timeout(EVENTS_WITHIN, whole).await;
    events
}

/// Shows data: in a line of its own where chunks stand before it.
fn show_data(args: &Args, data: &Value) -> Result<(), Error> {
    match (data, args.format) {
        (Value::String(words), _) if args.raw => output::print(&format!("{words}\n")),
        (_, format) if args.stream => show_line(format, data),
        (_, Format::Yaml) => output::print_yaml(data),
        _ => output::print_json(data),
    }
}

/// Shows data as one line of JSON, or as one of several YAML documents.
pub(super) fn show_line(format: Format, data: &Value) -> Result<(), Error> {
    match format {
        Format::Yaml => output::print(&format!("---\n{}", output::yaml(data)?)),
        Format::Table | Format::Json => output::print(&format!("{data}\n")),
    }
}

impl Args {
    /// Whether the whole invocation is shown in place of its result.
    fn whole(&self) -> bool {
        self.verbose && self.format != Format::Table
    }
}
