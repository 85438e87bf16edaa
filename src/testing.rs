//! What unit tests and integration tests share: numbers for servers, real brokers, and to say that there is nothing to
//! test.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// A number that nothing on this machine uses, and that this process gives to no other test.
///
/// It lies below what the kernel picks from (ip_local_port_range, mostly from 32768 on): there, a connection of another
/// test may have the number when it is wanted, or take it while a server is down. What registries lease lies above it.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const NUMBERS: u32 = 10_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Processes that run at once begin in places of their own.
    let begin = std::process::id().wrapping_mul(101);
    for _ in 0..NUMBERS {
        let place = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % NUMBERS;
        let port = u16::try_from(FIRST + place).expect("it is below 65536");
        let address = (Ipv4Addr::UNSPECIFIED, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("every number from {FIRST} on is in use");
}

/// What is said to a program so that it listens at a port and keeps what it has in a folder.
type Arguments = Arc<dyn Fn(&Path, u16) -> Vec<String> + Send + Sync>;

/// A broker that can be killed and started again, and dies with its test.
pub struct Broker {
    folder: TempDir,
    program: PathBuf,
    arguments: Arguments,
    child: Child,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
}

impl Broker {
    /// A NATS server with JetStream; `None`, said on stderr, where there is none.
    pub async fn nats() -> Option<Self> {
        Broker::nats_with(Vec::new()).await
    }

    /// The same, with more arguments.
    pub async fn nats_with(more: Vec<String>) -> Option<Self> {
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/nats-server");
        let program = if beside.exists() { beside } else { PathBuf::from("nats-server") };
        let arguments = move |folder: &Path, port: u16| {
            let (folder, port) = (folder.display().to_string(), port.to_string());
            let place = ["-js", "-sd", &folder, "-a", "127.0.0.1", "-p", &port].map(str::to_owned);
            place.into_iter().chain(more.clone()).collect()
        };
        Broker::start(program, Arc::new(arguments)).await
    }

    /// A Redis server that writes down what it has before it answers; `None`, said on stderr, where there is none.
    pub async fn redis() -> Option<Self> {
        let arguments = |folder: &Path, port: u16| {
            let (folder, port) = (folder.display().to_string(), port.to_string());
            let place = ["--port", &port, "--bind", "127.0.0.1", "--dir", &folder];
            let durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];
            place.into_iter().chain(durable).map(str::to_owned).collect()
        };
        Broker::start(PathBuf::from("redis-server"), Arc::new(arguments)).await
    }

    async fn start(program: PathBuf, arguments: Arguments) -> Option<Self> {
        // Another process may take the number between the look at it and its use: then there is the next.
        for _ in 0..10 {
            let folder = tempfile::tempdir().expect("a folder");
            let port = free_port();
            let child = match spawn(&program, arguments(folder.path(), port)) {
                Ok(child) => child,
                Err(error) => {
                    passed_over(format_args!("{}: {error}", program.display()));
                    return None;
                }
            };
            let mut broker = Broker { folder, program: program.clone(), arguments: arguments.clone(), child, port };
            if broker.listens().await {
                return Some(broker);
            }
        }
        panic!("{} does not listen", program.display());
    }

    /// Waits until it serves; says no where it has ended instead.
    async fn listens(&mut self) -> bool {
        while !serves(self.port).unwrap_or(false) {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// Kills it, as nothing would that lets it finish.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again where it was.
    pub async fn start_again(&mut self) {
        self.child = spawn(&self.program, (self.arguments)(self.folder.path(), self.port)).expect("it was there");
        assert!(self.listens().await, "it does not start again");
    }

    /// Starts it again with nothing of what it had.
    pub async fn start_empty(&mut self) {
        self.folder = tempfile::tempdir().expect("a folder");
        self.start_again().await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a broker answers, and not that it still reads what it had.
fn serves(port: u16) -> io::Result<bool> {
    let mut broker = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    broker.set_read_timeout(Some(Duration::from_secs(5)))?;
    // Redis answers to it; NATS says who it is before it is asked.
    broker.write_all(b"PING\r\n")?;
    let mut answer = [0; 64];
    let length = broker.read(&mut answer)?;
    Ok(length > 0 && !answer[..length].starts_with(b"-LOADING"))
}

/// Says on stderr, past what hides the output of tests that pass, that there was nothing to test, and why.
pub fn passed_over(why: impl Display) {
    // Where even that cannot be said, nobody looks.
    let _ = writeln!(std::io::stderr(), "PASSED OVER: {why}");
}

fn spawn(program: &Path, arguments: Vec<String>) -> io::Result<Child> {
    let nowhere = Stdio::null;
    Command::new(program).args(arguments).stdin(nowhere()).stdout(nowhere()).stderr(nowhere()).spawn()
}
