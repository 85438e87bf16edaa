//! GraphQL requests as they come over HTTP: a body of JSON, or parameters of a URL.

use super::answer::is_utf8;
use crate::graphql::{Given, Named};
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Why a request cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// What should be JSON is none.
    NoJson(String),
    /// It is JSON, and no GraphQL request.
    Malformed(String),
}

/// A GraphQL operation as it is asked for.
#[derive(Debug, Default)]
pub(super) struct Operation<'a> {
    query: Option<Cow<'a, str>>,
    document_id: Option<Cow<'a, str>>,
    operation_name: Option<Cow<'a, str>>,
    variables: Option<Cow<'a, RawValue>>,
    extensions: Option<Cow<'a, RawValue>>,
}

/// What a body asks for.
#[derive(Debug)]
pub(super) enum Asked<'a> {
    One(Operation<'a>),
    /// Several, each answered by itself.
    Batch(Vec<Result<Operation<'a>, Unreadable>>),
}

impl Operation<'_> {
    /// What names its document.
    pub(super) fn named(&self) -> Named<'_> {
        Named {
            query: self.query.as_deref(),
            document_id: self.document_id.as_deref(),
            extensions: self.extensions.as_deref(),
        }
    }

    /// The operation, with the text of its document.
    pub(super) fn given<'a>(&'a self, query: &'a str) -> Given<'a> {
        Given {
            query,
            operation_name: self.operation_name.as_deref(),
            variables: self.variables.as_deref(),
            extensions: self.extensions.as_deref(),
        }
    }
}

/// Whether the body is JSON in UTF-8. Nothing else is read: what a browser sends to another site without asking first is
/// of other types.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(given), None) = (types.next().and_then(|value| value.to_str().ok()), types.next()) else { return false };
    if given == "application/json" {
        return true;
    }
    let mut parts = given.split(';');
    let is_json = parts.next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
    let mut parameters = parts.filter_map(|part| part.split_once('='));
    is_json && parameters.all(|(name, value)| !name.trim().eq_ignore_ascii_case("charset") || is_utf8(value))
}

/// The members of a body, each as it came: read once, straight into what runs. Unknown ones are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(default, borrow)]
    query: Option<&'a RawValue>,
    #[serde(default, borrow)]
    document_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    operation_name: Option<&'a RawValue>,
    #[serde(default, borrow)]
    variables: Option<&'a RawValue>,
    #[serde(default, borrow)]
    extensions: Option<&'a RawValue>,
}

/// Text that stays where it is unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a body, with so many operations at most.
pub(super) fn read_body(body: &[u8], batch_max: usize) -> Result<Asked<'_>, Unreadable> {
    match body.trim_ascii_start().first() {
        Some(b'[') => {
            let all: Vec<&RawValue> = parse(body)?;
            if all.is_empty() || all.len() > batch_max {
                let found = all.len();
                let reason = match batch_max {
                    0 => "arrays of operations are not taken here (http.batch_max is 0)".to_owned(),
                    _ => format!("the array has {found} operations; it has 1 to {batch_max} (http.batch_max)"),
                };
                return Err(Unreadable::Malformed(reason));
            }
            Ok(Asked::Batch(all.into_iter().map(|one| read_operation(one.get().as_bytes())).collect()))
        }
        _ => read_operation(body).map(Asked::One),
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        Category::Data => Unreadable::Malformed(format!("the body is no GraphQL request: {error}")),
        Category::Syntax | Category::Eof | Category::Io => Unreadable::NoJson(format!("the body is no JSON: {error}")),
    })
}

fn read_operation(text: &[u8]) -> Result<Operation<'_>, Unreadable> {
    // The reader would take an array for the members in their order.
    if !text.trim_ascii_start().starts_with(b"{") {
        let _: &RawValue = parse(text)?;
        return Err(Unreadable::Malformed("a request is a JSON object with a query".to_owned()));
    }
    let body: Body<'_> = parse(text)?;
    Ok(Operation {
        query: string(body.query, "query")?,
        document_id: string(body.document_id, "documentId")?,
        operation_name: string(body.operation_name, "operationName")?,
        variables: object(body.variables, "variables")?.map(Cow::Borrowed),
        extensions: object(body.extensions, "extensions")?.map(Cow::Borrowed),
    })
}

/// A member that is an object; `None` where it is absent or null.
fn object<'a>(given: Option<&'a RawValue>, name: &str) -> Result<Option<&'a RawValue>, Unreadable> {
    match given {
        Some(given) if given.get() == "null" => Ok(None),
        Some(given) if !given.get().starts_with('{') => Err(Unreadable::Malformed(format!("{name} is no object"))),
        given => Ok(given),
    }
}

/// A member that is text; `None` where it is absent or null.
fn string<'a>(given: Option<&'a RawValue>, name: &str) -> Result<Option<Cow<'a, str>>, Unreadable> {
    let Some(given) = given.filter(|given| given.get() != "null") else { return Ok(None) };
    let read: serde_json::Result<Text<'a>> = serde_json::from_str(given.get());
    read.map(|text| Some(text.0)).map_err(|_| Unreadable::Malformed(format!("{name} is no text")))
}

/// Reads the parameters of a URL. Unknown ones are passed over, and empty ones count as absent.
pub(super) fn read_parameters(query: &str) -> Result<Operation<'_>, Unreadable> {
    let mut operation = Operation::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let is_given = match &*name {
            "query" => operation.query.replace(value).is_some(),
            // Empty ones are absent: not so the query, which would be a document without operations.
            _ if value.is_empty() => false,
            "documentId" => operation.document_id.replace(value).is_some(),
            "operationName" => operation.operation_name.replace(value).is_some(),
            "variables" => operation.variables.replace(parameter(&value, "variables")?).is_some(),
            "extensions" => operation.extensions.replace(parameter(&value, "extensions")?).is_some(),
            _ => false,
        };
        if is_given {
            return Err(Unreadable::Malformed(format!("the parameter {name} is given twice")));
        }
    }
    operation.variables = operation.variables.filter(|variables| variables.get() != "null");
    operation.extensions = operation.extensions.filter(|extensions| extensions.get() != "null");
    Ok(operation)
}

fn parameter<'a>(text: &str, name: &str) -> Result<Cow<'a, RawValue>, Unreadable> {
    let read: Box<RawValue> =
        serde_json::from_str(text).map_err(|error| Unreadable::NoJson(format!("{name} is no JSON: {error}")))?;
    object(Some(&read), name)?;
    Ok(Cow::Owned(read))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn what_is_no_json_and_what_is_no_request_are_told_apart() {
        for body in ["", "{", "nonsense", "{\"query\":", "[{]", "{\"query\": \"\u{1}\"}", "{\"query\": 1} x"] {
            let read = read_body(body.as_bytes(), 10);
            assert!(matches!(read, Err(Unreadable::NoJson(_))), "{body}: {read:?}");
        }
        assert!(matches!(read_body(b"{\"query\": \"\xff\"}", 10), Err(Unreadable::NoJson(_))));
        for body in ["1", "null", "\"{}\"", "[]", "{\"query\": 1}", "{\"query\": \"\", \"variables\": []}"] {
            let read = read_body(body.as_bytes(), 10);
            assert!(matches!(read, Err(Unreadable::Malformed(_))), "{body}: {read:?}");
        }
        let twice = "{\"query\": \"{ a }\", \"query\": \"{ b }\"}";
        assert!(matches!(read_body(twice.as_bytes(), 10), Err(Unreadable::Malformed(_))));
    }

    #[test]
    fn an_array_has_no_more_operations_than_are_taken() {
        let two = b"[{\"query\": \"{ a }\"}, {\"query\": 1}]";
        let Ok(Asked::Batch(read)) = read_body(two, 2) else { panic!() };
        assert!(read[0].is_ok() && read[1].is_err());
        let Ok(Asked::Batch(read)) = read_body(b"[[\"{ a }\"]]", 2) else { panic!() };
        assert!(read[0].is_err());
        for (most, says) in [(1, "has 2 operations; it has 1 to 1"), (0, "http.batch_max is 0")] {
            let Err(Unreadable::Malformed(said)) = read_body(two, most) else { panic!() };
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn parameters_are_read_once_each() {
        let read = read_parameters("query=%7B+a+%7D&variables=%7B%7D&operationName=&x=1").unwrap();
        assert_eq!(read.named().query, Some("{ a }"));
        let given = read.given("");
        assert_eq!((given.operation_name, given.variables.map(RawValue::get)), (None, Some("{}")));
        assert!(matches!(read_parameters("query=a&query=b"), Err(Unreadable::Malformed(_))));
        assert!(matches!(read_parameters("variables=%5B%5D"), Err(Unreadable::Malformed(_))));
        assert!(matches!(read_parameters("variables=%7B"), Err(Unreadable::NoJson(_))));
    }

    #[test]
    fn only_json_in_utf_8_is_json() {
        for (given, json) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("application/jsonx", false),
            ("text/plain", false),
            ("text/plain; application/json", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(given));
            assert_eq!(is_json(&headers), json, "{given}");
        }
    }
}
