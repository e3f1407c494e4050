//! A running mean of the weights: smoother than the weights of any one step, and often better.
//!
//! `mean = decay * mean + (1 - decay) * weights`, step by step, from the weights that the training began with (Polyak
//! averaging with forgetting). Where there is one, it is what is validated and saved to be used.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};

use super::parameters::{Parameters, Tables, text_positions};
use crate::error::{Error, Result};
use crate::model::engine::{Table, TensorSource};

/// The mean of each trained tensor.
pub struct Average {
    decay: f64,
    values: BTreeMap<String, Tensor>,
}

impl Average {
    /// Begins with the weights as they are.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn new(decay: f64, parameters: &Parameters) -> Result<Self> {
        // Detached, or each mean would keep all earlier ones alive as the way that it was computed.
        let copied = |(name, var): (&String, &Var)| Ok((name.clone(), var.as_detached_tensor().copy()?));
        let values: candle_core::Result<_> = parameters.trained().iter().map(copied).collect();
        Ok(Average {
            decay,
            values: values.map_err(Error::compute("copying the weights"))?,
        })
    }

    /// A step is done.
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

/// A model's tensors at one moment, those that have a running mean as their means.
pub(super) struct Snapshot {
    tensors: BTreeMap<String, Tensor>,
}

impl Snapshot {
    /// Takes the parameters with the means there are.
    pub(super) fn new(parameters: &Parameters, average: Option<&Average>) -> Self {
        let own = parameters.tensors().into_iter();
        let mut tensors: BTreeMap<String, Tensor> =
            own.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
        if let Some(average) = average {
            tensors.extend(average.values.clone());
        }
        Snapshot { tensors }
    }

    /// The tensors, by upstream's names.
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
        text_positions(self, Tables::among(&self.tensors), dtype, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::{tiny_clip, values};
    use crate::weights::LoadOptions;

    #[test]
    fn a_mean_goes_the_rest_of_the_way_that_its_decay_leaves() {
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
        // What remembers how it was computed keeps all earlier means in memory.
        assert!(average.values().values().all(|mean| !mean.track_op()));
        let averaged = Snapshot::new(&parameters, Some(&average));
        let seen = averaged.tensor("logit_scale", DType::F32, &Device::Cpu).unwrap();
        assert!((values(&seen)[0] - expected).abs() < 1e-6);
        assert_eq!(values(parameters.tensors()["logit_scale"])[0], 1.0);
    }
}
