//! An update of a search index as a sink of a run: the embedding of each image goes into it.

use super::{Seen, Sink, Verdict};
use crate::error::{Error, Result};
use crate::input::Item;
use crate::score::OneView;
use crate::search::Update;

/// Brings an index up to date with the images of a run.
pub struct Indexing<'a> {
    /// The update of the index.
    pub update: &'a mut Update,
    /// That each image has one embedding.
    pub one: OneView,
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
