//! The files of a run folder: weights for use, and the state from which a training is resumed.
//!
//! `last.safetensors` and `best.safetensors` are models under upstream's names, with `config.json` for the number of heads
//! and the activation. `state.safetensors` alone has everything that resuming needs: the weights, the optimizer's moments,
//! the running mean, and the progress as metadata. Each file is replaced in one step, so an interruption at any moment
//! leaves the old one intact.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::average::{Average, Snapshot};
use super::file;
use super::metrics::METRICS;
use super::optimizer::AdamW;
use super::order::Position;
use super::parameters::Parameters;
use super::plot::PLOT;
use super::settings::Settings;
use super::skipped::SKIPPED;
use crate::error::{Control, Error, Hint, Result, counted, hint};
use crate::weights::config_of;

/// The weights after the last step that was saved.
pub const LAST: &str = "last.safetensors";
/// The weights with the best validation.
pub const BEST: &str = "best.safetensors";
/// The state for resuming.
const STATE: &str = "state.safetensors";
const CONFIG: &str = "config.json";

/// All files that a training writes into its run folder.
pub const FILES: [&str; 7] = [LAST, BEST, STATE, CONFIG, METRICS, SKIPPED, PLOT];

/// The only key in the metadata of the state.
const PROGRESS: &str = "longclip_training";
// Prefixes of tensor names in the state: the kind of tensor, followed by the parameter's name.
const WEIGHT: &str = "weight/";
const MEAN: &str = "mean/";
const SQUARE: &str = "square/";
const AVERAGE: &str = "average/";

/// How far a training has got.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct TrainingProgress {
    /// Completed steps.
    pub(super) step: u64,
    /// The position of the next sample.
    pub(super) position: Position,
    /// The number of samples in the data.
    pub(super) n_samples: usize,
    /// Long captions that were cut to the context length.
    pub(super) n_cut: u64,
    pub(super) best: Option<Best>,
    /// The settings of the training.
    pub(super) settings: Map<String, Value>,
}

/// The best validation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The number of steps before it.
    pub step: u64,
    /// The mean of its measures.
    pub score: f64,
}

/// What each step changes.
pub(super) struct TrainingState {
    pub(super) parameters: Parameters,
    pub(super) optimizer: AdamW,
    pub(super) average: Option<Average>,
}

impl TrainingState {
    /// Writes the state and the last weights.
    pub(super) fn save(&self, folder: &Path, progress: &TrainingProgress) -> Result<()> {
        self.save_weights(folder, LAST)?;
        let mut tensors: Vec<(String, &Tensor)> = Vec::new();
        for (name, var) in self.parameters.trained() {
            tensors.push((format!("{WEIGHT}{name}"), var.as_tensor()));
        }
        for (name, mean, square) in self.optimizer.moments() {
            tensors.push((format!("{MEAN}{name}"), mean));
            tensors.push((format!("{SQUARE}{name}"), square));
        }
        for (name, value) in self.average.iter().flat_map(Average::values) {
            tensors.push((format!("{AVERAGE}{name}"), value));
        }
        file::write(&folder.join(STATE), tensors.into_iter(), metadata(progress))
    }

    /// Writes the weights for use: the running mean if there is one.
    pub(super) fn save_weights(&self, folder: &Path, name: &str) -> Result<()> {
        let weights = Snapshot::new(&self.parameters, self.average.as_ref());
        let tensors = weights.tensors().iter().map(|(name, tensor)| (name.clone(), tensor));
        // Only one entry: several have no fixed order, and equal weights should make equal files.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        file::write(&folder.join(name), tensors, metadata)
    }

    /// Writes what can't be derived from the tensors.
    pub(super) fn save_config(&self, folder: &Path) -> Result<()> {
        let config = config_of(self.parameters.sizes(), self.parameters.recipe());
        file::write_whole(&folder.join(CONFIG), format!("{config:#}\n").as_bytes())
    }

    /// Replaces everything by a saved state.
    pub(super) fn restore(&mut self, saved: SavedState, settings: &Settings) -> Result<TrainingProgress> {
        let SavedState {
            path,
            tensors,
            progress,
        } = saved;
        let mut moments: BTreeMap<String, [Option<Tensor>; 2]> = BTreeMap::new();
        let mut n_weights = 0;
        for (name, tensor) in tensors {
            if let Some(name) = name.strip_prefix(WEIGHT) {
                let var = self.parameters.trained().get(name);
                if var.is_none_or(|var| var.dims() != tensor.dims()) {
                    return Err(foreign(&path, format!("its `{name}` doesn't fit this model")));
                }
                self.parameters.set(name, &tensor)?;
                n_weights += 1;
            } else if let Some(name) = name.strip_prefix(MEAN) {
                moments.entry(name.to_owned()).or_default()[0] = Some(self.on_device_of(name, &tensor)?);
            } else if let Some(name) = name.strip_prefix(SQUARE) {
                moments.entry(name.to_owned()).or_default()[1] = Some(self.on_device_of(name, &tensor)?);
            } else if let Some(name) = name.strip_prefix(AVERAGE) {
                let tensor = self.on_device_of(name, &tensor)?;
                self.average
                    .iter_mut()
                    .for_each(|average| average.set(name, tensor.clone()));
            }
        }
        let expected = self.parameters.trained().len();
        if n_weights != expected {
            return Err(foreign(
                &path,
                format!("it has {n_weights} of {expected} trained tensors"),
            ));
        }
        let moments = moments
            .into_iter()
            .filter_map(|(name, [mean, square])| Some((name, mean?, square?)));
        self.optimizer = AdamW::resumed(settings.adamw, progress.step, moments);
        Ok(progress)
    }

    /// The tensor on the device of its parameter.
    fn on_device_of(&self, name: &str, tensor: &Tensor) -> Result<Tensor> {
        match self.parameters.trained().get(name) {
            Some(var) => tensor
                .to_device(var.device())
                .map_err(Error::compute(format!("moving the state of `{name}` to the device"))),
            None => Ok(tensor.clone()),
        }
    }
}

/// The state in a run folder.
pub(super) struct SavedState {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
    pub(super) progress: TrainingProgress,
}

impl SavedState {
    /// Whether a folder has a state.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join(STATE).exists()
    }

    /// Marks a folder as that of a training without steps: from now on, the files in it are the training's.
    pub(super) fn mark(folder: &Path, progress: &TrainingProgress) -> Result<()> {
        file::write(&folder.join(STATE), std::iter::empty(), metadata(progress))
    }

    /// Reads the state in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(STATE);
        let (tensors, metadata) = file::read(&path)?;
        let progress = metadata.get(PROGRESS).and_then(|text| serde_json::from_str(text).ok());
        let Some(progress) = progress else {
            return Err(foreign(&path, "it lacks the progress of the training".into()));
        };
        Ok(SavedState {
            path,
            tensors,
            progress,
        })
    }

    /// Refuses the state of a training with other settings or data.
    pub(super) fn check(&self, settings: &Settings, n_samples: usize) -> Result<()> {
        let mut problems = settings.differences(&self.progress.settings);
        if self.progress.n_samples != n_samples {
            let then = self.progress.n_samples;
            problems.push(format!(
                "the data had {} and now has {n_samples}",
                counted(then, "sample")
            ));
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(foreign(&self.path, problems.join("; "))),
        }
    }
}

/// The metadata of the state.
fn metadata(progress: &TrainingProgress) -> HashMap<String, String> {
    let progress = serde_json::to_string(progress).expect("progress is a JSON object");
    HashMap::from([(PROGRESS.to_owned(), progress)])
}

/// Removes the best weights of an earlier training that never saved a state.
pub(super) fn remove_best(folder: &Path) -> Result<()> {
    let path = folder.join(BEST);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::write(&path)(source)),
        _ => Ok(()),
    }
}

/// Refuses a folder without a state but with a file that a training would overwrite. An empty file may be left from a
/// training that ended before it marked its folder.
pub(super) fn refuse_foreign_files(folder: &Path) -> Result<()> {
    let is_taken = |name: &&&str| std::fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 0);
    match FILES.iter().find(is_taken) {
        Some(name) => Err(Error::usage(
            format!(
                "`{}` would be overwritten, but it is not from a training",
                folder.join(name).display()
            ),
            Hint::from("use a new or an empty folder").or(hint!("replace the files: {}", Control::ReplaceFiles)),
        )),
        None => Ok(()),
    }
}

fn foreign(path: &Path, problem: String) -> Error {
    Error::usage(
        format!("`{}` can't be resumed: {problem}", path.display()),
        "resume with the data and the settings that the training began with, or use another folder",
    )
}
