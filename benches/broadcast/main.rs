//! Events to many websockets, beside a bare axum broadcast, and what a websocket that waits takes of memory.
//!
//! `cargo bench --bench broadcast`: 1,000 sockets, 16 events in flight, each event to all of them; with `-- --short` one
//! round of few events. `cargo bench --bench broadcast -- --idle`: 10,000 sockets with a subscription each, and the
//! memory that the server holds for one; both take `--sockets N`. Each server is a process of its own on the first
//! processor, the load is one on the second. The bare broadcast sends each socket the same text from a channel of
//! tokio's, all that waits in one flush: what can be had without a protocol. The load looks at the lengths of frames
//! alone, so that what is measured is the server.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints what it found"
)]

#[path = "../support/mod.rs"]
mod support;

mod bare;
mod load;
mod server;
mod wire;

use load::Load;
use server::{Kind, Side};
use std::os::unix::process::CommandExt;
use std::process::Command;
use support::median;

const ROUNDS: usize = 5;
const SOCKETS: usize = 1_000;
const IDLE_SOCKETS: usize = 10_000;
const EVENTS: u64 = 1_500;
const WARM_UP: u64 = 100;
/// How many times fewer events a short run has.
const SHORTER: u64 = 15;
/// Says that this process is to be the bare broadcast.
const BARE: &str = "--bare";
/// Says that this process has its processor.
const PINNED: &str = "--pinned";

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

async fn beside(sockets: usize, short: bool) {
    let (rounds, events) = if short { (1, EVENTS / SHORTER) } else { (ROUNDS, EVENTS) };
    let mut loads = Vec::new();
    for kind in Kind::ALL {
        let side = Side::start(kind).await;
        let mut load = Load::open(&side, sockets).await;
        load.run(WARM_UP).await;
        loads.push((side, load, Vec::new()));
    }
    for _ in 0..rounds {
        for (side, load, figures) in &mut loads {
            let (begun, used) = (std::time::Instant::now(), side.processor_seconds());
            let frames = load.run(events).await as f64;
            let (seconds, used) = (begun.elapsed().as_secs_f64(), side.processor_seconds() - used);
            figures.push((frames / seconds, used * 1e6 / frames));
        }
    }
    println!("{sockets} sockets, 16 events in flight, {events} events, median of {rounds} round(s)");
    println!(
        "                       frames/s   processor of the server, us a frame   frames/s beside the bare broadcast"
    );
    let bare = loads[0].2.clone();
    for (side, _, figures) in &loads {
        let of = |figure: fn(&(f64, f64)) -> f64| median(&mut figures.iter().map(figure).collect::<Vec<_>>());
        let mut ratios: Vec<f64> = figures.iter().zip(&bare).map(|(ours, bare)| ours.0 / bare.0).collect();
        let (rate, used) = (of(|figure| figure.0), of(|figure| figure.1));
        println!("  {:<18} {rate:>10.0} {used:>14.2} {:>35.2}", side.kind.name(), median(&mut ratios));
    }
}

async fn idle(sockets: usize) {
    for kind in Kind::ALL {
        let side = Side::start(kind).await;
        // What the first ones bring about for all is not theirs.
        let mut first = Load::open(&side, 10).await;
        first.run(1).await;
        let before = side.resident_bytes();
        let mut load = Load::open(&side, sockets).await;
        let waiting = side.resident_bytes();
        let begun = std::time::Instant::now();
        load.run(1).await;
        let heard = begun.elapsed();
        let each = |after: u64| after.saturating_sub(before) as f64 / sockets as f64 / 1024.0;
        println!(
            "{:<18} {sockets} sockets: {:.1} KiB each, {:.1} KiB after an event to all, which took {:.0} ms; {:.0} MiB \
             in all",
            kind.name(),
            each(waiting),
            each(side.resident_bytes()),
            heard.as_secs_f64() * 1e3,
            side.resident_bytes() as f64 / 1024.0 / 1024.0
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |option: &str| arguments.iter().any(|argument| argument == option);
    let sockets = arguments.iter().position(|argument| argument == "--sockets");
    let sockets = sockets.and_then(|at| arguments.get(at + 1)?.parse().ok());
    if asked(BARE) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(bare::serve());
    }
    if !asked(PINNED) {
        let program = std::env::current_exe().expect("this program");
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", "1"]).arg(program).args(&arguments[1..]).arg(PINNED);
        panic!("taskset cannot be run: {}", pinned.exec());
    }
    server::allow_many_files();
    // On one thread: it shares nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        match asked("--idle") {
            true => idle(sockets.unwrap_or(IDLE_SOCKETS)).await,
            false => beside(sockets.unwrap_or(SOCKETS), asked("--short")).await,
        }
    });
}
