//! Questions over HTTP on loopback, beside a bare axum handler that returns the same bytes.
//!
//! `cargo bench --bench answers`; with `-- --short` one short round, to see that it works; with `-- onex` that server
//! alone, to look into it. Each server is a process of its own, and the load is this one. Every question is asked while
//! the state stands still, and while a heartbeat changes it 100 times a second; these go to the registry also while the
//! bare server is measured. Both sides take turns within a round; a ratio is the median of the rounds' ratios.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints what it found"
)]

#[path = "../support/mod.rs"]
mod support;

mod load;
mod server;

use load::{Question, ask, hammer};
use onex::client::Client;
use serde_json::{Value, json};
use server::{Side, bare};
use std::sync::Arc;
use std::time::Duration;
use support::median;

const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_millis(1_000);
const SHORT: &str = "--short";
/// Says that this process is to be the bare server, with the files that it serves.
const BARE: &str = "--bare";
/// How many nodes there are.
const NODES: usize = 1_000;
/// How long the state stands between two changes.
const CHANGES_EVERY: Duration = Duration::from_millis(10);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is asked, and by which name.
const QUESTIONS: [(&str, &str); 3] = [
    ("a page of 20 nodes", "{ nodes(first: 20) { nodes { id name kind status version description } totalCount } }"),
    (
        "a page of 500 nodes with all fields",
        "{ nodes(first: 500) { nodes { id name kind version versionHash description tags namespace host status
           executionMode metadata registeredAt lastSeenAt ttlSeconds expiresAt graceUntil ownedByAgent
           subscribedByAgents } totalCount } }",
    ),
    ("one node by name", "{ node(by: {name: \"bench_0500\"}) { id name kind status version description lastSeenAt } }"),
];

/// Fills the registry; answers the id of one node.
async fn fill(client: &Client) -> Value {
    let register = "mutation($input: RegisterInput!) { register(input: $input) { node { id } } }";
    let mut id = Value::Null;
    for number in 0..NODES {
        let input = json!({
            "name": format!("bench_{number:04}"), "kind": "EFFECT", "version": "1.0.0", "ttlSeconds": 86_400,
            "description": "Keeps a ledger", "tags": ["ledger"], "host": "a.example", "namespace": "bench",
        });
        let answer: Value = client.query(register, json!({ "input": input })).await.expect("registered");
        id = answer["register"]["node"]["id"].clone();
    }
    id
}

/// Changes the state again and again.
async fn change(address: String, node: Value) {
    let query = "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { id } }";
    let question = Question::new(&address, "/graphql", query, &json!({"input": {"nodeId": node}}));
    let mut ticks = tokio::time::interval(CHANGES_EVERY);
    let mut connection = load::Connection::open(&address).await;
    loop {
        ticks.tick().await;
        connection.ask(&question).await;
    }
}

#[derive(Default)]
struct Figures {
    paces: [Vec<f64>; 2],
    micros: [Vec<f64>; 2],
}

impl Figures {
    /// The median of the rounds' ratios: by requests a second, and by processor a request.
    fn ratios(&self) -> [f64; 2] {
        let ratio = |of: &[f64], to: &[f64]| median(&mut of.iter().zip(to).map(|(of, to)| of / to).collect::<Vec<_>>());
        [ratio(&self.paces[1], &self.paces[0]), ratio(&self.micros[0], &self.micros[1])]
    }
}

async fn beside(short: bool, only_onex: bool) {
    let onex = Side::onex().await;
    let client = Client::try_new(&format!("http://{}", onex.address), None).expect("a client");
    let node = fill(&client).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = Vec::new();
    for (at, (name, query)) in QUESTIONS.iter().enumerate() {
        let body = ask(&onex.address, query).await;
        println!("{name}: {} bytes", body.len());
        files.push(folder.path().join(at.to_string()));
        std::fs::write(&files[at], body).expect("a file");
    }
    let bare = Side::bare(&files).await;
    let (rounds, measured) = if short { (1, MEASURED / 10) } else { (ROUNDS, MEASURED) };
    for changing in [false, true] {
        let changes = changing.then(|| tokio::spawn(change(onex.address.clone(), node.clone())));
        println!("\n{}", if changing { "with 100 changes a second" } else { "standing still" });
        println!("  requests/s: bare     onex   ratio    processor us a request: bare   onex   ratio");
        for (at, (name, query)) in QUESTIONS.iter().enumerate() {
            let at_bare = Arc::new(Question::new(&bare.address, &format!("/{at}"), query, &json!({})));
            let at_onex = Arc::new(Question::new(&onex.address, "/graphql", query, &json!({})));
            let mut figures = Figures::default();
            for round in 0..=rounds {
                for (side, (server, question)) in [(&bare, &at_bare), (&onex, &at_onex)].into_iter().enumerate() {
                    if only_onex && side == 0 {
                        continue;
                    }
                    let before = server.processor_seconds();
                    let (count, seconds) = hammer(&server.address, question, measured).await;
                    // The first round warms up.
                    if round > 0 {
                        figures.paces[side].push(count as f64 / seconds);
                        figures.micros[side].push((server.processor_seconds() - before) * 1e6 / count as f64);
                    }
                }
            }
            let [pace, processor] = figures.ratios();
            let [mut paces, mut micros] = [figures.paces, figures.micros];
            println!(
                "  {:>16.0} {:>8.0} {:>7.2} {:>30.1} {:>6.1} {:>7.2}   {name}",
                median(&mut paces[0]),
                median(&mut paces[1]),
                pace,
                median(&mut micros[0]),
                median(&mut micros[1]),
                processor
            );
        }
        if let Some(changes) = changes {
            changes.abort();
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = |option: &str| arguments.iter().any(|argument| argument == option);
    let workers = if asked(BARE) { 2 } else { 1 };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(workers).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if asked(BARE) { bare(&arguments[1..]).await } else { beside(asked(SHORT), asked("onex")).await }
    });
}
