//! Says which of the labels you give fits a photo, with Long-CLIP: CLIP whose text encoder reads 248 tokens, so that a
//! label can be a whole paragraph.
//!
//! ```
//! use longclip::{LabelSet, LongClip, Scoring, classify};
//!
//! let model = LongClip::load("nano")?; // built in; or the path of `longclip-B.pt`
//! let labels = LabelSet::new(&model, vec!["A photo of a cat.".into(), "A photo of a dog.".into()])?;
//! let pixels = model.preprocess().run("img/cat.jpg", &std::fs::read("img/cat.jpg")?)?;
//! let scores = classify(&model, &pixels, &labels, &Scoring::softmax(model.logit_scale()))?;
//! assert_eq!(labels.labels()[scores.labels[0].label_idx], "A photo of a cat.");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The numbers are those of the PyTorch reference, on any [CLIP's weights](weights); `docs/ARCHITECTURE.md` in the
//! repository is the map of the code.

mod classify;
pub mod error;
pub mod eval;
pub mod files;
pub mod input;
pub mod kernels;
pub mod labels;
pub mod model;
pub mod nano;
pub mod output;
pub mod pipeline;
pub mod preprocess;
mod random;
pub mod score;
#[cfg(feature = "parquet")]
pub mod search;
pub mod text;
#[cfg(feature = "train")]
pub mod train;
pub mod weights;

pub use classify::{Grouping, NONE_OF_THESE, classify, grouped, in_order, labelled};
pub use error::{Error, ErrorKind, Result};
pub use labels::LabelSet;
pub use model::LongClip;
pub use score::{LabelScore, Score, Scores, Scoring};
