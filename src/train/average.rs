//! A running mean of the weights, which is smoother than the weights of any one step and often better.
//!
//! `mean = decay * mean + (1 - decay) * weights` after each step, beginning with the initial weights (Polyak averaging
//! with exponential decay). If a training has a mean, the mean is what is validated and saved as the model.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};

use super::parameters::{Parameters, text_positions};
use crate::error::{Error, Result};
use crate::model::engine::{Table, TensorSource};

/// The running mean of each trained tensor.
pub struct Average {
    decay: f64,
    values: BTreeMap<String, Tensor>,
}

impl Average {
    /// Begins with the current weights.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn new(decay: f64, parameters: &Parameters) -> Result<Self> {
        // Detached: otherwise each mean would keep the graph of all earlier ones in memory.
        let copied = |(name, var): (&String, &Var)| Ok((name.clone(), var.as_detached_tensor().copy()?));
        let values: candle_core::Result<_> = parameters.trained().iter().map(copied).collect();
        Ok(Average {
            decay,
            values: values.map_err(Error::compute("copying the weights"))?,
        })
    }

    /// Updates the mean after a step.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn update(&mut self, parameters: &Parameters) -> Result<()> {
        let mut update = || -> candle_core::Result<()> {
            for (name, var) in parameters.trained() {
                if let Some(value) = self.values.get_mut(name) {
                    *value = ((&*value * self.decay)? + (var.as_detached_tensor() * (1.0 - self.decay))?)?;
                }
            }
            Ok(())
        };
        update().map_err(Error::compute("the running mean of the weights"))
    }

    /// The means, by name.
    pub fn values(&self) -> &BTreeMap<String, Tensor> {
        &self.values
    }

    pub(super) fn set(&mut self, name: &str, value: Tensor) {
        self.values.insert(name.to_owned(), value);
    }
}

/// A model's tensors at one moment, with the running mean in place of the weights if there is one.
pub(super) struct Snapshot {
    tensors: BTreeMap<String, Tensor>,
}

impl Snapshot {
    /// Takes the parameters, replaced by their means.
    pub(super) fn new(parameters: &Parameters, average: Option<&Average>) -> Self {
        let own = parameters.tensors().into_iter();
        let mut tensors: BTreeMap<String, Tensor> =
            own.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
        if let Some(average) = average {
            tensors.extend(average.values.clone());
        }
        Snapshot { tensors }
    }

    /// The tensors by upstream's names.
    pub(super) fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }
}

impl TensorSource for Snapshot {
    fn tensor(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = self.tensors.get(name);
        let tensor = tensor.unwrap_or_else(|| panic!("a checked CLIP has `{name}`"));
        tensor
            .to_device(device)
            .and_then(|tensor| tensor.to_dtype(dtype))
            .map_err(Error::compute(format!("moving `{name}` to the device")))
    }

    fn text_positions(&self, dtype: DType, device: &Device) -> Result<Table> {
        text_positions(self, &self.tensors, dtype, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::{tiny_clip, values};
    use crate::weights::LoadOptions;

    #[test]
    fn a_mean_moves_by_one_minus_its_decay() {
        let parameters = Parameters::from_checkpoint(&tiny_clip(&LoadOptions::default()), &[], &Device::Cpu).unwrap();
        let mut average = Average::new(0.75, &parameters).unwrap();
        let set = |value: f32| {
            parameters
                .set("logit_scale", &Tensor::new(value, &Device::Cpu).unwrap())
                .unwrap()
        };
        set(1.0);
        let start = values(&average.values()["logit_scale"])[0];
        average.update(&parameters).unwrap();
        let expected = 0.75 * start + 0.25;
        assert!((values(&average.values()["logit_scale"])[0] - expected).abs() < 1e-6);
        // A mean with a graph would keep all earlier means in memory.
        assert!(average.values().values().all(|mean| !mean.track_op()));
        let averaged = Snapshot::new(&parameters, Some(&average));
        let seen = averaged.tensor("logit_scale", DType::F32, &Device::Cpu).unwrap();
        assert!((values(&seen)[0] - expected).abs() < 1e-6);
        assert_eq!(values(parameters.tensors()["logit_scale"])[0], 1.0);
    }
}
