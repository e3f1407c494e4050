//! `metrics.ndjson`: a line a step, as it happens.
//!
//! A line is written before the state that it belongs to is saved. So a resumed training finds lines behind its state at
//! most, which will be written again: it drops them. The file is locked while a training writes it: two in one folder
//! would spoil each other's.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::validate::Validation;
use crate::error::{Error, Result};

/// The file of a run folder.
pub const METRICS: &str = "metrics.ndjson";

/// What a step came to.
#[derive(Debug, Clone, PartialEq)]
pub struct StepMetrics {
    /// Steps that are done, this one included; 0 before the first one.
    pub step: u64,
    /// What training did; absent where only a validation was done.
    pub training: Option<TrainingMetrics>,
    /// What a validation found.
    pub validation: Option<Validation>,
}

/// What training did in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingMetrics {
    /// The learning rate.
    pub learning_rate: f64,
    /// Images with long captions.
    pub loss_long: f64,
    /// Principal components with short captions.
    pub loss_short: f64,
    /// The length of all gradients as one vector.
    pub grad_norm: f64,
    /// The inverse temperature's logarithm, after the step.
    pub logit_scale: f64,
    /// Of this step.
    pub images_per_s: f64,
    /// The whole step, waiting included.
    pub step_ms: f64,
    /// How long the step was kept waiting for its batch.
    pub data_wait_ms: f64,
}

impl StepMetrics {
    /// As the line has it.
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

/// Times to a thousandth: more digits say nothing.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The open file.
pub(super) struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens the file of a folder, and makes it this process's as long as it is open.
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
                    "wait for it, or name another `--out`",
                ));
            }
            // Some file systems know no locks; a training goes on without.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        Ok(Metrics { path, file })
    }

    /// Keeps what the file holds up to a step; nothing of it if `None`.
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

    /// Has all lines on the disk, before a state is that says they are there.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::write(&self.path))
    }

    /// Appends a line.
    pub(super) fn write(&mut self, metrics: &StepMetrics) -> Result<()> {
        let line = format!("{}\n", metrics.to_json());
        self.file.write_all(line.as_bytes()).map_err(Error::write(&self.path))
    }
}

/// Bytes of the lines at the beginning that are whole and of no later step.
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

/// The lines of a folder's file that can be read.
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
