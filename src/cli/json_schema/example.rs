//! A value that a schema allows, to begin with.

use serde_json::{Map, Number, Value, json};

use super::Schema;

/// How deep an example may be, and of how many values: a schema that requires its like has none that ends.
const DEPTH_MAX: usize = 6;
const VALUES_MAX: usize = 200;
/// The longest text that is made up, however long the schema wants it.
const TEXT_MAX: usize = 200;

/// A plausible value, with the required members only: what the schema gives as default or example, else one made up
/// by type. It may still miss what only a validator could tell, such as a pattern.
pub(in crate::cli) fn example(document: &Value) -> Value {
    value(Schema::new(document), DEPTH_MAX, &mut { VALUES_MAX })
}

fn value(schema: Schema<'_>, depth: usize, left: &mut usize) -> Value {
    let given = schema
        .keyword("default")
        .or_else(|| schema.keyword("examples")?.get(0))
        .or_else(|| schema.keyword("const"))
        .or_else(|| schema.keyword("enum")?.get(0));
    if let Some(given) = given {
        return given.clone();
    }
    let (Some(depth), Some(fewer)) = (depth.checked_sub(1), left.checked_sub(1)) else { return Value::Null };
    *left = fewer;
    let types = schema.types().unwrap_or_default();
    let is = |kind: &str| types.contains(kind);
    if schema.keyword("type").is_none()
        && let Some(branch) = schema.branches().first()
    {
        return value(*branch, depth, left);
    }
    if is("object") || (types.is_empty() && !schema.properties().is_empty()) {
        object(schema, depth, left)
    } else if is("string") {
        text(schema).into()
    } else if is("integer") || is("number") {
        number(schema)
    } else if is("boolean") {
        true.into()
    } else if is("array") {
        array(schema, depth, left)
    } else if is("null") {
        Value::Null
    } else {
        json!({})
    }
}

fn object(schema: Schema<'_>, depth: usize, left: &mut usize) -> Value {
    let required = schema.required();
    let members = schema.properties().into_iter().filter(|(name, _)| required.contains(name));
    members.map(|(name, member)| (name.to_owned(), value(member, depth, left))).collect::<Map<_, _>>().into()
}

fn array(schema: Schema<'_>, depth: usize, left: &mut usize) -> Value {
    let wanted = schema.keyword("minItems").and_then(Value::as_u64).unwrap_or(1).min(3);
    match schema.items() {
        Some(items) => (0..wanted).map(|_| value(items, depth, left)).collect(),
        None => json!([]),
    }
}

fn text(schema: Schema<'_>) -> String {
    let text = match schema.keyword("format").and_then(Value::as_str).unwrap_or_default() {
        "date-time" => "2026-01-31T12:00:00Z",
        "date" => "2026-01-31",
        "time" => "12:00:00Z",
        "duration" => "PT1H",
        "email" => "someone@example.org",
        "hostname" => "example.org",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "url" | "iri" => "https://example.org/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => "text",
    };
    let bound = |keyword| schema.keyword(keyword).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
    let least = bound("minLength").unwrap_or(0).min(TEXT_MAX);
    let padding = "x".repeat(least.saturating_sub(text.len()));
    let most = bound("maxLength").unwrap_or(TEXT_MAX).max(least);
    (text.to_owned() + &padding).chars().take(most).collect()
}

/// The number nearest to 1 within the bounds, for people whose eyes are on the names.
fn number(schema: Schema<'_>) -> Value {
    let bound = |keyword| schema.keyword(keyword).and_then(Value::as_f64);
    let step = bound("multipleOf").filter(|step| *step > 0.0);
    let width = step.unwrap_or(1.0);
    let least = bound("minimum").into_iter().chain(bound("exclusiveMinimum").map(|bound| bound + width));
    let most = bound("maximum").into_iter().chain(bound("exclusiveMaximum").map(|bound| bound - width));
    let mut number: f64 = least.fold(width, f64::max);
    number = most.fold(number, f64::min);
    if let Some(step) = step {
        number = (number / step).ceil() * step;
    }
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: Value, expected: Value) {
        let example = example(&schema);
        assert_eq!(example, expected);
        assert!(jsonschema::is_valid(&schema, &example), "{schema} does not allow {example}");
    }

    #[test]
    fn an_example_has_what_is_required() {
        let schema = json!({
            "type": "object", "required": ["a", "mode", "to", "tags", "when", "yes"],
            "$defs": {"to": {"type": "object", "required": ["mail"], "properties": {"mail": {"type": "string", "format": "email"}}}},
            "properties": {
                "a": {"type": "number"}, "b": {"type": "number"}, "mode": {"enum": ["fast", "slow"]},
                "to": {"$ref": "#/$defs/to"}, "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
                "when": {"type": "string", "default": "now"}, "yes": {"type": "boolean"},
            },
        });
        let expected = json!({
            "a": 1, "mode": "fast", "to": {"mail": "someone@example.org"}, "tags": ["text", "text"], "when": "now",
            "yes": true,
        });
        check(schema, expected);
    }

    #[test]
    fn numbers_and_texts_keep_their_bounds() {
        check(json!({"type": "integer", "minimum": 10}), json!(10));
        check(json!({"type": "integer", "exclusiveMinimum": 10}), json!(11));
        check(json!({"type": "integer", "maximum": -5}), json!(-5));
        check(json!({"type": "number", "multipleOf": 0.5}), json!(0.5));
        check(json!({"type": "integer", "minimum": 7, "multipleOf": 5}), json!(10));
        check(json!({"type": "string", "minLength": 6}), json!("textxx"));
        check(json!({"type": "string", "maxLength": 2}), json!("te"));
        check(json!({"anyOf": [{"type": "null"}, {"type": "integer"}]}), Value::Null);
        check(json!({}), json!({}));
    }

    #[test]
    fn a_schema_that_requires_its_like_ends() {
        let many: Vec<String> = (0..100).map(|index| format!("p{index}")).collect();
        let properties: Map<String, Value> = many.iter().map(|name| (name.clone(), json!({"$ref": "#"}))).collect();
        assert!(example(&json!({"required": many, "properties": properties})).is_object());
        let endless = json!({"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#"}}});
        assert!(example(&endless).to_string().len() < 200);
    }
}
