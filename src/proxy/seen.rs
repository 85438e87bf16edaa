//! A call as readers meet it: its caller sees more than others.

use crate::model::Invocation;
use serde_json::Value;
use std::sync::Arc;

/// A call as a reader meets it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The call, with payloads as everybody may see them.
    pub invocation: Arc<Invocation>,
    /// The payloads as they were, where memory still has them: for the caller alone.
    pub whole: Option<Whole>,
    /// Parts of the answer, in order.
    pub chunks: Arc<[Arc<Value>]>,
}

impl Seen {
    /// A call that only the log has.
    pub fn stored(invocation: Arc<Invocation>) -> Self {
        Seen { invocation, whole: None, chunks: Arc::default() }
    }

    /// The call as everybody may see it.
    pub fn for_others(self) -> Self {
        Seen { whole: None, chunks: Arc::default(), ..self }
    }

    /// The call as this principal may see it.
    pub fn shown_to(self, principal: &str) -> Self {
        if self.invocation.asked.caller == principal { self } else { self.for_others() }
    }
}

/// Payloads as they were.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The arguments.
    pub arguments: Arc<Value>,
    /// The result.
    pub result: Option<Arc<Value>>,
}
