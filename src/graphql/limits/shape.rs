//! Bounds on what a document asks for, counted before validation. Each fragment is counted once, however often it is
//! spread: thirty that each spread the next twice are a thousand million fields, and thirty counts.

use super::super::error::ErrorCode;
use super::{Limits, NESTING_MAX, exceeded};
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Pos, Positioned, ServerError};
use std::collections::{HashMap, HashSet};

/// Refuses a document that asks for more than it may, and fragments that spread themselves.
pub(in crate::graphql) fn check(document: &ExecutableDocument, limits: &Limits) -> Result<(), ServerError> {
    let mut sizes = Sizes { document, limits, known: HashMap::new(), open: HashSet::new() };
    let mut whole = Size::default();
    for (_, operation) in document.operations.iter() {
        let mut size = sizes.of(&operation.node.selection_set.node, 1)?;
        size.directives = size.directives.saturating_add(operation.node.directives.len() as u64);
        for variable in &operation.node.variable_definitions {
            size.directives = size.directives.saturating_add(variable.node.directives.len() as u64);
        }
        whole = whole.or(size);
    }
    // Those that nobody spreads are validated, too.
    let mut apart = Size::default();
    for (name, fragment) in &document.fragments {
        let mut size = sizes.of_fragment(name, 1)?;
        size.directives = size.directives.saturating_add(fragment.node.directives.len() as u64);
        apart = apart.or(size);
    }
    within(&whole, limits)?;
    within(&Size { root_fields: 0, ..apart }, limits)
}

fn within(size: &Size, limits: &Limits) -> Result<(), ServerError> {
    for (limit, found, max, what) in [
        ("depth_max", size.depth, limits.depth_max, "nests fields too deep: the deepest stands at level"),
        ("selections_max", size.selections, limits.selections_max, "asks for too much: fields and fragments number"),
        ("root_fields_max", size.root_fields, limits.root_fields_max, "has too many root fields:"),
        ("aliases_max", size.aliases, limits.aliases_max, "has too many aliases:"),
        ("directives_max", size.directives, limits.directives_max, "has too many directives:"),
    ] {
        if found > max {
            let spread = if limit == "root_fields_max" { "" } else { ", fragments spread out" };
            let message = format!(
                "the document {what} {found}{spread}; the most is {max} (limits.{limit}): ask for less, or in several \
                 requests"
            );
            return Err(exceeded(ErrorCode::InvalidArgument, limit, max, found, message, None));
        }
    }
    Ok(())
}

/// What selections ask for, fragments spread out.
#[derive(Clone, Copy, Default)]
struct Size {
    selections: u64,
    root_fields: u64,
    aliases: u64,
    directives: u64,
    /// How deep fields nest.
    depth: u64,
    /// How deep selections nest.
    levels: u64,
}

impl Size {
    /// This and that beside it.
    fn and(self, other: Size) -> Size {
        Size { root_fields: self.root_fields.saturating_add(other.root_fields), ..self.or(other) }
    }

    /// This and that of another operation.
    fn or(self, other: Size) -> Size {
        Size {
            selections: self.selections.saturating_add(other.selections),
            root_fields: self.root_fields.max(other.root_fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            levels: self.levels.max(other.levels),
        }
    }
}

struct Sizes<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    known: HashMap<&'a Name, Size>,
    open: HashSet<&'a Name>,
}

impl<'a> Sizes<'a> {
    /// The size of selections at a level, which is 1 at the root.
    fn of(&mut self, set: &'a SelectionSet, level: u64) -> Result<Size, ServerError> {
        let mut whole = Size::default();
        for selection in &set.items {
            if level > NESTING_MAX {
                return Err(too_deep(selection.pos));
            }
            let size = match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    if !self.limits.introspection && matches!(field.name.node.as_str(), "__schema" | "__type") {
                        return Err(no_introspection(field.name.pos));
                    }
                    let below = self.of(&field.selection_set.node, level + 1)?;
                    let aliases = below.aliases.saturating_add(u64::from(field.alias.is_some()));
                    Size { root_fields: 1, aliases, depth: below.depth + 1, ..below }
                }
                Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node, level + 1)?,
                Selection::FragmentSpread(spread) => {
                    let size = self.of_fragment(&spread.node.fragment_name.node, level + 1)?;
                    // One that was counted elsewhere may be spread deeper here.
                    if level + size.levels > NESTING_MAX {
                        return Err(too_deep(selection.pos));
                    }
                    size
                }
            };
            whole = whole.and(Size {
                selections: size.selections.saturating_add(1),
                directives: size.directives.saturating_add(selection.node.directives().len() as u64),
                levels: size.levels + 1,
                ..size
            });
        }
        Ok(whole)
    }

    fn of_fragment(&mut self, name: &'a Name, level: u64) -> Result<Size, ServerError> {
        if let Some(size) = self.known.get(name) {
            return Ok(*size);
        }
        // One that is not there is for the validator to name.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Size::default()) };
        if !self.open.insert(name) {
            return Err(ServerError::new(format!("the fragment {name} spreads itself"), Some(fragment.pos)));
        }
        let Positioned { node: set, .. } = &fragment.node.selection_set;
        let size = self.of(set, level)?;
        self.open.remove(name);
        self.known.insert(name, size);
        Ok(size)
    }
}

fn too_deep(at: Pos) -> ServerError {
    let message = format!("the document nests deeper than {NESTING_MAX} levels, fragments spread out: nest less");
    exceeded(ErrorCode::InvalidArgument, "nesting", NESTING_MAX, NESTING_MAX + 1, message, Some(at))
}

fn no_introspection(at: Pos) -> ServerError {
    let message = "this registry does not answer questions about its schema (limits.introspection): \"onex schema\" \
                   prints it";
    exceeded(ErrorCode::InvalidArgument, "introspection", 0, 1, message, Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    fn refused(text: &str, limits: &Limits) -> Option<String> {
        check(&parse_query(text).unwrap(), limits).err().map(|error| error.message)
    }

    #[test]
    fn fragments_that_multiply_are_counted_without_being_spread() {
        let mut text = "{ ...F0 }".to_owned();
        for level in 0..30 {
            text.push_str(&format!(" fragment F{level} on Query {{ ...F{0} ...F{0} }}", level + 1));
        }
        text.push_str(" fragment F30 on Query { a }");
        assert!(refused(&text, &Limits::default()).unwrap().contains("limits.selections_max"));
        let cycle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        assert!(refused(cycle, &Limits::default()).unwrap().contains("spreads itself"));
        assert_eq!(refused("{ a { b } ...A } fragment A on Query { c }", &Limits::default()), None);
    }

    #[test]
    fn a_chain_of_fragments_nests_as_brackets_do() {
        let chain = |length: usize| {
            let mut text = "{ ...F0 }".to_owned();
            for level in 0..length {
                text.push_str(&format!(" fragment F{level} on Query {{ ...F{} }}", level + 1));
            }
            format!("{text} fragment F{length} on Query {{ a }}")
        };
        assert_eq!(refused(&chain(62), &Limits::default()), None);
        assert!(refused(&chain(63), &Limits::default()).unwrap().contains("deeper than 64"));
        assert!(refused(&chain(1_500), &Limits::default()).unwrap().contains("deeper than 64"));
    }

    #[test]
    fn what_fragments_hold_counts_wherever_they_are_spread() {
        let text = "{ ...F ...F x { ...F } } fragment F on Query { a: b @skip(if: true) { c } }";
        let size = |limits: Limits| refused(text, &limits);
        // Three spreads of two fields each, and one field beside them.
        assert_eq!(size(Limits { selections_max: 10, ..Limits::default() }), None);
        assert!(size(Limits { selections_max: 9, ..Limits::default() }).unwrap().contains("number 10"));
        assert!(size(Limits { aliases_max: 2, ..Limits::default() }).unwrap().contains("3, fragments spread out"));
        assert!(size(Limits { directives_max: 2, ..Limits::default() }).unwrap().contains("limits.directives_max"));
        assert!(size(Limits { depth_max: 2, ..Limits::default() }).unwrap().contains("level 3"));
        assert!(size(Limits { root_fields_max: 2, ..Limits::default() }).unwrap().contains("root fields: 3;"));
    }
}
