//! The GraphQL client of the command line, and of Rust programs that talk to a registry.
//!
//! [`Client::query`] asks over HTTP; [`Client::subscribe`] follows over a websocket; [`Client::connect`] gives a
//! websocket that many operations share. All speak TLS where the address is https. Environment proxies are left aside,
//! since the websocket could not go through them: all ways reach the same place or none does.
//!
//! What it never does: try again. Only the caller knows whether a request may be repeated; [`Error::is_lost`] tells
//! when that could help. A [`node`] is such a caller: it offers tools, and keeps itself connected.

mod address;
mod connection;
mod error;
pub mod node;
mod page;
mod query;
mod socket;
mod subscribe;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::header::HeaderValue;
use rustls::ClientConfig;

use address::Address;
pub use connection::{Connection, Subscription};
pub use error::{Error, Refusal};
pub use page::Page;
pub use tls::Certificates;

/// How long a registry may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection is kept that nothing is asked on: less than a registry keeps it, so that none is taken up again
/// while the other side closes it.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long one answer may take, from the request to its last byte.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A registry to ask. Cheap to clone; the clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

type HttpClient = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

struct Inner {
    address: Address,
    http: HttpClient,
    tls: Arc<ClientConfig>,
    token: Option<Token>,
}

/// The token in both of its forms: a header of a request, and text in a websocket's first message.
struct Token {
    header: HeaderValue,
    text: String,
}

impl Client {
    /// A client of the registry at `server`, such as `http://127.0.0.1:4000`. Connects to nothing yet.
    ///
    /// # Errors
    /// Where the address cannot be one of a registry, or the token cannot stand in a header.
    pub fn try_new(server: &str, token: Option<String>) -> Result<Self, Error> {
        Self::try_with(server, token, &Certificates::default())
    }

    /// As [`Client::try_new`], with certificates for an https address.
    ///
    /// # Errors
    /// As there, and where the certificates cannot be used.
    pub fn try_with(server: &str, token: Option<String>, certificates: &Certificates) -> Result<Self, Error> {
        let address = Address::try_new(server)?;
        let token = token.filter(|token| !token.is_empty()).map(Token::try_new).transpose()?;
        let tls = tls::config(certificates, address.is_secret)?;
        // It follows no redirect: a redirected POST would take the token along to wherever that points.
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(connector(&tls));
        Ok(Self { inner: Arc::new(Inner { address, http, tls, token }) })
    }

    /// The same registry, asked without a token.
    pub fn without_token(&self) -> Self {
        let Inner { address, http, tls, .. } = &*self.inner;
        Self { inner: Arc::new(Inner { address: address.clone(), http: http.clone(), tls: tls.clone(), token: None }) }
    }

    /// The host of the registry's address.
    pub fn host(&self) -> &str {
        self.inner.address.http.host_str().unwrap_or_default()
    }

    /// The port of the registry's address.
    pub fn port(&self) -> u16 {
        self.inner.address.http.port_or_known_default().unwrap_or_default()
    }

    /// The registry's address, as errors show it.
    pub fn address(&self) -> &str {
        &self.inner.address.shown
    }
}

fn connector(tls: &ClientConfig) -> HttpsConnector<HttpConnector> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_WITHIN));
    HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http().enable_http1().wrap_connector(tcp)
}

/// Leaves the token out: what is printed for debugging ends up in logs.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("address", &self.inner.address.shown).finish_non_exhaustive()
    }
}

impl Token {
    fn try_new(token: String) -> Result<Self, Error> {
        let text = format!("Bearer {token}");
        let mut header = HeaderValue::from_str(&text).map_err(|_| Error::BadToken)?;
        header.set_sensitive(true);
        Ok(Self { header, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_with_a_line_break_is_refused() {
        assert!(matches!(Client::try_new("http://localhost:1", Some("a\nb".into())), Err(Error::BadToken)));
    }

    #[test]
    fn debug_output_has_no_token() {
        let client = Client::try_new("http://localhost:1", Some("secret".into())).unwrap();
        assert!(!format!("{client:?}").contains("secret"));
    }
}
