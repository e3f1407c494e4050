//! What a run folder keeps: weights to be used, and the state that a resumed training goes on from.
//!
//! `last.safetensors` and `best.safetensors` are models under upstream's names, with `config.json` for heads and
//! activation. `state.safetensors` holds by itself all that a resumption needs: weights, the optimizer's memory, the
//! running mean, and as metadata how far the training is. Each file is written beside its place and moved there, so that
//! an end at any moment leaves the one before it whole.

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
use crate::error::{Error, Result, counted};
use crate::weights::config_of;

/// The weights after the last step that was saved.
pub const LAST: &str = "last.safetensors";
/// The weights that a validation found best.
pub const BEST: &str = "best.safetensors";
/// What a resumption reads.
const STATE: &str = "state.safetensors";
const CONFIG: &str = "config.json";

/// All that a training writes into its run folder.
pub const FILES: [&str; 7] = [LAST, BEST, STATE, CONFIG, METRICS, SKIPPED, PLOT];

/// The one key of the state's metadata.
const PROGRESS: &str = "longclip_training";
// The state's names: what a tensor is, then whose.
const WEIGHT: &str = "weight/";
const MEAN: &str = "mean/";
const SQUARE: &str = "square/";
const AVERAGE: &str = "average/";

/// How far a training is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Steps that are done.
    pub(super) step: u64,
    /// The next sample.
    pub(super) position: Position,
    /// How many samples the data has.
    pub(super) n_samples: usize,
    /// Long captions that were cut at the context so far.
    pub(super) n_cut: u64,
    pub(super) best: Option<Best>,
    /// What the training is set by.
    pub(super) settings: Map<String, Value>,
}

/// The best validation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// After so many steps.
    pub step: u64,
    /// The mean of what was validated.
    pub score: f64,
}

/// What moves while a training goes on.
pub(super) struct Moving {
    pub(super) parameters: Parameters,
    pub(super) optimizer: AdamW,
    pub(super) average: Option<Average>,
}

impl Moving {
    /// Writes the state and the last weights.
    pub(super) fn save(&self, folder: &Path, progress: &Progress) -> Result<()> {
        self.save_weights(folder, LAST)?;
        let mut tensors: Vec<(String, &Tensor)> = Vec::new();
        for (name, var) in self.parameters.trained() {
            tensors.push((format!("{WEIGHT}{name}"), var.as_tensor()));
        }
        for (name, mean, square) in self.optimizer.memory() {
            tensors.push((format!("{MEAN}{name}"), mean));
            tensors.push((format!("{SQUARE}{name}"), square));
        }
        for (name, value) in self.average.iter().flat_map(Average::values) {
            tensors.push((format!("{AVERAGE}{name}"), value));
        }
        file::write(&folder.join(STATE), tensors.into_iter(), about(progress))
    }

    /// Writes the weights that are to be used: the running mean where there is one.
    pub(super) fn save_weights(&self, folder: &Path, name: &str) -> Result<()> {
        let weights = Snapshot::new(&self.parameters, self.average.as_ref());
        let tensors = weights.tensors().iter().map(|(name, tensor)| (name.clone(), tensor));
        // One word about the file, and no more: several have no fixed order, and the same weights are to be the same file.
        let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        file::write(&folder.join(name), tensors, about)
    }

    /// Writes what tensors can't tell of the model.
    pub(super) fn save_config(&self, folder: &Path) -> Result<()> {
        let config = config_of(self.parameters.sizes(), self.parameters.activation());
        file::write_whole(&folder.join(CONFIG), format!("{config:#}\n").as_bytes())
    }

    /// Takes a saved state; what the training was before it is gone.
    pub(super) fn restore(&mut self, state: State, settings: &Settings) -> Result<Progress> {
        let State {
            path,
            tensors,
            progress,
        } = state;
        let mut memory: BTreeMap<String, [Option<Tensor>; 2]> = BTreeMap::new();
        let mut n_weights = 0;
        for (name, tensor) in tensors {
            if let Some(name) = name.strip_prefix(WEIGHT) {
                let var = self.parameters.trained().get(name);
                if var.is_none_or(|var| var.dims() != tensor.dims()) {
                    return Err(foreign(&path, format!("its `{name}` is not this model's")));
                }
                self.parameters.set(name, &tensor)?;
                n_weights += 1;
            } else if let Some(name) = name.strip_prefix(MEAN) {
                memory.entry(name.to_owned()).or_default()[0] = Some(self.beside(name, &tensor)?);
            } else if let Some(name) = name.strip_prefix(SQUARE) {
                memory.entry(name.to_owned()).or_default()[1] = Some(self.beside(name, &tensor)?);
            } else if let Some(name) = name.strip_prefix(AVERAGE) {
                let tensor = self.beside(name, &tensor)?;
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
        let whole = memory
            .into_iter()
            .filter_map(|(name, [mean, square])| Some((name, mean?, square?)));
        self.optimizer = AdamW::remembering(settings.adamw, progress.step, whole);
        Ok(progress)
    }

    /// A tensor on the device of the variable it belongs to.
    fn beside(&self, name: &str, tensor: &Tensor) -> Result<Tensor> {
        match self.parameters.trained().get(name) {
            Some(var) => tensor
                .to_device(var.device())
                .map_err(Error::compute(format!("moving the state of `{name}` to the device"))),
            None => Ok(tensor.clone()),
        }
    }
}

/// A saved state as it was read.
pub(super) struct State {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
    pub(super) progress: Progress,
}

impl State {
    /// Whether a folder has one.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join(STATE).exists()
    }

    /// Marks a folder as a training's, which has done no step yet: from now on what lies there is its own.
    pub(super) fn mark(folder: &Path, progress: &Progress) -> Result<()> {
        file::write(&folder.join(STATE), std::iter::empty(), about(progress))
    }

    /// Reads a folder's.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(STATE);
        let (tensors, about) = file::read(&path)?;
        let progress = about.get(PROGRESS).and_then(|text| serde_json::from_str(text).ok());
        let Some(progress) = progress else {
            return Err(foreign(&path, "it does not say how far the training was".into()));
        };
        Ok(State {
            path,
            tensors,
            progress,
        })
    }

    /// Refuses a state whose training was another one.
    pub(super) fn check(&self, settings: &Settings, n_samples: usize) -> Result<()> {
        let mut problems = settings.differences(&self.progress.settings);
        if self.progress.n_samples != n_samples {
            let then = self.progress.n_samples;
            problems.push(format!("the data had {} and has {n_samples}", counted(then, "sample")));
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(foreign(&self.path, problems.join("; "))),
        }
    }
}

/// The state's metadata.
fn about(progress: &Progress) -> HashMap<String, String> {
    let progress = serde_json::to_string(progress).expect("numbers and texts with names");
    HashMap::from([(PROGRESS.to_owned(), progress)])
}

/// Takes away the best weights of a training that came to nothing.
pub(super) fn forget_best(folder: &Path) -> Result<()> {
    let path = folder.join(BEST);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::write(&path)(source)),
        _ => Ok(()),
    }
}

/// Refuses a folder without a state in which a file has the name of one that a training writes: it is somebody else's.
/// An empty one may be left of a training that ended before it marked its folder.
pub(super) fn refuse_foreign_files(folder: &Path) -> Result<()> {
    let is_taken = |name: &&&str| std::fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 0);
    match FILES.iter().find(is_taken) {
        Some(name) => Err(Error::usage(
            format!(
                "`{}` would be written over, and no training made it",
                folder.join(name).display()
            ),
            "name another `--out`: a new folder, or an empty one; `--force` replaces what is there",
        )),
        None => Ok(()),
    }
}

fn foreign(path: &Path, problem: String) -> Error {
    Error::usage(
        format!("`{}` can't be resumed: {problem}", path.display()),
        "resume with the data and the settings that the training began with, or name another `--out`",
    )
}
