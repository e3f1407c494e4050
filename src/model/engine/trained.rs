//! The towers' differentiable operations on a CPU: each is one node of candle's graph with its own backward pass.
//!
//! `candle.rs` composes the same equations from elementary operations. Each of those stores its result, keeps it, and
//! stores a gradient in the backward pass, so that a training step on a CPU is limited by memory bandwidth. Here a
//! whole layer is one node, computed by [`crate::kernels::gradients`] in f32. The tests of `train` compare results and
//! gradients with the composed ones.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};

use super::{Mask, Sequences};
use crate::kernels::gradients::attention::{Attention, Gradients, Inputs};
use crate::kernels::gradients::linear::Layer;
use crate::kernels::gradients::{activation, norm};
use crate::kernels::{self, Heads};

pub(super) use crate::kernels::gradients::linear::WeightOrder;

/// `x · Wᵀ + b` for `x (rows, n_in)`.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, order: WeightOrder) -> Result<Tensor> {
    let (first, second) = weight.dims2()?;
    let (n_out, n_in) = match order {
        WeightOrder::OutIn => (first, second),
        WeightOrder::InOut => (second, first),
    };
    let op = LinearOp(Layer { n_in, n_out, order });
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

/// Layer norm of each row.
pub(super) fn norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f32) -> Result<Tensor> {
    x.contiguous()?.apply_op3(weight, bias, NormOp { epsilon })
}

/// `x · σ(1.702 x)`.
pub(super) fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(QuickGeluOp)
}

/// Attention of every row, `qkv (n_rows, 3 * width)` to `(n_rows, width)`.
pub(super) fn attend(qkv: &Tensor, sequences: &Sequences, heads: usize, mask: Mask) -> Result<Tensor> {
    let width = qkv.dim(1)? / 3;
    let whole = |sequence: &super::Sequence| kernels::Sequence {
        queries: sequence.rows.clone(),
        prefix: sequence.prefix.clone(),
        keys: sequence.rows.clone(),
    };
    let op = AttendOp {
        sequences: sequences.list().iter().map(whole).collect(),
        heads: Heads {
            count: heads,
            dim: width / heads,
        },
        mask: match mask {
            Mask::None => kernels::Mask::None,
            Mask::Causal => kernels::Mask::Causal,
        },
    };
    qkv.contiguous()?.apply_op1(op)
}

/// Attention of one query per sequence: `q (n_sequences, width)` and `kv (n_rows, 2 * width)` to `(n_sequences,
/// width)`.
pub(super) fn attend_one(q: &Tensor, kv: &Tensor, sequences: &Sequences, heads: usize) -> Result<Tensor> {
    let width = q.dim(1)?;
    let one = |(i, sequence): (usize, &super::Sequence)| kernels::Sequence {
        queries: i..i + 1,
        prefix: sequence.prefix.clone(),
        keys: sequence.rows.clone(),
    };
    let op = AttendOp {
        sequences: sequences.list().iter().enumerate().map(one).collect(),
        heads: Heads {
            count: heads,
            dim: width / heads,
        },
        mask: kernels::Mask::None,
    };
    q.contiguous()?.apply_op2(&kv.contiguous()?, op)
}

/// Calls `f` with the values of a tensor.
fn with_values<T>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => values(storage, layout).map(f),
        _ => bail!("a CPU operation on another device"),
    }
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&values[from..to]),
        _ => bail!("a CPU operation on numbers that are not contiguous f32"),
    }
}

/// A gradient in the shape of the tensor that it belongs to.
fn gradient_like(tensor: &Tensor, values: Vec<f32>) -> Result<Option<Tensor>> {
    Tensor::from_vec(values, tensor.shape(), tensor.device()).map(Some)
}

#[derive(Clone, Copy)]
struct LinearOp(Layer);

impl LinearOp {
    fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let shape = Shape::from((x.len() / self.0.n_in, self.0.n_out));
        (CpuStorage::F32(self.0.forward(x, weight, bias)), shape)
    }

    /// Gradients with respect to `x` and to the weights, each only if it is needed.
    fn backward(&self, x: &Tensor, weight: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let by_input = match x.track_op() {
            true => {
                let dx = with_values(g, |g| with_values(weight, |weight| self.0.by_input(g, weight)))??;
                gradient_like(x, dx)?
            }
            false => None,
        };
        let by_weights = match weight.track_op() {
            true => {
                let dw = with_values(g, |g| with_values(x, |x| self.0.by_weights(g, x)))??;
                gradient_like(weight, dw)?
            }
            false => None,
        };
        Ok((by_input, by_weights))
    }
}

impl CustomOp2 for LinearOp {
    fn name(&self) -> &'static str {
        "a linear layer without bias"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l1: &Layout, w: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(self.forward(values(x, l1)?, values(w, l2)?, None))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(x, weight, g)
    }
}

/// The gradients with respect to three arguments.
type ThreeGradients = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

impl CustomOp3 for LinearOp {
    fn name(&self) -> &'static str {
        "a linear layer"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        l1: &Layout,
        w: &CpuStorage,
        l2: &Layout,
        b: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok(self.forward(values(x, l1)?, values(w, l2)?, Some(values(b, l3)?)))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, bias: &Tensor, _: &Tensor, g: &Tensor) -> Result<ThreeGradients> {
        let (by_input, by_weights) = self.backward(x, weight, g)?;
        let by_bias = match bias.track_op() {
            true => gradient_like(bias, with_values(g, |g| self.0.by_bias(g))?)?,
            false => None,
        };
        Ok((by_input, by_weights, by_bias))
    }
}

struct NormOp {
    epsilon: f32,
}

impl NormOp {
    fn parameters<'a>(&self, weight: &'a [f32], bias: &'a [f32]) -> norm::Parameters<'a> {
        norm::Parameters {
            weight,
            bias,
            epsilon: self.epsilon,
        }
    }
}

impl CustomOp3 for NormOp {
    fn name(&self) -> &'static str {
        "a layer norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        l1: &Layout,
        w: &CpuStorage,
        l2: &Layout,
        b: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let parameters = self.parameters(values(w, l2)?, values(b, l3)?);
        let y = norm::forward(values(x, l1)?, parameters);
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, bias: &Tensor, _: &Tensor, g: &Tensor) -> Result<ThreeGradients> {
        let gradients = with_values(x, |x| {
            with_values(g, |g| {
                with_values(weight, |w| {
                    with_values(bias, |b| norm::backward(x, g, self.parameters(w, b)))
                })
            })
        })????;
        Ok((
            gradient_like(x, gradients.x)?,
            gradient_like(weight, gradients.weight)?,
            gradient_like(bias, gradients.bias)?,
        ))
    }
}

struct QuickGeluOp;

impl CustomOp1 for QuickGeluOp {
    fn name(&self) -> &'static str {
        "QuickGELU"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = activation::forward(values(x, layout)?);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_values(x, |x| with_values(g, |g| activation::backward(x, g)))??;
        gradient_like(x, dx)
    }
}

struct AttendOp {
    sequences: Arc<[kernels::Sequence]>,
    heads: Heads,
    mask: kernels::Mask,
}

impl AttendOp {
    fn attention(&self) -> Attention<'_> {
        Attention {
            sequences: &self.sequences,
            heads: self.heads,
            mask: self.mask,
        }
    }

    fn forward(&self, inputs: Inputs<'_>) -> (CpuStorage, Shape) {
        let out = self.attention().forward(inputs);
        let shape = Shape::from((out.len() / self.heads.width(), self.heads.width()));
        (CpuStorage::F32(out), shape)
    }
}

impl CustomOp1 for AttendOp {
    fn name(&self) -> &'static str {
        "attention of all rows"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(self.forward(Inputs::fused(values(qkv, layout)?, self.heads.width())))
    }

    fn bwd(&self, qkv: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let width = self.heads.width();
        let gradients = with_values(qkv, |qkv| {
            with_values(g, |g| self.attention().backward(Inputs::fused(qkv, width), g))
        })??;
        let Gradients { queries, keys_values } = gradients;
        let mut joined = Vec::with_capacity(3 * queries.len());
        for (q, kv) in queries.chunks_exact(width).zip(keys_values.chunks_exact(2 * width)) {
            joined.extend_from_slice(q);
            joined.extend_from_slice(kv);
        }
        gradient_like(qkv, joined)
    }
}

impl CustomOp2 for AttendOp {
    fn name(&self) -> &'static str {
        "attention of one row per sequence"
    }

    fn cpu_fwd(&self, q: &CpuStorage, l1: &Layout, kv: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok(self.forward(Inputs::apart(values(q, l1)?, values(kv, l2)?, self.heads.width())))
    }

    fn bwd(&self, q: &Tensor, kv: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradients = with_values(q, |q| {
            with_values(kv, |kv| {
                let inputs = Inputs::apart(q, kv, self.heads.width());
                with_values(g, |g| self.attention().backward(inputs, g))
            })
        })???;
        Ok((
            gradient_like(q, gradients.queries)?,
            gradient_like(kv, gradients.keys_values)?,
        ))
    }
}
