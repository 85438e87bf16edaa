//! Reading one field of a document, with the name of the field in every error.

use super::Invalid;
use crate::model::{LIST_LEN_MAX, TEXT_LEN_MAX, TopicName, Version};
use serde_json::{Map, Value};

/// A mapping within a document, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(map: &'a Map<String, Value>, path: &'a str) -> Self {
        Fields { map, path }
    }

    /// The whole path of one of its fields.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn invalid(&self, name: &str, reason: impl std::fmt::Display) -> Invalid {
        Invalid::field(self.path(name), reason)
    }

    /// The value; `None` where it is absent or null.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The first of these names that is there, with its value.
    pub(super) fn first(&self, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        names.iter().find_map(|name| Some((*name, self.value(name)?)))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Invalid> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() > TEXT_LEN_MAX => {
                Err(self.invalid(name, format!("has more than {TEXT_LEN_MAX} characters")))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.invalid(name, format!("is {}, not text", kind(other)))),
        }
    }

    /// Text that is there for reading only: anything else counts as absent.
    pub(super) fn remark(&self, name: &str) -> Option<String> {
        self.value(name)?.as_str().map(|text| text.chars().take(TEXT_LEN_MAX).collect())
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Invalid> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            // Written for YAML 1.1.
            Some(Value::String(text)) if ["yes", "on"].contains(&text.to_lowercase().as_str()) => Ok(Some(true)),
            Some(Value::String(text)) if ["no", "off"].contains(&text.to_lowercase().as_str()) => Ok(Some(false)),
            Some(other) => Err(self.invalid(name, format!("is {}, not true or false", kind(other)))),
        }
    }

    /// A whole number from 0 on, by the first of these names that is there.
    pub(super) fn count(&self, names: &[&'static str]) -> Result<Option<u32>, Invalid> {
        let Some((name, value)) = self.first(names) else { return Ok(None) };
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
        let wrong = || self.invalid(name, format!("is {}, not a whole number from 0 to {}", kind(value), u32::MAX));
        count.map(Some).ok_or_else(wrong)
    }

    pub(super) fn list(&self, name: &str) -> Result<&'a [Value], Invalid> {
        match self.value(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) if items.len() > LIST_LEN_MAX => {
                Err(self.invalid(name, format!("has {} entries; the most is {LIST_LEN_MAX}", items.len())))
            }
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.invalid(name, format!("is {}, not a list", kind(other)))),
        }
    }

    pub(super) fn map(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Invalid> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(self.invalid(name, format!("is {}, not a mapping", kind(other)))),
        }
    }

    /// A version: text such as 1.0.1, a number such as 1.0, or a map of major, minor and patch.
    pub(super) fn version(&self, name: &str) -> Result<Option<Version>, Invalid> {
        let text = match self.value(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Object(parts)) => self.version_of_parts(name, parts)?,
            Some(other) => {
                return Err(self.invalid(name, format!("is {}, not a version such as 1.0.0", kind(other))));
            }
        };
        Version::try_new(&text).map(Some).map_err(|error| self.invalid(name, error))
    }

    fn version_of_parts(&self, name: &str, parts: &Map<String, Value>) -> Result<String, Invalid> {
        let part = |part: &str| match parts.get(part) {
            None | Some(Value::Null) => Ok(0),
            Some(value) => value.as_u64().ok_or_else(|| {
                self.invalid(&format!("{name}.{part}"), format!("is {}, not a whole number", kind(value)))
            }),
        };
        if !parts.contains_key("major") {
            return Err(self.invalid(&format!("{name}.major"), "is missing"));
        }
        let mut text = format!("{}.{}.{}", part("major")?, part("minor")?, part("patch")?);
        for (sign, part) in [('-', "prerelease"), ('+', "build")] {
            if let Some(Value::String(label)) = parts.get(part) {
                text.push(sign);
                text.push_str(label);
            }
        }
        Ok(text)
    }

    /// Texts, each once, in the order of the document.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Invalid> {
        let mut texts = Vec::new();
        for (at, item) in self.list(name)?.iter().enumerate() {
            let Value::String(text) = item else {
                return Err(self.invalid(&format!("{name}[{at}]"), format!("is {}, not text", kind(item))));
            };
            if !texts.contains(text) {
                texts.push(text.clone());
            }
        }
        Ok(texts)
    }

    /// Adds the topics of a list to those there are: entries are topics, or maps that name one.
    pub(super) fn topics(&self, name: &str, into: &mut Vec<TopicName>) -> Result<(), Invalid> {
        for (at, item) in self.list(name)?.iter().enumerate() {
            let path = || format!("{name}[{at}]");
            let text = match item {
                Value::String(text) => text,
                Value::Object(map) => match map.get("topic").or_else(|| map.get("name")) {
                    Some(Value::String(text)) => text,
                    _ => return Err(self.invalid(&path(), "names no topic")),
                },
                other => return Err(self.invalid(&path(), format!("is {}, not a topic", kind(other)))),
            };
            let topic = TopicName::try_new(text).map_err(|error| self.invalid(&path(), error))?;
            if !into.contains(&topic) {
                into.push(topic);
            }
        }
        Ok(())
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
