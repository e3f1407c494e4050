//! The model: Long-CLIP's two towers as the paper writes them, over an engine that does the arithmetic.
//!
//! `block.rs`, `vision.rs` and `text.rs` hold the mathematics once; [`engine`] says what a layer computes on (candle's
//! tensors on any device, or this crate's kernels on a CPU). [`LongClip`] is what everybody else uses.
//! Reference: Long-CLIP (arXiv 2403.15378), upstream `model/model_longclip.py`; OpenAI CLIP, `clip/model.py`.

mod attention;
mod block;
mod clip;
mod device;
mod embeddings;
pub mod engine;
mod pass;
mod text;
mod tokens;
mod vision;

pub use attention::BlockAttention;
pub use clip::{LongClip, LongClipOptions};
pub use device::{DeviceChoice, NumberType};
pub use embeddings::{Embeddings, ImageEmbeddings, LogitScale, MeasuredTexts, TextEmbeddings, norm, normalize};
pub use pass::Pass;
pub use text::{TextPass, TextTower};
pub use tokens::TokenBatch;
pub use vision::{VisionPass, VisionTower};
