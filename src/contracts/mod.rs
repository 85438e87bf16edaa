//! Contract documents, read into the model: `contract.yaml`, the older `node.onex.yaml`, and the same as JSON.
//!
//! Documents are taken as they come: versions as text or as a map, topics under the names of several generations,
//! dependencies as maps or as plain text. What nobody here has heard of stays in the document. What is wrong is
//! refused with the name of the field.

mod canonical;
mod document;
mod fields;
mod parse;
mod tools;

pub use canonical::{canonical_bytes, canonical_hash};
pub use document::read;
pub use tools::{Spelling, ToolFields, define_tool};

/// The most bytes of a contract document.
pub const DOCUMENT_LEN_MAX: usize = 1024 * 1024;

/// Why a document is no contract. Display reads `field: reason`, or `the document reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The field, as a path such as `event_bus.publish_topics[2]`; `None`: the document as a whole.
    pub field: Option<String>,
    /// What is wrong, in words.
    pub reason: String,
}

impl Invalid {
    fn document(reason: impl Into<String>) -> Self {
        Invalid { field: None, reason: reason.into() }
    }

    fn field(path: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Invalid { field: Some(path.into()), reason: reason.to_string() }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.reason),
            None => write!(f, "the document {}", self.reason),
        }
    }
}

impl std::error::Error for Invalid {}
