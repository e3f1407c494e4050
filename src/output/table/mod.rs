//! The table for people: each image with its labels, highest score first.
//!
//! On a terminal with bars and colours, in lines that fit; long labels are wrapped. A run over many images has one line
//! per image, and ends with how often each label was the best. In a pipe or a file a label is one line, in full.

use std::collections::HashMap;
use std::io::{self, Write};

use super::best::Best;
use super::cells::{end, one_line, padded, start, told_apart, width};
use super::record::percent;
use super::tally::Tally;
use super::terminal::{IN_FULL_MAX, NUMBER_COLUMNS, Terminal, right};
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
    /// The run's labels, or groups if there are any.
    answers: Vec<String>,
    n_written: u64,
    brief: Option<Brief>,
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
            answers: answers.clone(),
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
        let name = printable(&record.subject.to_string()).into_owned();
        let name = self
            .terminal
            .map_or(name.clone(), |terminal| terminal.colour.heading(&name))
            + "\n";
        let gap = if self.n_written > 0 { "\n" } else { "" };
        let rest = match &record.outcome {
            Outcome::Labels { labels, groups, .. } => self.labels(labels) + &self.groups(groups),
            Outcome::Embedding(values) => format!("  {} numbers: {}\n", values.len(), first_numbers(values)),
            Outcome::Found(found) => found_lines(found),
            Outcome::Failed(reason) => {
                let text = self.indented(&format!("failed: {}", printable(reason)));
                self.terminal
                    .map_or(text.clone(), |terminal| terminal.colour.failure(&text))
            }
        };
        gap.to_owned() + &name + &rest
    }

    /// Whether each image gets one line from now on: there are many, or more than a person reads one by one.
    fn turns_brief(&self, terminal: Terminal, record: &Record) -> bool {
        let is_of_images = matches!(record.outcome, Outcome::Labels { .. } | Outcome::Failed(_));
        is_of_images && terminal.n_images.unwrap_or(self.n_written + 1) > IN_FULL_MAX
    }

    /// The lines that one image takes in a long run; before the first one a heading.
    fn in_brief(&mut self, terminal: Terminal, record: &Record) -> String {
        let heading = match self.brief {
            Some(_) => String::new(),
            None => self.begin_brief(terminal),
        };
        let Some(brief) = &self.brief else { return heading };
        let name = printable(&record.subject.to_string()).into_owned();
        if let Outcome::Failed(reason) = &record.outcome {
            let line = format!("  {}  ", right("failed", NUMBER_COLUMNS));
            let lines = terminal.under_itself(&line, &printable(reason)).join("\n");
            return heading + &terminal.colour.failure(&(lines + "\n"));
        }
        let line = brief.line(terminal, Best::of_outcome(&record.outcome).as_ref(), &name);
        self.count(record);
        heading + &line
    }

    fn count(&mut self, record: &Record) {
        if matches!(record.outcome, Outcome::Labels { .. }) {
            let best = Best::of_outcome(&record.outcome);
            self.tally.add(best.as_ref().map_or(NO_LABEL, |best| &best.answer));
        }
    }

    fn begin_brief(&mut self, terminal: Terminal) -> String {
        let answers: Vec<String> = self.answers.iter().map(|answer| one_line(answer)).collect();
        let room = terminal.width_columns.saturating_sub(BRIEF_COLUMNS + 2) / 2;
        let short = told_apart(&answers, room);
        let widest = short.iter().map(|answer| width(answer)).max().unwrap_or(room);
        let brief = Brief {
            answer_columns: widest.max("label".len()),
            short: self.answers.iter().cloned().zip(short).collect(),
        };
        let [score, margin] = BRIEF_HEADING.map(|word| right(word, NUMBER_COLUMNS));
        let gap = if self.n_written > 0 { "\n" } else { "" };
        let heading = format!("  {score}  {margin}  {}  image", padded("label", brief.answer_columns));
        self.brief = Some(brief);
        let heading = start(&heading, terminal.width_columns);
        format!("{gap}{}\n", terminal.colour.heading(&heading))
    }
}

impl Brief {
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
            Some(terminal) if self.turns_brief(terminal, record) => self.in_brief(terminal, record),
            Some(_) | None => {
                self.count(record);
                self.in_full(record)
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
        format!("  {:7.4}  {}{state}\n", found.cosine, printable(&found.path))
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
