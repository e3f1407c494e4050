//! The terminal that results are printed on: its width, its colours, and how much is expected to be printed.

use super::cells::{padded, start, width, wrapped};

/// A terminal. A pipe or a file has none, and gets lines that a program can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Its width in cells.
    pub width_columns: usize,
    /// Whether it shows colours.
    pub colour: Colour,
    /// How many images the run has, if that is known; numbers above [`IN_FULL_MAX`] are all the same.
    pub n_images: Option<u64>,
    /// How many labels of an image are listed; the others are counted. `None` lists all.
    pub n_listed_max: Option<usize>,
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Yes.
    On,
    /// No.
    Off,
}

impl Colour {
    /// The text as the answer to a question: bold and green.
    pub fn winner(self, text: &str) -> String {
        self.painted("1;32", text)
    }

    /// The first word of a text in bold red.
    pub fn failure(self, text: &str) -> String {
        let start = text.len() - text.trim_start().len();
        let end = text[start..].find(' ').map_or(text.len(), |space| start + space);
        format!(
            "{}{}{}",
            &text[..start],
            self.painted("1;31", &text[start..end]),
            &text[end..]
        )
    }

    /// The text as a heading: bold.
    pub fn heading(self, text: &str) -> String {
        self.painted("1", text)
    }

    fn painted(self, code: &str, text: &str) -> String {
        match self {
            Colour::On if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::On | Colour::Off => text.to_owned(),
        }
    }
}

/// Up to this many images are printed with all their labels, more with one line each.
pub const IN_FULL_MAX: u64 = 20;

/// Labels that are listed if nobody said how many: the first ones stay on the screen.
pub const LISTED_MAX: usize = 20;

/// Cells of a number.
pub(super) const NUMBER_COLUMNS: usize = 7;
/// Cells of the widest bar.
const BAR_COLUMNS_MAX: usize = 20;

impl Terminal {
    /// Cells of a full bar: a fifth of the line; none in a terminal where only text has room.
    fn bar_columns(self) -> usize {
        match self.width_columns {
            ..30 => 0,
            width => (width / 5).min(BAR_COLUMNS_MAX),
        }
    }

    /// Lines with a number, a bar of this length from 0 to 1, and a text that is wrapped under itself.
    pub(super) fn with_bar(self, number: &str, share: f64, text: &str) -> Vec<String> {
        let first = format!("  {}  ", right(number, NUMBER_COLUMNS)) + &bar_and_gap(share, self.bar_columns());
        self.under_itself(&first, text)
    }

    /// As [`Terminal::with_bar`], with a text that is cut to fit one line.
    pub(super) fn with_bar_in_one_line(self, numbers: &str, share: f64, text: &str) -> String {
        let first = numbers.to_owned() + &bar_and_gap(share, self.bar_columns());
        let room = self.width_columns.saturating_sub(width(&first));
        (first + &start(text, room)).trim_end().to_owned()
    }

    /// Cells of a text next to a bar.
    pub(super) fn columns_after_bar(self, n_numbers: usize) -> usize {
        let taken = n_numbers * (NUMBER_COLUMNS + 2) + 2 + width(&bar_and_gap(0.0, self.bar_columns()));
        self.width_columns.saturating_sub(taken)
    }

    /// Lines that begin with `first`, and a text that is wrapped under itself.
    pub(super) fn under_itself(self, first: &str, text: &str) -> Vec<String> {
        let indent = width(first);
        let lines = wrapped(text, self.width_columns.saturating_sub(indent));
        let starts = std::iter::once(first.to_owned()).chain(std::iter::repeat(" ".repeat(indent)));
        lines.iter().zip(starts).map(|(line, start)| start + line).collect()
    }
}

/// The text at the right of `columns` cells.
pub(super) fn right(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text))) + text
}

fn bar_and_gap(share: f64, columns: usize) -> String {
    match columns {
        0 => String::new(),
        _ => padded(&bar(share, columns), columns + 2),
    }
}

/// A bar for a share from 0 to 1, exact to an eighth of a cell.
fn bar(share: f64, columns: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * (columns * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if eighths / 8 < columns {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_bar_is_its_share() {
        assert_eq!(bar(1.0, 20), "█".repeat(20));
        assert_eq!(bar(0.5, 20), "█".repeat(10) + " ");
        assert_eq!(bar(1.0 / 16.0, 2), "▏");
        assert_eq!(bar(f64::NAN, 2), "  ".trim_end().to_owned() + " ");
    }
}
