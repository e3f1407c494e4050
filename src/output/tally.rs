//! How often each label was the best: the end of a long run on a terminal.

use std::collections::HashMap;

use super::cells::{one_line, told_apart};
use super::record::percent;
use super::terminal::{IN_FULL_MAX, LISTED_MAX, NUMBER_COLUMNS, Terminal, right};

/// Counts answers.
#[derive(Debug, Default)]
pub struct Tally {
    /// All answers that there may be. Shortened, they stay different from each other.
    pub(super) possible: Vec<String>,
    n_of: HashMap<String, u64>,
    n_images: u64,
    n_answers: u64,
}

impl Tally {
    /// Counts answers that are usually some of these.
    pub fn of(possible: &[String]) -> Self {
        Tally {
            possible: possible.to_vec(),
            ..Tally::default()
        }
    }

    /// Counts one image with this answer.
    pub fn add(&mut self, answer: &str) {
        self.add_all([answer]);
    }

    /// Counts one image with all these answers.
    pub fn add_all<'a>(&mut self, answers: impl IntoIterator<Item = &'a str>) {
        self.n_images += 1;
        for answer in answers {
            self.n_answers += 1;
            *self.n_of.entry(answer.to_owned()).or_default() += 1;
        }
    }

    /// A line for each answer, the most frequent first; none if so few images can be seen at a glance.
    pub fn lines(&self, terminal: Terminal) -> Vec<String> {
        if self.n_images <= IN_FULL_MAX {
            return Vec::new();
        }
        let mut sorted: Vec<(&String, u64)> = self.n_of.iter().map(|(answer, n)| (answer, *n)).collect();
        sorted.sort_by(|(a, n_a), (b, n_b)| n_b.cmp(n_a).then(a.cmp(b)));
        let answers = sorted.iter().map(|(answer, _)| *answer).chain(&self.possible);
        let answers: Vec<String> = answers.map(|answer| one_line(answer)).collect();
        let answers = told_apart(&answers, terminal.columns_after_bar(2));
        let heading = terminal.colour.heading(&format!("{} images", self.n_images));
        let mut lines = vec![String::new(), heading];
        for ((_, n), answer) in sorted.iter().zip(answers).take(LISTED_MAX) {
            let share = *n as f64 / self.n_images as f64;
            let (count, percent) = (
                right(&n.to_string(), NUMBER_COLUMNS),
                right(&percent(share), NUMBER_COLUMNS),
            );
            lines.push(terminal.with_bar_in_one_line(&format!("  {count}  {percent}  "), share, &answer));
        }
        if let Some(n_more @ 1..) = sorted.len().checked_sub(LISTED_MAX) {
            let n_images: u64 = sorted[LISTED_MAX..].iter().map(|(_, n)| n).sum();
            // Images with several tags would be counted several times.
            let (count, what) = match self.n_answers == self.n_images {
                true => (n_images.to_string(), "labels"),
                false => (String::new(), "tags"),
            };
            lines.push(format!("  {}  {n_more} other {what}", right(&count, NUMBER_COLUMNS)));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::terminal::Colour;
    use super::*;

    const TERMINAL: Terminal = Terminal {
        width_columns: 40,
        colour: Colour::Off,
        n_images: None,
        n_listed_max: None,
    };

    #[test]
    fn counts_the_most_frequent_label_first_and_says_what_is_not_listed() {
        let mut tally = Tally::default();
        for i in 0..20 {
            tally.add(&format!("label {i:02}"));
        }
        assert!(tally.lines(TERMINAL).is_empty());
        for _ in 0..60 {
            tally.add("一只猫 asleep on a sofa in the sun");
        }
        for i in 0..3 {
            tally.add(&format!("other {i}"));
        }
        let lines = tally.lines(TERMINAL);
        insta::assert_snapshot!(lines[1..4].join("\n") + "\n" + &lines[22..].join("\n"), @r"
        83 images
               60    72.3%  █████▊    一只猫 as…
                1     1.2%  ▏         label 00
                4  4 other labels
        ");
    }

    #[test]
    fn tags_are_counted_in_each_image_that_has_them() {
        let mut tally = Tally::default();
        for i in 0..25 {
            tally.add_all(["cat", "animal", &format!("tag {i}")]);
        }
        let lines = tally.lines(TERMINAL);
        insta::assert_snapshot!(lines[1..5].join("\n") + "\n" + &lines[22..].join("\n"), @r"
        25 images
               25   100.0%  ████████  animal
               25   100.0%  ████████  cat
                1     4.0%  ▍         tag 0
                   7 other tags
        ");
    }
}
