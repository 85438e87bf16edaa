//! A request as it came, and what it is answered with: text in, text out. The transports see nothing of the library.

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
        // Responses are made of JSON values, which always can be written.
        let text = serde_json::to_vec(response).unwrap_or_default();
        let (has_data, has_errors) = (response.data != Value::Null, !response.errors.is_empty());
        let code = response.errors.first().and_then(super::observed::code_of);
        Answer { text: text.into(), has_data, has_errors, code }
    }
}
