//! What is shown of a call's payloads: without what their schema keeps secret, and no longer than records are.
//!
//! A part of a schema is secret where it says `"writeOnly": true`, `"format": "password"` or
//! `"x-onex-sensitive": true`.

use serde_json::{Value, json};
use std::sync::Arc;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";
/// How many characters of a payload that is too long are kept.
const EXCERPT_CHARS: usize = 200;
/// How deep references of a schema are followed without coming nearer to the value: a schema may refer to itself.
const REFERENCES_MAX: usize = 16;

/// Whether any part of the schema is secret.
pub fn has_secrets(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => is_secret(schema) || map.values().any(has_secrets),
        Value::Array(items) => items.iter().any(has_secrets),
        _ => false,
    }
}

fn is_secret(schema: &Value) -> bool {
    schema["writeOnly"] == true || schema["x-onex-sensitive"] == true || schema["format"] == "password"
}

/// The value without what the schema keeps secret.
pub fn redacted(schema: &Value, value: &Value) -> Value {
    let mut value = value.clone();
    redact(schema, schema, &mut value, REFERENCES_MAX);
    value
}

fn redact(root: &Value, schema: &Value, value: &mut Value, references_left: usize) {
    let Value::Object(keywords) = schema else { return };
    if is_secret(schema) {
        *value = REDACTED.into();
        return;
    }
    if let Some(pointer) = keywords.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'))
        && let Some(left) = references_left.checked_sub(1)
        && let Some(target) = root.pointer(pointer)
    {
        redact(root, target, value, left);
    }
    // Whichever of several parts of a schema applies: what any of them keeps secret is.
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for part in keywords.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            redact(root, part, value, references_left);
        }
    }
    for keyword in ["if", "then", "else"] {
        if let Some(part) = keywords.get(keyword) {
            redact(root, part, value, references_left);
        }
    }
    match value {
        Value::Object(members) => {
            let properties = keywords.get("properties");
            for (name, member) in members {
                if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
                    redact(root, schema, member, REFERENCES_MAX);
                }
                // Which names a pattern means is not looked at: rather too little is shown than too much.
                let patterns = keywords.get("patternProperties").and_then(Value::as_object);
                let others = patterns.into_iter().flat_map(|patterns| patterns.values());
                for schema in others.chain(keywords.get("additionalProperties")) {
                    redact(root, schema, member, REFERENCES_MAX);
                }
            }
        }
        Value::Array(items) => {
            let first = keywords.get("prefixItems").and_then(Value::as_array);
            for (at, item) in items.iter_mut().enumerate() {
                let schema = first.and_then(|first| first.get(at)).or_else(|| keywords.get("items"));
                if let Some(schema) = schema {
                    redact(root, schema, item, REFERENCES_MAX);
                }
            }
        }
        _ => {}
    }
}

/// The value where its JSON has at most so many bytes; else how long it is, and how it begins.
pub fn bounded(value: &Arc<Value>, bytes_max: usize) -> Arc<Value> {
    // What is small by its kind is not written out to be counted.
    if matches!(**value, Value::Null | Value::Bool(_) | Value::Number(_)) {
        return value.clone();
    }
    let text = value.to_string();
    if text.len() <= bytes_max {
        return value.clone();
    }
    let begins: String = text.chars().take(EXCERPT_CHARS).collect();
    Arc::new(json!({ "onexTruncated": { "bytes": text.len(), "begins": begins } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_schema_keeps_secret_is_not_shown() {
        let schema = json!({
            "properties": {
                "user": {"type": "string"},
                "password": {"type": "string", "format": "password"},
                "keys": {"type": "array", "items": {"$ref": "#/$defs/key"}},
                "nested": {"anyOf": [{"properties": {"token": {"x-onex-sensitive": true}}}, {"type": "null"}]},
            },
            "$defs": {"key": {"properties": {"secret": {"writeOnly": true}, "next": {"$ref": "#/$defs/key"}}}},
        });
        assert!(has_secrets(&schema));
        let value = json!({
            "user": "ada", "password": "p", "keys": [{"id": 1, "secret": 2, "next": {"secret": {"a": 3}}}],
            "nested": {"token": "t", "open": 1},
        });
        assert_eq!(
            redacted(&schema, &value),
            json!({
                "user": "ada", "password": REDACTED,
                "keys": [{"id": 1, "secret": REDACTED, "next": {"secret": REDACTED}}],
                "nested": {"token": REDACTED, "open": 1},
            })
        );
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"$ref": "#", "properties": {"a": {"writeOnly": true}}});
        assert_eq!(redacted(&schema, &json!({"a": 1})), json!({"a": REDACTED}));
        assert!(!has_secrets(&json!({"type": "object"})));
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let short = Arc::new(json!({"a": 1}));
        assert!(Arc::ptr_eq(&bounded(&short, 100), &short));
        let long = Arc::new(json!("ä".repeat(1_000)));
        let cut = bounded(&long, 100);
        assert_eq!(cut["onexTruncated"]["bytes"], 2_002);
        assert_eq!(cut["onexTruncated"]["begins"].as_str().unwrap().chars().count(), 200);
    }
}
