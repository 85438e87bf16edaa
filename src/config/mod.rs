//! Settings: defaults, then a TOML file, then ONEX_* variables, then the command line; later ones win.
//!
//! A setting at `history.retain_days` in the file is the variable ONEX_HISTORY_RETAIN_DAYS. A name in the file that is
//! no setting, and a value that cannot be, are refused with the place they came from.

mod access;
mod calls;
mod event_bus;
mod history;
mod http;
mod limits;
mod log;
mod ports;
mod registration;
mod telemetry;
mod tls;

pub use access::Access;
pub use calls::{Calls, LeastTrust};
pub use event_bus::EventBus;
pub use history::History;
pub use http::Http;
pub use limits::Limits;
pub use log::{Format, Level, Log};
pub use ports::Ports;
pub use registration::Registration;
pub use telemetry::Telemetry;
pub use tls::Tls;

use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Every setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address to listen at; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where the registry keeps its log.
    pub data_dir: PathBuf,
    /// Listen at an address that others reach although everybody may do everything.
    pub insecure: bool,
    /// How long the end may take once the registry is told to stop, in seconds: 1 or more.
    pub stop_seconds: u32,
    /// How long the registry goes on, not ready any more, before it begins to end, in seconds.
    pub stop_pause_seconds: u32,
    /// What is logged, and how.
    pub log: Log,
    /// What is kept of the past.
    pub history: History,
    /// How registrations live.
    pub registration: Registration,
    /// What the transports allow.
    pub http: Http,
    /// What makes connections secret.
    pub tls: Tls,
    /// What a request may ask for.
    pub limits: Limits,
    /// Which port numbers are leased, to whom and for how long.
    pub ports: Ports,
    /// How tools are called through the registry.
    pub calls: Calls,
    /// What holds for buses and events that say nothing else.
    pub event_bus: EventBus,
    /// What is told to a collector of traces.
    pub telemetry: Telemetry,
    /// Who may do what.
    pub access: Access,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 4000)),
            data_dir: PathBuf::from("onex-data"),
            insecure: false,
            stop_seconds: 15,
            stop_pause_seconds: 0,
            log: Log::default(),
            history: History::default(),
            registration: Registration::default(),
            http: Http::default(),
            tls: Tls::default(),
            limits: Limits::default(),
            ports: Ports::default(),
            calls: Calls::default(),
            event_bus: EventBus::default(),
            telemetry: Telemetry::default(),
            access: Access::default(),
        }
    }
}

/// What each setting does, in the order they are printed.
const SETTINGS: &[(&str, &str)] = &[
    ("listen", "The address to listen at; port 0 picks a free one."),
    ("data_dir", "Where the registry keeps its log."),
    ("insecure", "Listen at an address that others reach although everybody may do everything."),
    ("stop_seconds", "How long the end may take once the registry is told to stop, in seconds: 1 or more."),
    (
        "stop_pause_seconds",
        "How long the registry goes on, not ready any more, before it begins to end, in seconds: for load balancers.",
    ),
    ("log.level", "The least important messages that are logged: error, warn, info, debug or trace."),
    ("log.format", "How messages are logged to standard error: human or json."),
    ("history.snapshot_every", "Take a snapshot after so many changes, so that a start replays no more: 1 or more."),
    ("history.retain_days", "Keep changes at least so many days; 0 keeps them for ever."),
    ("registration.ttl_seconds_max", "The longest lifetime that a registration may ask for, in seconds."),
    (
        "registration.grace_seconds",
        "How long a registration that lapsed while the registry was down is kept, in seconds.",
    ),
    ("http.dashboard", "Serve the pages: the dashboard at / and GraphiQL at /graphiql."),
    ("http.body_bytes_max", "The most bytes of a request body or websocket message."),
    ("http.operations_max", "How many operations one websocket runs at once."),
    ("http.init_seconds", "How long a websocket may take to say connection_init, in seconds."),
    (
        "http.stall_seconds",
        "How long a websocket may take nothing of what waits for it before it is ended, in seconds.",
    ),
    ("http.batch_max", "How many operations one request has, as an array; 0: none has one."),
    ("http.partial_status", "Answer data beside errors with status 294 to those who accept the GraphQL media type."),
    (
        "http.allowed_hosts",
        "Names of the server besides localhost and addresses, such as registry.local or *.local; none: any name, beyond \
         a loopback address.",
    ),
    ("http.allowed_origins", "Other sites whose pages may ask, such as https://app.example.com; *: all."),
    (
        "http.trusted_documents",
        "A file of the documents that alone may run: a JSON object with a document for each id; empty: all may run.",
    ),
    ("http.connections_max", "How many connections there are at once."),
    (
        "http.connections_per_address_max",
        "How many of them one address has; 0: 1,000, and as many as there are where the address is this machine's own.",
    ),
    (
        "http.header_seconds",
        "How long a connection may take to send a request's headers, the first and each that follows, in seconds.",
    ),
    ("http.body_seconds", "How long a request's body may take to arrive, in seconds."),
    ("limits.document_bytes_max", "The most bytes of a GraphQL document."),
    ("limits.tokens_max", "The most tokens of a document: names, numbers, texts and punctuation."),
    ("limits.depth_max", "How deep fields nest."),
    ("limits.selections_max", "The most fields and fragments that a document asks for, fragments spread out."),
    ("limits.root_fields_max", "The most fields at the root of an operation."),
    ("limits.aliases_max", "The most aliases of a document, fragments spread out."),
    ("limits.directives_max", "The most directives of a document, fragments spread out."),
    ("limits.page_max", "The most entries of a page: 50 to 500."),
    (
        "limits.complexity_max",
        "The most that an answer may cost, pages taken as full: one for each value, more for what is dear to find.",
    ),
    ("limits.values_max", "The most values that the lists of an answer have, counted while it is made."),
    (
        "limits.execution_ms",
        "How long a query, the reading of a mutation's answer, or one event of a subscription may take, in milliseconds.",
    ),
    ("limits.introspection", "Answer questions about the schema."),
    (
        "tls.certificate",
        "A file with the server's certificate and those that lead from it to one that clients know, as PEM; empty: no TLS.",
    ),
    ("tls.key", "A file with its private key, as PEM."),
    (
        "tls.client_ca",
        "A file with the certificates that clients' are signed by, as PEM; empty: clients are asked for none.",
    ),
    ("ports.host", "What leases call the machine that the registry runs on."),
    ("ports.bands", "Port numbers to give out, each FROM-TO, or HOST=FROM-TO for one host alone."),
    ("ports.reserved", "Port numbers never to give out, each NUMBER or FROM-TO, or HOST=... for one host alone."),
    ("ports.ttl_seconds", "How long a lease lasts that does not say, in seconds."),
    ("ports.ttl_seconds_max", "The longest lifetime that a lease may ask for, in seconds."),
    ("ports.leases_per_requester_max", "How many leases one requester may hold; 0: as many as it likes."),
    ("ports.quarantine_seconds", "How long a number is kept from others after its lease ended, in seconds."),
    (
        "ports.conflict_quarantine_seconds",
        "How long a number that turned out to be in use is kept from everybody, in seconds.",
    ),
    (
        "ports.portserver",
        "Where to speak Google portpicker's portserver protocol: a path, or @NAME for an abstract name; auto is @onex \
         on Linux unless somebody has it; off is nowhere.",
    ),
    ("calls.timeout_ms", "How long a call may take where neither it nor its tool says, in milliseconds."),
    ("calls.timeout_ms_max", "The longest that a call or tool may ask for, in milliseconds."),
    ("calls.max_in_flight", "How many calls a provider has at once that does not say."),
    (
        "calls.record_bytes_max",
        "The most bytes of a call's arguments, and of its result, that are kept in its record; 0 keeps neither.",
    ),
    (
        "calls.least_trust",
        "Tools without a provider that is trusted so far are neither listed nor called: UNTRUSTED, TRUSTED or VERIFIED.",
    ),
    ("calls.allow_loopback", "Call tools' endpoints at the registry's own machine."),
    ("calls.allow_private", "Call tools' endpoints in private networks; link-local addresses are not among them."),
    ("calls.allow", "Hosts, addresses and networks, such as 10.1.0.0/16, to call tools at in spite of that."),
    ("calls.response_bytes_max", "The most bytes that a tool's endpoint may answer with."),
    (
        "event_bus.nats_url",
        "Where the NATS servers of a JETSTREAM bus are that names none, such as nats://127.0.0.1:4222; empty: each names \
         its own.",
    ),
    (
        "event_bus.subject_prefix",
        "What stands before an event's type in the name of its topic, where it is published without one.",
    ),
    (
        "telemetry.otlp_endpoint",
        "Where spans are sent by OTLP over HTTP, such as http://127.0.0.1:4318; nowhere when empty.",
    ),
    ("telemetry.service_name", "What traces call this program."),
    (
        "telemetry.sampled_percent",
        "How many of a hundred traces that begin here are sent; of others, whoever began them decides.",
    ),
    ("access.enabled", "Ask everybody who it is, and allow what the policy permits."),
    ("access.policy", "A policy in Cedar (see onex policy show); empty: the default one. Read anew when it changes."),
    (
        "access.bootstrap_token_file",
        "Where the first token is written where there is none; empty: admin.token in the data directory.",
    ),
    ("access.requests_per_second", "How many requests a second each principal may make; 0: as many as it likes."),
    ("access.burst", "How many requests a principal may make at once; 0: as many as in a second."),
    (
        "access.jwt_keys",
        "The keys of tokens that others sign: a JWK set, or a public key as PEM. Read anew when it changes.",
    ),
    ("access.jwt_issuer", "Who must have issued such tokens; empty: anybody who has a key."),
    ("access.jwt_audience", "For whom such tokens must be; empty: only those count that name nobody."),
    ("access.jwt_leeway_seconds", "How far the clocks of issuer and registry may be apart, in seconds."),
    ("access.jwt_roles_claim", "The claim that has the roles, as text or a list; dots lead into objects."),
    ("access.jwt_node_claim", "The claim that has the id of the node that such a token is bound to."),
];

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What a place says cannot be.
    #[error("{place}: {reason}")]
    Invalid {
        /// The file or variable.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

fn invalid(place: impl Into<String>, reason: impl std::fmt::Display) -> Error {
    let reason = reason.to_string();
    Error::Invalid { place: place.into(), reason: reason.split_whitespace().collect::<Vec<_>>().join(" ") }
}

/// The variable of the setting at a path.
fn variable_of(path: &str) -> String {
    format!("ONEX_{}", path.replace('.', "_").to_uppercase())
}

impl Config {
    /// The settings of a file, where one is named, under those of the environment.
    pub fn load(file: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let mut table = Table::new();
        if let Some(path) = file {
            let text =
                std::fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
            let place = path.display().to_string();
            table = text.parse::<Table>().map_err(|error| invalid(&place, error))?;
            read(&table).map_err(|error| invalid(&place, error))?;
        }
        for (path, _) in SETTINGS {
            let name = variable_of(path);
            let Some(text) = variable(&name).filter(|text| !text.is_empty()) else { continue };
            table = with(&table, path, &text).map_err(|reason| invalid(name, reason))?;
        }
        let config = read(&table).map_err(|error| invalid("the configuration", error))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        let at_least_one = [
            ("stop_seconds", u64::from(self.stop_seconds)),
            ("history.snapshot_every", self.history.snapshot_every),
            ("registration.ttl_seconds_max", u64::from(self.registration.ttl_seconds_max)),
            ("http.body_bytes_max", self.http.body_bytes_max as u64),
            ("http.operations_max", self.http.operations_max as u64),
            ("http.init_seconds", u64::from(self.http.init_seconds)),
            ("http.stall_seconds", u64::from(self.http.stall_seconds)),
            ("http.connections_max", self.http.connections_max as u64),
            ("http.header_seconds", u64::from(self.http.header_seconds)),
            ("http.body_seconds", u64::from(self.http.body_seconds)),
            ("ports.ttl_seconds", u64::from(self.ports.ttl_seconds)),
            ("ports.ttl_seconds_max", u64::from(self.ports.ttl_seconds_max)),
            ("calls.timeout_ms", u64::from(self.calls.timeout_ms)),
            ("calls.timeout_ms_max", u64::from(self.calls.timeout_ms_max)),
            ("calls.max_in_flight", u64::from(self.calls.max_in_flight)),
            ("calls.response_bytes_max", self.calls.response_bytes_max as u64),
        ];
        let place = |path: &str| format!("{path} ({})", variable_of(path));
        if let Some((path, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(invalid(place(path), "is 0; it is 1 or more"));
        }
        if self.ports.ttl_seconds > self.ports.ttl_seconds_max {
            return Err(invalid(place("ports.ttl_seconds"), "is more than ports.ttl_seconds_max"));
        }
        self.ports.rules().map(drop).map_err(|(path, reason)| invalid(place(path), reason))?;
        self.tls.files().map(drop).map_err(|(path, reason)| invalid(place(path), reason))?;
        self.http.sites(self.listen).map(drop).map_err(|(path, reason)| invalid(place(path), reason))?;
        self.limits.check().map_err(|(path, reason)| invalid(place(path), reason))?;
        self.event_bus.check().map_err(|(path, reason)| invalid(place(path), reason))?;
        self.telemetry.check().map_err(|(path, reason)| invalid(place(path), reason))?;
        self.access.check().map_err(|(path, reason)| invalid(place(path), reason))?;
        self.calls.check().map_err(|(path, reason)| invalid(place(path), reason))
    }

    /// The settings as a file that gives just these, with what each does.
    pub fn print(&self) -> String {
        let table = Table::try_from(self).unwrap_or_default();
        let mut text = String::new();
        let mut section = "";
        for (path, does) in SETTINGS {
            let (group, name) = path.split_once('.').unwrap_or(("", path));
            if group != section {
                section = group;
                let _ = write!(text, "\n[{group}]\n");
            }
            let value = lookup(&table, path).map(Value::to_string).unwrap_or_default();
            let _ = writeln!(text, "# {does} ({})\n{name} = {value}", variable_of(path));
        }
        text
    }
}

fn read(table: &Table) -> Result<Config, toml::de::Error> {
    table.clone().try_into()
}

fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        Some((group, name)) => table.get(group)?.as_table()?.get(name),
        None => table.get(path),
    }
}

/// The table with one more setting, given as text: taken as the kind of value that the setting has.
fn with(table: &Table, path: &str, text: &str) -> Result<Table, String> {
    let defaults = Table::try_from(Config::default()).map_err(|error| error.to_string())?;
    let value = match lookup(&defaults, path) {
        Some(Value::Integer(_)) => {
            Value::Integer(text.trim().parse().map_err(|_| format!("{text:?} is no whole number"))?)
        }
        Some(Value::Boolean(_)) => match text.trim().to_lowercase().as_str() {
            "true" | "1" | "yes" => Value::Boolean(true),
            "false" | "0" | "no" => Value::Boolean(false),
            _ => return Err(format!("{text:?} is neither true nor false")),
        },
        Some(Value::Array(_)) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    };
    let mut table = table.clone();
    match path.split_once('.') {
        Some((group, name)) => {
            let group = table.entry(group).or_insert_with(|| Value::Table(Table::new()));
            group.as_table_mut().ok_or("the file has another kind of value there")?.insert(name.to_owned(), value);
        }
        None => {
            table.insert(path.to_owned(), value);
        }
    }
    read(&table).map_err(|error| error.message().to_owned())?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_variables(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn every_setting_is_described_and_every_description_is_of_a_setting() {
        let defaults = Table::try_from(Config::default()).unwrap();
        let mut paths = Vec::new();
        for (group, value) in &defaults {
            match value {
                Value::Table(inner) => paths.extend(inner.keys().map(|name| format!("{group}.{name}"))),
                _ => paths.push(group.clone()),
            }
        }
        paths.sort();
        let mut described: Vec<String> = SETTINGS.iter().map(|(path, _)| (*path).to_owned()).collect();
        described.sort();
        assert_eq!(paths, described);
    }

    #[test]
    fn what_is_printed_reads_back_as_it_was() {
        let config = Config { listen: "0.0.0.0:1".parse().unwrap(), ..Config::default() };
        assert_eq!(read(&config.print().parse::<Table>().unwrap()).unwrap(), config);
    }

    #[test]
    fn variables_come_over_the_file_and_mistakes_name_their_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("onex.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\n[history]\nretain_days = 3\n").unwrap();
        let variables = |name: &str| (name == "ONEX_LISTEN").then(|| "127.0.0.1:2".to_owned());
        let config = Config::load(Some(&file), variables).unwrap();
        assert_eq!((config.listen.port(), config.history.retain_days), (2, 3));

        let misspelt = |name: &str| (name == "ONEX_HISTORY_RETAIN_DAYS").then(|| "many".to_owned());
        let error = Config::load(None, misspelt).unwrap_err().to_string();
        assert_eq!(error, "ONEX_HISTORY_RETAIN_DAYS: \"many\" is no whole number");

        std::fs::write(&file, "lissten = 1\n").unwrap();
        let error = Config::load(Some(&file), no_variables).unwrap_err().to_string();
        assert!(error.contains("onex.toml") && error.contains("lissten"), "{error}");
    }
}
