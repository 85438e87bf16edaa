//! GraphQL over websocket, by the graphql-transport-ws protocol
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>).
//!
//! One task reads, one writes, each operation runs in its own, a call of a tool only once it has to wait. What
//! operations send waits in one bounded queue; an operation whose answer does not fit waits, and a watcher that waits
//! reads on from the log later: nothing piles up, and nothing is lost. Frames that wait leave in one flush.

use super::Parts;
use super::answer::coded_error;
use super::identity::{admit, caller_of_init};
use crate::graphql::{Answer, AtHand, Caller, DirectMutation, DirectSubscription, Documents, Executable, Given, Kind};
use crate::telemetry::Via;
use async_graphql::ServerError;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use axum::response::Response as HttpResponse;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const PROTOCOL: &str = "graphql-transport-ws";
/// How long a client may take to say connection_init.
const INIT_WAIT: Duration = Duration::from_secs(10);
/// How often a silent peer is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long a peer may say nothing at all, not even that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// How many frames may wait for one peer.
const QUEUE_LEN_MAX: usize = 64;
/// How many of those that wait leave in one flush at most.
const FLUSHED_AT_ONCE: usize = 64;
/// How much is read from a socket at once. The library zeroes so much before each read, whatever comes: its own 128 KiB
/// took a third of the processor where many connections say little each.
const READ_BUFFER_BYTES: usize = 8 * 1024;
/// How long a close frame may take to leave.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// The most bytes of a close reason (RFC 6455: 125, less two for the code).
const CLOSE_REASON_LEN_MAX: usize = 123;

pub(super) fn upgrade(upgrade: WebSocketUpgrade, parts: Arc<Parts>, caller: Caller) -> HttpResponse {
    let caller = Caller { via: Via::WebSocket, ..caller };
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(parts.limits.body_bytes_max)
        .max_frame_size(parts.limits.body_bytes_max);
    let spoken = upgrade.selected_protocol().is_some();
    upgrade.on_upgrade(move |socket| async move {
        if spoken {
            Connection::serve(socket, parts, caller).await;
        } else {
            let (sink, _) = socket.split();
            close(sink, Close::new(4406, "Subprotocol not acceptable")).await;
        }
    })
}

/// Why a connection ends.
struct Close {
    code: u16,
    reason: String,
}

impl Close {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason: String = reason.into();
        if reason.len() > CLOSE_REASON_LEN_MAX {
            let end = (0..=CLOSE_REASON_LEN_MAX).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
            reason.truncate(end);
        }
        Close { code, reason }
    }

    fn invalid(reason: impl Into<String>) -> Self {
        Close::new(4400, reason)
    }
}

async fn close(mut sink: SplitSink<WebSocket, Message>, close: Close) {
    let frame = CloseFrame { code: close.code, reason: Utf8Bytes::from(close.reason) };
    // The peer may be gone already.
    let _ = timeout(CLOSE_WAIT, sink.send(Message::Close(Some(frame)))).await;
}

/// What a client says. Its parts are read when it is known what it is, and borrow from the text.
#[derive(Deserialize)]
struct ClientMessage<'a> {
    #[serde(rename = "type")]
    kind: ClientMessageKind,
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClientMessageKind {
    ConnectionInit,
    Ping,
    Pong,
    Subscribe,
    Complete,
}

/// The payload of a subscribe message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Operation<'a> {
    #[serde(borrow)]
    query: Cow<'a, str>,
    #[serde(default, borrow)]
    operation_name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    variables: Option<&'a RawValue>,
    #[serde(default, borrow)]
    extensions: Option<&'a RawValue>,
}

impl Operation<'_> {
    fn given(&self) -> Given<'_> {
        Given {
            query: &self.query,
            operation_name: self.operation_name.as_deref(),
            variables: self.variables,
            extensions: self.extensions,
        }
    }
}

/// A part that is of the wrong kind ends the connection, as the protocol wants.
fn part<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Close> {
    serde_json::from_str(text).map_err(|error| Close::invalid(format!("Invalid message received: {error}")))
}

/// A part that the message must have.
fn needed<'a, T: Deserialize<'a>>(given: Option<&'a RawValue>, name: &str) -> Result<T, Close> {
    match given {
        Some(given) => part(given.get()),
        None => Err(Close::invalid(format!("Invalid message received: {name} is missing"))),
    }
}

/// Only its kind is looked at: what is an object begins as one.
fn object_or_nothing(given: Option<&RawValue>, name: &str) -> Result<(), Close> {
    match given {
        Some(given) if !given.get().starts_with('{') => {
            Err(Close::invalid(format!("Invalid message received: {name} is no object")))
        }
        _ => Ok(()),
    }
}

/// What the server says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerMessage<'a> {
    ConnectionAck,
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a RawValue>,
    },
    Error {
        id: &'a str,
        payload: &'a [ServerError],
    },
    Complete {
        id: &'a str,
    },
}

impl ServerMessage<'_> {
    fn frame(&self) -> Message {
        // Errors are made of text and JSON values, which always can be written.
        Message::Text(serde_json::to_string(self).unwrap_or_default().into())
    }
}

/// What goes to the task that writes.
enum Outgoing {
    Frame(Message),
    Last(Last),
}

/// The last of an operation that ended by itself: its id is free once this has left.
struct Last {
    /// What it answered, where that is known together with its end: so both leave in one flush.
    answer: Option<Message>,
    end: Message,
    id: String,
    number: u64,
}

struct Connection {
    parts: Arc<Parts>,
    caller: Caller,
    outgoing: mpsc::Sender<Outgoing>,
    /// The running operations by id, each with a number of its own.
    operations: HashMap<String, (u64, JoinHandle<()>)>,
    /// Operations that ended by themselves and whose last frame is on its way.
    freed: mpsc::UnboundedReceiver<(String, u64)>,
    started: u64,
    acknowledged: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.operations.values().for_each(|(_, task)| task.abort());
    }
}

impl Connection {
    async fn serve(socket: WebSocket, parts: Arc<Parts>, caller: Caller) {
        let _open = parts.open.clone();
        let _counted = parts.metrics.connections.opened("websocket");
        let (sink, stream) = socket.split();
        let (outgoing, waiting) = mpsc::channel(QUEUE_LEN_MAX);
        // Not bounded by itself, but by the operations: each ends once.
        let (ended, freed) = mpsc::unbounded_channel();
        let mut writer = tokio::spawn(write(sink, waiting, ended));
        let mut connection =
            Connection { parts, caller, outgoing, operations: HashMap::new(), freed, started: 0, acknowledged: false };
        let reason = tokio::select! {
            reason = connection.run(stream) => reason,
            // The peer does not read any more: there is nobody to say anything to.
            _ = &mut writer => return,
        };
        drop(connection);
        let Ok(Ok(mut sink)) = timeout(CLOSE_WAIT, &mut writer).await else { return writer.abort() };
        match reason {
            Some(reason) => close(sink, reason).await,
            // The peer's own close is answered in kind (RFC 6455, 5.5.1): the library has the answer ready.
            None => _ = timeout(CLOSE_WAIT, sink.close()).await,
        }
    }

    /// Reads until the connection ends; answers why, unless the peer ended it.
    async fn run(&mut self, mut stream: SplitStream<WebSocket>) -> Option<Close> {
        let mut stopping = self.parts.stopping.clone();
        // Made once: each new one would take locks that all connections share.
        let mut stopped = pin!(stopped(&mut stopping));
        let mut heard = Instant::now();
        let mut init_deadline = pin!(tokio::time::sleep_until(heard + INIT_WAIT));
        let mut ping = tokio::time::interval_at(heard + PING_EVERY, PING_EVERY);
        loop {
            let received = tokio::select! {
                received = stream.next() => received,
                () = &mut init_deadline, if !self.acknowledged => {
                    return Some(Close::new(4408, "Connection initialisation timeout"));
                }
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Some(Close::new(1001, "Nothing was heard for too long"));
                    }
                    // Where frames wait already, the peer is busy enough.
                    let _ = self.outgoing.try_send(Outgoing::Frame(Message::Ping(Default::default())));
                    continue;
                }
                () = &mut stopped => {
                    return Some(Close::new(1001, "The registry is shutting down: connect again later"));
                }
            };
            heard = Instant::now();
            match received {
                Some(Ok(Message::Text(text))) => {
                    if let Err(reason) = self.receive(&text).await {
                        return Some(reason);
                    }
                }
                Some(Ok(Message::Binary(_))) => return Some(Close::invalid("Messages are text")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) | None => return None,
                // Too large, not UTF-8, or the connection broke: said where it still can be.
                Some(Err(error)) => return Some(Close::new(1002, error.to_string())),
            }
        }
    }

    fn free(&mut self, id: &str, number: u64) {
        if self.operations.get(id).is_some_and(|(current, _)| *current == number) {
            self.operations.remove(id);
        }
    }

    /// Has a frame sent; a peer that takes none for too long is given up.
    async fn send(&self, message: Message) -> Result<(), Close> {
        match timeout(SILENCE_MAX, self.outgoing.send(Outgoing::Frame(message))).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Close::new(1008, "Nothing was read for too long")),
        }
    }

    async fn receive(&mut self, text: &str) -> Result<(), Close> {
        let ClientMessage { kind, id, payload } = part(text)?;
        match kind {
            ClientMessageKind::ConnectionInit => {
                object_or_nothing(payload, "payload")?;
                if self.acknowledged {
                    return Err(Close::new(4429, "Too many initialisation requests"));
                }
                self.caller = caller_of_init(&self.parts, &self.caller, payload)
                    .map_err(|denied| Close::new(4403, denied.message))?;
                self.acknowledged = true;
                self.send(ServerMessage::ConnectionAck.frame()).await?;
            }
            ClientMessageKind::Ping => {
                object_or_nothing(payload, "payload")?;
                self.send(ServerMessage::Pong { payload }.frame()).await?;
            }
            ClientMessageKind::Pong => object_or_nothing(payload, "payload")?,
            ClientMessageKind::Subscribe => self.subscribe(needed(id, "id")?, needed(payload, "payload")?).await?,
            ClientMessageKind::Complete => {
                if let Some((_, task)) = self.operations.remove(&needed::<String>(id, "id")?) {
                    task.abort();
                }
            }
        }
        Ok(())
    }

    async fn subscribe(&mut self, id: String, operation: Operation<'_>) -> Result<(), Close> {
        object_or_nothing(operation.variables, "variables")?;
        object_or_nothing(operation.extensions, "extensions")?;
        if !self.acknowledged {
            return Err(Close::new(4401, "Unauthorized"));
        }
        if id.is_empty() {
            return Err(Close::invalid("Invalid message received: id is empty"));
        }
        // What the client has read the end of is among these. Others stay until the next of its operations: no more
        // than may run at once.
        while let Ok((ended, number)) = self.freed.try_recv() {
            self.free(&ended, number);
        }
        if self.operations.contains_key(&id) {
            return Err(Close::new(4409, format!("Subscriber for {id} already exists")));
        }
        let limit = self.parts.limits.operations_max;
        if self.operations.len() >= limit {
            let error = coded_error(format!("this connection runs {limit} operations, which is the most"));
            return self.send(ServerMessage::Error { id: &id, payload: &[error] }.frame()).await;
        }
        self.started += 1;
        let run = Run {
            id: id.clone(),
            number: self.started,
            documents: self.parts.documents.clone(),
            caller: self.caller.clone(),
            outgoing: self.outgoing.clone(),
        };
        if let Err(denied) = admit(&self.parts, &self.caller) {
            return self.send(ServerMessage::Error { id: &id, payload: &[denied.into_error()] }.frame()).await;
        }
        let given = operation.given();
        let task = match self.parts.documents.at_hand(&given, &self.caller) {
            Some(AtHand::Answer(answer)) => {
                run.finish(&answer).await;
                return Ok(());
            }
            Some(AtHand::Mutation(mutation)) => {
                // Most of it is done by the first look, where it was read: a call is on its way to its provider, and an
                // answer needs no task at all. Others may compute for long, and would hold up the reader.
                let mut answering = Box::pin(run.answer(mutation));
                if (&mut answering).now_or_never().is_some() {
                    return Ok(());
                }
                tokio::spawn(answering)
            }
            Some(AtHand::Subscription(subscription)) => tokio::spawn(run.watch(subscription)),
            None => tokio::spawn(run.run(Owned::of(operation))),
        };
        self.operations.insert(id, (self.started, task));
        Ok(())
    }
}

/// Waits until the server is about to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Ends as well where whoever would say so is gone.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// An operation that outlives the frame it came in.
struct Owned {
    query: String,
    operation_name: Option<String>,
    variables: Option<Box<RawValue>>,
    extensions: Option<Box<RawValue>>,
}

impl Owned {
    fn of(operation: Operation<'_>) -> Self {
        Owned {
            query: operation.query.into_owned(),
            operation_name: operation.operation_name.map(Cow::into_owned),
            variables: operation.variables.map(RawValue::to_owned),
            extensions: operation.extensions.map(RawValue::to_owned),
        }
    }

    fn given(&self) -> Given<'_> {
        Given {
            query: &self.query,
            operation_name: self.operation_name.as_deref(),
            variables: self.variables.as_deref(),
            extensions: self.extensions.as_deref(),
        }
    }
}

/// One operation on its way.
struct Run {
    id: String,
    number: u64,
    documents: Arc<Documents>,
    caller: Caller,
    outgoing: mpsc::Sender<Outgoing>,
}

impl Run {
    async fn run(self, operation: Owned) {
        let executable = match self.documents.prepare(&operation.given(), &self.caller).await {
            Ok(executable) => executable,
            Err(refused) => return self.fail(refused.errors()).await,
        };
        if executable.kind() == Kind::Subscription {
            return self.subscribe(executable).await;
        }
        let answer = self.documents.execute(executable, &self.caller).await;
        self.finish(&answer).await;
    }

    async fn subscribe(self, executable: Executable) {
        let mut answers = self.documents.subscribe(executable, &self.caller);
        let mut first = true;
        while let Some(answer) = answers.next().await {
            // The field refused to begin: that is an error of the operation, not an event of it.
            if first && !answer.has_data() && answer.has_errors() {
                return self.refuse(&answer).await;
            }
            first = false;
            // Refused only once the connection is over.
            let _ = self.outgoing.send(Outgoing::Frame(self.next(&answer))).await;
        }
        self.complete(None).await;
    }

    /// A mutation without the library.
    async fn answer(self, mutation: DirectMutation) {
        let answer = self.documents.answer(mutation, &self.caller).await;
        self.finish(&answer).await;
    }

    /// A subscription without the library.
    async fn watch(self, subscription: DirectSubscription) {
        let mut answers = match self.documents.watch(subscription, &self.caller) {
            Ok(answers) => answers,
            Err(error) => return self.fail(&[error]).await,
        };
        while let Some(answer) = answers.next().await {
            let _ = self.outgoing.send(Outgoing::Frame(self.next(&answer))).await;
        }
        self.complete(None).await;
    }

    fn next(&self, answer: &Answer) -> Message {
        // Text always can be written.
        let id = serde_json::to_string(&self.id).unwrap_or_default();
        let payload = String::from_utf8_lossy(&answer.text);
        Message::Text(format!(r#"{{"type":"next","id":{id},"payload":{payload}}}"#).into())
    }

    /// The answer of what answers once.
    async fn finish(self, answer: &Answer) {
        let answer = self.next(answer);
        self.complete(Some(answer)).await;
    }

    /// An answer of errors alone, as the error of the operation that it is.
    async fn refuse(self, answer: &Answer) {
        #[derive(Deserialize)]
        struct Errors<'a> {
            #[serde(borrow)]
            errors: &'a RawValue,
        }
        let errors = serde_json::from_slice::<Errors<'_>>(&answer.text).map_or("[]", |read| read.errors.get());
        let id = serde_json::to_string(&self.id).unwrap_or_default();
        let end = Message::Text(format!(r#"{{"type":"error","id":{id},"payload":{errors}}}"#).into());
        self.last(None, end).await;
    }

    async fn fail(self, errors: &[ServerError]) {
        let end = ServerMessage::Error { id: &self.id, payload: errors }.frame();
        self.last(None, end).await;
    }

    async fn complete(self, answer: Option<Message>) {
        let end = ServerMessage::Complete { id: &self.id }.frame();
        self.last(answer, end).await;
    }

    async fn last(self, answer: Option<Message>, end: Message) {
        let last = Last { answer, end, id: self.id, number: self.number };
        let _ = self.outgoing.send(Outgoing::Last(last)).await;
    }
}

/// Writes what waits, many frames to a flush; gives the socket back when there is nothing more to come.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut waiting: mpsc::Receiver<Outgoing>,
    ended: mpsc::UnboundedSender<(String, u64)>,
) -> SplitSink<WebSocket, Message> {
    let mut ready = Vec::with_capacity(FLUSHED_AT_ONCE);
    while waiting.recv_many(&mut ready, FLUSHED_AT_ONCE).await > 0 {
        for outgoing in ready.drain(..) {
            let (answer, frame) = match outgoing {
                Outgoing::Frame(frame) => (None, frame),
                // The client may use an id again once it has read of its end: it is free before that can be.
                Outgoing::Last(Last { answer, end, id, number }) => {
                    let _ = ended.send((id, number));
                    (answer, end)
                }
            };
            for frame in answer.into_iter().chain([frame]) {
                if sink.feed(frame).await.is_err() {
                    return sink;
                }
            }
        }
        if sink.flush().await.is_err() {
            return sink;
        }
    }
    sink
}
