use crate::http::{Limits, Sites};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What the transports allow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Serve the pages: the dashboard and GraphiQL.
    pub dashboard: bool,
    /// The most bytes of a request body or websocket message: 1 or more.
    pub body_bytes_max: usize,
    /// How many operations one websocket runs at once: 1 or more.
    pub operations_max: usize,
    /// How long a websocket may take to say connection_init, in seconds: 1 or more.
    pub init_seconds: u32,
    /// How long a websocket may take nothing of what waits for it before it is ended, in seconds: 1 or more.
    pub stall_seconds: u32,
    /// How many operations one request has, as an array; 0: none has one.
    pub batch_max: usize,
    /// Answer data beside errors with status 294.
    pub partial_status: bool,
    /// Names of the server besides localhost and addresses; empty: any name, beyond a loopback address.
    pub allowed_hosts: Vec<String>,
    /// Other sites whose pages may ask, such as `https://app.example.com`; `*`: all.
    pub allowed_origins: Vec<String>,
    /// A file of the documents that alone may run, by id, as JSON; empty: all may.
    pub trusted_documents: PathBuf,
    /// How many connections there are at once: 1 or more.
    pub connections_max: usize,
    /// How many of them one address has; 0: 1,000, and as many as there are where the address is this machine's own.
    pub connections_per_address_max: usize,
    /// How long a connection may take to send a request's headers, in seconds: 1 or more.
    pub header_seconds: u32,
    /// How long a request's body may take to arrive, in seconds: 1 or more.
    pub body_seconds: u32,
}

impl Default for Http {
    fn default() -> Self {
        let limits = Limits::default();
        // Whole seconds, and few.
        let seconds = |wait: Duration| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
        Http {
            dashboard: true,
            body_bytes_max: limits.body_bytes_max,
            operations_max: limits.operations_max,
            init_seconds: seconds(limits.init_wait),
            stall_seconds: seconds(limits.stall_wait),
            batch_max: limits.batch_max,
            partial_status: limits.tell_partial,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            trusted_documents: PathBuf::new(),
            connections_max: limits.connections_max,
            connections_per_address_max: limits.connections_per_address_max,
            header_seconds: seconds(limits.header_wait),
            body_seconds: seconds(limits.body_wait),
        }
    }
}

impl Http {
    /// As the transports take it.
    pub fn limits(&self) -> Limits {
        Limits {
            body_bytes_max: self.body_bytes_max,
            operations_max: self.operations_max,
            init_wait: Duration::from_secs(self.init_seconds.into()),
            stall_wait: Duration::from_secs(self.stall_seconds.into()),
            batch_max: self.batch_max,
            tell_partial: self.partial_status,
            connections_max: self.connections_max,
            connections_per_address_max: self.connections_per_address_max,
            header_wait: Duration::from_secs(self.header_seconds.into()),
            body_wait: Duration::from_secs(self.body_seconds.into()),
        }
    }

    /// From where a server at an address may be asked, or which setting is wrong and why.
    pub fn sites(&self, listen: SocketAddr) -> Result<Sites, (&'static str, String)> {
        Sites::try_new(listen, &self.allowed_hosts, &self.allowed_origins)
    }
}
