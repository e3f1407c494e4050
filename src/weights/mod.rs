//! Weights: names, hub and cache, files and key layouts, to checked tensors under one naming.
#![allow(dead_code, reason = "the readers' caller comes with the key layouts")]

pub mod hub;
mod map;
pub mod names;
mod recognise;
mod safetensors;
mod stored;
mod torch;

pub use stored::{FileFormat, StoredTensor, StoredType, TensorFile};
