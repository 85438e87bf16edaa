//! The two ways out: data to stdout, talk to stderr.
//!
//! anstream takes colours away where the receiver is no terminal or NO_COLOR is set, so nobody else has to ask.

use std::io::Write;

use serde::Serialize;

use super::error::Error;

/// How something is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs: the registry's own objects.
    Json,
    /// The same objects as YAML.
    Yaml,
}

/// How something is shown that is no table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TextFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Prints data. It leaves at once: whoever reads a pipe should not wait for a buffer to fill.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Error::Output)
}

/// Prints data as pretty JSON.
pub(super) fn print_json(data: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(data).map_err(Error::Json)?;
    print(&format!("{text}\n"))
}

/// Prints data as YAML.
pub(super) fn print_yaml(data: &impl Serialize) -> Result<(), Error> {
    print(&yaml(data)?)
}

/// Data as one YAML document, ended by a line break.
pub(super) fn yaml(data: &impl Serialize) -> Result<String, Error> {
    let mut text = serde_saphyr::to_string(data).map_err(Error::Yaml)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Says something to the person who watches. A stderr that is gone has nobody to hear it, so that is no error.
pub(super) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{}", clean(text));
}

/// Passes on what a command that onex runs says on stderr, as it comes.
#[cfg(unix)]
pub(super) fn pass_on(said: &[u8]) {
    let _ = std::io::stderr().lock().write_all(said);
}

/// Says something more about the note before it, set off from the margin.
pub(super) fn note_below(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "  {}", clean(text));
}

/// Text from elsewhere, made safe for a terminal and a table's cell: control characters could move the cursor or
/// recolour what follows. Line breaks and runs of spaces become one space.
pub(super) fn clean(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[31mred\n\tb  c"), "a\u{fffd}[31mred b c");
    }

    #[test]
    fn yaml_reads_back_as_it_was() {
        let long = "word ".repeat(60);
        let data = json!({
            "words": ["no", "yes", "on", "1", "1.0", "null", "~", "", " a", "a: b", "# c", "- d", "2026-11-22T12:00:00Z"],
            "long": long, "lines": "a\nb\n", "tab": "a\tb", "escape": "\u{1b}[0m", "empty": {}, "list": [], "null": null,
            "nested": [{"a": [{"b": 1}]}], "number": 12.5, "big": 9007199254740991u64,
        });
        let text = yaml(&data).unwrap();
        let back: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, data, "{text}");
    }
}
