//! Group commit: durable writes a second of the engine on SQLite, by one writer and by 64 at once.
//!
//! `cargo bench --bench engine`. Each round runs both on the same disk, one after the other; the ratio is the
//! median over the rounds.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints what it found"
)]

mod support;

use onex::log::Log;
use onex::log::sqlite::SqliteLog;
use onex::model::{Actor, NodeId, NodeName, RegistryId, Ttl};
use onex::registry::command::{Command, Heartbeat, Patch, Register, Request};
use onex::registry::engine::{Engine, Handle, Options};
use onex::registry::upkeep;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{Wall, median};
use uuid::Uuid;

const WRITERS: usize = 64;
const NODES: usize = 1_000;
const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(2);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn request(command: Command) -> Request {
    Request { command, actor: Actor::anonymous(None), correlation_id: None }
}

fn registration(number: u64) -> Command {
    let name = NodeName::try_new(&format!("bench.node_{number}")).expect("a name");
    let mut register = Register::named(NodeId(Uuid::from_u64_pair(1, number)), Some(name));
    register.ttl = Ttl::from_seconds(3_600).map_or(Patch::Keep, Patch::Set);
    Command::Register(Box::new(register))
}

fn heartbeat(number: u64) -> Command {
    let node = NodeId(Uuid::from_u64_pair(1, number % NODES as u64));
    Command::Heartbeat(Heartbeat { node, ttl: None, draining: None, renew_leases: false, tools: None })
}

/// Writes a second, and how many writes one fsync served.
async fn pace(
    handle: &Handle,
    log: &SqliteLog,
    writers: usize,
    command: fn(u64) -> Command,
    numbers: &Arc<AtomicU64>,
) -> (f64, f64) {
    let batches_before = log.verify().expect("a log").batches;
    let begun = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (handle, numbers) = (handle.clone(), numbers.clone());
            tokio::spawn(async move {
                let mut written = 0_u64;
                while begun.elapsed() < MEASURED {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    handle.submit(request(command(number))).await.expect("written");
                    written += 1;
                }
                written
            })
        })
        .collect();
    let mut written = 0;
    for task in tasks {
        written += task.await.expect("a writer");
    }
    let seconds = begun.elapsed().as_secs_f64();
    let batches = log.verify().expect("a log").batches - batches_before;
    (written as f64 / seconds, written as f64 / batches.max(1) as f64)
}

fn main() {
    let directory = tempfile::tempdir().expect("a folder");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let log =
        Arc::new(SqliteLog::open(directory.path(), "a benchmark", RegistryId(Uuid::from_u128(1))).expect("a log"));
    let upkeep = upkeep::Options { snapshot_every: u64::MAX, retain_seconds: None };
    let engine = Engine::start(log.clone(), Arc::new(Wall), &Options::default(), upkeep).expect("an engine");
    let handle = engine.handle();
    let numbers = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        for number in 0..NODES as u64 {
            handle.submit(request(registration(number))).await.expect("registered");
        }
        numbers.store(NODES as u64, Ordering::Relaxed);
        for (what, command) in [("heartbeat", heartbeat as fn(u64) -> Command), ("register a new node", registration)] {
            let (mut ones, mut manys, mut ratios, mut shared) = (vec![], vec![], vec![], vec![]);
            for _ in 0..ROUNDS {
                let (one, _) = pace(&handle, &log, 1, command, &numbers).await;
                let (many, served) = pace(&handle, &log, WRITERS, command, &numbers).await;
                ones.push(one);
                manys.push(many);
                ratios.push(many / one);
                shared.push(served);
            }
            println!(
                "{what}: 1 writer {:.0}/s, {WRITERS} writers {:.0}/s, ratio {:.1} (median of {ROUNDS} rounds); one fsync \
                 serves {:.1} writes",
                median(&mut ones), median(&mut manys), median(&mut ratios), median(&mut shared)
            );
        }
    });
    runtime.block_on(async { tokio::task::spawn_blocking(move || engine.stop()).await.expect("stopped") });
}
