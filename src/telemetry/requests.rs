//! GraphQL operations as they are counted: by root field, kind, transport and outcome, all of them from lists that end.

use super::metrics::fast;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What an operation without errors is counted as.
const OK: &str = "OK";

/// How a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Via {
    /// An HTTP request with one answer.
    #[default]
    Http,
    /// An HTTP request whose answers come as server-sent events.
    Sse,
    /// A message on a websocket.
    WebSocket,
}

impl Via {
    /// The word for it in labels and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Via::Http => "http",
            Via::Sse => "sse",
            Via::WebSocket => "websocket",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
    operation: Arc<str>,
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    code: &'static str,
    kind: &'static str,
    operation: Arc<str>,
    transport: &'static str,
}

/// The counts of GraphQL operations. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Requests {
    counts: Family<Outcome, Counter>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    open: Family<Labels, Gauge>,
    messages: Family<Labels, Counter>,
}

impl Default for Requests {
    fn default() -> Self {
        Requests {
            counts: Family::default(),
            seconds: Family::new_with_constructor(fast),
            open: Family::default(),
            messages: Family::default(),
        }
    }
}

impl Requests {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "GraphQL operations that ended, and subscriptions that began or were refused, by the code of the \
                    first error";
        registry.register("onex_graphql_requests", help, self.counts.clone());
        let help = "How long queries and mutations took, from the text to the answer";
        registry.register_with_unit("onex_graphql_request_duration", help, Unit::Seconds, self.seconds.clone());
        registry.register("onex_graphql_subscriptions_open", "Subscriptions that run", self.open.clone());
        let help = "Events that subscriptions gave their transports";
        registry.register("onex_graphql_subscription_messages", help, self.messages.clone());
    }

    /// The counts of one operation; `name` is one of the schema's root fields, or a word for what is none.
    pub fn operation(&self, kind: &'static str, name: &str) -> Operation {
        Operation { requests: self.clone(), kind, name: name.into(), by: Default::default() }
    }
}

/// One operation's counts, found once: counting costs no look-up.
#[derive(Debug)]
pub struct Operation {
    requests: Requests,
    kind: &'static str,
    name: Arc<str>,
    /// By transport; made when first used, so that what nobody sends is not shown.
    by: [OnceLock<Series>; 3],
}

#[derive(Debug)]
struct Series {
    seconds: Histogram,
    ok: Counter,
}

impl Operation {
    /// The root field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does: query, mutation or subscription.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    fn labels(&self, via: Via) -> Labels {
        Labels { kind: self.kind, operation: self.name.clone(), transport: via.as_str() }
    }

    fn count(&self, via: Via, code: &'static str) -> Counter {
        let outcome = Outcome { code, kind: self.kind, operation: self.name.clone(), transport: via.as_str() };
        self.requests.counts.get_or_create_owned(&outcome)
    }

    /// It was answered after so long; with the code of its first error, where it has errors.
    pub fn answered(&self, via: Via, code: Option<&'static str>, after: Duration) {
        let series = self.by[via as usize].get_or_init(|| Series {
            seconds: self.requests.seconds.get_or_create_owned(&self.labels(via)),
            ok: self.count(via, OK),
        });
        series.seconds.observe(after.as_secs_f64());
        match code {
            None => _ = series.ok.inc(),
            Some(code) => _ = self.count(via, code).inc(),
        }
    }

    /// It was refused before any of it ran.
    pub fn refused(&self, via: Via, code: &'static str) {
        self.count(via, code).inc();
    }

    /// A subscription begins; it is open until what comes back is dropped.
    pub fn subscribed(&self, via: Via) -> Subscribed {
        let labels = self.labels(via);
        let open = self.requests.open.get_or_create_owned(&labels);
        open.inc();
        let messages = self.requests.messages.get_or_create_owned(&labels);
        Subscribed { counts: self.requests.counts.clone(), labels, open, messages, is_told: false }
    }
}

/// A subscription that is open.
#[derive(Debug)]
pub struct Subscribed {
    counts: Family<Outcome, Counter>,
    labels: Labels,
    open: Gauge,
    messages: Counter,
    /// Whether it is counted whether it began.
    is_told: bool,
}

impl Subscribed {
    /// It has given an event.
    pub fn sent(&mut self) {
        self.messages.inc();
        self.tell(OK);
    }

    /// It did not begin.
    pub fn refused(&mut self, code: &'static str) {
        self.tell(code);
    }

    fn tell(&mut self, code: &'static str) {
        if !std::mem::replace(&mut self.is_told, true) {
            let Labels { kind, operation, transport } = self.labels.clone();
            self.counts.get_or_create(&Outcome { code, kind, operation, transport }).inc();
        }
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.tell(OK);
        self.open.dec();
    }
}
