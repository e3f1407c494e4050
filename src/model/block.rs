//! The residual attention block of both towers, and its short form for the last one.
//!
//! `x += attn(ln_1(x)); x += mlp(ln_2(x))` (upstream `model_longclip.py`, `ResidualAttentionBlock`). Of the last block
//! only one row a sequence is read (class token or end token), so it computes queries, attention and MLP for that row
//! alone; keys and values still come from all rows.

use super::engine::{Engine, LinearNames, Mask, Sequences};
use crate::error::Result;
use crate::weights::Activation;

/// What a tower's blocks have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShape {
    pub(super) hidden_dim: usize,
    pub(super) heads: usize,
    pub(super) mask: Mask,
    pub(super) activation: Activation,
}

/// Output projection, second norm and MLP: what both forms of the block end with.
struct Ending<E: Engine> {
    out_proj: E::Linear,
    ln_2: E::Norm,
    c_fc: E::Linear,
    c_proj: E::Linear,
}

impl<E: Engine> Ending<E> {
    fn load(engine: &E, source: &E::Source, prefix: &str) -> Result<Self> {
        Ok(Ending {
            out_proj: linear(engine, source, &format!("{prefix}.attn.out_proj"))?,
            ln_2: engine.norm(source, &format!("{prefix}.ln_2"))?,
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

/// A block whose every row goes on to the next one.
pub(super) struct Block<E: Engine> {
    shape: BlockShape,
    ln_1: E::Norm,
    in_proj: E::Linear,
    ending: Ending<E>,
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
            ln_1: engine.norm(source, &format!("{prefix}.ln_1"))?,
            in_proj: engine.linear(source, &in_proj)?,
            ending: Ending::load(engine, source, prefix)?,
        })
    }

    /// `x` `(n_rows, hidden_dim)` to the same.
    pub(super) fn forward(&self, engine: &E, x: E::Rows, sequences: &Sequences) -> Result<E::Rows> {
        let qkv = engine.norm_linear(&x, &self.ln_1, &self.in_proj)?; // (n_rows, 3 * hidden_dim)
        let attention = engine.attend(&qkv, sequences, self.shape.heads, self.shape.mask)?;
        drop(qkv);
        self.ending.forward(engine, x, attention, self.shape.activation)
    }
}

/// The last block: of each sequence only one row leaves it.
pub(super) struct LastBlock<E: Engine> {
    shape: BlockShape,
    ln_1: E::Norm,
    query: E::Linear,
    key_value: E::Linear,
    ending: Ending<E>,
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
            ln_1: engine.norm(source, &format!("{prefix}.ln_1"))?,
            query: engine.linear(source, &part(0..dim))?,
            key_value: engine.linear(source, &part(dim..3 * dim))?,
            ending: Ending::load(engine, source, prefix)?,
        })
    }

    /// `x` `(n_rows, hidden_dim)` to `(n_sequences, hidden_dim)`: the row of each sequence that `rows` names.
    ///
    /// A causal tower's row must be the last of its sequence, so that no mask is needed.
    pub(super) fn forward(&self, engine: &E, x: &E::Rows, sequences: &Sequences, rows: &[usize]) -> Result<E::Rows> {
        let key_value = engine.norm_linear(x, &self.ln_1, &self.key_value)?; // (n_rows, 2 * hidden_dim)
        let read = engine.select(x, rows)?; // (n_sequences, hidden_dim)
        let query = engine.norm_linear(&read, &self.ln_1, &self.query)?;
        let attention = engine.attend_one(&query, &key_value, sequences, self.shape.heads)?;
        self.ending.forward(engine, read, attention, self.shape.activation)
    }

    /// `x` `(n_rows, hidden_dim)` to the same, for callers that read every row.
    pub(super) fn forward_all(&self, engine: &E, x: E::Rows, sequences: &Sequences) -> Result<E::Rows> {
        let query = engine.norm_linear(&x, &self.ln_1, &self.query)?;
        let key_value = engine.norm_linear(&x, &self.ln_1, &self.key_value)?;
        let qkv = engine.beside(&query, &key_value)?; // (n_rows, 3 * hidden_dim)
        let attention = engine.attend(&qkv, sequences, self.shape.heads, self.shape.mask)?;
        self.ending.forward(engine, x, attention, self.shape.activation)
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
