//! `onex describe --tool`.

use serde_json::{Value, json};

use crate::cli::error::Error;
use crate::cli::sheet::Sheet;
use crate::cli::table::Table;
use crate::cli::value::{list, text, texts, time};
use crate::client::Client;

use super::ask;

const QUERY: &str = "query($name: String!, $version: String) { tool(name: $name, version: $version) {
    id name version description tags inputSchema outputSchema errorCodes contract { hash name version }
    providers { node { id name status } transport registeredAt expiresAt healthy }
} }";

pub(super) async fn find(client: &Client, name: &str, version: Option<&str>) -> Result<Value, Error> {
    ask(client, QUERY, json!({"name": name, "version": version}), "tool").await
}

pub(super) fn sheet(tool: &Value) -> Sheet {
    let mut sheet = Sheet::default();
    sheet.values([
        ("Name", text(tool, "/name")),
        ("Id", text(tool, "/id")),
        ("Version", text(tool, "/version")),
        ("Description", text(tool, "/description")),
        ("Tags", text(tool, "/tags")),
        ("Contract", text(tool, "/contract/hash")),
    ]);
    sheet.table("Providers", &providers(tool));
    sheet.list("Error codes", &texts(tool, "/errorCodes"));
    schema(&mut sheet, "Arguments", &tool["inputSchema"]);
    schema(&mut sheet, "Result", &tool["outputSchema"]);
    sheet
}

fn providers(tool: &Value) -> Table {
    let mut table = Table::new(&["NODE", "STATUS", "TRANSPORT", "HEALTHY", "REGISTERED", "EXPIRES"]);
    for provider in list(tool, "/providers") {
        let [node, status, transport, healthy] =
            ["/node/name", "/node/status", "/transport", "/healthy"].map(|at| text(provider, at));
        table.row([node, status, transport, healthy, time(provider, "/registeredAt"), time(provider, "/expiresAt")]);
    }
    table
}

fn schema(sheet: &mut Sheet, title: &str, schema: &Value) {
    match schema {
        Value::Null => sheet.list(title, &[]),
        schema => sheet.block(title, &format!("{schema:#}")),
    }
}
