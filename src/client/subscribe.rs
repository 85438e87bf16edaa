//! Following the registry: GraphQL subscriptions over a websocket, by the graphql-transport-ws protocol
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! One connection carries one subscription. That wastes the protocol's multiplexing, and buys that a slow reader holds
//! up nobody else, that dropping the stream ends everything, and that this file stays small.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use futures_util::{SinkExt, StreamExt};
use reqwest::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::error::{Error, Refusal};
use super::query::Answer;
use super::{CONNECT_WITHIN, Client, Inner};

const PROTOCOL: &str = "graphql-transport-ws";
/// The one subscription's name on its connection.
const ID: &str = "1";
/// After this long without a word the registry is asked whether it is still there; after as long again it is taken for
/// lost. Without asking, a registry whose machine vanished would be waited for for ever.
const QUIET_MAX: Duration = Duration::from_secs(20);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Client {
    /// Follows the registry. The stream ends when the registry says that it is complete; a connection that breaks is an
    /// error, and the stream's last item. Dropping the stream ends the subscription.
    ///
    /// # Errors
    /// Where no connection comes about, or the registry refuses it. What it refuses later is an item of the stream.
    pub async fn subscribe<T>(
        &self,
        document: &str,
        variables: Value,
    ) -> Result<impl Stream<Item = Result<T, Error>> + Send + Unpin + use<T>, Error>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let connected = timeout(CONNECT_WITHIN, Live::connect(self.inner.clone(), document, variables)).await;
        let live = connected.map_err(|elapsed| self.inner.unreachable(elapsed.into()))??;
        Ok(stream::unfold(Some(live), |live| async {
            let mut live = live?;
            match live.step().await {
                Step::Item(item) => Some((item, Some(live))),
                Step::Last(error) => Some((Err(error), None)),
                Step::End => None,
            }
        })
        .boxed())
    }
}

/// A connection with its subscription on it.
struct Live {
    inner: Arc<Inner>,
    socket: Socket,
    /// A ping is out and nothing has come since.
    asked: bool,
}

/// What a subscription does next.
enum Step<T> {
    /// An event, or the refusal of one; more may follow.
    Item(Result<T, Error>),
    /// The end, by an error.
    Last(Error),
    /// The end, as the registry wished.
    End,
}

/// A message from the registry. Types that this program does not know are passed over, as the protocol may grow.
#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// How a registry closed the connection.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("the registry closed it with code {code}: {reason}")]
    Told { code: u16, reason: String },
    #[error("it was closed without a word")]
    Silently,
    #[error("nothing came for {} seconds", 2 * QUIET_MAX.as_secs())]
    Quiet,
}

impl Live {
    async fn connect(inner: Arc<Inner>, document: &str, variables: Value) -> Result<Self, Error> {
        let mut request =
            inner.address.socket.as_str().into_client_request().map_err(|error| inner.unreachable(error.into()))?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
        if let Some(token) = &inner.token {
            request.headers_mut().insert(AUTHORIZATION, token.header.clone());
        }
        let (socket, _) =
            tokio_tungstenite::connect_async(request).await.map_err(|error| not_connected(&inner, error))?;
        let payload = inner.token.as_ref().map_or(json!({}), |token| json!({"Authorization": token.text}));

        let mut live = Self { inner, socket, asked: false };
        live.send(json!({"type": "connection_init", "payload": payload})).await?;
        live.wait_for_ack().await?;
        let subscription = json!({"query": document, "variables": variables});
        live.send(json!({"id": ID, "type": "subscribe", "payload": subscription})).await?;
        Ok(live)
    }

    async fn wait_for_ack(&mut self) -> Result<(), Error> {
        loop {
            let text = self.receive().await?;
            match self.parse(&text)?.kind.as_str() {
                "connection_ack" => return Ok(()),
                "ping" => self.pong().await?,
                _ => {}
            }
        }
    }

    async fn step<T: DeserializeOwned>(&mut self) -> Step<T> {
        match self.event().await {
            Ok(Some(item)) => Step::Item(item),
            Ok(None) => Step::End,
            Err(error) => Step::Last(error),
        }
    }

    /// The next event; `None` at the end. The outer error ends the subscription, the inner one does not.
    async fn event<T: DeserializeOwned>(&mut self) -> Result<Option<Result<T, Error>>, Error> {
        loop {
            let text = self.receive().await?;
            let message = self.parse(&text)?;
            let payload = message.payload.map_or("null", RawValue::get);
            match message.kind.as_str() {
                "next" => {
                    let answer: Answer = serde_json::from_str(payload).map_err(|error| self.inner.malformed(error))?;
                    if let Some(item) = self.inner.open(answer) {
                        return Ok(Some(item));
                    }
                }
                "error" => {
                    let errors: Vec<Refusal> =
                        serde_json::from_str(payload).map_err(|error| self.inner.malformed(error))?;
                    let unsaid = || self.inner.lost(Closed::Silently.into());
                    return Err(Error::refused(errors).unwrap_or_else(unsaid));
                }
                "complete" => {
                    // The subscription is over either way; a close that fails changes nothing.
                    let _ = self.socket.close(None).await;
                    return Ok(None);
                }
                "ping" => self.pong().await?,
                _ => {}
            }
        }
    }

    fn parse<'a>(&self, text: &'a str) -> Result<Incoming<'a>, Error> {
        serde_json::from_str(text).map_err(|error| self.inner.malformed(error))
    }

    /// The next text from the registry, which is asked for a sign of life when it has been quiet.
    async fn receive(&mut self) -> Result<tungstenite::Utf8Bytes, Error> {
        loop {
            let Ok(received) = timeout(QUIET_MAX, self.socket.next()).await else {
                if self.asked {
                    return Err(self.inner.lost(Closed::Quiet.into()));
                }
                self.asked = true;
                self.send(json!({"type": "ping"})).await?;
                continue;
            };
            self.asked = false;
            match received {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(frame))) => return Err(closed(&self.inner, frame)),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.inner.lost(io_or(error))),
                None => return Err(self.inner.lost(Closed::Silently.into())),
            }
        }
    }

    async fn pong(&mut self) -> Result<(), Error> {
        self.send(json!({"type": "pong"})).await
    }

    async fn send(&mut self, message: Value) -> Result<(), Error> {
        let sent = self.socket.send(Message::text(message.to_string())).await;
        sent.map_err(|error| self.inner.lost(io_or(error)))
    }
}

/// Why a websocket did not come about: nobody there, no entry, or somebody else.
fn not_connected(inner: &Inner, error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Io(error) => inner.unreachable(error.into()),
        tungstenite::Error::Http(response) if matches!(response.status().as_u16(), 401 | 403) => {
            let code = if response.status().as_u16() == 401 { "UNAUTHENTICATED" } else { "PERMISSION_DENIED" };
            no_entry(code, "the registry lets nobody follow it with this token: check --token or ONEX_TOKEN".to_owned())
        }
        tungstenite::Error::Http(response) => inner.not_a_registry(format!("{} to a websocket", response.status())),
        error => inner.not_a_registry(format!("no websocket of {PROTOCOL} ({error})")),
    }
}

/// The protocol's close codes 4401 and 4403 are refusals; everything else is a loss that a new connection may mend.
fn closed(inner: &Inner, frame: Option<CloseFrame>) -> Error {
    let Some(frame) = frame else { return inner.lost(Closed::Silently.into()) };
    let reason = frame.reason.to_string();
    match u16::from(frame.code) {
        4401 => no_entry("UNAUTHENTICATED", reason),
        4403 => no_entry("PERMISSION_DENIED", reason),
        code => inner.lost(Closed::Told { code, reason }.into()),
    }
}

fn no_entry(code: &str, message: String) -> Error {
    let code = Some(code.to_owned());
    let refusal = Refusal { message: message.clone(), code: code.clone(), details: Value::Null, retryable: false };
    Error::Refused { message, code, details: Value::Null, retryable: false, all: vec![refusal] }
}

/// The operating system's word where there is one.
fn io_or(error: tungstenite::Error) -> super::error::Cause {
    match error {
        tungstenite::Error::Io(error) => error.into(),
        error => error.into(),
    }
}
