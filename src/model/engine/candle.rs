//! The towers' operations on candle tensors: any device, any float type, with gradients for training.
//!
//! This is the plain formulation: the oracle of the CPU engine, the code that CUDA and Metal run, and what training
//! differentiates. candle's fused layer norm and softmax have no backward pass, so [`Gradients::Composed`] builds both
//! from differentiable operations, which agree up to rounding. [`Gradients::Fused`] uses the whole layers of
//! `trained.rs`.

use std::sync::Arc;

use candle_core::{D, DType, Device, IndexOp, Tensor};

use super::sources::{Table, TensorSource};
use super::trained::{self, WeightOrder};
use super::{Engine, LinearNames, Mask, Sequence, Sequences};
use crate::error::{Error, Result};
use crate::kernels::QUICK_GELU_SLOPE;
use crate::recipe::Activation;

/// Whether results can be differentiated.
#[derive(Debug, Clone)]
pub enum Gradients {
    /// Inference: candle's fused operations.
    Off,
    /// Training on any device: elementary operations, which have a backward pass.
    Composed,
    /// Training in f32 on a CPU: whole layers with their own backward passes.
    Fused,
    /// Like [`Gradients::Composed`], with a hook that sees each attention.
    Hooked(Arc<dyn AttentionHook>),
}

/// A hook that is called for each attention of a forward pass, in the order of the blocks.
pub trait AttentionHook: Send + Sync + std::fmt::Debug {
    /// Takes attention probabilities `(n_sequences, heads, n_queries, n_keys)`. The pass continues with what is
    /// returned.
    ///
    /// # Errors
    /// If candle fails.
    fn attention(&self, probabilities: Tensor) -> candle_core::Result<Tensor>;
}

/// The engine on candle tensors.
#[derive(Debug, Clone)]
pub struct CandleEngine {
    /// The device of all tensors.
    pub device: Device,
    /// The number type of all tensors.
    pub dtype: DType,
    /// Whether results can be differentiated.
    pub gradients: Gradients,
}

/// `x @ weight.T + bias`.
pub struct Linear {
    /// In the layout of the checkpoint, see `order`.
    weight: Tensor,
    bias: Option<Tensor>,
    order: WeightOrder,
}

/// Gain and bias of a layer norm.
pub struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f32,
}

impl CandleEngine {
    /// An engine for inference.
    pub fn new(device: Device, dtype: DType) -> Self {
        CandleEngine {
            device,
            dtype,
            gradients: Gradients::Off,
        }
    }

    fn linear_forward(&self, x: &Tensor, linear: &Linear) -> candle_core::Result<Tensor> {
        let Linear { weight, bias, order } = linear;
        if matches!(self.gradients, Gradients::Fused) {
            return trained::linear(x, weight, bias.as_ref(), *order);
        }
        let y = match order {
            WeightOrder::OutIn => x.matmul(&weight.t()?)?,
            WeightOrder::InOut => x.matmul(weight)?,
        };
        match bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    fn norm_forward(&self, x: &Tensor, norm: &Norm) -> candle_core::Result<Tensor> {
        match self.gradients {
            Gradients::Off => candle_nn::ops::layer_norm(&x.contiguous()?, &norm.weight, &norm.bias, norm.epsilon),
            Gradients::Composed | Gradients::Hooked(_) => {
                candle_nn::ops::layer_norm_slow(x, &norm.weight, &norm.bias, norm.epsilon)
            }
            Gradients::Fused => trained::norm(x, &norm.weight, &norm.bias, norm.epsilon),
        }
    }

    fn activate(&self, x: &Tensor, activation: Activation) -> candle_core::Result<Tensor> {
        match activation {
            Activation::QuickGelu if matches!(self.gradients, Gradients::Fused) => trained::quick_gelu(x),
            Activation::QuickGelu => x * candle_nn::ops::sigmoid(&(x * QUICK_GELU_SLOPE)?)?,
            Activation::Gelu => x.gelu_erf(),
            Activation::GeluTanh => x.gelu(),
        }
    }

    fn softmax(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self.gradients {
            Gradients::Off => candle_nn::ops::softmax_last_dim(x),
            Gradients::Composed | Gradients::Fused | Gradients::Hooked(_) => candle_nn::ops::softmax(x, D::Minus1),
        }
    }

    /// `q (n_heads, m, d)`, `k` and `v (n_heads, n, d)`, possibly with a batch axis in front, to `(.., m, d)`.
    fn scaled_dot_product(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        bias: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        let head_dim = q.dim(D::Minus1)? as f64;
        let scores = (q.contiguous()?.matmul(&k.t()?.contiguous()?)? * head_dim.powf(-0.5))?;
        let scores = match bias {
            Some(bias) => scores.broadcast_add(bias)?,
            None => scores,
        };
        let probabilities = match &self.gradients {
            Gradients::Hooked(hook) => hook.attention(self.softmax(&scores)?)?,
            _ => self.softmax(&scores)?,
        };
        probabilities.matmul(&v.contiguous()?)
    }

    /// `(n, n)`: zero if the query (row) may attend to the key (column), otherwise minus infinity.
    fn causal_bias(&self, n: usize) -> candle_core::Result<Tensor> {
        let values: Vec<f32> = (0..n * n)
            .map(|i| if i % n > i / n { f32::NEG_INFINITY } else { 0.0 })
            .collect();
        Tensor::from_vec(values, (n, n), &self.device)?.to_dtype(self.dtype)
    }

    /// Attention over sequences padded to one length. Padding is at the end, masked by causality or by `bias`.
    fn attend_padded(
        &self,
        qkv: &Tensor,
        sequences: &Sequences,
        heads: usize,
        mask: Mask,
    ) -> candle_core::Result<Tensor> {
        let grid = Padding::of(sequences);
        let padded = grid.pad(qkv, &self.device)?; // (b, n, 3 * width)
        let (batch, n, width3) = padded.dims3()?;
        let head_dim = width3 / 3 / heads;
        let parts = padded
            .reshape((batch, n, 3, heads, head_dim))?
            .permute((2, 0, 3, 1, 4))?; // (3, b, h, n, d)
        let bias = match mask {
            Mask::Causal => Some(self.causal_bias(n)?),
            Mask::None => grid.key_bias(self)?,
        };
        let out = self.scaled_dot_product(&parts.i(0)?, &parts.i(1)?, &parts.i(2)?, bias.as_ref())?; // (b, h, n, d)
        grid.unpad(&out.transpose(1, 2)?.reshape((batch, n, width3 / 3))?, &self.device)
    }

    fn attend_one_padded(
        &self,
        q: &Tensor,
        kv: &Tensor,
        sequences: &Sequences,
        heads: usize,
    ) -> candle_core::Result<Tensor> {
        let grid = Padding::of(sequences);
        let padded = grid.pad(kv, &self.device)?; // (b, n, 2 * width)
        let (batch, n, width2) = padded.dims3()?;
        let (width, head_dim) = (width2 / 2, width2 / 2 / heads);
        let parts = padded
            .reshape((batch, n, 2, heads, head_dim))?
            .permute((2, 0, 3, 1, 4))?; // (2, b, h, n, d)
        let q = q.reshape((batch, heads, 1, head_dim))?;
        let out = self.scaled_dot_product(&q, &parts.i(0)?, &parts.i(1)?, grid.key_bias(self)?.as_ref())?;
        out.reshape((batch, width))
    }
}

/// Converts sequences of different lengths to a rectangle and back.
struct Padding<'a> {
    list: &'a [Sequence],
    longest: usize,
    /// Whether the rows already form such a rectangle.
    is_rectangle: bool,
}

impl<'a> Padding<'a> {
    fn of(sequences: &'a Sequences) -> Self {
        let list = sequences.list();
        let longest = list.iter().map(Sequence::len).max().unwrap_or(0);
        let in_grid = |(i, sequence): (usize, &Sequence)| sequence.rows == (i * longest..(i + 1) * longest);
        Padding {
            list,
            longest,
            is_rectangle: list.iter().enumerate().all(in_grid),
        }
    }

    /// `(n_rows, width)` to `(n_sequences, longest, width)`; a short sequence repeats its last row.
    fn pad(&self, rows: &Tensor, device: &Device) -> candle_core::Result<Tensor> {
        let width = rows.dim(1)?;
        let shape = (self.list.len(), self.longest, width);
        if self.is_rectangle {
            return rows.reshape(shape);
        }
        let padded = |sequence: &Sequence| {
            let last = sequence.rows.end - 1;
            let index: Vec<u32> = sequence
                .all_rows()
                .chain(std::iter::repeat(last))
                .take(self.longest)
                .map(|row| row as u32)
                .collect();
            index
        };
        let index: Vec<u32> = self.list.iter().flat_map(padded).collect();
        let index = Tensor::from_vec(index, self.list.len() * self.longest, device)?;
        rows.index_select(&index, 0)?.reshape(shape)
    }

    /// `(n_sequences, longest, width)` to `(n_rows, width)`: each sequence's own rows, in order.
    fn unpad(&self, padded: &Tensor, device: &Device) -> candle_core::Result<Tensor> {
        let (batch, n, width) = padded.dims3()?;
        let rows = padded.reshape((batch * n, width))?;
        if self.is_rectangle {
            return Ok(rows);
        }
        let own = |(i, sequence): (usize, &Sequence)| {
            let start = i * n + sequence.prefix.len();
            (start..start + sequence.rows.len()).map(|row| row as u32)
        };
        let index: Vec<u32> = self.list.iter().enumerate().flat_map(own).collect();
        let n_rows = index.len();
        rows.index_select(&Tensor::from_vec(index, n_rows, device)?, 0)
    }

    /// `(n_sequences, 1, 1, longest)`: minus infinity on padding. `None` without padding.
    fn key_bias(&self, engine: &CandleEngine) -> candle_core::Result<Option<Tensor>> {
        if self.list.iter().all(|sequence| sequence.len() == self.longest) {
            return Ok(None);
        }
        let biases = |sequence: &Sequence| {
            let n_keys = sequence.len();
            (0..self.longest).map(move |i| if i < n_keys { 0.0 } else { f32::NEG_INFINITY })
        };
        let values: Vec<f32> = self.list.iter().flat_map(biases).collect();
        let bias = Tensor::from_vec(values, (self.list.len(), 1, 1, self.longest), &engine.device)?;
        bias.to_dtype(engine.dtype).map(Some)
    }
}

impl Engine for CandleEngine {
    type Source = dyn TensorSource;
    type Rows = Tensor;
    type Operand = Tensor;
    type Linear = Linear;
    type Norm = Norm;
    type Table = Table;

    fn linear(&self, source: &Self::Source, names: &LinearNames<'_>) -> Result<Linear> {
        let (weight, bias) = self.read_linear(source, names)?;
        let part = |tensor: Tensor| match &names.outputs {
            Some(outputs) => tensor.narrow(0, outputs.start, outputs.len()),
            None => Ok(tensor),
        };
        let made = || -> candle_core::Result<Linear> {
            Ok(Linear {
                weight: part(if weight.rank() > 2 {
                    weight.flatten_from(1)?
                } else {
                    weight
                })?,
                bias: bias.map(part).transpose()?,
                order: WeightOrder::OutIn,
            })
        };
        made().map_err(Error::compute(format!("preparing `{}`", names.weight)))
    }

    fn projection(&self, source: &Self::Source, name: &str, bias: Option<&str>) -> Result<Linear> {
        let read = |name| source.tensor(name, self.dtype, &self.device);
        Ok(Linear {
            weight: read(name)?,
            bias: bias.map(read).transpose()?,
            order: WeightOrder::InOut,
        })
    }

    fn norm(&self, source: &Self::Source, prefix: &str, epsilon: f32) -> Result<Norm> {
        Ok(Norm {
            weight: source.tensor(&format!("{prefix}.weight"), self.dtype, &self.device)?,
            bias: source.tensor(&format!("{prefix}.bias"), self.dtype, &self.device)?,
            epsilon,
        })
    }

    fn table(&self, source: &Self::Source, name: &str) -> Result<Table> {
        let tensor = source.tensor(name, self.dtype, &self.device)?;
        let tensor = if tensor.rank() == 1 {
            tensor.unsqueeze(0)
        } else {
            Ok(tensor)
        };
        tensor
            .map(Table::Whole)
            .map_err(Error::compute(format!("preparing `{name}`")))
    }

    fn text_positions(&self, source: &Self::Source) -> Result<Table> {
        source.text_positions(self.dtype, &self.device)
    }

    fn rows(&self, values: Vec<f32>, width: usize) -> Result<Tensor> {
        Tensor::from_vec(values, ((), width), &self.device)
            .and_then(|rows| rows.to_dtype(self.dtype))
            .map_err(Error::compute("moving a batch to the device"))
    }

    fn values(&self, rows: Tensor) -> Result<Vec<f32>> {
        rows.to_dtype(DType::F32)
            .and_then(|rows| rows.flatten_all()?.to_vec1())
            .map_err(Error::compute("reading a result from the device"))
    }

    fn embed_tokens(
        &self,
        token_table: &Table,
        ids: &[u32],
        position_table: &Table,
        positions: &[u32],
    ) -> Result<Tensor> {
        let look_up = |table: &Table, rows: &[u32]| -> candle_core::Result<Tensor> {
            table.tensor()?.index_select(&Tensor::new(rows, &self.device)?, 0)
        };
        look_up(token_table, ids)
            .and_then(|tokens| tokens + look_up(position_table, positions)?)
            .map_err(Error::compute("looking up token embeddings"))
    }

    fn embed_patches(&self, patches: Tensor, class: &Table, positions: &Table) -> Result<Tensor> {
        let embed = || -> candle_core::Result<Tensor> {
            let (class, positions) = (class.tensor()?, positions.tensor()?); // (1, width), (n_patches + 1, width)
            let (n, width) = positions.dims2()?;
            let n_images = patches.dim(0)? / (n - 1);
            let class = class.unsqueeze(0)?.broadcast_as((n_images, 1, width))?;
            let tokens = Tensor::cat(&[&class, &patches.reshape((n_images, n - 1, width))?], 1)?;
            tokens.broadcast_add(&positions)?.reshape((n_images * n, width))
        };
        embed().map_err(Error::compute("embedding patches"))
    }

    fn apply(&self, x: &Tensor, linear: &Linear) -> Result<Tensor> {
        self.linear_forward(x, linear).map_err(Error::compute("a linear layer"))
    }

    fn normalise(&self, x: Tensor, norm: &Norm) -> Result<Tensor> {
        self.norm_forward(&x, norm).map_err(Error::compute("a layer norm"))
    }

    fn norm_linear(&self, x: &Tensor, norm: &Norm, linear: &Linear) -> Result<Tensor> {
        self.norm_forward(x, norm)
            .and_then(|x| self.linear_forward(&x, linear))
            .map_err(Error::compute("a linear layer"))
    }

    fn norm_linear_activate(&self, x: &Tensor, norm: &Norm, linear: &Linear, activation: Activation) -> Result<Tensor> {
        let x = self.norm_linear(x, norm, linear)?;
        self.activate(&x, activation).map_err(Error::compute("an activation"))
    }

    fn add_linear(&self, x: Tensor, a: Tensor, linear: &Linear) -> Result<Tensor> {
        self.linear_forward(&a, linear)
            .and_then(|y| x + y)
            .map_err(Error::compute("a linear layer"))
    }

    fn select(&self, x: &Tensor, rows: &[usize]) -> Result<Tensor> {
        let rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        Tensor::new(rows, &self.device)
            .and_then(|rows| x.index_select(&rows, 0))
            .map_err(Error::compute("selecting rows"))
    }

    fn mean_after_first(&self, x: &Tensor, sequences: &Sequences) -> Result<Tensor> {
        let mean = |sequence: &Sequence| {
            let rows = &sequence.rows;
            x.narrow(0, rows.start + 1, rows.len() - 1)?.mean_keepdim(0)
        };
        let means: candle_core::Result<Vec<Tensor>> = sequences.list().iter().map(mean).collect();
        means
            .and_then(|means| Tensor::cat(&means, 0))
            .map_err(Error::compute("averaging rows"))
    }

    fn concat_columns(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        Tensor::cat(&[a, b], 1).map_err(Error::compute("joining columns"))
    }

    fn attend(&self, qkv: &Tensor, sequences: &Sequences, heads: usize, mask: Mask) -> Result<Tensor> {
        let attended = match self.gradients {
            Gradients::Fused => trained::attend(qkv, sequences, heads, mask),
            _ => self.attend_padded(qkv, sequences, heads, mask),
        };
        attended.map_err(Error::compute("attention"))
    }

    fn attend_one(&self, q: &Tensor, kv: &Tensor, sequences: &Sequences, heads: usize) -> Result<Tensor> {
        let attended = match self.gradients {
            Gradients::Fused => trained::attend_one(q, kv, sequences, heads),
            _ => self.attend_one_padded(q, kv, sequences, heads),
        };
        attended.map_err(Error::compute("attention"))
    }
}

impl CandleEngine {
    fn read_linear(&self, source: &dyn TensorSource, names: &LinearNames<'_>) -> Result<(Tensor, Option<Tensor>)> {
        let weight = source.tensor(names.weight, self.dtype, &self.device)?;
        let bias = names
            .bias
            .map(|bias| source.tensor(bias, self.dtype, &self.device))
            .transpose()?;
        Ok((weight, bias))
    }
}
