//! Training: any CLIP becomes a Long-CLIP.
//!
//! Knowledge-preserving stretching ([`crate::weights::Stretching`]) gives the text tower its 248 positions; primary
//! component matching ([`pcm`]) teaches it long captions without unlearning short ones. Long-CLIP (arXiv 2403.15378,
//! section 3) and upstream's `train/`. Called by users of the library: there is no command yet. It computes on candle's tensors, which keep gradients.

mod eigen;
#[cfg(test)]
mod file;
pub mod gradients;
pub mod loss;
pub mod optimizer;
pub mod parameters;
pub mod pca;
pub mod pcm;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
