//! How a run reads images: turned or not, fitted into one square or cut into several, decoded whole or smaller. Indexes and
//! kept embeddings note it in words.

use super::Fitting;
use crate::named::Named;
use crate::preprocess::{Decoding, Limits, Orientation, Preprocess};
use crate::score::Pooling;

const AS_STORED: &str = "as stored";
const UPRIGHT: &str = "upright";
const FITTED: &str = "fitted by ";
const REDUCED: &str = "decoded at a reduced size";

/// How images are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageReading {
    /// Which side is up.
    pub orientation: Orientation,
    /// How an image becomes squares; `None` for the model's own way.
    pub fit: Option<Fitting>,
    /// Whether large JPEGs are decoded at a reduced size.
    pub is_reduced: bool,
    /// Images with more pixels are refused.
    pub max_pixels: u64,
}

impl ImageReading {
    /// What the pixels depend on besides the file, in words.
    pub fn in_words(&self) -> String {
        let turned = match self.orientation {
            Orientation::AsStored => AS_STORED,
            Orientation::Upright => UPRIGHT,
        };
        let mut words = vec![turned.to_owned()];
        words.extend(self.fit.map(|fit| format!("{FITTED}{}", fit.name())));
        words.extend(self.is_reduced.then(|| REDUCED.to_owned()));
        words.join(", ")
    }

    /// The same reading; if it is the usual one, that of [`ImageReading::in_words`] in its place.
    #[must_use]
    pub fn or_as_noted(self, words: &str) -> Self {
        if self.in_words() != UPRIGHT {
            return self;
        }
        let mut parts = words.split(", ");
        let fit = parts.clone().find_map(|part| part.strip_prefix(FITTED));
        ImageReading {
            orientation: match parts.clone().any(|part| part == AS_STORED) {
                true => Orientation::AsStored,
                false => Orientation::Upright,
            },
            fit: fit.and_then(|fit| Fitting::from_name(fit).ok()),
            is_reduced: parts.any(|part| part == REDUCED),
            ..self
        }
    }

    /// How the scores of tiles become one, if images are cut into tiles.
    pub fn tiles(&self) -> Option<Pooling> {
        self.fit.and_then(Fitting::tiles)
    }

    /// A model's preprocessing of images that are read so.
    pub fn apply(&self, preprocess: &Preprocess) -> Preprocess {
        let limits = Limits {
            max_pixels: self.max_pixels,
            ..Limits::default()
        };
        let decoding = match (self.is_reduced, self.tiles()) {
            (true, None) => Decoding::Reduced,
            (true, Some(_)) => Decoding::ReducedForTiles,
            (false, _) => Decoding::Whole,
        };
        let preprocess = preprocess
            .clone()
            .orientation(self.orientation)
            .decoding(decoding)
            .limits(limits);
        match self.fit {
            Some(fit) => fit.apply(preprocess),
            None => preprocess,
        }
    }
}
