//! Grants over the portserver protocol, beside Google's own portserver.py and beside a bare server that answers as soon
//! as the number could be bound; and a full pool beside an empty one.
//!
//! `tests/run` makes the Python that portserver.py needs; then `cargo bench --bench portserver`. Each round starts every
//! server anew, so that no pool runs empty; clients and server share the machine.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints what it found"
)]

mod support;

use onex::log::memory::MemoryLog;
use onex::model::{Actor, Band, HostName, RegistryId, RequesterId, Ttl};
use onex::ports::{Asking, Ports};
use onex::registry::command::Owner;
use onex::registry::decide::Answer;
use onex::registry::engine::{Engine, Options};
use onex::registry::pool::Rules;
use onex::registry::upkeep;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use support::{Wall, median};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

const ROUNDS: usize = 5;
const WARM_UP: usize = 200;
/// How many clients, and how many grants they ask for together: less than the pool has.
const LOADS: [(usize, usize); 2] = [(1, 1_500), (16, 6_000)];
const BARE: &str = "--bare-server";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Bare,
    Onex,
    Python,
}

struct Server {
    child: Child,
    name: String,
    _directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(kind: Kind, python: &Path) -> Server {
    let name = format!("onex-bench-{}", Uuid::new_v4());
    let directory = tempfile::tempdir().expect("a folder");
    let mut command = match kind {
        Kind::Bare => {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args([BARE, &name]);
            command
        }
        Kind::Onex => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_onex"));
            command.args(["serve", "--listen", "127.0.0.1:0", "--portserver", &format!("@{name}"), "--data-dir"]);
            command.arg(directory.path().join("data")).env("ONEX_PORTS_LEASES_PER_REQUESTER_MAX", "0");
            command
        }
        Kind::Python => {
            let mut command = Command::new(python.join("python"));
            command.arg(python.join("portserver.py"));
            command.args(["--portserver_static_pool", "20000-29999", "--portserver_address", &format!("@{name}")]);
            command
        }
    };
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a server");
    let server = Server { child, name, _directory: directory };
    let deadline = Instant::now() + Duration::from_secs(30);
    while connect(&server.name).is_err() {
        assert!(Instant::now() < deadline, "{kind:?} does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    server
}

fn connect(name: &str) -> std::io::Result<UnixStream> {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)
}

fn pick(name: &str, request: &[u8]) -> Duration {
    let begun = Instant::now();
    let mut stream = connect(name).expect("a connection");
    stream.write_all(request).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.trim_end().parse::<u16>().is_ok(), "not a port: {answer:?}");
    begun.elapsed()
}

/// Grants a second, and the 99th percentile in microseconds.
fn load(name: &str, clients: usize, grants: usize) -> (f64, f64) {
    let request = format!("{}\n", std::process::id());
    let begun = Instant::now();
    let times = std::thread::scope(|scope| {
        let client = || (0..grants / clients).map(|_| pick(name, request.as_bytes())).collect::<Vec<_>>();
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect::<Vec<_>>()
    });
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    times.sort_by(f64::total_cmp);
    (rate, times[times.len() * 99 / 100])
}

fn beside(python: &Path) {
    let kinds = [Kind::Bare, Kind::Onex, Kind::Python];
    let mut figures = vec![[Vec::new(), Vec::new(), Vec::new()]; LOADS.len()];
    for _ in 0..ROUNDS {
        for (at, kind) in kinds.into_iter().enumerate() {
            let server = start(kind, python);
            load(&server.name, 1, WARM_UP);
            for (load_at, (clients, grants)) in LOADS.into_iter().enumerate() {
                figures[load_at][at].push(load(&server.name, clients, grants));
            }
        }
    }
    for ((clients, _), figures) in LOADS.into_iter().zip(&figures) {
        println!("\n{clients} client(s), median of {ROUNDS} rounds");
        for (kind, rounds) in kinds.into_iter().zip(figures) {
            let rate = median(&mut rounds.iter().map(|(rate, _)| *rate).collect::<Vec<_>>());
            let p99 = median(&mut rounds.iter().map(|(_, p99)| *p99).collect::<Vec<_>>());
            println!("  {:<16} {rate:>8.0} grants/s   p99 {p99:>6.0} us", format!("{kind:?}"));
        }
        let ratio = |to: usize| {
            let rounds = figures[1].iter().zip(&figures[to]).map(|((ours, _), (theirs, _))| ours / theirs);
            median(&mut rounds.collect::<Vec<_>>())
        };
        println!("  onex / bare {:.2}   onex / portserver.py {:.2}", ratio(0), ratio(2));
    }
}

/// What a server costs that promises nothing: it answers with a number that could be bound for TCP and UDP.
fn serve_bare(name: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::bind(format!("\0{name}")).expect("a socket");
        let next = Arc::new(AtomicU16::new(0));
        loop {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let next = next.clone();
            tokio::spawn(async move {
                let mut request = [0; 32];
                if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                    let port = loop {
                        let port = 20_000 + next.fetch_add(1, Ordering::Relaxed) % 10_000;
                        if portpicker::is_free(port) {
                            break port;
                        }
                    };
                    let _ = stream.write_all(format!("{port}\n").as_bytes()).await;
                }
            });
        }
    });
}

/// A pool of 10,000 with none leased, with all but one, and with all: in memory, on a host that is not looked at, so
/// that nothing but picking and deciding is measured.
fn fullness() {
    const TIMES: usize = 2_000;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let host = HostName::try_new("elsewhere").expect("a host");
    let rules = Rules {
        host: HostName::try_new("here").expect("a host"),
        bands: vec![(None, Band::try_new(20_000, 29_999).expect("a band"))],
        reserved: Vec::new(),
        ttl: Ttl::from_seconds(3_600).expect("a lifetime"),
        leases_per_requester_max: 0,
        quarantine_seconds: 0,
        conflict_quarantine_seconds: 0,
    };
    runtime.block_on(async {
        let log = Arc::new(MemoryLog::new(RegistryId(Uuid::from_u128(1))));
        let upkeep = upkeep::Options { snapshot_every: u64::MAX, retain_seconds: None };
        let engine = Engine::start(log, Arc::new(Wall), &Options::default(), upkeep).expect("an engine");
        let ports = Ports::new(engine.handle(), engine.views().clone(), Arc::new(Wall), rules);
        let asking = || Asking { actor: Actor::anonymous(None), correlation_id: None };
        let owner = || Owner { principal: "anonymous".to_owned(), requester: None };
        let allocate = async || {
            let mut wanted = ports.wanted(RequesterId(Uuid::from_u128(1)), "anonymous");
            (wanted.host, wanted.ttl) = (host.clone(), Ttl::from_seconds(3_600));
            ports.allocate(asking(), vec![wanted], false).await
        };
        let cycle = async || {
            let mut times = Vec::new();
            for _ in 0..TIMES {
                let begun = Instant::now();
                let outcome = allocate().await.expect("a lease");
                times.push(begun.elapsed().as_secs_f64() * 1e6);
                let Answer::Leased(leases) = outcome.answer else { panic!("{:?}", outcome.answer) };
                ports.release(asking(), leases[0], owner()).await.expect("released");
            }
            median(&mut times)
        };
        let empty = cycle().await;
        for _ in 0..9_999 {
            allocate().await.expect("a lease");
        }
        let one_left = cycle().await;
        allocate().await.expect("the last");
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let begun = Instant::now();
            allocate().await.expect_err("full");
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        let full = median(&mut times);
        println!("\na pool of 10,000, in memory: a grant, or a refusal, in microseconds (median of {TIMES})");
        println!("  empty {empty:.1}   one left {one_left:.1}   full (refused) {full:.1}");
        tokio::task::spawn_blocking(move || engine.stop()).await.expect("stopped");
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == BARE) {
        return serve_bare(&arguments[at + 1]);
    }
    fullness();
    let python = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/python/bin");
    if python.join("portserver.py").exists() {
        beside(&python);
    } else {
        println!("PASSED OVER: {} is not there: tests/run makes it", python.display());
    }
}
