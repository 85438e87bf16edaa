//! The arguments of a call, from what was typed.

use std::io::Read;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::cli::error::Error;
use crate::cli::json_schema::{Schema, type_of};

/// How deep a member may be set: as deep as JSON is read.
const STEPS_MAX: usize = 100;

/// What to call the tool with.
#[derive(Debug, clap::Args)]
pub(super) struct ArgumentArgs {
    /// The arguments: JSON, @FILE, or - for standard input; {} without it.
    #[arg(long = "args", value_name = "JSON|@FILE|-", conflicts_with = "batch")]
    whole: Option<String>,
    /// One argument, put over those of --args; may be given several times. The path's members are set apart by dots,
    /// items of a list go by number, and \ before a dot takes it as it is. The value is text where the tool's schema
    /// says text, else JSON where it is that. PATH:=JSON is always JSON.
    #[arg(long = "arg", value_name = "PATH=VALUE", conflicts_with = "batch")]
    members: Vec<Member>,
}

/// One member of the arguments.
#[derive(Clone, Debug, PartialEq)]
struct Member {
    path: Vec<String>,
    value: Typed,
}

/// A value as it was typed.
#[derive(Clone, Debug, PartialEq)]
enum Typed {
    /// Behind `:=`.
    Json(Value),
    /// Behind `=`, where it cannot be anything but text.
    Text(String),
    /// Behind `=`, where it may also be meant as JSON.
    Either(String, Value),
}

impl ArgumentArgs {
    /// Whether what is meant depends on the tool's schema.
    pub(super) fn depend_on_schema(&self) -> bool {
        self.members.iter().any(|member| matches!(member.value, Typed::Either(..)) || member.path.len() > 1)
    }

    /// The arguments. Without a schema everything that is JSON is taken for it.
    pub(super) fn build(&self, schema: &Value) -> Result<Value, Error> {
        let mut arguments = match &self.whole {
            Some(whole) => read(whole)?,
            None => Value::Object(Map::new()),
        };
        let schema = Schema::new(schema);
        for member in &self.members {
            member.set(&mut arguments, schema).map_err(Error::Usage)?;
        }
        Ok(arguments)
    }
}

/// The text that an option names: a file behind @, standard input behind -, else the text itself.
fn read(whole: &str) -> Result<Value, Error> {
    let (place, text) = match whole.strip_prefix('@').unwrap_or(whole) {
        "-" => ("standard input", input()?),
        path if whole.starts_with('@') => (path, file(path)?),
        text => ("--args", text.to_owned()),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Null) => Err(Error::Usage(format!("{place} is null: leave --args out to give no arguments"))),
        Ok(arguments) => Ok(arguments),
        Err(error) => Err(Error::Usage(format!("{place} is no JSON: {error}"))),
    }
}

/// Everything that comes on standard input.
pub(super) fn input() -> Result<String, Error> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|error| Error::Usage(format!("cannot read standard input as text: {error}")))?;
    Ok(text)
}

/// Everything in a file.
pub(super) fn file(path: &str) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::Usage(format!("cannot read {path:?} as text: {error}")))
}

impl FromStr for Member {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut path = vec![String::new()];
        let mut rest = text.chars();
        let is_json = loop {
            let next = rest.next();
            let step = path.last_mut().ok_or("it has no path")?;
            match next {
                Some('\\') => step.extend(rest.next()),
                Some('.') => path.push(String::new()),
                Some('=') => break false,
                Some(':') if rest.as_str().starts_with('=') => {
                    rest.next();
                    break true;
                }
                Some(other) => step.push(other),
                None => return Err("it is neither PATH=VALUE nor PATH:=JSON".to_owned()),
            }
        };
        if path.iter().any(String::is_empty) {
            return Err("a part of its path is empty".to_owned());
        }
        if path.len() > STEPS_MAX {
            return Err(format!("its path has more than {STEPS_MAX} parts"));
        }
        let typed = rest.as_str();
        let value = match (serde_json::from_str(typed), is_json) {
            (Ok(json), true) => Typed::Json(json),
            (Ok(json), false) => Typed::Either(typed.to_owned(), json),
            (Err(_), false) => Typed::Text(typed.to_owned()),
            (Err(error), true) => return Err(format!("what stands behind := is no JSON: {error}")),
        };
        Ok(Self { path, value })
    }
}

impl Member {
    fn set(&self, arguments: &mut Value, schema: Schema<'_>) -> Result<(), String> {
        let mut place = arguments;
        for (depth, step) in self.path.iter().enumerate() {
            if place.is_null() {
                let is_list = types_at(schema, &self.path[..depth]) == ["array"];
                *place = if is_list { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
            }
            let wrong = |why: String| format!("--arg {}: {why}", self.path.join("."));
            place = match place {
                Value::Object(members) => members.entry(step.as_str()).or_insert(Value::Null),
                Value::Array(items) => {
                    let count = items.len();
                    let index = step.parse::<usize>().ok().filter(|index| *index <= count);
                    let index = index.ok_or_else(|| wrong(format!("{step:?} is no item of a list of {count}")))?;
                    if index == count {
                        items.push(Value::Null);
                    }
                    &mut items[index]
                }
                other => return Err(wrong(format!("{step:?} cannot lie in a value of type {}", type_of(other)))),
            };
        }
        *place = match &self.value {
            Typed::Json(json) => json.clone(),
            Typed::Text(text) => text.as_str().into(),
            Typed::Either(text, _) if types_at(schema, &self.path).contains(&"string") => text.as_str().into(),
            Typed::Either(_, json) => json.clone(),
        };
        Ok(())
    }
}

/// The types that the schema names at a path; none where it says nothing of it.
fn types_at<'a>(schema: Schema<'a>, path: &[String]) -> Vec<&'a str> {
    let types = schema.at(path).and_then(Schema::types).unwrap_or_default();
    types.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn build(whole: Option<&str>, members: &[&str], schema: &Value) -> Result<Value, String> {
        let members = members.iter().map(|member| member.parse()).collect::<Result<_, _>>()?;
        let arguments = ArgumentArgs { whole: whole.map(str::to_owned), members };
        arguments.build(schema).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(whole: Option<&str>, members: &[&str], expected: Value) {
        assert_eq!(build(whole, members, &Value::Null), Ok(expected));
    }

    #[test]
    fn nothing_typed_is_an_empty_object() {
        check(None, &[], json!({}));
    }

    #[test]
    fn members_come_over_the_whole() {
        check(Some(r#"{"a": 1, "b": {"c": 2}}"#), &["b.c=3", "b.d=x"], json!({"a": 1, "b": {"c": 3, "d": "x"}}));
        check(None, &["a=1", "a=2"], json!({"a": 2}));
        check(None, &[r"a\.b=1", r"c\:=2", r"d\=e=3"], json!({"a.b": 1, "c:": 2, "d=e": 3}));
        check(None, &["a=b=c", "d="], json!({"a": "b=c", "d": ""}));
    }

    #[test]
    fn items_go_by_number() {
        check(Some(r#"{"a": [1, {"b": 2}]}"#), &["a.1.b=3", "a.2=4"], json!({"a": [1, {"b": 3}, 4]}));
        check(Some("[]"), &["0=1"], json!([1]));
        let schema = json!({"properties": {"a": {"type": "array", "items": {"type": "string"}}}});
        assert_eq!(build(None, &["a.0=1", "a.1=2"], &schema), Ok(json!({"a": ["1", "2"]})));
        assert!(build(None, &["a.1=1"], &schema).unwrap_err().contains("no item of a list of 0"));
    }

    #[test]
    fn a_value_is_what_the_schema_says_and_else_json_where_it_is() {
        let schema = json!({"properties": {
            "zip": {"type": "string"}, "note": {"type": ["string", "null"]}, "count": {"type": "integer"},
        }});
        let typed = ["zip=12345", "note=null", "count=5", "other=true", "word=hello", "list=[1]"];
        let expected = json!({"zip": "12345", "note": "null", "count": 5, "other": true, "word": "hello", "list": [1]});
        assert_eq!(build(None, &typed, &schema), Ok(expected));
        assert_eq!(build(None, &["zip:=12345"], &schema), Ok(json!({"zip": 12345})));
    }

    #[test]
    fn what_cannot_be_is_said() {
        for wrong in ["a", "=1", "a..b=1", ".a=1", "a:=x", ""] {
            assert!(wrong.parse::<Member>().is_err(), "{wrong}");
        }
        assert!(format!("{}a=1", "a.".repeat(STEPS_MAX)).parse::<Member>().is_err());
        let said = build(Some(r#"{"a": 1}"#), &["a.b=2"], &Value::Null).unwrap_err();
        assert!(said.contains("a.b") && said.contains("integer"), "{said}");
        assert!(build(Some("{"), &[], &Value::Null).unwrap_err().starts_with("--args is no JSON: EOF"));
        assert!(build(Some("null"), &[], &Value::Null).unwrap_err().contains("leave --args out"));
        assert!(build(Some("@/nowhere/at/all"), &[], &Value::Null).unwrap_err().contains("/nowhere/at/all"));
        assert!(build(Some("5"), &["a=1"], &Value::Null).unwrap_err().contains("integer"));
    }
}
