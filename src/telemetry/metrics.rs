//! The handles that rooms count with, and the one place where they have names.

use super::now::Now;
use super::requests::Requests;
use super::text::Format;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

/// Times from ten microseconds to half a minute.
pub(super) fn fast() -> Histogram {
    Histogram::new([
        1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ])
}

/// Counts from one to some thousands.
fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 13))
}

/// All that is counted. Made once, in `app`; its parts are handed to who counts.
#[derive(Debug)]
pub struct Metrics {
    /// GraphQL operations.
    pub requests: Requests,
    /// Connections.
    pub connections: Connections,
    /// The registry's writer.
    pub writer: Writer,
    /// The log's disk.
    pub storage: Storage,
    /// Calls of tools.
    pub calls: Calls,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let (requests, connections) = (Requests::default(), Connections::default());
        let (writer, storage, calls) = (Writer::default(), Storage::default(), Calls::default());
        requests.register(&mut registry);
        connections.register(&mut registry);
        writer.register(&mut registry);
        storage.register(&mut registry);
        calls.register(&mut registry);
        Metrics { requests, connections, writer, storage, calls, registry }
    }
}

impl Metrics {
    /// All that was counted, and what is true now, as text.
    pub fn text(&self, now: &Now, format: Format) -> String {
        let mut text = String::new();
        // Into memory, text always can be written.
        let _ = encode_registry(&mut text, &self.registry);
        let _ = encode_registry(&mut text, &now.registry());
        let _ = encode_eof(&mut text);
        format.of_open_metrics(text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Transport {
    transport: &'static str,
}

/// Connections, and what goes over websockets.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    open: Family<Transport, Gauge>,
    ever: Family<Transport, Counter>,
    /// HTTP requests that were answered, by status.
    statuses: Family<Status, Counter>,
    /// Frames that wait in the queues of websockets.
    pub queued: Gauge,
    /// Frames that left over websockets.
    pub frames: Counter,
    /// Operations that were ended because their connection's queue was full.
    pub overflows: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    route: &'static str,
    status: u16,
}

impl Connections {
    fn register(&self, registry: &mut Registry) {
        registry.register("onex_connections_open", "Connections that are open", self.open.clone());
        registry.register("onex_connections", "Connections that were accepted", self.ever.clone());
        registry.register("onex_http_requests", "HTTP requests that were answered", self.statuses.clone());
        let help = "Frames that wait to be sent over websockets";
        registry.register("onex_websocket_queue_frames", help, self.queued.clone());
        registry.register("onex_websocket_frames_sent", "Frames sent over websockets", self.frames.clone());
        let help = "Operations ended because their websocket's queue was full";
        registry.register("onex_websocket_overflows", help, self.overflows.clone());
    }

    /// One of them opens; it is open until what comes back is dropped. The transport is `http` or `websocket`.
    pub fn opened(&self, transport: &'static str) -> Held {
        let labels = Transport { transport };
        self.ever.get_or_create(&labels).inc();
        let open = self.open.get_or_create_owned(&labels);
        open.inc();
        Held(open)
    }

    /// An HTTP request was answered; `route` is one of the router's, not what somebody asked for.
    pub fn answered(&self, route: &'static str, status: u16) {
        self.statuses.get_or_create(&Status { route, status }).inc();
    }
}

/// Something that is open, and counted as such.
#[derive(Debug)]
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What the writer counts.
#[derive(Clone, Debug)]
pub struct Writer {
    batch_commands: Histogram,
    batch_changes: Histogram,
    append_seconds: Histogram,
    commands: Family<Decided, Counter>,
    failures: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    outcome: &'static str,
}

impl Default for Writer {
    fn default() -> Self {
        Writer {
            batch_commands: sizes(),
            batch_changes: sizes(),
            append_seconds: fast(),
            commands: Family::default(),
            failures: Counter::default(),
        }
    }
}

impl Writer {
    fn register(&self, registry: &mut Registry) {
        let help = "How many commands the writer took at once";
        registry.register("onex_writer_batch_commands", help, self.batch_commands.clone());
        registry.register("onex_commands", "Commands that the writer decided, by outcome", self.commands.clone());
        let help = "How many changes were appended to the log at once";
        registry.register("onex_log_batch_changes", help, self.batch_changes.clone());
        let help = "How long appending a batch to the log took, its sync included";
        registry.register_with_unit("onex_log_append_duration", help, Unit::Seconds, self.append_seconds.clone());
        let help = "Batches that could not be appended to the log";
        registry.register("onex_log_append_failures", help, self.failures.clone());
    }

    /// So many commands were taken at once.
    pub fn took(&self, commands: usize) {
        self.batch_commands.observe(commands as f64);
    }

    /// So many commands came to this: `changed`, `unchanged`, `refused` or `failed`.
    pub fn decided(&self, outcome: &'static str, commands: usize) {
        if commands > 0 {
            self.commands.get_or_create(&Decided { outcome }).inc_by(commands as u64);
        }
    }

    /// So many changes were appended, in so long.
    pub fn appended(&self, changes: usize, took: Duration) {
        self.batch_changes.observe(changes as f64);
        self.append_seconds.observe(took.as_secs_f64());
    }

    /// A batch could not be appended.
    pub fn failed(&self) {
        self.failures.inc();
    }
}

/// What the log's disk takes.
#[derive(Clone, Debug)]
pub struct Storage {
    sync_seconds: Histogram,
}

impl Default for Storage {
    fn default() -> Self {
        Storage { sync_seconds: fast() }
    }
}

impl Storage {
    fn register(&self, registry: &mut Registry) {
        let help = "How long committing a batch took: writing it to the disk and syncing it";
        registry.register_with_unit("onex_log_sync_duration", help, Unit::Seconds, self.sync_seconds.clone());
    }

    /// A commit took so long.
    pub fn synced(&self, took: Duration) {
        self.sync_seconds.observe(took.as_secs_f64());
    }
}

/// What is counted of calls of tools.
#[derive(Clone, Debug)]
pub struct Calls {
    ended: Family<Ended, Counter>,
    seconds: Family<Ended, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    status: &'static str,
}

impl Default for Calls {
    fn default() -> Self {
        Calls { ended: Family::default(), seconds: Family::new_with_constructor(fast) }
    }
}

impl Calls {
    fn register(&self, registry: &mut Registry) {
        registry.register("onex_tool_calls", "Calls of tools that ended, by status", self.ended.clone());
        let help = "How long calls of tools took, from the request to the end";
        registry.register_with_unit("onex_tool_call_duration", help, Unit::Seconds, self.seconds.clone());
    }

    /// A call ended with this status after so long.
    pub fn ended(&self, status: &'static str, after: Duration) {
        let status = Ended { status };
        self.ended.get_or_create(&status).inc();
        self.seconds.get_or_create(&status).observe(after.as_secs_f64());
    }
}
