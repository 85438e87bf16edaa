//! How an operation gets from its text to its answers.

use super::operations::Ready;
use super::protocol::Operation;
use crate::graphql::error::{ErrorCode, extensions};
use crate::graphql::{Answer, Answers, AtHand, Caller, Documents, Given, Kind};
use async_graphql::ServerError;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinHandle;

/// What came of an operation that was begun.
pub(super) enum Begun {
    /// It is answered once. What it holds besides counts its bytes until they are written.
    Answer(Answer, Option<Held>),
    /// It is answered again and again.
    Answers(Answers),
    /// It cannot run.
    Refused(Vec<ServerError>),
}

/// Begins an operation. What is quick is done when the future is first looked at; what may compute for long runs in a
/// task of its own, which ends when the future is dropped.
pub(super) fn begin(
    documents: &Arc<Documents>,
    caller: &Caller,
    operation: Operation<'_>,
    ready: &Arc<Ready>,
) -> BoxFuture<'static, Begun> {
    let text = match documents.text(&operation.named()) {
        Ok(text) => text,
        Err(refused) => return std::future::ready(Begun::Refused(refused.errors().to_vec())).boxed(),
    };
    let at_hand = documents.at_hand(&operation.given(&text), caller);
    let (documents, caller) = (documents.clone(), caller.clone());
    match at_hand {
        Some(AtHand::Answer(answer)) => std::future::ready(Begun::Answer(answer, None)).boxed(),
        Some(AtHand::Mutation(mutation)) => {
            async move { Begun::Answer(documents.answer(mutation, &caller).await, None) }.boxed()
        }
        Some(AtHand::Subscription(subscription)) => {
            let begun = match documents.watch(subscription, &caller) {
                Ok(answers) => Begun::Answers(answers),
                Err(error) => Begun::Refused(vec![error]),
            };
            std::future::ready(begun).boxed()
        }
        None => {
            let (operation, ready) = (Owned::of(&operation, &text), ready.clone());
            let task = Task(tokio::spawn(async move { run(&documents, &caller, operation, ready).await }));
            async move { task.outcome().await }.boxed()
        }
    }
}

async fn run(documents: &Documents, caller: &Caller, operation: Owned, ready: Arc<Ready>) -> Begun {
    let executable = match documents.prepare(&operation.given(), caller).await {
        Ok(executable) => executable,
        Err(refused) => return Begun::Refused(refused.errors().to_vec()),
    };
    if executable.kind() == Kind::Subscription {
        return Begun::Answers(documents.subscribe(executable, caller));
    }
    let answer = documents.execute(executable, caller).await;
    let held = Held::of(&answer, ready);
    Begun::Answer(answer, Some(held))
}

/// An operation that outlives the frame it came in.
struct Owned {
    query: String,
    operation_name: Option<String>,
    variables: Option<Box<RawValue>>,
    extensions: Option<Box<RawValue>>,
}

impl Owned {
    fn of(operation: &Operation<'_>, text: &str) -> Self {
        Owned {
            query: text.to_owned(),
            operation_name: operation.operation_name.as_deref().map(str::to_owned),
            variables: operation.variables.map(RawValue::to_owned),
            extensions: operation.extensions.map(RawValue::to_owned),
        }
    }

    fn given(&self) -> Given<'_> {
        Given {
            query: &self.query,
            operation_name: self.operation_name.as_deref(),
            variables: self.variables.as_deref(),
            extensions: self.extensions.as_deref(),
        }
    }
}

/// A task that ends when nobody waits for it any more.
struct Task(JoinHandle<Begun>);

impl Task {
    async fn outcome(mut self) -> Begun {
        match (&mut self.0).await {
            Ok(begun) => begun,
            Err(_) => {
                let extensions = extensions(ErrorCode::Internal, json!({}));
                let error = ServerError::new("the registry failed; its log has the details", None);
                Begun::Refused(vec![ServerError { extensions: Some(extensions), ..error }])
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Bytes of an answer that waits for the socket.
pub(super) struct Held {
    bytes: usize,
    ready: Arc<Ready>,
}

impl Held {
    fn of(answer: &Answer, ready: Arc<Ready>) -> Self {
        let bytes = answer.text.len();
        ready.held.fetch_add(bytes, Ordering::Relaxed);
        Held { bytes, ready }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ready.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
