//! Says which of the labels you give fits a photo, with Long-CLIP: CLIP whose text encoder reads 248 tokens.

pub mod error;
pub mod kernels;
pub mod labels;
pub mod model;
pub mod nano;
pub mod output;
pub mod preprocess;
pub mod score;
pub mod text;
pub mod weights;

pub use error::{Error, ErrorKind, Result};
