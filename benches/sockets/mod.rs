//! What the benchmarks of many websockets share: servers of their own processes on the first processor, one of them a
//! bare axum broadcast, and as much of a client as counting frames takes, on the second.
#![allow(dead_code, clippy::print_stderr, reason = "each benchmark uses some of it, and says why it fails")]

mod bare;
mod server;
mod wire;

pub use server::{Program, Side};
pub use wire::Wire;

use rustix::process::{Resource, getrlimit, setrlimit};
use std::os::unix::process::CommandExt;
use std::process::Command;
use tokio::task::LocalSet;

/// The subprotocol of all websockets.
pub const PROTOCOL: &str = "graphql-transport-ws";
/// Says that this process is to be the bare broadcast.
const BARE: &str = "--bare";
/// Says that this process has its processor.
const PINNED: &str = "--pinned";

/// What a benchmark was told on its command line.
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Whether an option is there.
    pub fn has(&self, option: &str) -> bool {
        self.0.iter().any(|argument| argument == option)
    }

    /// The number behind an option.
    pub fn number(&self, option: &str) -> Option<usize> {
        let at = self.0.iter().position(|argument| argument == option)?;
        self.0.get(at + 1)?.parse().ok()
    }
}

/// Runs a benchmark on the second processor, or, where that is what was asked for, the bare broadcast.
pub fn run(benchmark: impl AsyncFnOnce(Arguments)) {
    let arguments = Arguments(std::env::args().collect());
    if arguments.has(BARE) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(bare::serve());
    }
    if !arguments.has(PINNED) {
        let program = std::env::current_exe().expect("this program");
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", "1"]).arg(program).args(&arguments.0[1..]).arg(PINNED);
        panic!("taskset cannot be run: {}", pinned.exec());
    }
    allow_many_files();
    // Where one socket fails, nothing is measured any more.
    std::panic::set_hook(Box::new(|failed| {
        eprintln!("{failed}");
        std::process::exit(1);
    }));
    // On one thread: it shares nothing.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, benchmark(arguments));
}

/// Lets this process and its children hold as many sockets as the system lets them.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a limit");
}
