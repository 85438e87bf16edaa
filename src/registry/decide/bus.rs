//! Buses: made, turned on and off, and deleted; what is said of their topics; who listens by name.
//!
//! Whether a bus really runs, whoever runs it finds out and says: that comes in as a command, too.

use super::{Answer, Decision};
use crate::model::{Bus, BusId, BusStatus, BusTerms, Change, DurableSubscriber, SubscriberName, TopicName, TopicTerms};
use crate::registry::command::{AttachSubscriber, TurnBus};
use crate::registry::refusal::Refusal;
use crate::registry::state::State;
use std::sync::Arc;

/// The most buses there are.
pub const BUSES_MAX: usize = 1_000;
/// The most topics of a bus of which something is said: as many as a bus that runs takes.
pub const TOPICS_MAX: usize = 5_000;
/// The most that listen on a bus by name.
pub const SUBSCRIBERS_MAX: usize = 10_000;

pub(super) fn create(state: &State, bus: BusId, terms: &Arc<BusTerms>) -> Result<Decision, Refusal> {
    if let Some(holder) = state.bus_names.get(&terms.name) {
        return Err(Refusal::BusNameTaken { name: terms.name.clone(), holder: *holder });
    }
    if state.buses.len() >= BUSES_MAX {
        return Err(Refusal::TooMany { what: "buses", max: BUSES_MAX });
    }
    let changes = vec![Change::BusCreated { bus, terms: terms.clone() }];
    Ok(Decision { changes, answer: Answer::Bus(bus) })
}

pub(super) fn turn(state: &State, turn: &TurnBus) -> Result<Decision, Refusal> {
    let bus = known(state, turn.bus)?;
    let repeats = bus.status == turn.status && bus.reason == turn.reason && bus.leases == turn.leases;
    let change = Change::BusTurned {
        bus: turn.bus,
        status: turn.status,
        reason: turn.reason.clone(),
        leases: turn.leases.clone(),
        diagnostics: turn.diagnostics.clone(),
    };
    Ok(Decision { changes: if repeats { Vec::new() } else { vec![change] }, answer: Answer::Bus(turn.bus) })
}

pub(super) fn delete(state: &State, id: BusId) -> Result<Decision, Refusal> {
    let bus = known(state, id)?;
    if bus.status != BusStatus::Stopped {
        return Err(Refusal::BusNotStopped { bus: id, name: bus.terms.name.clone() });
    }
    let changes = vec![Change::BusDeleted { bus: id, name: bus.terms.name.clone() }];
    Ok(Decision { changes, answer: Answer::BusDeleted(bus.clone()) })
}

pub(super) fn define(
    state: &State,
    id: BusId,
    topic: &TopicName,
    terms: &Arc<TopicTerms>,
) -> Result<Decision, Refusal> {
    known(state, id)?;
    let topics = state.bus_topics.get(&id);
    let before = topics.and_then(|topics| topics.get(topic));
    if before.is_none() && topics.map_or(0, imbl::OrdMap::len) >= TOPICS_MAX {
        return Err(Refusal::TooMany { what: "defined topics of a bus", max: TOPICS_MAX });
    }
    let change = Change::TopicDefined { bus: id, topic: topic.clone(), terms: terms.clone() };
    let changes = if before == Some(terms) { Vec::new() } else { vec![change] };
    Ok(Decision { changes, answer: Answer::Bus(id) })
}

/// One who comes back finds what it left; who wants other events under the same name deletes it first, since nobody can
/// say what of the waiting ones it would have wanted.
pub(super) fn attach(state: &State, attach: &AttachSubscriber) -> Result<Decision, Refusal> {
    let wanted = &attach.subscriber;
    known(state, wanted.bus)?;
    let on_bus = state.subscribers.get(&wanted.bus);
    match on_bus.and_then(|on_bus| on_bus.get(&wanted.name)) {
        Some(held) if held.principal != wanted.principal && !attach.overrules => {
            Err(Refusal::SubscriberNotOwn { name: wanted.name.clone() })
        }
        Some(held) if held.wanted != wanted.wanted => Err(Refusal::SubscriberDiffers { name: wanted.name.clone() }),
        Some(held) => Ok(Decision { changes: Vec::new(), answer: Answer::Subscriber(held.clone()) }),
        None if on_bus.map_or(0, imbl::OrdMap::len) >= SUBSCRIBERS_MAX => {
            Err(Refusal::TooMany { what: "durable subscribers of a bus", max: SUBSCRIBERS_MAX })
        }
        None => {
            let subscriber = Arc::new(DurableSubscriber::clone(wanted));
            let changes = vec![Change::SubscriberAttached { subscriber: subscriber.clone() }];
            Ok(Decision { changes, answer: Answer::Subscriber(subscriber) })
        }
    }
}

pub(super) fn detach(state: &State, id: BusId, name: &SubscriberName) -> Result<Decision, Refusal> {
    known(state, id)?;
    let held = state.subscribers.get(&id).and_then(|on_bus| on_bus.get(name));
    let held = held.ok_or_else(|| Refusal::SubscriberNotFound { bus: id, name: name.clone() })?;
    let changes = vec![Change::SubscriberDetached { bus: id, subscriber: held.id, name: name.clone() }];
    Ok(Decision { changes, answer: Answer::Subscriber(held.clone()) })
}

/// A bus that somebody made, with which something is to be done.
fn known(state: &State, id: BusId) -> Result<&Arc<Bus>, Refusal> {
    match state.buses.get(&id) {
        Some(bus) if bus.is_of_registry() => Err(Refusal::BusOfRegistry { bus: id }),
        Some(bus) => Ok(bus),
        None => Err(Refusal::BusNotFound { bus: id }),
    }
}
