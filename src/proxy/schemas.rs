//! Schemas of tools, compiled once and kept: what does not fit them is said part by part.

use super::redact;
use crate::model::{DefinitionHash, ToolDefinition};
use jsonschema::Validator;
use quick_cache::sync::Cache;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many definitions are kept compiled.
const KEPT: usize = 4_096;
/// How many parts that do not fit are told.
const VIOLATIONS_MAX: usize = 20;
/// How many characters of a value, or of what was expected of it, are told.
const EXCERPT_CHARS: usize = 200;

/// A tool's schemas, compiled.
pub struct Compiled {
    input: Option<Side>,
    output: Option<Side>,
}

struct Side {
    schema: Value,
    /// `None` where the schema does not compile: that is the definition's defect, which keeps calls away from it.
    validator: Option<Validator>,
    has_secrets: bool,
}

impl Side {
    fn compile(schema: Option<&Value>) -> Option<Self> {
        let schema = schema?.clone();
        let validator = jsonschema::draft202012::new(&schema).ok();
        let has_secrets = redact::has_secrets(&schema);
        Some(Side { schema, validator, has_secrets })
    }

    fn check(&self, value: &Value) -> Result<(), Vec<Value>> {
        let Some(validator) = self.validator.as_ref().filter(|validator| !validator.is_valid(value)) else {
            return Ok(());
        };
        let errors = validator.iter_errors(value).take(VIOLATIONS_MAX);
        Err(errors.map(|error| self.violation(&error)).collect())
    }

    /// Where it is, what was expected there, and what came.
    fn violation(&self, error: &jsonschema::ValidationError<'_>) -> Value {
        let place = error.schema_path().as_str();
        let keyword = place.rsplit('/').next().unwrap_or_default();
        let expected = self.schema.pointer(place).map(|expected| format!("{keyword}: {}", excerpt(expected)));
        let mut violation = json!({
            "path": cut(error.instance_path().as_str()),
            "expected": expected.unwrap_or_else(|| keyword.to_owned()),
        });
        // A value that does not fit may be a secret in the wrong place.
        if self.has_secrets {
            violation["message"] = error.masked().to_string().into();
        } else {
            violation["got"] = bounded(error.instance());
            violation["message"] = cut(&error.to_string()).into();
        }
        violation
    }

    fn shown(&self, value: &Arc<Value>) -> Arc<Value> {
        match (&self.validator, self.has_secrets) {
            // What it keeps secret cannot be told.
            (None, _) => redact::hidden(),
            (Some(_), true) => Arc::new(redact::redacted(&self.schema, value)),
            (Some(_), false) => value.clone(),
        }
    }
}

fn excerpt(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The value, or where it is long, how it begins.
fn bounded(value: &Value) -> Value {
    let text = value.to_string();
    if text.chars().count() <= EXCERPT_CHARS { value.clone() } else { cut(&text).into() }
}

/// What does not fit, in a sentence.
pub fn sentence(violations: &[Value]) -> String {
    let told = violations.iter().take(3).map(|violation| {
        let path = violation["path"].as_str().filter(|path| !path.is_empty()).unwrap_or("the whole");
        format!("{path}: {}", violation["message"].as_str().unwrap_or_default())
    });
    let told = told.collect::<Vec<_>>().join("; ");
    match violations.len() {
        0..=3 => told,
        VIOLATIONS_MAX => format!("{told}; and more"),
        count => format!("{told}; and {} more", count - 3),
    }
}

impl Compiled {
    /// What is wrong with the arguments, part by part.
    pub fn check_arguments(&self, arguments: &Value) -> Result<(), Vec<Value>> {
        self.input.as_ref().map_or(Ok(()), |side| side.check(arguments))
    }

    /// What is wrong with a result, part by part.
    pub fn check_result(&self, result: &Value) -> Result<(), Vec<Value>> {
        self.output.as_ref().map_or(Ok(()), |side| side.check(result))
    }

    /// The arguments without what is secret.
    pub fn shown_arguments(&self, arguments: &Arc<Value>) -> Arc<Value> {
        self.input.as_ref().map_or_else(|| arguments.clone(), |side| side.shown(arguments))
    }

    /// The result without what is secret.
    pub fn shown_result(&self, result: &Arc<Value>) -> Arc<Value> {
        self.output.as_ref().map_or_else(|| result.clone(), |side| side.shown(result))
    }
}

/// The compiled schemas of the definitions that are in use.
pub struct Schemas {
    kept: Cache<DefinitionHash, Arc<Compiled>>,
}

impl Default for Schemas {
    fn default() -> Self {
        Schemas { kept: Cache::new(KEPT) }
    }
}

impl Schemas {
    /// A definition's schemas.
    pub fn of(&self, definition: &ToolDefinition) -> Arc<Compiled> {
        if let Some(compiled) = self.kept.get(&definition.hash) {
            return compiled;
        }
        let compiled = Arc::new(Compiled {
            input: Side::compile(definition.input_schema.as_ref()),
            output: Side::compile(definition.output_schema.as_ref()),
        });
        self.kept.insert(definition.hash, compiled.clone());
        compiled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(schema: Value) -> Side {
        Side::compile(Some(&schema)).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_told_with_place_expectation_and_value() {
        let side = side(json!({
            "type": "object",
            "properties": {"deep": {"type": "array", "items": {"type": "integer", "maximum": 5}}},
            "required": ["deep", "name"],
        }));
        assert_eq!(side.check(&json!({"deep": [1], "name": 1})), Ok(()));
        let violations = side.check(&json!({"deep": [1, 9, "x"]})).unwrap_err();
        assert_eq!(violations.len(), 3, "{violations:?}");
        let of = |path: &str| violations.iter().find(|violation| violation["path"] == path).unwrap();
        assert_eq!((&of("/deep/1")["got"], &of("/deep/1")["expected"]), (&json!(9), &json!("maximum: 5")));
        assert_eq!(of("/deep/2")["expected"], "type: \"integer\"");
        assert!(of("")["message"].as_str().unwrap().contains("name"));
        assert!(sentence(&violations).contains("/deep/1: 9"), "{}", sentence(&violations));
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_told() {
        let side = side(json!({"properties": {"pin": {"type": "integer", "writeOnly": true}}}));
        let violations = side.check(&json!({"pin": "hunter2"})).unwrap_err();
        assert!(!violations[0].to_string().contains("hunter2"), "{violations:?}");
    }
}
