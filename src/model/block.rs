//! The residual attention block of both towers, and a shorter form for the last block.
//!
//! `x += attn(ln_1(x)); x += mlp(ln_2(x))` (upstream `model_longclip.py`, `ResidualAttentionBlock`). Only one row per
//! sequence is read after the last block (class token or end token), so that block computes queries, attention and MLP
//! for this row only. Its keys and values still come from all rows.

use super::engine::{Engine, LinearNames, Mask, Sequences};
use crate::error::Result;
use crate::recipe::Activation;

/// The parameters that all blocks of a tower share.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShape {
    pub(super) hidden_dim: usize,
    pub(super) heads: usize,
    pub(super) mask: Mask,
    pub(super) activation: Activation,
    pub(super) epsilon: f32,
}

/// Output projection, second norm and MLP: the second half of both forms of the block.
struct BlockTail<E: Engine> {
    out_proj: E::Linear,
    ln_2: E::Norm,
    c_fc: E::Linear,
    c_proj: E::Linear,
}

impl<E: Engine> BlockTail<E> {
    fn load(engine: &E, source: &E::Source, prefix: &str, epsilon: f32) -> Result<Self> {
        Ok(BlockTail {
            out_proj: linear(engine, source, &format!("{prefix}.attn.out_proj"))?,
            ln_2: engine.norm(source, &format!("{prefix}.ln_2"), epsilon)?,
            c_fc: linear(engine, source, &format!("{prefix}.mlp.c_fc"))?,
            c_proj: linear(engine, source, &format!("{prefix}.mlp.c_proj"))?,
        })
    }

    fn forward(&self, engine: &E, x: E::Rows, attention: E::Operand, activation: Activation) -> Result<E::Rows> {
        let x = engine.add_linear(x, attention, &self.out_proj)?;
        let hidden = engine.norm_linear_activate(&x, &self.ln_2, &self.c_fc, activation)?; // (n_rows, 4 * hidden_dim)
        engine.add_linear(x, hidden, &self.c_proj)
    }
}

/// A block that returns all rows.
pub(super) struct Block<E: Engine> {
    shape: BlockShape,
    ln_1: E::Norm,
    in_proj: E::Linear,
    tail: BlockTail<E>,
}

impl<E: Engine> Block<E> {
    pub(super) fn load(engine: &E, source: &E::Source, prefix: &str, shape: BlockShape) -> Result<Self> {
        let in_proj = LinearNames {
            weight: &format!("{prefix}.attn.in_proj_weight"),
            bias: Some(&format!("{prefix}.attn.in_proj_bias")),
            outputs: None,
        };
        Ok(Block {
            shape,
            ln_1: engine.norm(source, &format!("{prefix}.ln_1"), shape.epsilon)?,
            in_proj: engine.linear(source, &in_proj)?,
            tail: BlockTail::load(engine, source, prefix, shape.epsilon)?,
        })
    }

    /// `x`: `(n_rows, hidden_dim)` to the same shape.
    pub(super) fn forward(&self, engine: &E, x: E::Rows, sequences: &Sequences) -> Result<E::Rows> {
        let qkv = engine.norm_linear(&x, &self.ln_1, &self.in_proj)?; // (n_rows, 3 * hidden_dim)
        let attention = engine.attend(&qkv, sequences, self.shape.heads, self.shape.mask)?;
        drop(qkv);
        self.tail.forward(engine, x, attention, self.shape.activation)
    }
}

/// The last block, which returns one row per sequence.
pub(super) struct LastBlock<E: Engine> {
    shape: BlockShape,
    ln_1: E::Norm,
    query: E::Linear,
    key_value: E::Linear,
    tail: BlockTail<E>,
}

impl<E: Engine> LastBlock<E> {
    pub(super) fn load(engine: &E, source: &E::Source, prefix: &str, shape: BlockShape) -> Result<Self> {
        let (weight, bias) = (
            format!("{prefix}.attn.in_proj_weight"),
            format!("{prefix}.attn.in_proj_bias"),
        );
        let part = |outputs| LinearNames {
            weight: &weight,
            bias: Some(&bias),
            outputs: Some(outputs),
        };
        let dim = shape.hidden_dim;
        Ok(LastBlock {
            shape,
            ln_1: engine.norm(source, &format!("{prefix}.ln_1"), shape.epsilon)?,
            query: engine.linear(source, &part(0..dim))?,
            key_value: engine.linear(source, &part(dim..3 * dim))?,
            tail: BlockTail::load(engine, source, prefix, shape.epsilon)?,
        })
    }

    /// `x`: `(n_rows, hidden_dim)` to `(n_sequences, hidden_dim)`, the row of each sequence that `rows` lists.
    ///
    /// In a causal tower this must be the last row of its sequence, so that no mask is needed.
    pub(super) fn forward(&self, engine: &E, x: &E::Rows, sequences: &Sequences, rows: &[usize]) -> Result<E::Rows> {
        let key_value = engine.norm_linear(x, &self.ln_1, &self.key_value)?; // (n_rows, 2 * hidden_dim)
        let read = engine.select(x, rows)?; // (n_sequences, hidden_dim)
        let query = engine.norm_linear(&read, &self.ln_1, &self.query)?;
        let attention = engine.attend_one(&query, &key_value, sequences, self.shape.heads)?;
        self.tail.forward(engine, read, attention, self.shape.activation)
    }

    /// `x`: `(n_rows, hidden_dim)` to the same shape, for callers that read every row.
    pub(super) fn forward_all(&self, engine: &E, x: E::Rows, sequences: &Sequences) -> Result<E::Rows> {
        let query = engine.norm_linear(&x, &self.ln_1, &self.query)?;
        let key_value = engine.norm_linear(&x, &self.ln_1, &self.key_value)?;
        let qkv = engine.concat_columns(&query, &key_value)?; // (n_rows, 3 * hidden_dim)
        let attention = engine.attend(&qkv, sequences, self.shape.heads, self.shape.mask)?;
        self.tail.forward(engine, x, attention, self.shape.activation)
    }
}

fn linear<E: Engine>(engine: &E, source: &E::Source, prefix: &str) -> Result<E::Linear> {
    let names = LinearNames {
        weight: &format!("{prefix}.weight"),
        bias: Some(&format!("{prefix}.bias")),
        outputs: None,
    };
    engine.linear(source, &names)
}
