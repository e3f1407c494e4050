//! AdamW, and the learning rate's way up and down.
//!
//! Loshchilov and Hutter, *Decoupled weight decay regularization* (arXiv 1711.05101), with torch's order of operations:
//! decay first, then the step. The rate rises linearly and falls as half a cosine (upstream `train/scheduler.py`).
//! Called by `run.rs` once a step; its moments are part of what a resumption needs.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use serde::Serialize;

use super::in_place::{self, Step};
use crate::error::{Error, Result};

/// What AdamW is set by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AdamWSettings {
    /// How much of the mean of gradients is kept each step.
    pub beta_1: f64,
    /// How much of the mean of squared gradients is kept each step.
    pub beta_2: f64,
    /// Added to the root of the mean square.
    pub epsilon: f64,
    /// How much of a parameter is taken away each step, times the learning rate.
    pub weight_decay: f64,
}

impl Default for AdamWSettings {
    /// Upstream's.
    fn default() -> Self {
        AdamWSettings {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// The optimizer and its memory.
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
    /// An optimizer that has seen nothing.
    pub fn new(settings: AdamWSettings) -> Self {
        AdamW {
            settings,
            n_steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// What it remembers, by name: running means of gradients, and of their squares.
    pub(super) fn memory(&self) -> impl Iterator<Item = (&String, &Tensor, &Tensor)> {
        let moments = self.moments.iter();
        moments.map(|(name, Moments { mean, square })| (name, mean, square))
    }

    /// An optimizer that has done so many steps and remembers this.
    pub(super) fn remembering(
        settings: AdamWSettings,
        n_steps: u64,
        memory: impl Iterator<Item = (String, Tensor, Tensor)>,
    ) -> Self {
        AdamW {
            settings,
            n_steps,
            moments: memory
                .map(|(name, mean, square)| (name, Moments { mean, square }))
                .collect(),
        }
    }

    /// Moves each variable that has a gradient.
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
                self.move_one(name, var, gradient, learning_rate)
                    .map_err(Error::compute(format!("the optimizer's step of `{name}`")))?;
            }
        }
        Ok(())
    }

    fn move_one(&mut self, name: &str, var: &Var, gradient: &Tensor, rate: f64) -> candle_core::Result<()> {
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
        // Both means began at 0; these factors make up for it.
        let step = self.n_steps as f64;
        let (mean_bias, square_bias) = (1.0 - beta_1.powf(step), 1.0 - beta_2.powf(step));
        let step = Step {
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

/// The formula on tensors of any device and type; gives the new means.
fn step_of_tensors(
    var: &Var,
    (mean, square): (Tensor, Tensor),
    gradient: &Tensor,
    step: Step,
) -> candle_core::Result<(Tensor, Tensor)> {
    let mean = ((mean * step.beta_1)? + (gradient * (1.0 - step.beta_1))?)?;
    let square = ((square * step.beta_2)? + (gradient.sqr()? * (1.0 - step.beta_2))?)?;
    let root = ((square.sqrt()? / step.square_root_bias)? + step.epsilon)?;
    let moved = ((&mean / root)? * step.rate)?;
    var.set(&((var.as_detached_tensor() * step.kept)? - moved)?)?;
    Ok((mean, square))
}

/// The learning rate of each step: up in a line, down as half a cosine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f64,
    /// Steps that the way up takes.
    pub warmup_steps: u64,
    /// Steps in all.
    pub total_steps: u64,
}

impl Schedule {
    /// The rate of a step, counted from 0; 0 behind the last one.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let way_down = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let gone = (step - self.warmup_steps) as f64 / way_down as f64;
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * gone.min(1.0)).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::{uniform, values};

    #[test]
    fn the_rate_rises_in_a_line_and_falls_to_nothing() {
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
    fn a_first_step_is_as_long_as_the_rate_whatever_the_gradient() {
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

    /// Three steps in f32 on the CPU, in place or by the formula on tensors.
    fn stepped(n: usize, step: impl Fn(&Var, (Tensor, Tensor), &Tensor, Step) -> (Tensor, Tensor)) -> Vec<f64> {
        let tensor = |name: &str| {
            let values: Vec<f32> = uniform(name, n).into_iter().map(|x| x as f32).collect();
            Tensor::from_vec(values, n, &Device::Cpu).unwrap()
        };
        let var = Var::from_tensor(&tensor("weights")).unwrap();
        let zeros = || var.zeros_like().unwrap();
        let mut means = (zeros(), zeros());
        for i in 1..4 {
            let numbers = Step {
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
    fn steps_in_place_are_those_of_the_formula() {
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
    fn what_has_no_gradient_stays() {
        let var = Var::new(&[1f64], &candle_core::Device::Cpu).unwrap();
        let vars = BTreeMap::from([("x".to_owned(), var.clone())]);
        let mut optimizer = AdamW::new(AdamWSettings::default());
        optimizer.step(&vars, &BTreeMap::new(), 0.1).unwrap();
        assert_eq!(values(&var), [1.0]);
    }
}
