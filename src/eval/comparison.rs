//! Two models on the same data: each metric of both, and which differences are real, by a paired bootstrap over images.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::bootstrap::{Bootstrap, Difference, Ratio};
use super::interval::percent;
use crate::model::LongClip;
use crate::named::Named;
use crate::output::report::{Column, ReportPage};
use crate::weights::TextPositions;

/// What an evaluation says about a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// The name it was loaded by.
    pub name: String,
    /// The numbers it computes with.
    pub dtype: String,
    /// The number of tokens it reads.
    pub context_length: usize,
    /// Which of the text positions of its file it uses.
    pub positions: TextPositions,
}

impl ModelFacts {
    /// Of a loaded model.
    pub fn of(name: &str, dtype: &str, model: &LongClip) -> Self {
        ModelFacts {
            name: name.to_owned(),
            dtype: dtype.to_owned(),
            context_length: model.sizes().context_length,
            positions: model.text_positions(),
        }
    }
}

/// The models' names without their folders, with what distinguishes the models if the names are the same.
pub fn display_names(models: &[ModelFacts]) -> Vec<String> {
    let is_same = |of: fn(&ModelFacts) -> String| models.iter().all(|one| of(one) == of(&models[0]));
    let distinctions: [fn(&ModelFacts) -> String; 3] = [
        |model| model.dtype.clone(),
        |model| format!("{} tokens", model.context_length),
        |model| format!("{} positions", model.positions.name()),
    ];
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    let mut display_names: Vec<String> = short_names(&names).into_iter().map(str::to_owned).collect();
    if is_same(|model| model.name.clone()) {
        for of in distinctions.into_iter().filter(|of| !is_same(*of)) {
            for (display_name, model) in display_names.iter_mut().zip(models) {
                *display_name += &format!(", {}", of(model));
            }
        }
    }
    display_names
}

/// Names without their folders, unless the folders distinguish them.
fn short_names<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let last = |name: &&'a str| Path::new(*name).file_name().and_then(OsStr::to_str).unwrap_or(name);
    let short: Vec<&str> = names.iter().map(last).collect();
    let n_distinct = |names: &[&str]| names.iter().collect::<HashSet<_>>().len();
    if n_distinct(&short) == n_distinct(names) {
        short
    } else {
        names.to_vec()
    }
}

/// A metric as a function of how often each image was drawn.
pub type ValueOfDraw = Box<dyn Fn(&[u32]) -> f64>;

/// A metric of one model, which can be computed for any draw of images.
pub struct Metric {
    /// Its name in JSON.
    pub key: String,
    /// Its name in a table.
    pub name: String,
    /// How it is written.
    pub scale: Scale,
    /// Its value if image i counts `times[i]` times.
    pub value: ValueOfDraw,
}

impl Metric {
    /// A metric that is the ratio of two sums of `parts`, one per image.
    pub fn of_ratio(key: &str, name: &str, scale: Scale, parts: Vec<(f64, f64)>) -> Self {
        let ratio = Ratio { parts };
        Metric {
            key: key.to_owned(),
            name: name.to_owned(),
            scale,
            value: Box::new(move |times| ratio.value(times)),
        }
    }
}

/// How a metric is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// In percent.
    Share,
    /// Unchanged.
    Number,
}

impl Scale {
    fn value(self, value: f64) -> String {
        match self {
            Scale::Share => percent(value),
            Scale::Number => format!("{value:.3}"),
        }
    }

    fn signed(self, value: f64) -> String {
        match self {
            Scale::Share => format!("{:+.1}", 100.0 * value),
            Scale::Number => format!("{value:+.3}"),
        }
    }
}

/// A metric of both models.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Its name in JSON.
    pub key: String,
    /// Its name in a table.
    pub name: String,
    /// How it is written.
    pub scale: Scale,
    /// The first model's value.
    pub first: f64,
    /// The second model's value.
    pub second: f64,
    /// The first minus the second.
    pub difference: Difference,
}

/// Two models on the same data.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    models: [ModelFacts; 2],
    bootstrap: Bootstrap,
    /// One row per metric.
    pub rows: Vec<Compared>,
}

impl Comparison {
    /// Compares two models, each with its metrics, on `n_images` images, if there are two.
    pub fn of_two(models: Vec<(ModelFacts, Vec<Metric>)>, n_images: usize, bootstrap: Bootstrap) -> Option<Self> {
        let [(a, of_a), (b, of_b)] = <[_; 2]>::try_from(models).ok()?;
        Some(Comparison::new([a, b], [of_a, of_b], n_images, bootstrap))
    }

    /// Compares two models by their metrics, which are the same ones in the same order, over the same `n_images` images.
    ///
    /// # Panics
    /// If there are no images or no resamples.
    pub fn new(
        models: [ModelFacts; 2],
        [first, second]: [Vec<Metric>; 2],
        n_images: usize,
        bootstrap: Bootstrap,
    ) -> Self {
        let differences = bootstrap.paired(n_images, |times| {
            let pairs = first.iter().zip(&second);
            pairs.map(|(a, b)| (a.value)(times) - (b.value)(times)).collect()
        });
        let all = vec![1; n_images];
        let rows = first.into_iter().zip(second).zip(differences);
        let rows = rows.map(|((first, second), difference)| Compared {
            first: (first.value)(&all),
            second: (second.value)(&all),
            key: first.key,
            name: first.name,
            scale: first.scale,
            difference,
        });
        Comparison {
            models,
            bootstrap,
            rows: rows.collect(),
        }
    }

    /// As text for a terminal.
    pub fn table(&self) -> String {
        let names = display_names(&self.models);
        let [a, b] = [&names[0], &names[1]].map(|name| name.chars().count().max(8));
        let name_width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut text = format!("{:<name_width$}  {:>a$}  {:>b$}  difference\n", "", names[0], names[1]);
        for row in &self.rows {
            let [name, first, second, difference, interval, verdict] = row.cells();
            let line = format!(
                "{name:<name_width$}  {first:>a$}  {second:>b$}  {difference:>7}  {:<20}  {verdict}",
                format!("({interval})")
            );
            text += &format!("{}\n", line.trim_end());
        }
        format!("{text}{}\n", self.explanation())
    }

    /// How the differences were computed.
    fn explanation(&self) -> String {
        let names = display_names(&self.models);
        format!(
            "differences: {} minus {}, with 95% intervals of a paired bootstrap, {} draws of images, seed {}; real: the \
             interval excludes 0",
            names[0], names[1], self.bootstrap.n_resamples, self.bootstrap.seed
        )
    }

    /// As a section of a page.
    pub(super) fn add_to(&self, page: &mut ReportPage) {
        page.heading("Which differences are real");
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.cells().into()).collect();
        let names = display_names(&self.models);
        let columns = [
            ("", Column::Words),
            (names[0].as_str(), Column::Numbers),
            (names[1].as_str(), Column::Numbers),
            ("difference", Column::Numbers),
            ("95% interval", Column::Numbers),
            ("", Column::Words),
        ];
        page.table(&columns, &rows);
        page.text(&self.explanation());
    }

    /// As JSON, about the second model.
    pub fn to_json(&self) -> Value {
        let second = &self.models[1];
        let map = |of: &dyn Fn(&Compared) -> Value| -> Map<String, Value> {
            self.rows.iter().map(|row| (row.key.clone(), of(row))).collect()
        };
        json!({
            "model": second.name,
            "dtype": second.dtype,
            "context_length": second.context_length,
            "metrics": map(&|row| json!(row.second)),
            "differences": map(&|row| json!({
                "value": row.difference.0.value,
                "interval_95": [row.difference.0.low, row.difference.0.high],
                "real": row.difference.is_real(),
            })),
            "n_resamples": self.bootstrap.n_resamples,
            "seed": self.bootstrap.seed,
        })
    }
}

impl Compared {
    /// Name, both values, difference, its interval, verdict.
    fn cells(&self) -> [String; 6] {
        let Compared { scale, difference, .. } = self;
        let signed = |value: f64| scale.signed(value);
        [
            self.name.clone(),
            scale.value(self.first),
            scale.value(self.second),
            signed(difference.0.value),
            format!("{} to {}", signed(difference.0.low), signed(difference.0.high)),
            if difference.is_real() { "real" } else { "" }.to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, dtype: &str, context_length: usize) -> ModelFacts {
        ModelFacts {
            name: name.into(),
            dtype: dtype.into(),
            context_length,
            positions: TextPositions::Joined,
        }
    }

    #[test]
    fn names_lose_their_folders_unless_these_distinguish_them() {
        assert_eq!(
            short_names(&["runs/a/ema.safetensors", "nano"]),
            ["ema.safetensors", "nano"]
        );
        assert_eq!(short_names(&["a/best.pt", "b/best.pt"]), ["a/best.pt", "b/best.pt"]);
        assert_eq!(short_names(&["a/best.pt", "a/best.pt"]), ["best.pt", "best.pt"]);
    }

    #[test]
    fn equal_names_are_followed_by_what_distinguishes_the_models() {
        assert_eq!(
            display_names(&[model("a/b", "f32", 248), model("a/b", "int8", 77)]),
            ["b, f32, 248 tokens", "b, int8, 77 tokens"]
        );
        assert_eq!(
            display_names(&[model("b", "f32", 248), model("b", "int8", 248)]),
            ["b, f32", "b, int8"]
        );
        let first = ModelFacts {
            positions: TextPositions::First,
            ..model("b", "f32", 248)
        };
        assert_eq!(
            display_names(&[first, model("b", "f32", 248)]),
            ["b, first positions", "b, joined positions"]
        );
        assert_eq!(
            display_names(&[model("a", "f32", 248), model("b", "int8", 248)]),
            ["a", "b"]
        );
    }
}
