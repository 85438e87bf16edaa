//! Calls of tools, answered without the library's executor.
//!
//! A tool call is three operations of one field each, sent again and again with other variables; for these the
//! executor's work is most of the work. What they ask for is found once, when the document is validated (`Plan`); the
//! variables are read straight into the inputs that the resolvers take, the resolvers' own functions are called, and
//! their answers written as text. It reads, and where anything is unlike what it knows, nothing has been done, and the
//! library is asked: so it refuses nothing by itself, and every refusal has the library's words.

use super::answer::{Answer, Answers};
use super::mutation::calls::{complete, invoke};
use super::subscription::calls::{ToolCall, listen};
use super::types::invocation::Invocation;
use super::types::invoke::{CompleteInvocationInput, ProxyInvokeInput};
use super::{Caller, Services, render};
use crate::telemetry::Operation;
use crate::telemetry::trace::TraceContext;
use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Error, Name, PathSegment, Pos, Positioned, Response, Result, ServerError};
use async_graphql_value::Value;
use futures_util::stream::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// Writes one field of an object.
pub(super) type Writer<T> = Box<dyn Fn(&T, &mut Vec<u8>) + Send + Sync>;

/// An object that can be written without the library.
pub(super) trait Written: Sized + 'static {
    /// How a field is written, with what is selected below it; `None` for fields that are left to the library.
    fn writer(field: &str, below: &SelectionSet) -> Option<Writer<Self>>;
}

/// Writes a field's value.
pub(super) fn put(out: &mut Vec<u8>, value: impl Serialize) {
    let _ = render::put(out, value);
}

/// Fields of an object, in the order in which they are asked for.
pub(super) struct Fields<T>(Vec<(String, Writer<T>)>);

impl<T: Written> Fields<T> {
    /// `None` where one is not known here, or stands there twice.
    pub(super) fn of(set: &SelectionSet) -> Option<Self> {
        let mut fields: Vec<(String, Writer<T>)> = Vec::new();
        for selection in &set.items {
            let field = plain(selection)?;
            let name = field.node.name.node.as_str();
            if !field.node.arguments.is_empty() || fields.iter().any(|(known, _)| known == name) {
                return None;
            }
            fields.push((name.to_owned(), T::writer(name, &field.node.selection_set.node)?));
        }
        Some(Fields(fields))
    }

    pub(super) fn write(&self, of: &T, out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (name, write)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            render::put_key(out, name);
            write(of, out);
        }
        out.push(b'}');
    }

    /// A whole answer with this object under the root field's name.
    fn answer(&self, root: &str, of: &T) -> Answer {
        let mut out = br#"{"data":{"#.to_vec();
        render::put_key(&mut out, root);
        self.write(of, &mut out);
        out.extend_from_slice(b"}}");
        Answer::of_text(out)
    }
}

/// A field of its own name that is always asked for.
fn plain(selection: &Positioned<Selection>) -> Option<&Positioned<Field>> {
    match &selection.node {
        Selection::Field(field) if field.node.alias.is_none() && field.node.directives.is_empty() => Some(field),
        _ => None,
    }
}

/// How the operation of a validated document is answered directly.
#[derive(Clone)]
pub(super) enum Plan {
    Mutation(Arc<MutationPlan>),
    Subscription(Arc<SubscriptionPlan>),
}

pub(super) struct MutationPlan {
    root: Root,
    /// Where the root field stands, for errors.
    at: Pos,
    /// The variable that is its input.
    input: Name,
    fields: Fields<Invocation>,
}

pub(super) struct SubscriptionPlan {
    at: Pos,
    /// The variable that names the node.
    node: Name,
    /// The variable that says how many calls at once.
    room: Option<Name>,
    fields: Fields<ToolCall>,
}

#[derive(Clone, Copy)]
enum Root {
    Invoke,
    Complete,
}

impl Root {
    fn name(self) -> &'static str {
        match self {
            Root::Invoke => "proxyInvoke",
            Root::Complete => "completeInvocation",
        }
    }
}

/// The field of the calls that a provider is to answer.
const TOOL_CALLS: &str = "toolCalls";

impl Plan {
    /// `None` where the document has more than one operation of one known field, whose arguments are variables.
    pub(super) fn of(document: &ExecutableDocument) -> Option<Plan> {
        let mut operations = document.operations.iter();
        let (Some((_, operation)), None) = (operations.next(), operations.next()) else { return None };
        let operation = &operation.node;
        let [root] = &*operation.selection_set.node.items else { return None };
        let root = plain(root)?;
        let (at, arguments) = (root.pos, root.node.arguments.len());
        let left_over = operation.variable_definitions.len() != arguments;
        if left_over || !operation.directives.is_empty() || !document.fragments.is_empty() {
            return None;
        }
        let takes = |argument, ty| variable(operation, &root.node, argument, ty);
        let below = &root.node.selection_set.node;
        let mutation = |root, ty| {
            Some(Plan::Mutation(Arc::new(MutationPlan {
                root,
                at,
                input: takes("input", ty)?,
                fields: Fields::of(below)?,
            })))
        };
        match (operation.ty, root.node.name.node.as_str()) {
            (OperationType::Mutation, "proxyInvoke") => mutation(Root::Invoke, "ProxyInvokeInput!"),
            (OperationType::Mutation, "completeInvocation") => mutation(Root::Complete, "CompleteInvocationInput!"),
            (OperationType::Subscription, TOOL_CALLS) => {
                let room = if arguments > 1 { Some(takes("maxInFlight", "Int")?) } else { None };
                let plan = SubscriptionPlan { at, node: takes("nodeId", "UUID!")?, room, fields: Fields::of(below)? };
                Some(Plan::Subscription(Arc::new(plan)))
            }
            _ => None,
        }
    }

    /// The operation with its variables; `None` where the library has to look at them.
    pub(super) fn read(&self, variables: Option<&RawValue>, operation: &Arc<Operation>) -> Option<Direct> {
        let operation = operation.clone();
        let mut given: BTreeMap<&str, &RawValue> = serde_json::from_str(variables?.get()).ok()?;
        let direct = match self {
            Plan::Mutation(plan) => {
                let input = given.remove(plan.input.as_str())?;
                let input = match plan.root {
                    Root::Invoke => Input::Invoke(object(input)?),
                    Root::Complete => Input::Complete(object(input)?),
                };
                Direct::Mutation(DirectMutation { plan: plan.clone(), input, operation, trace: None })
            }
            Plan::Subscription(plan) => {
                let node = serde_json::from_str(given.remove(plan.node.as_str())?.get()).ok()?;
                let room = plan.room.as_ref().and_then(|room| given.remove(room.as_str()));
                let room = room.map_or(Ok(None), |room| serde_json::from_str(room.get())).ok()?;
                Direct::Subscription(DirectSubscription { plan: plan.clone(), node, room, operation })
            }
        };
        given.is_empty().then_some(direct)
    }
}

/// The variable of this type that stands for an argument.
fn variable(operation: &OperationDefinition, root: &Field, argument: &str, ty: &str) -> Option<Name> {
    let Value::Variable(name) = &root.get_argument(argument)?.node else { return None };
    let mut definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
    let definition = definitions.find(|definition| definition.name.node == *name)?;
    let fits = definition.var_type.node.to_string() == ty
        && definition.default_value.is_none()
        && definition.directives.is_empty();
    fits.then(|| name.clone())
}

/// An input that is given as an object; a list would be read, too.
fn object<T: DeserializeOwned>(given: &RawValue) -> Option<T> {
    given.get().starts_with('{').then(|| serde_json::from_str(given.get()).ok()).flatten()
}

/// An operation that was read, and of which nothing has been done.
pub(super) enum Direct {
    /// A mutation.
    Mutation(DirectMutation),
    /// A subscription.
    Subscription(DirectSubscription),
}

/// A mutation that is answered directly.
pub struct DirectMutation {
    plan: Arc<MutationPlan>,
    input: Input,
    /// As what it is counted.
    pub(super) operation: Arc<Operation>,
    /// Where it stands in a trace, where its extensions say so.
    pub(super) trace: Option<TraceContext>,
}

enum Input {
    Invoke(Box<ProxyInvokeInput>),
    Complete(Box<CompleteInvocationInput>),
}

impl DirectMutation {
    /// The whole answer.
    pub(super) async fn run(self, services: &Services, caller: &Caller) -> Answer {
        let root = self.plan.root.name();
        let done = match self.input {
            Input::Invoke(input) => invoke(services, caller, input).await,
            Input::Complete(input) => complete(services, caller, *input).await,
        };
        match done {
            Ok(invocation) => self.plan.fields.answer(root, &invocation),
            Err(error) => Answer::from(&Response::from_errors(vec![placed(error, root, self.plan.at)])),
        }
    }
}

/// A subscription that is answered directly.
pub struct DirectSubscription {
    plan: Arc<SubscriptionPlan>,
    node: Uuid,
    room: Option<i32>,
    /// As what it is counted.
    pub(super) operation: Arc<Operation>,
}

impl DirectSubscription {
    /// Its answers.
    pub(super) fn run(self, services: &Services, caller: &Caller) -> Result<Answers, ServerError> {
        let DirectSubscription { plan, node, room, .. } = self;
        let calls = listen(services, caller, node, room).map_err(|error| placed(error, TOOL_CALLS, plan.at))?;
        Ok(Answers::of(calls.map(move |call| plan.fields.answer(TOOL_CALLS, &call))))
    }
}

/// An error of a root field, with its place as the library gives it.
fn placed(error: Error, root: &str, at: Pos) -> ServerError {
    ServerError { path: vec![PathSegment::Field(root.to_owned())], ..error.into_server_error(at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    const INVOKE: &str = "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { id status result } }";

    fn plan(document: &str) -> Option<Plan> {
        Plan::of(&parse_query(document).unwrap())
    }

    fn read(document: &str, variables: &str) -> bool {
        let variables: &RawValue = serde_json::from_str(variables).unwrap();
        let operation = Arc::new(crate::telemetry::Requests::default().operation("mutation", "a"));
        plan(document).unwrap().read(Some(variables), &operation).is_some()
    }

    #[test]
    fn what_callers_and_providers_send_is_answered_directly() {
        for document in [
            INVOKE,
            "mutation Call($i: ProxyInvokeInput!) { proxyInvoke(input: $i) { id toolName toolVersion caller
                correlationId
                status arguments result warnings requestedAt completedAt durationMs timeoutMs deadline dryRun
                idempotencyKey traceLogId executionLogUrl error { code type message details retryable } } }",
            "mutation($input: CompleteInvocationInput!) { completeInvocation(input: $input) { status } }",
            "subscription($node: UUID!) { toolCalls(nodeId: $node) { invocationId tool version arguments caller
                correlationId deadline timeoutMs attempt } }",
            "subscription($node: UUID!, $max: Int) { toolCalls(nodeId: $node, maxInFlight: $max) { invocationId } }",
        ] {
            assert!(plan(document).is_some(), "{document}");
        }
    }

    #[test]
    fn any_other_document_is_left_to_the_library() {
        for document in [
            "{ registry { sequence } }",
            "mutation($input: ProxyInvokeInput!) { call: proxyInvoke(input: $input) { id } }",
            "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { call: id } }",
            "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { id id } }",
            "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { __typename } }",
            "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { provider { name } } }",
            "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { error { __typename } } }",
            "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { ... { id } } }",
            "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { id @skip(if: false) } }",
            "mutation($input: ProxyInvokeInput!) { proxyInvoke(input: $input) { ...F } }
                fragment F on Invocation { id }",
            "mutation($input: ProxyInvokeInput! = {tool: \"a\", arguments: 1}) { proxyInvoke(input: $input) { id } }",
            "mutation($a: JSON!) { proxyInvoke(input: {tool: \"a\", arguments: $a}) { id } }",
            "mutation($a: ProxyInvokeInput!, $b: ProxyInvokeInput!) { proxyInvoke(input: $a) { id }
                b: proxyInvoke(input: $b) { id } }",
            "mutation A($i: ProxyInvokeInput!) { proxyInvoke(input: $i) { id } } query B { registry { sequence } }",
            "subscription($node: UUID!, $max: Int!) { toolCalls(nodeId: $node, maxInFlight: $max) { tool } }",
            "subscription($node: UUID!) { toolCalls(nodeId: $node, maxInFlight: 1) { tool } }",
        ] {
            assert!(plan(document).is_none(), "{document}");
        }
    }

    #[test]
    fn variables_that_the_library_would_refuse_are_left_to_it() {
        const COMPLETE: &str =
            "mutation($input: CompleteInvocationInput!) { completeInvocation(input: $input) { status } }";
        const CALLS: &str = "subscription($n: UUID!, $m: Int) { toolCalls(nodeId: $n, maxInFlight: $m) { tool } }";
        let id = "\"00000000-0000-4000-8000-000000000000\"";
        for (document, variables, is_read) in [
            (
                INVOKE,
                r#"{"input": {"tool": "a", "arguments": {"b": [1.5, null]}, "timeoutMs": 5, "version": null}}"#,
                true,
            ),
            (INVOKE, r#"{"input": {"tool": "a", "arguments": 1, "policy": "ROUND_ROBIN", "trustedOnly": true}}"#, true),
            (INVOKE, r#"{"input": {"tool": "a", "arguments": 1, "policy": {"FIRST": null}}}"#, false),
            (INVOKE, r#"{"input": {"tool": "a", "arguments": 1, "policy": "NONE"}}"#, false),
            (INVOKE, r#"{"input": {"tool": "a", "arguments": 1}, "more": 1}"#, false),
            (INVOKE, r#"{"input": {"tool": "a", "arguments": 1, "more": 1}}"#, false),
            (INVOKE, r#"{"input": {"tool": "a", "arguments": null}}"#, false),
            (INVOKE, r#"{"input": {"tool": "a"}}"#, false),
            (INVOKE, r#"{"input": {"tool": "a", "tool": "b", "arguments": 1}}"#, false),
            (INVOKE, r#"{"input": {"tool": 1, "arguments": 1}}"#, false),
            (INVOKE, r#"{"input": {"tool": "a", "arguments": 1, "timeoutMs": 5.0}}"#, false),
            (INVOKE, r#"{"input": {"tool": "a", "arguments": 1, "timeoutMs": 2147483648}}"#, false),
            (INVOKE, r#"{"input": {"tool": "a", "arguments": 1, "nodeId": "b"}}"#, false),
            (INVOKE, r#"{"input": ["a", "1", {}]}"#, false),
            (INVOKE, r#"{"input": null}"#, false),
            (INVOKE, "{}", false),
            (COMPLETE, &format!(r#"{{"input": {{"invocationId": {id}, "result": null}}}}"#), true),
            (COMPLETE, &format!(r#"{{"input": {{"invocationId": {id}, "error": {{"message": "no"}}}}}}"#), false),
            (COMPLETE, r#"{"input": {"result": 1}}"#, false),
            (CALLS, &format!(r#"{{"n": {id}}}"#), true),
            (CALLS, &format!(r#"{{"n": {id}, "m": null}}"#), true),
            (CALLS, &format!(r#"{{"n": {id}, "m": 5}}"#), true),
            (CALLS, &format!(r#"{{"n": {id}, "m": "5"}}"#), false),
            (CALLS, r#"{"n": "b"}"#, false),
        ] {
            assert_eq!(read(document, variables), is_read, "{variables}");
        }
    }
}
