//! What can be watched.

mod buses;
pub(super) mod calls;
mod events;
pub(super) mod listener;
mod metrics;
mod named;
mod of_registry;

use async_graphql::MergedSubscription;

/// Everything that can be watched.
#[derive(MergedSubscription, Default)]
pub struct Subscription(
    events::EventSubscription,
    calls::CallSubscription,
    buses::BusSubscription,
    metrics::MetricsSubscription,
);
