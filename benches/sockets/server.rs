//! The servers, each a process of its own on the first processor.

use super::BARE;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the kernel counts a second of processor time, as it tells programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Which server, and how its sockets name their subscriptions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bare,
    SameId,
    OwnIds,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Bare, Kind::SameId, Kind::OwnIds];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Bare => "bare broadcast",
            Kind::SameId => "onex, one id",
            Kind::OwnIds => "onex, ids of their own",
        }
    }
}

/// Lets this process and its children hold as many sockets as the system lets them.
pub fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a limit");
}

/// A server of its own process.
pub struct Side {
    pub kind: Kind,
    pub address: String,
    child: Child,
    _directory: TempDir,
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Side {
    pub async fn start(kind: Kind) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]);
        let mark = match kind {
            Kind::Bare => {
                command.arg(std::env::current_exe().expect("this program")).arg(BARE);
                "bare at "
            }
            Kind::SameId | Kind::OwnIds => {
                command.arg(env!("CARGO_BIN_EXE_onex"));
                command.args(["serve", "--listen", "127.0.0.1:0", "--portserver", "off", "--data-dir"]);
                command.arg(directory.path().join("data"));
                "http://"
            }
        };
        let said = directory.path().join("said");
        let file = File::create(&said).expect("a file");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file")).stderr(file);
        let child = command.spawn().expect("a server, by taskset");
        let deadline = Instant::now() + PATIENCE;
        let address = loop {
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            let rest = said.split_once(mark).map(|(_, rest)| rest);
            let found = rest.and_then(|rest| rest.split_once(|end: char| end.is_whitespace() || end == '/'));
            if let Some((address, _)) = found {
                break address.to_owned();
            }
            assert!(Instant::now() < deadline, "starting {kind:?} takes too long: {said}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Side { kind, address, child, _directory: directory }
    }

    /// The processor time that it has used.
    pub fn processor_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // Behind the program's name, which may hold anything, the fields from the third on.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS_PER_SECOND
    }

    /// The memory that it holds.
    pub fn resident_bytes(&self) -> u64 {
        super::support::resident_bytes_of(self.child.id())
    }
}
