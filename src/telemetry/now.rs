//! What is true at the moment somebody asks: read from the state and the machine, and nowhere counted.

use super::process;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

/// What the rooms have and hold now.
#[derive(Debug, Default)]
pub struct Now {
    /// Whether the registry is ready.
    pub ready: bool,
    /// The last change.
    pub sequence: u64,
    /// Nodes by status.
    pub nodes: Vec<(&'static str, usize)>,
    /// Versions of tools that somebody offers.
    pub tools: usize,
    /// Contracts that some node keeps.
    pub contracts: usize,
    /// Topics that contracts name.
    pub topics: usize,
    /// Contents that collide.
    pub collisions: usize,
    /// Pools of port numbers.
    pub pools: Vec<Pool>,
    /// Commands that wait for the writer, and how many may.
    pub writer_queue: (usize, usize),
    /// Calls of tools that have not ended.
    pub calls_open: usize,
    /// Calls of which something waits to be recorded.
    pub calls_unrecorded: usize,
    /// Open `toolCalls` subscriptions.
    pub listeners: usize,
    /// Free bytes where the log is kept; `None` where that cannot be told.
    pub data_free_bytes: Option<u64>,
    /// Bytes of the log's files; `None` where that cannot be told.
    pub log_bytes: Option<u64>,
}

/// A pool of port numbers.
#[derive(Debug)]
pub struct Pool {
    /// The host.
    pub host: String,
    /// The transport.
    pub transport: &'static str,
    /// The numbers, as FROM-TO.
    pub band: String,
    /// How many numbers are in each state.
    pub numbers: [(&'static str, u32); 4],
    /// What has become of requests since the start.
    pub requests: [(&'static str, u64); 3],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Numbers {
    host: String,
    transport: &'static str,
    band: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Requested {
    host: String,
    transport: &'static str,
    band: String,
    outcome: &'static str,
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: usize) {
    registry.register(name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
}

fn bytes(registry: &mut Registry, name: &str, help: &str, value: Option<u64>) {
    if let Some(value) = value {
        registry.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(value));
    }
}

impl Now {
    /// All of it with its names, for one answer.
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        let all = &mut registry;
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        all.register("onex_build", "What runs", Info::new(version.to_vec()));
        gauge(all, "onex_ready", "1 where /readyz says ready, else 0", usize::from(self.ready));
        all.register("onex_log_sequence", "The place of the last change in the log", ConstGauge::new(self.sequence));
        let nodes = Family::<Status, Gauge>::default();
        for (status, count) in &self.nodes {
            nodes.get_or_create(&Status { status }).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        all.register("onex_nodes", "Nodes that are registered, by status", nodes);
        gauge(all, "onex_tools", "Versions of tools that somebody offers", self.tools);
        gauge(all, "onex_contracts", "Contracts that some node keeps", self.contracts);
        gauge(all, "onex_topics", "Topics that contracts name", self.topics);
        gauge(
            all,
            "onex_collisions",
            "Names and versions under which different contents are registered",
            self.collisions,
        );
        self.register_pools(all);
        gauge(all, "onex_writer_queue_commands", "Commands that wait for the writer", self.writer_queue.0);
        gauge(all, "onex_writer_queue_commands_max", "How many commands may wait for the writer", self.writer_queue.1);
        gauge(all, "onex_tool_calls_open", "Calls of tools that have not ended", self.calls_open);
        let help = "Calls of tools of which something waits to be recorded in the log";
        gauge(all, "onex_tool_calls_unrecorded", help, self.calls_unrecorded);
        gauge(all, "onex_tool_listeners", "Open toolCalls subscriptions", self.listeners);
        bytes(all, "onex_data_free", "Free space where the log is kept", self.data_free_bytes);
        bytes(all, "onex_log_size", "The log's files without its snapshots", self.log_bytes);
        register_process(all);
        registry
    }

    fn register_pools(&self, registry: &mut Registry) {
        let numbers = Family::<Numbers, Gauge>::default();
        let requests = Family::<Requested, prometheus_client::metrics::counter::Counter>::default();
        for Pool { host, transport, band, numbers: states, requests: outcomes } in &self.pools {
            for (state, count) in states {
                let labels = Numbers { host: host.clone(), transport, band: band.clone(), state };
                numbers.get_or_create(&labels).set(i64::from(*count));
            }
            for (outcome, count) in outcomes {
                let labels = Requested { host: host.clone(), transport, band: band.clone(), outcome };
                requests.get_or_create(&labels).inc_by(*count);
            }
        }
        registry.register("onex_port_pool_numbers", "Port numbers of a pool, by state", numbers);
        let help = "Leases granted, requests refused and numbers found in use, by pool";
        registry.register("onex_port_pool_requests", help, requests);
    }
}

/// The process, by the names that all client libraries give these.
fn register_process(registry: &mut Registry) {
    let Some(process) = process::look() else { return };
    let cpu = ConstCounter::new(process.cpu_seconds);
    registry.register_with_unit("process_cpu", "Processor time of user and system", Unit::Seconds, cpu);
    let start = Gauge::<f64, AtomicU64>::default();
    start.set(process.start_seconds);
    registry.register_with_unit("process_start_time", "When the process started, since 1970", Unit::Seconds, start);
    bytes(registry, "process_resident_memory", "Resident memory", Some(process.resident_bytes));
    bytes(registry, "process_virtual_memory", "Virtual memory", Some(process.virtual_bytes));
    registry.register("process_open_fds", "Open file descriptors", ConstGauge::new(process.open_fds));
    if let Some(max) = process.max_fds {
        registry.register("process_max_fds", "How many file descriptors may be open", ConstGauge::new(max));
    }
    registry.register("process_threads", "Threads", ConstGauge::new(process.threads));
}
