//! How much a bus or a topic has to do.

use super::super::{Services, View};
use crate::bus::Measured;
use crate::model::BusId;
use async_graphql::SimpleObject;

/// What there is to do, since the bus was started.
#[derive(SimpleObject, Clone, PartialEq)]
pub struct BusMetrics {
    /// Events that were published.
    published: u64,
    /// Events that were given, once for each subscriber.
    delivered: u64,
    /// Events that were lost, once for each subscriber.
    dropped: u64,
    /// Events that did not fit.
    invalid: u64,
    /// Deliveries that were not the first.
    retried: u64,
    /// Bytes of what was published.
    bytes: u64,
    /// How many listen now.
    subscriber_count: usize,
    /// Published a second, over the last few.
    messages_per_second: f64,
    /// How many milliseconds half of the deliveries took at most, from publishing to taking; null before any.
    p50_latency_ms: Option<f64>,
    /// How many 99 of 100 took at most; null before any.
    p99_latency_ms: Option<f64>,
}

impl BusMetrics {
    /// What a bus has to do now; all 0 while it stands still.
    pub(in crate::graphql) fn now(services: &Services, view: &View, bus: BusId) -> Self {
        let buses = &services.buses;
        let by_name = view.subscribers_of(bus).map(|held| buses.count_by_name(bus, &held.name));
        let listeners = buses.count_listeners(bus) + by_name.sum::<usize>();
        BusMetrics::of(buses.measure(bus).unwrap_or_default(), listeners)
    }

    pub(in crate::graphql) fn of(measured: Measured, subscriber_count: usize) -> Self {
        let millis = |micros: Option<u64>| micros.map(|micros| micros as f64 / 1_000.0);
        BusMetrics {
            published: measured.published,
            delivered: measured.delivered,
            dropped: measured.dropped,
            invalid: measured.invalid,
            retried: measured.retried,
            bytes: measured.bytes,
            subscriber_count,
            messages_per_second: measured.messages_per_second,
            p50_latency_ms: millis(measured.p50_micros),
            p99_latency_ms: millis(measured.p99_micros),
        }
    }
}
