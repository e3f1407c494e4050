//! Training: any CLIP becomes a Long-CLIP.
//!
//! Knowledge-preserving stretching ([`crate::weights::Stretching`]) gives the text tower its 248 positions; primary
//! component matching ([`pcm`]) teaches it long captions without unlearning short ones. Long-CLIP (arXiv 2403.15378,
//! section 3) and upstream's `train/`. [`run`] is the whole of it, called by `longclip train`: [`data`] in batches, [`gradients`], a step
//! of the [`optimizer`], now and then a validation ([`validate`]) and a saved state. It computes on candle's tensors, which keep gradients.

pub mod average;
mod batches;
pub mod data;
mod eigen;
mod file;
pub mod fresh;
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
