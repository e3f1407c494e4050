//! Finds which of your labels fits a photo, with Long-CLIP: a CLIP model whose text encoder reads 248 tokens, so that a
//! label can be a whole paragraph.
//!
//! ```
//! use longclip::{LabelSet, LongClip, Scoring, classify};
//!
//! let model = LongClip::load("nano")?; // built in; or the path of a file such as `longclip-B.pt`
//! let labels = LabelSet::new(&model, vec!["A cup of coffee.".into(), "A photo of a dog.".into()])?;
//! let pixels = model.preprocess().run("img/coffee.jpg", &std::fs::read("img/coffee.jpg")?)?;
//! let scores = classify(&model, &pixels, &labels, &Scoring::softmax(model.logit_scale()))?;
//! assert_eq!(labels.labels()[scores.labels[0].label_idx], "A cup of coffee.");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The numbers match the PyTorch reference, for the [weights] of any CLIP model. `docs/ARCHITECTURE.md` in the
//! repository is a map of the code.

#[cfg_attr(
    not(feature = "train"),
    allow(
        dead_code,
        unused_imports,
        reason = "training asks more of data sets than evaluations do"
    )
)]
pub mod data;
pub mod error;
pub mod eval;
pub mod files;
pub mod input;
pub mod json_fields;
pub mod kernels;
pub mod labels;
mod memory;
pub mod model;
pub mod named;
pub mod nano;
pub mod output;
pub mod pipeline;
mod plain_text;
pub mod preprocess;
mod random;
pub mod recipe;
pub mod score;
#[cfg(feature = "parquet")]
pub mod search;
pub mod session;
pub mod sidecar;
mod store;
pub mod text;
#[cfg(feature = "train")]
pub mod train;
pub mod weights;

pub use error::{Error, ErrorKind, Result};
pub use labels::LabelSet;
pub use model::LongClip;
pub use score::{LabelScore, Score, Scores, Scoring};
pub use session::{Grouping, NONE_OF_THESE, classify, grouped, in_order, labelled};
