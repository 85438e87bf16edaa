//! Operations as the metrics and the log lines name them: by root field, which is one of the schema's, never by words
//! of the client's own.

use super::answer::{Answer, Answers};
use super::{Caller, Kind};
use crate::telemetry::trace::request_span;
use crate::telemetry::{Operation, Requests, Subscribed};
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet};
use async_graphql::{Name, ServerError, Value};
use futures_util::Stream;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::time::Instant;
use tracing::Span;

/// What an operation with several root fields is called.
const SEVERAL: &str = "several";
/// What an operation that asks for the schema is called, or for nothing but its root's type.
const INTROSPECTION: &str = "introspection";
/// What a request is called that could not be read or validated: which field it means is not known.
const INVALID: &str = "invalid";

impl Kind {
    /// The word for it in labels and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Query => "query",
            Kind::Mutation => "mutation",
            Kind::Subscription => "subscription",
        }
    }

    /// The kind of an operation.
    pub(super) fn of(ty: OperationType) -> Self {
        match ty {
            OperationType::Query => Kind::Query,
            OperationType::Mutation => Kind::Mutation,
            OperationType::Subscription => Kind::Subscription,
        }
    }
}

/// The counts of every operation that was ever asked for.
pub(super) struct Observed {
    requests: Requests,
    // Looked into when a document is validated, and then kept with it.
    known: Mutex<HashMap<(&'static str, String), Arc<Operation>>>,
    invalid: Arc<Operation>,
}

/// The counts of a document's operations, by their names.
pub(super) struct Operations(Vec<(Option<Name>, Arc<Operation>)>);

impl Operations {
    /// Those of the operation of this name, which is one of the document's.
    pub(super) fn named(&self, name: Option<&str>) -> Option<&Arc<Operation>> {
        let found = self.0.iter().find(|(known, _)| name.is_none() || known.as_deref() == name);
        found.map(|(_, operation)| operation)
    }
}

impl Observed {
    pub(super) fn new(requests: Requests) -> Self {
        let invalid = Arc::new(requests.operation(INVALID, INVALID));
        Observed { requests, known: Mutex::default(), invalid }
    }

    /// The counts of a validated document's operations.
    pub(super) fn of(&self, document: &ExecutableDocument) -> Operations {
        let operations = document.operations.iter();
        let each = operations.map(|(name, operation)| (name.cloned(), self.operation(document, &operation.node)));
        Operations(each.collect())
    }

    fn operation(&self, document: &ExecutableDocument, operation: &OperationDefinition) -> Arc<Operation> {
        let kind = Kind::of(operation.ty).as_str();
        let mut roots = Vec::new();
        root_fields(document, &operation.selection_set.node, &mut roots);
        let name = match &*roots {
            [only] if only.starts_with("__") => INTROSPECTION,
            [only] => only,
            _ => SEVERAL,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = known.entry((kind, name.to_owned()));
        counts.or_insert_with(|| Arc::new(self.requests.operation(kind, name))).clone()
    }

    /// What has no counts of its own.
    pub(super) fn unknown(&self) -> Arc<Operation> {
        self.invalid.clone()
    }

    /// A request could not be made ready to run.
    pub(super) fn refused(&self, caller: &Caller, operation: Option<&Operation>, errors: &[ServerError]) {
        let code = errors.first().and_then(code_of).unwrap_or("INVALID_ARGUMENT");
        operation.unwrap_or(&self.invalid).refused(caller.via, code);
    }
}

/// The distinct fields of a root, the first two of them: more are as good as two.
fn root_fields<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet, found: &mut Vec<&'a str>) {
    for selection in &set.items {
        if found.len() > 1 {
            return;
        }
        match &selection.node {
            Selection::Field(field) => {
                let name = field.node.name.node.as_str();
                if !found.contains(&name) {
                    found.push(name);
                }
            }
            Selection::InlineFragment(fragment) => root_fields(document, &fragment.node.selection_set.node, found),
            Selection::FragmentSpread(spread) => {
                // The document is validated: a fragment does not spread itself, and all are there.
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    root_fields(document, &fragment.node.selection_set.node, found);
                }
            }
        }
    }
}

/// The code of an error, as one of those that there are.
pub(super) fn code_of(error: &ServerError) -> Option<&'static str> {
    use async_graphql::resolver_utils::EnumType;
    let Some(Value::String(code)) = error.extensions.as_ref().and_then(|extensions| extensions.get("code")) else {
        return None;
    };
    super::error::ErrorCode::items().iter().map(|item| item.name).find(|name| name == code)
}

/// The span of an operation of this caller.
pub(super) fn span_of(operation: &Operation, caller: &Caller) -> Span {
    let correlation_id = caller.correlation_id.as_deref();
    request_span(operation.kind(), operation.name(), caller.via.as_str(), correlation_id, caller.trace)
}

/// An operation was answered: counted, and told to who listens to every request.
pub(super) fn answered(operation: &Operation, caller: &Caller, span: &Span, answer: &Answer, begun: Instant) {
    let took = begun.elapsed();
    operation.answered(caller.via, answer.code(), took);
    let _entered = span.enter();
    tracing::debug!(
        kind = operation.kind(),
        operation = operation.name(),
        code = answer.code().unwrap_or("OK"),
        seconds = took.as_secs_f64(),
        bytes = answer.text.len(),
        "a request was answered"
    );
}

/// The answers of a subscription, counted, within its span.
pub(super) struct Watched {
    answers: Answers,
    subscribed: Subscribed,
    span: Span,
    /// Whether it has answered.
    begun: bool,
}

impl Watched {
    pub(super) fn new(answers: Answers, operation: &Operation, caller: &Caller) -> Self {
        let (subscribed, span) = (operation.subscribed(caller.via), span_of(operation, caller));
        Watched { answers, subscribed, span, begun: false }
    }
}

impl Stream for Watched {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        let watched = &mut *self;
        let _entered = watched.span.enter();
        let polled = Pin::new(&mut watched.answers).poll_next(context);
        if let Poll::Ready(Some(answer)) = &polled {
            match answer.code() {
                // The field refused to begin.
                Some(code) if !watched.begun && !answer.has_data() => watched.subscribed.refused(code),
                _ => watched.subscribed.sent(),
            }
            watched.begun = true;
        }
        polled
    }
}
