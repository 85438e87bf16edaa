//! What a request may ask for, in the order in which a request meets it.
//!
//! `text` looks at the document as bytes, before the parser, which recurses. `tidy` takes out what is asked for twice
//! and shows the validator what it passes over. `shape` counts what is asked for, each fragment once, before
//! validation, which expands without bounds of its own. `cost` says how large the answer may become with the
//! variables of a request. What cannot be known before is counted by `budget` while the answer is made.

pub(super) mod budget;
pub(super) mod cost;
pub(super) mod shape;
pub(super) mod text;
pub(super) mod tidy;

use super::error::{ErrorCode, extensions};
use async_graphql::{Pos, ServerError};
use serde_json::json;
use std::time::Duration;

/// How deep brackets of any kind nest in a document, and selections, fragments spread out. No setting: the parser
/// recurses as deep, and so does everything that walks a document.
pub(super) const NESTING_MAX: u64 = 64;

/// How many errors of one document are answered; the others are counted.
pub(super) const ERRORS_MAX: usize = 20;

/// What requests may ask for. Each has a setting of the same name in the group `limits`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The most bytes of a document.
    pub document_bytes_max: u64,
    /// The most tokens of a document: names, numbers, texts and punctuation.
    pub tokens_max: u64,
    /// How deep fields nest.
    pub depth_max: u64,
    /// The most fields and fragments that a document asks for, fragments spread out.
    pub selections_max: u64,
    /// The most fields at the root of an operation.
    pub root_fields_max: u64,
    /// The most aliases of a document, fragments spread out.
    pub aliases_max: u64,
    /// The most directives of a document, fragments spread out.
    pub directives_max: u64,
    /// The most entries that a page may be asked to have; at most `PAGE_MAX`.
    pub page_max: u64,
    /// The most that an answer may cost, pages taken as full: one for each value, more for what is dear to find.
    pub complexity_max: u64,
    /// The most values that the lists of an answer have, counted while it is made.
    pub values_max: u64,
    /// How long a query, the reading of a mutation's answer, or one event of a subscription may take.
    pub execution_max: Duration,
    /// Whether the schema may be asked for.
    pub introspection: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            document_bytes_max: 262_144,
            tokens_max: 20_000,
            depth_max: 32,
            selections_max: 5_000,
            root_fields_max: 1_000,
            aliases_max: 1_000,
            directives_max: 500,
            page_max: super::paging::PAGE_MAX as u64,
            complexity_max: 250_000,
            values_max: 250_000,
            execution_max: Duration::from_secs(5),
            introspection: true,
        }
    }
}

/// The refusal of what goes beyond a limit: the sentence names the limit and says what to do.
fn exceeded(
    code: ErrorCode,
    limit: &str,
    max: u64,
    found: u64,
    message: impl Into<String>,
    at: Option<Pos>,
) -> ServerError {
    let details = json!({ "limit": limit, "max": max, "found": found });
    ServerError { extensions: Some(extensions(code, details)), ..ServerError::new(message, at) }
}

/// The errors that are answered: the first ones, and how many more there are.
pub(super) fn cut(mut errors: Vec<ServerError>) -> Vec<ServerError> {
    let more = errors.len().saturating_sub(ERRORS_MAX);
    if more > 0 {
        errors.truncate(ERRORS_MAX);
        errors.push(ServerError::new(format!("and {more} more errors"), None));
    }
    errors
}
