//! A websocket to a registry, by the graphql-transport-ws protocol
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>): how it comes about, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes, client::IntoClientRequest};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

use super::Inner;
use super::error::{Error, Refusal};

const PROTOCOL: &str = "graphql-transport-ws";
/// After this long without a word the registry is asked whether it is still there; after as long again it is taken for
/// lost. Without asking, a registry whose machine vanished would be waited for for ever.
pub(super) const QUIET_MAX: Duration = Duration::from_secs(20);

/// How much is read at once. The library fills so much with zeros before each reading, and its own 128 KiB is most of
/// the work of a small message.
const READ_BUFFER_BYTES: usize = 8 * 1024;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A message from the registry. Types that this program does not know are passed over, as the protocol may grow.
#[derive(Deserialize)]
pub(super) struct Incoming<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: std::borrow::Cow<'a, str>,
    /// The operation that it belongs to; absent in what concerns the connection.
    #[serde(borrow)]
    pub(super) id: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) payload: Option<&'a RawValue>,
}

impl<'a> Incoming<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Ended> {
        serde_json::from_str(text).map_err(|error| Ended::malformed(&error))
    }
}

/// Why a connection is over. It is told to every operation that was under way, so it can be cloned.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// A new connection may mend it.
    Lost(Arc<dyn std::error::Error + Send + Sync>),
    /// The registry lets nobody in with this token.
    NoEntry { code: &'static str, message: String },
    /// The registry said what this program does not understand.
    Malformed(String),
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
    #[error("this side closed it")]
    Here,
}

impl Ended {
    pub(super) fn silently() -> Self {
        Self::Lost(Arc::new(Closed::Silently))
    }

    pub(super) fn quiet() -> Self {
        Self::Lost(Arc::new(Closed::Quiet))
    }

    /// This side let go of it.
    pub(super) fn here() -> Self {
        Self::Lost(Arc::new(Closed::Here))
    }

    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed(error.to_string())
    }

    /// The protocol's close codes 4401 and 4403 are refusals; everything else is a loss that a new connection may mend.
    fn closed(frame: Option<CloseFrame>) -> Self {
        let Some(frame) = frame else { return Self::silently() };
        let reason = frame.reason.to_string();
        match u16::from(frame.code) {
            // A registry refuses an init, 4403, where it does not know who asks.
            4401 | 4403 => Self::NoEntry { code: "UNAUTHENTICATED", message: reason },
            code => Self::Lost(Arc::new(Closed::Told { code, reason })),
        }
    }

    /// The operating system's word where there is one.
    pub(super) fn broken(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(error) => Self::Lost(Arc::new(error)),
            error => Self::Lost(Arc::new(error)),
        }
    }

    /// The text of a frame; `None` for one that says nothing to this program.
    pub(super) fn or_text(received: Option<Result<Message, tungstenite::Error>>) -> Result<Option<Utf8Bytes>, Self> {
        match received {
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Close(frame))) => Err(Self::closed(frame)),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(Self::broken(error)),
            None => Err(Self::silently()),
        }
    }

    pub(super) fn error(&self, inner: &Inner) -> Error {
        match self {
            Self::Lost(cause) => inner.lost(cause.clone().into()),
            Self::NoEntry { code, message } => no_entry(code, message.clone()),
            Self::Malformed(what) => inner.malformed(serde_json::Error::custom(what)),
        }
    }
}

/// A connection on which the registry has said that operations may come.
pub(super) async fn open(inner: &Inner) -> Result<Socket, Error> {
    let mut request =
        inner.address.socket.as_str().into_client_request().map_err(|error| inner.unreachable(error.into()))?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    if let Some(token) = &inner.token {
        request.headers_mut().insert(AUTHORIZATION, token.header.clone());
    }
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    // Without Nagle's delay: what is small here is urgent.
    let tls = Some(Connector::Rustls(inner.tls.clone()));
    let connected = tokio_tungstenite::connect_async_tls_with_config(request, Some(config), true, tls).await;
    let (mut socket, _) = connected.map_err(|error| not_connected(inner, error))?;
    let payload = inner.token.as_ref().map_or(json!({}), |token| json!({"Authorization": token.text}));
    let greeted = async {
        send(&mut socket, json!({"type": "connection_init", "payload": payload})).await?;
        wait_for_ack(&mut socket).await
    };
    greeted.await.map_err(|ended| ended.error(inner))?;
    Ok(socket)
}

async fn wait_for_ack(socket: &mut Socket) -> Result<(), Ended> {
    loop {
        let received = timeout(2 * QUIET_MAX, socket.next()).await.map_err(|_| Ended::quiet())?;
        let Some(text) = Ended::or_text(received)? else { continue };
        match &*Incoming::parse(&text)?.kind {
            "connection_ack" => return Ok(()),
            "ping" => send(socket, json!({"type": "pong"})).await?,
            _ => {}
        }
    }
}

async fn send(socket: &mut Socket, message: Value) -> Result<(), Ended> {
    socket.send(Message::text(message.to_string())).await.map_err(Ended::broken)
}

/// Why a websocket did not come about: nobody there, no entry, or somebody else.
fn not_connected(inner: &Inner, error: tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Io(error) => inner.unreachable(error.into()),
        tungstenite::Error::Tls(error) => inner.unreachable(error.into()),
        tungstenite::Error::Http(response) if matches!(response.status().as_u16(), 401 | 403) => {
            let code = if response.status().as_u16() == 401 { "UNAUTHENTICATED" } else { "PERMISSION_DENIED" };
            no_entry(code, "the registry lets nobody follow it with this token: check --token or ONEX_TOKEN".to_owned())
        }
        tungstenite::Error::Http(response) => inner.not_a_registry(format!("{} to a websocket", response.status())),
        error => inner.not_a_registry(format!("no websocket of {PROTOCOL} ({error})")),
    }
}

fn no_entry(code: &str, message: String) -> Error {
    let code = Some(code.to_owned());
    let refusal = Refusal { message: message.clone(), code: code.clone(), details: Value::Null, retryable: false };
    Error::Refused { message, code, details: Value::Null, retryable: false, all: vec![refusal] }
}
