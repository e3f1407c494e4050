//! Evaluations: the measures by which papers on CLIP compare models, on any data set.
//!
//! [`zeroshot`] measures how often an image's own class is the most probable one, and [`retrieval`] how well captions and
//! images find each other, both on the data sets of [`crate::data`]. [`interval`] gives confidence intervals, and
//! [`comparison`] says which differences between two models are significant. All of them are functions of embeddings, so
//! the same embeddings give the same numbers. The caller encodes the images; a file of [`Embeddings`] survives
//! interruptions. Results are text, JSON with the keys of CLIP_benchmark, or a page.

pub mod bootstrap;
pub mod comparison;
mod embeddings;
pub mod interval;
mod page;
pub mod retrieval;
pub mod zeroshot;

pub use self::embeddings::{Embeddings, Origin, beside};
