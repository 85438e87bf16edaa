//! One websocket for many operations: queries, mutations and subscriptions side by side.
//!
//! One task owns the socket. What waits to be written leaves in one flush; what comes is handed to the operation that
//! its id names. A subscription whose reader is slow fills its queue and then holds the whole connection up, so that
//! nothing piles up here and the registry notices; who reads at leisure takes a connection of its own
//! ([`Client::subscribe`]).

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::stream::{SplitSink, SplitStream, Stream};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::error::{Error, Refusal};
use super::query::Answer;
use super::socket::{self, Ended, Incoming, QUIET_MAX, Socket};
use super::{CONNECT_WITHIN, Client, Inner};

/// How many messages may wait to be written; who has one more waits with it.
const UNWRITTEN_MAX: usize = 1024;
/// How many messages leave in one flush at most.
const FLUSHED_AT_ONCE: usize = 256;
/// How many events may wait for the reader of one subscription.
const UNREAD_MAX: usize = 256;

const PING: Utf8Bytes = Utf8Bytes::from_static(r#"{"type":"ping"}"#);
const PONG: Utf8Bytes = Utf8Bytes::from_static(r#"{"type":"pong"}"#);

/// A connection to a registry that many operations share. Cheap to clone. It ends with its last clone and its last
/// subscription, and does not come back once it is lost.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Message>,
}

struct Shared {
    inner: Arc<Inner>,
    next_id: AtomicU64,
    waiting: Mutex<Waiters>,
    /// Why it is over; absent while it stands.
    ended: watch::Sender<Option<Ended>>,
}

/// Who waits for what, by the operation's id. `None` once the connection is over: nobody begins to wait then.
type Waiters = Option<HashMap<u64, Waiting>>;

enum Waiting {
    /// For one answer.
    Once(oneshot::Sender<Said>),
    /// For all that come.
    Each(mpsc::Sender<Said>),
}

/// What the registry said to an operation. That the connection ended is not among it: then nothing more comes.
enum Said {
    /// The text of a GraphQL answer.
    Next(Box<RawValue>),
    /// The text of a list of errors, which is the operation's end.
    Error(Box<RawValue>),
    Complete,
}

/// What this side says of an operation.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outgoing<'a> {
    Subscribe { id: String, payload: Operation<'a> },
    Complete { id: String },
}

#[derive(Serialize)]
struct Operation<'a> {
    query: &'a str,
    variables: &'a Value,
}

impl Client {
    /// Opens a websocket for many operations.
    ///
    /// # Errors
    /// Where no connection comes about, or the registry refuses it.
    pub async fn connect(&self) -> Result<Connection, Error> {
        let opened = timeout(CONNECT_WITHIN, socket::open(&self.inner)).await;
        let socket = opened.map_err(|elapsed| self.inner.unreachable(elapsed.into()))??;
        Ok(Connection::over(socket, self.inner.clone()))
    }
}

impl Connection {
    fn over(socket: Socket, inner: Arc<Inner>) -> Self {
        let (outgoing, unwritten) = mpsc::channel(UNWRITTEN_MAX);
        let shared = Arc::new(Shared {
            inner,
            next_id: AtomicU64::new(1),
            waiting: Mutex::new(Some(HashMap::new())),
            ended: watch::Sender::new(None),
        });
        let (sink, stream) = socket.split();
        // The reader answers pings, and must not keep the connection open by that.
        let reader = Reader { stream, shared: shared.clone(), outgoing: outgoing.downgrade() };
        let writing = write(sink, unwritten);
        tokio::spawn({
            let shared = shared.clone();
            async move {
                let ended = tokio::select! {
                    ended = reader.run() => ended,
                    ended = writing => ended,
                };
                shared.end(ended);
            }
        });
        Self { shared, outgoing }
    }

    /// Asks the registry, by a query or a mutation. The answer is waited for as long as the connection stands.
    ///
    /// # Errors
    /// [`Error::Refused`] where the answer holds errors, even beside data; the others where there is no answer.
    pub async fn query<T: DeserializeOwned>(&self, document: &str, variables: Value) -> Result<T, Error> {
        let (sender, answer) = oneshot::channel();
        self.begin(Waiting::Once(sender), document, &variables).await?;
        let said = answer.await.map_err(|_| self.shared.error())?;
        match self.shared.understand(said) {
            Some(item) => item,
            None => Err(self.shared.inner.not_a_registry("a websocket message without data or errors".to_owned())),
        }
    }

    /// Follows the registry. The stream ends when the registry says that it is complete; a connection that breaks is an
    /// error, and the stream's last item. Dropping the stream ends the subscription.
    ///
    /// # Errors
    /// Where the connection is over. What the registry refuses is an item of the stream.
    pub async fn subscribe<T: DeserializeOwned>(
        &self,
        document: &str,
        variables: Value,
    ) -> Result<Subscription<T>, Error> {
        let (sender, said) = mpsc::channel(UNREAD_MAX);
        let id = self.begin(Waiting::Each(sender), document, &variables).await?;
        Ok(Subscription { connection: self.clone(), id, said, over: false, item: PhantomData })
    }

    /// Waits until the connection is over, and says why.
    pub async fn ended(&self) -> Error {
        // An error means that nobody can say any more: the connection's task is gone, and so the connection.
        let _ = self.shared.ended.subscribe().wait_for(Option::is_some).await;
        self.shared.error()
    }

    async fn begin(&self, waiting: Waiting, document: &str, variables: &Value) -> Result<u64, Error> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let payload = Operation { query: document, variables };
        let message = Outgoing::Subscribe { id: id.to_string(), payload }.message();
        // From here on nothing is waited for, so that who waits for an answer has asked.
        let Ok(place) = self.outgoing.reserve().await else { return Err(self.shared.error()) };
        match &mut *self.shared.waiting() {
            Some(waiters) => waiters.insert(id, waiting),
            None => return Err(self.shared.error()),
        };
        place.send(message);
        Ok(id)
    }
}

impl Outgoing<'_> {
    fn message(&self) -> Message {
        // Strings and JSON values can always be written.
        Message::text(serde_json::to_string(self).unwrap_or_default())
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiters> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says to all operations that nothing more comes.
    fn end(&self, ended: Ended) {
        self.ended.send_replace(Some(ended));
        // Dropping their ends tells those that wait.
        self.waiting().take();
    }

    fn error(&self) -> Error {
        self.ended.borrow().as_ref().unwrap_or(&Ended::silently()).error(&self.inner)
    }

    /// What was said, as its reader wants it; `None` where it is nothing that GraphQL says.
    fn understand<T: DeserializeOwned>(&self, said: Said) -> Option<Result<T, Error>> {
        match said {
            Said::Next(answer) => match serde_json::from_str::<Answer>(answer.get()) {
                Ok(answer) => self.inner.open(answer),
                Err(error) => Some(Err(self.inner.malformed(error))),
            },
            Said::Error(errors) => match serde_json::from_str::<Vec<Refusal>>(errors.get()) {
                Ok(errors) => Error::refused(errors).map(Err),
                Err(error) => Some(Err(self.inner.malformed(error))),
            },
            Said::Complete => None,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.shared.inner.address.shown).finish_non_exhaustive()
    }
}

/// Writes what waits until nobody is left who could have more.
async fn write(mut sink: SplitSink<Socket, Message>, mut unwritten: mpsc::Receiver<Message>) -> Ended {
    let mut messages = Vec::with_capacity(FLUSHED_AT_ONCE);
    while unwritten.recv_many(&mut messages, FLUSHED_AT_ONCE).await > 0 {
        for message in messages.drain(..) {
            if let Err(error) = sink.feed(message).await {
                return Ended::broken(error);
            }
        }
        if let Err(error) = sink.flush().await {
            return Ended::broken(error);
        }
    }
    // The registry sees the end of the connection in any case.
    let _ = timeout(CONNECT_WITHIN, sink.close()).await;
    Ended::here()
}

/// The side that listens.
struct Reader {
    stream: SplitStream<Socket>,
    shared: Arc<Shared>,
    outgoing: mpsc::WeakSender<Message>,
}

impl Reader {
    async fn run(mut self) -> Ended {
        let mut quiet = interval(QUIET_MAX);
        quiet.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut asked) = (true, false);
        loop {
            tokio::select! {
                biased;
                received = self.stream.next() => {
                    (heard, asked) = (true, false);
                    match Ended::or_text(received) {
                        Ok(Some(text)) => if let Err(ended) = self.take(&text).await {
                            return ended;
                        },
                        Ok(None) => {}
                        Err(ended) => return ended,
                    }
                }
                _ = quiet.tick() => match (std::mem::replace(&mut heard, false), asked) {
                    (true, _) => {}
                    (false, true) => return Ended::quiet(),
                    (false, false) => {
                        asked = true;
                        self.say(Message::Text(PING));
                    }
                },
            }
        }
    }

    /// Hands a message on.
    async fn take(&self, text: &str) -> Result<(), Ended> {
        let Incoming { kind, id, payload } = Incoming::parse(text)?;
        let id = id.and_then(|id| id.parse().ok()).unwrap_or_default();
        let payload = || payload.unwrap_or(RawValue::NULL).to_owned();
        match &*kind {
            "next" => self.hand_over(id, Said::Next(payload()), false).await,
            "error" => self.hand_over(id, Said::Error(payload()), true).await,
            "complete" => self.hand_over(id, Said::Complete, true).await,
            "ping" => self.say(Message::Text(PONG)),
            _ => {}
        }
        Ok(())
    }

    async fn hand_over(&self, id: u64, said: Said, is_last: bool) {
        let reader = match &mut *self.shared.waiting() {
            Some(waiters) => match waiters.get(&id) {
                Some(Waiting::Each(reader)) if !is_last => Some(Waiting::Each(reader.clone())),
                Some(_) => waiters.remove(&id),
                None => None,
            },
            None => None,
        };
        let left = match reader {
            Some(Waiting::Once(reader)) => reader.send(said).is_err(),
            Some(Waiting::Each(reader)) => reader.send(said).await.is_err(),
            None => true,
        };
        // Who left said so, unless too much was waiting to be written then.
        if left && !is_last {
            self.say(Outgoing::Complete { id: id.to_string() }.message());
        }
    }

    /// Says it, unless too much waits to be written: all that is said from here can be left out once.
    fn say(&self, message: Message) {
        if let Some(outgoing) = self.outgoing.upgrade() {
            let _ = outgoing.try_send(message);
        }
    }
}

/// The events of a subscription that shares its connection.
pub struct Subscription<T> {
    connection: Connection,
    id: u64,
    said: mpsc::Receiver<Said>,
    over: bool,
    item: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Stream for Subscription<T> {
    type Item = Result<T, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let shared = &this.connection.shared;
        while !this.over {
            let said = ready!(this.said.poll_recv(context));
            this.over = !matches!(said, Some(Said::Next(_)));
            let item = match said {
                Some(said) => shared.understand(said),
                None => Some(Err(shared.error())),
            };
            if item.is_some() {
                return Poll::Ready(item);
            }
        }
        Poll::Ready(None)
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        let is_open = match &mut *self.connection.shared.waiting() {
            Some(waiters) => waiters.remove(&self.id).is_some(),
            None => false,
        };
        if is_open {
            // Where too much waits to be written, the next event finds nobody, and this is said then.
            let _ = self.connection.outgoing.try_send(Outgoing::Complete { id: self.id.to_string() }.message());
        }
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("connection", &self.connection).finish_non_exhaustive()
    }
}
