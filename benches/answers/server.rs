//! The two servers, each a process of its own.

use super::BARE;
use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::post;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the kernel counts a second of processor time, as it tells programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server, gone with this.
pub struct Side {
    child: Child,
    pub address: String,
    _directory: TempDir,
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Side {
    pub async fn onex() -> Self {
        let directory = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_onex"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--portserver", "off", "--data-dir"]);
        command.arg(directory.path().join("data"));
        Side::start(command, directory, "http://").await
    }

    pub async fn bare(files: &[PathBuf]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(BARE).args(files);
        Side::start(command, tempfile::tempdir().expect("a folder"), "bare at ").await
    }

    /// `mark` is what the server says before its address.
    async fn start(mut command: Command, directory: TempDir, mark: &str) -> Self {
        let said = directory.path().join("said");
        let file = File::create(&said).expect("a file");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file")).stderr(file);
        let child = command.spawn().expect("a server");
        // From here on it ends with this.
        let mut side = Side { child, address: String::new(), _directory: directory };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&said).unwrap_or_default();
            let address = text
                .split_once(mark)
                .and_then(|(_, rest)| rest.split_once(|character: char| character.is_whitespace() || character == '/'));
            if let Some((address, _)) = address {
                side.address = address.to_owned();
                return side;
            }
            assert!(Instant::now() < deadline, "the server does not start: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The processor time that it has used.
    pub fn processor_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // Behind the program's name, which may hold anything, the fields from the third on.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS_PER_SECOND
    }
}

/// Serves each file under its number, whatever is posted.
pub async fn bare(files: &[String]) {
    let mut router = Router::new();
    for (at, file) in files.iter().enumerate() {
        let body = Bytes::from(std::fs::read(file).expect("a file"));
        let answer = move |_: Bytes| async move { ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body) };
        router = router.route(&format!("/{at}"), post(answer));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("bare at {} ", listener.local_addr().expect("an address"));
    axum::serve(listener, router).await.expect("served");
}
