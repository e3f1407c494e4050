//! The table for people: each picture with its labels, the likeliest first, and bars where there is a terminal.

use std::io::{self, Write};

use super::{Format, FormatInfo, Grouped, Holds, Labelled, Outcome, Record};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "table",
    about: "for people: each picture with its labels, the likeliest first",
    holds: &[Holds::Labels],
    make: |settings| Ok(Box::new(Table::new(settings.bars))),
    wrote: |_| false,
};

/// Whether a probability is drawn as a bar too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bars {
    /// A terminal `width_columns` wide: bars, and labels cut to one line.
    Drawn {
        /// Columns of the terminal.
        width_columns: usize,
    },
    /// A pipe or a file: numbers and whole labels, each on one line too.
    None,
}

/// Columns of a score.
const NUMBER_COLUMNS: usize = 7;
/// Columns of a full bar.
const BAR_COLUMNS: usize = 20;

/// Writes blocks: the picture's name, then a line a label.
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

    /// A name and its score: a share in percent, another number with four decimals, nothing where there is none.
    fn line(&self, name: &str, probability: Option<f64>, cosine: Option<f64>) -> String {
        let number = match (probability, cosine) {
            (Some(probability), _) => format!("{:5.1} %", probability * 100.0),
            (None, Some(cosine)) => format!("{cosine:7.4}"),
            (None, None) => " ".repeat(NUMBER_COLUMNS),
        };
        match self.bars {
            Bars::None => format!("  {number}  {}", one_line(name)),
            Bars::Drawn { width_columns } => {
                let start = format!("  {number}  {}  ", bar(probability.or(cosine).unwrap_or(0.0)));
                let room = width_columns.saturating_sub(2 + NUMBER_COLUMNS + 2 + BAR_COLUMNS + 2);
                format!("{start}{}", shortened(name, room.max(10)))
            }
        }
    }

    fn labels(&self, labels: &[Labelled], out: &mut dyn Write) -> io::Result<()> {
        if labels.is_empty() {
            return writeln!(out, "  no label reaches the threshold");
        }
        labels.iter().try_for_each(|label| {
            let line = self.line(&label.label, label.probability, label.cosine);
            writeln!(out, "{line}")
        })
    }

    fn groups(&self, groups: &[Grouped], out: &mut dyn Write) -> io::Result<()> {
        if !groups.is_empty() {
            writeln!(out, "  by group")?;
        }
        groups.iter().try_for_each(|group| {
            let line = self.line(&group.group, Some(group.probability), None);
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
        writeln!(out, "{}", record.subject)?;
        match &record.outcome {
            Outcome::Labels { labels, groups, .. } => {
                self.labels(labels, out)?;
                self.groups(groups, out)
            }
            Outcome::Embedding(values) => writeln!(out, "  {} numbers: {}", values.len(), first_numbers(values)),
            Outcome::Failed(reason) => writeln!(out, "  failed: {reason}"),
        }
    }
}

/// A bar in eighths of a column.
fn bar(probability: f64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (probability.clamp(0.0, 1.0) * (BAR_COLUMNS * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if eighths / 8 < BAR_COLUMNS {
        bar.push(EIGHTHS[eighths % 8]);
    }
    let drawn = bar.chars().count();
    bar + &" ".repeat(BAR_COLUMNS.saturating_sub(drawn))
}

/// Text with every run of whitespace, line breaks among it, as one space: a row of a table for people.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A label on one line of at most `columns` characters.
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
    fn a_bar_is_as_long_as_its_probability() {
        assert_eq!(bar(1.0), "█".repeat(20));
        assert_eq!(bar(0.5), "█".repeat(10) + &" ".repeat(10));
        assert_eq!(bar(0.0), " ".repeat(20));
    }

    #[test]
    fn long_labels_are_cut_for_the_terminal_only() {
        let label = "word ".repeat(30);
        let line = |bars| Table::new(bars).line(label.trim(), Some(0.5), None);
        let on_terminal = line(Bars::Drawn { width_columns: 60 });
        assert!(
            on_terminal.ends_with('…') && on_terminal.chars().count() <= 60,
            "{on_terminal}"
        );
        assert!(line(Bars::None).ends_with("word"));
    }

    #[test]
    fn a_score_without_probability_is_its_cosine_and_groups_are_a_second_block() {
        assert_eq!(
            written(&mut Table::new(Bars::None), &bare_records()),
            "a.jpg\n   0.2500  two lines\n           none of these\n  by group\n   75.0 %  =a, b\n\n\
             b.jpg\n  no label reaches the threshold\n"
        );
    }
}
