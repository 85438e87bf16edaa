//! The servers, each a process of its own, and what a load shows of one.

use super::ends::{Callers, Numbers, provide};
use super::{Load, RELAY};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How many times fewer calls warm the connections up.
const WARM_UP: usize = 8;
/// How long a server may take to start, and a load to end.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long the log must be still to be taken for complete.
const STILL: Duration = Duration::from_millis(250);
/// How often the kernel counts a second of processor time, as it tells programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Relay,
    Nats,
    Onex,
}

/// A server of its own process, and the provider behind it.
pub struct Side {
    pub kind: Kind,
    child: Child,
    address: String,
    provider: JoinHandle<()>,
    directory: TempDir,
}

impl Drop for Side {
    fn drop(&mut self) {
        self.provider.abort();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is something to see.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} takes too long");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Side {
    pub async fn start(kind: Kind, nats: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        // What each says before the address that it picked.
        let (mut command, mark) = match kind {
            Kind::Relay => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.arg(RELAY);
                (command, "relay at ")
            }
            Kind::Nats => {
                let mut command = Command::new(nats);
                command.args(["--addr", "127.0.0.1", "--port", "-1"]);
                (command, "client connections on ")
            }
            Kind::Onex => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_onex"));
                command.args(["serve", "--listen", "127.0.0.1:0", "--portserver", "off", "--data-dir"]);
                command.arg(directory.path().join("data"));
                (command, "http://")
            }
        };
        let said = directory.path().join("said");
        let file = File::create(&said).expect("a file");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file")).stderr(file);
        let child = command.spawn().expect("a server");
        let address = eventually(&format!("starting {kind:?}"), || {
            let said = std::fs::read_to_string(&said).ok()?;
            let (_, rest) = said.split_once(mark)?;
            let (address, _) = rest.split_once(|character: char| character.is_whitespace() || character == '/')?;
            Some(address.to_owned())
        })
        .await;
        let (ready, begun) = oneshot::channel();
        let provider = tokio::spawn(provide(kind, address.clone(), ready));
        let begun = tokio::time::timeout(PATIENCE, begun).await;
        begun.expect("the provider begins in time").expect("the provider begins");
        Side { kind, child, address, provider, directory }
    }

    async fn run(&self, callers: Vec<Callers>, load: Load, numbers: Arc<Numbers>) -> (Vec<Callers>, Vec<f64>) {
        let each = load.in_flight / load.connections;
        let tasks: Vec<_> = callers.into_iter().map(|one| tokio::spawn(one.make(each, numbers.clone()))).collect();
        let (mut callers, mut times) = (Vec::new(), Vec::new());
        for task in tasks {
            let (one, took) = task.await.expect("a connection");
            callers.push(one);
            times.extend(took);
        }
        (callers, times)
    }

    pub async fn measure(&self, load: Load) -> Figures {
        let mut callers = Vec::new();
        for _ in 0..load.connections {
            callers.push(Callers::connect(self.kind, &self.address).await);
        }
        let warm_up = (load.calls / WARM_UP).max(1);
        let (callers, _) = self.run(callers, load, Numbers::new(0, warm_up)).await;
        let log = Log::of(self);
        let before = match &log {
            Some(log) => log.still().await,
            None => 0,
        };
        let numbers = Numbers::new(warm_up, warm_up + load.calls);
        let (server, own) = (processor_seconds(self.child.id()), processor_seconds(std::process::id()));
        let begun = Instant::now();
        let (_, mut times) = self.run(callers, load, numbers).await;
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        let micros_each = |seconds: f64| seconds * 1e6 / load.calls as f64;
        let own = micros_each(processor_seconds(std::process::id()) - own);
        times.sort_by(f64::total_cmp);
        let percentile = |percent: usize| times[times.len() * percent / 100];
        let written = match &log {
            Some(log) => {
                log.still().await;
                log.since(before).map(|written| written / load.calls as f64)
            }
            None => [0.0; 3],
        };
        // With what it still had to write.
        let server = micros_each(processor_seconds(self.child.id()) - server);
        Figures { rate, p50: percentile(50), p99: percentile(99), server, own, written }
    }
}

/// What one load on one server showed.
#[derive(Clone, Copy)]
pub struct Figures {
    /// Calls a second.
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
    /// Microseconds of processor a call, of the server and of callers and provider together.
    pub server: f64,
    pub own: f64,
    /// Batches, changes and bytes of log a call.
    pub written: [f64; 3],
}

/// The processor time that a process has used.
fn processor_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the program's name, which may hold anything, the fields from the third on.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// A registry's log, read beside it.
struct Log(rusqlite::Connection);

impl Log {
    fn of(side: &Side) -> Option<Self> {
        let path = side.directory.path().join("data/registry.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        (side.kind == Kind::Onex).then(|| Log(rusqlite::Connection::open_with_flags(path, flags).expect("a log")))
    }

    fn head(&self) -> i64 {
        let last = "SELECT coalesce(max(sequence), 0) FROM change";
        self.0.query_row(last, [], |row| row.get(0)).expect("a log")
    }

    /// Its last place, once nothing is added any more: records of calls may follow after their answers.
    async fn still(&self) -> i64 {
        let mut last = (self.head(), Instant::now());
        eventually("writing the log", || {
            let head = self.head();
            if head != last.0 {
                last = (head, Instant::now());
            }
            (last.1.elapsed() > STILL).then_some(head)
        })
        .await
    }

    /// The batches, changes and bytes after a place.
    fn since(&self, place: i64) -> [f64; 3] {
        let one = |sql: &str| self.0.query_row(sql, [place], |row| row.get(0)).expect("a log");
        [
            one("SELECT CAST(count(*) AS REAL) FROM batch WHERE first > ?"),
            one("SELECT CAST(count(*) AS REAL) FROM change WHERE sequence > ?"),
            one("SELECT CAST(coalesce(sum(octet_length(body)), 0) AS REAL) FROM change WHERE sequence > ?"),
        ]
    }
}
