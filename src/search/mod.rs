//! Search: an index of pictures' embeddings in a Parquet file, brought up to date and asked for what is nearest.
//!
//! `cli` runs pictures through the pipeline and gives their embeddings to an [`Update`], which knows what the index holds
//! already; [`Index`] opens an index, and [`Index::nearest`] answers. `columns.rs` says what a row is, `page.rs` how
//! embeddings lie in the file: one behind the other, as numbers, so that the mapped file is searched in place. What was
//! encoded by a build that doesn't come to its end stands in a journal (`journal.rs`), from which the next one goes on.

mod columns;
mod index;
mod journal;
mod nearest;
mod origin;
mod page;
mod plan;
mod rows;
#[cfg(test)]
mod tests;
mod update;
mod writer;

pub use self::index::Index;
pub use self::nearest::{Excluded, Hit, Limit, Limits, Question};
pub use self::origin::Origin;
pub use self::rows::{Picture, State};
pub use self::update::{Changes, Finished, Update};
pub use self::writer::IndexWriter;
