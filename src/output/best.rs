//! The best answer for an image, and one line about it.

use super::cells::{end, width};
use super::record::percent;
use super::terminal::{NUMBER_COLUMNS, Terminal, right};
use super::{Grouped, Labelled, Outcome};

/// The best answer for an image, and by how much it is better than the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Best {
    /// The label, or the group if labels are grouped.
    pub answer: String,
    /// Its score, for people.
    pub score: String,
    /// Its margin in percentage points, or in cosine; empty if there is no second answer.
    pub margin: String,
}

impl Best {
    /// Of groups if there are any, else of labels; `None` if none reaches the threshold.
    pub fn of(labels: &[Labelled], groups: &[Grouped]) -> Option<Best> {
        if let [first, rest @ ..] = groups {
            let second = rest.first().map(|group| group.probability);
            return Some(Best {
                answer: first.group.clone(),
                score: percent(first.probability),
                margin: second.map_or_else(String::new, |second| points(first.probability - second)),
            });
        }
        let (first, second) = (labels.first()?, labels.get(1));
        let margin = match (first.probability, second.and_then(|label| label.probability)) {
            (Some(first), Some(second)) => points(first - second),
            (Some(_), None) => String::new(),
            (None, _) => {
                let cosines = first.cosine.zip(second.and_then(|label| label.cosine));
                cosines.map_or_else(String::new, |(first, second)| format!("{:+.4}", first - second))
            }
        };
        Some(Best {
            answer: first.label.clone(),
            score: first.score_text(),
            margin,
        })
    }

    pub(super) fn of_outcome(outcome: &Outcome) -> Option<Best> {
        Best::of(outcome.labels(), outcome.groups())
    }

    /// One line of a terminal about a file that goes from one place to another because of its best answer.
    pub fn moved(best: Option<&Best>, terminal: Terminal, from: &str, to: &str) -> String {
        let (score, margin) = best.map_or(("", ""), |best| (&best.score, &best.margin));
        let start = format!(
            "  {}  {}  ",
            right(score, NUMBER_COLUMNS),
            right(margin, NUMBER_COLUMNS)
        );
        let room = terminal.width_columns.saturating_sub(width(&start) + " -> ".len());
        let to = end(to, room - room / 2);
        let from = end(from, room.saturating_sub(width(&to)));
        format!("{start}{from} -> {}", terminal.colour.winner(&to))
    }
}

/// A difference of probabilities in percentage points.
fn points(difference: f64) -> String {
    format!("{:+.1}", difference * 100.0)
}
