//! How much a bus has to do, as it changes.

use super::super::error::invalid;
use super::super::mutation::buses::permitted;
use super::super::reach::{asker, live};
use super::super::types::bus_metrics::BusMetrics;
use crate::access::Action;
use crate::model::Sequence;
use async_graphql::{Context, Result, Subscription as GraphQlSubscription};
use futures_util::stream::{self, Stream};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// The least milliseconds between two answers: below, a chart shows no more, and the registry has more to do.
const EVERY_MS_MIN: u32 = 200;
/// The most.
const EVERY_MS_MAX: u32 = 60_000;
const EVERY_MS_DEFAULT: u32 = 1_000;

/// How much buses have to do.
#[derive(Default)]
pub struct MetricsSubscription;

/// How much buses have to do.
#[GraphQlSubscription]
impl MetricsSubscription {
    /// What a bus has to do: at once, and then each time that it has changed. Whoever watches this does not listen on
    /// the bus. While the bus stands still, all is 0. Ends when the bus is deleted.
    async fn bus_metrics(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The bus, by name or id.")] bus: String,
        #[graphql(
            desc = "How many milliseconds pass at least from one answer to the next: 200 to 60,000.",
            default_with = "EVERY_MS_DEFAULT"
        )]
        every_ms: u32,
    ) -> Result<impl Stream<Item = BusMetrics> + use<>> {
        let (services, caller) = (live(ctx)?.clone(), asker(ctx)?);
        if !(EVERY_MS_MIN..=EVERY_MS_MAX).contains(&every_ms) {
            return Err(invalid("everyMs", format!("is {every_ms}; {EVERY_MS_MIN} to {EVERY_MS_MAX} can be had")));
        }
        let bus = permitted(caller, &services.views.current(), Action::Read, &bus)?.id;
        let (every, changes) = (Duration::from_millis(u64::from(every_ms)), services.views.changes());
        Ok(stream::unfold((changes, None), move |(mut changes, told)| {
            let services = services.clone();
            async move {
                let mut is_first = told.is_none();
                loop {
                    let is_known = || services.views.current().buses.contains_key(&bus);
                    if !is_first {
                        tokio::select! {
                            () = sleep(every) => {}
                            () = until_not(&mut changes, is_known) => return None,
                        }
                    }
                    is_first = false;
                    let view = services.views.current();
                    if !view.buses.contains_key(&bus) {
                        return None;
                    }
                    let now = BusMetrics::now(&services, &view, bus);
                    if told.as_ref() != Some(&now) {
                        return Some((now.clone(), (changes, Some(now))));
                    }
                }
            }
        }))
    }
}

/// Waits until something no longer holds after a change of the registry, or there are no more changes.
async fn until_not(changes: &mut watch::Receiver<Sequence>, holds: impl Fn() -> bool) {
    while holds() {
        if changes.changed().await.is_err() {
            return;
        }
    }
}
