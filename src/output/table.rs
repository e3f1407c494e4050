//! The table for people: each image with its labels, highest score first, with bars on a terminal.

use std::io::{self, Write};

use super::record::percent;
use super::{Format, FormatInfo, Found, Grouped, Holds, Labelled, Outcome, Record};
use crate::text::printable;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "table",
    about: "for people: each image with its labels, highest score first",
    holds: &[Holds::Labels, Holds::Searches],
    make: |settings| Ok(Box::new(Table::new(settings.bars))),
    wrote: |_| false,
};

/// Whether probabilities are also drawn as bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bars {
    /// For a terminal `width_columns` wide: bars, and long labels shortened to fit the line.
    Drawn {
        /// Columns of the terminal.
        width_columns: usize,
    },
    /// For a pipe or a file: no bars, and labels in full. A label still takes only one line.
    None,
}

/// Columns of a score.
const NUMBER_COLUMNS: usize = 7;
/// Columns of a full bar.
const BAR_COLUMNS: usize = 20;

/// Writes one block per image: its name, then one line per label.
#[derive(Debug)]
pub struct Table {
    bars: Bars,
    n_written: usize,
}

impl Table {
    /// A table with or without bars.
    pub fn new(bars: Bars) -> Self {
        Table { bars, n_written: 0 }
    }

    /// The line of a label or a group. `number` is the score as text, `score` the length of the bar.
    fn line(&self, name: &str, number: &str, score: Option<f64>) -> String {
        let start = format!("  {number:>NUMBER_COLUMNS$}  ");
        match self.bars {
            Bars::None => start + &one_line(name),
            Bars::Drawn { width_columns } => {
                let room = width_columns.saturating_sub(2 + NUMBER_COLUMNS + 2 + BAR_COLUMNS + 2);
                format!(
                    "{start}{}  {}",
                    bar(score.unwrap_or(0.0)),
                    shortened(name, room.max(10))
                )
            }
        }
    }

    fn labels(&self, labels: &[Labelled], out: &mut dyn Write) -> io::Result<()> {
        if labels.is_empty() {
            return writeln!(out, "  no label reaches the threshold");
        }
        labels.iter().try_for_each(|label| {
            let line = self.line(&label.label, &label.score_text(), label.score());
            writeln!(out, "{line}")
        })
    }

    fn groups(&self, groups: &[Grouped], out: &mut dyn Write) -> io::Result<()> {
        if !groups.is_empty() {
            writeln!(out, "  by group")?;
        }
        groups.iter().try_for_each(|group| {
            let line = self.line(&group.group, &percent(group.probability), Some(group.probability));
            writeln!(out, "{line}")
        })
    }
}

impl Format for Table {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        if self.n_written > 0 {
            writeln!(out)?;
        }
        self.n_written += 1;
        writeln!(out, "{}", printable(&record.subject.to_string()))?;
        match &record.outcome {
            Outcome::Labels { labels, groups, .. } => {
                self.labels(labels, out)?;
                self.groups(groups, out)
            }
            Outcome::Embedding(values) => writeln!(out, "  {} numbers: {}", values.len(), first_numbers(values)),
            Outcome::Found(found) => write_found(found, out),
            Outcome::Failed(reason) => writeln!(out, "  failed: {}", printable(reason)),
        }
    }
}

fn write_found(found: &[Found], out: &mut dyn Write) -> io::Result<()> {
    if found.is_empty() {
        return writeln!(out, "  nothing");
    }
    found.iter().try_for_each(|found| {
        let state = found.state.map_or_else(String::new, |state| format!("  ({state})"));
        writeln!(out, "  {:7.4}  {}{state}", found.cosine, printable(&found.path))
    })
}

/// A bar for a score from 0 to 1, exact to an eighth of a column.
fn bar(score: f64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (score.clamp(0.0, 1.0) * (BAR_COLUMNS * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if eighths / 8 < BAR_COLUMNS {
        bar.push(EIGHTHS[eighths % 8]);
    }
    let drawn = bar.chars().count();
    bar + &" ".repeat(BAR_COLUMNS.saturating_sub(drawn))
}

/// The text on one line, as a terminal can show it: each run of whitespace, including line breaks, becomes one space.
pub fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&line).into_owned()
}

/// The label on one line of at most `columns` characters.
fn shortened(label: &str, columns: usize) -> String {
    let line = one_line(label);
    if line.chars().count() <= columns {
        return line;
    }
    line.chars().take(columns - 1).chain(['…']).collect()
}

fn first_numbers(values: &[f32]) -> String {
    let numbers: Vec<String> = values.iter().take(4).map(|v| format!("{v:.4}")).collect();
    let more = if values.len() > 4 { " …" } else { "" };
    numbers.join(" ") + more
}

#[cfg(test)]
mod tests {
    use super::super::specimen::{bare_records, written};
    use super::*;

    #[test]
    fn the_length_of_a_bar_is_its_probability() {
        assert_eq!(bar(1.0), "█".repeat(20));
        assert_eq!(bar(0.5), "█".repeat(10) + &" ".repeat(10));
        assert_eq!(bar(0.0), " ".repeat(20));
    }

    #[test]
    fn long_labels_are_shortened_only_on_a_terminal() {
        let label = "word ".repeat(30);
        let line = |bars| Table::new(bars).line(label.trim(), "50.0%", Some(0.5));
        let on_terminal = line(Bars::Drawn { width_columns: 60 });
        assert!(
            on_terminal.ends_with('…') && on_terminal.chars().count() <= 60,
            "{on_terminal}"
        );
        assert!(line(Bars::None).ends_with("word"));
    }

    #[test]
    fn a_terminal_obeys_no_name_or_label() {
        let [mut record, mut failed] = bare_records();
        record.subject = super::super::Subject::Path("\u{1b}]0;x\u{7}a\nb.jpg".into());
        failed.outcome = Outcome::Failed("cannot read `\u{202e}gpj`".into());
        if let Outcome::Labels { labels, .. } = &mut record.outcome {
            labels[0].label = "a \u{1b}[2Jcat".into();
        }
        assert_eq!(
            written(&mut Table::new(Bars::None), &[record, failed]),
            "\\x1b]0;x\\x07a\\nb.jpg\n   0.2500  a \\x1b[2Jcat\n           none of these\n  by group\n    75.0%  =a, b\n\n\
             b.jpg\n  failed: cannot read `\\u{202e}gpj`\n"
        );
    }

    #[test]
    fn shows_the_cosine_if_there_is_no_probability_and_groups_below_the_labels() {
        assert_eq!(
            written(&mut Table::new(Bars::None), &bare_records()),
            "a.jpg\n   0.2500  two lines\n           none of these\n  by group\n    75.0%  =a, b\n\n\
             b.jpg\n  no label reaches the threshold\n"
        );
    }
}
