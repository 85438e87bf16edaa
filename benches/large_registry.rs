//! A registry of 100,000 nodes and 300,000 tools, beside one of 1,000 nodes: starting, reading, memory.
//!
//! `cargo bench --bench large_registry`. Reading goes through GraphQL in process, from text to bytes.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints what it found"
)]

mod support;

use divan::Bencher;
use onex::contracts::{self, Spelling, ToolFields};
use onex::graphql::{Bounds, Caller, Documents, Given, Limits, Services};
use onex::log::sqlite::SqliteLog;
use onex::model::{Actor, NodeId, NodeName, RegistryId, ToolKey, ToolName, Ttl, Version};
use onex::registry::command::{Command, OfferedTool, Patch, Register, Request};
use onex::registry::engine::{Clock, Engine, Options};
use onex::registry::upkeep;
use serde_json::json;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use support::{Wall, resident_bytes};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

const LARGE: usize = 100_000;
const SMALL: usize = 1_000;
const TOOLS_A_NODE: usize = 3;
/// Nodes feed on in chains: so many a chain, with a topic between neighbours.
const CHAIN: usize = 10;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WORDS: [&str; 8] = ["ledger", "router", "vector", "session", "metrics", "payment", "archive", "gateway"];

fn registration(number: usize) -> Command {
    let word = WORDS[number % WORDS.len()];
    let name = format!("node_{word}_{number:06}");
    let (chain, place) = (number / CHAIN, number % CHAIN);
    let document = format!(
        "{{\"name\": \"{name}\", \"version\": \"1.0.{}\", \"node_type\": \"EFFECT_GENERIC\", \"description\": \"Keeps the \
         {word} of part {number} in order and tells others\", \"event_bus\": {{\"publish_topics\": [\"t.{chain}.{}\"], \
         \"subscribe_topics\": [\"t.{chain}.{place}\"]}}}}",
        number % 7,
        place + 1
    );
    let tools = (0..TOOLS_A_NODE).map(|tool| {
        let key = ToolKey {
            name: ToolName::try_new(&format!("{word}.tool_{number:06}_{tool}")).expect("a name"),
            version: Version::try_new("1.0.0").expect("a version"),
        };
        let fields = ToolFields {
            description: Some(format!("Does what a {word} needs, number {tool}")),
            tags: vec![word.to_owned()],
            input_schema: Some(json!({"type": "object", "properties": {"text": {"type": "string"}}})),
            ..ToolFields::named(key)
        };
        let definition = contracts::define_tool(fields, "tool", Spelling::Api).expect("a tool");
        OfferedTool { definition, transport: Default::default(), endpoint: None, ttl: None, max_in_flight: None }
    });
    let mut register = Register::named(NodeId(Uuid::from_u64_pair(1, number as u64)), NodeName::try_new(&name).ok());
    register.contract = Some(contracts::read(&document).expect("a contract"));
    register.tools = Patch::Set(tools.collect());
    register.ttl = Ttl::from_seconds(86_400).map_or(Patch::Keep, Patch::Set);
    Command::Register(Box::new(register))
}

struct Registry {
    documents: Arc<Documents>,
    runtime: Runtime,
    _engine: Engine,
    _directory: TempDir,
}

/// `runtime` is what calls of tools run on.
fn start(directory: &Path, runtime: &Runtime) -> (Engine, Services) {
    let _entered = runtime.enter();
    let log = SqliteLog::open(directory, "a benchmark", RegistryId(Uuid::from_u128(1))).expect("a log");
    let upkeep = upkeep::Options { snapshot_every: u64::MAX, retain_seconds: None };
    let clock: Arc<dyn Clock> = Arc::new(Wall);
    let engine = Engine::start(Arc::new(log), clock.clone(), &Options::default(), upkeep).expect("an engine");
    let rules = onex::config::Ports::default().rules().unwrap();
    let ports = onex::ports::Ports::new(engine.handle(), engine.views().clone(), clock.clone(), rules);
    let calls = onex::config::Calls::default();
    let outbound = onex::proxy::outbound::Outbound::try_new(calls.policy().unwrap()).expect("an HTTP client");
    let metrics = onex::telemetry::Metrics::default();
    let proxy = onex::proxy::Proxy::start(
        engine.handle(),
        engine.views().clone(),
        clock.clone(),
        calls.rules(),
        outbound,
        metrics.calls.clone(),
    );
    // No bus is created here: nothing is written there.
    let nowhere = std::env::temp_dir().join("no-bus-of-this-benchmark");
    let buses = onex::bus::hub::Hub::new(
        engine.handle(),
        engine.views().clone(),
        clock.clone(),
        Arc::new(onex::bus::hub::NoLeases),
        nowhere,
    );
    let services = Services {
        buses: Arc::new(buses),
        ports: Arc::new(ports),
        proxy: Arc::new(proxy),
        handle: engine.handle(),
        views: engine.views().clone(),
        requests: metrics.requests.clone(),
        started_at: clock.now(),
        clock,
        bounds: Bounds { ttl_seconds_max: 86_400, lease_ttl_seconds_max: 86_400, limits: Limits::default() },
    };
    (engine, services)
}

fn build(count: usize) -> Registry {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a folder");
    let (engine, services) = start(directory.path(), &runtime);
    let begun = Instant::now();
    runtime.block_on(async {
        let numbers = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let writers: Vec<_> = (0..64)
            .map(|_| {
                let (handle, numbers) = (engine.handle(), numbers.clone());
                tokio::spawn(async move {
                    loop {
                        let number = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if number >= count {
                            return;
                        }
                        let command = registration(number);
                        let request = Request { command, actor: Actor::anonymous(None), correlation_id: None };
                        handle.submit(request).await.expect("registered");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.expect("a writer");
        }
    });
    let filled = begun.elapsed();
    drop(services);
    runtime.block_on(async { tokio::task::spawn_blocking(move || engine.stop()).await.expect("stopped") });

    let (started, bytes) = measure_start(directory.path());
    let (engine, services) = start(directory.path(), &runtime);
    println!(
        "{count} nodes, {} tools: registered in {:.1} s ({:.0} a second); started from the snapshot in {:.2} s; then it \
         holds {:.1} kB a node, its tools and contract with it",
        count * TOOLS_A_NODE,
        filled.as_secs_f64(),
        count as f64 / filled.as_secs_f64(),
        started,
        bytes / count as f64 / 1024.0
    );
    Registry { documents: Arc::new(Documents::new(services)), runtime, _engine: engine, _directory: directory }
}

/// Names the folder to start from, in a process of its own: only there is the memory that of the registry alone.
const START_IN: &str = "ONEX_BENCH_START_IN";

/// How many seconds a start takes, and how many bytes the process grows by.
fn measure_start(directory: &Path) -> (f64, f64) {
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(program).env(START_IN, directory).output().expect("a process");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut figures = text.split_whitespace().map(|figure| figure.parse().expect("a figure"));
    (figures.next().expect("seconds"), figures.next().expect("bytes"))
}

fn registry(count: usize) -> &'static Registry {
    static SMALL_ONE: OnceLock<Registry> = OnceLock::new();
    static LARGE_ONE: OnceLock<Registry> = OnceLock::new();
    if count == LARGE { LARGE_ONE.get_or_init(|| build(LARGE)) } else { SMALL_ONE.get_or_init(|| build(SMALL)) }
}

fn ask(bencher: Bencher<'_, '_>, count: usize, query: &str) {
    let registry = registry(count);
    let caller = Caller::anybody(Actor::anonymous(None));
    bencher.bench(|| {
        registry.runtime.block_on(async {
            let executable = registry.documents.prepare(&Given { query, ..Given::default() }, &caller).await;
            let executable = executable.unwrap_or_else(|refused| panic!("{refused:?}"));
            let answer = registry.documents.execute(executable, &caller).await;
            assert!(!answer.has_errors(), "{:?}", answer.text);
            answer
        })
    });
}

#[divan::bench(args = [SMALL, LARGE])]
fn a_page_of_20_nodes(bencher: Bencher<'_, '_>, count: usize) {
    ask(bencher, count, "{ nodes(first: 20) { nodes { id name kind status version description } totalCount } }");
}

#[divan::bench(args = [SMALL, LARGE])]
fn a_node_by_name(bencher: Bencher<'_, '_>, count: usize) {
    ask(bencher, count, "{ node(by: {name: \"node_router_000001\"}) { id kind status contract { publishes } } }");
}

#[divan::bench(args = [SMALL, LARGE])]
fn a_search_for_one_tool(bencher: Bencher<'_, '_>, count: usize) {
    ask(bencher, count, "{ tools(filter: {search: \"router 000001\"}, first: 20) { nodes { name version } } }");
}

#[divan::bench(args = [SMALL, LARGE])]
fn a_search_that_an_eighth_matches(bencher: Bencher<'_, '_>, count: usize) {
    ask(bencher, count, "{ nodes(filter: {search: \"ledger\"}, first: 20) { nodes { name } } }");
}

#[divan::bench(args = [SMALL, LARGE])]
fn three_hops_downstream(bencher: Bencher<'_, '_>, count: usize) {
    let query = "{ dependencyGraph(root: {name: \"node_router_000001\"}, direction: DOWNSTREAM, depth: 3) { nodes { name } \
                 edges { via } } }";
    ask(bencher, count, query);
}

fn main() {
    if let Some(directory) = std::env::var_os(START_IN) {
        let runtime = Runtime::new().expect("a runtime");
        let (before, begun) = (resident_bytes(), Instant::now());
        let _started = start(Path::new(&directory), &runtime);
        let seconds = begun.elapsed().as_secs_f64();
        println!("{seconds} {}", resident_bytes().saturating_sub(before));
        return;
    }
    divan::main();
}
