//! How the registry itself calls a tool: by an HTTP request, by the Model Context Protocol, or over an event bus.
//!
//! What a failure says is what the caller may do next. [`Failure::NotStarted`] promises that the provider cannot have
//! begun, so another one may be asked; where that is not certain it is [`Failure::Unknown`], and asking again could do
//! the work twice. So nothing here tries again, follows a redirect, or goes through a proxy of the environment.
//!
//! What it never does: choose a provider, wait in a queue, check a result against its schema, or pass on a header or
//! token of the caller.

mod address;
mod bus;
mod http;
#[cfg(feature = "mcp")]
mod mcp;

pub use address::{Allowed, InvalidAllowed};
pub use bus::Buses;

use crate::model::{Time, ToolKey, ToolTransport};
use crate::telemetry::trace::TraceContext;
use address::{Addresses, Rules};
use reqwest::Url;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long an endpoint may take to accept a connection, name look-up included.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses. Shorter than what usual servers keep theirs (Node and uvicorn: 5
/// seconds): a request on a connection that is being closed is lost, and nobody knows whether it arrived.
const IDLE_WITHIN: Duration = Duration::from_secs(4);
/// How many connections that nobody uses are kept to one host.
const IDLE_PER_HOST_MAX: usize = 32;

/// One call to one provider.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Where: as the tool's offer has it.
    pub endpoint: String,
    /// How: by HTTP, MCP or over a bus.
    pub transport: ToolTransport,
    /// What is called.
    pub tool: ToolKey,
    /// What it is given.
    pub arguments: Arc<Value>,
    /// The invocation that this is an attempt of.
    pub invocation: Uuid,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Who asked for it.
    pub caller: String,
    /// What it belongs to.
    pub correlation_id: String,
    /// Where it stands in a trace, where somebody follows one.
    pub trace: Option<TraceContext>,
    /// Until when somebody waits for the answer.
    pub deadline: Time,
    /// How long that still is.
    pub timeout: Duration,
}

impl Sending {
    /// What is said of the call besides its arguments, by the names of headers; on one line each.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let invocation = self.invocation.to_string();
        let own = [
            ("idempotency-key", invocation.clone()),
            ("onex-invocation-id", invocation),
            ("onex-attempt", self.attempt.to_string()),
            ("onex-tool", self.tool.name.to_string()),
            ("onex-tool-version", self.tool.version.to_string()),
            ("onex-caller", self.caller.clone()),
            ("x-correlation-id", self.correlation_id.clone()),
            ("onex-deadline", self.deadline.to_string()),
            ("onex-timeout-ms", self.timeout.as_millis().to_string()),
        ];
        let trace = self.trace.map(|trace| ("traceparent", trace.to_string()));
        let one_line = |(name, mut text): (&'static str, String)| {
            // What stands for the caller or the correlation came from outside.
            text.retain(|character| !character.is_control());
            (name, text)
        };
        own.into_iter().chain(trace).map(one_line).collect()
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The provider cannot have begun: it could not be reached, or said so itself.
    NotStarted {
        /// What went wrong, for programs.
        kind: &'static str,
        /// What went wrong, for people.
        message: String,
    },
    /// The provider may have begun, and nobody knows what came of it.
    Unknown {
        /// What went wrong, for programs.
        kind: &'static str,
        /// What went wrong, for people.
        message: String,
    },
    /// The tool answered that it failed.
    Tool {
        /// The tool's own code, or one for how it answered, such as `HTTP_404`.
        code: String,
        /// What the tool says.
        message: String,
        /// What it says besides.
        details: Option<Value>,
        /// Whether it says that the same call may succeed later.
        retryable: bool,
    },
}

impl Failure {
    fn not_started(kind: &'static str, message: impl Into<String>) -> Self {
        Failure::NotStarted { kind, message: message.into() }
    }

    fn unknown(kind: &'static str, message: impl Into<String>) -> Self {
        Failure::Unknown { kind, message: message.into() }
    }
}

/// What may be called, and how much may come back.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether the registry's own machine may be called.
    pub allow_loopback: bool,
    /// Whether private networks may be called. Link-local addresses may not, even so: clouds tell secrets there.
    pub allow_private: bool,
    /// What may be called in spite of that.
    pub allow: Vec<Allowed>,
    /// The most bytes of an answer.
    pub response_bytes_max: usize,
}

/// Calls tools at their endpoints. Connections are kept and shared.
pub struct Outbound {
    rules: Arc<Rules>,
    http: reqwest::Client,
    response_bytes_max: usize,
    buses: Option<Arc<dyn Buses>>,
    #[cfg(feature = "mcp")]
    mcp: mcp::Services,
}

impl Outbound {
    /// Sets up what is needed to call; calls nothing yet.
    ///
    /// # Errors
    /// Where the HTTP client cannot be set up.
    pub fn try_new(policy: Policy) -> Result<Self, reqwest::Error> {
        let Policy { allow_loopback, allow_private, allow, response_bytes_max } = policy;
        let rules = Arc::new(Rules { allow_loopback, allow_private, allow });
        let http = reqwest::Client::builder()
            .user_agent(concat!("onex/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Addresses(rules.clone()))
            // A proxy would be told the endpoint's name and resolve it anew, past the rules.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(IDLE_WITHIN)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .build()?;
        #[cfg(feature = "mcp")]
        let mcp = mcp::Services::new(http.clone(), response_bytes_max);
        Ok(Outbound {
            rules,
            http,
            response_bytes_max,
            buses: None,
            #[cfg(feature = "mcp")]
            mcp,
        })
    }

    /// Has calls travel over these buses, too.
    pub fn over(self, buses: Arc<dyn Buses>) -> Self {
        Outbound { buses: Some(buses), ..self }
    }

    /// Calls a tool and waits for its result; `chunk` is given what comes of it on the way, in order.
    ///
    /// Dropping the future cancels the call: over HTTP the connection is closed, over MCP the server is told.
    ///
    /// # Errors
    /// See [`Failure`]. A call that takes longer than its timeout is of kind `Timeout`.
    pub async fn call(&self, sending: Sending, chunk: impl Fn(Value) + Send) -> Result<Value, Failure> {
        let refused = |reason| Failure::not_started("EndpointRefused", reason);
        if sending.transport == ToolTransport::Bus {
            let endpoint = bus::Endpoint::read(&sending.endpoint).map_err(refused)?;
            return bus::call(self.buses.as_deref(), endpoint, &sending, self.response_bytes_max).await;
        }
        let url = self.read(&sending.endpoint).map_err(refused)?;
        match sending.transport {
            ToolTransport::Http => http::call(&self.http, url, &sending, self.response_bytes_max).await,
            #[cfg(feature = "mcp")]
            ToolTransport::Mcp => self.mcp.call(url, &sending, chunk).await,
            #[cfg(not(feature = "mcp"))]
            ToolTransport::Mcp => {
                drop(chunk);
                let message = "this build has no MCP: build it with the feature mcp, or offer the tool by HTTP";
                Err(Failure::not_started("TransportUnsupported", message))
            }
            ToolTransport::GraphQl | ToolTransport::Bus => {
                let message = "tools of this transport are not called at an endpoint: offer it by HTTP, MCP or BUS";
                Err(Failure::not_started("TransportUnsupported", message))
            }
        }
    }

    /// Whether an endpoint may be called as far as its text tells: its scheme, and its address or bus where it names
    /// one.
    ///
    /// A name may still turn out to have no address that may be called.
    ///
    /// # Errors
    /// A sentence that says why not, and what to do.
    pub fn check(&self, transport: ToolTransport, endpoint: &str) -> Result<(), String> {
        match transport {
            ToolTransport::Bus => bus::Endpoint::read(endpoint)?.check(self.buses.as_deref()),
            _ => self.read(endpoint).map(drop),
        }
    }

    fn read(&self, endpoint: &str) -> Result<Url, String> {
        let url: Url = endpoint.parse().map_err(|error| {
            format!("the endpoint is no URL ({error}): give one such as http://tools.example.org:8080/add")
        })?;
        match url.scheme() {
            "http" => {}
            "https" => {
                return Err("the endpoint is https, and this build of the registry has no TLS: give an http address, \
                            such as that of a proxy that adds TLS"
                    .to_owned());
            }
            other => return Err(format!("the endpoint's scheme is {other}: only http is called")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the endpoint has a user name or password in it: everybody who reads the registry would see \
                        it; take it out"
                .to_owned());
        }
        self.rules.check(&url).map_err(|forbidden| format!("the endpoint may not be called: {forbidden}"))?;
        Ok(url)
    }
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::model::{ToolName, Version};
    use serde_json::json;

    /// Allows the servers of tests, and short answers.
    pub fn policy() -> Policy {
        Policy { allow_loopback: true, allow_private: false, allow: Vec::new(), response_bytes_max: 1_000 }
    }

    /// A call by HTTP.
    pub fn sending(endpoint: &str) -> Sending {
        Sending {
            endpoint: endpoint.to_owned(),
            transport: ToolTransport::Http,
            tool: ToolKey { name: ToolName::try_new("add").unwrap(), version: Version::try_new("1.2.0").unwrap() },
            arguments: Arc::new(json!({"a": 1, "b": 2})),
            invocation: Uuid::from_u128(7),
            attempt: 2,
            caller: "alice".to_owned(),
            correlation_id: "c-1 \r\nX-Evil: 1".to_owned(),
            trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok(),
            deadline: "2026-11-22T12:00:30Z".parse().unwrap(),
            timeout: Duration::from_secs(5),
        }
    }

    /// Serves until the test ends; answers with the address.
    pub async fn serve(router: axum::Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }
}
