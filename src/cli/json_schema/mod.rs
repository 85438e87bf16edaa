//! The JSON Schemas (2020-12) of tools, read for people: what the arguments are called, what may stand there, and an
//! example.
//!
//! Nothing here checks a value: that is for the registry, which checks by the same schema. So what is not understood
//! is passed over, and a schema that refers to itself, or to nothing, ends somewhere instead of failing.

mod example;
mod fields;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(super) use example::example;
pub(super) use fields::{fields, shape};

/// How many schemas one place may be made of, through references and `allOf`: enough for any that people write, too
/// little for a circle to go on for long.
const PARTS_MAX: usize = 32;
/// How many branches of `oneOf` or `anyOf` are looked at, and how deep they may nest, since each may hold all again.
const BRANCHES_MAX: usize = 32;
const NESTING_MAX: usize = 3;

/// One place of a schema, with the document that its references point into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema<'a> {
    document: &'a Value,
    here: &'a Value,
}

impl<'a> Schema<'a> {
    /// A whole schema.
    pub(super) fn new(document: &'a Value) -> Self {
        Self { document, here: document }
    }

    /// The place of an argument, by its path; `None` where the schema says nothing of it.
    pub(super) fn at(self, path: &[String]) -> Option<Self> {
        path.iter().try_fold(self, |schema, step| schema.member(step))
    }

    /// The JSON types that may stand here; `None` where all may.
    pub(super) fn types(self) -> Option<BTreeSet<&'a str>> {
        self.types_within(NESTING_MAX)
    }

    fn types_within(self, left: usize) -> Option<BTreeSet<&'a str>> {
        let left = left.checked_sub(1)?;
        match self.keyword("type") {
            Some(Value::String(one)) => return Some(BTreeSet::from([one.as_str()])),
            Some(Value::Array(several)) => return Some(several.iter().filter_map(Value::as_str).collect()),
            _ => {}
        }
        if let Some(only) = self.keyword("const") {
            return Some(BTreeSet::from([type_of(only)]));
        }
        if let Some(Value::Array(values)) = self.keyword("enum") {
            return Some(values.iter().map(type_of).collect());
        }
        let branches = self.branches();
        if branches.is_empty() {
            return None;
        }
        let types: Option<Vec<_>> = branches.into_iter().map(|branch| branch.types_within(left)).collect();
        Some(types?.into_iter().flatten().collect())
    }

    /// The value of a keyword, where this place or what it refers to has it.
    fn keyword(self, name: &str) -> Option<&'a Value> {
        self.parts().into_iter().find_map(|part| part.here.get(name))
    }

    /// This place, what it refers to, and what it takes in by `allOf`.
    fn parts(self) -> Vec<Self> {
        let mut parts = vec![self];
        let mut next = 0;
        while let Some(part) = parts.get(next).copied() {
            next += 1;
            let referred = part.here.get("$ref").and_then(Value::as_str).and_then(|reference| self.refer(reference));
            let all = part.here.get("allOf").and_then(Value::as_array).into_iter().flatten();
            for found in referred.into_iter().chain(all.map(|here| self.to(here))) {
                if parts.len() < PARTS_MAX && !parts.iter().any(|part| std::ptr::eq(part.here, found.here)) {
                    parts.push(found);
                }
            }
        }
        parts
    }

    /// What a reference within the document points at. References to other documents are never fetched.
    fn refer(self, reference: &str) -> Option<Self> {
        Some(self.to(self.document.pointer(reference.strip_prefix('#')?)?))
    }

    fn to(self, here: &'a Value) -> Self {
        Self { here, ..self }
    }

    /// The schemas of which one, or at least one, holds.
    fn branches(self) -> Vec<Self> {
        let either = ["oneOf", "anyOf"].into_iter().find_map(|name| self.keyword(name));
        let branches = either.and_then(Value::as_array).into_iter().flatten();
        branches.take(BRANCHES_MAX).map(|here| self.to(here)).collect()
    }

    /// The declared members, by name.
    fn properties(self) -> BTreeMap<&'a str, Self> {
        let mut found = BTreeMap::new();
        for part in self.parts() {
            for (name, here) in part.here.get("properties").and_then(Value::as_object).into_iter().flatten() {
                found.entry(name.as_str()).or_insert(self.to(here));
            }
        }
        found
    }

    /// The members that must be there.
    fn required(self) -> BTreeSet<&'a str> {
        let lists = self.parts().into_iter().filter_map(|part| part.here.get("required")?.as_array());
        lists.flatten().filter_map(Value::as_str).collect()
    }

    /// Whether members that are not declared are refused.
    fn is_closed(self) -> bool {
        ["additionalProperties", "unevaluatedProperties"]
            .into_iter()
            .any(|name| self.keyword(name) == Some(&Value::Bool(false)))
    }

    fn items(self) -> Option<Self> {
        self.keyword("items").filter(|items| items.is_object()).map(|here| self.to(here))
    }

    /// The schema of one member, or of one item where the step is a number.
    fn member(self, step: &str) -> Option<Self> {
        let declared = self.properties().remove(step);
        let item = || self.items().filter(|_| step.parse::<usize>().is_ok());
        let any = || self.keyword("additionalProperties").filter(|any| any.is_object()).map(|here| self.to(here));
        // A branch may have it; a branch of a branch is further than people look.
        let of_branch = || self.branches().into_iter().find_map(|branch| branch.properties().remove(step));
        declared.or_else(item).or_else(of_branch).or_else(any)
    }
}

/// What JSON Schema calls the type of a value.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn types(schema: &Value, path: &str) -> Option<Vec<String>> {
        let steps: Vec<String> = path.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect();
        let types = Schema::new(schema).at(&steps)?.types()?;
        Some(types.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn types_are_found_through_references_branches_and_values() {
        let schema = json!({
            "$defs": {"name": {"type": "string"}, "point": {"properties": {"x": {"type": "number"}}}},
            "allOf": [{"properties": {"extra": {"const": 1}}}],
            "properties": {
                "name": {"$ref": "#/$defs/name", "description": "beside it"},
                "at": {"$ref": "#/$defs/point"},
                "points": {"type": "array", "items": {"$ref": "#/$defs/point"}},
                "either": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/point/properties/x"}]},
                "open": {"anyOf": [{"type": "string"}, {}]},
                "level": {"enum": ["low", "high", 3]},
                "free": {},
            },
            "additionalProperties": {"type": ["string", "null"]},
        });
        let check = |path: &str, expected: &[&str]| {
            assert_eq!(types(&schema, path), Some(expected.iter().map(|&word| word.to_owned()).collect()), "{path}");
        };
        check("name", &["string"]);
        check("at.x", &["number"]);
        check("points.0.x", &["number"]);
        check("either", &["number", "string"]);
        check("level", &["integer", "string"]);
        check("extra", &["integer"]);
        check("other", &["null", "string"]);
        for unsaid in ["open", "free", "at.y", "points.first", "free.x", "name.x"] {
            assert_eq!(types(&schema, unsaid), None, "{unsaid}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let circle = json!({"$ref": "#", "allOf": [{"$ref": "#"}], "anyOf": [{"$ref": "#"}]});
        assert_eq!(types(&circle, ""), None);
        assert_eq!(types(&json!({"$ref": "https://example.org/elsewhere"}), ""), None);
        assert_eq!(types(&json!(true), "a.b"), None);
    }
}
