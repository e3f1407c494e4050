//! The results of zero-shot classification as text, and as JSON with the keys of CLIP_benchmark's files.

use serde_json::{Value, json};

use super::measures::{Bin, ClassRecall};
use super::{
    Answer, Confusion, FittedTemperature, Measures, N_BINS, N_RESAMPLES, Predictions, Resolved, judge, least_fitting,
    metrics,
};
use crate::data::Image;
use crate::error::{Result, counted};
use crate::eval::Embeddings;
use crate::eval::bootstrap::Bootstrap;
use crate::eval::comparison::{Comparison, ModelFacts};
use crate::eval::interval::{Estimate, wilson};
use crate::labels::LabelSet;
use crate::output::one_line;
use crate::score::Scoring;

/// Pairs of confused classes that are shown in the table.
const PAIRS: usize = 10;
/// Images that are listed because their labels fit least: as many as a person looks through at once.
pub(super) const LEAST_FITTING: usize = 50;

/// What one model made of the classes and of the images.
pub struct Encoded<'a> {
    /// The model.
    pub model: ModelFacts,
    /// How it scores images.
    pub scoring: Scoring,
    /// The classes.
    pub labels: LabelSet,
    /// The images.
    pub images: &'a Embeddings,
}

/// What is measured, and what results say about it.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The data as the user named it.
    pub data: &'a str,
    /// The kind of data, in words.
    pub kind: &'a str,
    /// How prompts are made of classes, in words.
    pub prompts: &'a str,
    /// The number of images that could not be used.
    pub n_failed: usize,
    /// The speed of encoding; none if all embeddings were there already.
    pub images_per_s: Option<f64>,
    /// How two models are compared; its seed is that of all resampling.
    pub bootstrap: Bootstrap,
    /// Whether the temperature that fits best is found.
    pub fits_temperature: bool,
    /// The command that was run, as typed.
    pub command: &'a str,
}

/// The results of one model, or of two.
pub struct Results<'a> {
    /// What was measured.
    pub about: About<'a>,
    /// The first model.
    pub model: &'a ModelFacts,
    /// The classes.
    pub labels: &'a [String],
    /// The first model's measures.
    pub measures: Measures,
    /// The comparison with the second model.
    pub comparison: Option<Comparison>,
    /// The temperature that fits best, if it was asked for.
    pub fitted: Option<FittedTemperature>,
    /// The images.
    pub images: Vec<&'a Image>,
    /// The first model's answers, in the order of the images.
    pub answers: Vec<Answer>,
}

impl<'a> Results<'a> {
    /// Measures one model, or two, by the images that all of them could read.
    ///
    /// # Errors
    /// As [`Resolved::read_by`].
    pub fn of(resolved: &'a Resolved, models: &'a [Encoded<'_>], about: About<'a>) -> Result<Self> {
        let embeddings: Vec<&Embeddings> = models.iter().map(|model| model.images).collect();
        let read = resolved.read_by(&embeddings)?;
        let rows = models.iter().zip(&read.rows);
        let mut answers: Vec<Vec<Answer>> = rows
            .map(|(model, rows)| judge(rows, &model.labels, &model.scoring))
            .collect();
        let first = &models[0];
        let n_classes = first.labels.labels().len();
        let compared = models.iter().zip(&answers);
        let compared = compared.map(|(model, answers)| (model.model.clone(), metrics(answers, n_classes)));
        let fitted = || FittedTemperature::of(&read.rows[0], &answers[0], &first.labels, &first.scoring);
        Ok(Results {
            about,
            model: &first.model,
            labels: first.labels.labels(),
            measures: Measures::of(&answers[0], n_classes, about.bootstrap.seed),
            comparison: Comparison::of_two(compared.collect(), read.images.len(), about.bootstrap),
            fitted: about.fits_temperature.then(fitted),
            images: read.images,
            answers: answers.swap_remove(0),
        })
    }

    /// The images with the first model's answers, for a file.
    pub fn predictions(&self) -> Predictions<'_> {
        Predictions {
            images: &self.images,
            answers: &self.answers,
            labels: self.labels,
            model: &self.model.name,
        }
    }

    /// The number of images, and of those that could not be used.
    pub(super) fn n_images(&self) -> String {
        let failed = match self.about.n_failed {
            0 => String::new(),
            n => format!(" ({n} more could not be used)"),
        };
        counted(self.measures.n_images, "image") + &failed
    }

    /// The model and the data.
    fn heading(&self) -> [String; 2] {
        let ModelFacts { name, dtype, .. } = self.model;
        [
            format!("{name} in {dtype}, on {} ({})", self.about.data, self.about.kind),
            format!(
                "{}, {} classes; prompts: {}",
                self.n_images(),
                self.measures.n_classes,
                self.about.prompts
            ),
        ]
    }

    /// As text for a terminal.
    pub fn table(&self) -> String {
        let Measures { acc1, acc5, .. } = &self.measures;
        let mut text = self.heading().join("\n") + "\n\n";
        text += &row("top-1", Some(acc1), "95%: Wilson");
        text += &row("top-5", acc5.as_ref(), "95%: Wilson");
        text += &row(
            "mean per-class recall",
            Some(&self.measures.mean_per_class_recall),
            &format!(
                "95%: {N_RESAMPLES} resamples of the images, seed {}",
                self.about.bootstrap.seed
            ),
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
        if let Some(rate) = self.about.images_per_s {
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
        let measures = &self.measures;
        let pair = |found: &Confusion| {
            json!({
                "class": self.labels[found.truth],
                "predicted": self.labels[found.predicted],
                "n": found.n,
            })
        };
        let mut json = json!({
            "dataset": self.about.data,
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
            "n_failed": self.about.n_failed,
            "n_classes": measures.n_classes,
            "prompts": self.about.prompts,
            "seed": self.about.bootstrap.seed,
            "images_per_s": self.about.images_per_s,
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
        least_fitting(&self.answers, LEAST_FITTING)
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
