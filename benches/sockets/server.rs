//! The servers, each a process of its own on the first processor.

use super::BARE;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the kernel counts a second of processor time, as it tells programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Program {
    Bare,
    Onex,
}

/// A server of its own process.
pub struct Side {
    pub program: Program,
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
    pub async fn start(program: Program) -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]);
        let mark = match program {
            Program::Bare => {
                command.arg(std::env::current_exe().expect("this program")).arg(BARE);
                "bare at "
            }
            Program::Onex => {
                command.arg(env!("CARGO_BIN_EXE_onex"));
                command.args(["serve", "--listen", "127.0.0.1:0", "--portserver", "off", "--data-dir"]);
                command.arg(directory.path().join("data"));
                // One that is to stall is not to be ended for it.
                command.env("ONEX_HTTP_STALL_SECONDS", "3600");
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
            assert!(Instant::now() < deadline, "starting {program:?} takes too long: {said}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Side { program, address, child, _directory: directory }
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
        crate::support::resident_bytes_of(self.child.id())
    }
}
