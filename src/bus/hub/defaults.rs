//! What holds for buses and events that say nothing else.

use crate::bus::envelope;
use crate::model::{BusKind, BusTerms, InvalidName, TopicName};

/// What holds for buses and events that say nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// What stands before an event's type in the name of its topic, where it is published without one; without the dot
    /// between them.
    pub subject_prefix: String,
    /// The servers of a JETSTREAM bus that names none.
    pub nats_url: Option<String>,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults { subject_prefix: envelope::SUBJECT_PREFIX.to_owned(), nats_url: None }
    }
}

impl Defaults {
    /// The topic of an event of this type that is published without one.
    pub fn topic_of(&self, event_type: &str) -> Result<TopicName, InvalidName> {
        envelope::subject(&self.subject_prefix, event_type)
    }

    /// Says for a bus what it does not say itself.
    pub fn complete(&self, terms: &mut BusTerms) {
        if terms.kind == BusKind::Jetstream && terms.endpoint.is_none() {
            terms.endpoint.clone_from(&self.nats_url);
        }
    }
}
