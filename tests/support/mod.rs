//! What tests share: the real binary as a server, the registry in process with a clock turned by hand, seeds.

pub mod certificates;
pub mod credentials;
pub mod door;
pub mod guarded;
pub mod program;
pub mod provider;
pub mod registry;
pub mod server;
pub mod socket;
/// What the unit tests use as well.
#[path = "../../src/testing.rs"]
pub mod testing;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a condition may take to come true before the test fails. Long: it costs nothing where all is well, and a
/// machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A folder of real contracts beside the project; `None`, said on stderr, where it is absent.
pub fn corpus(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus").join(name);
    if path.is_dir() {
        return path.canonicalize().ok();
    }
    testing::passed_over(format_args!("{} is not there", path.display()));
    None
}

/// A Python that has `package`, as `tests/run` sets it up; `None`, said on stderr, where it is absent.
pub fn python(package: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let look = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)";
    let looked = Command::new(&path).args(["-c", look, package]).status();
    if looked.is_ok_and(|status| status.success()) {
        return Some(path);
    }
    testing::passed_over(format_args!("{} with {package} is not there: tests/run makes it", path.display()));
    None
}

/// The packages of tests/node, as `tests/run` installs them; `None`, said on stderr, where they are absent.
pub fn node_modules() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/node/node_modules");
    // npm writes this file when it is done.
    if path.join(".package-lock.json").exists() {
        return Some(path);
    }
    testing::passed_over(format_args!("{} is not there: tests/run makes it", path.display()));
    None
}

/// A program of these packages; `None`, said on stderr, where they are absent.
pub fn node_program(path: &str) -> Option<PathBuf> {
    Some(node_modules()?.join(path))
}

/// A program of a test: it ends with the test.
pub struct Killed(pub std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `look` finds something; fails the test, with `what`, when it takes too long.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The seed of a random test: ONEX_TEST_SEED, or a new one. Printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = match std::env::var("ONEX_TEST_SEED") {
        Ok(text) => text.parse().expect("ONEX_TEST_SEED is a whole number"),
        Err(_) => uuid::Uuid::new_v4().as_u64_pair().0,
    };
    println!("ONEX_TEST_SEED={seed}");
    seed
}
