//! What can go wrong between here and a registry.

use serde::Deserialize;
use serde_json::Value;

/// A cause from a library underneath.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer. Each Display is one line that says what to try; the cause below stays in `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text given as a server cannot be one.
    #[error("{server:?} is no registry's address, because {reason}: write http://HOST:PORT or https://HOST:PORT")]
    BadAddress {
        /// What was given.
        server: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The certificates for an https address cannot be used.
    #[error("the certificates cannot be used: {reason}: check --ca, --client-certificate and --client-key")]
    BadCertificate {
        /// Which, and what is wrong with them.
        reason: String,
    },
    /// The token has characters that a header cannot carry.
    #[error("the token holds characters that no header can carry: check --token or ONEX_TOKEN for line breaks")]
    BadToken,
    /// Nobody listens there.
    #[error("no registry answers at {address}: start one with \"onex serve\", or name another with --server")]
    Unreachable {
        /// The registry's address.
        address: String,
        /// Why the connection failed.
        source: Cause,
    },
    /// The registry understood and said no.
    #[error("{}", refused(message, code.as_deref(), all.len()))]
    Refused {
        /// The first refusal's sentence, for people.
        message: String,
        /// The first refusal's code, for programs.
        code: Option<String>,
        /// Who holds it, since when, what to do next; null where the registry gave nothing.
        details: Value,
        /// Whether asking again later can help.
        retryable: bool,
        /// Every refusal of the answer, the first among them.
        all: Vec<Refusal>,
    },
    /// Something else listens there.
    #[error("what answers at {address} is not a registry, it said {answered}: check --server and any proxy in between")]
    NotARegistry {
        /// The registry's address.
        address: String,
        /// What it said, in short.
        answered: String,
    },
    /// A registry answered with something this program does not understand.
    #[error("the registry at {address} answered with something unexpected: is it of the same version as this program?")]
    Malformed {
        /// The registry's address.
        address: String,
        /// Where the answer differs.
        source: serde_json::Error,
    },
    /// The answer passed the bound that protects this program's memory.
    #[error("the answer of {address} is larger than {limit} bytes: ask for less at once")]
    TooLarge {
        /// The registry's address.
        address: String,
        /// The bound.
        limit: usize,
    },
    /// A connection that stood is gone; whether a request under way was carried out is unknown.
    #[error("the connection to the registry at {address} was lost")]
    Lost {
        /// The registry's address.
        address: String,
        /// How it ended.
        source: Cause,
    },
}

impl Error {
    /// Whether a new connection could help: nobody is there now, or the registry asks to come back later.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::NotARegistry { .. } => true,
            Self::Refused { retryable, .. } => *retryable,
            Self::BadAddress { .. }
            | Self::BadCertificate { .. }
            | Self::BadToken
            | Self::Malformed { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// The refusal of the errors in an answer; `None` where there are none.
    pub(super) fn refused(all: Vec<Refusal>) -> Option<Self> {
        let first = all.first()?.clone();
        Some(Self::Refused {
            message: first.message,
            code: first.code,
            details: first.details,
            retryable: first.retryable,
            all,
        })
    }
}

/// One entry of an answer's `errors`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "Wire")]
pub struct Refusal {
    /// The sentence for people.
    pub message: String,
    /// The code for programs; absent in what a GraphQL library refuses before the registry sees it.
    pub code: Option<String>,
    /// What belongs to the code; null where the registry gave nothing.
    pub details: Value,
    /// Whether asking again later can help.
    pub retryable: bool,
}

/// As it travels. Extensions are taken as any JSON: an odd one must not hide the message beside it.
#[derive(Deserialize)]
struct Wire {
    message: String,
    #[serde(default)]
    extensions: Value,
}

impl From<Wire> for Refusal {
    fn from(Wire { message, mut extensions }: Wire) -> Self {
        Self {
            message,
            code: extensions["code"].as_str().map(str::to_owned),
            retryable: extensions["retryable"].as_bool().unwrap_or(false),
            details: extensions.get_mut("details").map(Value::take).unwrap_or_default(),
        }
    }
}

fn refused(message: &str, code: Option<&str>, count: usize) -> String {
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
    format!("{message}{code}{more}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusals(errors: Value) -> Error {
        Error::refused(serde_json::from_value(errors).unwrap()).unwrap()
    }

    #[test]
    fn a_refusal_takes_its_code_and_details_from_the_first_error() {
        let error = refusals(json!([
            {"message": "no", "extensions": {"code": "NODE_FROZEN", "retryable": true, "details": {"by": "x"}}},
            {"message": "also no"},
        ]));
        assert_eq!(error.to_string(), "no (NODE_FROZEN), and 1 more");
        let Error::Refused { code, details, retryable, all, .. } = error else { panic!() };
        assert_eq!((code.as_deref(), details, retryable), (Some("NODE_FROZEN"), json!({"by": "x"}), true));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn odd_extensions_do_not_hide_the_message() {
        for odd in [json!("text"), json!([1]), json!({"code": 7}), Value::Null] {
            assert_eq!(refusals(json!([{"message": "no", "extensions": odd}])).to_string(), "no");
        }
    }

    #[test]
    fn nothing_refused_is_no_error() {
        assert!(Error::refused(Vec::new()).is_none());
    }
}
