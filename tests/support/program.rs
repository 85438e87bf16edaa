//! Programs in Python that tests start.

use super::PATIENCE;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

/// A program that prints a line of JSON for each thing it has to say.
pub struct Program {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Program {
    /// Starts a script of tests/python.
    pub fn start(python: &Path, name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(python);
        command.arg(script(name)).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Program { child, lines }
    }

    /// Waits until it says on stderr that it listens.
    pub async fn listens(&mut self) {
        let mut said = BufReader::new(self.child.stderr.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, said.next_line()).await.unwrap().unwrap();
        assert_eq!(line.as_deref(), Some("listening"));
    }

    /// What it says next.
    pub async fn line(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time").unwrap();
        serde_json::from_str(&line.expect("a line")).unwrap()
    }

    /// Waits for its end, which is to be a good one.
    pub async fn ended(mut self) {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert!(ended.success(), "{ended}");
    }
}
