//! `--compare MODEL`: two models on the same data, and which differences between them are real.

use longclip::eval::bootstrap::{Bootstrap, Difference};
use longclip::{Error, Result};
use serde_json::{Map, Value, json};

use crate::cli::model_flags::{Dtype, ModelFlags, Stretch};

/// What a model is compared with, and how sure the answer shall be.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct CompareFlags {
    /// Measure this model on the same data too, and say which differences are real (paired bootstrap)
    #[arg(long, value_name = "MODEL")]
    compare: Option<String>,
    /// The numbers that the other model computes with [default: as `--dtype`]
    #[arg(long, value_name = "TYPE", hide_short_help = true)]
    compare_dtype: Option<Dtype>,
    /// Use the other model's 77-row position table as it is
    #[arg(long, hide_short_help = true, requires = "compare")]
    compare_no_stretch: bool,
    /// How often is drawn
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = resamples, hide_short_help = true)]
    resamples: usize,
    /// Decides what is drawn; the same seed gives the same intervals
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    pub(super) seed: u64,
}

fn resamples(text: &str) -> std::result::Result<usize, String> {
    let number = text.parse().ok().filter(|n| (100..=1_000_000).contains(n));
    number.ok_or_else(|| "expected a number from 100 to 1,000,000".to_owned())
}

impl CompareFlags {
    /// The flags of the other model, where there is one: those of the first, with what is said of it.
    pub(super) fn other(&self, first: &ModelFlags) -> Result<Option<ModelFlags>> {
        if self.compare.is_none() && self.compare_dtype.is_none() {
            return Ok(None);
        }
        let stretch = match self.compare_no_stretch {
            true => Stretch::Never,
            false => Stretch::AsAlways,
        };
        let other = first.other(self.compare.as_deref(), self.compare_dtype, stretch);
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

/// A metric of both models.
pub(super) struct Compared {
    /// As json says it.
    pub(super) key: String,
    /// As a table says it.
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
    /// As it is.
    Number,
}

impl Scale {
    pub(super) fn value(self, value: f64) -> String {
        match self {
            Scale::Share => format!("{:.1} %", 100.0 * value),
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

/// The comparison as people read it.
pub(super) fn table(models: [&str; 2], compared: &[Compared], bootstrap: Bootstrap) -> String {
    let [first, second] = models;
    let name_width = compared
        .iter()
        .map(|row| row.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(6);
    let widths = models.map(|model| model.chars().count().max(8));
    let mut text = format!(
        "{:<name_width$}  {first:>a$}  {second:>b$}  difference\n",
        "",
        a = widths[0],
        b = widths[1]
    );
    for Compared {
        name,
        scale,
        first,
        second,
        difference,
        ..
    } in compared
    {
        let interval = format!(
            "{} to {}",
            scale.signed(difference.0.low),
            scale.signed(difference.0.high)
        );
        text += &format!(
            "{name:<name_width$}  {:>a$}  {:>b$}  {:>7}  ({interval}){}\n",
            scale.value(*first),
            scale.value(*second),
            scale.signed(difference.0.value),
            if difference.is_real() { "  real" } else { "" },
            a = widths[0],
            b = widths[1]
        );
    }
    text + &explanation(models, bootstrap)
}

/// How the differences were come by.
pub(super) fn explanation(models: [&str; 2], bootstrap: Bootstrap) -> String {
    format!(
        "differences are {} minus {}, with 95 % intervals of a paired bootstrap: {} draws of pictures, seed {}; real: 0 lies outside\n",
        models[0], models[1], bootstrap.n_resamples, bootstrap.seed
    )
}

/// The comparison as programs read it.
pub(super) fn to_json(model: &str, dtype: &str, compared: &[Compared], bootstrap: Bootstrap) -> Value {
    let map = |of: &dyn Fn(&Compared) -> Value| -> Map<String, Value> {
        compared.iter().map(|row| (row.key.clone(), of(row))).collect()
    };
    json!({
        "model": model,
        "dtype": dtype,
        "metrics": map(&|row| json!(row.second)),
        "differences": map(&|row| json!({
            "value": row.difference.0.value,
            "interval_95": [row.difference.0.low, row.difference.0.high],
            "real": row.difference.is_real(),
        })),
        "n_resamples": bootstrap.n_resamples,
        "seed": bootstrap.seed,
    })
}
