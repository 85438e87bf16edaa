//! What the registry says of itself to operators: read when somebody asks, from what the parts have anyway.

use super::examine::{free_bytes, log_bytes};
use crate::http::{NotReady, Operations};
use crate::model::{NodeStatus, Transport};
use crate::ports::{Counts, Ports};
use crate::proxy::Proxy;
use crate::registry::engine::{Clock, Condition, Handle};
use crate::registry::pool::Pool;
use crate::registry::view::Views;
use crate::telemetry::{self, Format, Metrics, Now};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How little free space is too little: a batch has to fit, and what SQLite writes beside it.
pub const FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// For how long a batch that was refused counts: requests that are kept away would never show that it works again.
const REFUSED_MICROS: u64 = 10_000_000;

/// Looks at the running parts.
pub(super) struct Looking {
    pub metrics: Arc<Metrics>,
    pub handle: Handle,
    pub views: Arc<Views>,
    pub ports: Arc<Ports>,
    pub proxy: Arc<Proxy>,
    pub clock: Arc<dyn Clock>,
    pub data_dir: PathBuf,
    /// Whether the registry is about to stop.
    pub stopping: Arc<AtomicBool>,
}

impl Operations for Looking {
    fn metrics(&self, format: Format) -> String {
        self.metrics.text(&self.now(), format)
    }

    fn not_ready(&self) -> Vec<NotReady> {
        let mut reasons = Vec::new();
        let mut add = |code, reason: String| reasons.push(NotReady { code, reason });
        if self.stopping.load(Ordering::Relaxed) {
            add("STOPPING", "the registry is shutting down".to_owned());
        }
        match self.handle.condition() {
            Condition::Writing => {}
            Condition::Refused { at, cause } if self.clock.now().micros_since(at) < REFUSED_MICROS => {
                add("LOG_REFUSED", format!("the log takes no changes ({}): see to its disk", chain(&cause)));
            }
            Condition::Refused { .. } => {}
            Condition::Halted(cause) => {
                let reason = format!("nothing is written since {}: see to the disk, then restart", chain(&cause));
                add("LOG_HALTED", reason);
            }
            // A stop ends the writer, too.
            Condition::Ended if self.stopping.load(Ordering::Relaxed) => {}
            Condition::Ended => {
                add("WRITER_ENDED", "the registry's writer is gone: its log says why; restart it".to_owned());
            }
        }
        if let Some(free) = free_bytes(&self.data_dir).filter(|free| *free < FREE_BYTES_MIN) {
            let place = self.data_dir.display();
            add("DISK_FULL", format!("{place} has {free} bytes left, less than {FREE_BYTES_MIN}: make room"));
        }
        reasons
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl Looking {
    fn now(&self) -> Now {
        let state = self.views.current();
        let statuses = [
            ("DECLARED", NodeStatus::Declared),
            ("ONLINE", NodeStatus::Online),
            ("DRAINING", NodeStatus::Draining),
            ("OFFLINE", NodeStatus::Offline),
        ];
        let calls = self.proxy.counts();
        Now {
            ready: self.not_ready().is_empty(),
            sequence: state.sequence.0,
            nodes: statuses.map(|(name, status)| (name, state.count_of(status))).to_vec(),
            tools: state.tools.len(),
            contracts: state.contracts.len(),
            topics: state.topics.len(),
            collisions: state.collisions.len(),
            pools: self.ports.pools(&state).into_iter().map(pool).collect(),
            writer_queue: self.handle.queue(),
            calls_open: calls.open,
            calls_unrecorded: calls.unrecorded,
            listeners: calls.listeners,
            data_free_bytes: free_bytes(&self.data_dir),
            log_bytes: log_bytes(&self.data_dir).map(|(file, ahead)| file + ahead),
        }
    }
}

fn pool((pool, counts): (Pool, Counts)) -> telemetry::Pool {
    telemetry::Pool {
        host: pool.host.to_string(),
        transport: match pool.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        },
        band: pool.band.to_string(),
        numbers: [
            ("leased", pool.allocated),
            ("reserved", pool.reserved),
            ("quarantined", pool.quarantined),
            ("available", pool.available),
        ],
        requests: [("granted", counts.granted), ("refused", counts.refused), ("conflict", counts.conflicts)],
    }
}
