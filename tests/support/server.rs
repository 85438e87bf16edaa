//! The real binary, on a picked port, in a folder of its own, gone with the test.

use onex::client::Client;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub const ONEX: &str = env!("CARGO_BIN_EXE_onex");

/// A running registry.
pub struct Server {
    child: Child,
    url: String,
    said: Arc<Mutex<String>>,
    _directory: Option<TempDir>,
    data_dir: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that sees nothing of the settings of whoever runs the tests.
pub fn onex(arguments: &[&str]) -> Command {
    let mut command = Command::new(ONEX);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ONEX_")) {
        command.env_remove(name);
    }
    // The usual address is one for the whole machine, and tests run side by side.
    command.env("ONEX_PORTS_PORTSERVER", "off");
    command.args(arguments).stdin(Stdio::null());
    command
}

impl Server {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data");
        Server::start_in(&data_dir, &[]).keeping(directory)
    }

    /// As `start`, with settings given as variables, such as `ONEX_HTTP_BATCH_MAX`.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        match Server::try_start(&directory.path().join("data"), &[], settings) {
            Ok(server) => server.keeping(directory),
            Err((status, said)) => panic!("the server ended with {status}: {said}"),
        }
    }

    pub fn keeping(mut self, directory: TempDir) -> Self {
        self._directory = Some(directory);
        self
    }

    pub fn start_in(data_dir: &Path, arguments: &[&str]) -> Self {
        match Server::try_start_in(data_dir, arguments) {
            Ok(server) => server,
            Err((status, said)) => panic!("the server ended with {status}: {said}"),
        }
    }

    /// Starts a server; where it ends instead, how and with what words.
    pub fn try_start_in(data_dir: &Path, arguments: &[&str]) -> Result<Self, (ExitStatus, String)> {
        Server::try_start(data_dir, arguments, &[])
    }

    /// As `try_start_in`, with settings given as variables.
    pub fn try_start(
        data_dir: &Path,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> Result<Self, (ExitStatus, String)> {
        let mut command = onex(&["serve", "--data-dir"]);
        command.arg(data_dir);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(arguments).envs(settings.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let mut url = None;
        let mut line = String::new();
        while url.is_none() && lines.read_line(&mut line).unwrap() > 0 {
            let found = line.split_once("GraphQL").and_then(|(_, rest)| rest.split_whitespace().next());
            url = found.and_then(|url| url.strip_suffix("/graphql")).map(str::to_owned);
            said.lock().unwrap().push_str(&line);
            line.clear();
        }
        let Some(url) = url else {
            let status = child.wait().unwrap();
            return Err((status, said.lock().unwrap().clone()));
        };
        let keeps = said.clone();
        // Ends with the child: nothing waits for it.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = lines.read(&mut buffer) {
                keeps.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Ok(Server { child, url, said, _directory: None, data_dir: data_dir.to_owned() })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything the server has said on stderr.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until the server has said something on stderr.
    pub async fn said_eventually(&self, words: &str) {
        let said = async || self.said().contains(words).then_some(());
        crate::support::eventually(&format!("the server says {words:?}"), said).await;
    }

    pub fn client(&self) -> Client {
        Client::try_new(&self.url, None).unwrap()
    }

    /// The data of a query that must succeed.
    pub async fn query(&self, document: &str, variables: Value) -> Value {
        match self.client().query(document, variables).await {
            Ok(data) => data,
            Err(error) => panic!("{document}: {error:?}"),
        }
    }

    /// The code of the first error of a query that must be refused, and its message.
    pub async fn refused(&self, document: &str, variables: Value) -> (String, String) {
        match self.client().query::<Value>(document, variables).await {
            Ok(data) => panic!("{document}: not refused, but {data}"),
            Err(onex::client::Error::Refused { message, code, .. }) => (code.unwrap_or_default(), message),
            Err(error) => panic!("{document}: {error:?}"),
        }
    }

    pub async fn sequence(&self) -> u64 {
        self.query("{ registry { sequence } }", Value::Null).await["registry"]["sequence"].as_u64().unwrap()
    }

    /// Ends the server as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end of a server that was told to stop; one that does not end in time is killed, and fails the test.
    pub fn ended(mut self) -> ExitStatus {
        let deadline = std::time::Instant::now() + crate::support::PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(std::time::Instant::now() < deadline, "the server does not end: {}", self.said());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Sends it a signal, as `-TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks the server to stop and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.child.wait().unwrap()
    }

    /// Runs a command of the command line against this server.
    pub fn run(&self, arguments: &[&str]) -> Output {
        onex(arguments).env("ONEX_SERVER", &self.url).output().unwrap()
    }

    /// The output of a command that must succeed.
    pub fn stdout_of(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}: {said}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }
}
