//! The root of queries: the reading fields, earlier states, and history.

use super::View;
use super::error::{earlier, invalid};
use super::limits::budget::List;
use super::paging::{Connection, PageArgs};
use super::reach::{asker, live, pinned};
use super::reading::Reading;
use super::scalars::{DateTime, Sequence};
use super::types::access::{self, AuditEntry, AuditFilter, Principal, Token};
use super::types::event::RegistryEvent;
use super::types::history::{self, EventFilter};
use crate::access::Action;
use async_graphql::{Context, MergedObject, Object, Result};

/// Everything that can be asked of one consistent state of the registry: all fields of one request are answered from
/// the same place in the log.
#[derive(MergedObject, Default)]
pub struct Query(Reading, History, Access);

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
        let view = pinned(ctx)?;
        history::list(live(ctx)?, asker(ctx)?, view, filter.unwrap_or_default().read(), &args).await
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
        let view = asker(ctx)?.seen(&view.map_err(earlier)?);
        Ok(RegistryView(Reading { view: Some(view.clone()) }, Place(view)))
    }
}

/// Who asks, who may, and who was refused.
#[derive(Default)]
pub struct Access;

/// Who asks, who may, and who was refused.
#[Object]
impl Access {
    /// Whoever asks this, as the registry knows it.
    async fn principal(&self, ctx: &Context<'_>) -> Result<Principal> {
        let visitor = &asker(ctx)?.visitor;
        Ok(Principal::new(visitor.principal(), visitor.access().is_on()))
    }

    /// Tokens that have not been revoked, by name, then the oldest first; those that have expired are among them. For
    /// those who may administer the registry.
    async fn tokens(&self, ctx: &Context<'_>) -> Result<List<Token>> {
        asker(ctx)?.permit_here(Action::Administer)?;
        // The version that was pinned for the caller has none.
        let view = live(ctx)?.views.current();
        let mut tokens: Vec<_> = view.tokens.values().cloned().collect();
        tokens.sort_by(|a, b| (&a.name, a.created_at, a.id).cmp(&(&b.name, b.created_at, b.id)));
        Ok(tokens.into_iter().map(Token).collect())
    }

    /// Every change and who made it, and attempts that were refused, the oldest first. Heartbeats are not in it. For those
    /// who may administer the registry.
    async fn audit(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which entries; all when absent.")] filter: Option<AuditFilter>,
        #[graphql(desc = "How many entries at most: 0 to 500, 50 when absent.")] first: Option<i32>,
        #[graphql(desc = "Only what comes behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries at most, counted from the end: 0 to 500.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
    ) -> Result<Connection<AuditEntry>> {
        asker(ctx)?.permit_here(Action::Administer)?;
        let args = PageArgs { first, after, last, before };
        let view = pinned(ctx)?;
        access::audit(live(ctx)?, view, filter.unwrap_or_default(), &args).await
    }
}
