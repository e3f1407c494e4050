//! The table for people: each image with its labels, highest score first.
//!
//! On a terminal with bars and colours, in lines that fit; long labels are wrapped. A run over many images has one line
//! per image, and ends with how often each label was the best. In a pipe or a file, each label is one line, never cut.

use std::collections::HashMap;
use std::io::{self, Write};

use super::best::Best;
use super::cells::{end, one_line, padded, start, told_apart, width};
use super::record::percent;
use super::tally::Tally;
use super::terminal::{Colour, IN_FULL_MAX, NUMBER_COLUMNS, Terminal, right};
use super::{Format, FormatInfo, Found, Grouped, Holds, Labelled, Outcome, Record, Settings};
use crate::text::printable;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "table",
    about: "for people: each image with its labels, highest score first",
    holds: &[Holds::Labels, Holds::Searches],
    make: |settings| Ok(Box::new(Table::new(settings))),
    wrote: |_| false,
};

/// What an image is said to show if no label fits it well enough.
const NO_LABEL: &str = "no label reaches the threshold";
/// The heading above one line per image.
const BRIEF_HEADING: [&str; 2] = ["score", "margin"];
/// Cells before the label in one line per image.
const BRIEF_COLUMNS: usize = 2 + NUMBER_COLUMNS + 2 + NUMBER_COLUMNS + 2;

/// Writes one block per image: its name, then its labels. On a terminal and for many images one line per image.
#[derive(Debug)]
pub struct Table {
    terminal: Option<Terminal>,
    n_written: u64,
    brief: Option<Brief>,
    /// How often each label was the best, or each group if there are any; counted on a terminal only.
    tally: Tally,
}

/// One line per image.
#[derive(Debug)]
struct Brief {
    /// The answers, shortened.
    short: HashMap<String, String>,
    /// Cells of the answer.
    answer_columns: usize,
}

impl Table {
    /// A table for these settings' terminal, or for a pipe.
    pub fn new(settings: &Settings) -> Self {
        let are_grouped = !settings.groups.is_empty();
        let answers = if are_grouped {
            &settings.groups
        } else {
            &settings.labels
        };
        Table {
            terminal: settings.terminal,
            n_written: 0,
            brief: None,
            tally: Tally::of(answers),
        }
    }

    /// A label or a group. `number` is its score as text, `share` the length of the bar, `place` its place from 0.
    fn scored(&self, place: usize, number: &str, share: Option<f64>, name: &str) -> String {
        let name = one_line(name);
        let Some(terminal) = self.terminal else {
            return format!("  {}  {name}\n", right(number, NUMBER_COLUMNS));
        };
        let lines = terminal.with_bar(number, share.unwrap_or(0.0), &name);
        let lines = lines.iter().map(|line| match place {
            0 => terminal.colour.winner(line) + "\n",
            _ => format!("{line}\n"),
        });
        lines.collect()
    }

    /// A text on its own, indented.
    fn indented(&self, text: &str) -> String {
        match self.terminal {
            Some(terminal) => terminal.under_itself("  ", text).join("\n") + "\n",
            None => format!("  {text}\n"),
        }
    }

    fn labels(&self, labels: &[Labelled]) -> String {
        if labels.is_empty() {
            return self.indented(NO_LABEL);
        }
        let places = labels.iter().enumerate();
        places
            .map(|(place, label)| self.scored(place, &label.score_text(), label.score(), &label.label))
            .collect()
    }

    fn groups(&self, groups: &[Grouped]) -> String {
        if groups.is_empty() {
            return String::new();
        }
        let places = groups.iter().enumerate().map(|(place, group)| {
            let number = percent(group.probability);
            self.scored(place, &number, Some(group.probability), &group.group)
        });
        "  by group\n".to_owned() + &places.collect::<String>()
    }

    fn in_full(&self, record: &Record) -> String {
        let colour = self.terminal.map_or(Colour::Off, |terminal| terminal.colour);
        let name = colour.heading(&printable(&record.subject.to_string())) + "\n";
        let rest = match &record.outcome {
            Outcome::Labels { labels, groups, .. } => self.labels(labels) + &self.groups(groups),
            Outcome::Embedding(values) => format!("  {} numbers: {}\n", values.len(), first_numbers(values)),
            Outcome::Found(found) => found_lines(found),
            Outcome::Failed(reason) => colour.failure(&self.indented(&format!("failed: {}", printable(reason)))),
        };
        self.gap().to_owned() + &name + &rest
    }

    /// What separates an image from the one before it.
    fn gap(&self) -> &'static str {
        if self.n_written > 0 { "\n" } else { "" }
    }

    /// Whether each image gets one line from now on: there are many, or more than a person reads one by one.
    fn turns_brief(&self, terminal: Terminal, record: &Record) -> bool {
        let is_of_images = matches!(record.outcome, Outcome::Labels { .. } | Outcome::Failed(_));
        is_of_images && terminal.n_images.unwrap_or(self.n_written + 1) > IN_FULL_MAX
    }

    /// The lines that one image takes in a long run; before the first one a heading.
    fn in_brief(&mut self, terminal: Terminal, record: &Record, best: Option<&Best>) -> String {
        let (gap, is_first) = (self.gap(), self.brief.is_none());
        let brief = self
            .brief
            .get_or_insert_with(|| Brief::of(&self.tally.possible, terminal));
        let heading = match is_first {
            true => gap.to_owned() + &brief.heading(terminal),
            false => String::new(),
        };
        if let Outcome::Failed(reason) = &record.outcome {
            let line = format!("  {}  ", right("failed", NUMBER_COLUMNS));
            let lines = terminal.under_itself(&line, &printable(reason)).join("\n");
            return heading + &terminal.colour.failure(&(lines + "\n"));
        }
        heading + &brief.line(terminal, best, &printable(&record.subject.to_string()))
    }
}

impl Brief {
    fn of(answers: &[String], terminal: Terminal) -> Self {
        let lines: Vec<String> = answers.iter().map(|answer| one_line(answer)).collect();
        let room = terminal.width_columns.saturating_sub(BRIEF_COLUMNS + 2) / 2;
        let short = told_apart(&lines, room);
        let widest = short.iter().map(|answer| width(answer)).max().unwrap_or(room);
        Brief {
            answer_columns: widest.max("label".len()),
            short: answers.iter().cloned().zip(short).collect(),
        }
    }

    fn heading(&self, terminal: Terminal) -> String {
        let [score, margin] = BRIEF_HEADING.map(|word| right(word, NUMBER_COLUMNS));
        let heading = format!("  {score}  {margin}  {}  image", padded("label", self.answer_columns));
        terminal.colour.heading(&start(&heading, terminal.width_columns)) + "\n"
    }

    fn line(&self, terminal: Terminal, best: Option<&Best>, name: &str) -> String {
        let (score, margin) = best.map_or(("", ""), |best| (&best.score, &best.margin));
        let answer = best.map_or(NO_LABEL, |best| &best.answer);
        let short = self.short.get(answer).cloned();
        let short = short.unwrap_or_else(|| start(&one_line(answer), self.answer_columns));
        let (score, margin) = (right(score, NUMBER_COLUMNS), right(margin, NUMBER_COLUMNS));
        let room = terminal
            .width_columns
            .saturating_sub(BRIEF_COLUMNS + self.answer_columns + 2);
        let short = padded(&short, self.answer_columns);
        let answer = if best.is_some() {
            terminal.colour.winner(&short)
        } else {
            short
        };
        format!("  {score}  {margin}  {answer}  {}\n", end(name, room))
    }
}

impl Format for Table {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let text = match self.terminal {
            None => self.in_full(record),
            Some(terminal) => {
                let best = Best::of_outcome(&record.outcome);
                if matches!(record.outcome, Outcome::Labels { .. }) {
                    self.tally.add(best.as_ref().map_or(NO_LABEL, |best| &best.answer));
                }
                match self.turns_brief(terminal, record) {
                    true => self.in_brief(terminal, record, best.as_ref()),
                    false => self.in_full(record),
                }
            }
        };
        self.n_written += 1;
        out.write_all(text.as_bytes())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Some(terminal) = self.terminal else { return Ok(()) };
        let lines = self.tally.lines(terminal);
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

fn found_lines(found: &[Found]) -> String {
    if found.is_empty() {
        return "  nothing\n".into();
    }
    let lines = found.iter().map(|found| {
        let state = found.state.map_or_else(String::new, |state| format!("  ({state})"));
        let copy = found.copy.as_ref().map_or_else(String::new, |copy| format!("  {copy}"));
        format!("  {:7.4}  {}{copy}{state}\n", found.cosine, printable(&found.path))
    });
    lines.collect()
}

fn first_numbers(values: &[f32]) -> String {
    let numbers: Vec<String> = values.iter().take(4).map(|v| format!("{v:.4}")).collect();
    let more = if values.len() > 4 { " …" } else { "" };
    numbers.join(" ") + more
}

#[cfg(test)]
mod tests;
