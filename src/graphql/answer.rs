//! A request as it came, and what it is answered with: text in, text out. The transports see nothing of the library.

use super::render::put;
use async_graphql::{Response, Value};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde_json::value::RawValue;

/// A GraphQL request as it came, its parts by the names of the GraphQL-over-HTTP draft.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    /// The document.
    pub query: &'a str,
    /// Which of its operations is meant.
    pub operation_name: Option<&'a str>,
    /// An object, as it was written.
    pub variables: Option<&'a RawValue>,
    /// An object, as it was written.
    pub extensions: Option<&'a RawValue>,
}

/// What a request is answered with, as text. Cheap to clone: an answer for many is written once.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The JSON of a GraphQL response; UTF-8.
    pub text: Bytes,
    has_data: bool,
    has_errors: bool,
    code: Option<&'static str>,
}

/// Answers, one after the other.
pub type Answers = BoxStream<'static, Answer>;

impl Answer {
    /// A whole answer without errors that is written already.
    pub(super) fn of_text(text: Vec<u8>) -> Self {
        Answer { text: text.into(), has_data: true, has_errors: false, code: None }
    }

    /// Whether there is any data: not so where a field that must be there failed, up to the root.
    pub fn has_data(&self) -> bool {
        self.has_data
    }

    /// The code of the first error; `None` where nothing went wrong.
    pub fn code(&self) -> Option<&'static str> {
        self.code
    }

    /// Whether anything went wrong, be it in a single field.
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }
}

impl From<&Response> for Answer {
    fn from(response: &Response) -> Self {
        let mut text = br#"{"data":"#.to_vec();
        write(&response.data, &mut text);
        if !response.errors.is_empty() {
            text.extend_from_slice(br#","errors":"#);
            let _ = put(&mut text, &response.errors);
        }
        text.push(b'}');
        text.shrink_to_fit();
        let (has_data, has_errors) = (response.data != Value::Null, !response.errors.is_empty());
        let code = response.errors.first().and_then(super::observed::code_of);
        Answer { text: text.into(), has_data, has_errors, code }
    }
}

/// Writes a value; bytes are what was written already, in the place of a value (`render`).
fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Binary(written) => out.extend_from_slice(written),
        Value::Object(fields) => {
            out.push(b'{');
            for (at, (name, field)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                // Names of fields; within a JSON scalar anything may be a name.
                let _ = put(out, name.as_str());
                out.push(b':');
                write(field, out);
            }
            out.push(b'}');
        }
        Value::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        other => _ = put(out, other),
    }
}
