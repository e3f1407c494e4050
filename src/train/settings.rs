//! Everything that a training's numbers depend on, and how a resumed one proves to be the same.

use serde::Serialize;
use serde_json::{Map, Value};

use super::gradients::Plan;
use super::optimizer::{AdamWSettings, Schedule};
use super::pcm::Matching;

/// What a training is set by. Defaults are upstream's (`train/train.py`, `train/train.sh`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// What the weights began as, in the person's words.
    pub base: String,
    /// What that is and what it learns from, wherever it lies.
    #[serde(flatten)]
    pub materials: Materials,
    /// How many positions the text tower has.
    pub context_length: usize,
    /// Steps in all.
    pub steps: u64,
    /// Samples a step.
    pub batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps that the rate rises.
    pub warmup_steps: u64,
    /// The optimizer's.
    pub adamw: AdamWSettings,
    /// The losses'.
    pub matching: Matching,
    /// The logarithm of the inverse temperature that the training begins with.
    pub logit_scale: f64,
    /// Names of tensors that stay begin with these.
    pub freeze: Vec<String>,
    /// How much of the running mean of weights is kept each step; no mean if `None`.
    pub ema_decay: Option<f64>,
    /// Decides the order of samples, and the weights of a fresh model.
    pub seed: u64,
    /// How a batch is computed in the memory there is.
    #[serde(flatten)]
    pub plan: Plan,
    /// Steps between two validations; only before the first and after the last step if `None`.
    pub validate_every: Option<u64>,
    /// Steps between two savings.
    pub save_every: u64,
}

/// What tells the things that a training is made of from others, so that a resumed one is of the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Materials {
    /// Of the weights that it begins with, or of the sizes where they know nothing.
    pub base_digest: String,
    /// Of what is trained on.
    pub data_digest: String,
    /// Of what is validated on, where there is something.
    pub val_data_digest: Option<String>,
    /// What makes captions of classes' names.
    pub templates: Vec<String>,
    /// The type of the numbers that the towers are computed with.
    pub dtype: String,
}

/// What may differ in a resumed training: it changes no number, or only later ones, or is a name for the same.
const MAY_DIFFER: [&str; 6] = ["base", "steps", "micro_batch", "kept", "validate_every", "save_every"];
/// What a digest is of.
const DIGEST: &str = "_digest";

impl Settings {
    /// The learning rate's way.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            warmup_steps: self.warmup_steps,
            total_steps: self.steps,
        }
    }

    /// All settings by name, as a run folder keeps them.
    pub(super) fn record(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(record)) => record,
            _ => unreachable!("settings are numbers and texts with names"),
        }
    }

    /// What is not as it was recorded and has to be, in words.
    pub(super) fn differences(&self, recorded: &Map<String, Value>) -> Vec<String> {
        let now = self.record();
        let must_agree = now.into_iter().filter(|(name, _)| !MAY_DIFFER.contains(&name.as_str()));
        must_agree
            .filter_map(|(name, now)| {
                // What an older version did not record can't differ.
                let then = recorded.get(&name)?;
                (*then != now).then(|| difference(&name, then, &now))
            })
            .collect()
    }
}

fn difference(name: &str, then: &Value, now: &Value) -> String {
    let Some(digested) = name.strip_suffix(DIGEST) else {
        return format!("`{name}` was {then} and is {now}");
    };
    let flag = digested.replace('_', "-");
    match (then, now) {
        (Value::Null, _) => format!("there was no `--{flag}`"),
        (_, Value::Null) => format!("there was a `--{flag}`"),
        _ => format!("what `--{flag}` names is not what it was"),
    }
}
