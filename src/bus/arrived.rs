//! An event that came in, as all who get it share it.

use super::envelope::Event;
use super::kind::{Carried, Place};
use super::schema::Misfit;
use crate::model::{Time, TopicName, TrustState};
use bytes::Bytes;

/// An event on its topic, read once. Subscribers, queues and history hold pointers to the one of it that there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrived {
    /// On which topic.
    pub topic: TopicName,
    /// Where in the bus's order.
    pub place: Place,
    /// When the carrier took it.
    pub at: Time,
    /// What it says of itself.
    pub event: Event,
    /// As it was published.
    pub text: Bytes,
    /// W3C Trace Context, where there is one.
    pub traceparent: Option<Box<str>>,
    /// How far its node was trusted when it came in.
    pub trust: TrustState,
    /// What of it does not fit its topic's schema, where that is only marked.
    pub misfit: Option<Misfit>,
}

impl Arrived {
    /// What was carried, read as this event.
    pub fn new(carried: &Carried, event: Event, misfit: Option<Misfit>, trust: TrustState) -> Self {
        Arrived {
            topic: carried.topic.clone(),
            place: carried.place,
            at: carried.at,
            event,
            // A pointer to the same bytes.
            text: carried.text.clone(),
            traceparent: carried.traceparent.clone(),
            trust,
            misfit,
        }
    }

    /// Whether it does not fit its topic's schema.
    pub fn is_marked(&self) -> bool {
        self.misfit.is_some()
    }
}
