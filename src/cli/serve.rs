//! `onex serve`: runs a registry.

use super::demo::{Demo, Place};
use super::output;
use crate::app::{self, App};
use crate::config::{Config, Format, Level};
#[cfg(feature = "otlp")]
use crate::telemetry::otlp;
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The exit status of a server that was told twice to end.
const INTERRUPTED: u8 = 130;

/// From how many stories of a demo one is drawn: a number that is typed easily.
const DEMO_SEEDS: u64 = 10_000;

/// How many descriptors are needed besides those of connections: the log, calls of endpoints, probes of ports.
#[cfg(unix)]
const OTHER_DESCRIPTORS: u64 = 256;

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
    /// Ask everybody for a token; the first is written to admin.token in the data directory [env: ONEX_ACCESS_ENABLED]
    #[arg(long)]
    access: bool,
    /// Where to speak portserver: a path, @NAME, auto or off [env: ONEX_PORTS_PORTSERVER] [default: auto, which is @onex]
    #[arg(long, value_name = "ADDRESS")]
    portserver: Option<String>,
    /// Fill a registry of its own with a small shop in which something happens, to look at; it is temporary unless a
    /// data directory is named
    #[arg(long)]
    demo: bool,
    /// What happens in the demo, as an earlier one has said; another story without it
    #[arg(long, value_name = "NUMBER", requires = "demo")]
    demo_seed: Option<u64>,
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
        config.access.enabled |= self.access;
        config.ports.portserver = self.portserver.clone().unwrap_or(config.ports.portserver);
        Ok(config)
    }
}

/// Runs a registry until it is told to stop.
pub fn run(args: Args) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let mut config = args.settings()?;
    if args.print_config {
        output::print(&config.print())?;
        return Ok(ExitCode::SUCCESS);
    }
    // Kept until the end: a temporary directory is gone with it.
    let _place = args.demo.then(|| Place::take(&mut config, args.data_dir.is_some())).transpose()?;
    let seed = args.demo.then(|| args.demo_seed.unwrap_or_else(|| fastrand::u64(0..DEMO_SEEDS)));
    let logging = Logging::start(&config)?;
    #[cfg(unix)]
    raise_descriptors(config.http.connections_max);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(&config, seed));
    // The last part of the time is for what runs to be dropped, and so for the log to be closed. What did not end is not
    // waited for beyond it.
    runtime.shutdown_timeout(Duration::from_secs(u64::from(config.stop_seconds)) / 10);
    logging.end();
    ended
}

/// Takes as many descriptors as this user may have: each connection needs one, and what a process has at first is meant
/// for programs that need few.
#[cfg(unix)]
fn raise_descriptors(connections_max: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_ok();
    let descriptors = if raised { limit.maximum } else { limit.current };
    let wanted = connections_max as u64 + OTHER_DESCRIPTORS;
    if let Some(descriptors) = descriptors.filter(|descriptors| *descriptors < wanted) {
        tracing::warn!(
            descriptors,
            connections_max,
            "there are fewer descriptors than http.connections_max needs: raise them (ulimit -n, LimitNOFILE), or lower it"
        );
    }
}

async fn serve(config: &Config, demo_seed: Option<u64>) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    // Listened for before anything is said: whoever reads that the registry is ready may stop it at once.
    let mut stop = Stop::listen()?;
    let app = tokio::select! {
        app = App::start(config) => app?,
        // Nothing was promised to anybody yet, and reading changes nothing.
        asked = stop.asked() => return asked.map(|()| ExitCode::SUCCESS).map_err(Into::into),
    };
    greet(config, &app, demo_seed);
    app::notify("READY=1");
    let demo = demo_seed.map(|seed| Demo::open(&app, seed));
    stop.asked().await?;
    // First: its calls would be waited for.
    drop(demo);
    output::note("stopping: what is under way may finish; ask again to end at once");
    app::notify("STOPPING=1");
    tokio::select! {
        _ = app.stop() => Ok(ExitCode::SUCCESS),
        asked = stop.asked() => {
            asked?;
            output::note("asked again: ending at once");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// How log lines are written, and what tells a collector of spans.
struct Logging {
    #[cfg(feature = "otlp")]
    exporter: Option<otlp::Exporter>,
}

impl Logging {
    fn start(config: &Config) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let level = LevelFilter::from_level(config.log.level.into());
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match config.log.format {
            Format::Human => {
                use std::io::IsTerminal;
                let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                lines.with_ansi(std::io::stderr().is_terminal() && !is_plain).with_target(false).boxed()
            }
            // The request's span alone says what all of them would.
            Format::Json => lines.json().with_span_list(false).boxed(),
        };
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(level));
        #[cfg(feature = "otlp")]
        {
            let options = otlp::Options {
                endpoint: config.telemetry.otlp_endpoint.clone(),
                service_name: config.telemetry.service_name.clone(),
                sampled_percent: config.telemetry.sampled_percent,
            };
            let exporter = (!options.endpoint.is_empty()).then(|| otlp::Exporter::start(&options)).transpose()?;
            subscriber.with(exporter.as_ref().map(otlp::Exporter::layer)).init();
            Ok(Logging { exporter })
        }
        #[cfg(not(feature = "otlp"))]
        {
            subscriber.init();
            Ok(Logging {})
        }
    }

    fn end(self) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = self.exporter {
            exporter.end();
        }
    }
}

fn greet(config: &Config, app: &App, demo_seed: Option<u64>) {
    let view = app.engine().views().current();
    let access = access(config, app);
    let s = if config.tls.certificate.as_os_str().is_empty() { "" } else { "s" };
    let mut lines = vec![
        format!("onex {} is ready", env!("CARGO_PKG_VERSION")),
        format!("  GraphQL  http{s}://{0}/graphql (websocket: ws{s}://{0}/graphql)", app.address()),
        format!("  pages    {}", pages(config, &format!("http{s}://{}", app.address()))),
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
    let demo = demo_seed.map(|seed| format!("  demo     a small shop opens now (--demo-seed {seed} tells it again)"));
    lines.extend(demo);
    // A closed stderr is no reason not to serve.
    let _ = writeln!(anstream::stderr().lock(), "{}", lines.join("\n"));
}

fn access(config: &Config, app: &App) -> String {
    let tokens = app.engine().views().current().tokens.len();
    if config.access.enabled {
        let policy = match config.access.policy.as_os_str().is_empty() {
            true => "the default policy".to_owned(),
            false => format!("the policy {}", config.access.policy.display()),
        };
        let first = app.first_token().map(|path| format!("; the first, an admin's, is in {}", path.display()));
        return format!("by {policy}; {tokens} tokens{}", first.unwrap_or_default());
    }
    let idle = match tokens {
        0 => String::new(),
        tokens => format!("; {tokens} tokens are asked for with --access"),
    };
    match config.listen.ip().is_loopback() {
        true => format!("everything is allowed; only this machine can reach it{idle}"),
        false => format!("EVERYTHING IS ALLOWED TO EVERYBODY WHO CAN REACH THIS ADDRESS (--insecure){idle}"),
    }
}

fn pages(config: &Config, url: &str) -> String {
    match (config.http.dashboard, App::has_pages()) {
        (false, _) => "none (http.dashboard is false)".to_owned(),
        (true, true) => format!("{url}/ is the dashboard, {url}/graphiql is GraphiQL"),
        (true, false) => format!("they are not in this program: {url}/ says why"),
    }
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
