//! Documents, kept parsed and validated: for a small request these are most of the work.
//!
//! A document is validated once, by all rules. What depends on the request is checked each time: which operation is
//! meant, and whether the variables fit their types (`variables`).

use super::error::{ErrorCode, extensions};
use super::variables::InputTypes;
use super::{Caller, Pinned, Schema, Services, builder};
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::{Positioned, Request, Response, ServerError, ValidationMode, Variables};
use futures_util::FutureExt;
use futures_util::stream::{BoxStream, StreamExt};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::json;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// How many bytes of kept documents there are at most, about.
const KEPT_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How many times its text a parsed document takes, about.
const PARSED_SIZE_FACTOR: u64 = 12;
/// How many documents are expected, for the size of the table alone.
const KEPT_DOCUMENTS: usize = 1_000;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    Query,
    /// Changes.
    Mutation,
    /// Watches.
    Subscription,
}

/// Why an operation cannot be run: everything that is wrong with it.
#[derive(Debug)]
pub enum Refused {
    /// The text is no GraphQL document.
    Syntax(Vec<ServerError>),
    /// The document does not fit the schema, names no operation that is meant, or its variables do not fit.
    Request(Vec<ServerError>),
}

impl Refused {
    /// What is wrong; each error has a code.
    pub fn errors(&self) -> &[ServerError] {
        match self {
            Refused::Syntax(errors) | Refused::Request(errors) => errors,
        }
    }
}

/// An operation that is ready to run.
pub struct Executable {
    request: Request,
    kind: Kind,
}

impl Executable {
    /// What the operation does.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Box<str>, Arc<ExecutableDocument>> for Weight {
    fn weight(&self, text: &Box<str>, _: &Arc<ExecutableDocument>) -> u64 {
        (text.len() as u64).saturating_mul(PARSED_SIZE_FACTOR).max(1)
    }
}

/// Takes requests from text to answer.
pub struct Documents {
    services: Services,
    schema: Schema,
    /// Validates by all rules and runs nothing.
    checker: Schema,
    inputs: InputTypes,
    kept: Cache<Box<str>, Arc<ExecutableDocument>, Weight>,
}

impl Documents {
    /// For a schema and what its fields work with.
    pub fn new(services: Services) -> Self {
        let schema = super::schema(services.clone());
        let checker = builder().validation_mode(ValidationMode::Strict).extension(StopBeforeExecution).finish();
        let inputs = InputTypes::of_sdl(&super::sdl());
        let kept = Cache::with_weighter(KEPT_DOCUMENTS, KEPT_BYTES_MAX, Weight);
        Documents { services, schema, checker, inputs, kept }
    }

    /// Makes an operation ready to run, or says everything that is wrong with it.
    pub async fn prepare(
        &self,
        text: &str,
        operation_name: Option<&str>,
        variables: Variables,
    ) -> Result<Executable, Refused> {
        let document = match self.kept.get(text) {
            Some(document) => document,
            None => {
                let document = Arc::new(self.validate(text).await?);
                self.kept.insert(text.into(), document.clone());
                document
            }
        };
        let (name, operation) = select(&document, operation_name).map_err(|error| request(vec![error]))?;
        self.inputs.check(operation, &variables).map_err(request)?;
        let kind = match operation.node.ty {
            OperationType::Query => Kind::Query,
            OperationType::Mutation => Kind::Mutation,
            OperationType::Subscription => Kind::Subscription,
        };
        let mut runnable = Request::new("").variables(variables);
        if let Some(name) = name {
            runnable = runnable.operation_name(name);
        }
        runnable.set_parsed_query(ExecutableDocument::clone(&document));
        Ok(Executable { request: runnable, kind })
    }

    async fn validate(&self, text: &str) -> Result<ExecutableDocument, Refused> {
        let document = parse_query(text).map_err(|error| Refused::Syntax(coded(vec![error.into()])))?;
        let mut checked = Request::new("");
        // All rules look at all operations; naming one is only asked of the run that never comes.
        if let DocumentOperations::Multiple(operations) = &document.operations
            && let Some(name) = operations.keys().next()
        {
            checked = checked.operation_name(name.as_str());
        }
        checked.set_parsed_query(document.clone());
        let errors = self.checker.execute(checked).await.errors;
        if errors.is_empty() { Ok(document) } else { Err(request(errors)) }
    }

    /// Runs a query or mutation, answering from the version that is current now.
    pub async fn execute(&self, executable: Executable, caller: Caller) -> Response {
        let request = executable.request.data(caller).data(Pinned(self.services.views.current()));
        // A defect in one field must not take the connection with it, nor what else runs on it.
        let run = AssertUnwindSafe(self.schema.execute(request)).catch_unwind().await;
        let mut response = run.unwrap_or_else(|_| {
            let error = super::error::internal(&std::io::Error::other("a resolver panicked"));
            Response::from_errors(vec![error.into_server_error(async_graphql::Pos::default())])
        });
        response.errors = coded(response.errors);
        response
    }

    /// Runs a subscription.
    pub fn subscribe(&self, executable: Executable, caller: Caller) -> BoxStream<'static, Response> {
        let request = executable.request.data(caller).data(Pinned(self.services.views.current()));
        self.schema
            .execute_stream(request)
            .map(|mut response| {
                response.errors = coded(response.errors);
                response
            })
            .boxed()
    }
}

fn request(errors: Vec<ServerError>) -> Refused {
    Refused::Request(coded(errors))
}

/// Errors with a code each: what the library refuses by itself is the request's fault.
fn coded(mut errors: Vec<ServerError>) -> Vec<ServerError> {
    for error in &mut errors {
        let has_code = error.extensions.as_ref().is_some_and(|extensions| extensions.get("code").is_some());
        if !has_code {
            error.extensions = Some(extensions(ErrorCode::InvalidArgument, json!({})));
        }
    }
    errors
}

type Selected<'a> = (Option<&'a str>, &'a Positioned<OperationDefinition>);

fn select<'a>(document: &'a ExecutableDocument, name: Option<&'a str>) -> Result<Selected<'a>, ServerError> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok((None, operation)),
        (DocumentOperations::Multiple(operations), Some(name)) => match operations.get(name) {
            Some(operation) => Ok((Some(name), operation)),
            None => Err(ServerError::new(format!("the document has no operation named {name:?}"), None)),
        },
        (DocumentOperations::Single(_), Some(name)) => {
            Err(ServerError::new(format!("the document has no operation named {name:?}"), None))
        }
        (DocumentOperations::Multiple(operations), None) => {
            let mut all = operations.iter();
            match (all.next(), all.next()) {
                (Some((name, operation)), None) => Ok((Some(name.as_str()), operation)),
                _ => {
                    let reason = "the document has several operations: operationName says which one is meant";
                    Err(ServerError::new(reason, None))
                }
            }
        }
    }
}

/// Answers every validated request with nothing. It is on the checking schema only: an extension on the serving one
/// would make every field slower.
struct StopBeforeExecution;

impl ExtensionFactory for StopBeforeExecution {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(StopBeforeExecution)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for StopBeforeExecution {
    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::default()
    }
}
