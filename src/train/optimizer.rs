//! AdamW and the learning rate schedule.
//!
//! Loshchilov and Hutter, *Decoupled weight decay regularization* (arXiv 1711.05101), with torch's order of operations:
//! decay first, then the step. The rate rises linearly and falls as half a cosine (upstream `train/scheduler.py`). The
//! moments are part of a saved state.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use serde::Serialize;

use super::in_place::{self, AdamWStep};
use crate::error::{Error, Result};

/// The parameters of AdamW.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AdamWSettings {
    /// The share of the mean of gradients that is kept each step.
    pub beta_1: f64,
    /// The share of the mean of squared gradients that is kept each step.
    pub beta_2: f64,
    /// Added to the root of the mean square.
    pub epsilon: f64,
    /// The share of a parameter that is subtracted each step, times the learning rate.
    pub weight_decay: f64,
}

impl Default for AdamWSettings {
    /// The values of upstream.
    fn default() -> Self {
        AdamWSettings {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// The optimizer and its moments.
pub struct AdamW {
    settings: AdamWSettings,
    n_steps: u64,
    moments: BTreeMap<String, Moments>,
}

/// Running means of a parameter's gradient and of its square.
struct Moments {
    mean: Tensor,
    square: Tensor,
}

impl AdamW {
    /// An optimizer before its first step.
    pub fn new(settings: AdamWSettings) -> Self {
        AdamW {
            settings,
            n_steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// The name and the running means of each parameter's gradient and of its square.
    pub(super) fn moments(&self) -> impl Iterator<Item = (&String, &Tensor, &Tensor)> {
        let moments = self.moments.iter();
        moments.map(|(name, Moments { mean, square })| (name, mean, square))
    }

    /// An optimizer after `n_steps` steps, with the given moments.
    pub(super) fn resumed(
        settings: AdamWSettings,
        n_steps: u64,
        moments: impl Iterator<Item = (String, Tensor, Tensor)>,
    ) -> Self {
        AdamW {
            settings,
            n_steps,
            moments: moments
                .map(|(name, mean, square)| (name, Moments { mean, square }))
                .collect(),
        }
    }

    /// Updates each variable that has a gradient.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn step(
        &mut self,
        vars: &BTreeMap<String, Var>,
        gradients: &BTreeMap<String, Tensor>,
        learning_rate: f64,
    ) -> Result<()> {
        self.n_steps += 1;
        for (name, var) in vars {
            if let Some(gradient) = gradients.get(name) {
                self.update(name, var, gradient, learning_rate)
                    .map_err(Error::compute(format!("the optimizer's step of `{name}`")))?;
            }
        }
        Ok(())
    }

    fn update(&mut self, name: &str, var: &Var, gradient: &Tensor, rate: f64) -> candle_core::Result<()> {
        let AdamWSettings {
            beta_1,
            beta_2,
            epsilon,
            weight_decay,
        } = self.settings;
        let gradient = gradient.detach();
        let (mean, square) = match self.moments.remove(name) {
            Some(Moments { mean, square }) => (mean, square),
            None => (gradient.zeros_like()?, gradient.zeros_like()?),
        };
        // Corrects the bias of both means, which began at 0.
        let step = self.n_steps as f64;
        let (mean_bias, square_bias) = (1.0 - beta_1.powf(step), 1.0 - beta_2.powf(step));
        let step = AdamWStep {
            beta_1,
            beta_2,
            epsilon,
            kept: 1.0 - rate * weight_decay,
            rate: rate / mean_bias,
            square_root_bias: square_bias.sqrt(),
        };
        let (mean, square) = match (var.device(), var.dtype()) {
            (Device::Cpu, DType::F32) => {
                in_place::step(var, &mean, &square, &gradient, step)?;
                (mean, square)
            }
            _ => step_of_tensors(var, (mean, square), &gradient, step)?,
        };
        self.moments.insert(name.to_owned(), Moments { mean, square });
        Ok(())
    }
}

/// The formula on tensors of any device and type. Returns the new means.
fn step_of_tensors(
    var: &Var,
    (mean, square): (Tensor, Tensor),
    gradient: &Tensor,
    step: AdamWStep,
) -> candle_core::Result<(Tensor, Tensor)> {
    let mean = ((mean * step.beta_1)? + (gradient * (1.0 - step.beta_1))?)?;
    let square = ((square * step.beta_2)? + (gradient.sqr()? * (1.0 - step.beta_2))?)?;
    let root = ((square.sqrt()? / step.square_root_bias)? + step.epsilon)?;
    let moved = ((&mean / root)? * step.rate)?;
    var.set(&((var.as_detached_tensor() * step.kept)? - moved)?)?;
    Ok((mean, square))
}

/// The learning rate of each step: a linear rise, then half a cosine down to 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f64,
    /// Steps of the rise.
    pub warmup_steps: u64,
    /// All steps.
    pub total_steps: u64,
}

impl Schedule {
    /// The rate of a step, counted from 0. It is 0 after the last step.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let falling_steps = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let share = (step - self.warmup_steps) as f64 / falling_steps as f64;
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::{uniform, values};

    #[test]
    fn the_rate_rises_linearly_and_falls_to_zero() {
        let schedule = Schedule {
            peak: 1.0,
            warmup_steps: 4,
            total_steps: 12,
        };
        let rates: Vec<f64> = [0, 1, 3, 4, 8, 12, 99].map(|step| schedule.rate(step)).to_vec();
        for (found, expected) in rates.iter().zip([0.25, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn the_first_step_has_the_length_of_the_rate() {
        let var = Var::new(&[1f64, -2.0, 3.0], &candle_core::Device::Cpu).unwrap();
        let gradient = Tensor::new(&[1e-3f64, -50.0, 0.0], &candle_core::Device::Cpu).unwrap();
        let mut optimizer = AdamW::new(AdamWSettings::default());
        let vars = BTreeMap::from([("x".to_owned(), var.clone())]);
        optimizer
            .step(&vars, &BTreeMap::from([("x".into(), gradient)]), 0.1)
            .unwrap();
        for (found, expected) in values(&var).iter().zip([0.999 - 0.1, -1.998 + 0.1, 2.997]) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }

    /// The results of three steps in f32 on the CPU, computed by `step`.
    fn stepped(n: usize, step: impl Fn(&Var, (Tensor, Tensor), &Tensor, AdamWStep) -> (Tensor, Tensor)) -> Vec<f64> {
        let tensor = |name: &str| {
            let values: Vec<f32> = uniform(name, n).into_iter().map(|x| x as f32).collect();
            Tensor::from_vec(values, n, &Device::Cpu).unwrap()
        };
        let var = Var::from_tensor(&tensor("weights")).unwrap();
        let zeros = || var.zeros_like().unwrap();
        let mut means = (zeros(), zeros());
        for i in 1..4 {
            let numbers = AdamWStep {
                beta_1: 0.9,
                beta_2: 0.999,
                epsilon: 1e-8,
                kept: 0.999,
                rate: 0.01 / (1.0 - 0.9f64.powi(i)),
                square_root_bias: (1.0 - 0.999f64.powi(i)).sqrt(),
            };
            means = step(&var, means, &tensor(&format!("gradient {i}")), numbers);
        }
        [values(&var), values(&means.0), values(&means.1)].concat()
    }

    #[test]
    fn steps_in_place_equal_the_formula() {
        for n in [1, 17, 40_000] {
            let in_place = stepped(n, |var, (mean, square), gradient, step| {
                in_place::step(var, &mean, &square, gradient, step).unwrap();
                (mean, square)
            });
            let by_formula = stepped(n, |var, means, gradient, step| {
                step_of_tensors(var, means, gradient, step).unwrap()
            });
            for (found, expected) in in_place.iter().zip(by_formula) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
    }

    #[test]
    fn a_variable_without_gradient_stays() {
        let var = Var::new(&[1f64], &candle_core::Device::Cpu).unwrap();
        let vars = BTreeMap::from([("x".to_owned(), var.clone())]);
        let mut optimizer = AdamW::new(AdamWSettings::default());
        optimizer.step(&vars, &BTreeMap::new(), 0.1).unwrap();
        assert_eq!(values(&var), [1.0]);
    }
}
