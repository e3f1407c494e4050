//! An update of a search index as a sink of a run: the embedding of each image goes into it.

use super::{Seen, Sink, Verdict};
use crate::error::{Error, Result};
use crate::input::Item;
use crate::search::Update;

impl Sink for Update {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        let encoded = match seen {
            Ok(seen) => self.encoded(&item, &seen.views.into_embedding()),
            Err(error) => {
                self.failed(&item);
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
        Update::flush(self)
    }

    fn n_known(&self) -> u64 {
        Update::n_known(self)
    }
}
