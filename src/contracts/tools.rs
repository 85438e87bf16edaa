//! Tool definitions: checked, and addressed by content.

use super::{Invalid, canonical_hash};
use crate::model::{
    DefinitionHash, JSON_DEPTH_MAX, LIST_LEN_MAX, TEXT_LEN_MAX, ToolDefinition, ToolKey, nests_too_deep,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a tool's provider says of it.
#[derive(Clone, Debug)]
pub struct ToolFields {
    /// Name and version.
    pub key: ToolKey,
    /// What it does.
    pub description: Option<String>,
    /// Each once.
    pub tags: Vec<String>,
    /// JSON Schema (2020-12) of the arguments.
    pub input_schema: Option<Value>,
    /// JSON Schema (2020-12) of the result.
    pub output_schema: Option<Value>,
    /// The error codes a call may fail with.
    pub error_codes: Vec<String>,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: Option<u32>,
    /// Whether a call may be made again when nobody knows what came of it.
    pub idempotent: bool,
}

impl ToolFields {
    /// A tool of which nothing is said but its name and version.
    pub fn named(key: ToolKey) -> Self {
        ToolFields {
            key,
            description: None,
            tags: Vec::new(),
            input_schema: None,
            output_schema: None,
            error_codes: Vec::new(),
            timeout_ms: None,
            idempotent: false,
        }
    }
}

/// How the names of fields are written where a tool was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `input_schema`, as in documents.
    Document,
    /// `inputSchema`, as in the API.
    Api,
}

impl Spelling {
    fn of(self, document: &'static str, api: &'static str) -> &'static str {
        match self {
            Spelling::Document => document,
            Spelling::Api => api,
        }
    }
}

/// Checks what is said of a tool. `path` says where it was said, for the error: `tools[2]`.
///
/// A schema that does not compile as JSON Schema 2020-12 is the definition's defect, and no reason to refuse what else
/// its provider says. References to other documents are never fetched, and so do not compile.
pub fn define_tool(fields: ToolFields, path: &str, spelling: Spelling) -> Result<Arc<ToolDefinition>, Invalid> {
    let ToolFields { key, description, tags, input_schema, output_schema, error_codes, timeout_ms, idempotent } =
        fields;
    let at = |field: &str| format!("{path} ({}).{field}", key.name);
    if description.as_ref().is_some_and(|text| text.chars().count() > TEXT_LEN_MAX) {
        return Err(Invalid::field(at("description"), format!("has more than {TEXT_LEN_MAX} characters")));
    }
    for (field, list) in [("tags", &tags), (spelling.of("error_codes", "errorCodes"), &error_codes)] {
        if list.len() > LIST_LEN_MAX {
            return Err(Invalid::field(at(field), format!("has {} entries; the most is {LIST_LEN_MAX}", list.len())));
        }
    }
    if timeout_ms == Some(0) {
        return Err(Invalid::field(at(spelling.of("timeout_ms", "timeoutMs")), "is 0; it is 1 or more".to_owned()));
    }
    let mut defect = None;
    for (field, schema) in [
        (spelling.of("input_schema", "inputSchema"), &input_schema),
        (spelling.of("output_schema", "outputSchema"), &output_schema),
    ] {
        let Some(schema) = schema else { continue };
        if nests_too_deep(schema) {
            return Err(Invalid::field(at(field), format!("nests deeper than {JSON_DEPTH_MAX} levels")));
        }
        if let Err(reason) = check_schema(schema) {
            defect.get_or_insert(format!("{}: {reason}", at(field)));
        }
    }
    let mut content = json!({
        "name": key.name.as_str(), "version": key.version.as_str(), "description": description, "tags": tags,
        "input_schema": input_schema, "output_schema": output_schema, "error_codes": error_codes,
    });
    // Only where they are said: what was registered before they could be keeps its hash.
    if let Some(timeout_ms) = timeout_ms {
        content["timeout_ms"] = json!(timeout_ms);
    }
    if idempotent {
        content["idempotent"] = json!(true);
    }
    let hash = DefinitionHash(canonical_hash(&content));
    Ok(Arc::new(ToolDefinition {
        key,
        description,
        tags,
        input_schema,
        output_schema,
        error_codes,
        timeout_ms,
        idempotent,
        defect,
        hash,
    }))
}

/// Why a value is no JSON Schema (2020-12), if it is none; reads on after the name of the field it came in.
pub(super) fn check_schema(schema: &Value) -> Result<(), String> {
    if !schema.is_object() && !schema.is_boolean() {
        return Err("is no JSON Schema: a schema is an object, or true or false".to_owned());
    }
    match jsonschema::draft202012::new(schema) {
        Ok(_) => Ok(()),
        Err(error) => {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { String::new() } else { format!(" at {place}") };
            Err(format!("does not compile as JSON Schema 2020-12{place}: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ToolName, Version};

    fn with_schema(schema: Value) -> Result<Arc<ToolDefinition>, Invalid> {
        let key = ToolKey { name: ToolName::try_new("hash").unwrap(), version: Version::unstated() };
        let fields = ToolFields { input_schema: Some(schema), ..ToolFields::named(key) };
        define_tool(fields, "tools[0]", Spelling::Document)
    }

    #[test]
    fn a_schema_that_does_not_compile_is_a_defect_and_says_where() {
        let sound = with_schema(json!({"type": "object", "properties": {"text": {"type": "string"}}})).unwrap();
        assert_eq!(sound.defect, None);
        let defect = with_schema(json!({"type": "strin"})).unwrap().defect.clone().unwrap();
        assert!(defect.starts_with("tools[0] (hash).input_schema: does not compile"), "{defect}");
        assert!(with_schema(json!("object")).unwrap().defect.is_some());
    }

    #[test]
    fn references_to_other_documents_are_not_fetched() {
        let defect = with_schema(json!({"$ref": "http://127.0.0.1:9/schema.json"})).unwrap().defect.clone().unwrap();
        assert!(defect.contains("does not compile"), "{defect}");
        assert!(with_schema(json!({"$ref": "file:///etc/passwd"})).unwrap().defect.is_some());
    }

    #[test]
    fn the_same_content_has_the_same_hash() {
        let one = with_schema(json!({"type": "object", "required": ["a"]})).unwrap();
        let same = with_schema(json!({"required": ["a"], "type": "object"})).unwrap();
        let other = with_schema(json!({"required": ["b"], "type": "object"})).unwrap();
        assert_eq!(one.hash, same.hash);
        assert_ne!(one.hash, other.hash);
    }
}
