//! The OnexEvent envelope: what every event says of itself, as JSON in snake_case on every wire.
//!
//! An event is read once, when it comes in. What goes out is the text that came in, so that nothing of it is lost or
//! written anew; the parts that were read are what filters look at.

use crate::model::{InvalidName, NAME_LEN_MAX, NodeId, OnexEventId, Time, TopicName, nests_too_deep};
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use uuid::Uuid;

/// The most bytes of an event, which is the most that NATS servers take by default.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// The most tags of an event; each has [`NAME_LEN_MAX`] characters at most.
pub const TAGS_MAX: usize = 100;
/// Where events go that are published without a topic, unless it is configured otherwise.
pub const SUBJECT_PREFIX: &str = "onex.events";

/// How much of a name that came in is told.
const EXCERPT_CHARS: usize = 64;

const EVENT_ID: &str = "event_id";
const TIMESTAMP: &str = "timestamp";
const NODE_ID: &str = "node_id";
const EVENT_TYPE: &str = "event_type";
const CORRELATION_ID: &str = "correlation_id";
const TAGS: &str = "tags";
const METADATA: &str = "metadata";
const MEMBERS: [&str; 7] = [EVENT_ID, TIMESTAMP, NODE_ID, EVENT_TYPE, CORRELATION_ID, TAGS, METADATA];

/// What an event says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its own id.
    pub id: OnexEventId,
    /// When it happened, by whom it happened to.
    pub timestamp: Time,
    /// Whose it is.
    pub node: NodeId,
    /// What it is, in open text such as `NODE_START` or `core.node.start`.
    pub event_type: String,
    /// The undertaking that it is part of.
    pub correlation_id: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What else there is to say.
    pub metadata: Map<String, Value>,
}

/// Why a text is no event. Display reads `path: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The JSON pointer of what is wrong; empty for the whole.
    pub path: String,
    /// What is wrong with it, to be read on after the path.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the event" } else { &self.path };
        write!(f, "{path}: {}", self.reason)
    }
}

impl std::error::Error for Fault {}

fn fault(path: impl Into<String>, reason: impl Into<String>) -> Fault {
    Fault { path: path.into(), reason: reason.into() }
}

/// Reads an event. Members that nobody knows are refused where it is strict; else they stay in the text.
pub fn read(text: &[u8], strict: bool) -> Result<Event, Fault> {
    event_of(members(text)?, strict)
}

/// The members of the one object that a text is, each of them once: of two by one name, readers would see different
/// ones.
pub(super) fn members(text: &[u8]) -> Result<Map<String, Value>, Fault> {
    if text.len() > EVENT_BYTES_MAX {
        return Err(fault("", format!("has {} bytes; the most is {EVENT_BYTES_MAX}", text.len())));
    }
    let Members(members) =
        serde_json::from_slice(text).map_err(|error| fault("", format!("is no JSON object: {error}")))?;
    Ok(members)
}

/// What the members of an object say, as an event.
pub(super) fn event_of(mut members: Map<String, Value>, strict: bool) -> Result<Event, Fault> {
    if strict && let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(fault(format!("/{}", excerpt(unknown)), "is no member of an event"));
    }
    let timestamp = text(&members, TIMESTAMP)?.parse().map_err(|error| at(TIMESTAMP, error))?;
    let event = Event {
        id: OnexEventId(id(&members, EVENT_ID)?),
        timestamp,
        node: NodeId(id(&members, NODE_ID)?),
        event_type: word(&format!("/{EVENT_TYPE}"), text(&members, EVENT_TYPE)?)?,
        correlation_id: optional(&members, CORRELATION_ID)
            .map(|value| word(&format!("/{CORRELATION_ID}"), as_text(CORRELATION_ID, value)?))
            .transpose()?,
        tags: optional(&members, TAGS).map_or(Ok(Vec::new()), tags_of)?,
        metadata: Map::new(),
    };
    Ok(Event { metadata: metadata_of(members.remove(METADATA))?, ..event })
}

/// An event as text: optional members are left out where they are absent.
pub fn write(event: &Event) -> Bytes {
    let mut members = Map::new();
    members.insert(EVENT_ID.into(), event.id.to_string().into());
    members.insert(TIMESTAMP.into(), event.timestamp.to_string().into());
    members.insert(NODE_ID.into(), event.node.to_string().into());
    members.insert(EVENT_TYPE.into(), event.event_type.clone().into());
    if let Some(correlation_id) = &event.correlation_id {
        members.insert(CORRELATION_ID.into(), correlation_id.clone().into());
    }
    if !event.metadata.is_empty() {
        members.insert(METADATA.into(), event.metadata.clone().into());
    }
    if !event.tags.is_empty() {
        members.insert(TAGS.into(), event.tags.clone().into());
    }
    Value::Object(members).to_string().into()
}

/// The topic of an event that is published without one: its type behind the prefix.
pub fn subject(prefix: &str, event_type: &str) -> Result<TopicName, InvalidName> {
    TopicName::try_new(&format!("{prefix}.{event_type}"))
}

fn at(name: &str, reason: impl fmt::Display) -> Fault {
    fault(format!("/{name}"), reason.to_string())
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}

/// Programs that write every member they know of write null for what they have not.
fn optional<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| !value.is_null())
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, Fault> {
    as_text(name, members.get(name).ok_or_else(|| at(name, "is missing"))?)
}

fn as_text<'a>(name: &str, value: &'a Value) -> Result<&'a str, Fault> {
    value.as_str().ok_or_else(|| at(name, format!("is {}, not text", kind_of(value))))
}

fn id(members: &Map<String, Value>, name: &str) -> Result<Uuid, Fault> {
    Uuid::parse_str(text(members, name)?).map_err(|_| at(name, "is no UUID"))
}

/// A short text: not empty, and without what cannot be shown.
fn word(path: &str, text: &str) -> Result<String, Fault> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        Err(fault(path, "is empty"))
    } else if length > NAME_LEN_MAX {
        Err(fault(path, format!("has {length} characters; the most is {NAME_LEN_MAX}")))
    } else if text.chars().any(char::is_control) {
        Err(fault(path, "has a control character"))
    } else {
        Ok(text.to_owned())
    }
}

fn tags_of(value: &Value) -> Result<Vec<String>, Fault> {
    let tags = value.as_array().ok_or_else(|| at(TAGS, format!("is {}, not a list", kind_of(value))))?;
    if tags.len() > TAGS_MAX {
        return Err(at(TAGS, format!("has {} entries; the most is {TAGS_MAX}", tags.len())));
    }
    let read = |(number, tag): (usize, &Value)| {
        let name = format!("{TAGS}/{number}");
        word(&format!("/{name}"), as_text(&name, tag)?)
    };
    tags.iter().enumerate().map(read).collect()
}

fn metadata_of(value: Option<Value>) -> Result<Map<String, Value>, Fault> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(value) if nests_too_deep(&value) => Err(at(METADATA, "nests too deep")),
        Some(Value::Object(metadata)) => Ok(metadata),
        Some(other) => Err(at(METADATA, format!("is {}, not an object", kind_of(&other)))),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Gathering)
    }
}

struct Gathering;

impl<'de> Visitor<'de> for Gathering {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if members.contains_key(&name) {
                return Err(serde::de::Error::custom(format!("it has {:?} twice", excerpt(&name))));
            }
            members.insert(name, value);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn whole() -> Value {
        json!({
            "event_id": "0198c5a0-0000-7000-8000-000000000001",
            "timestamp": "2026-11-22T12:00:00Z",
            "node_id": "0198c5a0-0000-7000-8000-000000000002",
            "event_type": "user.acme.done",
            "correlation_id": "c-1",
            "metadata": {"order": 7},
            "tags": ["a", "b"],
        })
    }

    fn with(name: &str, value: Value) -> Vec<u8> {
        let mut event = whole();
        event[name] = value;
        event.to_string().into_bytes()
    }

    #[test]
    fn an_event_is_written_as_it_was_read() {
        let event = read(whole().to_string().as_bytes(), true).unwrap();
        assert_eq!(event.tags, ["a", "b"]);
        assert_eq!(serde_json::from_slice::<Value>(&write(&event)).unwrap(), whole());
        assert_eq!(read(&write(&event), true), Ok(event));
    }

    #[test]
    fn what_is_absent_or_null_is_left_out() {
        let mut event = whole();
        event["tags"] = Value::Null;
        event["correlation_id"] = Value::Null;
        event.as_object_mut().unwrap().remove("metadata");
        let text = write(&read(event.to_string().as_bytes(), true).unwrap());
        let members = serde_json::from_slice::<Map<String, Value>>(&text).unwrap();
        assert_eq!(members.keys().collect::<Vec<_>>(), ["event_id", "timestamp", "node_id", "event_type"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path() {
        let mut deep = json!(1);
        (0..100).for_each(|_| deep = json!([deep]));
        for (name, value, says) in [
            ("event_id", json!(7), "/event_id: is a number, not text"),
            ("event_id", json!("7"), "/event_id: is no UUID"),
            ("timestamp", json!("yesterday"), "/timestamp: is no RFC 3339 instant"),
            ("event_type", json!(" "), "/event_type: is empty"),
            ("event_type", json!("a\nb"), "/event_type: has a control character"),
            ("correlation_id", json!("c".repeat(256)), "/correlation_id: has 256 characters"),
            ("tags", json!("a"), "/tags: is text, not a list"),
            ("tags", json!(["a", 1]), "/tags/1: is a number, not text"),
            ("tags", json!(vec!["t"; 101]), "/tags: has 101 entries"),
            ("metadata", json!([]), "/metadata: is a list, not an object"),
            ("metadata", json!({ "deep": deep }), "/metadata: nests too deep"),
        ] {
            let error = read(&with(name, value), false).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
        let missing = read(b"{}", false).unwrap_err().to_string();
        assert!(missing.ends_with("is missing"), "{missing}");
    }

    #[test]
    fn unknown_members_are_refused_only_where_it_is_strict() {
        let text = with("colour", json!("red"));
        assert_eq!(read(&text, true).unwrap_err().to_string(), "/colour: is no member of an event");
        assert!(read(&text, false).is_ok());
    }

    #[test]
    fn what_is_too_long_no_object_or_says_something_twice_is_refused() {
        let long = format!("{}{}", " ".repeat(EVENT_BYTES_MAX), whole());
        assert!(read(long.as_bytes(), false).unwrap_err().reason.contains("the most is 1048576"));
        for text in ["", "[]", "{", "\"x\"", "{} {}", r#"{"node_id": 1, "node_id": 2}"#, &"[".repeat(100_000)] {
            let error = read(text.as_bytes(), false).unwrap_err();
            assert!(error.to_string().starts_with("the event: is no JSON object"), "{error}");
        }
        assert!(read(br#"{"a": 1, "a": 2}"#, false).unwrap_err().reason.contains("\"a\" twice"));
    }

    #[test]
    fn an_event_without_a_topic_goes_where_its_type_says() {
        assert_eq!(subject(SUBJECT_PREFIX, "NODE_START").unwrap().as_str(), "onex.events.NODE_START");
        assert!(subject(SUBJECT_PREFIX, "with space").is_err());
    }

    proptest! {
        #[test]
        fn no_text_from_outside_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&text, true);
        }
    }
}
