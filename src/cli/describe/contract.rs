//! `onex describe --contract`.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::sheet::Sheet;
use crate::cli::table::Table;
use crate::cli::value::{list, text, texts};
use crate::client::Client;

use super::ask;
use super::node::{dependencies, neighbours};

const QUERY: &str = "query($by: ContractBy!) { contract(by: $by) {
    hash name version kind description
    inputs { name type required description } outputs { name type required description }
    publishes subscribes deadLetters dependencies { name kind target description required }
    errorCodes acceptsContext modifiesState sideEffects document
    nodes { id name status } tools { id name version }
} }";

const VERSIONS: &str = "query($filter: ContractFilter, $after: String) {
    contracts(filter: $filter, first: 200, after: $after) {
        nodes { name version } pageInfo { hasNextPage endCursor }
    }
}";

/// Finds it by hash where the name is one, else by name and version.
pub(super) async fn find(client: &Client, name: &str, version: Option<&str>) -> Result<Value, Error> {
    if version.is_none() && is_hash(name) {
        return ask(client, QUERY, json!({"by": {"hash": name.to_ascii_lowercase()}}), "contract").await;
    }
    let version = match version {
        Some(version) => version.to_owned(),
        None => match highest(client, name).await? {
            Some(version) => version,
            None => return Ok(Value::Null),
        },
    };
    ask(client, QUERY, json!({"by": {"nameVersion": {"name": name, "version": version}}}), "contract").await
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The highest version under a name; says on stderr which others there are. The registry asks for a version with
/// each contract's name, so the versions are looked up first.
async fn highest(client: &Client, name: &str) -> Result<Option<String>, Error> {
    let mut versions = Vec::new();
    let mut after = Value::Null;
    loop {
        let variables = json!({"filter": {"search": name}, "after": after});
        let page = ask(client, VERSIONS, variables, "contracts").await?;
        let same = list(&page, "/nodes").iter().filter(|contract| contract["name"] == name);
        versions.extend(same.filter_map(|contract| contract["version"].as_str().map(str::to_owned)));
        let end = &page["pageInfo"]["endCursor"];
        if page["pageInfo"]["hasNextPage"] != true || end.is_null() || *end == after {
            break;
        }
        after = end.clone();
    }
    versions.sort_by(|a, b| compare_versions(a, b));
    versions.dedup();
    let highest = versions.pop();
    if let (Some(highest), false) = (&highest, versions.is_empty()) {
        output::note(&format!("showing version {highest}; --version shows another: {}", versions.join(", ")));
    }
    Ok(highest)
}

/// Orders versions as people read them: number by number, and a pre-release before its release.
///
/// Not all of semantic versioning: contracts carry versions of every form, and all of them must have an order.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let parts = |version: &str| {
        let version = version.split('+').next().unwrap_or_default();
        let (release, pre) = version.split_once('-').map_or((version, None), |(release, pre)| (release, Some(pre)));
        // A number is below a word, and what has no pre-release is above what has.
        let words = |text: &str| {
            text.split('.').map(|part| (part.parse::<u64>().unwrap_or(u64::MAX), part.to_owned())).collect::<Vec<_>>()
        };
        (words(release), pre.is_none(), words(pre.unwrap_or_default()))
    };
    parts(a).cmp(&parts(b)).then_with(|| a.cmp(b))
}

pub(super) fn sheet(contract: &Value) -> Sheet {
    let mut sheet = Sheet::default();
    sheet.values([
        ("Name", text(contract, "/name")),
        ("Version", text(contract, "/version")),
        ("Hash", text(contract, "/hash")),
        ("Kind", text(contract, "/kind")),
        ("Description", text(contract, "/description")),
        ("Accepts context", text(contract, "/acceptsContext")),
        ("Modifies state", text(contract, "/modifiesState")),
    ]);
    sheet.table("Inputs", &fields(list(contract, "/inputs")));
    sheet.table("Outputs", &fields(list(contract, "/outputs")));
    sheet.list("Topics published", &texts(contract, "/publishes"));
    sheet.list("Topics subscribed", &texts(contract, "/subscribes"));
    sheet.list("Dead letters to", &texts(contract, "/deadLetters"));
    sheet.table("Dependencies", &dependencies(list(contract, "/dependencies")));
    sheet.list("Error codes", &texts(contract, "/errorCodes"));
    sheet.list("Side effects", &texts(contract, "/sideEffects"));
    sheet.table("Nodes", &neighbours(list(contract, "/nodes")));
    sheet.table("Tools", &tools(contract));
    sheet
}

fn fields(fields: &[Value]) -> Table {
    let mut table = Table::new(&["NAME", "TYPE", "REQUIRED", "DESCRIPTION"]);
    for field in fields {
        table.row(["/name", "/type", "/required", "/description"].map(|at| text(field, at)));
    }
    table
}

fn tools(contract: &Value) -> Table {
    let mut table = Table::new(&["NAME", "VERSION", "ID"]);
    for tool in list(contract, "/tools") {
        table.row(["/name", "/version", "/id"].map(|at| text(tool, at)));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        let mut versions = ["1.10.0", "1.9.0", "1.10.0-rc.2", "1.10.0-rc.10", "0.2", "2.0.0+build"];
        versions.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(versions, ["0.2", "1.9.0", "1.10.0-rc.2", "1.10.0-rc.10", "1.10.0", "2.0.0+build"]);
    }

    #[test]
    fn a_hash_is_64_hexadecimal_digits() {
        assert!(is_hash(&"aF".repeat(32)));
        assert!(!is_hash(&"a".repeat(63)));
        assert!(!is_hash(&"g".repeat(64)));
    }
}
