//! A registry in this process, on a free port, for the fuzz targets to talk to: so they meet everything that a client
//! meets, and need nothing of the registry's insides. A panic anywhere in it ends the run.

use onex::app::App;
use onex::config::Config;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A registry that listens.
pub struct Registry {
    runtime: Runtime,
    app: App,
    _directory: TempDir,
}

/// The registry of this process.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let runtime = Runtime::new().expect("a runtime");
        let mut config = Config::default();
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.data_dir = directory.path().join("data");
        config.ports.portserver = "off".to_owned();
        let app = runtime.block_on(App::start(&config)).expect("a registry");
        Registry { runtime, app, _directory: directory }
    })
}

impl Registry {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.app.address()
    }

    /// Runs what must end in time.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let work = async { tokio::time::timeout(PATIENCE, work).await };
        self.runtime.block_on(work).expect("neither answered nor cut")
    }
}
