//! Templates: one line per image in the user's own format, such as `'{path}\t{label}\t{score:.3}'`.
//!
//! Values are in braces: `path`, `label`, `score` (the probability, or else the cosine), `probability`, `logit`, `cosine`,
//! `group` and `group_score` (of the best group), `error`, and `field.NAME` of an input record. `label.2` is the second
//! best label, `score.2` its score, and `:.3` rounds to three decimals. `labels` are all labels, best first, with commas
//! between them. Outside of braces, `\t`, `\n`, `\r`, `\0` and `\\` are escapes, and `{{` and `}}` are braces. Tabs and
//! line breaks in values are escaped as in TSV, so the number of lines per image is fixed. Only if the template ends with
//! `\0`, for `xargs -0`, values are written unchanged. If an image failed, all its values except path, fields and error
//! are empty.

use std::io::{self, BufRead, Write};

use super::escapes::{escaped, meaning};
use super::resume::{Held, HeldRecords, line_ends};
use super::{Format, Labelled, Outcome, Record};
use crate::error::{Error, Result};

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<TemplatePart>,
}

#[derive(Debug, Clone, PartialEq)]
enum TemplatePart {
    Text(String),
    Value {
        kind: ValueKind,
        /// Which label or group; 0 is the best.
        rank: usize,
        decimals: Option<usize>,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum ValueKind {
    Path,
    Label,
    Labels,
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
    /// Whether the user means a template: no format's name has braces.
    pub fn is_meant(text: &str) -> bool {
        text.contains('{')
    }

    /// Parses a template. A line break is added if it doesn't end with one.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unbalanced brace or an unknown value.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\\' => match rest.chars().next().and_then(meaning) {
                    Some(meant) => {
                        literal.push(meant);
                        rest = &rest[1..];
                    }
                    None => literal.push(c),
                },
                '{' | '}' if rest.starts_with(c) => {
                    literal.push(c);
                    rest = &rest[1..];
                }
                '{' => {
                    let (inside, after) = rest
                        .split_once('}')
                        .ok_or_else(|| refused(text, "a `{` is not closed"))?;
                    parts.push(TemplatePart::Text(std::mem::take(&mut literal)));
                    parts.push(value(text, inside)?);
                    rest = after;
                }
                '}' => return Err(refused(text, "a `}` has no `{` before it")),
                other => literal.push(other),
            }
        }
        if !literal.ends_with(['\n', '\0']) {
            literal.push('\n');
        }
        parts.push(TemplatePart::Text(literal));
        Ok(Template { parts })
    }

    /// Whether it has the reason of a failure.
    pub fn has_errors(&self) -> bool {
        let is_error = |part: &TemplatePart| {
            matches!(
                part,
                TemplatePart::Value {
                    kind: ValueKind::Error,
                    ..
                }
            )
        };
        self.parts.iter().any(is_error)
    }

    /// What ends a record, and no value contains: a line break, or a zero byte.
    fn line_end(&self) -> char {
        match self.parts.last() {
            Some(TemplatePart::Text(text)) if text.ends_with('\0') => '\0',
            _ => '\n',
        }
    }

    /// The number of lines per record.
    fn n_lines(&self) -> usize {
        let line_end = self.line_end();
        let texts = self.parts.iter().map(|part| match part {
            TemplatePart::Text(text) => text.matches(line_end).count(),
            TemplatePart::Value { .. } => 0,
        });
        texts.sum()
    }

    fn line(&self, record: &Record) -> Vec<u8> {
        let line_end = self.line_end();
        let written = self.parts.iter().map(|part| match part {
            TemplatePart::Text(text) => text.clone().into_bytes(),
            TemplatePart::Value {
                kind: ValueKind::Path, ..
            } if line_end == '\0' => record.subject.bytes(),
            TemplatePart::Value { kind, rank, decimals } => match (written(record, kind, *rank, *decimals), line_end) {
                (value, '\0') => value.replace('\0', "").into_bytes(),
                (value, _) => escaped(&value).into_bytes(),
            },
        });
        written.collect::<Vec<_>>().concat()
    }
}

impl Format for Template {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        match &record.outcome {
            Outcome::Found(found) => found
                .iter()
                .try_for_each(|found| out.write_all(&self.line(&found.as_labelled()))),
            Outcome::Labels { .. } | Outcome::Embedding(_) | Outcome::Failed(_) => out.write_all(&self.line(record)),
        }
    }

    /// A line doesn't show which part of it is the path, so records are counted but not compared with the inputs.
    fn held(&self, file: Box<dyn BufRead>) -> Option<HeldRecords> {
        let n_lines = self.n_lines();
        let mut lines = line_ends(file, self.line_end() as u8);
        let mut end = 0;
        Some(Box::new(std::iter::from_fn(move || {
            let start = end;
            for _ in 0..n_lines {
                match lines.next()? {
                    Ok(line_end) => end = line_end,
                    Err(error) => return Some(Err(error)),
                }
            }
            Some(Ok(Held {
                name: None,
                start,
                end,
                failed: false,
            }))
        })))
    }
}

/// Parses what is inside a pair of braces.
fn value(template: &str, inside: &str) -> Result<TemplatePart> {
    let (name, digits) = inside.split_once(':').unwrap_or((inside, ""));
    let decimals = match digits.strip_prefix('.').map(str::parse) {
        Some(Ok(decimals)) if decimals <= 17 => Some(decimals),
        None if digits.is_empty() => None,
        _ => {
            let problem = format!("`:{digits}` is not a number of decimals like `:.3`");
            return Err(refused(template, &problem));
        }
    };
    if let Some(field) = name.strip_prefix("field.") {
        let kind = ValueKind::Field(field.to_owned());
        let rank = 0;
        return Ok(TemplatePart::Value { kind, rank, decimals });
    }
    let (name, rank) = match name.split_once('.') {
        Some((name, rank)) => match rank.parse::<usize>() {
            Ok(rank @ 1..) => (name, rank - 1),
            _ => {
                let problem = format!("`.{rank}` is not a rank; the best label has rank 1");
                return Err(refused(template, &problem));
            }
        },
        None => (name, 0),
    };
    let kind = match name {
        "path" | "id" => ValueKind::Path,
        "label" => ValueKind::Label,
        "labels" => ValueKind::Labels,
        "score" => ValueKind::Score,
        "probability" => ValueKind::Probability,
        "logit" => ValueKind::Logit,
        "cosine" => ValueKind::Cosine,
        "group" => ValueKind::Group,
        "group_score" => ValueKind::GroupScore,
        "error" => ValueKind::Error,
        other => return Err(refused(template, &format!("`{other}` is not a value"))),
    };
    Ok(TemplatePart::Value { kind, rank, decimals })
}

fn written(record: &Record, kind: &ValueKind, rank: usize, decimals: Option<usize>) -> String {
    let labelled = record.outcome.labels().get(rank);
    let number = |value: f64| match decimals {
        Some(decimals) => format!("{value:.decimals$}"),
        None => (value as f32).to_string(),
    };
    let of_label = |value: fn(&Labelled) -> Option<f64>| labelled.and_then(value).map_or_else(String::new, number);
    let grouped = record.outcome.groups().get(rank);
    match kind {
        ValueKind::Path => record.subject.to_string(),
        ValueKind::Label => labelled.map_or_else(String::new, |label| label.label.clone()),
        ValueKind::Labels => {
            let labels: Vec<&str> = record.outcome.labels().iter().map(|one| one.label.as_str()).collect();
            labels.join(", ")
        }
        ValueKind::Score => of_label(Labelled::score),
        ValueKind::Probability => of_label(|label| label.probability),
        ValueKind::Logit => of_label(|label| label.logit),
        ValueKind::Cosine => of_label(|label| label.cosine),
        ValueKind::Group => grouped.map_or_else(String::new, |group| group.group.clone()),
        ValueKind::GroupScore => grouped.map_or_else(String::new, |group| number(group.probability)),
        ValueKind::Error => record.outcome.failure().unwrap_or_default().to_owned(),
        ValueKind::Field(name) => match record.fields.get(name) {
            Some(value) if value.as_str() != "null" => value.to_string(),
            Some(_) | None => String::new(),
        },
    }
}

fn refused(template: &str, problem: &str) -> Error {
    Error::usage(
        format!("the template `{template}` can't be used: {problem}"),
        "values are {path}, {label}, {labels}, {score}, {logit}, {cosine}, {group}, {group_score}, {error} and {field.NAME}; {label.2} is the second label, {score:.3} has three decimals",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Subject;
    use super::super::specimen::{bare_records, held, records, written};
    use super::*;

    #[test]
    fn a_template_writes_one_line_per_image() {
        let mut template = Template::parse(r"{path}\t{score:.3}\t{label.2} {{{cosine}}} {field.n}{error}").unwrap();
        assert_eq!(
            written(&mut template, &records()),
            "a.jpg\t0.750\ttwo\\nlines {0.25} 1\nb.jpg\t\t {} no such file\n"
        );
    }

    #[test]
    fn a_score_is_the_probability_or_else_the_cosine() {
        let mut template = Template::parse("{score}|{probability}|{score.2}|{group}|{group_score:.1}").unwrap();
        assert_eq!(written(&mut template, &bare_records()), "0.25|||=a, b|0.8\n||||\n");
    }

    #[test]
    fn a_zero_byte_at_the_end_leaves_values_as_they_are() {
        let mut record = records()[0].clone();
        record.subject = Subject::Path("a\\b\nc.jpg".into());
        let mut template = Template::parse(r"{path}\0").unwrap();
        let whole = written(&mut template, &[record.clone(), record.clone()]);
        assert_eq!(whole, "a\\b\nc.jpg\0a\\b\nc.jpg\0");
        assert_eq!(held(&template, &whole).len(), 2);
        let mut lines = Template::parse("{path} {labels}").unwrap();
        assert_eq!(
            written(&mut lines, &[record]),
            "a\\b\\nc.jpg a \"cat\", lying, two\\nlines\n"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_not_utf_8_is_escaped_unless_it_ends_with_a_zero_byte() {
        use std::os::unix::ffi::OsStringExt;

        use super::super::specimen::bytes;
        let mut record = records()[0].clone();
        record.subject = Subject::Raw(std::ffi::OsString::from_vec(b"\xff.jpg".to_vec()));
        let written = |template: &str| bytes(&mut Template::parse(template).unwrap(), &[record.clone()]);
        assert_eq!(written("{path}"), b"\\xff.jpg\n");
        assert_eq!(written(r"{path}\0"), b"\xff.jpg\0");
    }

    #[test]
    fn errors_quote_the_template_and_list_the_values() {
        for text in ["{path", "path}", "{nonsense}", "{score:3}", "{label.0}"] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.to_string().contains(text) && error.hint().unwrap().to_string().contains("{path}"));
        }
    }

    #[test]
    fn a_record_of_several_lines_is_held_only_if_complete() {
        let mut template = Template::parse(r"{path}\n{label}\n").unwrap();
        let whole = written(&mut template, &records());
        assert_eq!(held(&template, &whole).len(), 2);
        assert_eq!(held(&template, &whole[..whole.len() - 1]).len(), 1);
    }
}
