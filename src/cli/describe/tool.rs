//! `onex describe --tool`, and `onex describe-tool`.

use serde_json::{Value, json};

use crate::cli::error::Error;
use crate::cli::json_schema;
use crate::cli::output::clean;
use crate::cli::sheet::Sheet;
use crate::cli::table::Table;
use crate::cli::value::{NOTHING, duration, joined, list, text, texts, time};
use crate::client::Client;

use super::ask;

const QUERY: &str = "query($name: String!, $version: String) { tool(name: $name, version: $version) {
    id name version description tags inputSchema outputSchema errorCodes timeoutMs idempotent quarantine
    contract { hash name version }
    metrics { calls failures timeouts p50DurationMs p99DurationMs }
    providers {
        node { id name status } transport endpoint registeredAt expiresAt healthy connected maxInFlight inFlight load
        quarantine circuit { state failures openedAt retryAt cause }
    }
} }";

pub(super) async fn find(client: &Client, name: &str, version: Option<&str>) -> Result<Value, Error> {
    ask(client, QUERY, json!({"name": name, "version": version}), "tool").await
}

/// The page; `version` is what was asked for, so that the example calls the same.
pub(super) fn sheet(tool: &Value, version: Option<&str>) -> Sheet {
    let mut sheet = Sheet::default();
    sheet.values([
        ("Name", text(tool, "/name")),
        ("Id", text(tool, "/id")),
        ("Version", text(tool, "/version")),
        ("Description", text(tool, "/description")),
        ("Tags", text(tool, "/tags")),
        ("Contract", text(tool, "/contract/hash")),
        ("Time limit", duration(tool, "/timeoutMs")),
        ("Idempotent", text(tool, "/idempotent")),
        ("Calls", calls(tool)),
        ("Quarantined because", text(tool, "/quarantine")),
    ]);
    sheet.table("Providers", &providers(tool));
    let kept_away = kept_away(tool);
    if !kept_away.is_empty() {
        sheet.list("Providers that no calls are sent to", &kept_away);
    }
    sheet.list("Error codes", &texts(tool, "/errorCodes"));
    schema(&mut sheet, "Arguments", &tool["inputSchema"]);
    schema(&mut sheet, "Result", &tool["outputSchema"]);
    sheet.block("Example", &example(tool, version));
    sheet
}

fn calls(tool: &Value) -> String {
    let [calls, failures, timeouts] =
        ["/metrics/calls", "/metrics/failures", "/metrics/timeouts"].map(|at| text(tool, at));
    let [p50, p99] = ["/metrics/p50DurationMs", "/metrics/p99DurationMs"].map(|at| duration(tool, at));
    let mut words = format!("{calls}, of which {failures} failed ({timeouts} of them by time)");
    if p50 != NOTHING {
        words.push_str(&format!("; half within {p50}, 99 of 100 within {p99}"));
    }
    words
}

fn providers(tool: &Value) -> Table {
    let header = [
        "NODE",
        "STATUS",
        "TRANSPORT",
        "CONNECTED",
        "HEALTHY",
        "IN FLIGHT",
        "LOAD",
        "CIRCUIT",
        "REGISTERED",
        "EXPIRES",
    ];
    let mut table = Table::new(&header);
    for provider in list(tool, "/providers") {
        let [node, status, transport, connected, healthy, in_flight, max, load, circuit] = [
            "/node/name",
            "/node/status",
            "/transport",
            "/connected",
            "/healthy",
            "/inFlight",
            "/maxInFlight",
            "/load",
            "/circuit/state",
        ]
        .map(|at| text(provider, at));
        let in_flight = if max == NOTHING { in_flight } else { format!("{in_flight} of {max}") };
        let [registered, expires] = ["/registeredAt", "/expiresAt"].map(|at| time(provider, at));
        table.row([node, status, transport, connected, healthy, in_flight, load, circuit, registered, expires]);
    }
    table
}

/// A line for each provider that is passed over, with the cause and when it is tried again.
fn kept_away(tool: &Value) -> Vec<String> {
    let away = list(tool, "/providers").iter().filter(|provider| !provider["quarantine"].is_null());
    let lines = away.map(|provider| {
        let retry = match time(provider, "/circuit/retryAt") {
            retry if retry == NOTHING => String::new(),
            retry => format!("; tried again at {retry}"),
        };
        format!("{}: {}{retry}", text(provider, "/node/name"), text(provider, "/quarantine"))
    });
    lines.collect()
}

fn schema(sheet: &mut Sheet, title: &str, schema: &Value) {
    if schema.is_null() {
        return sheet.list(title, &[]);
    }
    let fields = json_schema::fields(schema);
    let shape = clean(&json_schema::shape(schema));
    if fields.is_empty() {
        return sheet.block(title, &shape);
    }
    let mut table = Table::new(&["NAME", "TYPE", "REQUIRED", "DEFAULT", "DESCRIPTION", "CONSTRAINTS"]);
    for field in fields {
        let required = if field.required { "yes" } else { "no" }.to_owned();
        let default = field.default.map_or_else(|| NOTHING.to_owned(), |default| default.to_string());
        let about = field.description.unwrap_or_else(|| NOTHING.to_owned());
        table.row([field.path, field.kind, required, default, about, joined(&field.constraints)]);
    }
    sheet.table(&format!("{title}: {shape}"), &table);
}

/// A call to begin with, as it can be pasted into a shell.
fn example(tool: &Value, version: Option<&str>) -> String {
    let mut line = format!("onex proxy-invoke --tool {}", quoted(&text(tool, "/name")));
    if let Some(version) = version {
        line.push_str(&format!(" --version {}", quoted(version)));
    }
    let arguments = json_schema::example(&tool["inputSchema"]);
    if arguments != json!({}) {
        line.push_str(&format!(" --args {}", quoted(&arguments.to_string())));
    }
    line
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool() -> Value {
        json!({
            "name": "add", "version": "1.0.0", "idempotent": true, "timeoutMs": 1500, "quarantine": null,
            "metrics": {"calls": 3, "failures": 1, "timeouts": 0, "p50DurationMs": 2.0, "p99DurationMs": 40.0},
            "inputSchema": {"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
                "a": {"type": "integer", "description": "The first."}, "b": {"type": "integer", "default": 0},
            }},
            "outputSchema": {"type": "integer"},
            "providers": [
                {"node": {"name": "one", "status": "ONLINE"}, "transport": "GRAPHQL", "connected": true,
                 "healthy": true, "inFlight": 1, "maxInFlight": 4, "load": 0.25, "quarantine": null,
                 "circuit": {"state": "CLOSED"}},
                {"node": {"name": "two", "status": "ONLINE"}, "quarantine": "its circuit is open",
                 "circuit": {"state": "OPEN", "retryAt": "2026-11-22T12:00:00.5Z"}},
            ],
        })
    }

    #[test]
    fn a_page_says_how_calls_go_what_to_give_and_how_to_call() {
        let page = sheet(&tool(), Some("^1")).into_text();
        for part in [
            "Time limit:           1.5 s\n",
            "3, of which 1 failed (0 of them by time); half within 2.00 ms, 99 of 100 within 40 ms",
            "1 of 4",
            "  two: its circuit is open; tried again at 2026-11-22T12:00:00Z\n",
            "Arguments: object, no other members:\n",
            "  a     integer  yes       -        The first.   -\n",
            "  b     integer  no        0        -            -\n",
            "Result:\n  integer\n",
            "  onex proxy-invoke --tool add --version '^1' --args '{\"a\":1}'\n",
        ] {
            assert!(page.contains(part), "{part:?} is missing:\n{page}");
        }
    }

    #[test]
    fn a_word_is_quoted_as_a_shell_reads_it() {
        assert_eq!(quoted("a.b-c_1"), "a.b-c_1");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(rm)"), "'$(rm)'");
    }
}
