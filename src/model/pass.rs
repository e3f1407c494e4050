//! A forward pass split into stages. Between two stages only the rows that one block hands to the next are alive.

use super::engine::Engine;
use crate::error::Result;

/// The forward pass of one batch through a tower. Training runs it stage by stage to save memory; other callers use
/// [`Pass::run`].
pub trait Pass<E: Engine> {
    /// The input of the first block, `(n_rows, hidden_dim)`.
    ///
    /// # Errors
    /// If the input does not fit the tower, or if the engine fails.
    fn embed(&self, engine: &E) -> Result<E::Rows>;

    /// The number of stages: one per block. The last one returns the embeddings.
    fn n_stages(&self) -> usize;

    /// Runs one stage: `(n_rows, hidden_dim)` to the same shape, or to `(n, embed_dim)` in the last stage.
    ///
    /// # Errors
    /// If the engine fails.
    fn stage(&self, engine: &E, stage: usize, x: E::Rows) -> Result<E::Rows>;

    /// Runs all stages and returns the embeddings, `(n, embed_dim)`, not normalised.
    ///
    /// # Errors
    /// As [`Pass::embed`].
    fn run(&self, engine: &E) -> Result<E::Rows> {
        (0..self.n_stages()).try_fold(self.embed(engine)?, |x, stage| self.stage(engine, stage, x))
    }
}
