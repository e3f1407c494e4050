//! Retrieval: how well captions find their images and images their captions, as in the paper's tables for short and long
//! captions.
//!
//! [`Pairs`] reads the data, [`rank`] and [`recalls`] measure, and [`at_lengths`] and [`monotonicity`] show how much of a
//! long text a model uses. All of them are functions of embeddings; the caller encodes. Follows Long-CLIP (arXiv
//! 2403.15378, section 4) and upstream's `eval/retrieval/`.

mod lengths;
mod measured;
mod metrics;
mod monotone;
mod page;
mod pairs;
mod protocol;
mod ranks;
mod recall;
mod results;

pub use self::lengths::{AtLength, Encode, at_lengths};
pub use self::measured::{KS, Measured, Measuring};
pub use self::metrics::metrics;
pub use self::monotone::{Growing, Monotonicity, monotonicity};
pub use self::pairs::{CaptionedImage, PairOptions, Pairs};
pub use self::protocol::{Protocol, TIES};
pub use self::ranks::{Belonging, QueryRank, Ranks, rank};
pub use self::recall::{Direction, Hits, Recall, recalls};
pub use self::results::Results;
