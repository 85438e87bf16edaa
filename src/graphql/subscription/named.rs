//! Events for those who listen by name.

use super::super::error::{self, invalid};
use super::super::mutation::buses::may_on_topic;
use super::super::mutation::submit;
use super::super::reach::{asker, live};
use super::super::types::bus::{BusEventFilter, Overflow};
use super::super::types::onex_event::{BusEvent, ReplayInput};
use super::super::types::subscriber::Acknowledge;
use super::listener::Events;
use crate::access::{Action, Kind, Resource};
use crate::bus::hub::ListeningByName;
use crate::model::{Bus, BusKind, BusPolicy, DurableSubscriber, NodeId, SubscriberId, SubscriberName};
use crate::registry::command::{AttachSubscriber, Command};
use crate::registry::decide::Answer;
use async_graphql::{Context, Result};
use futures_util::stream::{self, StreamExt};
use std::sync::Arc;
use uuid::Uuid;

/// What one that wants to listen by name says.
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) node: Option<NodeId>,
    pub(super) topics: Option<Vec<String>>,
    pub(super) filter: Option<BusEventFilter>,
    pub(super) replay: Option<ReplayInput>,
    pub(super) queue_capacity: Option<u32>,
    pub(super) overflow: Option<Overflow>,
    pub(super) acknowledge: Option<Acknowledge>,
}

/// Lets the caller listen by a name, which is made where there is none.
pub(super) async fn listen(ctx: &Context<'_>, bus: &Bus, asked: Asked) -> Result<Events> {
    let (services, caller) = (live(ctx)?, asker(ctx)?);
    let name = SubscriberName::try_new(&asked.name).map_err(|error| invalid("durable", error))?;
    if asked.overflow.is_some() {
        return Err(invalid("overflow", "is not for durable subscribers, which lose nothing: leave it out"));
    }
    if let Some(capacity) = asked.queue_capacity
        && !(1..=BusPolicy::QUEUE_CAPACITY_MAX).contains(&capacity)
    {
        return Err(invalid("queueCapacity", format!("is 1 to {}", BusPolicy::QUEUE_CAPACITY_MAX)));
    }
    if matches!(bus.terms.kind, BusKind::Ipc | BusKind::Zmq) {
        let reason = "is not for buses over ZeroMQ, which keep nothing: LOCAL, JETSTREAM and REDIS do";
        return Err(invalid("durable", reason));
    }
    let view = services.views.current();
    let held = view.subscribers_of(bus.id).find(|held| held.name == name);
    let wanted = match held {
        // Who comes back need not say again what it wants.
        Some(held) if asked.topics.is_none() && asked.filter.is_none() => held.wanted.clone(),
        _ => asked.filter.unwrap_or_default().read(asked.topics)?,
    };
    if held.is_none() {
        caller.permit(
            Action::Attach,
            Kind::Bus,
            || Resource::of_bus(bus),
            || error::no_bus(bus.terms.name.as_str()),
        )?;
    }
    #[expect(clippy::disallowed_methods, reason = "ids are drawn here, at the door")]
    let id = SubscriberId(Uuid::new_v4());
    let subscriber = DurableSubscriber {
        id,
        bus: bus.id,
        name,
        principal: caller.actor.principal.clone(),
        wanted,
        created_at: services.clock.now(),
    };
    let overrules = caller.permit_here(Action::Administer).is_ok();
    let command = Command::AttachSubscriber(Box::new(AttachSubscriber { subscriber, overrules }));
    let Answer::Subscriber(subscriber) = submit(ctx, command, None).await?.answer else {
        return Err(super::super::mutation::unexpected());
    };
    let reader = caller.clone();
    let listening = ListeningByName {
        subscriber,
        begin: asked.replay.as_ref().map(ReplayInput::read).unwrap_or_default(),
        acknowledging: asked.acknowledge.unwrap_or_default().into(),
        open_max: asked.queue_capacity,
        node: asked.node,
        // What of the topics it may not read is as if nothing were published there.
        shown: Arc::new(move |topic| may_on_topic(&reader, Action::Subscribe, topic)),
    };
    let named = services.buses.listen_by_name(listening).await.map_err(error::bus)?;
    let bus = bus.terms.name.clone();
    let events = stream::unfold(Some(named), move |named| {
        let bus = bus.clone();
        async move {
            let mut named = named?;
            match named.next().await {
                Ok(given) => Some((Ok(BusEvent { bus, given }), Some(named))),
                Err(end) => Some((Err(error::ended(bus.as_str(), end)?), None)),
            }
        }
    });
    Ok(events.boxed())
}
