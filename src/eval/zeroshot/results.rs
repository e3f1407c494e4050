//! The results of zero-shot classification as text, and as JSON with the keys of CLIP_benchmark's files.

use serde_json::{Value, json};

use super::measures::{Bin, ClassRecall};
use super::{Answer, Confusion, FittedTemperature, Measures, N_BINS, N_RESAMPLES, least_fitting};
use crate::data::Image;
use crate::error::counted;
use crate::eval::comparison::{Comparison, ModelFacts};
use crate::eval::interval::{Estimate, wilson};
use crate::output::one_line;

/// Pairs of confused classes that are shown in the table.
const PAIRS: usize = 10;
/// Images that are listed because their labels fit least: as many as a person looks through at once.
pub(super) const LEAST_FITTING: usize = 50;

/// The results of one model, or of two.
pub struct Results<'a> {
    /// The first model.
    pub model: &'a ModelFacts,
    /// The data as the user named it.
    pub data: &'a str,
    /// The kind of data, in words.
    pub about: &'a str,
    /// How prompts are made of classes, in words.
    pub prompts: &'a str,
    /// The classes.
    pub labels: &'a [String],
    /// The first model's measures.
    pub measures: &'a Measures,
    /// The number of images that could not be used.
    pub n_failed: usize,
    /// The speed of encoding; none if all embeddings were there already.
    pub images_per_s: Option<f64>,
    /// The seed of resampling.
    pub seed: u64,
    /// The comparison with the second model.
    pub comparison: Option<Comparison>,
    /// The temperature that fits best, if it was asked for.
    pub fitted: Option<FittedTemperature>,
    /// The images.
    pub images: &'a [&'a Image],
    /// The first model's answers, in the order of the images.
    pub answers: &'a [Answer],
    /// The command that was run, as typed.
    pub command: &'a str,
}

impl Results<'_> {
    /// The number of images, and of those that could not be used.
    pub(super) fn n_images(&self) -> String {
        let failed = match self.n_failed {
            0 => String::new(),
            n => format!(" ({n} more could not be used)"),
        };
        counted(self.measures.n_images, "image") + &failed
    }

    /// The model and the data.
    fn about(&self) -> [String; 2] {
        let ModelFacts { name, dtype, .. } = self.model;
        [
            format!("{name} in {dtype}, on {} ({})", self.data, self.about),
            format!(
                "{}, {} classes; prompts: {}",
                self.n_images(),
                self.measures.n_classes,
                self.prompts
            ),
        ]
    }

    /// As text for a terminal.
    pub fn table(&self) -> String {
        let Measures { acc1, acc5, .. } = self.measures;
        let mut text = self.about().join("\n") + "\n\n";
        text += &row("top-1", Some(acc1), "95%: Wilson");
        text += &row("top-5", acc5.as_ref(), "95%: Wilson");
        text += &row(
            "mean per-class recall",
            Some(&self.measures.mean_per_class_recall),
            &format!("95%: {N_RESAMPLES} resamples of the images, seed {}", self.seed),
        );
        text += &format!(
            "{:<24}{:>7.4}  {N_BINS} bins\n",
            "calibration error", self.measures.calibration_error
        );
        if let Some(fitted) = &self.fitted {
            text += &format!(
                "{:<24}{:>7}  {}\n",
                "fitted temperature",
                fitted.shown(),
                fitted.effect()
            );
        }
        if let Some(rate) = self.images_per_s {
            text += &format!("{:<24}{rate:>7.1}  images/s\n", "speed");
        }
        if !self.measures.confusions.is_empty() {
            text += "\nconfused most often\n";
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

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let measures = self.measures;
        let pair = |found: &Confusion| {
            json!({
                "class": self.labels[found.truth],
                "predicted": self.labels[found.predicted],
                "n": found.n,
            })
        };
        let mut json = json!({
            "dataset": self.data,
            "model": self.model.name,
            "pretrained": self.model.name,
            "dtype": self.model.dtype,
            "task": "zeroshot_classification",
            "language": "en",
            "metrics": {
                "acc1": measures.acc1.value,
                "acc5": measures.acc5.map(|acc5| acc5.value),
                "mean_per_class_recall": measures.mean_per_class_recall.value,
                "expected_calibration_error": measures.calibration_error,
            },
            "intervals_95": {
                "acc1": measures.acc1.interval_json(),
                "acc5": measures.acc5.as_ref().map(Estimate::interval_json),
                "mean_per_class_recall": measures.mean_per_class_recall.interval_json(),
            },
            "n_images": measures.n_images,
            "n_failed": self.n_failed,
            "n_classes": measures.n_classes,
            "prompts": self.prompts,
            "seed": self.seed,
            "images_per_s": self.images_per_s,
            "confusions": measures.confusions.iter().map(pair).collect::<Vec<_>>(),
            "recalls": self.recalls_json(),
            "calibration_bins": bins_json(&measures.bins),
            "least_fitting": self.least_fitting_json(),
        });
        if let Some(fitted) = self.fitted {
            json["fitted_temperature"] = fitted.to_json();
        }
        if let Some(comparison) = &self.comparison {
            json["compare"] = comparison.to_json();
        }
        json
    }

    fn recalls_json(&self) -> Value {
        let recall = |(label, recall): (&String, &ClassRecall)| {
            let share = wilson(recall.n_right, recall.n);
            // A class without images has no recall.
            let has_images = recall.n > 0;
            json!({
                "class": label,
                "n": recall.n,
                "n_right": recall.n_right,
                "recall": has_images.then_some(share.value),
                "interval_95": has_images.then(|| share.interval_json()),
            })
        };
        self.labels.iter().zip(&self.measures.recalls).map(recall).collect()
    }

    fn least_fitting_json(&self) -> Value {
        let image = |i: usize| {
            let answer = &self.answers[i];
            json!({
                "path": self.images[i].name(),
                "class": self.labels[answer.truth],
                "probability": answer.truth_probability,
                "predicted": self.labels[answer.predicted()],
                "predicted_probability": answer.confidence(),
            })
        };
        least_fitting(self.answers, LEAST_FITTING)
            .into_iter()
            .map(image)
            .collect()
    }
}

fn bins_json(bins: &[Bin]) -> Value {
    let bin = |(i, bin): (usize, &Bin)| {
        let has_images = bin.n > 0;
        json!({
            "from": i as f64 / N_BINS as f64,
            "to": (i + 1) as f64 / N_BINS as f64,
            "n": bin.n,
            "confidence": has_images.then_some(bin.confidence),
            "accuracy": has_images.then_some(bin.accuracy),
        })
    };
    bins.iter().enumerate().map(bin).collect()
}

fn row(name: &str, estimate: Option<&Estimate>, how: &str) -> String {
    match estimate {
        Some(estimate) => format!(
            "{name:<24}{:>7}  {}  ({how})\n",
            estimate.percent(),
            estimate.interval_percent()
        ),
        None => format!("{name:<24}{:>7}  fewer than 5 classes\n", "-"),
    }
}
