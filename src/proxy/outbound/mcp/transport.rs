//! The connection to a server, with chunks taken out in the order in which they came.
//!
//! The MCP library hands each notification to a task of its own, so that two of one call may change places, and the
//! answer may overtake both. Here they pass one by one.

use futures_util::stream::BoxStream;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, GetMeta, JsonRpcMessage, ProgressNotificationParam, ProgressToken,
    ServerJsonRpcMessage, ServerNotification,
};
use rmcp::service::RoleClient;
use rmcp::transport::Transport;
use rmcp::transport::common::client_side_sse::FixedInterval;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
    StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use serde_json::{Value, json};
use sse_stream::Sse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often, and after how long, a stream of answers that broke is asked for again. A server that is gone is known to be
/// so after that; one that goes on tells the rest. Nothing is called again.
const RESUME_TIMES: usize = 2;
const RESUME_AFTER: Duration = Duration::from_millis(100);
/// How many requests are under way at once on one connection: above what a provider is given.
const REQUESTS_MAX: usize = 4_096;
/// The most bytes that are read of what is no answer.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// What the transport may fail with.
pub(super) type Error = StreamableHttpError<reqwest::Error>;

/// What carries the messages.
pub(super) type Connection = InOrder<StreamableHttpClientTransport<Client>>;

/// A connection to a server, not made yet.
pub(super) fn connect(http: reqwest::Client, endpoint: &str, bytes_max: usize) -> Connection {
    let mut resuming = FixedInterval::default();
    resuming.max_times = Some(RESUME_TIMES);
    resuming.duration = RESUME_AFTER;
    let mut config = StreamableHttpClientTransportConfig::with_uri(endpoint)
        .max_concurrent_requests(REQUESTS_MAX)
        .max_json_response_size(bytes_max)
        .max_sse_event_size(bytes_max)
        .max_error_response_size(ERROR_BYTES_MAX)
        // That would answer other calls of the session with errors that look like the server's own.
        .reinit_on_expired_session(false);
    config.retry_config = Arc::new(resuming);
    let inner = StreamableHttpClientTransport::with_client(Client(http), config);
    InOrder { inner, chunks: HashMap::new(), held: None }
}

/// The HTTP client, which gives each answer to the request that it answers.
///
/// A server that cannot read a request, or knows nothing of its session, answers with an error that names no request.
/// The library would pass it by, and the call would wait until its time is over.
#[derive(Clone)]
pub(super) struct Client(reqwest::Client);

type Headers = HashMap<HeaderName, HeaderValue>;

impl StreamableHttpClient for Client {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session, token, headers, limits).await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let asked = match &message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let in_session = session.is_some();
        let response = self.0.post_message_with_response_limits(uri, message, session, token, headers, limits);
        match response.await? {
            StreamableHttpPostResponse::Json(JsonRpcMessage::Error(mut refused), began) if refused.id.is_none() => {
                // The protocol's answer is 404; servers made after the reference server give 400 with these words.
                if in_session && refused.error.message.to_ascii_lowercase().contains("session") {
                    return Err(StreamableHttpError::SessionExpired);
                }
                refused.id = asked;
                Ok(StreamableHttpPostResponse::Json(JsonRpcMessage::Error(refused), began))
            }
            response => Ok(response),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<(), Error> {
        self.0.delete_session(uri, session, token, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Error> {
        self.0.get_stream(uri, session, last_event, token, headers).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: Headers,
        bytes_max: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Error> {
        self.0.get_stream_with_max_sse_event_size(uri, session, last_event, token, headers, bytes_max).await
    }
}

/// Travels with a call, inside this process only: where its chunks go.
#[derive(Clone)]
pub(super) struct Chunks(pub mpsc::Sender<Value>);

/// A transport that takes progress notifications out.
pub(super) struct InOrder<T> {
    inner: T,
    chunks: HashMap<ProgressToken, mpsc::Sender<Value>>,
    /// What was received and has no room yet: receiving may be given up at any point and begun again.
    held: Option<(mpsc::Sender<Value>, Value)>,
}

impl<T: Transport<RoleClient> + 'static> Transport<RoleClient> for InOrder<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        mut item: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if let JsonRpcMessage::Request(message) = &mut item
            && let ClientRequest::CallToolRequest(request) = &mut message.request
            && let Some(Chunks(chunks)) = request.extensions.remove()
            && let Some(token) = message.request.get_meta().get_progress_token()
        {
            self.chunks.retain(|_, chunks| !chunks.is_closed());
            self.chunks.insert(token, chunks);
        }
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            if let Some((chunks, _)) = &self.held {
                let room = chunks.clone().reserve_owned().await;
                if let (Ok(room), Some((_, value))) = (room, self.held.take()) {
                    room.send(value);
                }
            }
            match self.inner.receive().await? {
                JsonRpcMessage::Notification(message) => match message.notification {
                    ServerNotification::ProgressNotification(progress) => {
                        let chunks = self.chunks.get(&progress.params.progress_token).cloned();
                        self.held = chunks.map(|chunks| (chunks, chunk(progress.params)));
                    }
                    _ => return Some(JsonRpcMessage::Notification(message)),
                },
                message => return Some(message),
            }
        }
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

/// A progress notification as a chunk: without the token, which means nothing to the caller.
fn chunk(progress: ProgressNotificationParam) -> Value {
    let mut chunk = json!({"progress": progress.progress});
    if let Some(total) = progress.total {
        chunk["total"] = json!(total);
    }
    if let Some(message) = progress.message {
        chunk["message"] = json!(message);
    }
    chunk
}
