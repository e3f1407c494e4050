//! `metrics.ndjson`: one line per step, written as it happens.
//!
//! A line is written before the state that it belongs to is saved. So after an interruption, the file may have lines after
//! the step of the state; these steps will be done again, and a resumed training drops the lines. The file is locked,
//! since two trainings in one folder would corrupt each other's files.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::validate::Validation;
use crate::error::{Error, Result};

/// The file of a run folder.
pub const METRICS: &str = "metrics.ndjson";

/// The results of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepMetrics {
    /// Completed steps, including this one; 0 before the first step.
    pub step: u64,
    /// The training step; `None` for the validation before the first step.
    pub training: Option<TrainingMetrics>,
    /// The validation after the step, if there was one.
    pub validation: Option<Validation>,
}

/// The results of a training step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingMetrics {
    /// The learning rate.
    pub learning_rate: f64,
    /// The loss of images with long captions.
    pub loss_long: f64,
    /// The loss of principal components with short captions.
    pub loss_short: f64,
    /// The norm of all gradients as one vector.
    pub grad_norm: f64,
    /// The logarithm of the inverse temperature after the step.
    pub logit_scale: f64,
    /// Images per second in this step.
    pub images_per_s: f64,
    /// The time of the step, including the wait for its batch.
    pub step_ms: f64,
    /// The wait for the batch.
    pub data_wait_ms: f64,
}

impl TrainingMetrics {
    /// The losses, for a line about the step.
    pub fn losses_in_words(&self) -> String {
        let (long, short) = (self.loss_long, self.loss_short);
        format!("loss {:.4} (long {long:.4}, short {short:.4})", long + short)
    }
}

impl StepMetrics {
    /// The line in the file.
    pub fn to_json(&self) -> Value {
        let mut line = Map::new();
        line.insert("step".into(), self.step.into());
        if let Some(training) = &self.training {
            let fields = [
                ("lr", training.learning_rate),
                ("loss_long", training.loss_long),
                ("loss_short", training.loss_short),
                ("grad_norm", training.grad_norm),
                ("logit_scale", training.logit_scale),
                ("images_per_s", rounded(training.images_per_s)),
                ("step_ms", rounded(training.step_ms)),
                ("data_wait_ms", rounded(training.data_wait_ms)),
            ];
            line.extend(fields.map(|(name, value)| (name.to_owned(), json!(value))));
        }
        for (name, value) in self.validation.iter().flat_map(Validation::fields) {
            line.insert(name.into(), value);
        }
        Value::Object(line)
    }
}

/// Rounds to thousandths: more digits of a time mean nothing.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The open file.
pub(super) struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens and locks the file of a folder.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(METRICS);
        let failed = Error::write(&path);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(Error::usage(
                    format!("another training is running in `{}`", folder.display()),
                    "wait for it to finish, or use another folder",
                ));
            }
            // Some file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Ok(Metrics { path, file })
    }

    /// Cuts the file after the lines of a step; `None` empties it.
    pub(super) fn keep(&mut self, up_to_step: Option<u64>) -> Result<()> {
        let kept = match up_to_step {
            Some(step) => length_up_to(&self.file, step),
            None => Ok(0),
        };
        let cut = kept.and_then(|length| {
            self.file.set_len(length)?;
            self.file.seek(SeekFrom::End(0))
        });
        cut.map(drop).map_err(Error::write(&self.path))
    }

    /// Syncs the file to disk. Must precede the saving of a state.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::write(&self.path))
    }

    /// Appends a line.
    pub(super) fn write(&mut self, metrics: &StepMetrics) -> Result<()> {
        let line = format!("{}\n", metrics.to_json());
        self.file.write_all(line.as_bytes()).map_err(Error::write(&self.path))
    }
}

/// The length of the complete lines up to `last_step`, in bytes.
fn length_up_to(file: &File, last_step: u64) -> std::io::Result<u64> {
    let mut reader = BufReader::new(file);
    let (mut length, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let n = reader.read_until(b'\n', &mut line)?;
        let step = step_of(&line).filter(|step| *step <= last_step && line.ends_with(b"\n"));
        if step.is_none() {
            return Ok(length);
        }
        length += n as u64;
    }
}

fn step_of(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(line).ok()?.get("step")?.as_u64()
}

/// The valid lines of the file in a folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Value>> {
    let path = folder.join(METRICS);
    let text = std::fs::read_to_string(&path).map_err(Error::read(&path))?;
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64) -> StepMetrics {
        StepMetrics {
            step,
            training: None,
            validation: None,
        }
    }

    #[test]
    fn a_resumed_file_has_each_step_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut metrics = Metrics::open(dir.path()).unwrap();
        metrics.keep(None).unwrap();
        (1..=5).for_each(|step| metrics.write(&line(step)).unwrap());
        drop(metrics);
        let path = dir.path().join(METRICS);
        let whole = std::fs::read_to_string(&path).unwrap();
        for (cut, kept) in [
            (whole.len(), vec![1, 2, 3]),
            (whole.len() - 3, vec![1, 2, 3]),
            (15, vec![1]),
        ] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            Metrics::open(dir.path()).unwrap().keep(Some(3)).unwrap();
            let steps: Vec<u64> = read(dir.path())
                .unwrap()
                .iter()
                .map(|l| l["step"].as_u64().unwrap())
                .collect();
            assert_eq!(steps, kept, "cut at {cut}");
        }
        Metrics::open(dir.path()).unwrap().keep(None).unwrap();
        assert!(std::fs::read(&path).unwrap().is_empty());
    }

    #[test]
    fn two_trainings_in_one_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Metrics::open(dir.path()).unwrap();
        let error = Metrics::open(dir.path()).err().unwrap().to_string();
        assert!(error.starts_with("another training is running in"), "{error}");
    }
}
