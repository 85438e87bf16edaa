//! `graphql-ws`, as subscriptions-transport-ws speaks it. What cannot be read is told, and the connection goes on.

use super::{ClientMessage, Said, needed, needed_id, object_or_nothing};
use axum::extract::ws;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ConnectionInit,
    Start,
    Stop,
    ConnectionTerminate,
}

/// Reads a message, or says what is wrong with it: of its operation, where it names one.
pub(super) fn read(text: &str) -> Result<Said<'_>, ws::Message> {
    if !text.trim_start().starts_with('{') {
        return Err(connection_error("Invalid message received: it is no object"));
    }
    let message: ClientMessage<'_, Kind> =
        serde_json::from_str(text).map_err(|error| connection_error(&format!("Invalid message received: {error}")))?;
    understand(&message).map_err(|reason| {
        let reason = format!("Invalid message received: {reason}");
        match message.id.filter(|id| id.get().starts_with('"')) {
            Some(id) => super::Protocol::Legacy.error(id.get(), &[json!({ "message": reason })]),
            None => connection_error(&reason),
        }
    })
}

fn understand<'a>(message: &ClientMessage<'a, Kind>) -> Result<Said<'a>, String> {
    let object = || object_or_nothing(message.payload, "payload");
    match message.kind {
        Kind::ConnectionInit => object().map(|()| Said::Init(message.payload)),
        Kind::Start => {
            let id = needed_id(message.id)?;
            object()?;
            let operation: super::Operation<'_> = needed(message.payload, "payload")?;
            operation.check()?;
            Ok(Said::Begin { id, operation })
        }
        Kind::Stop => Ok(Said::End { id: needed_id(message.id)? }),
        Kind::ConnectionTerminate => Ok(Said::Leave),
    }
}

pub(super) fn keep_alive() -> ws::Message {
    ws::Message::Text(r#"{"type":"ka"}"#.into())
}

pub(super) fn connection_error(message: &str) -> ws::Message {
    ws::Message::Text(json!({ "type": "connection_error", "payload": { "message": message } }).to_string().into())
}

/// The protocol has one error; of several, all stand in it.
pub(super) fn error_payload(errors: &[impl Serialize]) -> serde_json::Result<String> {
    match errors {
        [error] => serde_json::to_string(error),
        errors => {
            let errors = serde_json::to_value(errors)?;
            let first = errors.get(0).and_then(|first| first.get("message")).cloned();
            serde_json::to_string(&json!({ "message": first.unwrap_or_default(), "errors": errors }))
        }
    }
}
