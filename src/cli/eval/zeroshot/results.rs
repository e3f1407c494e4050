//! What `eval zeroshot` prints: a table for people, or JSON with the keys of CLIP_benchmark's files.

use std::io;

use longclip::eval::interval::Estimate;
use longclip::eval::zeroshot::{Confusion, Measures, N_BINS, N_RESAMPLES};
use longclip::output::one_line;
use serde_json::{Value, json};

use crate::cli::eval::compare::{Comparison, Contender};
use crate::cli::print_format::PrintFormat;

/// Pairs of confused classes that are shown.
const PAIRS: usize = 10;

/// The results of one model, or of two.
pub(super) struct Results<'a> {
    pub(super) model: &'a str,
    pub(super) dtype: String,
    pub(super) data: &'a str,
    pub(super) about: &'a str,
    /// How prompts are made of classes, in words.
    pub(super) prompts: &'a str,
    pub(super) labels: &'a [String],
    pub(super) measures: &'a Measures,
    pub(super) n_failed: usize,
    pub(super) images_per_s: Option<f64>,
    pub(super) seed: u64,
    pub(super) contenders: &'a [Contender],
    pub(super) comparison: Option<Comparison>,
}

impl Results<'_> {
    pub(super) fn print(&self, format: PrintFormat) -> io::Result<()> {
        format.print(|| self.table(), || self.json())
    }

    /// The model and the data.
    pub(super) fn about(&self) -> [String; 2] {
        let failed = match self.n_failed {
            0 => String::new(),
            n => format!(" ({n} more could not be used)"),
        };
        [
            format!("{} in {}, on {} ({})", self.model, self.dtype, self.data, self.about),
            format!(
                "{} {}{failed}, {} classes; asked by {}",
                self.measures.n_pictures,
                if self.measures.n_pictures == 1 {
                    "picture"
                } else {
                    "pictures"
                },
                self.measures.n_classes,
                self.prompts
            ),
        ]
    }

    fn table(&self) -> String {
        let Measures { acc1, acc5, .. } = self.measures;
        let mut text = self.about().join("\n") + "\n\n";
        text += &row("top-1", Some(acc1), "95%: Wilson");
        text += &row("top-5", acc5.as_ref(), "95%: Wilson");
        text += &row(
            "mean per-class recall",
            Some(&self.measures.mean_per_class_recall),
            &format!("95%: {N_RESAMPLES} resamples of the pictures, seed {}", self.seed),
        );
        text += &format!(
            "{:<24}{:>7.4}  {N_BINS} bins\n",
            "calibration error", self.measures.calibration_error
        );
        if let Some(rate) = self.images_per_s {
            text += &format!("{:<24}{rate:>7.1}  images/s\n", "speed");
        }
        if !self.measures.confusions.is_empty() {
            text += "\ntaken for another most often\n";
        }
        for Confusion { truth, predicted, n } in self.measures.confusions.iter().take(PAIRS) {
            let (truth, predicted) = (one_line(&self.labels[*truth]), one_line(&self.labels[*predicted]));
            text += &format!("{n:>7}  {truth} as {predicted}\n");
        }
        if let Some(comparison) = &self.comparison {
            text += &format!("\n{}", comparison.table());
        }
        text
    }

    fn json(&self) -> Value {
        let measures = self.measures;
        let interval = |estimate: &Estimate| json!([estimate.low, estimate.high]);
        let pair = |found: &Confusion| {
            json!({
                "class": self.labels[found.truth],
                "predicted": self.labels[found.predicted],
                "n": found.n,
            })
        };
        let mut json = json!({
            "dataset": self.data,
            "model": self.model,
            "pretrained": self.model,
            "dtype": self.dtype,
            "task": "zeroshot_classification",
            "language": "en",
            "metrics": {
                "acc1": measures.acc1.value,
                "acc5": measures.acc5.map(|acc5| acc5.value),
                "mean_per_class_recall": measures.mean_per_class_recall.value,
                "expected_calibration_error": measures.calibration_error,
            },
            "intervals_95": {
                "acc1": interval(&measures.acc1),
                "acc5": measures.acc5.as_ref().map(interval),
                "mean_per_class_recall": interval(&measures.mean_per_class_recall),
            },
            "n_pictures": measures.n_pictures,
            "n_failed": self.n_failed,
            "n_classes": measures.n_classes,
            "prompts": self.prompts,
            "seed": self.seed,
            "images_per_s": self.images_per_s,
            "confusions": measures.confusions.iter().take(PAIRS).map(pair).collect::<Vec<_>>(),
        });
        if let (Some(comparison), [_, second]) = (&self.comparison, self.contenders) {
            json["compare"] = comparison.to_json(second);
        }
        json
    }
}

fn row(name: &str, estimate: Option<&Estimate>, interval: &str) -> String {
    match estimate {
        Some(Estimate { value, low, high }) => format!(
            "{name:<24}{:>6.1}%  {:.1} to {:.1}%  ({interval})\n",
            100.0 * value,
            100.0 * low,
            100.0 * high
        ),
        None => format!("{name:<24}{:>7}  fewer than 5 classes\n", "-"),
    }
}
