//! Changes of buses.

use super::super::bus::Bus;
use super::{Base, DateTime, EventType, Sequence, event_type, metadata, vanished};
use crate::model::{BusId, BusNotice, Change, EventId, TopicName};
use async_graphql::{Object, Result};
use serde_json::Value;
use uuid::Uuid;

impl Base {
    fn bus_id(&self) -> Result<BusId> {
        self.record.change.bus().ok_or_else(vanished)
    }

    /// The bus as it then was.
    async fn bus(&self) -> Result<Bus> {
        let view = self.after().await?;
        Bus::by_id(&view, self.bus_id()?).ok_or_else(vanished)
    }

    fn notice(&self) -> Result<&BusNotice> {
        match &self.record.change {
            Change::BusNoticed { notice } => Ok(notice),
            _ => Err(vanished()),
        }
    }

    fn topic(&self) -> Option<&TopicName> {
        match &self.record.change {
            Change::TopicDefined { topic, .. } => Some(topic),
            Change::BusNoticed { notice } => notice.topic.as_ref(),
            _ => None,
        }
    }
}

/// Changes of one shape.
macro_rules! alike {
    ($body:tt $($(#[$doc:meta])* $name:ident;)*) => {
        $(alike!(@one $body $(#[$doc])* $name);)*
    };
    (@one { $($body:tt)* } $(#[$doc:meta])* $name:ident) => {
        events! {
            $(#[$doc])*
            $name { $($body)* }
        }

        impl $name {
            pub(super) fn of(base: Base) -> Self {
                $name(base)
            }
        }
    };
}

alike! {
    {
        /// The bus as it then was.
        async fn bus(&self) -> Result<Bus> {
            self.0.bus().await
        }
    }
    /// A new bus.
    BusCreated;
    /// A bus runs.
    BusStarted;
    /// A bus stands still.
    BusStopped;
    /// What carries a bus is away; it is tried again.
    BusDegraded;
}

alike! {
    {
        /// The bus's id.
        async fn bus_id(&self) -> Result<Uuid> {
            self.0.bus_id().map(|bus| bus.0)
        }
    }
    /// A bus is no longer known.
    BusDeleted;
    /// One listens on a bus by name.
    SubscriberAttached;
    /// One listens on a bus by name no longer.
    SubscriberDetached;
}

alike! {
    {
        /// The bus's id.
        async fn bus_id(&self) -> Result<Uuid> {
            self.0.bus_id().map(|bus| bus.0)
        }
        /// The topic.
        async fn topic(&self) -> Result<&str> {
            self.0.topic().map(TopicName::as_str).ok_or_else(vanished)
        }
    }
    /// Something else is said of a topic of a bus.
    TopicDefined;
}

alike! {
    {
        /// The bus's id.
        async fn bus_id(&self) -> Result<Uuid> {
            self.0.bus_id().map(|bus| bus.0)
        }
        /// The topic; null where it is about several.
        async fn topic(&self) -> Option<&str> {
            self.0.topic().map(TopicName::as_str)
        }
        /// The subscriber; null where it is about nobody, or about several.
        async fn subscriber_id(&self) -> Result<Option<Uuid>> {
            Ok(self.0.notice()?.subscriber.map(|subscriber| subscriber.0))
        }
        /// How many it stands for: equal ones of a second are one.
        async fn count(&self) -> Result<u64> {
            self.0.notice().map(|notice| notice.count)
        }
        /// Why, in words; of several the first.
        async fn reason(&self) -> Result<&str> {
            self.0.notice().map(|notice| &*notice.reason)
        }
    }
    /// An event did not fit its topic's schema, or was none.
    EventInvalidSchema;
    /// An event was lost by a subscriber, or withheld.
    EventDropped;
    /// Publishers wait for a subscriber.
    EventBackpressure;
    /// A subscriber does not keep up.
    EventSubscriberSlow;
    /// A durable subscriber is given an event again.
    EventRetry;
    /// A durable subscriber did not acknowledge an event as often as it is given: it is a dead letter.
    EventRetryLimitExceeded;
    /// A subscriber asked for what went before.
    EventReplayRequested;
    /// A subscriber was given all that went before and that it asked for.
    EventReplayDelivered;
    /// A subscriber cannot have all that it asked for of what went before.
    EventReplayFailed;
}
