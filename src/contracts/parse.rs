//! Text into a value, within bounds: a document from outside may be anything.

use super::{DOCUMENT_LEN_MAX, Invalid};
use crate::model::JSON_DEPTH_MAX;
use serde_json::Value;

/// The most values of a document after its aliases are resolved.
const VALUES_MAX: usize = 50_000;
/// The most aliases of a document: contracts have few or none.
const ALIASES_MAX: usize = 100;

/// A document's one value, from YAML or JSON text.
pub(super) fn parse(text: &str) -> Result<Value, Invalid> {
    if text.len() > DOCUMENT_LEN_MAX {
        return Err(Invalid::document(format!("has {} bytes; a contract has at most {DOCUMENT_LEN_MAX}", text.len())));
    }
    let value = if text.trim_start().starts_with('{') {
        // JSON, or YAML that looks like it at first.
        serde_json::from_str(text).or_else(|_| parse_yaml(text))
    } else {
        parse_yaml(text)
    }?;
    bounded(&value, 0, &mut 0)?;
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Err(Invalid::document("is empty")),
        _ => Err(Invalid::document("is not a mapping of names to values")),
    }
}

fn parse_yaml(text: &str) -> Result<Value, Invalid> {
    use serde_saphyr::{
        Options, budget::Budget, options::AliasLimits, options::DuplicateKeyPolicy, options::NonFiniteFloatPolicy,
    };
    let mut budget = Budget::default();
    budget.max_events = 4 * VALUES_MAX;
    budget.max_aliases = ALIASES_MAX;
    budget.max_anchors = ALIASES_MAX;
    budget.max_depth = JSON_DEPTH_MAX;
    budget.max_nodes = VALUES_MAX;
    let mut alias_limits = AliasLimits::default();
    alias_limits.max_total_replayed_events = 4 * VALUES_MAX;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.alias_limits = alias_limits;
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.non_finite_float_policy = NonFiniteFloatPolicy::Reject;
    // YAML 1.2: a tag `y` or `on` is text.
    options.strict_booleans = true;
    // A snippet would carry the document into messages and logs.
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Invalid::document(format!("is not readable YAML or JSON: {}", one_line(&error))))
}

fn one_line(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // What the library says to programmers is nothing to who wrote the document.
    if line.contains("from_multiple") || line.contains("from_str_multiple") {
        return "it holds several documents, and a contract is one".to_owned();
    }
    line
}

fn bounded(value: &Value, depth: usize, count: &mut usize) -> Result<(), Invalid> {
    *count += 1;
    if *count > VALUES_MAX {
        return Err(Invalid::document(format!("has more than {VALUES_MAX} values")));
    }
    if depth > JSON_DEPTH_MAX {
        return Err(Invalid::document(format!("nests deeper than {JSON_DEPTH_MAX} levels")));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| bounded(item, depth + 1, count)),
        Value::Object(items) => items.values().try_for_each(|item| bounded(item, depth + 1, count)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_of_the_same_content_are_the_same() {
        let yaml = parse("---\nname: a\nversion: {major: 1}\nwhen: 2025-06-10T12:00:00Z\n").unwrap();
        let json = parse(r#"{"version": {"major": 1}, "name": "a", "when": "2025-06-10T12:00:00Z"}"#).unwrap();
        assert_eq!(yaml, json);
    }

    #[test]
    fn what_is_no_document_is_refused_in_words() {
        for (text, says) in [
            ("", "is empty"),
            ("- a\n- b\n", "is not a mapping"),
            ("name: [unclosed", "is not readable YAML or JSON"),
            ("name: a\nname: b\n", "is not readable YAML or JSON"),
            ("name: \"\u{0}\"", "is not readable YAML or JSON"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn an_alias_bomb_is_refused_before_it_goes_off() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        let error = parse(&bomb).unwrap_err().to_string();
        assert!(error.contains("is not readable YAML or JSON"), "{error}");
    }

    #[test]
    fn a_document_too_large_or_too_deep_is_refused() {
        let large = format!("name: {}", "x".repeat(DOCUMENT_LEN_MAX));
        assert!(parse(&large).unwrap_err().to_string().contains("at most 1048576"));
        let deep = format!("name: {}{}", "[".repeat(100), "]".repeat(100));
        assert!(parse(&deep).is_err());
        let wide = format!("name: [{}]", "1,".repeat(VALUES_MAX + 1));
        assert!(parse(&wide).is_err());
        assert!(parse("{\"a\":".repeat(100_000).as_str()).is_err());
    }
}
