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
use super::{Format, FormatInfo, Found, Grouped, Holds, Labelled, Outcome, Record, Settings, Task};
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
/// Cells before the label in one line per image.
const BRIEF_COLUMNS: usize = 2 + NUMBER_COLUMNS + 2 + NUMBER_COLUMNS + 2;

/// Writes one block per image: its name, then its labels. On a terminal and for many images one line per image.
#[derive(Debug)]
pub struct Table {
    terminal: Option<Terminal>,
    n_written: u64,
    brief: Option<Brief>,
    answers: Answers,
    /// How often each label was the answer, or each group if there are any; counted on a terminal only.
    tally: Tally,
}

/// Which labels of an image are its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// The likeliest one.
    Best,
    /// All: they are tags.
    All,
}

impl Answers {
    fn of(task: Task) -> Self {
        match task {
            Task::Tags => Answers::All,
            Task::Labels(_) | Task::Embeddings(_) | Task::Searches => Answers::Best,
        }
    }

    /// What is in front of an answer, and what the answer is, as the heading says.
    fn heading(self) -> [&'static str; 3] {
        match self {
            Answers::Best => ["score", "margin", "label"],
            Answers::All => ["score", "number", "tags"],
        }
    }

    /// What one line says about an image.
    fn said(self, outcome: &Outcome) -> Option<Said> {
        match self {
            Answers::Best => Best::of_outcome(outcome).map(|best| Said {
                score: best.score,
                second: best.margin,
                answer: best.answer,
            }),
            Answers::All => outcome.labels().first().map(|first| Said {
                score: first.score_text(),
                second: outcome.labels().len().to_string(),
                answer: tags(outcome).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

/// What one line says about an image, besides its name.
struct Said {
    score: String,
    /// By how much the answer is the best, or how many tags it is.
    second: String,
    answer: String,
}

fn tags(outcome: &Outcome) -> impl Iterator<Item = &str> {
    outcome.labels().iter().map(|tag| tag.label.as_str())
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
            answers: Answers::of(settings.task),
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
        let (listed, others) = self.listed(labels);
        let places = listed.iter().enumerate();
        let lines: String = places
            .map(|(place, label)| self.scored(place, &label.score_text(), label.score(), &label.label))
            .collect();
        lines + &self.counted(others.len(), "labels", || others[0].score_text())
    }

    /// The labels or groups that have lines of their own, and those that are only counted.
    fn listed<'a, T>(&self, ranked: &'a [T]) -> (&'a [T], &'a [T]) {
        let most = self.terminal.and_then(|terminal| terminal.n_listed_max);
        ranked.split_at(most.unwrap_or(ranked.len()).min(ranked.len()))
    }

    /// A line that stands for labels or groups without a line. None of them has more than `best`.
    fn counted(&self, n: usize, what: &str, best: impl FnOnce() -> String) -> String {
        match (n, self.terminal) {
            (1.., Some(terminal)) => {
                let text = format!("{n} other {what}, each {} or less", best());
                terminal.with_bar("", 0.0, &text).join("\n") + "\n"
            }
            _ => String::new(),
        }
    }

    fn groups(&self, groups: &[Grouped]) -> String {
        if groups.is_empty() {
            return String::new();
        }
        let (listed, others) = self.listed(groups);
        let places = listed.iter().enumerate().map(|(place, group)| {
            let number = percent(group.probability);
            self.scored(place, &number, Some(group.probability), &group.group)
        });
        let lines = "  by group\n".to_owned() + &places.collect::<String>();
        lines + &self.counted(others.len(), "groups", || percent(others[0].probability))
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
    fn in_brief(&mut self, terminal: Terminal, record: &Record, said: Option<&Said>) -> String {
        let (gap, is_first) = (self.gap(), self.brief.is_none());
        let brief = self
            .brief
            .get_or_insert_with(|| Brief::of(self.answers, &self.tally.possible, terminal));
        let heading = match is_first {
            true => gap.to_owned() + &brief.heading(self.answers, terminal),
            false => String::new(),
        };
        if let Outcome::Failed(reason) = &record.outcome {
            let line = format!("  {}  ", right("failed", NUMBER_COLUMNS));
            let lines = terminal.under_itself(&line, &printable(reason)).join("\n");
            return heading + &terminal.colour.failure(&(lines + "\n"));
        }
        heading + &brief.line(terminal, said, &printable(&record.subject.to_string()))
    }
}

impl Brief {
    fn of(answers: Answers, possible: &[String], terminal: Terminal) -> Self {
        let room = terminal.width_columns.saturating_sub(BRIEF_COLUMNS + 2) / 2;
        if answers == Answers::All {
            return Brief {
                answer_columns: room,
                short: HashMap::new(),
            };
        }
        let lines: Vec<String> = possible.iter().map(|answer| one_line(answer)).collect();
        let short = told_apart(&lines, room);
        let widest = short.iter().map(|answer| width(answer)).max().unwrap_or(room);
        Brief {
            answer_columns: widest.max("label".len()),
            short: possible.iter().cloned().zip(short).collect(),
        }
    }

    fn heading(&self, answers: Answers, terminal: Terminal) -> String {
        let [score, second, answer] = answers.heading();
        let [score, second] = [score, second].map(|word| right(word, NUMBER_COLUMNS));
        let heading = format!("  {score}  {second}  {}  image", padded(answer, self.answer_columns));
        terminal.colour.heading(&start(&heading, terminal.width_columns)) + "\n"
    }

    fn line(&self, terminal: Terminal, said: Option<&Said>, name: &str) -> String {
        let (score, second) = said.map_or(("", ""), |said| (&said.score, &said.second));
        let answer = said.map_or(NO_LABEL, |said| &said.answer);
        let short = self.short.get(answer).cloned();
        let short = short.unwrap_or_else(|| start(&one_line(answer), self.answer_columns));
        let (score, second) = (right(score, NUMBER_COLUMNS), right(second, NUMBER_COLUMNS));
        let room = terminal
            .width_columns
            .saturating_sub(BRIEF_COLUMNS + self.answer_columns + 2);
        let short = padded(&short, self.answer_columns);
        let answer = if said.is_some() {
            terminal.colour.winner(&short)
        } else {
            short
        };
        format!("  {score}  {second}  {answer}  {}\n", end(name, room))
    }
}

impl Format for Table {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let text = match self.terminal {
            None => self.in_full(record),
            Some(terminal) => {
                let said = self.answers.said(&record.outcome);
                if matches!(record.outcome, Outcome::Labels { .. }) {
                    match (self.answers, &said) {
                        (_, None) => self.tally.add(NO_LABEL),
                        (Answers::Best, Some(said)) => self.tally.add(&said.answer),
                        (Answers::All, Some(_)) => self.tally.add_all(tags(&record.outcome)),
                    }
                }
                match self.turns_brief(terminal, record) {
                    true => self.in_brief(terminal, record, said.as_ref()),
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
