//! What a topic demands of its events: a JSON Schema (2020-12), compiled once.

use super::envelope::Fault;
use crate::model::{DefinitionHash, TopicName, nests_too_deep};
use jsonschema::Validator;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt;

/// The most bytes of a schema.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// How many characters are told of what does not fit.
const REASON_CHARS: usize = 300;

/// Why a schema cannot be demanded; reads on after the name of the field it came in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

impl Unusable {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Unusable(reason.into())
    }
}

/// What does not fit, and where it was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The topic it was for.
    pub topic: TopicName,
    /// The JSON pointer of what does not fit; empty for the whole.
    pub path: String,
    /// Why it does not, in words.
    pub reason: String,
    /// The schema that says so; `None` where it is no event at all.
    pub schema_hash: Option<DefinitionHash>,
}

impl Misfit {
    /// A text that is no event.
    pub fn of_envelope(topic: &TopicName, fault: Fault) -> Self {
        Misfit { topic: topic.clone(), path: fault.path, reason: fault.reason, schema_hash: None }
    }

    /// The path and the reason, without the topic.
    pub fn sentence(&self) -> String {
        let path = if self.path.is_empty() { "the event" } else { &self.path };
        format!("{path}: {}", self.reason)
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema_hash {
            Some(hash) => write!(f, "{} does not fit schema {hash} of topic {}", self.sentence(), self.topic),
            None => write!(f, "no event for topic {}: {}", self.topic, self.sentence()),
        }
    }
}

impl std::error::Error for Misfit {}

/// A compiled schema.
pub struct Demand {
    validator: Validator,
    hash: DefinitionHash,
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demand").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Demand {
    /// Compiles a schema. References to other documents are never fetched, and so do not compile.
    pub fn compile(schema: &Value, hash: Option<DefinitionHash>) -> Result<Self, Unusable> {
        if nests_too_deep(schema) {
            return Err(Unusable("nests too deep".to_owned()));
        }
        let length = schema.to_string().len();
        if length > SCHEMA_BYTES_MAX {
            return Err(Unusable(format!("has {length} bytes; the most is {SCHEMA_BYTES_MAX}")));
        }
        let validator = jsonschema::draft202012::new(schema).map_err(|error| {
            Unusable(format!("does not compile as JSON Schema 2020-12: {}", cut(&error.to_string())))
        })?;
        Ok(Demand { validator, hash: hash.unwrap_or_else(|| hash_of(schema)) })
    }

    /// The hash of its canonical form.
    pub fn hash(&self) -> DefinitionHash {
        self.hash
    }

    /// What of an event does not fit, of several the first.
    pub fn check(&self, topic: &TopicName, event: &Value) -> Result<(), Misfit> {
        // The quick way: most events fit.
        if self.validator.is_valid(event) {
            return Ok(());
        }
        let Some(error) = self.validator.iter_errors(event).next() else { return Ok(()) };
        let path = cut(error.instance_path().as_str());
        Err(Misfit { topic: topic.clone(), path, reason: cut(&error.to_string()), schema_hash: Some(self.hash) })
    }
}

/// The SHA-256 of a schema's canonical JSON (RFC 8785).
pub fn hash_of(schema: &Value) -> DefinitionHash {
    // JSON values have text for keys and finite numbers only: the fallback is never used.
    let canonical = serde_json_canonicalizer::to_vec(schema).unwrap_or_else(|_| schema.to_string().into_bytes());
    DefinitionHash(Sha256::digest(&canonical).into())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn topic() -> TopicName {
        TopicName::try_new("orders").unwrap()
    }

    #[test]
    fn what_does_not_fit_is_told_with_topic_path_reason_and_hash() {
        let schema =
            json!({"properties": {"metadata": {"properties": {"total": {"minimum": 0}}, "required": ["total"]}}});
        let demand = Demand::compile(&schema, None).unwrap();
        assert_eq!(demand.check(&topic(), &json!({"metadata": {"total": 3}})), Ok(()));
        let misfit = demand.check(&topic(), &json!({"metadata": {"total": -3}})).unwrap_err();
        assert_eq!((misfit.path.as_str(), misfit.schema_hash), ("/metadata/total", Some(hash_of(&schema))));
        let text = misfit.to_string();
        assert!(text.contains("-3 is less than the minimum") && text.contains("topic orders"), "{text}");
    }

    #[test]
    fn the_hash_is_of_the_content_however_it_is_written() {
        let one: Value = serde_json::from_str(r#"{"type": "object", "minProperties": 1.0}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"minProperties":1,"type":"object"}"#).unwrap();
        assert_eq!(hash_of(&one), hash_of(&other));
    }

    #[test]
    fn what_cannot_be_demanded_is_refused_in_words() {
        let mut deep = json!({});
        (0..100).for_each(|_| deep = json!({ "not": deep }));
        for (schema, says) in [
            (json!({"type": "nothing"}), "does not compile"),
            (json!({"$ref": "https://example.org/schema.json"}), "does not compile"),
            (json!({"$ref": "file:///etc/passwd"}), "does not compile"),
            (json!({"title": "t".repeat(SCHEMA_BYTES_MAX)}), "the most is 262144"),
            (deep, "nests too deep"),
        ] {
            let error = Demand::compile(&schema, None).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
