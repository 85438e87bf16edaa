//! JETSTREAM: a stream of a NATS server carries the bus.
//!
//! Topics are subjects under a prefix, places the stream's sequence numbers. The stream is made where there is none;
//! one that is there is used as it is where it serves, and one that was made here is brought to the bounds asked for.
//! Its bounds are over the whole bus, so that what is missing is always the oldest. They hold for durable groups as
//! well: what they take before a group got it, the group is told.
//!
//! A durable group is a durable consumer whose events are asked for one at a time: what the server has sent on is what
//! somebody has. It is told every few seconds that this one is still there; what nobody vouches for comes again. A
//! server that is killed may forget what it sent last, and what of it was acknowledged: what comes again then says so
//! by its number, as far as it was had from here.
//!
//! Tools are called by requests over the same connection, and the registry is found among the server's services
//! (`calls`).
//!
//! A server that is away is tried again by the client, with back-off. What is published meanwhile is refused at once.

mod calls;
mod connect;
mod live;
mod member;
mod names;
mod read;

pub use connect::{Options, open};

use super::given::Given;
use super::{Begin, Carried, Carrier, Facts, Failure, Group, GroupFacts, Outgoing, Place, Service};
use crate::model::bus_call::{Answered, Call, Unanswered};
use crate::model::{SubscriberName, Time};
use async_nats::connection::State;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{ConsumerErrorKind, Stream};
use async_nats::jetstream::{Context, ErrorCode};
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use member::{Held, Member};
use names::Subjects;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{RwLock, watch};
use tokio::task::AbortHandle;

/// Which cases of the conformance suite it cannot carry: none.
pub const CANNOT_CARRY: &[&str] = &[];

/// How long the server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// For how long the server waits for word of an event that it sent on, before it sends it to somebody else.
const UNHEARD_MAX: Duration = Duration::from_secs(30);
/// What says of a consumer that it is a durable group of a bus.
const GROUP: &str = "a durable group of an onex bus";
/// The header that W3C Trace Context travels in.
const TRACEPARENT: &str = "traceparent";

/// A bus over JetStream, connected. Dropped, it lets go without waiting.
pub struct Jetstream {
    shared: Arc<Shared>,
    live: AbortHandle,
    /// The registry among the server's services.
    _found: calls::Found,
}

/// What the bus and its members share.
struct Shared {
    context: Context,
    stream: Stream<()>,
    subjects: Subjects,
    /// How the connection is.
    link: watch::Receiver<live::Link>,
    /// Turns true once.
    closed: watch::Sender<bool>,
    /// Told when a group is forgotten from here.
    forgotten: watch::Sender<()>,
    /// What members have and have not acknowledged.
    held: Mutex<Vec<Weak<Held>>>,
    /// What groups were given from here.
    given: Mutex<HashMap<SubscriberName, Given>>,
    /// How far groups have got that are listened for from here.
    reached: Mutex<HashMap<SubscriberName, Reached>>,
    /// Read-locked while something is given back; closing waits for it.
    giving_back: Arc<RwLock<()>>,
}

/// How far a group has got.
#[derive(Debug, Default)]
struct Reached {
    upto: Place,
    /// What was lost behind here was not told: who was to be told has left.
    untold: Option<Place>,
}

impl Shared {
    fn check(&self) -> Result<(), Failure> {
        if *self.closed.borrow() {
            return Err(closed());
        }
        match self.context.client().connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(Failure::Away("the NATS server is away".to_owned())),
        }
    }

    /// Waits for an answer, but not the whole timeout where the connection breaks meanwhile, or the bus is closed.
    async fn unless_broken<T>(&self, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let (mut link, mut closing) = (self.link.clone(), self.closed.subscribe());
        link.mark_unchanged();
        tokio::select! {
            biased;
            answer = answer => answer,
            _ = link.changed() => Err(Failure::Away("the connection to the NATS server broke".to_owned())),
            () = async { drop(closing.wait_for(|closed| *closed).await) } => Err(closed()),
        }
    }

    fn given(&self) -> MutexGuard<'_, HashMap<SubscriberName, Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self) -> MutexGuard<'_, HashMap<SubscriberName, Reached>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, held: &Arc<Held>) {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|held| held.strong_count() > 0);
        all.push(Arc::downgrade(held));
    }
}

fn closed() -> Failure {
    Failure::Away("the bus is closed".to_owned())
}

fn away(error: impl std::fmt::Display) -> Failure {
    Failure::Away(format!("NATS: {error}"))
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::Refused(format!("NATS: {error}"))
}

fn publish_failed(error: PublishError) -> Failure {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => refused(error),
        // Among them that nobody answers for the stream: a server that has just started looks like that, too.
        _ => away(error),
    }
}

impl Jetstream {
    async fn publish_now(&self, outgoing: Outgoing) -> Result<Place, Failure> {
        self.shared.check()?;
        let mut message = PublishMessage::build().payload(outgoing.text).message_id(outgoing.id.to_string());
        if let Some(traceparent) = outgoing.traceparent {
            let header: async_nats::HeaderValue = traceparent.parse().map_err(refused)?;
            message = message.header(TRACEPARENT, header);
        }
        let subject = self.shared.subjects.of(&outgoing.topic);
        let publishing = async {
            let sent = self.shared.context.send_publish(subject, message).await.map_err(publish_failed)?;
            sent.await.map(|answer| Place(answer.sequence)).map_err(publish_failed)
        };
        self.shared.unless_broken(publishing).await
    }

    async fn join(&self, name: SubscriberName, begin: Begin) -> Result<Box<dyn Group>, Failure> {
        self.shared.check()?;
        let consumer_name = names::consumer(&name)?;
        let deliver_policy = match begin {
            Begin::Now => DeliverPolicy::New,
            Begin::Behind(Place(0)) => DeliverPolicy::All,
            Begin::Behind(place) => DeliverPolicy::ByStartSequence { start_sequence: place.0 + 1 },
        };
        let config = pull::Config {
            durable_name: Some(consumer_name.clone()),
            description: Some(GROUP.to_owned()),
            deliver_policy,
            ack_policy: AckPolicy::Explicit,
            ack_wait: UNHEARD_MAX,
            // How often an event comes, and how many are out at once, is bounded elsewhere.
            max_deliver: -1,
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        let consumer: PullConsumer =
            self.shared.stream.get_or_create_consumer(&consumer_name, config).await.map_err(away)?;
        Ok(Box::new(Member::new(self.shared.clone(), name, consumer)))
    }

    async fn forget_group(&self, name: SubscriberName) -> Result<(), Failure> {
        self.shared.check()?;
        let deleted = self.shared.stream.delete_consumer(&names::consumer(&name)?).await;
        self.shared.given().remove(&name);
        self.shared.forgotten.send_replace(());
        match deleted {
            Ok(_) => {}
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(told) if told.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {}
                _ => return Err(away(error)),
            },
        }
        self.shared.reached().remove(&name);
        Ok(())
    }

    async fn look(&self) -> Result<Facts, Failure> {
        self.shared.check()?;
        let state = self.shared.stream.get_info().await.map_err(away)?.state;
        let consumers: Vec<_> = self.shared.stream.consumers().try_collect().await.map_err(away)?;
        let ours = consumers.into_iter().filter(|info| info.config.description.as_deref() == Some(GROUP));
        let groups = ours.filter_map(|info| {
            let unacknowledged = info.num_ack_pending as u64;
            Some(GroupFacts { name: names::group(&info.name)?, unacknowledged, waiting: info.num_pending })
        });
        Ok(Facts {
            events: state.messages,
            bytes: state.bytes,
            first: (state.messages > 0).then_some(Place(state.first_sequence)),
            last: (state.last_sequence > 0).then_some(Place(state.last_sequence)),
            groups: groups.collect(),
        })
    }

    async fn let_go(&self) {
        if self.shared.closed.send_replace(true) {
            return;
        }
        self.live.abort();
        let held = std::mem::take(&mut *self.shared.held.lock().unwrap_or_else(PoisonError::into_inner));
        for held in held.into_iter().filter_map(|held| held.upgrade()) {
            held.give_back().await;
        }
        let _given_back = self.shared.giving_back.write().await;
        // What cannot be said to a server that is away is found out there when nobody vouches for it.
        let client = self.shared.context.client();
        let _ = tokio::time::timeout(TIMEOUT, client.flush()).await;
        let _ = client.drain().await;
    }
}

impl Drop for Jetstream {
    fn drop(&mut self) {
        self.live.abort();
        self.shared.closed.send_replace(true);
    }
}

impl Carrier for Jetstream {
    fn publish(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Place, Failure>> {
        Box::pin(self.publish_now(outgoing))
    }

    fn read(&self, after: Place, limit: usize) -> BoxFuture<'_, Result<Vec<Carried>, Failure>> {
        Box::pin(read::behind(&self.shared, after, limit))
    }

    fn place_at(&self, instant: Time) -> BoxFuture<'_, Result<Place, Failure>> {
        Box::pin(read::place_at(&self.shared, instant))
    }

    fn group(&self, name: SubscriberName, begin: Begin) -> BoxFuture<'_, Result<Box<dyn Group>, Failure>> {
        Box::pin(self.join(name, begin))
    }

    fn forget(&self, name: SubscriberName) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.forget_group(name))
    }

    fn facts(&self) -> BoxFuture<'_, Result<Facts, Failure>> {
        Box::pin(self.look())
    }

    fn call(&self, call: Call) -> BoxFuture<'_, Result<Answered, Unanswered>> {
        Box::pin(calls::ask(&self.shared, call))
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Service>, Failure>> {
        Box::pin(calls::discover(&self.shared))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.let_go())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(in crate::bus) use tests::site;
