//! An update of a search index as a sink of a run: the embedding of each image goes into it. And what the index notes of
//! how they were made.

use std::path::PathBuf;

use super::{ImageReading, Loaded, Seen, Sink, Verdict};
use crate::error::{Error, Result};
use crate::input::Item;
use crate::score::OneView;
use crate::search::{Origin, Update};

/// Brings an index up to date with the images of a run.
pub struct Indexing<'a> {
    /// The update of the index.
    pub update: &'a mut Update,
    /// That each image has one embedding.
    pub one: OneView,
}

/// The origin of a model's embeddings of images that are read in this way, with paths that start in `folder`.
pub fn index_origin(loaded: &Loaded, reading: &ImageReading, folder: PathBuf) -> Origin {
    Origin {
        model: loaded.name.clone(),
        weights: loaded.model.weights_identity(),
        dtype: loaded.dtype().to_owned(),
        orientation: reading.in_words(),
        embed_dim: loaded.model.sizes().embed_dim,
        folder,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

impl Sink for Indexing<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        let encoded = match seen {
            Ok(seen) => self.update.encoded(&item, &seen.views.into_embedding(self.one)),
            Err(error) => {
                self.update.failed(&item);
                Err(error)
            }
        };
        match encoded {
            Ok(()) => Ok(Verdict::Done),
            Err(error @ Error::Write { .. }) => Err(error),
            Err(error) => Ok(Verdict::Failed(error)),
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.update.flush()
    }

    fn n_known(&self) -> u64 {
        self.update.n_known()
    }
}
