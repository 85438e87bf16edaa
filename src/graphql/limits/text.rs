//! Bounds on a document as text: its size, its tokens, and how deep its brackets nest.

use super::super::error::ErrorCode;
use super::{Limits, NESTING_MAX, exceeded};
use async_graphql::{Pos, ServerError};

/// Refuses text that is too long, or nests too deep to be parsed by recursion. Reads it once.
pub(in crate::graphql) fn check(text: &str, limits: &Limits) -> Result<(), ServerError> {
    let (length, max) = (text.len() as u64, limits.document_bytes_max);
    if length > max {
        let message = format!(
            "the document has {length} bytes; the most is {max} (limits.document_bytes_max): give long texts as variables"
        );
        return Err(exceeded(ErrorCode::InvalidArgument, "document_bytes_max", max, length, message, None));
    }
    let (tokens, max) = (tokens(text)?, limits.tokens_max);
    if tokens > max {
        let message = format!(
            "the document has {tokens} tokens; the most is {max} (limits.tokens_max): ask for less, or in several \
             requests"
        );
        return Err(exceeded(ErrorCode::InvalidArgument, "tokens_max", max, tokens, message, None));
    }
    Ok(())
}

/// How many tokens the text has.
fn tokens(text: &str) -> Result<u64, ServerError> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut tokens) = (0, 0_u64, 0_u64);
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+');
    while let Some(byte) = bytes.get(at) {
        tokens += 1;
        match byte {
            b'{' | b'[' | b'(' => {
                depth += 1;
                if depth > NESTING_MAX {
                    let message = format!("the document nests deeper than {NESTING_MAX} levels: nest less");
                    let at = Some(place(text, at));
                    return Err(exceeded(ErrorCode::InvalidArgument, "nesting", NESTING_MAX, depth, message, at));
                }
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => {
                tokens -= 1;
                at += bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len() - at);
            }
            b'"' => at = end_of_string(bytes, at),
            b'$' | b'@' | b':' | b'=' | b'!' | b'|' | b'&' => {}
            b'.' if bytes[at..].starts_with(b"...") => at += 2,
            byte if in_word(byte) => {
                let word = bytes[at..].iter().take_while(|byte| in_word(byte)).count();
                at += bytes[at..at + word].windows(3).position(|three| three == b"...").unwrap_or(word) - 1;
            }
            _ => tokens -= 1,
        }
        at += 1;
    }
    Ok(tokens)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_only_where_they_are_syntax() {
        let deep = "[".repeat(100);
        assert!(tokens(&format!("{{ a(b: {deep}) }}")).is_err());
        assert!(tokens(&"{a".repeat(100)).is_err());
        for harmless in [
            format!("{{ a(b: \"{deep}\") }}"),
            format!("{{ a(b: \"\\\"{deep}\") }}"),
            format!("{{ a(b: \"\"\"{deep} \\\"\"\" {deep}\"\"\") }}"),
            format!("# {deep}\n{{ a }}"),
            "{ a(b: []) }".repeat(100),
        ] {
            assert!(tokens(&harmless).is_ok(), "{harmless}");
        }
    }

    #[test]
    fn tokens_are_those_of_the_language() {
        for (text, count) in [
            ("", 0),
            ("{ a }", 3),
            ("{a,b  c\n}", 5),
            ("query Q($a: [Int!]! = -1.5e+3) { a(b: $a) @skip(if: true) }", 30),
            ("{ ...F ... on T { a } }", 10),
            ("{a...F}", 5),
            ("{ a(b: \"x y # {\") } # c { d", 8),
            ("\u{feff}{ a(b: \"\"\"x \\\"\"\" y\"\"\") }", 8),
            ("\"", 1),
            ("....", 2),
        ] {
            assert_eq!(tokens(text).unwrap(), count, "{text}");
        }
    }
}
