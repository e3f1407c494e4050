//! Everything that the numbers of a training depend on. A resumed training must have the same settings.

use serde::Serialize;
use serde_json::{Map, Value};

use super::gradients::Plan;
use super::optimizer::{AdamWSettings, Schedule};
use super::pcm::Matching;

/// The settings of a training. Defaults are upstream's (`train/train.py`, `train/train.sh`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// The initial weights, as the user named them.
    pub base: String,
    /// The identity of the base and the data, wherever they are stored.
    #[serde(flatten)]
    pub materials: Materials,
    /// The number of positions of the text tower.
    pub context_length: usize,
    /// The number of steps.
    pub steps: u64,
    /// Samples per step.
    pub batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps during which the learning rate rises.
    pub warmup_steps: u64,
    /// The settings of the optimizer.
    pub adamw: AdamWSettings,
    /// The settings of the losses.
    pub matching: Matching,
    /// The logarithm of the initial inverse temperature.
    pub logit_scale: f64,
    /// Tensors whose names begin with one of these are not trained.
    pub freeze: Vec<String>,
    /// The share of the running mean of weights that is kept each step; `None` for no running mean.
    pub ema_decay: Option<f64>,
    /// Decides the order of samples, and the weights of a new model.
    pub seed: u64,
    /// How a batch is made to fit in memory.
    #[serde(flatten)]
    pub plan: Plan,
    /// Steps between validations; `None` validates only before the first and after the last step.
    pub validate_every: Option<u64>,
    /// Steps between saved states.
    pub save_every: u64,
}

/// Identifies the base, the data and the computation of a training, so that it is resumed with the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Materials {
    /// The digest of the initial weights, or of the model's sizes if it is trained from scratch.
    pub base_digest: String,
    /// The digest of the training data.
    pub data_digest: String,
    /// The digest of the validation data, if any.
    pub val_data_digest: Option<String>,
    /// The templates that make captions of the names of classes.
    pub templates: Vec<String>,
    /// The number type of the towers.
    pub dtype: String,
}

/// Settings that may differ in a resumed training: they don't change the numbers, or only those of later steps.
const MAY_DIFFER: [&str; 6] = ["base", "steps", "micro_batch", "kept", "validate_every", "save_every"];
const DIGEST_SUFFIX: &str = "_digest";

impl Settings {
    /// The learning rate schedule.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            warmup_steps: self.warmup_steps,
            total_steps: self.steps,
        }
    }

    /// All settings by name, as a saved state has them.
    pub(super) fn record(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(record)) => record,
            _ => unreachable!("settings are a JSON object"),
        }
    }

    /// Describes each setting that differs from the recorded one but must not.
    pub(super) fn differences(&self, recorded: &Map<String, Value>) -> Vec<String> {
        let now = self.record();
        let must_agree = now.into_iter().filter(|(name, _)| !MAY_DIFFER.contains(&name.as_str()));
        must_agree
            .filter_map(|(name, now)| {
                // An older version may not have recorded it.
                let then = recorded.get(&name)?;
                (*then != now).then(|| difference(&name, then, &now))
            })
            .collect()
    }
}

fn difference(name: &str, then: &Value, now: &Value) -> String {
    let Some(digested) = name.strip_suffix(DIGEST_SUFFIX) else {
        return format!("`{name}` was {then} and is {now}");
    };
    let subject = match digested {
        "data" => "training data",
        "val_data" => "validation data",
        other => other,
    };
    match (then, now) {
        (Value::Null, _) => format!("there was no {subject}"),
        (_, Value::Null) => format!("there is no {subject} now"),
        _ => format!("the {subject} has changed"),
    }
}
