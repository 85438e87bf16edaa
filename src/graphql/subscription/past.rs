//! Events of the past that memory does not have, and then what is live.

use super::super::mutation::buses::may_on_topic;
use super::super::types::onex_event::BusEvent;
use super::super::{Caller, error};
use super::listener::Events;
use crate::access::Action;
use crate::bus::hub::{Failed, FromPast};
use crate::bus::router::EndReason;
use crate::model::BusName;
use async_graphql::Result;
use futures_util::future::ready;
use futures_util::stream::{self, StreamExt};

/// What the caller may read of it.
pub(super) fn events(bus: BusName, from_past: FromPast, caller: Caller) -> Events {
    let events = stream::unfold(Some(from_past), move |from_past| {
        let bus = bus.clone();
        async move {
            let mut from_past = from_past?;
            match from_past.next().await {
                Ok(given) => Some((Ok(BusEvent { bus, given }), Some(from_past))),
                Err(Failed::Ended(end)) if end.reason == EndReason::Overflowed => {
                    Some((Err(error::overflowed(bus.as_str(), end.missed)), None))
                }
                Err(Failed::Ended(_)) => None,
                Err(Failed::NotJoined(failed)) => Some((Err(error::bus(failed)), None)),
            }
        }
    });
    // What of the topics it may not read is as if nothing were published there.
    let shown = move |event: &Result<BusEvent>| {
        let shown = |event: &BusEvent| may_on_topic(&caller, Action::Subscribe, &event.given.event.topic);
        ready(event.as_ref().map_or(true, shown))
    };
    Box::pin(events.filter(shown))
}
