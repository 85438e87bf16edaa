//! One connection: a single task that reads, has operations answer, and writes.

use super::super::Parts;
use super::super::answer::coded_error;
use super::super::identity::{admit, caller_of_init};
use super::close::{CLOSE_WAIT, Close};
use super::operations::Operations;
use super::protocol::{Misread, Operation, Protocol, Said};
use super::replies::Replies;
use super::work;
use crate::graphql::Caller;
use axum::extract::ws::{Message, WebSocket};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// How long a peer may say nothing before it is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How often a client is told that the connection stands, where the protocol has a message for that. Its own clients
/// take a connection for lost after 30 seconds without.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How long a peer may say nothing at all, not even that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// How many messages are read before what they brought about is written.
const READ_AT_ONCE: usize = 32;
/// How many frames leave in one flush at most.
const FLUSHED_AT_ONCE: usize = 256;
/// How long a connection that ends may take to say so.
const ENDING_WAIT: Duration = Duration::from_secs(2);
/// How long one may that read nothing before: so long it can still be told where to go on.
const STALLED_WAIT: Duration = Duration::from_secs(30);

/// A connection.
pub(super) struct Connection {
    socket: WebSocket,
    parts: Arc<Parts>,
    caller: Caller,
    protocol: Protocol,
    acknowledged: bool,
    replies: Replies,
    /// How many of them the metrics know of.
    waiting: i64,
    operations: Operations,
    /// Whether something was written that may not have left.
    unflushed: bool,
    /// Since when the socket takes nothing.
    stalled: Option<Instant>,
    opened: Instant,
    heard: Instant,
    tick: Instant,
    timer: Pin<Box<Sleep>>,
    /// Done when the server is about to stop; gone once that is known.
    stopping: Option<BoxFuture<'static, ()>>,
    /// How it ends once everything is said, and how long that may take.
    ending: Option<(Close, Instant)>,
}

impl Connection {
    /// Serves a websocket until it ends.
    pub(super) async fn serve(socket: WebSocket, parts: Arc<Parts>, caller: Caller, protocol: Protocol) {
        let _open = parts.open.clone();
        let metrics = parts.metrics.clone();
        let _counted = metrics.connections.opened("websocket");
        let mut stop = parts.stopping.clone();
        let stopping = async move {
            // Ends as well where whoever would say so is gone.
            let _ = stop.wait_for(|stopping| *stopping).await;
        };
        let now = Instant::now();
        let mut connection = Box::new(Connection {
            socket,
            parts,
            caller,
            protocol,
            acknowledged: false,
            replies: Replies::default(),
            waiting: 0,
            operations: Operations::new(protocol),
            unflushed: false,
            stalled: None,
            opened: now,
            heard: now,
            tick: now + tick_of(protocol),
            timer: Box::pin(sleep_until(now)),
            stopping: Some(stopping.boxed()),
            ending: None,
        });
        let close = poll_fn(|context| connection.drive(context)).await;
        let Connection { mut socket, mut replies, waiting, operations, .. } = *connection;
        metrics.connections.queued.dec_by(waiting);
        drop(operations);
        let said = async {
            while let Some(message) = replies.pop() {
                socket.feed(message).await?;
            }
            Ok::<_, axum::Error>(())
        };
        match (timeout(CLOSE_WAIT, said).await, close) {
            (Ok(Ok(())), Some(close)) => close.send(socket).await,
            // The peer's own close is answered in kind (RFC 6455, 5.5.1): the library has the answer ready.
            (Ok(Ok(())), None) => _ = timeout(CLOSE_WAIT, socket.close()).await,
            // It reads nothing.
            _ => {}
        }
    }

    /// One round: reads, writes, flushes. Done with why the connection ends, if not by the peer.
    fn drive(&mut self, context: &mut Context<'_>) -> Poll<Option<Close>> {
        self.operations.ready().connection.register(context.waker());
        if self.stopping.as_mut().is_some_and(|stopping| stopping.poll_unpin(context).is_ready()) {
            self.stopping = None;
            let close = Close::new(1001, "The registry is shutting down: connect again later");
            self.end("the registry is shutting down", close, ENDING_WAIT);
        }
        let (paused, mut more) = match self.read(context) {
            Ok(read) => read,
            Err(close) => return Poll::Ready(close),
        };
        let written = self.write(context);
        self.count_waiting();
        let Ok(unfinished) = written else { return Poll::Ready(None) };
        more |= unfinished || (paused && !self.is_full());
        if let Poll::Ready(close) = self.look_at_clock(context) {
            return Poll::Ready(Some(close));
        }
        if let Some((close, _)) = &self.ending
            && self.replies.is_empty()
            && self.operations.is_over()
            && !self.unflushed
        {
            return Poll::Ready(Some(close.clone()));
        }
        if more {
            // Others have their turn first.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Whether so much waits for the peer that nothing more is read.
    fn is_full(&self) -> bool {
        self.replies.is_full() || self.operations.is_full()
    }

    /// Ends every subscription and, when that is said, the connection; how many subscriptions.
    fn end(&mut self, reason: &'static str, close: Close, wait: Duration) -> usize {
        self.ending = Some((close, Instant::now() + wait));
        self.operations.end_all(reason, &mut self.replies)
    }

    /// Takes what the peer has said; whether it stopped because too much waits, and whether there may be more. `Err`
    /// is the end.
    fn read(&mut self, context: &mut Context<'_>) -> Result<(bool, bool), Option<Close>> {
        for _ in 0..READ_AT_ONCE {
            if self.is_full() {
                return Ok((true, false));
            }
            let Poll::Ready(received) = self.socket.poll_next_unpin(context) else { return Ok((false, false)) };
            self.heard = Instant::now();
            match received {
                Some(Ok(Message::Text(text))) => self.receive(&text)?,
                Some(Ok(Message::Binary(_))) => return Err(Some(Close::invalid("messages are text"))),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Err(None),
                // Too large, not UTF-8, or the connection broke: said where it still can be.
                Some(Err(error)) => return Err(Close::of(error)),
            }
        }
        Ok((false, true))
    }

    /// Writes what there is, as far as the socket takes it; whether there is more.
    fn write(&mut self, context: &mut Context<'_>) -> Result<bool, axum::Error> {
        let mut left = FLUSHED_AT_ONCE;
        let mut blocked = false;
        loop {
            match self.socket.poll_ready_unpin(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    blocked = true;
                    break;
                }
            }
            if left == 0 {
                break;
            }
            let Some(message) = self.replies.pop().or_else(|| self.operations.next()) else { break };
            self.socket.start_send_unpin(message)?;
            self.unflushed = true;
            left -= 1;
        }
        if self.unflushed {
            match self.socket.poll_flush_unpin(context) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.unflushed = false;
                }
                Poll::Pending => blocked = true,
            }
        }
        self.stalled = if blocked { self.stalled.or_else(|| Some(Instant::now())) } else { None };
        self.parts.metrics.connections.frames.inc_by((FLUSHED_AT_ONCE - left) as u64);
        Ok(left == 0 && !blocked)
    }

    /// Tells the metrics what waits here.
    fn count_waiting(&mut self) {
        let waiting = self.replies.len() as i64;
        if waiting != self.waiting {
            self.parts.metrics.connections.queued.inc_by(waiting - self.waiting);
            self.waiting = waiting;
        }
    }

    /// Does what is due, and sets the timer to what is due next.
    fn look_at_clock(&mut self, context: &mut Context<'_>) -> Poll<Close> {
        loop {
            let due = self.due();
            if self.timer.deadline() != due {
                self.timer.as_mut().reset(due);
            }
            if self.timer.poll_unpin(context).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if let Some((close, deadline)) = &self.ending {
                if now >= *deadline {
                    return Poll::Ready(close.clone());
                }
                continue;
            }
            if !self.acknowledged && now >= self.opened + self.parts.limits.init_wait {
                return Poll::Ready(Close::new(4408, "Connection initialisation timeout"));
            }
            if self.stalled.is_some_and(|since| now >= since + self.parts.limits.stall_wait) {
                tracing::info!(peer = self.caller.actor.address, "a websocket takes nothing and is ended");
                let close = Close::new(1013, "Nothing was read for too long: connect again to go on");
                let ended = self.end("nothing was read for too long", close, STALLED_WAIT);
                self.parts.metrics.connections.overflows.inc_by(ended as u64);
            }
            if now >= self.tick {
                self.tick = now + tick_of(self.protocol);
                if self.heard.elapsed() > SILENCE_MAX {
                    return Poll::Ready(Close::new(1001, "Nothing was heard for too long"));
                }
                // Where something waits already, the peer is busy enough.
                if self.replies.is_empty() {
                    let ping = self.heard.elapsed() >= PING_EVERY / 2;
                    let ping = ping.then(|| Message::Ping(Default::default()));
                    let keep_alive = self.protocol.keep_alive().filter(|_| self.acknowledged);
                    ping.into_iter().chain(keep_alive).for_each(|message| self.replies.push(message));
                    context.waker().wake_by_ref();
                }
            }
        }
    }

    fn due(&self) -> Instant {
        if let Some((_, deadline)) = &self.ending {
            return *deadline;
        }
        let init = (!self.acknowledged).then(|| self.opened + self.parts.limits.init_wait);
        let stalled = self.stalled.map(|since| since + self.parts.limits.stall_wait);
        [init, stalled].into_iter().flatten().fold(self.tick, Instant::min)
    }

    fn receive(&mut self, text: &str) -> Result<(), Close> {
        match self.protocol.read(text) {
            Ok(Said::Init(payload)) => {
                if self.acknowledged {
                    return Err(self.refuse(Close::new(4429, "Too many initialisation requests")));
                }
                match caller_of_init(&self.parts, &self.caller, payload) {
                    Ok(caller) => self.caller = caller,
                    Err(denied) => return Err(self.refuse(Close::new(4403, denied.message))),
                }
                self.acknowledged = true;
                self.protocol.ack().for_each(|message| self.replies.push(message));
            }
            Ok(Said::Ping(payload)) => self.replies.push(Protocol::pong(payload)),
            Ok(Said::Pong) => {}
            Ok(Said::Begin { id, operation }) => self.begin(id, operation)?,
            Ok(Said::End { id }) => self.operations.end(&id),
            Ok(Said::Leave) => return Err(Close::new(1000, "")),
            Err(Misread::Close(close)) => return Err(close),
            Err(Misread::Reply(message)) => self.replies.push(message),
        }
        Ok(())
    }

    /// The connection is refused: said as the protocol does, before it is closed.
    fn refuse(&mut self, close: Close) -> Close {
        if let Some(message) = self.protocol.refusal(close.reason()) {
            self.replies.push(message);
        }
        close
    }

    fn begin(&mut self, id: Arc<str>, operation: Operation<'_>) -> Result<(), Close> {
        if !self.acknowledged {
            return Err(self.refuse(Close::new(4401, "Unauthorized")));
        }
        if self.operations.has(&id) {
            match self.protocol {
                Protocol::Modern => return Err(Close::new(4409, format!("Subscriber for {id} already exists"))),
                // Here the later one takes the place of the earlier.
                Protocol::Legacy => self.operations.end(&id),
            }
        }
        let limit = self.parts.limits.operations_max;
        // A request that crosses the end of its connection is not at fault: it is to be sent again, not given up.
        let ending = self.operations.refusal();
        let refused = if ending.is_some() {
            ending
        } else if self.operations.len() >= limit {
            Some(coded_error(format!("this connection runs {limit} operations, which is the most")))
        } else {
            admit(&self.parts, &self.caller).err().map(|denied| denied.into_error())
        };
        if let Some(error) = refused {
            let id = serde_json::Value::from(&*id).to_string();
            self.replies.push(self.protocol.error(&id, &[error]));
            return Ok(());
        }
        let beginning = work::begin(&self.parts.documents, &self.caller, operation, self.operations.ready());
        self.operations.begin(id, beginning, &mut self.replies);
        Ok(())
    }
}

fn tick_of(protocol: Protocol) -> Duration {
    match protocol {
        Protocol::Modern => PING_EVERY,
        Protocol::Legacy => KEEP_ALIVE_EVERY,
    }
}
