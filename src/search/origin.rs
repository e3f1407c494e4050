//! How the embeddings of an index were made: the model, its number type, and how images were read. Embeddings can only
//! be compared if these are the same.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::weights::hex;

/// How the embeddings of an index were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The name of the model.
    pub model: String,
    /// Identifies its weights: `LongClip::weights_identity`.
    pub weights: String,
    /// The number type that it computed with: `f32`, `bf16` ...
    pub dtype: String,
    /// Whether images were rotated as their EXIF data says, `upright` or `as stored`; then how they were fitted into the
    /// square, if not as the model does it, and whether large JPEGs were decoded smaller: `upright, fitted by pad, decoded at
    /// a reduced size`.
    pub orientation: String,
    /// The length of an embedding.
    pub embed_dim: usize,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// The version of this crate.
    pub version: String,
}

/// Digits of the weights' identity in messages.
const SHOWN_DIGITS: usize = 8;

/// Digits of a hash that are the name of an index in a cache: two of them are never the same by chance.
const CACHE_NAME_DIGITS: usize = 32;

impl Origin {
    /// Refuses embeddings of another origin than those in `path`.
    ///
    /// # Errors
    /// [`Error::Usage`], which names both origins.
    pub fn refuse_other(&self, path: &Path, other: &Origin) -> Result<()> {
        if self.weights != other.weights || self.dtype != other.dtype || self.embed_dim != other.embed_dim {
            return Err(Error::usage(
                format!("`{}` was made with {self}, and this is {other}", path.display()),
                "don't choose a model or number type, they are taken from the index; or build another index",
            ));
        }
        if self.orientation != other.orientation {
            return Err(Error::usage(
                format!(
                    "`{}` has images {}, and these would be {}",
                    path.display(),
                    self.orientation_in_words(),
                    other.orientation_in_words()
                ),
                "turn, fit and decode images as the index does, or build another index",
            ));
        }
        Ok(())
    }

    /// The model's name from the current folder: a model's file is named relative to the folder that the index was made in.
    pub fn model_from_here(&self) -> String {
        let from_there = self.folder.join(&self.model);
        match Path::new(&self.model).exists() || !from_there.exists() {
            true => self.model.clone(),
            false => from_there.display().to_string(),
        }
    }

    /// The name of a file for the index of this origin's folder in a cache: another folder, other weights, another number type
    /// or another way to read images have another one.
    pub fn cache_name(&self) -> String {
        let facts = (&self.folder, &self.weights, &self.dtype, &self.orientation);
        let facts = format!("{facts:?}");
        format!("{}.parquet", &hex(&Sha256::digest(facts))[..CACHE_NAME_DIGITS])
    }

    fn orientation_in_words(&self) -> String {
        let (turned, fit) = match self.orientation.split_once(',') {
            Some((turned, fit)) => (turned, format!(",{fit}")),
            None => (self.orientation.as_str(), String::new()),
        };
        let turned = match turned {
            "as stored" => "as stored, whatever their EXIF data says",
            _ => "rotated as their EXIF data says",
        };
        format!("{turned}{fit}")
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
