//! The model: Long-CLIP's two towers as the paper describes them, written over an engine that does the arithmetic.
//!
//! `block.rs`, `vision.rs` and `text.rs` contain the mathematics, once. An [`engine`] computes the layers, on candle's
//! tensors (any device) or on this crate's kernels (CPU). The rest of the crate uses [`LongClip`].
//! Reference: Long-CLIP (arXiv 2403.15378), upstream `model/model_longclip.py`; OpenAI CLIP, `clip/model.py`.

mod attention;
mod block;
mod clip;
mod device;
mod embeddings;
pub mod engine;
mod flop;
mod pass;
mod recorded;
pub mod speed;
mod text;
mod tokens;
pub mod verify;
mod vision;

pub use attention::BlockAttention;
pub use clip::{LongClip, LongClipOptions};
pub use device::{DeviceChoice, NumberType};
pub use embeddings::{Embeddings, ImageEmbeddings, LogitScale, MeasuredTexts, TextEmbeddings, norm, normalize};
pub use flop::{image_flop, text_flop};
pub use pass::Pass;
pub use text::{TextPass, TextTower};
pub use tokens::TokenBatch;
pub use vision::{VisionPass, VisionTower};
