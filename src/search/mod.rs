//! Search: an index of image embeddings in a Parquet file, which is updated and searched for the nearest images.
//!
//! The caller runs images through the pipeline and gives their embeddings to an [`Update`], which knows what the index
//! already holds. [`Index`] opens an index, [`Index::nearest`] searches it, and [`Duplicates::find`] compares its images
//! with each other. `columns.rs` describes the columns and `page.rs` the bytes of the embeddings: plain numbers in
//! sequence, so the memory-mapped file is searched in place. What an interrupted build has encoded is in a journal
//! (`journal.rs`), from which the next build continues.

mod columns;
mod combined;
mod duplicates;
pub mod found;
mod index;
mod journal;
mod nearest;
mod origin;
mod page;
mod plan;
mod query;
mod rows;
#[cfg(test)]
mod tests;
mod update;
mod writer;

pub use self::combined::combined;
pub use self::duplicates::{Copied, Duplicates, Likeness, groups_in_words};
pub use self::index::Index;
pub use self::nearest::{AnswerLimits, Excluded, ExclusionRule, Hit, Question};
pub use self::origin::Origin;
pub use self::query::{Asked, Query, Term};
pub use self::rows::{FileState, Picture};
pub use self::update::{Changes, Finished, Update};
pub use self::writer::IndexWriter;
