//! Answers in the order in which they were asked for.
//!
//! By the GraphQL specification, "Serialized Map Ordering", an answer has its fields in the order of the request. The
//! library puts them in the order in which they are done, which is the same unless one has to wait for something. What
//! was written at once (`render`) is in order.

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Value};

/// Puts the fields of an answer into the order in which they are selected. Type conditions are passed over: fragments
/// on several types are taken as they stand.
pub(super) fn restore(document: &ExecutableDocument, set: &SelectionSet, value: &mut Value) {
    let mut wanted = Vec::new();
    spread(document, set, &mut wanted);
    put(document, &wanted, value);
}

/// The keys of a selection, fragments spread out, with what is selected below each.
fn spread<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet, into: &mut Vec<(&'a Name, &'a SelectionSet)>) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => {
                into.push((&field.node.response_key().node, &field.node.selection_set.node));
            }
            Selection::InlineFragment(fragment) => spread(document, &fragment.node.selection_set.node, into),
            Selection::FragmentSpread(fragment) => {
                if let Some(fragment) = document.fragments.get(&fragment.node.fragment_name.node) {
                    spread(document, &fragment.node.selection_set.node, into);
                }
            }
        }
    }
}

fn put(document: &ExecutableDocument, wanted: &[(&Name, &SelectionSet)], value: &mut Value) {
    match value {
        Value::List(items) => items.iter_mut().for_each(|item| put(document, wanted, item)),
        Value::Object(fields) => {
            if !is_in_order(wanted, fields) {
                let mut done = std::mem::take(fields);
                fields.extend(wanted.iter().filter_map(|(key, _)| done.swap_remove_entry(*key)));
            }
            let composed = fields.iter_mut().filter(|(_, field)| matches!(field, Value::Object(_) | Value::List(_)));
            for (key, field) in composed {
                // One that stands in several places has what all of them ask for.
                let mut below = Vec::new();
                wanted.iter().filter(|(known, _)| *known == key).for_each(|(_, set)| spread(document, set, &mut below));
                if !below.is_empty() {
                    put(document, &below, field);
                }
            }
        }
        _ => {}
    }
}

fn is_in_order(wanted: &[(&Name, &SelectionSet)], fields: &IndexMap<Name, Value>) -> bool {
    let mut wanted = wanted.iter();
    fields.keys().all(|key| wanted.any(|(known, _)| *known == key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use serde_json::json;

    #[test]
    fn fields_are_put_into_the_order_of_the_request() {
        let document =
            parse_query("{ a { x ...F } b: c { y } ... { a { w } d } } fragment F on T { z { v u } k }").unwrap();
        let answer = json!({
            "d": {"a": 2, "z": 1}, "b": {"y": 1},
            "a": [{"w": 1, "z": {"u": 1, "v": 2}, "x": null}, null, {"k": [1], "x": 2}],
        });
        let mut value = Value::from_json(answer.clone()).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        restore(&document, &operation.node.selection_set.node, &mut value);
        assert_eq!(
            value.to_string(),
            "{a: [{x: null, z: {v: 2, u: 1}, w: 1}, null, {x: 2, k: [1]}], b: {y: 1}, d: {a: 2, z: 1}}"
        );
        assert_eq!(value.into_json().unwrap(), answer, "nothing is lost");
    }
}
