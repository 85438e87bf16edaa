//! What connects the registry with what carries a bus: one contract, which every kind keeps (`conformance`).
//!
//! A kind carries texts on topics in an order, keeps them for a while, and remembers how far its durable groups are. It
//! knows nothing of envelopes, schemas, filters, queues or trust: those are the same over every kind, and live beside
//! it.

#[cfg(any(feature = "jetstream", feature = "redis"))]
mod back_off;
#[cfg(any(feature = "redis", feature = "zmq"))]
mod failed;
#[cfg(any(feature = "jetstream", feature = "redis"))]
mod given;
#[cfg(feature = "jetstream")]
pub mod jetstream;
pub mod local;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "zmq")]
pub mod zmq;

use crate::model::bus_call::{Answered, Call, Unanswered};
use crate::model::{SubscriberName, Time, TopicName};
#[cfg(any(feature = "jetstream", feature = "redis"))]
use back_off::back_off;
use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where kinds get the instant from that keep time themselves.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// A place in the order of a bus: later ones are greater, and not each number is one. Below 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u64);

/// A text on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where it goes.
    pub topic: TopicName,
    /// An OnexEvent as JSON.
    pub text: Bytes,
    /// The event's own id: kinds that can tell take the same one twice for one event.
    pub id: uuid::Uuid,
    /// W3C Trace Context, where there is one.
    pub traceparent: Option<Box<str>>,
}

/// A text that was carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// On which topic.
    pub topic: TopicName,
    /// Where in the bus's order.
    pub place: Place,
    /// When the carrier took it.
    pub at: Time,
    /// As it was published, by whomever.
    pub text: Bytes,
    /// W3C Trace Context, where there is one.
    pub traceparent: Option<Box<str>>,
}

/// What a carrier tells of its own accord, in order.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An event, whoever published it: each once, none missing but what [`Heard::Missed`] says.
    Event(Carried),
    /// Something that nobody heard can no longer be had: a bound took it, or the carrier lost it. Not said by a carrier
    /// that cannot tell.
    Missed {
        /// How many events, on all topics; 0 where nobody can tell.
        lost: u64,
        /// What comes next lies behind this place. It may be smaller than those before: then the carrier has begun anew,
        /// and gives away places that it gave before.
        behind: Place,
    },
    /// The carrier is away; it is tried again.
    Away {
        /// Why, in words.
        reason: String,
    },
    /// The carrier is back.
    Back,
}

/// Why a carrier did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It is away; later it may be back.
    #[error("{0}")]
    Away(String),
    /// It refuses: asking again changes nothing.
    #[error("{0}")]
    Refused(String),
    /// What comes next is no longer kept.
    #[error("what comes next is no longer kept; the oldest kept place is {}", oldest.0)]
    Gone {
        /// The oldest place that is.
        oldest: Place,
    },
    /// A bound took what was still to come to a durable group, on all topics.
    #[error("{lost} events that were still to come are no longer kept; the oldest kept place is {}", oldest.0)]
    Missed {
        /// How many events.
        lost: u64,
        /// The oldest place that is kept.
        oldest: Place,
    },
}

/// Where programs connect to a bus that listens itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// For those who publish and need no answer: PUB sockets.
    pub publish: String,
    /// For those who subscribe: SUB sockets.
    pub subscribe: String,
    /// For those who publish and want an answer: REQ and DEALER sockets.
    pub request: String,
}

/// A program that can be called, as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name that it shares with all that do the same.
    pub name: String,
    /// Which of them it is.
    pub instance: String,
    /// As semver has it.
    pub version: String,
    /// What it is for; empty where it does not say.
    pub description: String,
    /// Whatever it says besides.
    pub metadata: BTreeMap<String, String>,
    /// What it can be asked for.
    pub endpoints: Vec<ServiceEndpoint>,
}

/// What a program can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEndpoint {
    /// Its name within the program.
    pub name: String,
    /// Where it is called.
    pub address: String,
    /// Whatever it says besides.
    pub metadata: BTreeMap<String, String>,
}

/// What is kept, and who is how far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// How many events are kept.
    pub events: u64,
    /// How many bytes they have, as far as the carrier tells.
    pub bytes: u64,
    /// The oldest that is kept; `None` where nothing is.
    pub first: Option<Place>,
    /// The latest that was carried; `None` before any.
    pub last: Option<Place>,
    /// Its durable groups.
    pub groups: Vec<GroupFacts>,
}

/// How far a durable group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    /// Its name.
    pub name: SubscriberName,
    /// How many events were delivered and not yet acknowledged.
    pub unacknowledged: u64,
    /// How many are still to be delivered for the first time.
    pub waiting: u64,
}

/// Where a durable group begins when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Behind this place: `Place(0)` is everything that is kept.
    Behind(Place),
    /// With what is published from now on.
    Now,
}

/// An event for a durable group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub carried: Carried,
    /// How often it was delivered to the group, with this time: 1 is the first.
    pub number: u32,
}

/// A carrier that is connected. Its methods may be called at once from many tasks.
///
/// It tells what it hears through a bounded channel that is given to it when it is opened, and waits where that is
/// full: whoever takes from it must not wait for a publish of its own between two takes.
pub trait Carrier: Send + Sync + 'static {
    /// Has a text carried. Done when the carrier has it as durably as it keeps anything.
    fn publish(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Place, Failure>>;

    /// What is kept behind a place on all topics, in order, at most so many. Fails with [`Failure::Gone`] where
    /// something behind the place is missing, or may be in a kind that cannot tell; `Place(0)` never does: it is all
    /// that is kept. None are left where fewer came than were asked for.
    fn read(&self, after: Place, limit: usize) -> BoxFuture<'_, Result<Vec<Carried>, Failure>>;

    /// The place behind which everything lies that is kept and was carried at this instant or later; `Place(0)` where
    /// nothing earlier is kept.
    fn place_at(&self, instant: Time) -> BoxFuture<'_, Result<Place, Failure>>;

    /// The durable group of this name, made where there is none: events on all topics come to it, each until it is
    /// acknowledged. Of two at once that listen as one group, each event comes to one.
    fn group(&self, name: SubscriberName, begin: Begin) -> BoxFuture<'_, Result<Box<dyn Group>, Failure>>;

    /// Forgets a durable group. Nothing where there is none.
    fn forget(&self, name: SubscriberName) -> BoxFuture<'_, Result<(), Failure>>;

    /// What is kept, and who is how far.
    fn facts(&self) -> BoxFuture<'_, Result<Facts, Failure>>;

    /// Brings a call to one of those who serve its address, and waits for the answer. Dropped, nobody waits any more:
    /// where nobody has begun, nobody does.
    ///
    /// Not in every kind: LOCAL has no wire but the registry's own, by which tools are called already.
    fn call(&self, _call: Call) -> BoxFuture<'_, Result<Answered, Unanswered>> {
        Box::pin(ready(Err(Unanswered::NotBegun("a bus of this kind carries no calls of tools".to_owned()))))
    }

    /// The programs that say of themselves, over the carrier's own way of being found, that they can be called; none
    /// in kinds that have no such way.
    fn discover(&self) -> BoxFuture<'_, Result<Vec<Service>, Failure>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    /// Says how much is kept of a topic from now on. Nothing in kinds that bound the whole bus, as brokers do.
    fn keep(&self, _topic: TopicName, _events: u64, _age: Duration) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(ready(Ok(())))
    }

    /// Lets go, once what was begun is done. What it keeps stays.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// One that listens for a durable group. Dropped, what it has not acknowledged comes to the group again.
pub trait Group: Send {
    /// The next event: one that is due again, or a new one. Waits for it; waits through a carrier that is away. Whoever
    /// stops waiting and asks again misses nothing.
    ///
    /// Fails with [`Failure::Missed`] once where a bound took what the group had not got yet, and goes on behind it when
    /// asked again; with [`Failure::Refused`] where there is no such group any longer.
    fn next(&mut self) -> BoxFuture<'_, Result<Delivery, Failure>>;

    /// These are done: they do not come again once this is. Those that are not the group's, or are done, are passed
    /// over.
    fn acknowledge<'a>(&'a mut self, places: &'a [Place]) -> BoxFuture<'a, Result<(), Failure>>;

    /// This one comes again, not before so long from now. Nothing where it is not the group's, or is done.
    fn retry(&mut self, place: Place, after: Duration) -> BoxFuture<'_, Result<(), Failure>>;
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How many events: of a topic in kinds that bound topics apart, in all where one bound is over the bus.
    pub events: u64,
    /// For how long.
    pub age: Duration,
    /// How many bytes in all.
    pub bytes: u64,
}
