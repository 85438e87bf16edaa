//! How a program writes that it failed, where the kind leaves that to us.

use crate::model::bus_call::Failed;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Option<Value>,
    #[serde(default)]
    retryable: bool,
}

/// Reads `{code, message, details, retryable}`; what is no such JSON is taken for the message.
pub(super) fn read(said: &[u8]) -> Failed {
    let as_message =
        || Said { code: None, message: String::from_utf8_lossy(said).into_owned(), details: None, retryable: false };
    let Said { code, message, details, retryable } = serde_json::from_slice(said).unwrap_or_else(|_| as_message());
    Failed { code: code.unwrap_or_else(|| Failed::UNNAMED.to_owned()), message, details, retryable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_failures_json_is_its_message() {
        let failed = read(br#"{"code": "DivisionByZero", "message": "no", "retryable": true, "more": 1}"#);
        assert_eq!((failed.code.as_str(), failed.message.as_str(), failed.retryable), ("DivisionByZero", "no", true));
        let failed = read(b"it broke");
        assert_eq!(
            (failed.code.as_str(), failed.message.as_str(), failed.retryable),
            (Failed::UNNAMED, "it broke", false)
        );
    }
}
