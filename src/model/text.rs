//! The text tower: a causal transformer read at the end token.
//!
//! Upstream `model_longclip.py`, `encode_text` and `encode_text_full`. Because it is causal, what stands behind the end
//! token changes nothing: a label is computed to its own length, and the labels of a batch stand end to end.
//! Token ids to `(n, embed_dim)`.

use super::block::{Block, BlockShape, LastBlock};
use super::engine::{Engine, Mask, Sequences};
use crate::error::{Error, Result};
use crate::weights::{Activation, Sizes};

/// Token ids of several texts, end to end; each text is cut behind its end token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<u32>,
    sequences: Sequences,
}

impl TokenBatch {
    /// Takes token ids, one slice a text, with or without padding behind the end token: the largest id of a text, at
    /// its first place.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no text, or one without ids.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Result<Self> {
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        for text in texts {
            let largest = text.iter().max();
            let end = text.iter().position(|id| Some(id) == largest).ok_or_else(|| {
                Error::usage(
                    "a text without token ids",
                    "an empty text has two: the start and the end token",
                )
            })?;
            ids.extend_from_slice(&text[..=end]);
            lengths.push(end + 1);
        }
        if lengths.is_empty() {
            return Err(Error::usage("no texts to encode", "give at least one"));
        }
        let sequences = Sequences::new(lengths);
        Ok(TokenBatch { ids, sequences })
    }

    /// Where each text's rows lie.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// How many tokens the longest text has.
    pub fn longest(&self) -> usize {
        self.sequences
            .ranges()
            .iter()
            .map(|range| range.len())
            .max()
            .unwrap_or(0)
    }

    fn positions(&self) -> Vec<u32> {
        self.sequences
            .ranges()
            .iter()
            .flat_map(|range| 0..range.len() as u32)
            .collect()
    }
}

/// The text tower on an engine.
pub struct TextTower<E: Engine> {
    context_length: usize,
    vocab_size: usize,
    token_embedding: E::Table,
    positional_embedding: E::Table,
    blocks: Vec<Block<E>>,
    last_block: LastBlock<E>,
    ln_final: E::Norm,
    projection: E::Linear,
}

impl<E: Engine> TextTower<E> {
    /// Takes the tower from its source.
    ///
    /// # Errors
    /// Those of reading its tensors.
    pub fn load(engine: &E, source: &E::Source, sizes: &Sizes, activation: Activation) -> Result<Self> {
        let shape = BlockShape {
            hidden_dim: sizes.text_width,
            heads: sizes.text_heads,
            mask: Mask::Causal,
            activation,
        };
        let prefix = |layer: usize| format!("transformer.resblocks.{layer}");
        let last = sizes.text_layers - 1;
        Ok(TextTower {
            context_length: sizes.context_length,
            vocab_size: sizes.vocab_size,
            token_embedding: engine.table(source, "token_embedding.weight")?,
            positional_embedding: engine.text_positions(source)?,
            blocks: (0..last)
                .map(|layer| Block::load(engine, source, &prefix(layer), shape))
                .collect::<Result<_>>()?,
            last_block: LastBlock::load(engine, source, &prefix(last), shape)?,
            ln_final: engine.norm(source, "ln_final")?,
            projection: engine.projection(source, "text_projection")?,
        })
    }

    /// Encodes texts: `(n, embed_dim)`, not normalised.
    ///
    /// # Errors
    /// [`Error::Usage`] if a text is longer than the context or an id is not in the vocabulary; else those of the
    /// engine's arithmetic.
    pub fn forward(&self, engine: &E, batch: &TokenBatch) -> Result<E::Rows> {
        let mut x = self.embed(engine, batch)?;
        for block in &self.blocks {
            x = block.forward(engine, x, &batch.sequences)?;
        }
        let end_tokens = self
            .last_block
            .forward(engine, &x, &batch.sequences, &batch.sequences.last_rows())?;
        engine.norm_linear(&end_tokens, &self.ln_final, &self.projection) // (n, embed_dim)
    }

    /// The hidden state of every position behind the final norm, `(n_rows, text_width)`, before any projection.
    ///
    /// `ids` are one text's, padded by the caller as far as it wants to read; padding is computed as tokens of id 0.
    ///
    /// # Errors
    /// As [`TextTower::forward`].
    pub fn forward_hidden(&self, engine: &E, ids: &[u32]) -> Result<E::Rows> {
        if ids.is_empty() {
            return Err(Error::usage(
                "a text without token ids",
                "an empty text has two: the start and the end token",
            ));
        }
        let whole = TokenBatch {
            ids: ids.to_vec(),
            sequences: Sequences::new([ids.len()]),
        };
        let mut x = self.embed(engine, &whole)?;
        for block in &self.blocks {
            x = block.forward(engine, x, &whole.sequences)?;
        }
        let x = self.last_block.forward_all(engine, x, &whole.sequences)?;
        engine.normalise(x, &self.ln_final)
    }

    fn embed(&self, engine: &E, batch: &TokenBatch) -> Result<E::Rows> {
        if batch.longest() > self.context_length {
            return Err(Error::usage(
                format!(
                    "a text of {} tokens; this model reads at most {}",
                    batch.longest(),
                    self.context_length
                ),
                "cut it before: `Tokenizer::encode` does",
            ));
        }
        if let Some(id) = batch.ids.iter().find(|id| **id as usize >= self.vocab_size) {
            return Err(Error::usage(
                format!("token id {id}; this model knows ids up to {}", self.vocab_size - 1),
                "its vocabulary is not the tokenizer's: this is not a model for texts",
            ));
        }
        engine.embed_tokens(
            &self.token_embedding,
            &batch.ids,
            &self.positional_embedding,
            &batch.positions(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::TokenBatch;

    #[test]
    fn a_text_is_cut_behind_the_first_place_of_its_largest_id() {
        let batch = TokenBatch::new([&[998, 5, 999, 0, 0][..], &[998, 999, 999]]).unwrap();
        assert_eq!(batch.ids, [998, 5, 999, 998, 999]);
        assert_eq!(batch.positions(), [0, 1, 2, 0, 1]);
    }

    #[test]
    fn no_text_and_no_ids_are_refused() {
        assert!(TokenBatch::new([]).is_err());
        assert!(TokenBatch::new([&[][..]]).is_err());
    }
}
