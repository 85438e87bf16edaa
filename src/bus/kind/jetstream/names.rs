//! Topics as subjects, and durable groups as consumers.

use super::{Carried, Failure, Place};
use crate::model::{SubscriberName, Time, TopicName};
use async_nats::jetstream;

/// The longest name of a consumer.
const CONSUMER_LEN_MAX: usize = 255;

/// Where a bus's topics are among the server's subjects.
#[derive(Clone, Debug)]
pub(super) struct Subjects {
    /// With the dot at its end.
    prefix: Box<str>,
}

impl Subjects {
    pub(super) fn new(prefix: &str) -> Result<Self, Failure> {
        let prefix = prefix.trim_end_matches('.');
        // A subject is as restricted as a topic.
        TopicName::try_new(prefix).map_err(|error| Failure::Refused(format!("the prefix of subjects {error}")))?;
        Ok(Subjects { prefix: format!("{prefix}.").into() })
    }

    /// What matches all of them.
    pub(super) fn all(&self) -> String {
        format!("{}>", self.prefix)
    }

    pub(super) fn of(&self, topic: &TopicName) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Whether this is the subject of a topic.
    pub(super) fn are(&self, subject: &str) -> bool {
        subject.starts_with(&*self.prefix)
    }

    fn topic(&self, subject: &str) -> Option<TopicName> {
        TopicName::try_new(subject.strip_prefix(&*self.prefix)?).ok()
    }

    /// An event as the server sent it; `None` where its subject is no topic of the bus.
    pub(super) fn read(&self, message: &jetstream::Message) -> Option<(Carried, u32)> {
        let topic = self.topic(&message.subject)?;
        let info = message.info().ok()?;
        let micros = info.published.unix_timestamp_nanos() / 1_000;
        let traceparent = message.headers.as_ref().and_then(|headers| headers.get(super::TRACEPARENT));
        let carried = Carried {
            topic,
            place: Place(info.stream_sequence),
            at: Time::from_micros(i64::try_from(micros).unwrap_or_default()),
            text: message.payload.clone(),
            traceparent: traceparent.map(|value| value.as_str().into()),
        };
        Some((carried, u32::try_from(info.delivered).unwrap_or(u32::MAX)))
    }
}

/// A group's name as a consumer's: what may not stand there as `=` and two digits.
pub(super) fn consumer(name: &SubscriberName) -> Result<String, Failure> {
    let mut written = String::new();
    for byte in name.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => written.push(char::from(byte)),
            other => written.push_str(&format!("={other:02X}")),
        }
    }
    if written.len() > CONSUMER_LEN_MAX {
        return Err(Failure::Refused(format!("the name {name} is too long for a consumer of NATS")));
    }
    Ok(written)
}

/// The group that a consumer is; `None` where its name is none that is given here.
pub(super) fn group(consumer: &str) -> Option<SubscriberName> {
    let mut parts = consumer.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (byte, rest) = (part.get(..2)?, part.get(2..)?);
        name.push(char::from(u8::from_str_radix(byte, 16).ok()?));
        name.push_str(rest);
    }
    SubscriberName::try_new(&name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_name_reads_back_from_its_consumers() {
        for name in ["plain", "a.b:c/d@e-f_g", "x", "_"] {
            let name = SubscriberName::try_new(name).unwrap();
            let consumer = consumer(&name).unwrap();
            assert!(!consumer.contains(['.', '/', '*', '>', ' ']), "{consumer}");
            assert_eq!(group(&consumer), Some(name));
        }
        assert_eq!((group("=4"), group("a=GG"), group("=ä")), (None, None, None));
        assert!(consumer(&SubscriberName::try_new(&format!("a{}", ".".repeat(200))).unwrap()).is_err());
    }

    #[test]
    fn topics_are_subjects_under_the_prefix() {
        let subjects = Subjects::new("bus.one.").unwrap();
        let topic = TopicName::try_new("a.b").unwrap();
        assert_eq!((subjects.of(&topic).as_str(), subjects.all().as_str()), ("bus.one.a.b", "bus.one.>"));
        assert_eq!((subjects.topic("bus.one.a.b"), subjects.topic("bus.two.a")), (Some(topic), None));
        assert!(Subjects::new("").is_err() && Subjects::new("a.*").is_err());
    }
}
