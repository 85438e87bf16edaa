//! The registry's history as clients page through it.

use super::super::paging::{Connection, Page, PageArgs, Total};
use super::super::scalars::DateTime;
use super::super::{Caller, Services, View, error};
use super::event::{EventType, RegistryEvent};
use crate::log::{Filter, Range, ReadError, Record};
use crate::model::{self, BusId, LeaseId, NodeId};
use crate::registry::view::Views;
use async_graphql::{InputObject, Result};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Which changes. Absent fields let everything through; those that are given must all hold.
#[derive(InputObject, Default, Clone)]
pub struct EventFilter {
    /// Of one of these kinds.
    types: Option<Vec<EventType>>,
    /// About this node.
    node_id: Option<Uuid>,
    /// About tools of this name, in any version.
    tool: Option<String>,
    /// About this port lease.
    lease_id: Option<Uuid>,
    /// About this bus, its topics and its durable subscribers.
    bus_id: Option<Uuid>,
    /// Made by this principal, by its whole name, such as anonymous or registry.
    actor: Option<String>,
    /// Of this undertaking.
    correlation_id: Option<String>,
    /// Made at this instant or later.
    since: Option<DateTime>,
    /// Made before this instant.
    until: Option<DateTime>,
}

impl EventFilter {
    pub(in crate::graphql) fn read(self) -> Filter {
        Filter {
            kinds: {
                let kinds = self.types.unwrap_or_default().into_iter().map(model::EventKind::from);
                // Each once: there are few, and a list is as long as its sender likes.
                kinds.collect::<BTreeSet<_>>().into_iter().collect()
            },
            node: self.node_id.map(NodeId),
            tool: self.tool,
            lease: self.lease_id.map(LeaseId),
            bus: self.bus_id.map(BusId),
            correlation_id: self.correlation_id,
            since: self.since.map(|time| time.0),
            until: self.until.map(|time| time.0),
            actor: self.actor,
        }
    }
}

/// How many changes are looked at in one go by who may not see all of them.
const LOOKED_AT_ONCE: usize = 512;

/// Changes that match and that the caller may see, in the range's order, so many at most.
fn visible(
    views: &Views,
    caller: &Caller,
    filter: &Filter,
    mut range: Range,
    each: &mut dyn FnMut(Record) -> bool,
) -> Result<(), ReadError> {
    let state = views.current();
    range.limit = LOOKED_AT_ONCE;
    loop {
        let found = views.log().find(filter, range)?;
        let (count, last) = (found.len(), found.last().map(|record| record.sequence));
        for record in found.into_iter().filter(|record| caller.visitor.shows(&state, &record.change)) {
            if !each(record) {
                return Ok(());
            }
        }
        match last {
            Some(last) if count == LOOKED_AT_ONCE && range.backward => range.upto = last.previous(),
            Some(last) if count == LOOKED_AT_ONCE => range.after = last,
            _ => return Ok(()),
        }
    }
}

/// A page of the registry's history, oldest first.
pub(in crate::graphql) async fn list(
    services: &Services,
    caller: &Caller,
    view: &View,
    filter: Filter,
    args: &PageArgs,
) -> Result<Connection<RegistryEvent>> {
    let page: Page<model::Sequence> = args.page()?;
    let (views, upto) = (services.views.clone(), view.sequence);
    let oldest = blocking(&views, |views| views.log().pruned_upto()).await?;
    let range = Range {
        after: page.after.unwrap_or(oldest),
        upto: page.before.map_or(upto, |before| before.previous().min(upto)),
        backward: page.backward,
        limit: page.limit + 1,
    };
    let (of_find, sees_all) = (filter.clone(), caller.visitor.sees_all_changes());
    let of_caller = caller.clone();
    let mut found = blocking(&views, move |views| {
        if sees_all {
            return views.log().find(&of_find, range);
        }
        let mut found = Vec::new();
        visible(views, &of_caller, &of_find, range, &mut |record| {
            found.push(record);
            found.len() < range.limit
        })?;
        Ok(found)
    })
    .await?;
    if page.backward {
        found.reverse();
    }
    let total: Total = {
        let (views, caller) = (views.clone(), caller.clone());
        Box::new(move || {
            let (views, filter, caller) = (views.clone(), filter.clone(), caller.clone());
            Box::pin(async move {
                let count = blocking(&views, move |views| {
                    if sees_all {
                        return views.log().count(&filter, upto);
                    }
                    let whole = Range { after: oldest, upto, backward: false, limit: usize::MAX };
                    let mut count = 0;
                    visible(views, &caller, &filter, whole, &mut |_| {
                        count += 1;
                        true
                    })?;
                    Ok(count)
                });
                Ok(usize::try_from(count.await?).unwrap_or(usize::MAX))
            })
        })
    };
    let events = found.into_iter().filter_map(|record| {
        let sequence = record.sequence;
        Some((sequence, RegistryEvent::of(Arc::new(record), &views, caller)?))
    });
    Ok(page.take(events.collect::<Vec<_>>().into_iter(), total))
}

/// Reads the log where waiting for the disk stops nobody else.
pub(in crate::graphql) async fn blocking<T: Send + 'static>(
    views: &Arc<Views>,
    read: impl FnOnce(&Views) -> Result<T, ReadError> + Send + 'static,
) -> Result<T> {
    let views = views.clone();
    let read = tokio::task::spawn_blocking(move || read(&views)).await;
    match read.map_err(|panicked| ReadError::Failed(panicked.into())).and_then(|read| read) {
        Ok(value) => Ok(value),
        Err(ReadError::Pruned { oldest }) => Err(error::refuse(
            error::ErrorCode::CursorExpired,
            format!("changes up to {oldest} are no longer kept: go on from there"),
            json!({ "oldest": oldest.0 }),
        )),
        Err(error) => Err(error::internal(&error)),
    }
}
