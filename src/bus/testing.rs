//! What tests of this room are made of.

use super::arrived::Arrived;
use super::envelope::{self, Event};
use super::kind::{Carried, Place};
use crate::model::{
    BusKind, BusName, BusPolicy, BusTerms, NodeId, OnexEventId, SchemaMode, Time, TopicName, TopicPattern, TrustState,
};
use bytes::Bytes;
use serde_json::{Map, json};
use uuid::Uuid;

pub fn topic(name: &str) -> TopicName {
    TopicName::try_new(name).unwrap()
}

pub fn pattern(text: &str) -> TopicPattern {
    TopicPattern::try_new(text).unwrap()
}

pub fn at(seconds: u64) -> Time {
    Time::default().plus_seconds(seconds)
}

pub fn at_millis(millis: u64) -> Time {
    Time::from_micros(millis as i64 * 1_000)
}

/// Node 1's event of this number.
pub fn event(number: u64, event_type: &str) -> Event {
    Event {
        id: OnexEventId(Uuid::from_u128(u128::from(number))),
        timestamp: Time::default(),
        node: NodeId(Uuid::from_u128(1)),
        event_type: event_type.to_owned(),
        correlation_id: None,
        tags: Vec::new(),
        metadata: Map::new(),
    }
}

pub fn event_text(number: u64, event_type: &str) -> Bytes {
    envelope::write(&event(number, event_type))
}

/// An event of type DONE at this place, carried at 0.
pub fn carried(name: &str, place: u64) -> Carried {
    carried_at(name, place, Time::default())
}

pub fn carried_at(name: &str, place: u64, at: Time) -> Carried {
    Carried { topic: topic(name), place: Place(place), at, text: event_text(place, "DONE"), traceparent: None }
}

pub fn arrived(name: &str, place: u64) -> Arrived {
    Arrived::new(&carried(name, place), event(place, "DONE"), None, TrustState::Untrusted)
}

pub fn bus_terms() -> BusTerms {
    BusTerms {
        name: BusName::try_new("main").unwrap(),
        kind: BusKind::Local,
        endpoint: None,
        purpose: None,
        metadata: json!({}),
        schema_mode: SchemaMode::Permissive,
        trusted_only: false,
        contract_schemas: false,
        policy: BusPolicy::default(),
    }
}
