//! Buses are created, started, stopped and deleted; events are published.

use super::super::error::{self, invalid};
use super::super::reach::{asker, live};
use super::super::scalars::Sequence;
use super::super::types::bus::{Bus, BusRefInput, CreateBusInput, DefineTopicInput};
use super::super::types::onex_event::{Publication, PublishInput};
use super::super::types::subscriber::{AckEventInput, EventAcknowledgement, Subscriber, SubscriberRefInput};
use super::super::types::topic::{self, Topic};
use super::super::{Caller, Services, View};
use super::{correlation_id, submit, unexpected};
use crate::access::{Action, Kind, Resource};
use crate::bus::hub;
use crate::bus::kind::Place;
use crate::model::{self, BusId, DurableSubscriber, NodeId, Sequence as LogPlace, SubscriberName, TopicName};
use crate::registry::command::{Command, Request};
use crate::registry::decide::Answer;
use crate::registry::refusal::Refusal;
use async_graphql::{Context, Object, Result};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Buses are created, started, stopped and deleted; events are published.
#[derive(Default)]
pub struct BusMutation;

/// Buses are created, started, stopped and deleted; events are published.
#[Object]
impl BusMutation {
    /// Create a bus and start it, unless start is false. One that cannot be as it is asked for is refused.
    async fn create_bus(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is to be.")] mut input: Box<CreateBusInput>,
    ) -> Result<Bus> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        caller.permit_here(Action::Administer)?;
        let (start, given) = (input.start.unwrap_or(true), input.correlation_id.take());
        let mut terms = input.read()?;
        services.buses.defaults().complete(&mut terms);
        let terms = Arc::new(terms);
        hub::check(&terms).map_err(error::bus)?;
        let bus = BusId(Uuid::now_v7());
        let outcome = submit(ctx, Command::CreateBus { bus, terms }, given.clone()).await?;
        if start {
            let signed = signed(caller, given)?;
            if let Err(error) = services.buses.start(bus, &signed).await {
                // One that cannot run is not there: the next try may have its name.
                services.buses.delete(bus, &signed).await.map_err(error::bus)?;
                return Err(error::bus(error));
            }
        }
        match outcome.answer {
            Answer::Bus(bus) => as_it_is(services, bus),
            _ => Err(unexpected()),
        }
    }

    /// Start a bus; nothing where it runs.
    async fn start_bus(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which bus.")] mut input: BusRefInput,
    ) -> Result<Bus> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        caller.permit_here(Action::Administer)?;
        let (bus, given) = (BusId(input.bus_id), input.correlation_id.take());
        services.buses.start(bus, signed(caller, given)?).await.map_err(error::bus)?;
        as_it_is(services, bus)
    }

    /// Stop a bus: nothing more is taken in, what waits is still given, and those who listen are told. Nothing where it
    /// stands still.
    async fn stop_bus(&self, ctx: &Context<'_>, #[graphql(desc = "Which bus.")] mut input: BusRefInput) -> Result<Bus> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        caller.permit_here(Action::Administer)?;
        let (bus, given) = (BusId(input.bus_id), input.correlation_id.take());
        services.buses.stop(bus, signed(caller, given)?).await.map_err(error::bus)?;
        as_it_is(services, bus)
    }

    /// Forget a bus that stands still, with all that is kept of it. Answers the bus as it last was.
    async fn delete_bus(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which bus.")] mut input: BusRefInput,
    ) -> Result<Bus> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        caller.permit_here(Action::Administer)?;
        let (bus, given) = (BusId(input.bus_id), input.correlation_id.take());
        let deleted = services.buses.delete(bus, signed(caller, given)?).await.map_err(error::bus)?;
        Ok(Bus::new(&services.views.current(), &deleted))
    }

    /// Give a topic of a bus a JSON Schema that the envelopes of its events must meet, and rules of its own; what is
    /// absent is as the bus has it.
    async fn define_topic(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which topic, and what is said of it.")] mut input: Box<DefineTopicInput>,
    ) -> Result<Topic> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        caller.permit_here(Action::Administer)?;
        let bus = permitted(caller, &services.views.current(), Action::Read, &input.bus)?;
        let given = input.correlation_id.take();
        let (topic, terms) = input.read(&bus)?;
        let terms = Arc::new(terms);
        let command = Command::DefineTopic { bus: bus.id, topic: topic.clone(), terms: terms.clone() };
        submit(ctx, command, given).await?;
        services.buses.define(bus.id, &topic, &terms).await.map_err(|error| invalid("schema", error))?;
        topic::on_bus(services, &services.views.current(), &bus).remove(&topic).ok_or_else(unexpected)
    }

    /// Say of events that a durable subscriber was given that it is done with them, or, with again, that they are to come
    /// again. Answered once what carries the bus knows.
    async fn ack_event(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which events, of whom.")] input: AckEventInput,
    ) -> Result<EventAcknowledgement> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let (bus, held) = own_subscriber(caller, services, &input.bus, &input.subscriber)?;
        if input.sequences.len() > AckEventInput::SEQUENCES_MAX {
            let most = format!("has {} entries; the most is {}", input.sequences.len(), AckEventInput::SEQUENCES_MAX);
            return Err(invalid("sequences", most));
        }
        let is_done = !input.again.unwrap_or(false);
        let places = input.sequences.iter().map(|sequence| Place(sequence.0.0)).collect();
        let open = services.buses.acknowledge(bus.id, &held.name, places, is_done).await.map_err(error::bus)?;
        let mut seen = BTreeSet::new();
        // One that is named twice is open once.
        let is_taken = |sequence: &Sequence| {
            let place = Place(sequence.0.0);
            open.contains(&place) && seen.insert(place)
        };
        let (taken, not_open) = input.sequences.into_iter().partition(is_taken);
        Ok(EventAcknowledgement { taken, not_open })
    }

    /// Forget a durable subscriber, with all that waits for it. Answers it as it last was.
    async fn delete_subscriber(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which subscriber.")] mut input: SubscriberRefInput,
    ) -> Result<Subscriber> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let (bus, held) = own_subscriber(caller, services, &input.bus, &input.name)?;
        let signed = signed(caller, input.correlation_id.take())?;
        let forgotten = services.buses.forget(bus.id, &held.name, signed).await.map_err(error::bus)?;
        Ok(Subscriber::kept(&services.views.current(), forgotten))
    }

    /// Publish an event. It is answered once what carries the bus has it, as durably as it keeps anything.
    async fn publish(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What, and where.")] input: Box<PublishInput>,
    ) -> Result<Publication> {
        let (services, caller) = (live(ctx)?, asker(ctx)?);
        let view = services.views.current();
        let PublishInput { bus, topic, event } = *input;
        let bus = permitted(caller, &view, Action::Publish, &bus)?;
        let topic = match topic {
            Some(topic) => TopicName::try_new(&topic).map_err(|error| invalid("topic", error))?,
            None => {
                let topic = services.buses.defaults().topic_of(&event.event_type);
                topic.map_err(|error| invalid("event.eventType", error))?
            }
        };
        let absent = || error::refuse(error::ErrorCode::PermissionDenied, "that is not allowed", serde_json::json!({}));
        caller.permit(Action::Publish, Kind::Topic, || Resource::of_topic(&topic), absent)?;
        let node = NodeId(event.node_id);
        if caller.visitor.bound_to().is_some_and(|own| own != node) {
            return Err(invalid("event.nodeId", "is another node's than the one that the caller may act for"));
        }
        #[expect(clippy::disallowed_methods, reason = "ids are drawn here, at the door")]
        let event = event.read(Uuid::new_v4(), services.clock.now())?;
        let traceparent = caller.trace.map(|trace| trace.to_string().into());
        let published = services.buses.publish(bus.id, &topic, &event, traceparent).await.map_err(error::bus)?;
        Ok(Publication {
            bus: Bus::new(&view, &bus),
            topic: topic.to_string(),
            event_id: event.id.0,
            sequence: Sequence(LogPlace(published.place.0)),
            matched_subscribers: published.matched,
        })
    }
}

/// The bus of this name or id, with which the caller may do this. What it may not know of is as if it were not there.
pub(in crate::graphql) fn permitted(
    caller: &Caller,
    view: &View,
    action: Action,
    named: &str,
) -> Result<Arc<model::Bus>> {
    let by_id = || named.parse().ok().and_then(|id| view.buses.get(&BusId(id)));
    let found = view.bus_by_name(named).or_else(by_id).cloned();
    let bus = found.ok_or_else(|| error::no_bus(named))?;
    caller.permit(action, Kind::Bus, || Resource::of_bus(&bus), || error::no_bus(named))?;
    Ok(bus)
}

/// A durable subscriber that is the caller's, or that it may speak for.
fn own_subscriber(
    caller: &Caller,
    services: &Services,
    bus: &str,
    name: &str,
) -> Result<(Arc<model::Bus>, Arc<DurableSubscriber>)> {
    let view = services.views.current();
    let bus = permitted(caller, &view, Action::Subscribe, bus)?;
    let name = SubscriberName::try_new(name).map_err(|error| invalid("subscriber", error))?;
    let held = view.subscribers_of(bus.id).find(|held| held.name == name).cloned();
    let held = held.ok_or_else(|| error::refusal(&Refusal::SubscriberNotFound { bus: bus.id, name: name.clone() }))?;
    if held.principal != caller.actor.principal && caller.permit_here(Action::Administer).is_err() {
        return Err(error::refusal(&Refusal::SubscriberNotOwn { name }));
    }
    Ok((bus, held))
}

/// Whether the caller may do this on a topic of a bus on which it may.
pub(in crate::graphql) fn may_on_topic(caller: &Caller, action: Action, topic: &TopicName) -> bool {
    caller.visitor.may_all(action, Kind::Topic) || caller.visitor.may(action, &Resource::of_topic(topic))
}

fn signed(caller: &Caller, given: Option<String>) -> Result<impl Fn(Command) -> Request> {
    let (actor, correlation_id) = (caller.actor.clone(), correlation_id(caller, given)?);
    Ok(move |command| Request { command, actor: actor.clone(), correlation_id: correlation_id.clone() })
}

fn as_it_is(services: &Services, bus: BusId) -> Result<Bus> {
    let view = services.views.current();
    Bus::by_id(&view, bus).ok_or_else(|| error::refusal(&Refusal::BusNotFound { bus }))
}
