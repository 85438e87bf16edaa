//! A readable page about one thing: values beside their names, then lists below their titles.

use super::table::{Table, terminal_width};
use super::value::NOTHING;

const INDENT: &str = "  ";

/// Text that grows section by section.
#[derive(Default)]
pub(super) struct Sheet {
    text: String,
}

impl Sheet {
    /// Values beside their names, in one column each.
    pub(super) fn values<const N: usize>(&mut self, pairs: [(&str, String); N]) {
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
        for (name, value) in pairs {
            let name = format!("{name}:");
            self.text.push_str(&format!("{name:width$}  {value}\n"));
        }
    }

    /// A list, one item a line; an empty one is a dash, so that a reader sees it was looked for.
    pub(super) fn list(&mut self, title: &str, items: &[String]) {
        if items.is_empty() {
            self.text.push_str(&format!("\n{title}: {NOTHING}\n"));
            return;
        }
        self.text.push_str(&format!("\n{title} ({}):\n", items.len()));
        self.indented(&items.join("\n"));
    }

    /// A table below its title.
    pub(super) fn table(&mut self, title: &str, table: &Table) {
        if table.is_empty() {
            return self.list(title, &[]);
        }
        let width = terminal_width().map(|width| width.saturating_sub(INDENT.len() as u16));
        self.block(title, &table.render(width, false));
    }

    /// Any text below its title.
    pub(super) fn block(&mut self, title: &str, text: &str) {
        self.text.push_str(&format!("\n{title}:\n"));
        self.indented(text);
    }

    /// The page.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn indented(&mut self, text: &str) {
        for line in text.lines() {
            self.text.push_str(&format!("{INDENT}{line}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_a_column_and_lists_below_titles() {
        let mut sheet = Sheet::default();
        sheet.values([("Name", "a".into()), ("Last seen", "-".into())]);
        sheet.list("Tags", &["x".into(), "y".into()]);
        sheet.list("Tools", &[]);
        assert_eq!(sheet.into_text(), "Name:       a\nLast seen:  -\n\nTags (2):\n  x\n  y\n\nTools: -\n");
    }
}
