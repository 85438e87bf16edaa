//! Documents, kept parsed and validated: for a small request these are most of the work.
//!
//! A document is bounded (`limits`) and validated once, by all rules. What depends on the request is done each time:
//! which operation is meant, whether the variables fit their types (`variables`), and putting them where they stand
//! (`binding`). Calls of tools have a shorter way (`direct`), and an answer that is known needs none (`answers`).

use super::answer::{Answer, Answers, Given};
use super::answers::{KeptAnswers, Question};
use super::direct::{Direct, DirectMutation, DirectSubscription, Plan};
use super::error::{ErrorCode, extensions};
use super::limits::budget::{Budget, Timed, timed_out};
use super::limits::cost::{Costs, OutputTypes};
use super::limits::{self, Limits, shape, text, tidy};
use super::observed::{Observed, Operations, Watched, answered, span_of};
use super::persisted::{Named, Persisted, Text, Trusted};
use super::reach::Pinned;
use super::shared::{Runnable, Shared};
use super::variables::InputTypes;
use super::{Caller, Schema, Services, binding, builder, guard, order, render};
use crate::telemetry::Operation;
use crate::telemetry::trace::TraceContext;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition};
use async_graphql::{Error, Name, Pos, Positioned, Request, Response, ServerError, ValidationMode, Value, Variables};
use futures_util::FutureExt;
use futures_util::future::{self, Either};
use futures_util::stream::{self, Stream, StreamExt};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::json;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;
use tracing::Instrument;

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
    /// The text is no GraphQL document, or the variables cannot be read.
    Syntax(Vec<ServerError>),
    /// The document does not fit the schema, names no operation that is meant, or its variables do not fit.
    Request(Vec<ServerError>),
    /// What was sent is no GraphQL request.
    Malformed(Vec<ServerError>),
    /// The document is named, and not known by that name.
    NotFound(Vec<ServerError>),
    /// The document is none of those that may run here.
    Untrusted(Vec<ServerError>),
}

impl Refused {
    /// What is wrong; each error has a code.
    pub fn errors(&self) -> &[ServerError] {
        match self {
            Refused::Syntax(errors)
            | Refused::Request(errors)
            | Refused::Malformed(errors)
            | Refused::NotFound(errors)
            | Refused::Untrusted(errors) => errors,
        }
    }
}

/// An operation that is ready to run.
pub struct Executable {
    request: Request,
    kind: Kind,
    operation: Arc<Operation>,
    /// Where it stands in a trace, where its extensions say so.
    trace: Option<TraceContext>,
    begun: Instant,
    /// The document that it is an operation of, and the name that it has there.
    kept: Arc<Kept>,
    name: Option<Box<str>>,
    /// What its answer is kept under.
    question: Question,
    /// A subscription, as it is run.
    runnable: Option<Runnable>,
}

impl Executable {
    /// What the operation does.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

/// An operation that needs neither parsing nor the library.
pub enum AtHand {
    /// A query whose answer is known.
    Answer(Answer),
    /// A mutation; nothing of it has been done.
    Mutation(DirectMutation),
    /// A subscription; it has not begun.
    Subscription(DirectSubscription),
}

/// A validated document.
pub(super) struct Kept {
    /// Its own among all documents that were ever kept.
    number: u64,
    document: ExecutableDocument,
    /// Whether its arguments are to be validated again with the variables in their places.
    mixes_variables: bool,
    /// Whether it asks for something twice under one key.
    pub(super) merges_fields: bool,
    /// How it is answered without the library, where it can be.
    plan: Option<Plan>,
    /// What its answers may cost.
    costs: Costs,
    /// As what its operations are counted.
    operations: Operations,
}

impl Kept {
    /// Puts what an operation is answered with into the order in which it asks.
    pub(super) fn order(&self, name: Option<&str>, data: &mut Value) {
        if let Ok((_, operation)) = select(&self.document, name) {
            order::restore(&self.document, &operation.node.selection_set.node, data);
        }
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<Box<str>, Arc<Kept>> for Weight {
    fn weight(&self, text: &Box<str>, _: &Arc<Kept>) -> u64 {
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
    outputs: OutputTypes,
    limits: Limits,
    shared: Arc<Shared>,
    kept: Cache<Box<str>, Arc<Kept>, Weight>,
    observed: Observed,
    numbers: AtomicU64,
    answers: KeptAnswers,
    persisted: Persisted,
}

impl Documents {
    /// For a schema and what its fields work with.
    pub fn new(services: Services) -> Self {
        let schema = super::schema(services.clone());
        let checker = builder().validation_mode(ValidationMode::Strict).extension(StopBeforeExecution).finish();
        let sdl = super::sdl();
        let (inputs, outputs) = (InputTypes::of_sdl(&sdl), OutputTypes::of_sdl(&sdl));
        let limits = services.bounds.limits.clone();
        let kept = Cache::with_weighter(KEPT_DOCUMENTS, KEPT_BYTES_MAX, Weight);
        let observed = Observed::new(services.requests.clone());
        let (numbers, answers) = (AtomicU64::new(0), KeptAnswers::new());
        let shared = Shared::new(schema.clone(), services.views.clone(), limits.clone());
        let persisted = Persisted::new();
        Documents {
            services,
            schema,
            checker,
            inputs,
            outputs,
            limits,
            shared,
            kept,
            observed,
            numbers,
            answers,
            persisted,
        }
    }

    /// With a list of documents, only those may run.
    pub fn trusting(mut self, trusted: Option<Trusted>) -> Self {
        self.persisted.trust(trusted);
        self
    }

    /// The text of the document that a request means, which it need not bring; transports ask for it first.
    ///
    /// # Errors
    /// Where the request means none, or one that is not known or may not run.
    pub fn text<'a>(&self, named: &Named<'a>) -> Result<Text<'a>, Refused> {
        self.persisted.text(named)
    }

    /// Makes an operation ready to run, or says everything that is wrong with it.
    pub async fn prepare(&self, given: &Given<'_>, caller: &Caller) -> Result<Executable, Refused> {
        let mut operation = None;
        let prepared = self.make_ready(given, &mut operation).await;
        if let Err(refused) = &prepared {
            self.observed.refused(caller, operation.as_deref(), refused.errors());
        }
        prepared
    }

    async fn make_ready(
        &self,
        given: &Given<'_>,
        observed: &mut Option<Arc<Operation>>,
    ) -> Result<Executable, Refused> {
        let begun = Instant::now();
        let text = given.query;
        let mut variables = variables_of(given)?;
        let kept = match self.kept.get(text) {
            Some(kept) => kept,
            None => {
                // Boxed, as below: what is rare must not make the future of every request large.
                let kept = Arc::new(Box::pin(self.validate(text)).await?);
                self.kept.insert(text.into(), kept.clone());
                kept
            }
        };
        let (name, operation) = select(&kept.document, given.operation_name).map_err(|error| request(vec![error]))?;
        *observed = kept.operations.named(name).cloned();
        self.inputs.check(operation, &variables).map_err(request)?;
        binding::fill_defaults(&operation.node, &mut variables);
        kept.costs.check(name, &variables, &self.limits).map_err(|error| request(vec![error]))?;
        let mut document = ExecutableDocument::clone(&kept.document);
        binding::drop_absent(&mut document, &operation.node, &variables);
        if kept.mixes_variables {
            let errors = Box::pin(self.check(document.clone(), name, variables.clone())).await;
            if !errors.is_empty() {
                return Err(request(errors));
            }
        }
        let kind = Kind::of(operation.node.ty);
        let subscription = || Runnable::of(text, &kept, &document, name, &operation.node, &variables);
        let subscription = (kind == Kind::Subscription).then(subscription);
        let operation = observed.clone().unwrap_or_else(|| self.observed.unknown());
        let trace = TraceContext::of_extensions(given.extensions);
        let question = Question::new(kept.number, given);
        let request = runnable(document, name, variables);
        let name = name.map(Into::into);
        Ok(Executable { request, kind, operation, trace, begun, kept, name, question, runnable: subscription })
    }

    async fn validate(&self, text: &str) -> Result<Kept, Refused> {
        text::check(text, &self.limits).map_err(|error| Refused::Syntax(coded(vec![error])))?;
        let mut document = parse_query(text).map_err(|error| Refused::Syntax(coded(vec![syntax(error.into())])))?;
        tidy::tidy(&mut document).map_err(|error| request(vec![error]))?;
        shape::check(&document, &self.limits).map_err(|error| request(vec![error]))?;
        // All rules look at all operations; naming one is only asked of the run that never comes.
        let name = match &document.operations {
            DocumentOperations::Single(_) => None,
            DocumentOperations::Multiple(operations) => operations.keys().next().map(Name::as_str),
        };
        let errors = self.check(document.clone(), name, Variables::default()).await;
        if !errors.is_empty() {
            return Err(request(limits::cut(errors)));
        }
        let costs = Costs::of(&document, &self.outputs, &self.limits).map_err(|error| request(vec![error]))?;
        let mixes_variables = binding::mixes_variables(&document);
        let merges_fields = render::merges_fields(&document);
        let plan = Plan::of(&document);
        let operations = self.observed.of(&document);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Ok(Kept { number, document, mixes_variables, merges_fields, plan, costs, operations })
    }

    /// What all rules of validation say; nothing is run.
    async fn check(&self, document: ExecutableDocument, name: Option<&str>, variables: Variables) -> Vec<ServerError> {
        self.checker.execute(runnable(document, name, variables)).await.errors
    }

    /// Runs a query or mutation, answering from the version that is current now.
    pub async fn execute(&self, executable: Executable, caller: &Caller) -> Answer {
        let Executable { request, kind, operation, trace, begun, kept, name, question, .. } = executable;
        let caller = &*caller.within(trace);
        let span = span_of(&operation, caller);
        let (budget, reads) = (Budget::new(&self.limits), kind == Kind::Query);
        // Before anything is looked at: what is seen by a policy that has gone is found by nobody.
        let rights = caller.rights();
        let pinned = Pinned::new(caller.seen(&self.services.views.current()), kept.merges_fields);
        let request = request.data(caller.clone()).data(pinned.clone()).data(budget.clone());
        // A defect in one field must not take the connection with it, nor what else runs on it.
        // Boxed: the library's future is of several kilobytes, and would be moved from hand to hand otherwise.
        let run = Timed::new(self.schema.execute(request), budget.clone()).instrument(span.clone());
        let run = AssertUnwindSafe(run).catch_unwind();
        let max = self.limits.execution_max;
        // What a mutation waits for has limits of its own, and what it has done is to be told.
        let run = if reads { tokio::time::timeout(max, run).await } else { Ok(run.await) };
        let mut response = match run {
            Ok(run) => run.unwrap_or_else(|_| panicked()),
            Err(_) => alone(timed_out(max, max)),
        };
        kept.order(name.as_deref(), &mut response.data);
        if reads && let Some(refusal) = budget.overdrawn() {
            response = alone(refusal);
        }
        response.errors = coded(response.errors);
        let answer = Answer::from(&response);
        answered(&operation, caller, &span, &answer, begun);
        if reads && !answer.has_errors() && pinned.sufficed() {
            self.answers.keep(question, rights, pinned.view().sequence, answer.clone());
        }
        answer
    }

    /// Runs a subscription; those that are equal share one execution. What is none is answered with nothing.
    pub fn subscribe(&self, executable: Executable, caller: &Caller) -> Answers {
        let Executable { operation, trace, runnable, .. } = executable;
        let caller = &*caller.within(trace);
        let answers = match runnable {
            Some(subscription) => self.shared.subscribe(subscription, caller),
            None => Answers::of(futures_util::stream::empty()),
        };
        answers.through(|answers| Watched::new(until_lapsed(answers, caller), &operation, caller))
    }

    /// What can be answered without the library; else nothing has been done, and `prepare` is asked. A document
    /// that is not kept goes that way once.
    pub fn at_hand(&self, given: &Given<'_>, caller: &Caller) -> Option<AtHand> {
        let kept = self.kept.get(given.query)?;
        let Some(plan) = &kept.plan else { return self.known(&kept, given, caller).map(AtHand::Answer) };
        let (name, _) = select(&kept.document, given.operation_name).ok()?;
        Some(match plan.read(given.variables, kept.operations.named(name)?)? {
            Direct::Mutation(mut mutation) => {
                mutation.trace = TraceContext::of_extensions(given.extensions);
                AtHand::Mutation(mutation)
            }
            Direct::Subscription(subscription) => AtHand::Subscription(subscription),
        })
    }

    /// The answer that is known already, counted like any other.
    fn known(&self, kept: &Kept, given: &Given<'_>, caller: &Caller) -> Option<Answer> {
        let (begun, current) = (Instant::now(), self.services.views.sequence());
        let answer = self.answers.find(kept.number, given, caller.rights(), current)?;
        let operation = kept.operations.named(given.operation_name)?;
        let caller = &*caller.within(TraceContext::of_extensions(given.extensions));
        answered(operation, caller, &span_of(operation, caller), &answer, begun);
        Some(answer)
    }

    /// Runs a mutation directly; answers what `execute` would.
    pub async fn answer(&self, direct: DirectMutation, caller: &Caller) -> Answer {
        let (begun, operation) = (Instant::now(), direct.operation.clone());
        let caller = &*caller.within(direct.trace);
        let span = span_of(&operation, caller);
        let run = direct.run(&self.services, caller).instrument(span.clone());
        let answer = AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|_| Answer::from(&panicked()));
        answered(&operation, caller, &span, &answer, begun);
        answer
    }

    /// Runs a subscription directly; answers what `subscribe` would, or why it cannot begin.
    pub fn watch(&self, direct: DirectSubscription, caller: &Caller) -> Result<Answers, ServerError> {
        let operation = direct.operation.clone();
        match direct.run(&self.services, caller) {
            Ok(answers) => {
                Ok(answers.through(|answers| Watched::new(until_lapsed(answers, caller), &operation, caller)))
            }
            Err(error) => {
                self.observed.refused(caller, Some(&operation), std::slice::from_ref(&error));
                Err(error)
            }
        }
    }
}

/// The variables as they are named; deeper ones than the reader follows are refused.
fn variables_of(given: &Given<'_>) -> Result<Variables, Refused> {
    let Some(variables) = given.variables else { return Ok(Variables::default()) };
    let read: serde_json::Result<Variables> = serde_json::from_str(variables.get());
    read.map_err(|error| {
        let error = ServerError::new(format!("variables cannot be read: {error}"), None);
        Refused::Syntax(coded(vec![error]))
    })
}

/// The answers for as long as the caller is who it was; then why it no longer is.
fn until_lapsed(answers: Answers, caller: &Caller) -> Answers {
    if !caller.visitor.may_lapse() {
        return answers;
    }
    answers.through(|answers| going_on_until(answers, caller))
}

fn going_on_until(answers: Answers, caller: &Caller) -> impl Stream<Item = Answer> + Send + use<> {
    let lapsed = caller.visitor.clone().lapsed().boxed();
    let visitor = caller.visitor.clone();
    stream::unfold(Some((answers, lapsed)), move |under_way| {
        let visitor = visitor.clone();
        async move {
            let (mut answers, mut lapsed) = under_way?;
            let next = match future::select(&mut lapsed, answers.next()).await {
                Either::Left((unknown, _)) => Err(unknown),
                Either::Right((next, _)) => visitor.is_current().map(|()| next),
            };
            match next {
                Ok(next) => next.map(|answer| (answer, Some((answers, lapsed)))),
                Err(unknown) => {
                    let error = guard::unknown(&unknown).into_server_error(async_graphql::Pos::default());
                    Some((Answer::from(&Response::from_errors(vec![error])), None))
                }
            }
        }
    })
}

pub(super) fn panicked() -> Response {
    alone(super::error::internal(&std::io::Error::other("a resolver panicked")))
}

/// An answer that is nothing but a refusal.
fn alone(error: Error) -> Response {
    let error = error.into_server_error(Pos::default());
    Response::from_errors(vec![ServerError { locations: Vec::new(), ..error }])
}

pub(super) fn runnable(document: ExecutableDocument, name: Option<&str>, variables: Variables) -> Request {
    let mut request = Request::new("").variables(variables);
    if let Some(name) = name {
        request = request.operation_name(name);
    }
    request.set_parsed_query(document);
    request
}

/// The parser draws the place under the text; here it stands in `locations`, and the message is one line.
fn syntax(mut error: ServerError) -> ServerError {
    if let Some((_, expected)) = error.message.rsplit_once("= ") {
        error.message = format!("the document cannot be read: {}", expected.trim());
    }
    error
}

fn request(errors: Vec<ServerError>) -> Refused {
    Refused::Request(coded(errors))
}

/// Errors with a code each: what the library refuses by itself is the request's fault.
pub(super) fn coded(mut errors: Vec<ServerError>) -> Vec<ServerError> {
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
