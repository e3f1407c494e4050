//! How images become what the model reads, by the names that the command line and Python share.

use serde::{Serialize, Serializer};

use crate::named::Named;
use crate::preprocess::{Fit, Preprocess};
use crate::score::Pooling;

/// How an image becomes one square, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitting {
    /// One square.
    One(Fit),
    /// Overlapping squares, whose scores become one per label.
    Tiles(Pooling),
}

impl Fitting {
    /// How the scores of tiles become one, if images are cut into tiles.
    pub fn tiles(self) -> Option<Pooling> {
        match self {
            Fitting::One(_) => None,
            Fitting::Tiles(pooling) => Some(pooling),
        }
    }

    /// The same preprocessing, of images that are fitted in this way.
    pub fn apply(self, preprocess: Preprocess) -> Preprocess {
        match self {
            Fitting::One(fit) => preprocess.fit(fit),
            Fitting::Tiles(_) => preprocess,
        }
    }
}

impl Named for Fitting {
    const WHAT: &'static str = Fit::WHAT;
    const ALL: &'static [Self] = &[
        Fitting::One(Fit::Crop),
        Fitting::One(Fit::Pad),
        Fitting::One(Fit::Squash),
        Fitting::Tiles(Pooling::Best),
        Fitting::Tiles(Pooling::Mean),
    ];

    fn name(self) -> &'static str {
        match self {
            Fitting::One(fit) => fit.name(),
            Fitting::Tiles(Pooling::Best) => "tiles",
            Fitting::Tiles(Pooling::Mean) => "tiles-mean",
        }
    }
}

impl Serialize for Fitting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
