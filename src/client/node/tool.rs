//! What a node offers: a tool's description, and the function that answers its calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::call::{Call, ToolError};

/// Answers the calls of a tool.
pub(super) type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Result<Value, ToolError>> + Send + Sync>;

pub(super) fn handler<F, A>(answer: F) -> Handler
where
    F: Fn(Call) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Value, ToolError>> + Send + 'static,
{
    let answer = Arc::new(answer);
    // What panics before the future is there panics within it.
    Arc::new(move |call| {
        let answer = answer.clone();
        Box::pin(async move { answer(call).await })
    })
}

/// A tool that a node offers: what the registry is told of it, and the function that answers its calls.
#[derive(Clone)]
pub struct Tool {
    name: String,
    /// The members of a `ToolInput`.
    declared: Map<String, Value>,
    handler: Handler,
}

impl Tool {
    /// A tool and the function that answers its calls, of which several may run at once. The future that it gives is
    /// dropped when nobody waits for the answer any more.
    pub fn new<F, A>(name: impl Into<String>, answer: F) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Value, ToolError>> + Send + 'static,
    {
        let name = name.into();
        let declared = Map::from_iter([("name".to_owned(), Value::from(name.clone()))]);
        Self { name, declared, handler: handler(answer) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version; the node's without it.
    pub fn version(self, version: impl Into<String>) -> Self {
        self.with("version", version.into())
    }

    /// What it does, for people and agents.
    pub fn description(self, description: impl Into<String>) -> Self {
        self.with("description", description.into())
    }

    /// Words to find it by.
    pub fn tags<T: Into<String>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        self.with("tags", texts(tags))
    }

    /// JSON Schema (2020-12) of the arguments. The registry refuses calls that do not fit before they come here.
    pub fn input_schema(self, schema: Value) -> Self {
        self.with("inputSchema", schema)
    }

    /// JSON Schema (2020-12) of the result. The registry refuses results that do not fit.
    pub fn output_schema(self, schema: Value) -> Self {
        self.with("outputSchema", schema)
    }

    /// The codes of the errors that a call may fail with.
    pub fn error_codes<T: Into<String>>(self, codes: impl IntoIterator<Item = T>) -> Self {
        self.with("errorCodes", texts(codes))
    }

    /// Whether a call that may have been begun can safely be made again, by another provider too.
    pub fn idempotent(self, idempotent: bool) -> Self {
        self.with("idempotent", idempotent)
    }

    /// How long a call may take where the caller does not say; the registry's default without it.
    pub fn timeout_ms(self, timeout_ms: u32) -> Self {
        self.with("timeoutMs", timeout_ms)
    }

    /// How many calls of it the registry sends at once; as many as the node takes without it.
    pub fn max_in_flight(self, calls: u32) -> Self {
        self.with("maxInFlight", calls)
    }

    fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.declared.insert(member.to_owned(), value.into());
        self
    }
}

/// Shows what the registry is told.
impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("declared", &self.declared).finish_non_exhaustive()
    }
}

pub(super) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Value {
    texts.into_iter().map(|text| Value::from(text.into())).collect()
}

/// All that a node offers at one time.
#[derive(Clone, Default)]
pub(super) struct Offer {
    /// What the registry is told; absent where only a contract says what is offered.
    pub(super) declared: Vec<Value>,
    handlers: HashMap<String, Vec<(Option<String>, Handler)>>,
}

impl Offer {
    pub(super) fn of(tools: Vec<Tool>) -> Self {
        let mut offer = Self::default();
        for Tool { name, declared, handler } in tools {
            let version = declared.get("version").and_then(Value::as_str).map(str::to_owned);
            offer.handlers.entry(name).or_default().push((version, handler));
            offer.declared.push(declared.into());
        }
        offer
    }

    /// The handler of a tool: the one of this version, else one that was declared without any.
    pub(super) fn handler(&self, name: &str, version: &str) -> Option<Handler> {
        let handlers = self.handlers.get(name)?;
        let exact = handlers.iter().find(|(own, _)| own.as_deref() == Some(version));
        let found = exact.or_else(|| handlers.iter().find(|(own, _)| own.is_none()));
        found.map(|(_, handler)| handler.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(name: &str) -> Tool {
        Tool::new(name, |_| async { Ok(Value::Null) })
    }

    #[test]
    fn what_was_not_said_is_not_declared() {
        let offer = Offer::of(vec![tool("a").idempotent(true).tags(["x"]), tool("b")]);
        assert_eq!(offer.declared, [json!({"name": "a", "idempotent": true, "tags": ["x"]}), json!({"name": "b"})]);
    }

    #[test]
    fn a_call_finds_the_handler_of_its_version() {
        let offer = Offer::of(vec![tool("a").version("1.0.0"), tool("b").version("1.0.0"), tool("b")]);
        assert!(offer.handler("a", "1.0.0").is_some());
        assert!(offer.handler("a", "2.0.0").is_none());
        assert!(offer.handler("b", "2.0.0").is_some());
        assert!(offer.handler("c", "1.0.0").is_none());
    }
}
