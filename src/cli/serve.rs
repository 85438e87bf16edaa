//! `onex serve`: runs a registry.

use super::output;
use crate::app::App;
use crate::config::{Config, Format, Level};
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use tracing_subscriber::filter::LevelFilter;

/// Where the registry listens and keeps its log. Every setting is also a variable (see --print-config) and can stand
/// in a file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen at; port 0 picks a free one [env: ONEX_LISTEN] [default: 127.0.0.1:4000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where to keep the registry's log [env: ONEX_DATA_DIR] [default: onex-data]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// Settings as TOML
    #[arg(long, value_name = "FILE", env = "ONEX_CONFIG")]
    config: Option<PathBuf>,
    /// Least important messages that are logged [env: ONEX_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// How messages are logged [env: ONEX_LOG_FORMAT] [default: human]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
    /// Listen at an address that others reach although everybody may do everything [env: ONEX_INSECURE]
    #[arg(long)]
    insecure: bool,
    /// Where to speak portserver: a path, @NAME, auto or off [env: ONEX_PORTS_PORTSERVER] [default: auto, which is @onex]
    #[arg(long, value_name = "ADDRESS")]
    portserver: Option<String>,
    /// Print the settings as a file that gives just these, and stop
    #[arg(long)]
    print_config: bool,
}

impl Args {
    fn settings(&self) -> Result<Config, crate::config::Error> {
        let mut config = Config::load(self.config.as_deref(), |name| std::env::var(name).ok())?;
        config.listen = self.listen.unwrap_or(config.listen);
        config.data_dir = self.data_dir.clone().unwrap_or(config.data_dir);
        config.log.level = self.log_level.unwrap_or(config.log.level);
        config.log.format = self.log_format.unwrap_or(config.log.format);
        config.insecure |= self.insecure;
        config.ports.portserver = self.portserver.clone().unwrap_or(config.ports.portserver);
        Ok(config)
    }
}

/// Runs a registry until it is told to stop.
pub fn run(args: Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    let config = args.settings()?;
    if args.print_config {
        return Ok(output::print(&config.print())?);
    }
    start_logging(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Listened for before anything is said: whoever reads that the registry is ready may stop it at once.
        let mut stop = Stop::listen()?;
        let app = App::start(&config).await?;
        greet(&config, &app);
        stop.asked().await?;
        output::note("stopping: what is under way may finish");
        app.stop().await;
        Ok(())
    })
}

fn start_logging(config: &Config) {
    let level = LevelFilter::from_level(config.log.level.into());
    let logging = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    match config.log.format {
        Format::Human => {
            use std::io::IsTerminal;
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
            logging.with_ansi(colours).with_target(false).init();
        }
        Format::Json => logging.json().init(),
    }
}

fn greet(config: &Config, app: &App) {
    let view = app.engine().views().current();
    let access = if config.listen.ip().is_loopback() {
        "everything is allowed; only this machine can reach it"
    } else {
        "EVERYTHING IS ALLOWED TO EVERYBODY WHO CAN REACH THIS ADDRESS (--insecure)"
    };
    let lines = [
        format!("onex {} is ready", env!("CARGO_PKG_VERSION")),
        format!("  GraphQL  http://{0}/graphql (websocket: ws://{0}/graphql)", app.address()),
        format!(
            "  data     {} ({} nodes, {} tools, {} changes)",
            config.data_dir.display(),
            view.nodes.len(),
            view.tools.len(),
            view.sequence
        ),
        format!("  ports    {}", ports(config, app)),
        format!("  access   {access}"),
    ];
    // A closed stderr is no reason not to serve.
    let _ = writeln!(anstream::stderr().lock(), "{}", lines.join("\n"));
}

fn ports(config: &Config, app: &App) -> String {
    let bands = config.ports.bands.join(", ");
    match app.port_server() {
        Some(address) => format!("{bands}; for portpicker: PORTSERVER_ADDRESS={address}"),
        None => bands,
    }
}

/// How the process is asked to stop.
#[cfg(unix)]
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stop {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) -> std::io::Result<()> {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        Ok(())
    }
}

/// How the process is asked to stop.
#[cfg(not(unix))]
struct Stop;

#[cfg(not(unix))]
impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Stop)
    }

    async fn asked(&mut self) -> std::io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
