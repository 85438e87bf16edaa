//! The house's arrows: who may import whom. The drawing is in docs/architecture.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// For each room, the rooms that it may import.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("telemetry", &[]),
    ("log", &["model", "telemetry"]),
    ("registry", &["model", "telemetry", "log"]),
    ("contracts", &["model", "registry"]),
    ("ports", &["model", "registry"]),
    ("proxy", &["model", "telemetry", "registry"]),
    ("access", &["model", "registry"]),
    ("bus", &["model", "registry"]),
    ("graphql", &["model", "telemetry", "log", "registry", "contracts", "ports", "proxy", "access", "bus"]),
    ("http", &["model", "telemetry", "access", "graphql"]),
    ("config", &["model", "registry", "proxy", "access", "graphql", "http"]),
    ("app", &["model", "telemetry", "log", "registry", "ports", "proxy", "access", "bus", "graphql", "http", "config"]),
    ("client", &[]),
    ("cli", &["model", "telemetry", "registry", "contracts", "client", "access", "bus", "app", "config", "graphql"]),
];

/// The pure part of the registry, and what it may import.
const PURE: &[&str] = &[
    "command",
    "refusal",
    "calls",
    "leases",
    "pool",
    "state",
    "words",
    "check",
    "decide/mod",
    "decide/attest",
    "decide/bus",
    "decide/call",
    "decide/lifetime",
    "decide/port",
    "decide/register",
    "decide/token",
    "apply/mod",
    "apply/bus",
    "apply/call",
    "apply/contract",
    "apply/node",
    "apply/port",
    "apply/token",
    "apply/tool",
];
/// What nothing pure may name.
const IMPURE: &[&str] = &[
    "crate::log",
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
    "std::time",
    "tokio",
    "rusqlite",
    "async_graphql",
    "tracing",
    "rand::",
    "fastrand",
];

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut ahead: Vec<PathBuf> = vec![root.clone()];
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(&root).unwrap().with_extension("").display().to_string();
            found.insert(name, code_of(&fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// A source without its comments and without its tests.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that a source names.
fn rooms_named(code: &str) -> Vec<String> {
    let after = code.split("crate::").skip(1);
    let names = after
        .filter(|rest| !rest.starts_with('{'))
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>());
    let mut rooms: Vec<String> = names.filter(|name| ARROWS.iter().any(|(room, _)| room == name)).collect();
    rooms.sort();
    rooms.dedup();
    rooms
}

#[test]
fn rooms_import_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let room = file.split('/').next().unwrap().to_owned();
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
            assert!(
                ["lib", "main", "testing"].contains(&room.as_str()),
                "src/{file}.rs stands in no room of tests/house.rs"
            );
            continue;
        };
        assert!(!code.contains("crate::{"), "src/{file}.rs: name each room in an import of its own");
        let named = rooms_named(&code).into_iter();
        wrong.extend(
            named
                .filter(|named| *named != room && !allowed.contains(&named.as_str()))
                .map(|named| format!("src/{file}.rs imports {named}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn deciding_and_applying_touch_nothing_outside() {
    let sources = sources();
    for file in PURE {
        let code = &sources[&format!("registry/{file}")];
        for impure in IMPURE {
            assert!(!code.contains(impure), "src/registry/{file}.rs names {impure}");
        }
        for service in ["engine", "view", "watch", "keeper", "upkeep"] {
            assert!(!code.contains(&format!("::{service}::")), "src/registry/{file}.rs names {service}");
        }
    }
    let decided =
        sources.keys().filter(|file| file.starts_with("registry/decide/") || file.starts_with("registry/apply/"));
    for file in decided {
        let name = file.strip_prefix("registry/").unwrap();
        assert!(PURE.contains(&name), "src/{file}.rs is missing from the list of what is pure");
    }
    for (file, code) in sources.iter().filter(|(file, _)| file.starts_with("model/")) {
        for impure in IMPURE {
            assert!(!code.contains(impure), "src/{file}.rs names {impure}");
        }
    }
}

#[test]
fn only_the_app_names_a_home_of_the_log_and_only_homes_name_sqlite() {
    for (file, code) in sources() {
        let may = file == "app" || file.starts_with("app/") || file.starts_with("log/");
        for home in ["log::sqlite", "log::memory"] {
            assert!(may || !code.contains(home), "src/{file}.rs names {home}");
        }
        let keeps = file.starts_with("log/") || file.starts_with("bus/kind/local/");
        assert!(keeps || !code.contains("rusqlite"), "src/{file}.rs names rusqlite");
    }
}

#[test]
fn every_list_of_objects_is_counted_before_it_is_made() {
    // No objects; and what a mutation made, which is told whatever it costs, and is a hundred at most.
    let counted_otherwise = [
        "-> Vec<&str>",
        "-> Vec<Vec<ID>>",
        "-> Vec<Transport>",
        "-> Vec<Uuid>",
        "-> Vec<&Value>",
        "-> Result<Vec<PortLease>>",
    ];
    for (file, code) in sources().iter().filter(|(_, code)| code.contains("#[Object")) {
        // A field of the API: a resolver that answers many.
        let resolvers = code.split("async fn ").skip(1).filter_map(|rest| rest.split('{').next());
        for head in resolvers.filter(|head| head.contains("-> Vec<") || head.contains("-> Result<Vec<")) {
            let is_plain = counted_otherwise.iter().any(|plain| head.trim_end().ends_with(plain));
            assert!(is_plain, "src/{file}.rs answers a Vec of objects where a List would be counted: {head}");
        }
    }
}

/// A field that looks beyond its version says so by the way it does (`graphql/reach.rs`), or its answer would be kept.
#[test]
fn fields_reach_beyond_their_version_in_one_place() {
    for (file, code) in sources().iter().filter(|(file, _)| file.starts_with("graphql/") && *file != "graphql/reach") {
        let inferred = [".data()", ".data_opt()", "data_unchecked"].map(str::to_owned).into_iter();
        let named = ["Services", "Caller", "Pinned"].into_iter();
        let named = named.flat_map(|data| [format!("data::<{data}>"), format!("data_opt::<{data}>")]);
        for around in inferred.chain(named) {
            assert!(
                !code.contains(&around),
                "src/{file}.rs has {around}: take live, asker or fixed of graphql/reach.rs"
            );
        }
    }
}
