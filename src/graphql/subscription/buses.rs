//! Events that travel a bus.

use super::super::error;
use super::super::mutation::buses::{may_on_topic, permitted};
use super::super::reach::{asker, live};
use super::super::types::bus::{BusEventFilter, Overflow};
use super::super::types::onex_event::{BusEvent, ReplayInput};
use crate::access::Action;
use crate::bus::router::{Attaching, EndReason};
use crate::model::SubscriberId;
use async_graphql::{Context, Result, Subscription as GraphQlSubscription};
use futures_util::future::ready;
use futures_util::stream::{self, Stream, StreamExt};
use uuid::Uuid;

/// Events that travel a bus.
#[derive(Default)]
pub struct BusSubscription;

/// Events that travel a bus.
#[GraphQlSubscription]
impl BusSubscription {
    /// Events that travel a bus, in its order, each once: what of the past is asked for, then live without a gap. Whatever
    /// is lost on the way is told in missed. Ends when the bus stops.
    #[expect(clippy::too_many_arguments, reason = "each is something that a subscriber may want to say")]
    async fn bus_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The bus, by name or id.")] bus: String,
        #[graphql(desc = "Topics, with NATS-style wildcards: * is one segment, > the rest; all when absent.")]
        topics: Option<Vec<String>>,
        #[graphql(name = "where", desc = "Which events; all when absent.")] filter: Option<BusEventFilter>,
        #[graphql(desc = "What of the past is given first; nothing when absent.")] replay: Option<ReplayInput>,
        #[graphql(desc = "How many events wait at most: 1 to 100,000; as the bus has it when absent.")]
        queue_capacity: Option<u32>,
        #[graphql(desc = "What happens then; as the bus has it when absent.")] overflow: Option<Overflow>,
    ) -> Result<impl Stream<Item = Result<BusEvent>> + use<>> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let bus = permitted(caller, &services.views.current(), Action::Subscribe, &bus)?;
        #[expect(clippy::disallowed_methods, reason = "ids are drawn here, at the door")]
        let id = SubscriberId(Uuid::new_v4());
        let attaching = Attaching {
            wanted: filter.unwrap_or_default().read(topics)?,
            capacity: queue_capacity,
            overflow: overflow.map(Into::into),
            replay: replay.as_ref().map(ReplayInput::read).unwrap_or_default(),
            node: caller.visitor.bound_to(),
            ..Attaching::new(id, caller.actor.principal.clone())
        };
        let listening = services.buses.listen(bus.id, attaching).map_err(error::bus)?;
        let (name, caller) = (bus.terms.name.clone(), caller.clone());
        let events = stream::unfold(Some(listening), move |listening| {
            let bus = name.clone();
            async move {
                let mut listening = listening?;
                match listening.next().await {
                    Ok(given) => Some((Ok(BusEvent { bus, given }), Some(listening))),
                    Err(end) if end.reason == EndReason::Overflowed => {
                        Some((Err(error::overflowed(bus.as_str(), end.missed)), None))
                    }
                    Err(_) => None,
                }
            }
        });
        // What of the topics it may not read is as if nothing were published there.
        Ok(events.filter(move |event: &Result<BusEvent>| {
            let shown = |event: &BusEvent| may_on_topic(&caller, Action::Subscribe, &event.given.event.topic);
            ready(event.as_ref().map_or(true, shown))
        }))
    }
}
