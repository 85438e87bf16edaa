//! The bus `registry`: the registry's own changes, as events of a bus.

use super::super::error;
use super::super::mutation::buses::may_on_topic;
use super::super::types::event::metadata;
use super::super::types::history::blocking;
use super::super::types::onex_event::BusEvent;
use super::super::{Caller, Services};
use super::listener::Events;
use crate::access::Action;
use crate::bus::filter::Filter as Wanted;
use crate::bus::history::Replay;
use crate::bus::hub::event_of;
use crate::bus::queue::Given;
use crate::log::{Filter, Range, Record};
use crate::model::{Bus, BusName, EventKind, EventWanted, NodeId, Sequence, Time};
use crate::registry::watch::Watcher;
use async_graphql::Result;
use futures_util::stream::{self, StreamExt};
use std::sync::Arc;

/// How many changes are looked at in one go by who wants the last ones.
const LOOKED_AT_ONCE: usize = 512;

/// What of the registry's changes somebody gets, and as what.
struct Shown {
    services: Services,
    caller: Caller,
    bus: BusName,
    wanted: Wanted,
}

impl Shown {
    /// The event that a change is; `None` where it is not wanted, or the caller may not know of it.
    fn event(&self, record: &Record) -> Option<BusEvent> {
        let kind = record.change.event_kind()?;
        let views = &self.services.views;
        let topic = self.services.buses.defaults().topic_of(kind.as_str()).ok()?;
        // What costs least comes first: most changes are not wanted by who wants a few.
        let is_known = || self.caller.visitor.shows(&views.current(), &record.change);
        if !self.wanted.reads(&topic) || !may_on_topic(&self.caller, Action::Subscribe, &topic) || !is_known() {
            return None;
        }
        let details = metadata::of(&record.change);
        let event = event_of(views.registry_id(), record.sequence, &record.origin, &record.change, topic, details)?;
        let is_wanted = self.wanted.takes(&event);
        let given = Given { event: Arc::new(event), missed: 0, redelivery: 0 };
        is_wanted.then(|| BusEvent { bus: self.bus.clone(), given })
    }

    /// What the log can look for by itself; `None` where nothing can match.
    fn filter(&self) -> Option<Filter> {
        let wanted = &self.wanted.wanted;
        let defaults = self.services.buses.defaults();
        let is_wanted = |kind: &&EventKind| {
            let name = kind.as_str();
            let is_of_type = wanted.event_types.is_empty() || wanted.event_types.iter().any(|wanted| wanted == name);
            is_of_type && defaults.topic_of(name).is_ok_and(|topic| self.wanted.reads(&topic))
        };
        let kinds: Vec<EventKind> = EventKind::ALL.iter().filter(is_wanted).copied().collect();
        let registry = NodeId(self.services.views.registry_id().0);
        // What is about no node is the registry's own, which is a node to the bus and none to the log.
        let node = match wanted.nodes[..] {
            [node] if node != registry => Some(node),
            _ => None,
        };
        let correlation_id = wanted.correlation_id.clone();
        (!kinds.is_empty()).then(|| Filter { kinds, node, correlation_id, ..Filter::default() })
    }

    /// The place behind which it begins.
    async fn begin(self: &Arc<Self>, filter: &Filter, replay: Replay) -> Result<Sequence> {
        let views = &self.services.views;
        match replay {
            Replay::None | Replay::Last(0) => Ok(views.sequence()),
            Replay::Behind(place) => Ok(Sequence(place.0)),
            Replay::Since(instant) => {
                let before = Time::from_micros(instant.as_micros().saturating_sub(1));
                blocking(views, move |views| views.log().place_at(before)).await
            }
            Replay::All => blocking(views, |views| views.log().pruned_upto()).await,
            Replay::Last(count) => {
                let (shown, filter) = (self.clone(), filter.clone());
                blocking(views, move |views| {
                    let mut upto = views.sequence();
                    let (current, after) = (upto, views.log().pruned_upto()?);
                    let (mut left, mut begin) = (count, current);
                    loop {
                        let range = Range { after, upto, backward: true, limit: LOOKED_AT_ONCE };
                        let found = views.log().find(&filter, range)?;
                        for record in found.iter().filter(|record| shown.event(record).is_some()) {
                            (left, begin) = (left - 1, record.sequence.previous());
                            if left == 0 {
                                return Ok(begin);
                            }
                        }
                        match found.last() {
                            Some(last) if found.len() == LOOKED_AT_ONCE => upto = last.sequence.previous(),
                            _ => return Ok(begin),
                        }
                    }
                })
                .await
            }
        }
    }
}

/// The registry's changes as events, from where they are wanted on: none missing, as long as the log has them.
pub(super) async fn events(
    services: &Services,
    caller: &Caller,
    bus: &Bus,
    wanted: EventWanted,
    replay: Replay,
) -> Result<Events> {
    // As for registryEvents, which are the same.
    caller.permit_here(Action::Subscribe)?;
    let shown = Arc::new(Shown {
        services: services.clone(),
        caller: caller.clone(),
        bus: bus.terms.name.clone(),
        wanted: Wanted { wanted, trusted_only: false },
    });
    let (filter, begin) = match shown.filter() {
        Some(filter) => {
            let begin = shown.begin(&filter, replay).await?;
            (filter, begin)
        }
        // Nothing can match: there is nothing to look for in the past.
        None => (Filter::default(), services.views.sequence()),
    };
    let watcher = Watcher::try_new(services.views.clone(), filter, Some(begin)).map_err(error::watching)?;
    let listening = services.buses.listens_to_registry();
    let batches = stream::unfold(Some((watcher, listening)), move |held| {
        let shown = shown.clone();
        async move {
            let (mut watcher, listening) = held?;
            loop {
                match watcher.next().await? {
                    Ok(records) => {
                        let events: Vec<_> = records.iter().filter_map(|record| shown.event(record)).map(Ok).collect();
                        if !events.is_empty() {
                            events.iter().for_each(|_| listening.given());
                            return Some((events, Some((watcher, listening))));
                        }
                    }
                    // Told once; then there is nothing more to follow.
                    Err(error) => return Some((vec![Err(error::watching(error))], None)),
                }
            }
        }
    });
    Ok(Box::pin(batches.flat_map(stream::iter)))
}
