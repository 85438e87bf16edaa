//! Binding variables into a kept document's copy, before it runs.
//!
//! By the GraphQL specification, "CoerceArgumentValues": an argument or input field whose variable is not given is
//! absent, which is not the same as null; and a variable that is not given has its default. The library takes both for
//! null, which would clear what a caller never spoke of.

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::Value;
use std::collections::HashSet;

/// Adds the defaults of variables that were not given.
pub(super) fn fill_defaults(operation: &OperationDefinition, variables: &mut Variables) {
    for definition in &operation.variable_definitions {
        let name = &definition.node.name.node;
        if let Some(default) = &definition.node.default_value
            && !variables.contains_key(name)
        {
            variables.insert(name.clone(), default.node.clone());
        }
    }
}

/// Whether some argument holds a variable together with something else: then only a look with the variables in place
/// can tell whether it fits.
pub(super) fn mixes_variables(document: &ExecutableDocument) -> bool {
    let mut mixes = false;
    each_argument(&mut document.clone(), &mut |argument| {
        mixes |= !matches!(argument, Value::Variable(_)) && holds_variable(argument);
        true
    });
    mixes
}

fn holds_variable(value: &Value) -> bool {
    match value {
        Value::Variable(_) => true,
        Value::List(items) => items.iter().any(holds_variable),
        Value::Object(fields) => fields.values().any(holds_variable),
        _ => false,
    }
}

/// Takes out what stands for variables that were not given.
pub(super) fn drop_absent(document: &mut ExecutableDocument, operation: &OperationDefinition, variables: &Variables) {
    let defined = operation.variable_definitions.iter().map(|definition| &definition.node.name.node);
    let absent: HashSet<Name> = defined.filter(|name| !variables.contains_key(*name)).cloned().collect();
    if absent.is_empty() {
        return;
    }
    each_argument(document, &mut |argument| match argument {
        Value::Variable(name) => !absent.contains(name),
        other => {
            drop_within(other, &absent);
            true
        }
    });
    // Nothing uses them now, and what is defined and not used would not validate.
    for operation in operations_of(document) {
        operation.node.variable_definitions.retain(|definition| !absent.contains(&definition.node.name.node));
    }
}

fn operations_of(document: &mut ExecutableDocument) -> Vec<&mut Positioned<OperationDefinition>> {
    match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    }
}

fn drop_within(value: &mut Value, absent: &HashSet<Name>) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !matches!(field, Value::Variable(name) if absent.contains(name)));
            fields.values_mut().for_each(|field| drop_within(field, absent));
        }
        // In a list there is a place for it, and null is what stands there.
        Value::List(items) => items.iter_mut().for_each(|item| match item {
            Value::Variable(name) if absent.contains(name) => *item = Value::Null,
            item => drop_within(item, absent),
        }),
        _ => {}
    }
}

/// Shows every argument of fields and directives; those are kept for which the answer is true.
fn each_argument(document: &mut ExecutableDocument, keep: &mut impl FnMut(&mut Value) -> bool) {
    for operation in operations_of(document) {
        of_directives(&mut operation.node.directives, keep);
        of_set(&mut operation.node.selection_set.node, keep);
    }
    for fragment in document.fragments.values_mut() {
        of_directives(&mut fragment.node.directives, keep);
        of_set(&mut fragment.node.selection_set.node, keep);
    }
}

fn of_set(set: &mut SelectionSet, keep: &mut impl FnMut(&mut Value) -> bool) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) => {
                field.node.arguments.retain_mut(|(_, value)| keep(&mut value.node));
                of_directives(&mut field.node.directives, keep);
                of_set(&mut field.node.selection_set.node, keep);
            }
            Selection::InlineFragment(fragment) => {
                of_directives(&mut fragment.node.directives, keep);
                of_set(&mut fragment.node.selection_set.node, keep);
            }
            Selection::FragmentSpread(spread) => of_directives(&mut spread.node.directives, keep),
        }
    }
}

fn of_directives(directives: &mut [Positioned<Directive>], keep: &mut impl FnMut(&mut Value) -> bool) {
    for directive in directives {
        directive.node.arguments.retain_mut(|(_, value)| keep(&mut value.node));
    }
}
