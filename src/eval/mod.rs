//! Evaluations: the tables that the papers on CLIP compare models by, on anyone's data.
//!
//! Called by `longclip eval`. [`zeroshot`] measures how often the class of an image is the likeliest one, [`retrieval`] how captions and
//! images find each other, both on the data sets of [`crate::data`]. [`interval`] says how sure a share is, and [`bootstrap`] which
//! differences between two models are real. All are functions of embeddings, so the same embeddings give the same numbers. Encoding is
//! done by the command line, and a file of [`Embeddings`] survives an interruption.

pub mod bootstrap;
mod embeddings;
pub mod interval;
pub mod retrieval;
pub mod zeroshot;

pub use self::embeddings::{Embeddings, Origin, beside};
