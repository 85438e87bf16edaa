//! One that listens on a bus, as a subscription has it: it is given what its caller may read, and told what it lost.

use super::super::Caller;
use super::super::error;
use super::super::mutation::buses::may_on_topic;
use super::super::types::onex_event::BusEvent;
use crate::access::Action;
use crate::bus::hub::{Failed, FromPast, Listening};
use crate::bus::queue::Given;
use crate::bus::router::End;
use crate::model::BusName;
use async_graphql::{Error, Result};
use futures_util::stream::{self, BoxStream, Stream};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the events come from.
enum Source {
    /// From memory, and live.
    Live(Listening),
    /// From the carrier first.
    Past(Box<FromPast>),
}

impl Source {
    async fn next(&mut self) -> Result<Given, Failed> {
        match self {
            Source::Live(listening) => listening.next().await.map_err(Failed::Ended),
            Source::Past(from_past) => from_past.next().await,
        }
    }
}

/// One that listens on a bus.
pub(in crate::graphql) struct Listener {
    source: Source,
    bus: BusName,
    caller: Caller,
    /// How many were lost before events that the caller may not read: told with the next that it may.
    untold: u64,
}

impl Listener {
    /// One that listens for this caller.
    pub(super) fn new(listening: Listening, bus: BusName, caller: Caller) -> Self {
        Listener { source: Source::Live(listening), bus, caller, untold: 0 }
    }

    /// One whose past memory does not have.
    pub(super) fn from_past(from_past: FromPast, bus: BusName, caller: Caller) -> Self {
        Listener { source: Source::Past(Box::new(from_past)), bus, caller, untold: 0 }
    }

    /// For whom it listens.
    pub(in crate::graphql) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The next event that the caller may read; why there is no further one once there is none. What of the topics it
    /// may not read is as if nothing were published there.
    pub(in crate::graphql) async fn next(&mut self) -> Result<Given, Failed> {
        loop {
            let mut given = match self.source.next().await {
                Ok(given) => given,
                Err(Failed::Ended(end)) => {
                    return Err(Failed::Ended(End { missed: end.missed + self.untold, ..end }));
                }
                Err(failed) => return Err(failed),
            };
            self.untold += std::mem::take(&mut given.missed);
            if may_on_topic(&self.caller, Action::Subscribe, &given.event.topic) {
                given.missed = std::mem::take(&mut self.untold);
                return Ok(given);
            }
        }
    }

    /// What it was given, as the API has it.
    pub(in crate::graphql) fn event(&self, given: Given) -> BusEvent {
        BusEvent { bus: self.bus.clone(), given }
    }

    /// What the caller is told at the end; `None` where it ends as it should.
    pub(in crate::graphql) fn farewell(&self, failed: Failed) -> Option<Error> {
        match failed {
            Failed::Ended(end) => error::ended(self.bus.as_str(), end),
            Failed::NotJoined(error) => Some(error::bus(error)),
        }
    }

    /// All of it, as the field answers with it.
    pub(super) fn events(self) -> impl Stream<Item = Result<BusEvent>> + Send {
        stream::unfold(Some(self), async |listener| {
            let mut listener = listener?;
            match listener.next().await {
                Ok(given) => Some((Ok(listener.event(given)), Some(listener))),
                Err(failed) => Some((Err(listener.farewell(failed)?), None)),
            }
        })
    }
}

/// Events that the field answers with.
pub(in crate::graphql) type Events = BoxStream<'static, Result<BusEvent>>;

/// What the field does for those who share their answers (`shared`), which stands in the data of the request.
pub(in crate::graphql) enum Part {
    /// It lets the caller listen, as always, and hands over who does instead of answering.
    Listen(Arc<Mutex<Option<Listener>>>),
    /// It answers with these events, and nobody listens.
    Answer(Mutex<Option<Events>>),
}

impl Part {
    /// To answer with these events.
    pub(in crate::graphql) fn answer(events: impl Stream<Item = Result<BusEvent>> + Send + 'static) -> Self {
        Part::Answer(Mutex::new(Some(Box::pin(events))))
    }

    /// The events to answer with; `None` where that is not the part, or they were taken.
    pub(super) fn events(&self) -> Option<Events> {
        match self {
            Part::Listen(_) => None,
            Part::Answer(events) => events.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }

    /// Hands over who listens, and so answers nothing.
    pub(super) fn hand_over(&self, listener: Listener) -> Events {
        if let Part::Listen(place) = self {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        }
        Box::pin(stream::empty())
    }
}
