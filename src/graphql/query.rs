//! The root of queries: the reading fields, earlier states, and history.

use super::View;
use super::error::{earlier, invalid};
use super::paging::{Connection, PageArgs};
use super::reach::{live, pinned};
use super::reading::Reading;
use super::scalars::{DateTime, Sequence};
use super::types::event::RegistryEvent;
use super::types::history::{self, EventFilter};
use async_graphql::{Context, MergedObject, Object, Result};

/// Everything that can be asked of one consistent state of the registry: all fields of one request are answered from
/// the same place in the log.
#[derive(MergedObject, Default)]
pub struct Query(Reading, History);

/// An earlier state of the registry: answers every reading field of Query except at and events.
#[derive(MergedObject)]
pub struct RegistryView(Reading, Place);

/// Where in the log a view stands.
pub struct Place(View);

/// Where in the log a view stands.
#[Object]
impl Place {
    /// The last log entry that this state reflects. A command's entries are never shown by half: this may be a little
    /// beyond the place that was asked for.
    async fn sequence(&self) -> Sequence {
        Sequence(self.0.sequence)
    }

    /// When that entry was made.
    async fn time(&self) -> DateTime {
        DateTime(self.0.time)
    }
}

/// Earlier states, and what happened between them.
#[derive(Default)]
pub struct History;

/// Earlier states, and what happened between them.
#[Object]
impl History {
    /// The registry's own history, oldest first. Heartbeats are not in it.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which changes; all when absent.")] filter: Option<EventFilter>,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries at most, counted from the end: 0 to 500.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<Connection<RegistryEvent>> {
        let args = PageArgs { first, after, last, before };
        history::list(live(ctx)?, pinned(ctx)?, filter.unwrap_or_default().read(), &args).await
    }

    /// The same questions asked of an earlier state: by place in the log, or by instant; exactly one is given.
    async fn at(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A place in the log: the state with this entry, and all of its command.")] sequence: Option<
            Sequence,
        >,
        #[graphql(desc = "An instant that has been: the state as it then was.")] time: Option<DateTime>,
    ) -> Result<RegistryView> {
        let services = live(ctx)?;
        let view = match (sequence, time) {
            (Some(Sequence(place)), None) => services.views.at(place).await,
            (None, Some(DateTime(time))) => services.views.at_time(time, services.clock.now()).await,
            _ => return Err(invalid("at", "takes either sequence or time")),
        };
        let view = view.map_err(earlier)?;
        Ok(RegistryView(Reading { view: Some(view.clone()) }, Place(view)))
    }
}
