//! A schema as rows that people read.

use serde_json::{Number, Value};

use super::Schema;

/// How many rows one schema may fill, and how deep its members may lie: what is longer is read as JSON.
const ROWS_MAX: usize = 500;
const DEPTH_MAX: usize = 8;
/// How many allowed values are spelled out.
const VALUES_MAX: usize = 12;

/// One member, however deep it lies.
#[derive(Debug, PartialEq)]
pub(in crate::cli) struct Field {
    /// Where it lies, such as `a.b`, or `items[].name` for each item of a list.
    pub(in crate::cli) path: String,
    /// What may stand there, such as `string` or `number[]`.
    pub(in crate::cli) kind: String,
    /// Whether what it lies in must have it.
    pub(in crate::cli) required: bool,
    /// What holds where it is absent.
    pub(in crate::cli) default: Option<Value>,
    /// The schema's words about it.
    pub(in crate::cli) description: Option<String>,
    /// What else must hold, in words.
    pub(in crate::cli) constraints: Vec<String>,
}

/// The members that a schema declares, each followed by those in it.
pub(in crate::cli) fn fields(document: &Value) -> Vec<Field> {
    let mut rows = Vec::new();
    let schema = Schema::new(document);
    match schema.items() {
        Some(items) if schema.properties().is_empty() => collect(items, "[].", &mut vec![document], &mut rows),
        _ => collect(schema, "", &mut vec![document], &mut rows),
    }
    rows
}

/// What a whole schema allows, in a few words.
pub(in crate::cli) fn shape(document: &Value) -> String {
    let schema = Schema::new(document);
    let mut words = vec![kind(schema)];
    words.extend(constraints(schema));
    words.join(", ")
}

/// Adds the members of a schema; `above` are the schemas that it lies in, since one may refer to those.
fn collect<'a>(schema: Schema<'a>, prefix: &str, above: &mut Vec<&'a Value>, rows: &mut Vec<Field>) {
    let required = schema.required();
    for (name, member) in schema.properties() {
        if rows.len() >= ROWS_MAX {
            return;
        }
        let path = format!("{prefix}{name}");
        rows.push(Field {
            kind: kind(member),
            required: required.contains(name),
            default: member.keyword("default").cloned(),
            description: member
                .keyword("description")
                .or(member.keyword("title"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            constraints: constraints(member),
            path: path.clone(),
        });
        let (inner, prefix) = match member.items() {
            Some(items) => (items, format!("{path}[].")),
            None => (member, format!("{path}.")),
        };
        let parts = inner.parts();
        let circle = parts.iter().any(|part| above.iter().any(|above| std::ptr::eq(*above, part.here)));
        if !circle && above.len() < DEPTH_MAX * 2 {
            let depth = above.len();
            above.extend(parts.iter().map(|part| part.here));
            collect(inner, &prefix, above, rows);
            above.truncate(depth);
        }
    }
}

/// The types in a few words: `any` where nothing is said.
fn kind(schema: Schema<'_>) -> String {
    let Some(types) = schema.types() else { return "any".to_owned() };
    let words = types.into_iter().map(|word| match schema.items().filter(|_| word == "array") {
        // One level is spelled out: a list of lists is rare, and endless ones exist.
        Some(items) => match items.types() {
            Some(types) if types.len() == 1 => format!("{}[]", types.into_iter().collect::<String>()),
            _ => "any[]".to_owned(),
        },
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" | ")
}

fn constraints(schema: Schema<'_>) -> Vec<String> {
    let mut words = Vec::new();
    values(schema, &mut words);
    numbers(schema, &mut words);
    between(schema, "minLength", "maxLength", "characters", &mut words);
    for (keyword, says) in [("pattern", "matches "), ("format", "")] {
        if let Some(text) = schema.keyword(keyword).and_then(Value::as_str) {
            words.push(format!("{says}{text}"));
        }
    }
    between(schema, "minItems", "maxItems", "items", &mut words);
    between(schema, "minProperties", "maxProperties", "members", &mut words);
    for (keyword, says) in [("uniqueItems", "no item twice"), ("deprecated", "deprecated")] {
        if schema.keyword(keyword) == Some(&Value::Bool(true)) {
            words.push(says.to_owned());
        }
    }
    if schema.is_closed() {
        words.push("no other members".to_owned());
    }
    let shapes = schema.branches().into_iter().filter(|branch| !branch.properties().is_empty()).count();
    if shapes > 0 {
        words.push(format!("one of {shapes} shapes, see --format json"));
    }
    words
}

/// The values that may stand there, where the schema lists them.
fn values(schema: Schema<'_>, words: &mut Vec<String>) {
    if let Some(only) = schema.keyword("const") {
        words.push(format!("is {only}"));
    }
    if let Some(Value::Array(values)) = schema.keyword("enum") {
        let mut shown: Vec<String> = values.iter().take(VALUES_MAX).map(Value::to_string).collect();
        if values.len() > VALUES_MAX {
            shown.push(format!("{} more", values.len() - VALUES_MAX));
        }
        words.push(format!("one of {}", shown.join(", ")));
    }
}

fn numbers(schema: Schema<'_>, words: &mut Vec<String>) {
    for (keyword, says) in [
        ("minimum", ">= "),
        ("exclusiveMinimum", "> "),
        ("maximum", "<= "),
        ("exclusiveMaximum", "< "),
        ("multipleOf", "a multiple of "),
    ] {
        if let Some(Value::Number(bound)) = schema.keyword(keyword) {
            words.push(format!("{says}{bound}"));
        }
    }
}

fn between(schema: Schema<'_>, least: &str, most: &str, things: &str, words: &mut Vec<String>) {
    let bound = |keyword| match schema.keyword(keyword) {
        Some(Value::Number(bound)) => Some(bound),
        _ => None,
    };
    let zero = |least: &&Number| least.as_f64() != Some(0.0);
    match (bound(least).filter(zero), bound(most)) {
        (Some(least), Some(most)) if least == most => words.push(format!("{least} {things}")),
        (Some(least), Some(most)) => words.push(format!("{least} to {most} {things}")),
        (Some(least), None) => words.push(format!("at least {least} {things}")),
        (None, Some(most)) => words.push(format!("at most {most} {things}")),
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(schema: &Value) -> Vec<String> {
        let rows = fields(schema).into_iter().map(|field| {
            let required = if field.required { "!" } else { "" };
            format!("{}{required}: {} ({})", field.path, field.kind, field.constraints.join("; "))
        });
        rows.collect()
    }

    #[test]
    fn members_are_rows_with_the_path_to_them() {
        let schema = json!({
            "type": "object", "required": ["to", "lines"],
            "$defs": {"line": {"type": "object", "required": ["sku"], "additionalProperties": false, "properties": {
                "sku": {"type": "string", "pattern": "^[A-Z]+$", "minLength": 3, "maxLength": 3},
                "count": {"type": "integer", "minimum": 1, "exclusiveMaximum": 100, "default": 1},
            }}},
            "properties": {
                "to": {"type": "object", "required": ["mail"], "properties": {"mail": {"type": "string", "format": "email"}}},
                "lines": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"$ref": "#/$defs/line"}},
                "speed": {"enum": ["slow", "fast"]},
                "note": {"type": ["string", "null"], "maxLength": 9},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
        });
        assert_eq!(
            rows(&schema),
            [
                "lines!: object[] (at least 1 items; no item twice)",
                "lines[].count: integer (>= 1; < 100)",
                "lines[].sku!: string (3 characters; matches ^[A-Z]+$)",
                "note: null | string (at most 9 characters)",
                "speed: string (one of \"slow\", \"fast\")",
                "tags: string[] ()",
                "to!: object ()",
                "to.mail!: string (email)",
            ]
        );
        let count = fields(&schema).into_iter().find(|field| field.path == "lines[].count").unwrap();
        assert_eq!((count.default, count.description), (Some(json!(1)), None));
    }

    #[test]
    fn a_member_that_holds_its_like_is_not_unfolded_for_ever() {
        let schema = json!({
            "$defs": {"tree": {"properties": {"left": {"$ref": "#/$defs/tree"}, "name": {}}}},
            "properties": {"tree": {"$ref": "#/$defs/tree"}, "self": {"$ref": "#"}},
        });
        assert_eq!(rows(&schema), ["self: any ()", "tree: any ()", "tree.left: any ()", "tree.name: any ()"]);
    }

    #[test]
    fn a_list_at_the_top_shows_its_items() {
        let list = json!({"type": "array", "items": {"type": "object", "properties": {"a": {"type": "null"}}}});
        assert_eq!(rows(&list), ["[].a: null ()"]);
        assert_eq!(shape(&list), "object[]");
        assert_eq!(shape(&json!({"type": "number", "minimum": 0})), "number, >= 0");
        assert_eq!(shape(&json!(true)), "any");
    }

    #[test]
    fn long_lists_of_values_are_cut() {
        let many: Vec<usize> = (0..20).collect();
        assert!(shape(&json!({"enum": many})).ends_with("11, 8 more"));
    }
}
