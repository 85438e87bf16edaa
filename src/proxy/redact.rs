//! What is shown of a call's payloads: without what their schema keeps secret, and no longer than records are.
//!
//! A part of a schema is secret where it says `"writeOnly": true`, `"format": "password"` or
//! `"x-onex-sensitive": true`.

use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";
/// How many characters of a payload that is too long are kept.
const EXCERPT_CHARS: usize = 200;
/// What stands in the place of a payload of which nobody knows what is secret.
pub fn hidden() -> Arc<Value> {
    Arc::new(REDACTED.into())
}

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
    redact(schema, vec![schema], &mut value);
    value
}

/// Everything that says something of one value, each part once: a schema may refer to itself, and in many ways. `None`
/// where any of it is secret, or cannot be found: rather too little is shown than too much.
fn applicable<'a>(root: &'a Value, schemas: Vec<&'a Value>) -> Option<Vec<&'a Map<String, Value>>> {
    let (mut ahead, mut seen, mut all) = (schemas, HashSet::new(), Vec::new());
    while let Some(schema) = ahead.pop() {
        let Value::Object(keywords) = schema else { continue };
        if !seen.insert(std::ptr::from_ref(schema)) {
            continue;
        }
        if is_secret(schema) || keywords.contains_key("$dynamicRef") {
            return None;
        }
        if let Some(target) = keywords.get("$ref").and_then(Value::as_str) {
            let pointer = target.strip_prefix('#').filter(|pointer| !pointer.contains('%'))?;
            ahead.push(root.pointer(pointer)?);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            ahead.extend(keywords.get(keyword).and_then(Value::as_array).into_iter().flatten());
        }
        ahead.extend(["if", "then", "else"].iter().filter_map(|keyword| keywords.get(*keyword)));
        ahead.extend(keywords.get("dependentSchemas").and_then(Value::as_object).into_iter().flat_map(Map::values));
        all.push(keywords);
    }
    Some(all)
}

fn redact(root: &Value, schemas: Vec<&Value>, value: &mut Value) {
    let Some(schemas) = applicable(root, schemas) else {
        *value = REDACTED.into();
        return;
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let of_member = schemas.iter().flat_map(|schema| {
                    let named = schema.get("properties").and_then(|properties| properties.get(name));
                    // Which names a pattern means is not looked at: rather too little is shown than too much.
                    let patterns = schema.get("patternProperties").and_then(Value::as_object);
                    let others = ["additionalProperties", "unevaluatedProperties"];
                    let others = others.into_iter().filter_map(|keyword| schema.get(keyword));
                    named.into_iter().chain(patterns.into_iter().flat_map(Map::values)).chain(others)
                });
                redact(root, of_member.collect(), member);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                let of_item = schemas.iter().flat_map(|schema| {
                    let first = schema.get("prefixItems").and_then(|first| first.get(at));
                    let others = ["items", "contains", "unevaluatedItems"];
                    first.into_iter().chain(others.into_iter().filter_map(|keyword| schema.get(keyword)))
                });
                redact(root, of_item.collect(), item);
            }
        }
        _ => {}
    }
}

/// The value where its JSON has at most so many bytes; else how long it is, and how it begins. Null where none is to be
/// kept.
pub fn bounded(value: &Arc<Value>, bytes_max: usize) -> Arc<Value> {
    if bytes_max == 0 {
        return Arc::default();
    }
    // What is small by its kind is not written out to be counted.
    if matches!(**value, Value::Null | Value::Bool(_) | Value::Number(_)) {
        return value.clone();
    }
    let text = value.to_string();
    if text.len() <= bytes_max {
        return value.clone();
    }
    let begins: String = text.chars().take(EXCERPT_CHARS.min(bytes_max)).collect();
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
        // In ten ways at once, on each of its levels.
        let ways: Vec<Value> = (0..10).map(|_| json!({"$ref": "#"})).collect();
        let schema =
            json!({"allOf": ways, "additionalProperties": {"$ref": "#"}, "properties": {"a": {"writeOnly": true}}});
        assert_eq!(redacted(&schema, &json!({"b": {"b": {"a": 1}}})), json!({"b": {"b": {"a": REDACTED}}}));
        assert!(!has_secrets(&json!({"type": "object"})));
    }

    #[test]
    fn what_a_reference_means_that_cannot_be_found_is_not_shown() {
        let schema = json!({"properties": {"a": {"$ref": "#anchor"}, "b": {}}, "$defs": {"x": {"$anchor": "anchor", "writeOnly": true}}});
        assert_eq!(redacted(&schema, &json!({"a": 1, "b": 2})), json!({"a": REDACTED, "b": 2}));
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let short = Arc::new(json!({"a": 1}));
        assert!(Arc::ptr_eq(&bounded(&short, 100), &short));
        let long = Arc::new(json!("ä".repeat(1_000)));
        let cut = bounded(&long, 100);
        assert_eq!(cut["onexTruncated"]["bytes"], 2_002);
        assert_eq!(cut["onexTruncated"]["begins"].as_str().unwrap().chars().count(), 100);
        assert_eq!(*bounded(&long, 0), Value::Null);
    }
}
