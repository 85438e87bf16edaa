//! Tables without lines: a header and columns, as `docker ps` and `kubectl get` have them.

use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Row, Width, presets};

use super::error::Error;
use super::output::{clean, print};

/// The space between two columns.
const GAP: u16 = 2;

/// Rows below a header.
pub(super) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as the header.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.header.len(), "a row has as many cells as the header");
        self.rows.push(cells.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints it: cut to the terminal's width where stdout is one, whole where it is not, since a program that reads
    /// columns wants all of them.
    pub(super) fn print(&self) -> Result<(), Error> {
        print(&self.render(terminal_width(), std::io::stdout().is_terminal()))
    }

    /// The table as text. With a width, no line is longer and each row is one line.
    pub(super) fn render(&self, width: Option<u16>, coloured: bool) -> String {
        let mut table = comfy_table::Table::new();
        // What is shown where is decided here, not by what the library finds stdout to be.
        table.load_style(presets::NOTHING).force_no_tty();
        if coloured {
            table.enforce_styling();
        }
        if let Some(width) = width {
            table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
        }
        let header = self.header.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold));
        table.set_header(one_line(header, width));
        for row in &self.rows {
            table.add_row(one_line(row.iter().map(|text| cell(text)), width));
        }
        // No space before the first column, some between columns.
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        // The first column says what a row is about, so it is the last to be cut.
        let wanted = table.column_max_content_widths().first().map_or(0, |content| content.saturating_add(GAP));
        if let (Some(width), Some(first)) = (width, table.column_mut(0)) {
            first.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(wanted.min(width / 2))));
        }
        let mut text = table.trim_fmt();
        text.push('\n');
        text
    }
}

/// How wide stdout is; `None` where it is no terminal.
pub(super) fn terminal_width() -> Option<u16> {
    comfy_table::Table::new().width()
}

fn one_line(cells: impl Iterator<Item = Cell>, width: Option<u16>) -> Row {
    let mut row = Row::from(cells.collect::<Vec<_>>());
    if width.is_some() {
        row.max_height(1);
    }
    row
}

/// Colours the few words that a reader looks for.
fn cell(text: &str) -> Cell {
    let cell = Cell::new(clean(text));
    match text {
        "ONLINE" | "created" | "VERIFIED" | "TRUSTED" => cell.fg(Color::Green),
        "DRAINING" | "updated" => cell.fg(Color::Yellow),
        "OFFLINE" | "refused" => cell.fg(Color::Red),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", "STATUS", "DESCRIPTION"]);
        table.row([
            "node_a".into(),
            "ONLINE".into(),
            "Says what it does in rather many words, all of them here".into(),
        ]);
        table.row(["node_with_a_rather_long_name".into(), "DECLARED".into(), "-".into()]);
        table
    }

    #[test]
    fn a_piped_table_is_whole_and_plain() {
        let expected = "\
NAME                          STATUS    DESCRIPTION
node_a                        ONLINE    Says what it does in rather many words, all of them here
node_with_a_rather_long_name  DECLARED  -
";
        assert_eq!(sample().render(None, false), expected);
    }

    #[test]
    fn a_table_on_a_terminal_is_cut_to_its_width() {
        for width in [40, 60, 80] {
            let text = sample().render(Some(width), false);
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{text}");
            assert!(text.contains('…'), "{text}");
        }
    }

    #[test]
    fn colours_change_no_widths() {
        let text = sample().render(Some(200), true);
        assert!(text.contains("\u{1b}["), "{text}");
        assert_eq!(anstream::adapter::strip_str(&text).to_string().replace("  \n", "\n").lines().count(), 3);
    }

    #[test]
    fn a_cell_has_one_line_and_no_control_characters() {
        let mut table = Table::new(&["A"]);
        table.row(["x\ny\u{1b}[2J".into()]);
        assert_eq!(table.render(None, false), "A\nx y\u{fffd}[2J\n");
    }
}
