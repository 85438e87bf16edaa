//! What is said on a connection, in the words of its protocol.

mod legacy;
mod modern;

use super::close::Close;
use crate::graphql::{Answer, Given, Named};
use axum::extract::ws::Message;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>
    Modern,
    /// <https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md>
    Legacy,
}

/// What a client says, in either protocol.
pub(super) enum Said<'a> {
    /// Who it is; the payload is an object.
    Init(Option<&'a RawValue>),
    /// Whether somebody is there; the payload is an object.
    Ping(Option<&'a RawValue>),
    /// That it is there.
    Pong,
    /// An operation to run.
    Begin { id: Arc<str>, operation: Operation<'a> },
    /// That it wants no more of an operation.
    End { id: Arc<str> },
    /// That it leaves.
    Leave,
}

/// What to do about a message that cannot be read.
pub(super) enum Misread {
    /// The connection ends.
    Close(Close),
    /// It is told, and goes on.
    Reply(Message),
}

impl From<Close> for Misread {
    fn from(close: Close) -> Self {
        Misread::Close(close)
    }
}

/// A message of a protocol with these kinds of them. Its parts are read when it is known what it is, and borrow from the
/// text.
#[derive(Deserialize)]
struct ClientMessage<'a, Kind> {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    payload: Option<&'a RawValue>,
}

/// An operation as it came.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Operation<'a> {
    #[serde(default, borrow)]
    query: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    document_id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub(super) operation_name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub(super) variables: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) extensions: Option<&'a RawValue>,
}

impl Operation<'_> {
    /// How it says which document it means.
    pub(super) fn named(&self) -> Named<'_> {
        Named { query: self.query.as_deref(), document_id: self.document_id.as_deref(), extensions: self.extensions }
    }

    /// The operation with the text of its document.
    pub(super) fn given<'a>(&'a self, query: &'a str) -> Given<'a> {
        Given {
            query,
            operation_name: self.operation_name.as_deref(),
            variables: self.variables,
            extensions: self.extensions,
        }
    }

    /// What is wrong with it, before it is looked at as GraphQL.
    fn check(&self) -> Result<(), String> {
        object_or_nothing(self.variables, "variables")?;
        object_or_nothing(self.extensions, "extensions")?;
        match (&self.query, &self.document_id, self.extensions) {
            (None, None, None) => Err("query is missing".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Only its kind is looked at: what is an object begins as one.
fn object_or_nothing(given: Option<&RawValue>, name: &str) -> Result<(), String> {
    match given {
        Some(given) if !given.get().starts_with('{') => Err(format!("{name} is no object")),
        _ => Ok(()),
    }
}

/// A part that the message must have.
fn needed<'a, T: Deserialize<'a>>(given: Option<&'a RawValue>, name: &str) -> Result<T, String> {
    let given = given.ok_or_else(|| format!("{name} is missing"))?;
    serde_json::from_str(given.get()).map_err(|error| format!("{name}: {error}"))
}

/// An id that the message must have.
fn needed_id(given: Option<&RawValue>) -> Result<Arc<str>, String> {
    let id: Cow<'_, str> = needed(given, "id")?;
    if id.is_empty() {
        return Err("id is empty".to_owned());
    }
    Ok(id.into())
}

impl Protocol {
    /// All, the preferred one first.
    pub(super) const ALL: [Protocol; 2] = [Protocol::Modern, Protocol::Legacy];

    /// The subprotocol's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Protocol::Modern => "graphql-transport-ws",
            Protocol::Legacy => "graphql-ws",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Protocol::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Reads a message.
    pub(super) fn read(self, text: &str) -> Result<Said<'_>, Misread> {
        match self {
            Protocol::Modern => modern::read(text).map_err(|reason| Close::invalid(reason).into()),
            Protocol::Legacy => legacy::read(text).map_err(Misread::Reply),
        }
    }

    /// What says that operations may come.
    pub(super) fn ack(self) -> impl Iterator<Item = Message> {
        let ack = Message::Text(r#"{"type":"connection_ack"}"#.into());
        std::iter::once(ack).chain(self.keep_alive())
    }

    /// What tells a client from time to time that the connection stands, where the protocol has such a message.
    pub(super) fn keep_alive(self) -> Option<Message> {
        (self == Protocol::Legacy).then(legacy::keep_alive)
    }

    /// What goes before a close that refuses the connection, where the protocol has such a message.
    pub(super) fn refusal(self, message: &str) -> Option<Message> {
        (self == Protocol::Legacy).then(|| legacy::connection_error(message))
    }

    /// The answer to a ping.
    pub(super) fn pong(payload: Option<&RawValue>) -> Message {
        let text = match payload {
            Some(payload) => format!(r#"{{"type":"pong","payload":{payload}}}"#),
            None => r#"{"type":"pong"}"#.to_owned(),
        };
        Message::Text(text.into())
    }

    /// An answer of an operation. Its id is given as JSON, here and below.
    pub(super) fn next(self, id: &str, answer: &Answer) -> Message {
        let payload = std::str::from_utf8(&answer.text).unwrap_or("{}");
        let head = match self {
            Protocol::Modern => r#"{"type":"next","id":"#,
            Protocol::Legacy => r#"{"type":"data","id":"#,
        };
        Message::Text([head, id, r#","payload":"#, payload, "}"].concat().into())
    }

    /// What was wrong with an operation, as its end.
    pub(super) fn error(self, id: &str, errors: &[impl Serialize]) -> Message {
        // Errors are made of text and JSON values, which always can be written.
        let payload = match self {
            Protocol::Modern => serde_json::to_string(errors),
            Protocol::Legacy => legacy::error_payload(errors),
        };
        let payload = payload.unwrap_or_else(|_| "[]".to_owned());
        Message::Text([r#"{"type":"error","id":"#, id, r#","payload":"#, &payload, "}"].concat().into())
    }

    /// An answer of errors alone, as the end of the operation that it is.
    pub(super) fn refused(self, id: &str, answer: &Answer) -> Message {
        #[derive(Deserialize)]
        struct Errors<'a> {
            #[serde(borrow)]
            errors: Vec<&'a RawValue>,
        }
        let errors = serde_json::from_slice::<Errors<'_>>(&answer.text).map(|read| read.errors);
        self.error(id, &errors.unwrap_or_default())
    }

    /// The end of an operation.
    pub(super) fn complete(self, id: &str) -> Message {
        Message::Text([r#"{"type":"complete","id":"#, id, "}"].concat().into())
    }
}
