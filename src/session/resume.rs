//! Continues the file of an interrupted run: how far it came, and whether this run would write the same.
//!
//! A file of results doesn't say which model, labels and options made it. To find out whether they are the same, the last
//! records are computed again and compared. So no other file has to be kept next to the results, and a file that was
//! finished, copied or piped can be continued too.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Run, Seen};
use crate::error::{Error, Result};
use crate::input::{Item, Items};
use crate::output::{Format, Held, Progress};

/// How many records are computed again: enough to notice other labels, even if only the best one's name is written.
const COMPARED: usize = 8;
/// How much numbers may differ: less than another number type changes them, but more than another CPU does.
const NEARLY: f64 = 1e-4;

/// What an interrupted run left.
#[derive(Default)]
pub struct HeldRun {
    /// How far it came.
    pub progress: Progress,
    path: PathBuf,
    last: Vec<Sample>,
}

/// A record and the item that it is about.
struct Sample {
    item: Item,
    text: String,
}

impl HeldRun {
    /// Reads a file's records, drawing from `items` what they are about.
    ///
    /// # Errors
    /// As [`Progress::of_file`].
    pub fn read(path: &Path, format: &dyn Format, items: &mut Items) -> Result<HeldRun> {
        let mut last: VecDeque<(Item, Range<u64>)> = VecDeque::new();
        let name_of = |record: &Held| {
            let item = items.next()?;
            let name = item.name.to_string();
            // A failure does not depend on labels or model, and its cause may be gone.
            if !record.failed {
                last.truncate(COMPARED - 1);
                last.push_front((item, record.start..record.end));
            }
            Some(name)
        };
        let progress = Progress::of_file(path, format, name_of)?;
        let failed = Error::read(path);
        let sample = |(item, range)| {
            let text = text_of(path, range).map_err(failed)?;
            Ok(Sample { item, text })
        };
        Ok(HeldRun {
            progress,
            path: path.to_owned(),
            last: last.into_iter().map(sample).collect::<Result<_>>()?,
        })
    }

    /// Computes the last records again with `encode`. An image that can no longer be read is not compared.
    ///
    /// # Errors
    /// [`Error::Usage`] if one would be written differently now; those of `encode`.
    pub fn check(&mut self, run: &Run<'_>, mut encode: impl FnMut(Item, Seen) -> Result<Vec<u8>>) -> Result<()> {
        for Sample { mut item, text } in self.last.drain(..) {
            let name = item.name.to_string();
            let Ok(seen) = run.see(&mut item) else { continue };
            let now = String::from_utf8_lossy(&encode(item, seen)?).into_owned();
            if let Some(at) = first_difference(&text, &now) {
                let (then, now) = (excerpt(&text, at), excerpt(&now, at));
                return Err(Error::usage(
                    format!(
                        "`{}` can't be resumed: the record of `{name}` would differ: the file has `{then}`, this run `{now}`",
                        self.path.display()
                    ),
                    "give the labels, the model and the options of the interrupted run, or name another output file",
                ));
            }
        }
        Ok(())
    }
}

fn text_of(path: &Path, range: Range<u64>) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where two texts begin to differ by more than the last digits of their numbers, in bytes of the first.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    let (mut rest_a, mut rest_b) = (a, b);
    while !rest_a.is_empty() || !rest_b.is_empty() {
        let (token_a, token_b) = (first_token(rest_a), first_token(rest_b));
        if token_a != token_b && !are_near(token_a, token_b) {
            return Some(a.len() - rest_a.len());
        }
        rest_a = &rest_a[token_a.len()..];
        rest_b = &rest_b[token_b.len()..];
    }
    None
}

/// A number, or a single character of anything else.
fn first_token(text: &str) -> &str {
    let is_of_number = |c: char| c.is_ascii_digit() || ['.', 'e', '-'].contains(&c);
    let end = match text.chars().next() {
        Some(c) if c.is_ascii_digit() => {
            let run = &text[..text.find(|c| !is_of_number(c)).unwrap_or(text.len())];
            // The dot of `7.jpg` is not the number's.
            run.trim_end_matches(['.', 'e', '-']).len()
        }
        Some(c) => c.len_utf8(),
        None => 0,
    };
    &text[..end]
}

/// Whether two tokens are numbers with decimals that differ by rounding only.
fn are_near(a: &str, b: &str) -> bool {
    let number = |text: &str| text.contains(['.', 'e']).then(|| text.parse::<f64>().ok()).flatten();
    let last_digit = |text: &str| {
        let decimals = text.split('.').nth(1).map_or(0, |digits| digits.len().min(300));
        if text.contains('e') {
            0.0
        } else {
            10_f64.powi(-(decimals as i32))
        }
    };
    let (Some(x), Some(y)) = (number(a), number(b)) else {
        return false;
    };
    (x - y).abs() <= NEARLY * x.abs().max(y.abs()) + last_digit(a).max(last_digit(b)) * 1.5
}

/// Some characters around a place.
fn excerpt(text: &str, at: usize) -> String {
    const BEFORE: usize = 12;
    const LENGTH: usize = 48;
    let n_before = text.char_indices().take_while(|(i, _)| *i < at).count();
    let shown: String = text
        .chars()
        .skip(n_before.saturating_sub(BEFORE))
        .take(LENGTH)
        .collect();
    shown.trim_end().replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_differ_in_their_last_digits_and_nothing_else_may() {
        let line = r#"{"path":"a 10001.jpg","labels":[{"label":"v1.5","probability":0.7312345,"logit":2e-7}]}"#;
        let same = [
            ("0.7312345", "0.7312346"),
            ("0.7312345", "0.7312399"),
            ("2e-7", "2.0001e-7"),
        ];
        for (there, here) in same {
            assert_eq!(first_difference(line, &line.replace(there, here)), None, "{here}");
        }
        let other = [
            ("0.7312345", "0.7322"),
            ("10001", "10002"),
            ("v1.5", "v1.7"),
            ("}]", "}"),
            ("2e-7", "3e-7"),
        ];
        for (there, here) in other {
            let at = first_difference(line, &line.replace(there, here)).expect(here);
            assert!(
                line[at..].starts_with(&there[..1]) || there.contains(&line[at..=at]),
                "{here} at {at}"
            );
        }
    }

    #[test]
    fn few_decimals_may_round_the_other_way() {
        assert_eq!(first_difference("0.731 a cat", "0.732 a cat"), None);
        assert!(first_difference("0.731 a cat", "0.735 a cat").is_some());
    }
}
