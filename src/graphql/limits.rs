//! Bounds on a document, looked at before the library looks at it: its parser and validator recurse and expand
//! without bounds of their own.

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Pos, ServerError};
use std::collections::{HashMap, HashSet};

/// How deep brackets of any kind nest in a document.
const NESTING_MAX: usize = 64;
/// How many fields a document selects, those of a fragment counted wherever it is spread.
const FIELDS_MAX: u64 = 5_000;

/// Refuses text that nests too deep to be parsed by recursion.
pub(super) fn check_nesting(text: &str) -> Result<(), ServerError> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > NESTING_MAX {
                    let message = format!("the document nests deeper than {NESTING_MAX} levels");
                    return Err(ServerError::new(message, Some(place(text, at))));
                }
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => at += bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len() - at),
            b'"' => at = end_of_string(bytes, at),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Where the string that begins here ends; the end of the text where it does not.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let block = bytes[start..].starts_with(b"\"\"\"");
    let mut at = start + if block { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if block && bytes[at..].starts_with(b"\\\"\"\"") => at += 3,
            b'\\' if !block => at += 1,
            b'"' if block && bytes[at..].starts_with(b"\"\"\"") => return at + 2,
            b'"' if !block => return at,
            b'\n' if !block => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn place(text: &str, at: usize) -> Pos {
    let before = &text.as_bytes()[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = at - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1) + 1;
    Pos { line, column }
}

/// Refuses fragments that spread themselves, and a document that is far larger spread out than written down.
pub(super) fn check_expansion(document: &ExecutableDocument) -> Result<(), ServerError> {
    let mut sizes = Sizes { document, known: HashMap::new(), open: HashSet::new() };
    let sets: Vec<&SelectionSet> = match &document.operations {
        DocumentOperations::Single(operation) => vec![&operation.node.selection_set.node],
        DocumentOperations::Multiple(operations) => {
            operations.values().map(|operation| &operation.node.selection_set.node).collect()
        }
    };
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    let mut total = 0_u64;
    for set in sets.into_iter().chain(fragments) {
        total = total.saturating_add(sizes.of(set)?);
        if total > FIELDS_MAX {
            let message = format!("the document selects more than {FIELDS_MAX} fields, fragments spread out");
            return Err(ServerError::new(message, None));
        }
    }
    Ok(())
}

/// How many fields selections have, spread out; each fragment is counted once.
struct Sizes<'a> {
    document: &'a ExecutableDocument,
    known: HashMap<&'a Name, u64>,
    open: HashSet<&'a Name>,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, set: &'a SelectionSet) -> Result<u64, ServerError> {
        let mut size = 0_u64;
        for selection in &set.items {
            size = size.saturating_add(match &selection.node {
                Selection::Field(field) => self.of(&field.node.selection_set.node)?.saturating_add(1),
                Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.of_fragment(&spread.node.fragment_name.node)?,
            });
        }
        Ok(size)
    }

    fn of_fragment(&mut self, name: &'a Name) -> Result<u64, ServerError> {
        if let Some(size) = self.known.get(name) {
            return Ok(*size);
        }
        // One that is not there is for the validator to name.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(0) };
        if !self.open.insert(name) {
            return Err(ServerError::new(format!("the fragment {name} spreads itself"), Some(fragment.pos)));
        }
        let size = self.of(&fragment.node.selection_set.node)?;
        self.open.remove(name);
        self.known.insert(name, size);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    #[test]
    fn brackets_count_only_where_they_are_syntax() {
        let deep = "[".repeat(100);
        assert!(check_nesting(&format!("{{ a(b: {deep}) }}")).is_err());
        assert!(check_nesting(&"{a".repeat(100)).is_err());
        for harmless in [
            format!("{{ a(b: \"{deep}\") }}"),
            format!("{{ a(b: \"\\\"{deep}\") }}"),
            format!("{{ a(b: \"\"\"{deep} \\\"\"\" {deep}\"\"\") }}"),
            format!("# {deep}\n{{ a }}"),
            "{ a(b: []) }".repeat(100),
        ] {
            assert_eq!(check_nesting(&harmless).map_err(|error| error.message), Ok(()), "{harmless}");
        }
    }

    #[test]
    fn fragments_that_multiply_are_counted_without_being_spread() {
        let mut text = "{ ...F0 }".to_owned();
        for level in 0..60 {
            text.push_str(&format!(" fragment F{level} on Query {{ ...F{0} ...F{0} }}", level + 1));
        }
        text.push_str(" fragment F60 on Query { a }");
        assert!(check_expansion(&parse_query(&text).unwrap()).unwrap_err().message.contains("5000 fields"));
        let cycle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        assert!(check_expansion(&parse_query(cycle).unwrap()).unwrap_err().message.contains("spreads itself"));
        assert!(check_expansion(&parse_query("{ a { b } ...A } fragment A on Query { c }").unwrap()).is_ok());
    }
}
