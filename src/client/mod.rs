//! The GraphQL client of the command line, and of Rust programs that talk to a registry.
//!
//! [`Client::query`] asks over HTTP; [`Client::subscribe`] follows over a websocket; [`Client::connect`] gives a
//! websocket that many operations share. All speak plain HTTP: this build has no TLS, so a registry on another network
//! sits behind a proxy that has. Environment proxies are left aside, since the websocket could not go through them: all
//! ways reach the same place or none does.
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

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;

use address::Address;
pub use connection::{Connection, Subscription};
pub use error::{Error, Refusal};
pub use page::Page;

/// How long a registry may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long one answer may take, from the request to its last byte.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A registry to ask. Cheap to clone; the clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    http: reqwest::Client,
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
    /// Where the address cannot be one of a registry, is https, or the token cannot stand in a header.
    pub fn try_new(server: &str, token: Option<String>) -> Result<Self, Error> {
        let address = Address::try_new(server)?;
        let token = token.filter(|token| !token.is_empty()).map(Token::try_new).transpose()?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .no_proxy()
            // A redirected POST becomes a GET and takes the token along to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Error::Setup)?;
        Ok(Self { inner: Arc::new(Inner { address, http, token }) })
    }

    /// The same registry, asked without a token.
    pub fn without_token(&self) -> Self {
        let Inner { address, http, .. } = &*self.inner;
        Self { inner: Arc::new(Inner { address: address.clone(), http: http.clone(), token: None }) }
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
