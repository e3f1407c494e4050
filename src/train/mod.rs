//! Training: turns any CLIP into a Long-CLIP.
//!
//! Knowledge-preserving stretching ([`crate::weights::Stretching`]) gives the text tower 248 positions. Primary component
//! matching ([`pcm`]) teaches it long captions without forgetting short ones. Follows Long-CLIP (arXiv 2403.15378,
//! section 3) and upstream's `train/`.
//!
//! [`run`] ties everything together and is called by `longclip train`. Each step takes a batch of [`data`], computes its
//! [`gradients`] and moves the weights ([`optimizer`]); some steps also validate ([`validate`]) or save a state.
//! Everything is computed on candle's tensors, which keep track of gradients.

pub mod average;
pub mod base;
mod batches;
pub mod data;
mod eigen;
mod file;
mod fresh;
pub mod gradients;
mod in_place;
mod loader;
pub mod loss;
pub mod metrics;
pub mod optimizer;
pub mod order;
pub mod parameters;
mod pass;
pub mod pca;
pub mod pcm;
mod plot;
pub mod run;
pub mod saved;
pub mod settings;
mod skipped;
pub mod towers;
pub mod validate;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
