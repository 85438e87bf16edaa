//! Makes a document say everything once, and so that the validator sees all of it.
//!
//! The library runs a field as often as it stands there, and puts the answers together afterwards; by the GraphQL
//! specification, "Field Selection Merging", it is one field. And its validator passes over `__typename`: directives
//! on it are shown to it on an inline fragment instead, which means the same.

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, InlineFragment, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, ServerError};
use async_graphql_value::Value;
use std::collections::{HashMap, HashSet};

/// Tidies a parsed document; refuses what the validator would pass over.
pub(in crate::graphql) fn tidy(document: &mut ExecutableDocument) -> Result<(), ServerError> {
    match &mut document.operations {
        DocumentOperations::Single(operation) => set(&mut operation.node.selection_set.node)?,
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                set(&mut operation.node.selection_set.node)?;
            }
        }
    }
    document.fragments.values_mut().try_for_each(|fragment| set(&mut fragment.node.selection_set.node))
}

fn set(set: &mut SelectionSet) -> Result<(), ServerError> {
    let items = std::mem::take(&mut set.items);
    let mut kept: Vec<Positioned<Selection>> = Vec::with_capacity(items.len());
    // Where what was met first stands.
    let mut fields: HashMap<Name, usize> = HashMap::new();
    let mut spreads: HashSet<Name> = HashSet::new();
    for item in items {
        let Positioned { pos, node } = item;
        match node {
            Selection::Field(field) if field.node.name.node == "__typename" => {
                let selection = type_name(field)?;
                let is_plain = matches!(selection, Selection::Field(_));
                let key = match &selection {
                    Selection::Field(field) => field.node.response_key().node.clone(),
                    _ => Name::new("__typename"),
                };
                if !is_plain || !is_typename(&kept, fields.get(&key)) {
                    if is_plain {
                        fields.entry(key).or_insert(kept.len());
                    }
                    kept.push(Positioned::new(selection, pos));
                }
            }
            Selection::Field(mut field) => {
                let key = field.node.response_key().node.clone();
                let first = fields.get(&key).and_then(|at| kept.get_mut(*at));
                if let Some(Positioned { node: Selection::Field(first), .. }) = first
                    && same(&first.node, &field.node)
                {
                    first.node.selection_set.node.items.append(&mut field.node.selection_set.node.items);
                } else {
                    fields.entry(key).or_insert(kept.len());
                    kept.push(Positioned::new(Selection::Field(field), pos));
                }
            }
            Selection::FragmentSpread(spread) => {
                let is_plain = spread.node.directives.is_empty();
                if !is_plain || spreads.insert(spread.node.fragment_name.node.clone()) {
                    kept.push(Positioned::new(Selection::FragmentSpread(spread), pos));
                }
            }
            inline => kept.push(Positioned::new(inline, pos)),
        }
    }
    for selection in &mut kept {
        match &mut selection.node {
            Selection::Field(field) => self::set(&mut field.node.selection_set.node)?,
            Selection::InlineFragment(fragment) => self::set(&mut fragment.node.selection_set.node)?,
            Selection::FragmentSpread(_) => {}
        }
    }
    set.items = kept;
    Ok(())
}

fn is_typename(kept: &[Positioned<Selection>], at: Option<&usize>) -> bool {
    let first = at.and_then(|at| kept.get(*at));
    first.is_some_and(|first| matches!(&first.node, Selection::Field(field) if field.node.name.node == "__typename"))
}

/// The field, or an inline fragment that has its directives.
fn type_name(mut field: Positioned<Field>) -> Result<Selection, ServerError> {
    if let Some((name, _)) = field.node.arguments.first() {
        let message = format!("Unknown argument \"{}\" on field \"__typename\"", name.node);
        return Err(ServerError::new(message, Some(name.pos)));
    }
    if let Some(below) = field.node.selection_set.node.items.first() {
        let message = "Field \"__typename\" must not have a selection since its type \"String!\" has no subfields";
        return Err(ServerError::new(message, Some(below.pos)));
    }
    if field.node.directives.is_empty() {
        return Ok(Selection::Field(field));
    }
    let pos = field.pos;
    let directives = std::mem::take(&mut field.node.directives);
    let items = vec![Positioned::new(Selection::Field(field), pos)];
    let selection_set = Positioned::new(SelectionSet { items }, pos);
    let fragment = InlineFragment { type_condition: None, directives, selection_set };
    Ok(Selection::InlineFragment(Positioned::new(fragment, pos)))
}

/// Whether two fields of one response key are the same one. Those of which only one has fields below it are left to
/// the validator.
fn same(a: &Field, b: &Field) -> bool {
    a.name.node == b.name.node
        && a.selection_set.node.items.is_empty() == b.selection_set.node.items.is_empty()
        && same_arguments(&a.arguments, &b.arguments)
        && same_directives(&a.directives, &b.directives)
}

type Argument = (Positioned<Name>, Positioned<Value>);

fn same_arguments(a: &[Argument], b: &[Argument]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((name, value), (other, its))| name.node == other.node && value.node == its.node)
}

fn same_directives(a: &[Positioned<Directive>], b: &[Positioned<Directive>]) -> bool {
    let same = |(a, b): (&Positioned<Directive>, &Positioned<Directive>)| {
        a.node.name.node == b.node.name.node && same_arguments(&a.node.arguments, &b.node.arguments)
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    /// What a set selects, in short.
    fn shown(set: &SelectionSet) -> String {
        let one = |selection: &Positioned<Selection>| match &selection.node {
            Selection::Field(field) => {
                let below = shown(&field.node.selection_set.node);
                let below = if below.is_empty() { below } else { format!("{{{below}}}") };
                format!("{}{below}", field.node.response_key().node)
            }
            Selection::InlineFragment(fragment) => {
                let directives = fragment.node.directives.len();
                format!("..@{directives}{{{}}}", shown(&fragment.node.selection_set.node))
            }
            Selection::FragmentSpread(spread) => format!("...{}", spread.node.fragment_name.node),
        };
        set.items.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn tidied(text: &str) -> Result<String, String> {
        let mut document = parse_query(text).unwrap();
        tidy(&mut document).map_err(|error| error.message)?;
        let (_, operation) = document.operations.iter().next().unwrap();
        Ok(shown(&operation.node.selection_set.node))
    }

    #[test]
    fn what_is_asked_for_twice_is_asked_for_once() {
        for (text, once) in [
            ("{ a a a }", "a"),
            ("{ a { b } c a { d b } }", "a{b d} c"),
            ("{ a(x: 1, y: $z) { b } a(x: 1, y: $z) { b } }", "a{b}"),
            ("{ ...F b ...F } fragment F on Query { a }", "...F b"),
            ("{ __typename a __typename }", "__typename a"),
            ("{ a { b { c } } a { b { d } } }", "a{b{c d}}"),
        ] {
            assert_eq!(tidied(text).unwrap(), once, "{text}");
        }
    }

    #[test]
    fn what_differs_stays_for_the_validator_to_judge() {
        for (text, stays) in [
            ("{ a: b a: c }", "a a"),
            ("{ a(x: 1) a(x: 2) }", "a a"),
            ("{ a a { b } }", "a a{b}"),
            ("{ a @skip(if: $x) a }", "a a"),
            ("{ a: __typename a: b }", "a a"),
            ("{ a: b a: __typename }", "a a"),
        ] {
            assert_eq!(tidied(text).unwrap(), stays, "{text}");
        }
    }

    #[test]
    fn what_stands_on_typename_is_seen() {
        assert_eq!(tidied("{ __typename @skip(if: $x) a }").unwrap(), "..@1{__typename} a");
        assert!(tidied("{ __typename(a: 1) }").unwrap_err().contains("Unknown argument"));
        assert!(tidied("{ __typename { a } }").unwrap_err().contains("must not have a selection"));
    }
}
