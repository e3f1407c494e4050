//! The text tower: a transformer, usually causal, whose output is read at one token of a text, usually the end token.
//!
//! Upstream `model_longclip.py`, `encode_text` and `encode_text_full`. Because the tower is causal, nothing after the
//! end token changes the result. So each text is computed at its own length, and the texts of a batch are concatenated.
//! A tower with another recipe gets its texts padded (see `tokens.rs`). Token ids to `(n, embed_dim)`.

use super::block::{Block, BlockShape, LastBlock};
use super::engine::{Engine, Mask};
use super::pass::Pass;
use super::tokens::TokenBatch;
use crate::error::{Error, Result};
use crate::recipe::{TextAttention, TextRecipe};
use crate::weights::Sizes;

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
    /// Loads the tower.
    ///
    /// # Errors
    /// If a tensor cannot be read.
    pub fn load(engine: &E, source: &E::Source, sizes: &Sizes, recipe: &TextRecipe) -> Result<Self> {
        let shape = BlockShape {
            hidden_dim: sizes.text_width,
            heads: sizes.text_heads,
            mask: match recipe.attention {
                TextAttention::Causal => Mask::Causal,
                TextAttention::Full => Mask::None,
            },
            activation: recipe.activation,
            epsilon: recipe.epsilon,
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
            ln_final: engine.norm(source, "ln_final", recipe.epsilon)?,
            projection: engine.projection(
                source,
                "text_projection",
                recipe.biased_projection.then_some("text_projection_bias"),
            )?,
        })
    }

    /// Encodes texts: `(n, embed_dim)`, not normalised.
    ///
    /// # Errors
    /// [`Error::Usage`] if a text is longer than the context or an id is not in the vocabulary; other errors come from
    /// the engine.
    pub fn forward(&self, engine: &E, batch: &TokenBatch) -> Result<E::Rows> {
        self.pass(batch).run(engine)
    }

    /// The forward pass of these texts.
    pub fn pass<'a>(&'a self, batch: &'a TokenBatch) -> TextPass<'a, E> {
        TextPass { tower: self, batch }
    }

    /// The hidden state of every position after the final norm, `(n_rows, text_width)`, before any projection.
    ///
    /// `ids` are those of one text, which the caller pads to the wanted length. Padding is computed like any other
    /// token.
    ///
    /// # Errors
    /// As [`TextTower::forward`].
    pub fn forward_hidden(&self, engine: &E, ids: &[u32]) -> Result<E::Rows> {
        let whole = TokenBatch::whole(ids)?;
        let mut x = self.embed(engine, &whole)?;
        for block in &self.blocks {
            x = block.forward(engine, x, whole.sequences())?;
        }
        let x = self.last_block.forward_all(engine, x, whole.sequences())?;
        engine.normalise(x, &self.ln_final)
    }

    fn embed(&self, engine: &E, batch: &TokenBatch) -> Result<E::Rows> {
        let longest = batch.longest();
        if longest > self.context_length {
            return Err(Error::usage(
                format!(
                    "a text of {longest} tokens; this model reads at most {}",
                    self.context_length
                ),
                "truncate it first, as `Tokenizer::encode` does",
            ));
        }
        if let Some(id) = batch.ids().iter().find(|id| **id as usize >= self.vocab_size) {
            return Err(Error::usage(
                format!("token id {id}; this model has ids up to {}", self.vocab_size - 1),
                "its vocabulary is not that of CLIP's tokenizer: this is not a model for texts",
            ));
        }
        engine.embed_tokens(
            &self.token_embedding,
            batch.ids(),
            &self.positional_embedding,
            batch.positions(),
        )
    }
}

/// The forward pass of some texts through the text tower.
pub struct TextPass<'a, E: Engine> {
    tower: &'a TextTower<E>,
    batch: &'a TokenBatch,
}

impl<E: Engine> Pass<E> for TextPass<'_, E> {
    fn embed(&self, engine: &E) -> Result<E::Rows> {
        self.tower.embed(engine, self.batch)
    }

    fn n_stages(&self) -> usize {
        self.tower.blocks.len() + 1
    }

    fn stage(&self, engine: &E, stage: usize, x: E::Rows) -> Result<E::Rows> {
        let tower = self.tower;
        if let Some(block) = tower.blocks.get(stage) {
            return block.forward(engine, x, self.batch.sequences());
        }
        let (texts, rows) = (self.batch.texts(), self.batch.read_rows());
        let read = tower.last_block.forward(engine, &x, &texts, rows)?; // (n, text_width)
        engine.norm_linear(&read, &tower.ln_final, &tower.projection) // (n, embed_dim)
    }
}
