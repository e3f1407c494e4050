//! How images become what the model reads, by the names that the command line and Python share.

use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::named::Named;
use crate::preprocess::{Fit, Preprocess};
use crate::score::{OneView, Pooling};

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

    /// What is needed to keep one embedding per image, as `what` says that the caller does. `worded` is how the caller chooses
    /// a way by its name.
    ///
    /// # Errors
    /// [`Error::Usage`] for tiles, each of which has an embedding.
    pub fn one_view(fitting: Option<Fitting>, what: &str, worded: impl Fn(&str) -> String) -> Result<OneView> {
        OneView::of(fitting.and_then(Fitting::tiles)).ok_or_else(|| {
            let chosen = worded(fitting.map_or("", Fitting::name));
            let [pad, squash] = [Fit::Pad, Fit::Squash].map(|fit| worded(fit.name()));
            Error::usage(
                format!("{what} one embedding per image, and `{chosen}` makes one of each tile"),
                format!("leave it out; `{pad}` and `{squash}` read the whole image too"),
            )
        })
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
