//! The one place where the parts are built and meet.

mod access;
mod calls;
mod examine;
mod leases;
mod notify;
mod operations;
mod starting;

pub use examine::{Examined, examine, free_bytes, log_bytes};
pub use notify::notify;
pub use operations::FREE_BYTES_MIN;

use crate::bus::hub::{Defaults, Hub};
use crate::config::{Config, EventBus};
use crate::graphql::announce::Announcer;
use crate::graphql::{Bounds, Documents, Services, Trusted};
use crate::http::web::Pages;
use crate::http::{self, Parts, Tls};
use crate::log::sqlite::{OpenError, SqliteLog};
use crate::log::{Break, Log, Verification};
use crate::model::{Actor, Band, RegistryId, Time};
use crate::ports::Ports;
#[cfg(target_os = "linux")]
use crate::ports::{portserver::PortServer, process};
use crate::proxy::Proxy;
use crate::proxy::outbound::Outbound;
use crate::registry::command::{Command, Request};
use crate::registry::engine::{self, Clock, Engine, Outcome};
use crate::registry::pool::Rules;
use crate::registry::state::State;
use crate::registry::{keeper, upkeep};
use crate::telemetry::{self, Metrics};
use operations::Looking;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// Where in the data directory the files of buses are.
const BUSES: &str = "buses";
/// Where portserver is spoken unless the configuration says otherwise.
const PORT_SERVER_USUAL: &str = "@onex";

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Why a registry did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log cannot be read.
    #[error("the registry in {directory} cannot be started")]
    Log {
        /// The data directory.
        directory: String,
        /// Why.
        #[source]
        source: engine::StartError,
    },
    /// The first change could not be made.
    #[error("the registry could not write its log")]
    Grace(#[from] engine::Error),
    /// The address is taken, or not this machine's.
    #[error("cannot listen at {address}: name another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A setting cannot be.
    #[error("{setting}: {reason}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Portserver's address is taken, or cannot be.
    #[error("cannot speak portserver at {address}: name another with --portserver, or say off")]
    PortServer {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others could reach a registry in which everybody may do everything.
    #[error(
        "{address} can be reached from other machines, and no access is configured: everybody could change everything; \
         say --access, which asks everybody for a token (the first is written to admin.token in the data directory), \
         listen at 127.0.0.1, or say --insecure if that is meant"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
}

/// A registry that listens.
#[derive(Debug)]
pub struct App {
    engine: Engine,
    proxy: Arc<Proxy>,
    buses: Arc<Hub>,
    access: access::Running,
    address: SocketAddr,
    keeper: JoinHandle<()>,
    server: JoinHandle<()>,
    port_server: PortServing,
    /// Turns true when nobody should be sent here any more.
    unready: Arc<AtomicBool>,
    stopping: watch::Sender<bool>,
    /// Answers once the last websocket is gone.
    open: mpsc::Receiver<()>,
    end: End,
}

/// How much time there is for the end.
#[derive(Clone, Copy, Debug)]
struct End {
    /// Before it begins, for those who send requests here to notice.
    pause: Duration,
    /// For all of it.
    within: Duration,
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

impl App {
    /// Opens the log, reads it, and listens.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        if !config.listen.ip().is_loopback() && !config.insecure && !config.access.enabled {
            return Err(StartError::Exposed { address: config.listen });
        }
        // Before anything is opened or changed: an address that is taken must not cost a lapsed node its grace.
        let listener = TcpListener::bind(config.listen).await;
        let listener = listener.map_err(|source| StartError::Listen { address: config.listen, source })?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let listening = |source| StartError::Listen { address, source };
        let listener = listener.into_std().map_err(listening)?;
        let twin = listener.try_clone().and_then(TcpListener::from_std).map_err(listening)?;
        let listener = TcpListener::from_std(listener).map_err(listening)?;
        let (tls, trusted) = (tls(config)?, trusted(config)?);
        let port_server = PortServing::bind(&config.ports.portserver)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let started_at = clock.now();
        let metrics = Arc::new(Metrics::default());
        let opening = {
            let (config, clock, metrics) = (config.clone(), clock.clone(), metrics.clone());
            move || open(&config, clock, started_at, &metrics)
        };
        let engine = starting::meanwhile(twin, tls.clone(), opening).await?;
        let rules = config.ports.rules().map_err(|(setting, reason)| StartError::Setting { setting, reason })?;
        check_host(&engine, &rules)?;
        let grace = Command::GrantGrace { seconds: config.registration.grace_seconds };
        let request = Request { command: grace, actor: Actor::registry(), correlation_id: None };
        engine.handle().submit(request).await?;
        let access = access::start(config, &engine, clock.clone()).await?;
        let ports = Arc::new(Ports::new(engine.handle(), engine.views().clone(), clock.clone(), rules));
        let bus_files = config.data_dir.join(BUSES);
        let leases = Arc::new(leases::BusPorts(ports.clone()));
        let buses = Hub::new(engine.handle(), engine.views().clone(), clock.clone(), leases, bus_files);
        let buses = buses.with_defaults(bus_defaults(config));
        let buses = Arc::new(buses.saying(about(&engine, address, tls.is_some())));
        let proxy = Arc::new(start_proxy(config, &engine, clock.clone(), &buses, metrics.calls.clone())?);
        proxy.end_interrupted().await?;
        let services = Services {
            handle: engine.handle(),
            views: engine.views().clone(),
            ports: ports.clone(),
            proxy: proxy.clone(),
            buses: buses.clone(),
            clock: clock.clone(),
            requests: metrics.requests.clone(),
            started_at,
            bounds: Bounds {
                ttl_seconds_max: config.registration.ttl_seconds_max,
                lease_ttl_seconds_max: config.ports.ttl_seconds_max,
                limits: config.limits.limits(),
            },
        };
        buses.register_by(Arc::new(Announcer::new(services.clone(), !config.access.enabled)));
        buses.resume().await;
        let port_server = PortServing::start(port_server, &ports, &engine);
        warn_of_ephemeral(ports.rules());
        let (stopping, stop) = watch::channel(false);
        let (held, open) = mpsc::channel(1);
        let unready = Arc::new(AtomicBool::new(false));
        let looking = Looking {
            metrics: metrics.clone(),
            handle: engine.handle(),
            views: engine.views().clone(),
            ports: ports.clone(),
            proxy: proxy.clone(),
            clock: clock.clone(),
            data_dir: config.data_dir.clone(),
            stopping: unready.clone(),
        };
        let parts = Parts {
            access: access.access.clone(),
            documents: Arc::new(Documents::new(services).trusting(trusted)),
            limits: config.http.limits(),
            pages: config.http.dashboard.then(Pages::built),
            sites: config.http.sites(address).map_err(|(setting, reason)| StartError::Setting { setting, reason })?,
            metrics,
            operations: Arc::new(looking),
            stopping: stop.clone(),
            open: held,
        };
        let keeper = tokio::spawn(keeper::keep(engine.handle(), engine.views().clone(), clock));
        let server = tokio::spawn(http::serve(listener, tls, parts, stop));
        let end = End { pause: seconds(config.stop_pause_seconds), within: seconds(config.stop_seconds) };
        Ok(App { engine, proxy, buses, access, address, keeper, server, port_server, unready, stopping, open, end })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it speaks portserver, as PORTSERVER_ADDRESS names it; `None` where it does not.
    pub fn port_server(&self) -> Option<&str> {
        self.port_server.address.as_deref()
    }

    /// Whether the pages are in this program, which serves them unless it is told not to.
    pub fn has_pages() -> bool {
        Pages::built().are_there()
    }

    /// Where the first token was written, if that was just now.
    pub fn first_token(&self) -> Option<&Path> {
        self.access.first_token.as_deref()
    }

    /// The registry behind the doors.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The buses behind the doors.
    pub fn buses(&self) -> &Arc<Hub> {
        &self.buses
    }

    /// Stops: is not ready any more, waits for those who send requests here to notice, takes nothing new, lets what is
    /// under way finish, closes the log. Answers within the time that the configuration gives; false where something
    /// did not end in it, and goes on until the process ends.
    pub async fn stop(self) -> bool {
        let App { engine, proxy, buses, access, keeper, server, port_server, unready, stopping, mut open, end, .. } =
            self;
        unready.store(true, Ordering::Relaxed);
        tokio::time::sleep(end.pause).await;
        let begun = Instant::now();
        // Calls have their share of it, and the log: what was answered is in it, but a snapshot may take its time.
        let (calls_end, requests_end) = (begun + end.within * 3 / 10, begun + end.within * 7 / 10);
        keeper.abort();
        port_server.tasks.iter().for_each(JoinHandle::abort);
        // Calls first: their answers come over the connections that are about to be closed.
        if timeout_at(calls_end, proxy.drain()).await.is_err() {
            tracing::warn!("some calls did not end in time and were given up");
        }
        if timeout_at(requests_end, proxy.stop()).await.is_err() {
            tracing::warn!("the last calls could not be recorded in time");
        }
        stopping.send_replace(true);
        let finished = async {
            let _ = server.await;
            while open.recv().await.is_some() {}
        };
        if timeout_at(requests_end, finished).await.is_err() {
            tracing::warn!("some requests did not finish in time and were cut off");
        }
        if timeout_at(requests_end, buses.close()).await.is_err() {
            tracing::warn!("some buses did not end in time");
        }
        if timeout_at(requests_end, access.stop(&engine)).await.is_err() {
            tracing::warn!("the last refused attempts could not be recorded in time");
        }
        // A panic in there has been told; there is nothing left to stop.
        let closed =
            timeout_at(begun + end.within * 9 / 10, tokio::task::spawn_blocking(move || engine.stop())).await.is_ok();
        if !closed {
            tracing::warn!("the log could not be closed in time: no change is lost, and the next start reads it anew");
        }
        closed
    }
}

/// What holds for buses and events that say nothing else.
fn bus_defaults(config: &Config) -> Defaults {
    let EventBus { nats_url, .. } = &config.event_bus;
    let nats_url = (!nats_url.is_empty()).then(|| nats_url.clone());
    Defaults { subject_prefix: config.event_bus.prefix().to_owned(), nats_url }
}

/// The portserver and what notices the end of those it has served.
#[derive(Debug, Default)]
struct PortServing {
    address: Option<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl PortServing {
    /// Takes a portserver address: none for `off`, the usual one, if nobody has it, for `auto`.
    #[cfg(target_os = "linux")]
    fn bind(setting: &str) -> Result<Option<PortServer>, StartError> {
        let address = match setting {
            "off" => return Ok(None),
            "auto" => PORT_SERVER_USUAL,
            address => address,
        };
        let bound = match process::boot() {
            Some(_) => PortServer::bind(address),
            None => Err(std::io::Error::other("/proc does not tell which start of the machine this is")),
        };
        match bound {
            Ok(server) => Ok(Some(server)),
            Err(error) if setting == "auto" => {
                tracing::warn!(address, %error, "there is no portserver; name another address with --portserver");
                Ok(None)
            }
            Err(source) => Err(StartError::PortServer { address: address.to_owned(), source }),
        }
    }

    /// Speaks portserver, and notices when those are gone that it has served, now or in an earlier run.
    #[cfg(target_os = "linux")]
    fn start(server: Option<PortServer>, ports: &Arc<Ports>, engine: &Engine) -> Self {
        let Some(boot) = process::boot() else {
            return PortServing::default();
        };
        let mut tasks = vec![tokio::spawn(process::keep(engine.handle(), engine.views().clone(), boot))];
        let address = server.as_ref().map(|server| server.address().to_owned());
        tasks.extend(server.map(|server| tokio::spawn(server.serve(ports.clone(), boot))));
        PortServing { address, tasks }
    }

    #[cfg(not(target_os = "linux"))]
    fn bind(setting: &str) -> Result<(), StartError> {
        match setting {
            "auto" | "off" => Ok(()),
            address => {
                let source = std::io::Error::new(std::io::ErrorKind::Unsupported, "portserver needs Linux");
                Err(StartError::PortServer { address: address.to_owned(), source })
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn start(_: (), _: &Arc<Ports>, _: &Engine) -> Self {
        PortServing::default()
    }
}

/// What is said of this registry to those who look for programs on a bus.
fn about(engine: &Engine, address: SocketAddr, has_tls: bool) -> HashMap<String, String> {
    let scheme = if has_tls { "https" } else { "http" };
    HashMap::from([
        ("registry_id".to_owned(), engine.views().registry_id().to_string()),
        ("graphql".to_owned(), format!("{scheme}://{address}/graphql")),
    ])
}

fn start_proxy(
    config: &Config,
    engine: &Engine,
    clock: Arc<dyn Clock>,
    buses: &Arc<Hub>,
    metrics: telemetry::Calls,
) -> Result<Proxy, StartError> {
    let calls = &config.calls;
    let setting = |setting, reason| StartError::Setting { setting, reason };
    let policy = calls.policy().map_err(|(name, reason)| setting(name, reason))?;
    let outbound = Outbound::try_new(policy).map_err(|error| setting("calls", error.to_string()))?;
    let outbound = outbound.over(Arc::new(calls::BusCalls(buses.clone())));
    Ok(Proxy::start(engine.handle(), engine.views().clone(), clock, calls.rules(), outbound, metrics))
}

fn tls(config: &Config) -> Result<Option<Arc<Tls>>, StartError> {
    let setting = |setting, reason| StartError::Setting { setting, reason };
    let files = config.tls.files().map_err(|(name, reason)| setting(name, reason))?;
    let tls = files.map(Tls::load).transpose().map_err(|error| setting("tls", error.to_string()))?;
    Ok(tls.map(Arc::new))
}

/// The documents that alone may run, where a file names them.
fn trusted(config: &Config) -> Result<Option<Trusted>, StartError> {
    let path = &config.http.trusted_documents;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let trusted = read.and_then(|list| Trusted::read(&list)).map_err(|reason| {
        let reason = format!("{} {reason}", path.display());
        StartError::Setting { setting: "http.trusted_documents", reason }
    })?;
    tracing::info!(documents = trusted.len(), "only trusted documents may run");
    Ok(Some(trusted))
}

/// Refuses a new name for this machine while numbers of it are leased under the old one: they would be given again.
fn check_host(engine: &Engine, rules: &Rules) -> Result<(), StartError> {
    let state = engine.views().current();
    let held = state.leases.held((Bound::Unbounded, Bound::Unbounded));
    // Only this machine's numbers were ever looked at.
    let ours = |id| state.leases.get(id).filter(|lease| lease.terms.probed).map(|lease| lease.terms.host.clone());
    let mut elsewhere = held.filter_map(|(_, id)| ours(id)).filter(|host| *host != rules.host);
    let Some(earlier) = elsewhere.next() else { return Ok(()) };
    let count = elsewhere.count() + 1;
    let reason = format!(
        "is {}, and {count} leases hold numbers of this machine as {earlier}: start with that until they have ended",
        rules.host
    );
    Err(StartError::Setting { setting: "ports.host", reason })
}

/// Says so where the numbers that are leased are among those that the kernel gives to outgoing connections.
fn warn_of_ephemeral(rules: &Rules) {
    let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else { return };
    let mut numbers = range.split_whitespace().filter_map(|number| number.parse().ok());
    let (Some(from), Some(to)) = (numbers.next(), numbers.next()) else { return };
    let Ok(ephemeral) = Band::try_new(from, to) else { return };
    for band in rules.bands(&rules.host).filter(|band| band.overlaps(ephemeral)) {
        tracing::warn!(
            %band, %ephemeral,
            "ports.bands overlaps the numbers that the kernel gives to outgoing connections: some that look free will \
             be taken before they are bound"
        );
    }
}

fn open(config: &Config, clock: Arc<dyn Clock>, now: Time, metrics: &Metrics) -> Result<Engine, StartError> {
    let owner = format!("onex process {} (listening at {}, since {now})", std::process::id(), config.listen);
    #[expect(clippy::disallowed_methods, reason = "the one place where a registry's id is drawn")]
    let fresh_id = RegistryId(Uuid::new_v4());
    let log = SqliteLog::open(&config.data_dir, &owner, fresh_id)?.counting(metrics.storage.clone());
    let log: Arc<dyn Log> = Arc::new(log);
    let upkeep = upkeep::Options {
        snapshot_every: config.history.snapshot_every,
        retain_seconds: match config.history.retain_days {
            0 => None,
            days => Some(u64::from(days) * 24 * 60 * 60),
        },
    };
    let options = engine::Options { metrics: metrics.writer.clone(), ..engine::Options::default() };
    let engine = Engine::start(log, clock, &options, upkeep);
    engine.map_err(|source| StartError::Log { directory: config.data_dir.display().to_string(), source })
}

/// The instant now, by the machine's clock.
pub fn now() -> Time {
    SystemClock.now()
}

/// An id for what is made on the data directory itself.
pub fn fresh_id() -> Uuid {
    #[expect(clippy::disallowed_methods, reason = "a door, as the API is: ids are drawn there")]
    Uuid::new_v4()
}

/// Why nothing could be done with the data directory of a registry that does not run.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The data directory cannot be opened, or a registry runs on it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log cannot be read.
    #[error("the registry in {directory} cannot be opened")]
    Start {
        /// The data directory.
        directory: String,
        /// Why.
        #[source]
        source: engine::StartError,
    },
    /// The command was refused, or could not be stored.
    #[error(transparent)]
    Command(#[from] engine::Error),
}

/// Has one command decided on the data directory of a registry that does not run, for whoever has that directory: the
/// changes are the operator's.
pub async fn offline(directory: &Path, command: Command) -> Result<Outcome, OfflineError> {
    let owner = format!("onex process {} (a command of the command line)", std::process::id());
    #[expect(clippy::disallowed_methods, reason = "the one place where a registry's id is drawn")]
    let fresh_id = RegistryId(Uuid::new_v4());
    let log: Arc<dyn Log> = Arc::new(SqliteLog::open(directory, &owner, fresh_id)?);
    let upkeep = upkeep::Options::default();
    let engine = Engine::start(log, Arc::new(SystemClock), &engine::Options::default(), upkeep);
    let engine = engine.map_err(|source| OfflineError::Start { directory: directory.display().to_string(), source })?;
    let request = Request { command, actor: Actor::operator(), correlation_id: None };
    let outcome = engine.handle().submit(request).await;
    // A panic in there has been told; there is nothing left to stop.
    let _ = tokio::task::spawn_blocking(move || engine.stop()).await;
    Ok(outcome?)
}

/// The state of the registry in a data directory, whether it runs or not.
pub fn peek(directory: &Path) -> Result<State, LookError> {
    let unreadable = |source| LookError::Unreadable { directory: directory.display().to_string(), source };
    let log = SqliteLog::open_read_only(directory)?;
    engine::recover(&log).map(|(state, _)| state).map_err(unreadable)
}

/// Why the log in a data directory could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log cannot be read.
    #[error("the log in {directory} cannot be read")]
    Unreadable {
        /// The data directory.
        directory: String,
        /// Why.
        #[source]
        source: crate::log::ReadError,
    },
}

/// Walks the hash chain of the log in a data directory, which a registry may be running on; where it holds, folds the
/// log and checks what it adds up to.
pub fn audit(directory: &Path) -> Result<Verification, LookError> {
    let unreadable = |source| LookError::Unreadable { directory: directory.display().to_string(), source };
    let log = SqliteLog::open_read_only(directory)?;
    let mut found = log.verify().map_err(unreadable)?;
    if found.broken.is_none() {
        let (state, _) = engine::recover(&log).map_err(unreadable)?;
        if let Err(reason) = state.check() {
            found.broken = Some(Break { place: state.sequence, reason: format!("what it adds up to: {reason}") });
        }
    }
    Ok(found)
}
