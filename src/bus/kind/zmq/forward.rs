//! The middle of the bus: each event gets its place here, one after the other, and goes to whoever subscribed.

use super::calls::Calls;
use super::curve::Keys;
use super::message::{self, Sent};
use super::ring::Ring;
use crate::bus::kind::{Carried, Clock, Failure, Heard, Place};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};

/// How many events wait for their places at most: then publishers do.
pub(super) const INCOMING_MAX: usize = 64;
/// How many events wait for one subscriber at most, as in ZeroMQ unless it is told otherwise; and how many bytes.
pub(super) const WAITING_MAX: usize = 1_000;
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many prefixes one subscriber may ask for, and how long one may be that any topic has.
const PREFIXES_MAX: usize = 1_000;
const PREFIX_BYTES_MAX: usize = crate::model::NAME_LEN_MAX;

/// An event on its way to its place, and who waits to hear of that.
pub(super) struct Incoming {
    sent: Sent,
    answer: Option<oneshot::Sender<Result<Place, Failure>>>,
}

/// What is said to a subscriber.
pub(super) enum Outbound {
    /// An event's frames, which all share.
    Event(Arc<[Bytes]>),
    /// A command.
    Command(Vec<u8>),
}

/// What did not go as it should, since the bus was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Messages that were no events, which nobody got.
    pub malformed: u64,
    /// Events that one subscriber did not get, because too much waited for it.
    pub dropped: u64,
    /// Connections that were not let in, or broke the protocol.
    pub refused: u64,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Counts one, and says so now and then: twice as many each time as the time before.
    pub(super) fn count(&self, what: &str, why: &dyn fmt::Display) {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(count, %why, "{what}");
        }
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A subscriber that is connected.
struct Subscriber {
    prefixes: BTreeSet<Bytes>,
    queue: mpsc::Sender<Outbound>,
    waiting: Arc<AtomicUsize>,
}

impl Subscriber {
    fn wants(&self, topic: &[u8]) -> bool {
        self.prefixes.iter().any(|prefix| topic.starts_with(prefix))
    }

    /// Queues an event; says no where too much waits already.
    fn give(&self, frames: &Arc<[Bytes]>) -> bool {
        let (size, waiting) = (size_of(frames), self.waiting.load(Ordering::Relaxed));
        if waiting > 0 && waiting + size > WAITING_BYTES_MAX {
            return false;
        }
        // Counted first: whoever takes it counts it out again.
        self.waiting.fetch_add(size, Ordering::Relaxed);
        let given = self.queue.try_send(Outbound::Event(frames.clone()));
        if given.is_err() {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
        }
        // One that is gone misses nothing.
        !matches!(given, Err(mpsc::error::TrySendError::Full(_)))
    }
}

fn size_of(frames: &[Bytes]) -> usize {
    frames.iter().map(Bytes::len).sum()
}

/// What is kept, and who listens.
pub(super) struct State {
    pub(super) ring: Ring,
    subscribers: HashMap<u64, Subscriber>,
    subscribers_ever: u64,
    is_closed: bool,
}

/// What a bus and its connections share.
pub(super) struct Shared {
    pub(super) event_bytes_max: usize,
    pub(super) keys: Option<Keys>,
    pub(super) malformed: Counter,
    pub(super) dropped: Counter,
    pub(super) refused: Counter,
    pub(super) calls: Arc<Calls>,
    clock: Clock,
    incoming: mpsc::Sender<Incoming>,
    /// Turns true once.
    stopping: watch::Sender<bool>,
    // Held for one step; nothing waits under it.
    state: Mutex<State>,
}

pub(super) fn closed() -> Failure {
    Failure::Away("the bus is closed".to_owned())
}

impl Shared {
    /// A bus, and what comes in to be carried.
    pub(super) fn new(
        ring: Ring,
        event_bytes_max: usize,
        keys: Option<Keys>,
        clock: Clock,
    ) -> (Arc<Self>, mpsc::Receiver<Incoming>) {
        let (incoming, came) = mpsc::channel(INCOMING_MAX);
        let state = State { ring, subscribers: HashMap::new(), subscribers_ever: 0, is_closed: false };
        let shared = Shared {
            event_bytes_max,
            keys,
            malformed: Counter::default(),
            dropped: Counter::default(),
            refused: Counter::default(),
            calls: Arc::default(),
            clock,
            incoming,
            stopping: watch::Sender::new(false),
            state: Mutex::new(state),
        };
        (Arc::new(shared), came)
    }

    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept now.
    pub(super) fn with_ring<T>(&self, look: impl FnOnce(&Ring) -> T) -> T {
        let now = (self.clock)();
        let mut state = self.held();
        state.ring.prune(now);
        look(&state.ring)
    }

    /// Has the bus end.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Fails where the bus is to end.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if *self.stopping.borrow() { Err(closed()) } else { Ok(()) }
    }

    /// Waits until the bus is to end.
    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        drop(stopping.wait_for(|stopping| *stopping).await);
    }

    pub(super) fn counted(&self) -> Counted {
        Counted { malformed: self.malformed.get(), dropped: self.dropped.get(), refused: self.refused.get() }
    }

    /// Has an event carried, and does not wait for its place. Fails where the bus is closed.
    pub(super) async fn pass(&self, sent: Sent) -> Result<(), Failure> {
        self.incoming.send(Incoming { sent, answer: None }).await.map_err(|_| closed())
    }

    /// Has an event carried, and answers with its place.
    pub(super) async fn publish(&self, sent: Sent) -> Result<Place, Failure> {
        self.check()?;
        let (answer, answered) = oneshot::channel();
        self.incoming.send(Incoming { sent, answer: Some(answer) }).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Carries what comes in until the bus ends, and all of it that came until then.
    pub(super) async fn forward(self: Arc<Self>, mut came: mpsc::Receiver<Incoming>, heard: mpsc::Sender<Heard>) {
        let mut is_stopping = false;
        let mut stopped = pin!(self.stopped());
        loop {
            let next = tokio::select! {
                biased;
                () = &mut stopped, if !is_stopping => {
                    is_stopping = true;
                    came.close();
                    continue;
                }
                next = came.recv() => next,
            };
            let Some(Incoming { sent, answer }) = next else { break };
            let carried = self.carry(sent);
            if let Some(answer) = answer {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(carried.as_ref().map(|carried| carried.place).map_err(Clone::clone));
            }
            match carried {
                // Nobody may want to hear.
                Ok(carried) => drop(heard.send(Heard::Event(carried)).await),
                Err(failure) => self.malformed.count("an event cannot be carried", &failure),
            }
        }
        let mut state = self.held();
        state.is_closed = true;
        // Their queues end with them, once they are empty.
        state.subscribers.clear();
    }

    fn carry(&self, sent: Sent) -> Result<Carried, Failure> {
        let now = (self.clock)();
        let frames: Arc<[Bytes]> = message::written(&sent.topic, &sent.text, sent.traceparent.as_deref()).into();
        let mut dropped = 0;
        let carried = {
            let mut state = self.held();
            let carried = state.ring.put(sent.topic, sent.text, sent.traceparent, now)?;
            for subscriber in state.subscribers.values() {
                if subscriber.wants(carried.topic.as_str().as_bytes()) && !subscriber.give(&frames) {
                    dropped += 1;
                }
            }
            carried
        };
        for _ in 0..dropped {
            self.dropped.count("a subscriber that does not keep up loses events", &carried.topic);
        }
        Ok(carried)
    }

    /// Lets a subscriber in; `None` where the bus has ended.
    pub(super) fn attach(self: &Arc<Self>) -> Option<(Attached, Queue)> {
        let (queue, queued) = mpsc::channel(WAITING_MAX);
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut state = self.held();
        if state.is_closed {
            return None;
        }
        state.subscribers_ever += 1;
        let number = state.subscribers_ever;
        let subscriber = Subscriber { prefixes: BTreeSet::new(), queue, waiting: waiting.clone() };
        state.subscribers.insert(number, subscriber);
        Some((Attached { shared: self.clone(), number }, Queue { queued, waiting }))
    }
}

/// A subscriber's place among the others, which it leaves when this is dropped.
pub(super) struct Attached {
    shared: Arc<Shared>,
    number: u64,
}

impl Attached {
    /// Gives it what begins with this as well.
    pub(super) fn subscribe(&self, prefix: &[u8]) {
        // No topic begins with a longer one.
        if prefix.len() > PREFIX_BYTES_MAX {
            return;
        }
        let mut state = self.shared.held();
        let Some(subscriber) = state.subscribers.get_mut(&self.number) else { return };
        if subscriber.prefixes.len() < PREFIXES_MAX {
            subscriber.prefixes.insert(Bytes::copy_from_slice(prefix));
        } else {
            drop(state);
            self.shared.refused.count("a subscriber asks for more prefixes than it may", &PREFIXES_MAX);
        }
    }

    /// Gives it what begins with this no longer.
    pub(super) fn cancel(&self, prefix: &[u8]) {
        if let Some(subscriber) = self.shared.held().subscribers.get_mut(&self.number) {
            subscriber.prefixes.remove(prefix);
        }
    }

    /// Says a command to it, unless too much waits already.
    pub(super) fn command(&self, command: Vec<u8>) {
        if let Some(subscriber) = self.shared.held().subscribers.get(&self.number) {
            // It asks again.
            let _ = subscriber.queue.try_send(Outbound::Command(command));
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.shared.held().subscribers.remove(&self.number);
    }
}

/// What waits for a subscriber.
pub(super) struct Queue {
    queued: mpsc::Receiver<Outbound>,
    waiting: Arc<AtomicUsize>,
}

impl Queue {
    /// Waits for the next; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Outbound> {
        let next = self.queued.recv().await;
        self.taken(next)
    }

    /// The next, where it is there.
    pub(super) fn at_once(&mut self) -> Option<Outbound> {
        let next = self.queued.try_recv().ok();
        self.taken(next)
    }

    fn taken(&self, next: Option<Outbound>) -> Option<Outbound> {
        if let Some(Outbound::Event(frames)) = &next {
            self.waiting.fetch_sub(size_of(frames), Ordering::Relaxed);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::kind::Retention;
    use crate::model::{Time, TopicName};
    use std::time::Duration;

    fn shared() -> Arc<Shared> {
        let retention = Retention { events: 10, age: Duration::from_secs(10), bytes: 1_000 };
        let ring = Ring::new(retention, Place(1)).unwrap();
        Shared::new(ring, 1_000, None, Arc::new(|| Time::from_micros(1))).0
    }

    fn sent(topic: &str, text: Bytes) -> Sent {
        Sent { topic: TopicName::try_new(topic).unwrap(), text, traceparent: None }
    }

    fn topics(queue: &mut Queue) -> Vec<Bytes> {
        std::iter::from_fn(|| queue.at_once())
            .filter_map(|next| if let Outbound::Event(frames) = next { frames.first().cloned() } else { None })
            .collect()
    }

    #[test]
    fn each_subscriber_gets_what_begins_as_it_asked() {
        let shared = shared();
        let (one, mut ones) = shared.attach().unwrap();
        let (all, mut alls) = shared.attach().unwrap();
        let (_none, mut nones) = shared.attach().unwrap();
        one.subscribe(b"a.");
        one.subscribe(b"a.b");
        all.subscribe(b"");
        for topic in ["a.b", "ab", "b"] {
            shared.carry(sent(topic, Bytes::from_static(b"{}"))).unwrap();
        }
        assert_eq!(
            (topics(&mut ones), topics(&mut alls).len(), topics(&mut nones).len()),
            (vec![Bytes::from_static(b"a.b")], 3, 0)
        );
        one.cancel(b"a.");
        one.cancel(b"a.b");
        drop(all);
        shared.carry(sent("a.b", Bytes::from_static(b"{}"))).unwrap();
        assert_eq!((topics(&mut ones).len(), topics(&mut alls).len()), (0, 0));
    }

    #[test]
    fn one_that_does_not_take_loses_what_is_new_and_nobody_waits() {
        let shared = shared();
        let (slow, mut slows) = shared.attach().unwrap();
        slow.subscribe(b"");
        for _ in 0..WAITING_MAX + 5 {
            shared.carry(sent("a", Bytes::from_static(b"{}"))).unwrap();
        }
        assert_eq!((shared.counted().dropped, topics(&mut slows).len()), (5, WAITING_MAX));
        let large = Bytes::from(vec![b' '; WAITING_BYTES_MAX / 4]);
        for _ in 0..5 {
            shared.carry(sent("a", large.clone())).unwrap();
        }
        assert_eq!((shared.counted().dropped, topics(&mut slows).len()), (7, 3));
        shared.carry(sent("a", large)).unwrap();
        assert_eq!((shared.counted().dropped, topics(&mut slows).len()), (7, 1));
    }

    #[test]
    fn a_subscriber_has_so_many_prefixes_and_none_that_no_topic_has() {
        let shared = shared();
        let (one, _queue) = shared.attach().unwrap();
        one.subscribe(&[b'a'; PREFIX_BYTES_MAX + 1]);
        for number in 0..PREFIXES_MAX + 3 {
            one.subscribe(number.to_string().as_bytes());
        }
        let state = shared.held();
        assert_eq!(state.subscribers[&1].prefixes.len(), PREFIXES_MAX);
        assert_eq!(shared.counted().refused, 3);
    }
}
