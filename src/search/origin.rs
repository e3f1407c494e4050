//! Where an index's embeddings come from: a model, its number type, and how pictures were read. Two indexes or an index
//! and a query can be compared only where these are the same.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What made an index's embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// What the model was called.
    pub model: String,
    /// What tells its weights from others: `LongClip::weights_identity`.
    pub weights: String,
    /// The numbers that it computed with: `f32`, `bf16` ...
    pub dtype: String,
    /// Whether pictures were turned as their EXIF says: `upright` or `as stored`.
    pub orientation: String,
    /// Numbers of an embedding.
    pub embed_dim: usize,
    /// The folder from which relative paths lead to pictures.
    pub folder: PathBuf,
    /// The version of this crate.
    pub version: String,
}

/// Digits of a weights' identity that a person is shown.
const SHOWN_DIGITS: usize = 8;

impl Origin {
    /// Refuses embeddings of another origin than `path` holds.
    ///
    /// # Errors
    /// [`Error::Usage`], which names both.
    pub fn refuse_other(&self, path: &Path, other: &Origin) -> Result<()> {
        if self.weights != other.weights || self.dtype != other.dtype || self.embed_dim != other.embed_dim {
            return Err(Error::usage(
                format!("`{}` was made with {self}, and this is {other}", path.display()),
                "leave out `--model` and `--dtype`: they are taken from the index; or build another index",
            ));
        }
        if self.orientation != other.orientation {
            return Err(Error::usage(
                format!(
                    "`{}` holds pictures {}, and these would be {}",
                    path.display(),
                    self.orientation_in_words(),
                    other.orientation_in_words()
                ),
                "give or leave out `--no-exif` as it was when the index was made, or build another index",
            ));
        }
        Ok(())
    }

    fn orientation_in_words(&self) -> &str {
        match self.orientation.as_str() {
            "as stored" => "as they are stored (`--no-exif`)",
            _ => "turned as their EXIF says",
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits: String = self.weights.chars().take(SHOWN_DIGITS).collect();
        write!(
            f,
            "the model `{}` in {} (weights {digits}, {} numbers)",
            self.model, self.dtype, self.embed_dim
        )
    }
}
