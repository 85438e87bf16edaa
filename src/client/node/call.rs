//! A call as its handler sees it, and how a handler fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::client::Error;

use super::link::Links;

const PROGRESS: &str = "mutation($input: ProgressInvocationInput!) { progressInvocation(input: $input) { status } }";

/// A call of one of the node's tools. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id, by which the registry knows it.
    pub id: Uuid,
    /// The tool's name.
    pub tool: String,
    /// The tool's version.
    pub version: String,
    /// What the caller gave, which fits the tool's input schema.
    pub arguments: Value,
    /// Who calls, as the registry knows it.
    pub caller: String,
    /// What the caller calls the whole undertaking.
    pub correlation_id: String,
    /// When nobody waits for the answer any more, by the registry's clock.
    pub deadline: Timestamp,
    /// Which try it is, from 1.
    pub attempt: u32,
    pub(super) links: Links,
    pub(super) cancelled: Arc<watch::Sender<bool>>,
}

impl Call {
    /// The arguments as a type.
    ///
    /// # Errors
    /// Where they do not fit, with the code `INVALID_ARGUMENTS`.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, ToolError> {
        T::deserialize(&self.arguments).map_err(|error| {
            ToolError::new("INVALID_ARGUMENTS", format!("the arguments of {} do not fit: {error}", self.tool))
        })
    }

    /// Sends a part of the answer ahead. Parts come to the caller in the order in which they were sent one after the
    /// other. While the registry is away this waits for it.
    ///
    /// # Errors
    /// Where the registry refuses it, because the call is over or has sent too much.
    pub async fn progress(&self, chunk: impl Into<Value>) -> Result<(), Error> {
        let input = json!({"invocationId": self.id, "chunk": chunk.into()});
        self.links.ask::<Value>(PROGRESS, json!({"input": input})).await.map(drop)
    }

    /// Waits until nobody waits for the answer any more: the call was cancelled, or its time is over. The handler's own
    /// future is dropped then; this is for what it has started besides.
    pub async fn cancelled(&self) {
        // The sender is this call's own, so that it cannot be gone.
        let _ = self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await;
    }
}

/// How long a call still has by this machine's clock. The two clocks may differ: what would be longer than the call's
/// whole time, or over before it came, is taken for the whole.
pub(super) fn time_left(deadline: Timestamp, timeout: Duration) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "how long is left is asked where the work is done")]
    let now = Timestamp::now();
    Duration::try_from(deadline.duration_since(now)).ok().filter(|left| *left < timeout).unwrap_or(timeout)
}

/// How a tool fails: what the caller is told.
///
/// Every error becomes one by `?`, with the code `FAILED`.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolError {
    /// For programs: one of the tool's error codes.
    pub code: String,
    /// For people.
    pub message: String,
    /// What belongs to the code; null for nothing.
    pub details: Value,
    /// Whether the same call may succeed later.
    pub retryable: bool,
}

impl ToolError {
    /// An error that is not worth trying again.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), details: Value::Null, retryable: false }
    }

    /// With what belongs to its code.
    pub fn with_details(self, details: impl Into<Value>) -> Self {
        Self { details: details.into(), ..self }
    }

    /// Worth trying again later.
    pub fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// As a `ToolErrorInput`.
    pub(super) fn input(&self) -> Value {
        let Self { code, message, details, retryable } = self;
        json!({"code": code, "message": message, "details": details, "retryable": retryable})
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

/// It is no error itself, so that all that are can become one.
impl<E: std::error::Error> From<E> for ToolError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut below = error.source();
        while let Some(cause) = below {
            message.push_str(&format!(": {cause}"));
            below = cause.source();
        }
        Self::new("FAILED", message)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the time that is left is counted from now")]
    fn a_clock_that_differs_takes_no_time_away() {
        let minute = Duration::from_secs(60);
        let in_seconds = |seconds| time_left(Timestamp::now() + SignedDuration::from_secs(seconds), minute);
        assert!(in_seconds(30) <= Duration::from_secs(30) && in_seconds(30) > Duration::from_secs(29));
        assert_eq!(in_seconds(90), minute);
        assert_eq!(in_seconds(-90), minute);
    }

    #[test]
    fn any_error_becomes_a_tools_with_its_causes() {
        let fails = || -> Result<(), ToolError> {
            String::from_utf8(vec![0xff])?;
            Ok(())
        };
        let error = fails().unwrap_err();
        assert_eq!(error.code, "FAILED");
        assert!(error.message.contains("utf-8"), "{error}");
    }
}
