//! `onex describe`: everything about one node, tool or contract.

mod contract;
mod node;
mod tool;

use std::process::ExitCode;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Client;

use super::error::Error;
use super::output::{self, Format};
use super::server::ServerArgs;
use super::sheet::Sheet;

/// What to describe, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Which version of the tool or contract; the highest without it.
    #[arg(long, value_name = "V", conflicts_with = "node")]
    version: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
    /// How to show it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// A node, by name or id.
    #[arg(long, value_name = "NAME|ID")]
    node: Option<String>,
    /// A tool, by name.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// A contract, by name or by the SHA-256 of its canonical form.
    #[arg(long, value_name = "NAME|HASH")]
    contract: Option<String>,
}

/// Prints the description.
pub(super) async fn run(args: Args) -> Result<ExitCode, Error> {
    let client = args.server.client()?;
    let Which { node, tool, contract } = args.which;
    let version = args.version.as_deref();
    match (node, tool, contract) {
        (Some(name), _, _) => show("node", &name, None, &node::find(&client, &name).await?, node::sheet, args.format),
        (_, Some(name), _) => self::tool(&client, &name, version, args.format).await,
        (_, _, name) => {
            let name = name.unwrap_or_default();
            let found = contract::find(&client, &name, version).await?;
            show("contract", &name, version, &found, contract::sheet, args.format)
        }
    }
}

/// Prints the description of a tool.
pub(super) async fn tool(
    client: &Client,
    name: &str,
    version: Option<&str>,
    format: Format,
) -> Result<ExitCode, Error> {
    let found = tool::find(client, name, version).await?;
    show("tool", name, version, &found, |tool| tool::sheet(tool, version), format)
}

fn show(
    thing: &'static str,
    name: &str,
    version: Option<&str>,
    found: &Value,
    sheet: impl Fn(&Value) -> Sheet,
    format: Format,
) -> Result<ExitCode, Error> {
    if found.is_null() {
        let version = version.map(|version| format!(" {version}")).unwrap_or_default();
        return Err(Error::NotFound { thing, name: name.to_owned() + &version });
    }
    match format {
        Format::Table => output::print(&sheet(found).into_text())?,
        Format::Json => output::print_json(found)?,
        Format::Yaml => output::print_yaml(found)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Names a node to the registry: by id where the text is one as the registry writes them, by name otherwise.
///
/// Shorter ways to write a UUID are taken for names, since 32 hexadecimal digits may well be one.
pub(super) fn node_by(name_or_id: &str) -> Value {
    match Uuid::try_parse(name_or_id) {
        Ok(id) if name_or_id.len() == 36 => json!({"id": id}),
        _ => json!({"name": name_or_id}),
    }
}

/// A node's id. One that is given is not looked up: a node may be waited for that registers later, and one that is
/// gone still has its history.
pub(super) async fn node_id(client: &Client, name_or_id: &str) -> Result<Value, Error> {
    let mut by = node_by(name_or_id);
    if by["id"].is_string() {
        return Ok(by["id"].take());
    }
    let mut answer: Value = client.query("query($by: NodeBy!) { node(by: $by) { id } }", json!({"by": by})).await?;
    match answer["node"]["id"].take() {
        Value::Null => Err(Error::NotFound { thing: "node", name: name_or_id.to_owned() }),
        id => Ok(id),
    }
}

/// The id of a node that an option names; null where the option is absent.
pub(super) async fn node_id_if_given(client: &Client, name_or_id: Option<&str>) -> Result<Value, Error> {
    match name_or_id {
        Some(name_or_id) => node_id(client, name_or_id).await,
        None => Ok(Value::Null),
    }
}

/// Asks for one field with one answer; null where the registry knows no such thing.
async fn ask(client: &Client, document: &str, variables: Value, field: &str) -> Result<Value, Error> {
    let mut answer: Value = client.query(document, variables).await?;
    Ok(answer[field].take())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_uuid_is_an_id() {
        let id = "0190c5a0-7a3e-7cc0-8f6e-1b2c3d4e5f60";
        assert_eq!(node_by(id), json!({"id": id}));
        assert_eq!(node_by(&id.to_uppercase()), json!({"id": id}));
        for name in ["node_a", "0190c5a07a3e7cc08f6e1b2c3d4e5f60", ""] {
            assert_eq!(node_by(name), json!({"name": name}));
        }
    }
}
