//! `--compare MODEL`: measures two models on the same data, and says which differences are real.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use longclip::eval::beside;
use longclip::eval::bootstrap::{Bootstrap, Difference};
use longclip::model::NumberType;
use longclip::output::report::{Column, ReportPage};
use longclip::{Error, Result};
use serde_json::{Map, Value, json};

use crate::cli::model_flags::{Loaded, ModelFlags, OtherModel};
use crate::cli::named::named;
use crate::cli::report::Report;

/// The model to compare with, and how the comparison is made.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct CompareFlags {
    /// Also measure this model on the same data, and say which differences are real (paired bootstrap)
    #[arg(long, value_name = "MODEL")]
    compare: Option<String>,
    /// The numbers that the other model computes with [default: as `--dtype`]
    #[arg(long, value_name = "TYPE", hide_short_help = true, value_parser = named::<NumberType>())]
    compare_dtype: Option<NumberType>,
    /// Don't stretch the other model's 77-row position table
    #[arg(long, hide_short_help = true, requires = "compare")]
    compare_no_stretch: bool,
    /// Number of resamples
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = resamples, hide_short_help = true)]
    resamples: usize,
    /// Seed of the resampling; the same seed gives the same intervals
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    pub(super) seed: u64,
}

fn resamples(text: &str) -> std::result::Result<usize, String> {
    let number = text.parse().ok().filter(|n| (100..=1_000_000).contains(n));
    number.ok_or_else(|| "expected a number from 100 to 1,000,000".to_owned())
}

impl CompareFlags {
    /// The other model's name as typed.
    pub(super) fn model(&self) -> Option<&str> {
        self.compare.as_deref()
    }

    /// The models to measure: the first one, and the one to compare it with.
    pub(super) fn contenders(&self, first: &ModelFlags, report: Report) -> Result<Vec<Contender>> {
        let other = self.other(first)?;
        let mut contenders = vec![Contender::load(first, None, report)?];
        if let Some(other) = other {
            contenders.push(Contender::load(&other, Some("compared"), report)?);
        }
        Ok(contenders)
    }

    /// The flags of the other model, if there is one: those of the first, with the other's changes.
    fn other(&self, first: &ModelFlags) -> Result<Option<ModelFlags>> {
        if self.compare.is_none() && self.compare_dtype.is_none() {
            return Ok(None);
        }
        let other = first.other(&OtherModel {
            name: self.compare.as_deref(),
            dtype: self.compare_dtype,
            no_stretch: self.compare_no_stretch,
        });
        if other.is_same_as(first) {
            return Err(Error::usage(
                "the model is compared with itself",
                "name another by `--compare`, or another number type by `--compare-dtype`",
            ));
        }
        Ok(Some(other))
    }

    pub(super) fn bootstrap(&self) -> Bootstrap {
        Bootstrap {
            n_resamples: self.resamples,
            seed: self.seed,
        }
    }
}

/// A model, with the flags that it was loaded by.
pub(super) struct Contender {
    pub(super) loaded: Loaded,
    /// What distinguishes the file of its embeddings.
    ending: Option<&'static str>,
}

impl Contender {
    fn load(flags: &ModelFlags, ending: Option<&'static str>, report: Report) -> Result<Self> {
        let loaded = flags.load(report)?;
        Ok(Contender { loaded, ending })
    }

    /// The file of its embeddings of a kind, if `first` is that of the first model.
    pub(super) fn kept(&self, first: Option<&Path>, kind: Option<&str>) -> Option<PathBuf> {
        let endings = self.ending.into_iter().chain(kind);
        Some(endings.fold(first?.to_owned(), |path, ending| beside(&path, ending)))
    }
}

/// The models' names, without the folders of files, with what distinguishes them if their names are the same.
pub(super) fn labels(contenders: &[Contender]) -> Vec<String> {
    let names: Vec<&str> = contenders
        .iter()
        .map(|contender| contender.loaded.name.as_str())
        .collect();
    let is_same = |of: &dyn Fn(&Contender) -> String| contenders.iter().all(|one| of(one) == of(&contenders[0]));
    let dtype = |contender: &Contender| contender.loaded.dtype().to_owned();
    let tokens = |contender: &Contender| format!("{} tokens", contender.loaded.model.sizes().context_length);
    let label = |(contender, name): (&Contender, &str)| {
        let mut label = name.to_owned();
        if is_same(&|one| one.loaded.name.clone()) {
            let parts = [
                (is_same(&dtype), dtype(contender)),
                (is_same(&tokens), tokens(contender)),
            ];
            label.extend(
                parts
                    .iter()
                    .filter(|(is_same, _)| !is_same)
                    .map(|(_, part)| format!(", {part}")),
            );
        }
        label
    };
    contenders.iter().zip(short_names(&names)).map(label).collect()
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

/// Two models on the same data.
pub(super) struct Comparison {
    /// The models' names; they differ.
    pub(super) models: [String; 2],
    pub(super) bootstrap: Bootstrap,
    pub(super) rows: Vec<Compared>,
}

/// A metric of both models.
pub(super) struct Compared {
    /// Its name in JSON.
    pub(super) key: String,
    /// Its name in a table.
    pub(super) name: String,
    pub(super) scale: Scale,
    pub(super) first: f64,
    pub(super) second: f64,
    pub(super) difference: Difference,
}

/// How a metric is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// In percent.
    Share,
    /// Unchanged.
    Number,
}

impl Scale {
    pub(super) fn value(self, value: f64) -> String {
        match self {
            Scale::Share => format!("{:.1}%", 100.0 * value),
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

impl Compared {
    fn interval(&self) -> String {
        let Compared { scale, difference, .. } = self;
        format!(
            "{} to {}",
            scale.signed(difference.0.low),
            scale.signed(difference.0.high)
        )
    }

    fn verdict(&self) -> &'static str {
        if self.difference.is_real() { "real" } else { "" }
    }
}

impl Comparison {
    /// For people.
    pub(super) fn table(&self) -> String {
        let [first, second] = &self.models;
        let names = self.rows.iter().map(|row| row.name.chars().count());
        let name_width = names.max().unwrap_or(0);
        let [a, b] = [first, second].map(|model| model.chars().count().max(8));
        let mut text = format!("{:<name_width$}  {first:>a$}  {second:>b$}  difference\n", "");
        for row in &self.rows {
            let line = format!(
                "{:<name_width$}  {:>a$}  {:>b$}  {:>7}  {:<20}  {}",
                row.name,
                row.scale.value(row.first),
                row.scale.value(row.second),
                row.scale.signed(row.difference.0.value),
                format!("({})", row.interval()),
                row.verdict()
            );
            text += &format!("{}\n", line.trim_end());
        }
        format!("{text}{}\n", self.explanation())
    }

    /// How the differences were computed.
    fn explanation(&self) -> String {
        let [first, second] = &self.models;
        format!(
            "differences: {first} minus {second}, with 95% intervals of a paired bootstrap, {} draws of pictures, seed {}; real: 0 lies \
             outside",
            self.bootstrap.n_resamples, self.bootstrap.seed
        )
    }

    /// For a page.
    pub(super) fn add_to(&self, page: &mut ReportPage) {
        page.heading("Which differences are real");
        let row = |row: &Compared| {
            vec![
                row.name.clone(),
                row.scale.value(row.first),
                row.scale.value(row.second),
                row.scale.signed(row.difference.0.value),
                row.interval(),
                row.verdict().to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(row).collect();
        let [first, second] = &self.models;
        let columns = [
            ("", Column::Words),
            (first.as_str(), Column::Numbers),
            (second.as_str(), Column::Numbers),
            ("difference", Column::Numbers),
            ("95% interval", Column::Numbers),
            ("", Column::Words),
        ];
        page.table(&columns, &rows);
        page.text(&self.explanation());
    }

    /// For programs, about the second model.
    pub(super) fn to_json(&self, second: &Contender) -> Value {
        let map = |of: &dyn Fn(&Compared) -> Value| -> Map<String, Value> {
            self.rows.iter().map(|row| (row.key.clone(), of(row))).collect()
        };
        json!({
            "model": second.loaded.name,
            "dtype": second.loaded.dtype(),
            "context_length": second.loaded.model.sizes().context_length,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_folders_unless_these_distinguish_them() {
        assert_eq!(
            short_names(&["runs/a/ema.safetensors", "nano"]),
            ["ema.safetensors", "nano"]
        );
        assert_eq!(short_names(&["a/best.pt", "b/best.pt"]), ["a/best.pt", "b/best.pt"]);
        assert_eq!(short_names(&["a/best.pt", "a/best.pt"]), ["best.pt", "best.pt"]);
    }
}
