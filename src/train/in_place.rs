//! AdamW's arithmetic in place: each tensor is read and written once, on all cores.
//!
//! On a CPU in f32, `optimizer.rs` calls [`step`] instead of its formula on tensors, which would allocate nine tensors of
//! the same size. The operations and their order are the same.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Storage, Tensor, Var, bail};
use rayon::prelude::*;

/// Values per task of the thread pool.
const TASK_VALUES: usize = 1 << 14;

/// The numbers of one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdamWStep {
    pub(super) beta_1: f64,
    pub(super) beta_2: f64,
    pub(super) epsilon: f64,
    /// The share of a weight that is kept: `1 - rate * weight_decay`.
    pub(super) kept: f64,
    /// The rate, divided by the bias of the mean.
    pub(super) rate: f64,
    /// The root of the bias of the mean square.
    pub(super) square_root_bias: f64,
}

/// Updates the means with the gradient, then the variable with the means.
pub(super) fn step(var: &Var, mean: &Tensor, square: &Tensor, gradient: &Tensor, step: AdamWStep) -> Result<()> {
    let gradient = gradient.contiguous()?;
    mean.inplace_op2(&gradient, &UpdateMean(step))?;
    square.inplace_op2(&gradient, &UpdateSquare(step))?;
    var.as_tensor().inplace_op3(mean, square, &UpdateWeight(step))
}

/// The sum of all squares, in f64 and in a fixed order; `None` if the tensor isn't f32 in CPU memory.
pub(super) fn square_sum(tensor: &Tensor) -> Option<f64> {
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { return None };
    let values = values(storage, layout).ok()?;
    let square = |x: &f32| f64::from(*x) * f64::from(*x);
    let parts: Vec<f64> = values
        .par_chunks(TASK_VALUES)
        .map(|part| part.iter().map(square).sum())
        .collect();
    Some(parts.iter().sum())
}

struct UpdateMean(AdamWStep);
struct UpdateSquare(AdamWStep);
struct UpdateWeight(AdamWStep);

impl InplaceOp2 for UpdateMean {
    fn name(&self) -> &'static str {
        "the mean of gradients"
    }

    fn cpu_fwd(&self, mean: &mut CpuStorage, l1: &Layout, g: &CpuStorage, l2: &Layout) -> Result<()> {
        let (kept, added) = (self.0.beta_1 as f32, (1.0 - self.0.beta_1) as f32);
        zipped(values_mut(mean, l1)?, values(g, l2)?, |mean, g| {
            *mean = *mean * kept + g * added
        });
        Ok(())
    }
}

impl InplaceOp2 for UpdateSquare {
    fn name(&self) -> &'static str {
        "the mean of squared gradients"
    }

    fn cpu_fwd(&self, square: &mut CpuStorage, l1: &Layout, g: &CpuStorage, l2: &Layout) -> Result<()> {
        let (kept, added) = (self.0.beta_2 as f32, (1.0 - self.0.beta_2) as f32);
        zipped(values_mut(square, l1)?, values(g, l2)?, |square, g| {
            *square = *square * kept + g * g * added;
        });
        Ok(())
    }
}

impl InplaceOp3 for UpdateWeight {
    fn name(&self) -> &'static str {
        "a step of the weights"
    }

    fn cpu_fwd(
        &self,
        weight: &mut CpuStorage,
        l1: &Layout,
        mean: &CpuStorage,
        l2: &Layout,
        square: &CpuStorage,
        l3: &Layout,
    ) -> Result<()> {
        let AdamWStep {
            epsilon,
            kept,
            rate,
            square_root_bias,
            ..
        } = self.0;
        let (epsilon, kept, rate) = (epsilon as f32, kept as f32, rate as f32);
        let root_scale = (1.0 / square_root_bias) as f32;
        let (weight, mean, square) = (values_mut(weight, l1)?, values(mean, l2)?, values(square, l3)?);
        let tasks = weight
            .par_chunks_mut(TASK_VALUES)
            .zip(mean.par_chunks(TASK_VALUES).zip(square.par_chunks(TASK_VALUES)));
        tasks.for_each(|(weight, (mean, square))| {
            for (weight, (mean, square)) in weight.iter_mut().zip(mean.iter().zip(square)) {
                let root = square.sqrt() * root_scale + epsilon;
                *weight = *weight * kept - mean / root * rate;
            }
        });
        Ok(())
    }
}

fn zipped(values: &mut [f32], with: &[f32], f: impl Fn(&mut f32, f32) + Sync) {
    let tasks = values.par_chunks_mut(TASK_VALUES).zip(with.par_chunks(TASK_VALUES));
    tasks.for_each(|(values, with)| values.iter_mut().zip(with).for_each(|(value, with)| f(value, *with)));
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("a step in place needs contiguous f32 numbers"),
    }
}

fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        _ => bail!("a step in place needs contiguous f32 numbers"),
    }
}
