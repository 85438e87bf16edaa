use crate::model::TopicName;
use serde::{Deserialize, Serialize};

/// What holds for buses and events that say nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventBus {
    /// Where the NATS servers of a JETSTREAM bus are that names none, such as nats://127.0.0.1:4222, several with commas
    /// between; when empty, each such bus has to name its own.
    pub nats_url: String,
    /// What stands before an event's type in the name of its topic, where it is published without one.
    pub subject_prefix: String,
}

impl Default for EventBus {
    fn default() -> Self {
        EventBus { nats_url: String::new(), subject_prefix: "onex.events".to_owned() }
    }
}

impl EventBus {
    /// What is wrong with these settings, with the setting's name.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let is_address = |one: &str| ["nats://", "tls://"].iter().any(|scheme| one.trim().starts_with(scheme));
        if !self.nats_url.is_empty() && !self.nats_url.split(',').all(is_address) {
            // Not what was given: there may be a password in it.
            let reason = "is no address of NATS servers, such as nats://127.0.0.1:4222".to_owned();
            return Err(("event_bus.nats_url", reason));
        }
        let reason = |error| format!("is no beginning of a topic's name, such as onex.events: {error}");
        TopicName::try_new(self.prefix()).map_err(|error| ("event_bus.subject_prefix", reason(error)))?;
        Ok(())
    }

    /// The prefix without the dot that follows it, which may be written or left out.
    pub fn prefix(&self) -> &str {
        self.subject_prefix.strip_suffix('.').unwrap_or(&self.subject_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_and_a_dot_at_the_end_is_none() {
        let with = |nats_url: &str, prefix: &str| EventBus { nats_url: nats_url.into(), subject_prefix: prefix.into() };
        assert_eq!(EventBus::default().check(), Ok(()));
        let both = with("nats://one:4222, tls://two:4222", "acme.events.");
        assert_eq!((both.check(), both.prefix()), (Ok(()), "acme.events"));
        for (settings, named) in [
            (with("http://one", "a"), "event_bus.nats_url"),
            (with("nats://one,two", "a"), "event_bus.nats_url"),
            (with("", ""), "event_bus.subject_prefix"),
            (with("", "a..b"), "event_bus.subject_prefix"),
            (with("", "a.>"), "event_bus.subject_prefix"),
        ] {
            assert_eq!(settings.check().unwrap_err().0, named, "{settings:?}");
        }
        assert!(!with("user:secret@one", "a").check().unwrap_err().1.contains("secret"));
    }
}
