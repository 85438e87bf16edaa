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

#[path = "../sockets/mod.rs"]
mod sockets;

mod load;

use load::{Kind, Load};
use sockets::Side;
use support::median;

const ROUNDS: usize = 5;
const SOCKETS: usize = 1_000;
const IDLE_SOCKETS: usize = 10_000;
const EVENTS: u64 = 1_500;
const WARM_UP: u64 = 100;
/// How many times fewer events a short run has.
const SHORTER: u64 = 15;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

async fn beside(sockets: usize, short: bool) {
    let (rounds, events) = if short { (1, EVENTS / SHORTER) } else { (ROUNDS, EVENTS) };
    let mut loads = Vec::new();
    for kind in Kind::ALL {
        let side = Side::start(kind.program()).await;
        let mut load = Load::open(&side, kind, sockets).await;
        load.run(WARM_UP).await;
        loads.push((kind, side, load, Vec::new()));
    }
    for _ in 0..rounds {
        for (_, side, load, figures) in &mut loads {
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
    let bare = loads[0].3.clone();
    for (kind, _, _, figures) in &loads {
        let of = |figure: fn(&(f64, f64)) -> f64| median(&mut figures.iter().map(figure).collect::<Vec<_>>());
        let mut ratios: Vec<f64> = figures.iter().zip(&bare).map(|(ours, bare)| ours.0 / bare.0).collect();
        let (rate, used) = (of(|figure| figure.0), of(|figure| figure.1));
        println!("  {:<18} {rate:>10.0} {used:>14.2} {:>35.2}", kind.name(), median(&mut ratios));
    }
}

async fn idle(sockets: usize) {
    for kind in Kind::ALL {
        let side = Side::start(kind.program()).await;
        // What the first ones bring about for all is not theirs.
        let mut first = Load::open(&side, kind, 10).await;
        first.run(1).await;
        let before = side.resident_bytes();
        let mut load = Load::open(&side, kind, sockets).await;
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
    sockets::run(async |arguments| {
        let sockets = arguments.number("--sockets");
        match arguments.has("--idle") {
            true => idle(sockets.unwrap_or(IDLE_SOCKETS)).await,
            false => beside(sockets.unwrap_or(SOCKETS), arguments.has("--short")).await,
        }
    });
}
