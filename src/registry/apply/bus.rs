//! Buses come and go, with what is said of their topics and those who listen by name.

use super::Place;
use crate::model::{
    Bus, BusId, BusStatus, BusTerms, DurableSubscriber, LeaseId, SubscriberName, TopicName, TopicTerms,
};
use crate::registry::state::State;
use std::sync::Arc;

pub(super) fn created(state: &mut State, place: Place, id: BusId, terms: &Arc<BusTerms>) {
    let terms = terms.clone();
    let bus = Bus {
        id,
        terms,
        status: BusStatus::Stopped,
        reason: None,
        leases: Vec::new(),
        created_at: place.time,
        started_at: None,
    };
    put(state, Arc::new(bus));
}

pub(super) fn put(state: &mut State, bus: Arc<Bus>) {
    state.bus_names.insert(bus.terms.name.clone(), bus.id);
    state.buses.insert(bus.id, bus);
}

pub(super) fn turned(
    state: &mut State,
    place: Place,
    id: BusId,
    status: BusStatus,
    reason: Option<&str>,
    leases: &[LeaseId],
) {
    let Some(bus) = state.buses.get_mut(&id) else { return };
    let bus = Arc::make_mut(bus);
    bus.status = status;
    bus.reason = reason.map(str::to_owned);
    bus.leases = leases.to_vec();
    bus.started_at = match status {
        // One that was away for a while began before that.
        BusStatus::Running | BusStatus::Degraded => bus.started_at.or(Some(place.time)),
        BusStatus::Starting | BusStatus::Stopped => None,
    };
}

pub(super) fn deleted(state: &mut State, id: BusId) {
    if let Some(bus) = state.buses.remove(&id) {
        state.bus_names.remove(&bus.terms.name);
    }
    state.bus_topics.remove(&id);
    state.subscribers.remove(&id);
}

pub(super) fn define(state: &mut State, bus: BusId, topic: TopicName, terms: Arc<TopicTerms>) {
    state.bus_topics.entry(bus).or_default().insert(topic, terms);
}

pub(super) fn attach(state: &mut State, subscriber: Arc<DurableSubscriber>) {
    state.subscribers.entry(subscriber.bus).or_default().insert(subscriber.name.clone(), subscriber);
}

pub(super) fn detached(state: &mut State, bus: BusId, name: &SubscriberName) {
    if let Some(on_bus) = state.subscribers.get_mut(&bus) {
        on_bus.remove(name);
        if on_bus.is_empty() {
            state.subscribers.remove(&bus);
        }
    }
}
