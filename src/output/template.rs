//! A line of one's own for each picture: `--format '{path}\t{label}\t{score:.3}'`.
//!
//! Values stand in braces: `path`, `label`, `score` (the probability, or the cosine where there is none), `probability`,
//! `logit`, `cosine`, `group` and `group_score` (of the likeliest group), `error`, and `field.NAME` of an input record.
//! `label.2` is the second likeliest label, `score.2` its score. `:.3` rounds to three decimals. `\t`,
//! `\n`, `\\`, `{{` and `}}` are themselves. Tabs and line ends within values are escaped as in TSV, so that a picture is
//! always one record. Where a picture failed, only its path and its error are not empty.

use std::io::{self, BufRead, Write};

use serde_json::Value;

use super::csv::escaped;
use super::resume::{self, Held, HeldRecords};
use super::{Format, Labelled, Record};
use crate::error::{Error, Result};

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Value {
        what: What,
        /// Of the likeliest label: 0.
        rank: usize,
        decimals: Option<usize>,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Path,
    Label,
    Score,
    Probability,
    Logit,
    Cosine,
    Group,
    GroupScore,
    Error,
    Field(String),
}

impl Template {
    /// Whether a person's `--format` is meant as a template: no format's name has braces.
    pub fn is_meant(text: &str) -> bool {
        text.contains('{')
    }

    /// Parses a template; a line's end is added where it has none.
    ///
    /// # Errors
    /// [`Error::Usage`] for a brace that is not closed and for a value that isn't known.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\\' => {
                    let (escape, behind) = escape(rest);
                    literal.push(escape);
                    rest = behind;
                }
                '{' | '}' if rest.starts_with(c) => {
                    literal.push(c);
                    rest = &rest[1..];
                }
                '{' => {
                    let (inside, behind) = rest
                        .split_once('}')
                        .ok_or_else(|| refused(text, "a `{` is not closed"))?;
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                    parts.push(value(text, inside)?);
                    rest = behind;
                }
                '}' => return Err(refused(text, "a `}` has no `{` before it")),
                other => literal.push(other),
            }
        }
        if !literal.ends_with('\n') {
            literal.push('\n');
        }
        parts.push(Part::Text(literal));
        Ok(Template { parts })
    }

    /// Line ends that each record has.
    fn n_lines(&self) -> usize {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.matches('\n').count(),
            Part::Value { .. } => 0,
        });
        texts.sum()
    }

    fn line(&self, record: &Record) -> String {
        let written = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Value { what, rank, decimals } => escaped(&written(record, what, *rank, *decimals)),
        });
        written.collect()
    }
}

impl Format for Template {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.line(record).as_bytes())
    }

    fn held(&self, file: Box<dyn BufRead>) -> Option<HeldRecords> {
        let n_lines = self.n_lines();
        let mut lines = resume::whole_lines(file);
        // A line doesn't tell which part of it is the path, so that records are counted and not compared.
        Some(Box::new(std::iter::from_fn(move || {
            let mut n_bytes = 0;
            let mut end = 0;
            for _ in 0..n_lines {
                match lines.next()? {
                    Ok((line, line_end)) => {
                        n_bytes += line.len() as u64;
                        end = line_end;
                    }
                    Err(error) => return Some(Err(error)),
                }
            }
            Some(Ok(Held {
                name: None,
                start: end - n_bytes,
                end,
                failed: false,
            }))
        })))
    }
}

/// The character that stands behind a backslash, and the rest.
fn escape(rest: &str) -> (char, &str) {
    let known = [("t", '\t'), ("n", '\n'), ("r", '\r'), ("\\", '\\')];
    let found = known
        .into_iter()
        .find_map(|(name, c)| rest.strip_prefix(name).map(|behind| (c, behind)));
    found.unwrap_or(('\\', rest))
}

fn value(template: &str, inside: &str) -> Result<Part> {
    let (name, digits) = inside.split_once(':').unwrap_or((inside, ""));
    let decimals = match digits.strip_prefix('.').map(str::parse) {
        Some(Ok(decimals)) if decimals <= 17 => Some(decimals),
        None if digits.is_empty() => None,
        _ => {
            return Err(refused(
                template,
                &format!("`:{digits}` is no number of decimals, as in `:.3`"),
            ));
        }
    };
    if let Some(field) = name.strip_prefix("field.") {
        let what = What::Field(field.to_owned());
        return Ok(Part::Value {
            what,
            rank: 0,
            decimals,
        });
    }
    let (name, rank) = match name.split_once('.') {
        Some((name, rank)) => match rank.parse::<usize>() {
            Ok(rank @ 1..) => (name, rank - 1),
            _ => {
                return Err(refused(
                    template,
                    &format!("`.{rank}` is no rank; the likeliest label's is 1"),
                ));
            }
        },
        None => (name, 0),
    };
    let what = match name {
        "path" | "id" => What::Path,
        "label" => What::Label,
        "score" => What::Score,
        "probability" => What::Probability,
        "logit" => What::Logit,
        "cosine" => What::Cosine,
        "group" => What::Group,
        "group_score" => What::GroupScore,
        "error" => What::Error,
        other => return Err(refused(template, &format!("it asks for `{other}`"))),
    };
    Ok(Part::Value { what, rank, decimals })
}

fn written(record: &Record, what: &What, rank: usize, decimals: Option<usize>) -> String {
    let labelled = record.outcome.labels().get(rank);
    let number = |value: f64| match decimals {
        Some(decimals) => format!("{value:.decimals$}"),
        None => (value as f32).to_string(),
    };
    let of_label = |value: fn(&Labelled) -> Option<f64>| labelled.and_then(value).map_or_else(String::new, number);
    let grouped = record.outcome.groups().get(rank);
    match what {
        What::Path => record.subject.to_string(),
        What::Label => labelled.map_or_else(String::new, |label| label.label.clone()),
        What::Score => of_label(Labelled::score),
        What::Probability => of_label(|label| label.probability),
        What::Logit => of_label(|label| label.logit),
        What::Cosine => of_label(|label| label.cosine),
        What::Group => grouped.map_or_else(String::new, |group| group.group.clone()),
        What::GroupScore => grouped.map_or_else(String::new, |group| number(group.probability)),
        What::Error => record.outcome.failure().unwrap_or_default().to_owned(),
        What::Field(name) => match record.fields.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        },
    }
}

fn refused(template: &str, problem: &str) -> Error {
    Error::usage(
        format!("the template `{template}` can't be used: {problem}"),
        "values are {path}, {label}, {score}, {logit}, {cosine}, {group}, {group_score}, {error} and {field.NAME}; {label.2} is the second label, {score:.3} has three decimals",
    )
}

#[cfg(test)]
mod tests {
    use super::super::specimen::{bare_records, held, records, written};
    use super::*;

    #[test]
    fn a_template_is_a_line_for_each_picture() {
        let mut template = Template::parse(r"{path}\t{score:.3}\t{label.2} {{{cosine}}} {field.n}{error}").unwrap();
        assert_eq!(
            written(&mut template, &records()),
            "a.jpg\t0.750\ttwo\\nlines {0.25} 1\nb.jpg\t\t {} no such file\n"
        );
    }

    #[test]
    fn a_score_is_the_probability_or_else_the_cosine_and_groups_have_theirs() {
        let mut template = Template::parse("{score}|{probability}|{score.2}|{group}|{group_score:.1}").unwrap();
        assert_eq!(written(&mut template, &bare_records()), "0.25|||=a, b|0.8\n||||\n");
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_values_there_are() {
        for text in ["{path", "path}", "{nonsense}", "{score:3}", "{label.0}"] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.to_string().contains(text) && error.hint().unwrap().to_string().contains("{path}"));
        }
    }

    #[test]
    fn records_of_several_lines_are_held_whole() {
        let mut template = Template::parse(r"{path}\n{label}\n").unwrap();
        let whole = written(&mut template, &records());
        assert_eq!(held(&template, &whole).len(), 2);
        assert_eq!(held(&template, &whole[..whole.len() - 1]).len(), 1);
    }
}
