//! ZMQ and IPC: the registry forwards what programs with ZeroMQ sockets say, over TCP or over unix sockets.
//!
//! It binds three sockets, and programs connect to them with any ZeroMQ library:
//!
//! | endpoint | the registry's | a program's | serves |
//! | --- | --- | --- | --- |
//! | `publish` | XSUB | PUB, XPUB | events whose loss can be borne: nobody answers |
//! | `subscribe` | XPUB | SUB, XSUB | all events of the bus, by the beginnings of their topics |
//! | `request` | ROUTER | REQ, DEALER | events that have to arrive: each is answered; calls of tools (`calls`) |
//!
//! **An event** is a message of two frames, or three: the topic (ASCII, as `TopicName` has it); the OnexEvent as JSON
//! in UTF-8; and, where there is one, the W3C traceparent. So it is sent to `publish` and to `request`, and so it comes
//! from `subscribe`: with its text as it was sent, in two frames where it came without a traceparent. A third frame
//! that is no traceparent is passed over.
//!
//! **An answer** to a request is `["ok", PLACE]`, with the place in decimal digits, once the event has it; or
//! `["error", CODE, REASON]`, where CODE is `INVALID_ARGUMENT` for what is no event, and `BUS_STOPPED` for a bus that
//! is being closed. Answers come in the order of the requests. Frames up to an empty one before the topic, as REQ puts
//! one there and those between put several, come back before the answer: a DEALER may send `[NUMBER, "", topic, event]`
//! to know which answer is whose.
//!
//! **A subscription** is the beginning of topics, byte by byte: `orders.` is all below `orders`, and the empty one is
//! everything. There are no wildcards.
//!
//! What is no event (another number of frames, no topic, more bytes than an event may have) reaches nobody; it is
//! counted and, each time that twice as many were, said in the log. A message that is too large is read past, and takes
//! neither the connection nor any memory with it; under CURVE it ends the connection.
//!
//! Whatever comes in, over either socket or from the registry itself, gets its place in the one order of the bus, and
//! goes to every subscriber that asked for it. Places begin anew behind all that were given before, by what the options
//! say; what is kept is in memory and goes with the process, and there are no durable groups. A subscriber for which
//! 1,000 events or 64 MiB wait loses what comes then, as it does in ZeroMQ; it is not told, and nobody waits for it.
//! One that takes nothing for a minute is let go, and connects again by itself. ZeroMQ drops on the other ways as well:
//! a PUB socket sends nothing until it is connected, and a SUB socket gets nothing that was before its subscription
//! came.
//!
//! The protocol is ZMTP 3.0 with NULL or CURVE, written here (`frame`, `connection`, `curve`) rather than taken from a
//! crate: the server's side of it is small, and has to bear any peer. Of the crates that speak it without a second C
//! library, `zeromq` 0.7 sets aside what a peer only claims the length of a frame to be, so that nine bytes end the
//! process, and keeps 100,000 events for each slow subscriber; `rzmq` 0.5 has no list of who may connect, and brings
//! some twenty crates.

mod calls;
mod connection;
mod curve;
mod endpoint;
mod forward;
mod frame;
mod message;
mod peer;
mod ring;
mod z85;

pub use curve::Curve;
pub use forward::Counted;

use super::{Begin, Carried, Carrier, Clock, Endpoints, Facts, Failure, Group, Heard, Outgoing, Place, Retention};
use crate::model::bus_call::{Answered, Call, Unanswered};
use crate::model::{SubscriberName, Time};
use connection::Role;
use curve::Keys;
use endpoint::Listening;
use forward::Shared;
use futures_util::future::BoxFuture;
use message::Sent;
use ring::Ring;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout_at};

/// Which cases of the conformance suite it cannot carry: it does not look at ids, has no durable groups, and keeps
/// nothing beyond the process.
pub const CANNOT_CARRY: &[&str] = &[
    "the_same_id_twice_is_one_event",
    // For its last step, which has a group; the tests here have the rest of it, and of those that are marked so below.
    "a_text_arrives_as_it_was_published",
    "a_group_begins_where_it_is_asked_to",
    "acknowledged_events_do_not_come_again",
    "unacknowledged_events_come_again_when_their_member_is_gone",
    "whoever_stops_waiting_misses_nothing",
    "a_retry_waits_and_counts",
    "two_members_share_what_comes",
    "two_groups_get_everything_each",
    "a_forgotten_group_begins_anew",
    // For their groups.
    "facts_say_what_is_kept_and_who_is_how_far",
    "a_closed_carrier_carries_nothing_more",
    // And for what it keeps.
    "a_bus_that_is_opened_again_goes_on_where_it_was",
];

/// How long subscribers have to take what waits for them when the bus is closed.
const LINGER: Duration = Duration::from_secs(2);

/// How a bus is bound and kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Such as `tcp://127.0.0.1:5601` or `ipc:///run/onex/shop/publish`. A port `*` or 0 is one that is free. The
    /// folder of a unix socket is made where there is none, for its user alone, as the socket is.
    pub endpoints: Endpoints,
    /// What is kept, in memory.
    pub retention: Retention,
    /// The first place to give: greater than any that was given before, and below 2^53. Microseconds since 1970 are,
    /// for buses with fewer than a million events a second.
    pub first: Place,
    /// How many bytes an event may have.
    pub event_bytes_max: usize,
    /// Whose keys are wanted; `None` lets in whoever gets there, unsealed.
    pub curve: Option<Curve>,
}

/// A bus over ZeroMQ that is open. Dropped, it ends without waiting.
pub struct Zmq {
    shared: Arc<Shared>,
    endpoints: Endpoints,
    // Held while the bus is closed: who closes it again waits for that.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    ending: Vec<AbortHandle>,
}

/// Opens a bus over ZeroMQ. What it carries is told to `heard`.
///
/// Fails with [`Failure::Away`] where an endpoint is in use, and with [`Failure::Refused`] where it cannot be, or keys
/// cannot be read.
pub async fn open(options: Options, heard: mpsc::Sender<Heard>, clock: Clock) -> Result<Zmq, Failure> {
    let ring = Ring::new(options.retention, options.first)?;
    let keys = options.curve.as_ref().map(Keys::read).transpose()?;
    let is_sealed = keys.is_some();
    let publish = Listening::open(&options.endpoints.publish).await?;
    let subscribe = Listening::open(&options.endpoints.subscribe).await?;
    let request = Listening::open(&options.endpoints.request).await?;
    let endpoints = Endpoints { publish: publish.name(), subscribe: subscribe.name(), request: request.name() };
    if !is_sealed && [&publish, &subscribe, &request].iter().any(|listening| listening.is_public()) {
        tracing::warn!(?endpoints, "whoever gets to this bus over the network may publish and read: it has no keys");
    }
    let (shared, came) = Shared::new(ring, options.event_bytes_max, keys, clock);
    let mut tasks = vec![tokio::spawn(shared.clone().forward(came, heard))];
    for (listening, role) in [(publish, Role::Publish), (subscribe, Role::Subscribe), (request, Role::Request)] {
        tasks.push(tokio::spawn(peer::let_in(listening, role, shared.clone())));
    }
    let ending = tasks.iter().map(JoinHandle::abort_handle).collect();
    Ok(Zmq { shared, endpoints, tasks: Mutex::new(tasks), ending })
}

impl Zmq {
    /// Where it is bound, with the ports that it got.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What did not go as it should since it was opened.
    pub fn counted(&self) -> Counted {
        self.shared.counted()
    }

    async fn publish_now(&self, outgoing: Outgoing) -> Result<Place, Failure> {
        let (bytes, most) = (outgoing.text.len(), self.shared.event_bytes_max);
        if bytes > most {
            return Err(Failure::Refused(format!("the event has {bytes} bytes; the most is {most}")));
        }
        let Outgoing { topic, text, traceparent, .. } = outgoing;
        self.shared.publish(Sent { topic, text, traceparent }).await
    }

    async fn let_go(&self) {
        let mut tasks = self.tasks.lock().await;
        self.shared.stop();
        let until = Instant::now() + LINGER;
        for mut task in tasks.drain(..) {
            if timeout_at(until, &mut task).await.is_err() {
                task.abort();
                // It has let go of its socket when it has ended.
                let _ = task.await;
            }
        }
    }
}

impl Drop for Zmq {
    fn drop(&mut self) {
        self.shared.stop();
        self.ending.iter().for_each(AbortHandle::abort);
    }
}

impl Carrier for Zmq {
    fn publish(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Place, Failure>> {
        Box::pin(self.publish_now(outgoing))
    }

    fn read(&self, after: Place, limit: usize) -> BoxFuture<'_, Result<Vec<Carried>, Failure>> {
        Box::pin(async move {
            self.shared.check()?;
            self.shared.with_ring(|ring| ring.behind(after, limit))
        })
    }

    fn place_at(&self, instant: Time) -> BoxFuture<'_, Result<Place, Failure>> {
        Box::pin(async move {
            self.shared.check()?;
            Ok(self.shared.with_ring(|ring| ring.before(instant)))
        })
    }

    fn group(&self, name: SubscriberName, _begin: Begin) -> BoxFuture<'_, Result<Box<dyn Group>, Failure>> {
        Box::pin(async move {
            Err(Failure::Refused(format!(
                "{name}: a bus over ZeroMQ keeps nothing for durable subscribers; use LOCAL, JETSTREAM or REDIS for \
                 them, or subscribe without a name"
            )))
        })
    }

    fn forget(&self, _name: SubscriberName) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn facts(&self) -> BoxFuture<'_, Result<Facts, Failure>> {
        Box::pin(async move {
            self.shared.check()?;
            Ok(self.shared.with_ring(Ring::facts))
        })
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Result<Answered, Unanswered>> {
        Box::pin(async move {
            self.shared.check().map_err(|failure| Unanswered::NotBegun(failure.to_string()))?;
            self.shared.calls.ask(call).await
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.let_go())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::bus) use tests::{ipc, site};
