//! `onex publish`: publishes an event to a bus, and says where it went.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::describe::node_id;
use super::error::Error;
use super::output::{self, Format};
use super::server::ServerArgs;
use super::table::Table;
use super::value::{given, text};

const PUBLISH: &str = "mutation($input: PublishInput!) {
    publish(input: $input) { bus { id name } topic eventId sequence matchedSubscribers }
}";

/// What to publish, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bus, by name or id.
    #[arg(value_name = "BUS")]
    bus: String,
    /// The topic; without it the event's type behind onex.events, or what the registry has in its place.
    #[arg(long)]
    topic: Option<String>,
    /// What the event is, such as NODE_START or core.node.start.
    #[arg(long = "type", value_name = "TYPE", required_unless_present = "event")]
    event_type: Option<String>,
    /// Whose it is.
    #[arg(long, value_name = "NAME|ID", required_unless_present = "event")]
    node: Option<String>,
    /// What else there is to say: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    metadata: Option<Map<String, Value>>,
    /// A word to find it by; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// The undertaking that it is part of.
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// The event as a JSON object in a file, or on standard input; other options go before what it says.
    #[arg(long, value_name = "FILE|-")]
    event: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show where it went.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// An event as it is written: with the names that it travels with, or with those of the API.
#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all(serialize = "camelCase"))]
struct Event {
    #[serde(alias = "eventId")]
    event_id: Option<String>,
    #[serde(alias = "nodeId")]
    node_id: Option<String>,
    #[serde(alias = "eventType")]
    event_type: Option<String>,
    timestamp: Option<String>,
    #[serde(alias = "correlationId")]
    correlation_id: Option<String>,
    tags: Option<Vec<String>>,
    metadata: Option<Map<String, Value>>,
}

/// Publishes the event.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let written = args.event.as_deref().map(read).transpose()?;
    let mut event = args.over(written.unwrap_or_default());
    let (Some(node), Some(_)) = (&event.node_id, &event.event_type) else {
        let missing = if event.node_id.is_none() { "node_id" } else { "event_type" };
        return Err(Error::Usage(format!("the event has no {missing}: write it there, or give --node and --type")));
    };
    let client = args.server.client()?;
    event.node_id = node_id(&client, node).await?.as_str().map(str::to_owned);
    let input = given(json!({"bus": args.bus, "topic": args.topic, "event": given(json!(event))}));
    let mut answer: Value = client.query(PUBLISH, json!({ "input": input })).await?;
    show(&answer["publish"].take(), args.format)
}

impl Args {
    /// An event with what was typed in the place of what was written.
    fn over(&self, written: Event) -> Event {
        Event {
            node_id: self.node.clone().or(written.node_id),
            event_type: self.event_type.clone().or(written.event_type),
            correlation_id: self.correlation_id.clone().or(written.correlation_id),
            tags: Some(self.tags.clone()).filter(|tags| !tags.is_empty()).or(written.tags),
            metadata: self.metadata.clone().or(written.metadata),
            ..written
        }
    }
}

/// The event in a file, or on standard input.
fn read(path: &Path) -> Result<Event, Error> {
    let (place, text) = if path == Path::new("-") {
        ("standard input".to_owned(), std::io::read_to_string(std::io::stdin()))
    } else {
        (path.display().to_string(), std::fs::read_to_string(path))
    };
    let text = text.map_err(|source| Error::Read { path: place.clone().into(), source })?;
    serde_json::from_str(&text).map_err(|error| Error::Usage(format!("{place} is no event: {error}")))
}

/// What is typed as a JSON object.
fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("is no JSON object: {error}"))
}

fn show(published: &Value, format: Format) -> Result<ExitCode, Error> {
    match format {
        Format::Json => output::print_json(published)?,
        Format::Yaml => output::print_yaml(published)?,
        Format::Table => {
            let mut table = Table::new(&["BUS", "TOPIC", "PLACE", "SUBSCRIBERS", "EVENT"]);
            table.row(
                ["/bus/name", "/topic", "/sequence", "/matchedSubscribers", "/eventId"].map(|at| text(published, at)),
            );
            table.print()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_with_either_names_and_sent_with_those_of_the_api() {
        let travels: Event = serde_json::from_str(r#"{"event_type": "T", "node_id": "a", "tags": ["x"]}"#).unwrap();
        let asked: Event = serde_json::from_str(r#"{"eventType": "T", "nodeId": "a", "tags": ["x"]}"#).unwrap();
        assert_eq!(travels, asked);
        assert_eq!(given(json!(asked)), json!({"eventType": "T", "nodeId": "a", "tags": ["x"]}));
    }

    #[test]
    fn a_misspelt_member_is_not_passed_over() {
        assert!(serde_json::from_str::<Event>(r#"{"event_typ": "T"}"#).is_err());
        assert!(object("[]").is_err());
    }
}
