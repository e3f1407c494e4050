//! The trained parameters: a checkpoint's tensors as variables, by upstream's names.
//!
//! Of the two position tables, `positional_embedding` is fixed and `positional_embedding_res` is trained (upstream
//! `train/train.py`, and `model_longclip.py`, `mask1` and `mask2`). A base with 77 rows gets both by stretching. The towers
//! load their tensors from here, so gradients reach the variables.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};

use crate::error::{Error, Result};
use crate::model::engine::{Table, TensorSource};
use crate::recipe::Recipe;
use crate::weights::{Checkpoint, FIXED_ROWS, Sizes, TextPositions};

const POSITIONS: &str = "positional_embedding";
/// The second, trained table.
const RESIDUAL_POSITIONS: &str = "positional_embedding_res";

const LOGIT_SCALE: &str = "logit_scale";

/// A model's tensors in f32: variables that are trained, and frozen tensors.
pub struct Parameters {
    sizes: Sizes,
    recipe: Recipe,
    trained: BTreeMap<String, Var>,
    frozen: BTreeMap<String, Tensor>,
}

impl Parameters {
    /// Loads a checkpoint's tensors onto a device. Tensors whose names begin with one of `freeze` are not trained, nor is
    /// `positional_embedding` if there is a second table.
    ///
    /// # Errors
    /// [`Error::BadTensors`] for a weight that isn't finite; [`Error::Usage`] if a prefix matches no tensor, or nothing is
    /// left to train; [`Error::Compute`] if the device fails.
    pub fn from_checkpoint(checkpoint: &Checkpoint, freeze: &[String], device: &Device) -> Result<Self> {
        if checkpoint.tokenizer().is_some() {
            return Err(Error::usage(
                "a model with a tokenizer of its own can't be trained",
                "start from a CLIP or a Long-CLIP",
            ));
        }
        let mut sizes = checkpoint.sizes().clone();
        // Two tables that are not joined as Long-CLIP's are trained from the positions that are used.
        let is_remade = sizes.context_length != sizes.stored_context_length
            || (checkpoint.has_residual_positions() && checkpoint.positions() != TextPositions::Joined);
        let mut tensors = Vec::new();
        for (name, _) in checkpoint.tensors() {
            if !(is_remade && [POSITIONS, RESIDUAL_POSITIONS].contains(&name.as_str())) {
                tensors.push((name.clone(), checkpoint.tensor(&name, DType::F32, device)?));
            }
        }
        if is_remade {
            let shape = (sizes.context_length, sizes.text_width);
            let table = || Tensor::from_vec(checkpoint.text_positions()?, shape, device).map_err(moving(POSITIONS));
            tensors.push((POSITIONS.into(), table()?));
            tensors.push((RESIDUAL_POSITIONS.into(), table()?));
            sizes.stored_context_length = sizes.context_length;
        }
        Parameters::of_tensors(tensors, sizes, checkpoint.recipe().clone(), freeze)
    }

    /// Like [`Parameters::from_checkpoint`], with the tensors of a CLIP of these sizes.
    pub(super) fn of_tensors(
        tensors: Vec<(String, Tensor)>,
        sizes: Sizes,
        recipe: Recipe,
        freeze: &[String],
    ) -> Result<Self> {
        check_prefixes(freeze, &tensors)?;
        let mut parameters = Parameters {
            sizes,
            recipe,
            trained: BTreeMap::new(),
            frozen: BTreeMap::new(),
        };
        let has_two_tables = tensors.iter().any(|(name, _)| name == RESIDUAL_POSITIONS);
        for (name, tensor) in tensors {
            let stays = freeze.iter().any(|prefix| name.starts_with(prefix.as_str()));
            if stays || (has_two_tables && name == POSITIONS) {
                parameters.frozen.insert(name, tensor);
            } else {
                let var = Var::from_tensor(&tensor).map_err(moving(&name))?;
                parameters.trained.insert(name, var);
            }
        }
        if parameters.trained.is_empty() {
            return Err(Error::usage("nothing is left to train", "freeze fewer tensors"));
        }
        Ok(parameters)
    }

    /// Widths, depths and lengths. All stored positions are used.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// What decides the model's numbers besides its tensors.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The trained variables by name.
    pub fn trained(&self) -> &BTreeMap<String, Var> {
        &self.trained
    }

    /// All current tensors by name.
    pub fn tensors(&self) -> BTreeMap<&str, &Tensor> {
        let trained = self.trained.iter().map(|(name, var)| (name.as_str(), var.as_tensor()));
        let frozen = self.frozen.iter().map(|(name, tensor)| (name.as_str(), tensor));
        trained.chain(frozen).collect()
    }

    /// Whether the inverse temperature is trained.
    pub fn trains_logit_scale(&self) -> bool {
        self.trained.contains_key(LOGIT_SCALE)
    }

    /// The logarithm of the current inverse temperature.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn logit_scale(&self) -> Result<f64> {
        let scale = self.tensor(LOGIT_SCALE, DType::F64, &Device::Cpu)?;
        scale.to_scalar().map_err(Error::compute("reading the temperature"))
    }

    /// Sets the logarithm of the inverse temperature, whether it is trained or frozen.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn set_logit_scale(&mut self, value: f64) -> Result<()> {
        let scale = Tensor::new(value as f32, &Device::Cpu).map_err(moving(LOGIT_SCALE))?;
        self.set(LOGIT_SCALE, &scale)?;
        if let Some(frozen) = self.frozen.get_mut(LOGIT_SCALE) {
            *frozen = scale.to_device(frozen.device()).map_err(moving(LOGIT_SCALE))?;
        }
        Ok(())
    }

    /// Sets a variable's value; does nothing if the tensor is frozen.
    ///
    /// # Errors
    /// [`Error::Compute`] if the shape is another.
    pub fn set(&self, name: &str, value: &Tensor) -> Result<()> {
        match self.trained.get(name) {
            Some(var) => value
                .to_device(var.device())
                .and_then(|value| var.set(&value))
                .map_err(moving(name)),
            None => Ok(()),
        }
    }
}

fn check_prefixes(freeze: &[String], tensors: &[(String, Tensor)]) -> Result<()> {
    let is_any = |prefix: &str| tensors.iter().any(|(name, _)| name.starts_with(prefix));
    match freeze.iter().find(|prefix| prefix.is_empty() || !is_any(prefix)) {
        Some(prefix) => Err(Error::usage(
            format!("no tensor's name begins with `{prefix}`"),
            "names are upstream's: `visual.`, `transformer.resblocks.0.`, `token_embedding`, `logit_scale`",
        )),
        None => Ok(()),
    }
}

fn moving(name: &str) -> impl FnOnce(candle_core::Error) -> Error {
    Error::compute(format!("moving `{name}` to the device"))
}

/// The text positions among a model's tensors: one table, or the first rows of the fixed table and the others of the
/// trained one. `tensors` are those of `source`.
pub(super) fn text_positions<Name: Borrow<str> + Ord, T>(
    source: &dyn TensorSource,
    tensors: &BTreeMap<Name, T>,
    dtype: DType,
    device: &Device,
) -> Result<Table> {
    let fixed = source.tensor(POSITIONS, dtype, device)?;
    if !tensors.contains_key(RESIDUAL_POSITIONS) {
        return Ok(Table::Whole(fixed));
    }
    let trained = source.tensor(RESIDUAL_POSITIONS, dtype, device)?;
    Ok(Table::Merged {
        keep: FIXED_ROWS.min(trained.dims()[0]),
        fixed,
        trained,
    })
}

impl TensorSource for Parameters {
    fn tensor(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = match self.trained.get(name) {
            Some(var) => var.as_tensor(),
            None => self
                .frozen
                .get(name)
                .unwrap_or_else(|| panic!("a checked CLIP has `{name}`")),
        };
        tensor
            .to_device(device)
            .and_then(|tensor| tensor.to_dtype(dtype))
            .map_err(moving(name))
    }

    fn text_positions(&self, dtype: DType, device: &Device) -> Result<Table> {
        text_positions(self, &self.tensors(), dtype, device)
    }
}
