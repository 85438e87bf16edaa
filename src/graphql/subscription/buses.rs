//! Events that travel a bus.

use super::super::error::{self, invalid};
use super::super::mutation::buses::permitted;
use super::super::reach::{asker, live};
use super::super::types::bus::{BusEventFilter, Overflow};
use super::super::types::onex_event::ReplayInput;
use super::super::types::subscriber::Acknowledge;
use super::listener::{Events, Listener, Part};
use super::{named, of_registry};
use crate::access::Action;
use crate::bus::router::Attaching;
use crate::model::{NodeId, SubscriberId};
use crate::registry::refusal::Refusal;
use async_graphql::{Context, Result, Subscription as GraphQlSubscription};
use uuid::Uuid;

/// Events that travel a bus.
#[derive(Default)]
pub struct BusSubscription;

/// Events that travel a bus.
#[GraphQlSubscription]
impl BusSubscription {
    /// Events that travel a bus, in its order, each once: what of the past is asked for, then live without a gap. Whatever
    /// is lost on the way is told in missed. Ends when the bus stops: with BUS_STOPPED where something was lost behind the
    /// last event, and how much: details.missed. The bus registry has the registry's own changes, as far
    /// as the caller may know of them; nothing is lost on it, whatever capacity and overflow are asked for.
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
        #[graphql(
            desc = "A name to listen by: what this name has not acknowledged comes again, whoever listens by it, \
                          whether anybody was there or not. Made where there is none; then replay says where it \
                          begins, with what is published from now on when absent. One that is there keeps its filter, \
                          and may be given without. queueCapacity is how many events it has unacknowledged at most. \
                          Nobody's name when absent: events are for those who are there."
        )]
        durable: Option<String>,
        #[graphql(desc = "For durable: when an event counts as done with; EXPLICIT when absent.")] acknowledge: Option<
            Acknowledge,
        >,
        #[graphql(
            desc = "The node that listens, so that who feeds whom can be seen; the one that the caller's token is \
                          bound to when absent."
        )]
        node_id: Option<Uuid>,
    ) -> Result<Events> {
        if let Some(events) = ctx.data_opt::<Part>().and_then(Part::events) {
            return Ok(events);
        }
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let bound = caller.visitor.bound_to();
        if bound.is_some_and(|own| node_id.is_some_and(|node| node != own.0)) {
            return Err(invalid("nodeId", "is another node's than the one that the caller may act for"));
        }
        let node = bound.or(node_id.map(NodeId));
        let bus = permitted(caller, &services.views.current(), Action::Subscribe, &bus)?;
        if bus.is_of_registry() {
            if durable.is_some() || acknowledge.is_some() {
                return Err(error::refusal(&Refusal::BusOfRegistry { bus: bus.id }));
            }
            let replay = replay.as_ref().map(ReplayInput::read).unwrap_or_default();
            let wanted = filter.unwrap_or_default().read(topics)?;
            return of_registry::events(services, caller, &bus, wanted, replay).await;
        }
        if let Some(name) = durable {
            let asked = named::Asked { name, node, topics, filter, replay, queue_capacity, overflow, acknowledge };
            return named::listen(ctx, &bus, asked).await;
        }
        if acknowledge.is_some() {
            return Err(invalid("acknowledge", "is for durable subscribers: give durable a name"));
        }
        #[expect(clippy::disallowed_methods, reason = "ids are drawn here, at the door")]
        let id = SubscriberId(Uuid::new_v4());
        let attaching = Attaching {
            wanted: filter.unwrap_or_default().read(topics)?,
            capacity: queue_capacity,
            overflow: overflow.map(Into::into),
            replay: replay.as_ref().map(ReplayInput::read).unwrap_or_default(),
            node,
            ..Attaching::new(id, caller.actor.principal.clone())
        };
        let name = bus.terms.name.clone();
        if !services.buses.covers(bus.id, &attaching).map_err(error::bus)? {
            let from_past = services.buses.listen_from_past(bus.id, attaching).await.map_err(error::bus)?;
            return Ok(Box::pin(Listener::from_past(from_past, name, caller.clone()).events()));
        }
        let listening = services.buses.listen(bus.id, attaching).map_err(error::bus)?;
        let listener = Listener::new(listening, name, caller.clone());
        Ok(match ctx.data_opt::<Part>() {
            Some(part) => part.hand_over(listener),
            None => Box::pin(listener.events()),
        })
    }
}
