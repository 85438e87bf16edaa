//! How much of which topic is kept, and which topics that takes to the disk.

use super::Options;
use crate::bus::kind::Retention;
use crate::model::{Time, TopicName};
use std::collections::HashMap;
use std::time::Duration;

/// How much of a topic is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// How many events.
    pub events: u64,
    /// For how long.
    pub age: Duration,
}

/// What is kept of every topic.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    otherwise: Kept,
    topics: HashMap<TopicName, Kept>,
    memory: Retention,
    pub(super) memory_bytes: u64,
    pub(super) disk_bytes: u64,
    pub(super) disk_bytes_max: u64,
}

impl Limits {
    pub(super) fn new(options: &Options) -> Self {
        Limits {
            otherwise: options.kept,
            topics: options.topics.iter().cloned().collect(),
            memory: options.memory,
            memory_bytes: options.memory.bytes,
            disk_bytes: options.disk_bytes.min(options.disk_bytes_max),
            disk_bytes_max: options.disk_bytes_max,
        }
    }

    pub(super) fn set(&mut self, topic: TopicName, kept: Kept) {
        self.topics.insert(topic, kept);
    }

    pub(super) fn of(&self, topic: &TopicName) -> Kept {
        self.topics.get(topic).copied().unwrap_or(self.otherwise)
    }

    /// Whether some topics are kept for longer than others.
    pub(super) fn ages_differ(&self) -> bool {
        self.topics.values().any(|kept| kept.age != self.otherwise.age)
    }

    /// Whether an event of that instant is too old.
    pub(super) fn is_past(&self, topic: &TopicName, at: Time, now: Time) -> bool {
        u128::from(now.micros_since(at)) > self.of(topic).age.as_micros()
    }

    /// Whether as much of the topic is to be kept as memory may not hold.
    pub(super) fn is_for_disk(&self, topic: &TopicName) -> bool {
        let kept = self.of(topic);
        kept.events > self.memory.events || kept.age > self.memory.age
    }
}

/// The instant so long before another.
pub(super) fn earlier(now: Time, by: Duration) -> Time {
    Time::from_micros(now.as_micros().saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

/// The instant so long after another.
pub(super) fn later(now: Time, by: Duration) -> Time {
    Time::from_micros(now.as_micros().saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}
