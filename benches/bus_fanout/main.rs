//! Events on a LOCAL bus to many websockets, beside a bare axum broadcast of the same bytes.
//!
//! `cargo bench --bench bus_fanout`: 1, 100, 1,000 and 5,000 subscribers; 16 events in flight, each event to all of
//! them, and then one after the other, for the time from publishing to the last of them. Then 1,000 subscribers beside
//! 1,000 with one more that reads nothing, which says at last what it got and what it was told it missed. Every socket
//! adds up what it is told it missed: a run ends only when each event has come to each socket or is said to be missing
//! there.
//! `-- --short` is one round of few events, `-- --sockets N` one number of subscribers. Each server is a process of its
//! own on the first processor, the load is one on the second.

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

use load::Load;
use sockets::{Program, Side};
use std::time::Instant;
use support::median;

const ROUNDS: usize = 5;
const SOCKETS: [usize; 4] = [1, 100, 1_000, 5_000];
/// How many listen beside one that reads nothing.
const BESIDE_STALLED: usize = 1_000;
/// How many events a round has there: more than the system's buffers hold for the one that reads nothing.
const EVENTS_BESIDE_STALLED: u64 = 4_000;
/// How many frames a round has, about.
const FRAMES: u64 = 1_000_000;
/// How many events it has at most, and at least.
const EVENTS: (u64, u64) = (200, 10_000);
/// How many are published one after the other.
const ONE_BY_ONE: u64 = 100;
const WARM_UP: u64 = 100;
/// How many times fewer events a short run has.
const SHORTER: u64 = 10;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A server, those who listen to it, and what was found.
struct Measured {
    name: &'static str,
    side: Side,
    load: Load,
    /// Frames a second.
    rates: Vec<f64>,
    /// Microseconds of the server's processor for a frame.
    used: Vec<f64>,
    /// From publishing to the last, in microseconds.
    latencies: Vec<f64>,
    missed: u64,
}

impl Measured {
    async fn new(name: &'static str, side: Side, frame: &str, sockets: usize) -> Self {
        let load = Load::open(&side, frame, sockets).await;
        Measured { name, side, load, rates: Vec::new(), used: Vec::new(), latencies: Vec::new(), missed: 0 }
    }

    async fn round(&mut self, events: u64, one_by_one: u64) {
        let (begun, used) = (Instant::now(), self.side.processor_seconds());
        let (frames, missed) = self.load.run(events).await;
        let seconds = begun.elapsed().as_secs_f64();
        self.rates.push(frames as f64 / seconds);
        self.used.push((self.side.processor_seconds() - used) * 1e6 / frames as f64);
        self.missed += missed;
        self.latencies.push(median(&mut self.load.latencies(one_by_one).await));
    }

    fn line(&mut self, beside: &[f64]) -> String {
        let mut ratios: Vec<f64> = self.rates.iter().zip(beside).map(|(ours, theirs)| ours / theirs).collect();
        let (name, missed) = (self.name, self.missed);
        let (rate, used) = (median(&mut self.rates), median(&mut self.used));
        let (latency, ratio) = (median(&mut self.latencies), median(&mut ratios));
        format!("  {name:<18} {rate:>10.0} {used:>11.2} {ratio:>9.2} {latency:>12.0} {missed:>9}")
    }
}

async fn compare(mut sides: [Measured; 2], sockets: usize, events: u64, short: bool) -> [Measured; 2] {
    let shorter = if short { SHORTER } else { 1 };
    let events = events / shorter;
    let rounds = if short { 1 } else { ROUNDS };
    for side in &mut sides {
        side.load.run(WARM_UP / shorter).await;
    }
    for _ in 0..rounds {
        for side in &mut sides {
            side.round(events, ONE_BY_ONE / shorter).await;
        }
    }
    println!("{sockets} subscribers, 16 events in flight, {events} events, median of {rounds} round(s)");
    println!("                       frames/s   us a frame     ratio   us to last    missed");
    let first = sides[0].rates.clone();
    sides.iter_mut().for_each(|side| println!("{}", side.line(&first)));
    sides
}

async fn start(program: Program) -> (Side, Option<String>) {
    let side = Side::start(program).await;
    let frame = if program == Program::Onex { Some(load::prepare(&side).await) } else { None };
    (side, frame)
}

async fn beside_bare(sockets: usize, short: bool) {
    let ((bare, _), (onex, frame)) = (start(Program::Bare).await, start(Program::Onex).await);
    let frame = frame.expect("a frame");
    let bare = Measured::new("bare broadcast", bare, &frame, sockets).await;
    let onex = Measured::new("busEvents", onex, &frame, sockets).await;
    let (least, most) = EVENTS;
    compare([bare, onex], sockets, (FRAMES / sockets as u64).clamp(least, most), short).await;
}

async fn beside_stalled(sockets: usize, short: bool) {
    let ((one, frame), (other, _)) = (start(Program::Onex).await, start(Program::Onex).await);
    let frame = frame.expect("a frame");
    let all = Measured::new("all read", one, &frame, sockets).await;
    let mut stalled = Measured::new("one more stalls", other, &frame, sockets).await;
    stalled.load.stall(&stalled.side).await;
    let [_, mut stalled] = compare([all, stalled], sockets, EVENTS_BESIDE_STALLED, short).await;
    let (got, missed) = stalled.load.catch_up().await;
    println!("  the one that stalled got {got} and was told that it missed {missed}");
}

fn main() {
    sockets::run(async |arguments| {
        let short = arguments.has("--short");
        match arguments.number("--sockets") {
            Some(sockets) => beside_bare(sockets, short).await,
            None => {
                for sockets in SOCKETS {
                    beside_bare(sockets, short).await;
                }
                beside_stalled(BESIDE_STALLED, short).await;
            }
        }
    });
}
