//! `graphql-transport-ws`: what is not to the letter is refused.

use super::{ClientMessage, Said, needed, needed_id, object_or_nothing};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ConnectionInit,
    Ping,
    Pong,
    Subscribe,
    Complete,
}

/// Reads a message, or says what is wrong with it.
pub(super) fn read(text: &str) -> Result<Said<'_>, String> {
    // Of a list, too, the library would read the members.
    if !text.trim_start().starts_with('{') {
        return Err("it is no object".to_owned());
    }
    let ClientMessage::<'_, Kind> { kind, id, payload } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let object = || object_or_nothing(payload, "payload");
    match kind {
        Kind::ConnectionInit => object().map(|()| Said::Init(payload)),
        Kind::Ping => object().map(|()| Said::Ping(payload)),
        Kind::Pong => object().map(|()| Said::Pong),
        Kind::Subscribe => {
            let id = needed_id(id)?;
            object()?;
            let operation: super::Operation<'_> = needed(payload, "payload")?;
            operation.check()?;
            Ok(Said::Begin { id, operation })
        }
        Kind::Complete => Ok(Said::End { id: needed_id(id)? }),
    }
}
