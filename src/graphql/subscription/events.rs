//! The registry's changes, as they are watched.

use super::super::answer::Progress;
use super::super::error;
use super::super::reach::{asker, live};
use super::super::scalars::Sequence;
use super::super::types::event::RegistryEvent;
use super::super::types::history::EventFilter;
use crate::access::Action;
use crate::registry::watch::Watcher;
use async_graphql::{Context, Result, Subscription as GraphQlSubscription};
use futures_util::stream::{self, Stream, StreamExt};
use std::sync::Arc;

/// The registry's changes.
#[derive(Default)]
pub struct EventSubscription;

/// The registry's changes.
#[GraphQlSubscription]
impl EventSubscription {
    /// Every change to the registry, in order, none missing: first the history behind a place in the log, then live.
    /// Heartbeats are not shown. Ends with CURSOR_EXPIRED where what comes next is no longer kept.
    async fn registry_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which changes; all when absent.")] filter: Option<EventFilter>,
        #[graphql(
            desc = "Begin behind this place: 0 for everything that is kept; what happens from now on when absent."
        )]
        after: Option<Sequence>,
    ) -> Result<impl Stream<Item = Result<RegistryEvent>> + use<>> {
        let (views, caller) = (live(ctx)?.views.clone(), asker(ctx)?.clone());
        caller.permit_here(Action::Subscribe)?;
        let filter = filter.unwrap_or_default().read();
        let progress = ctx.data_opt::<Arc<Progress>>().cloned().unwrap_or_else(|| Progress::new(None));
        let after = progress.begin().or(after.map(|place| place.0));
        let watcher = Watcher::try_new(views.clone(), filter, after).map_err(error::watching)?;
        progress.begins(watcher.place());
        let batches = stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            match watcher.next().await? {
                Ok(records) => Some((Ok(records), Some(watcher))),
                // Told once; then there is nothing more to follow.
                Err(error) => Some((Err(error), None)),
            }
        });
        let events = batches.flat_map(move |batch| {
            let events: Vec<(Option<_>, Result<RegistryEvent>)> = match batch {
                Ok(records) => {
                    let events = records.into_iter().filter_map(|record| {
                        let place = record.sequence;
                        Some((Some(place), Ok(RegistryEvent::of(record, &views, &caller)?)))
                    });
                    events.collect()
                }
                Err(error) => vec![(None, Err(error::watching(error)))],
            };
            stream::iter(events)
        });
        Ok(events.map(move |(place, event)| {
            if let Some(place) = place {
                progress.comes_to(place);
            }
            event
        }))
    }
}
