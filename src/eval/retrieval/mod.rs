//! Retrieval: captions look for their pictures and pictures for their captions, the paper's tables on short and long ones.
//!
//! [`Pairs`] reads the data, [`rank`] and [`recalls`] measure, [`at_lengths`] and [`monotonicity`] ask what a model makes of
//! a text's length. All of them are functions on embeddings; encoding, and keeping what is encoded, is the caller's.
//! Follows Long-CLIP (arXiv 2403.15378, section 4) and upstream's `eval/retrieval/`.

mod lengths;
mod monotone;
mod pairs;
mod protocol;
mod ranks;
mod recall;

pub use self::lengths::{AtLength, Encode, at_lengths};
pub use self::monotone::{Growing, Monotonicity, monotonicity};
pub use self::pairs::{CaptionedImage, PairOptions, Pairs};
pub use self::protocol::{Protocol, TIES};
pub use self::ranks::{Belonging, Place, Ranks, rank};
pub use self::recall::{Hits, Recall, Way, recalls};
