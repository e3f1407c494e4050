//! A tower's way over one batch, cut where nothing is alive but the rows between two blocks.

use super::engine::Engine;
use crate::error::Result;

/// One batch's way through a tower. Training goes it stage by stage where memory is short; everyone else by [`Pass::run`].
pub trait Pass<E: Engine> {
    /// The rows that go into the first block, `(n_rows, hidden_dim)`.
    ///
    /// # Errors
    /// What the tower says of its input; else those of the engine's arithmetic.
    fn embed(&self, engine: &E) -> Result<E::Rows>;

    /// How many stages follow: one for each block, of which the last gives the embeddings.
    fn n_stages(&self) -> usize;

    /// Rows through one stage: `(n_rows, hidden_dim)` to the same, or to `(n, embed_dim)` by the last.
    ///
    /// # Errors
    /// Those of the engine's arithmetic.
    fn stage(&self, engine: &E, stage: usize, x: E::Rows) -> Result<E::Rows>;

    /// The embeddings, `(n, embed_dim)`, not normalised.
    ///
    /// # Errors
    /// Those of the parts.
    fn run(&self, engine: &E) -> Result<E::Rows> {
        (0..self.n_stages()).try_fold(self.embed(engine)?, |x, stage| self.stage(engine, stage, x))
    }
}
