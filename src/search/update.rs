//! Brings an index up to date: unchanged images are kept, new and changed ones are encoded, and images that are no longer
//! named are dropped. The result is the same as that of a build from scratch.
//!
//! The old index stays intact until the new one replaces it in one step. Until then, new embeddings are in the
//! [journal](super::journal), so a killed run loses one batch at most.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::index::Index;
use super::journal;
use super::origin::Origin;
use super::page::stored_embedding;
use super::plan::{EmbeddingSource, IndexEntry, Plan};
use super::writer::IndexWriter;
use crate::error::{Error, Result, counted};
use crate::files::{Destination, Target};
use crate::input::{Item, Items};
use crate::store::Store;

/// An index that is being brought up to date.
pub struct Update {
    target: Target,
    origin: Origin,
    before: Option<Index>,
    journal: Store,
    plan: Arc<Mutex<Plan>>,
    n_resumed: usize,
}

/// The result of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// The index was written.
    Written(Changes),
    /// The index was left as it is, since nothing has changed.
    UpToDate(Changes),
    /// No image is left, probably because a disk isn't mounted: the index was left as it is, with this many images.
    Nothing(usize),
}

/// How the index differs from the old one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Images in the index.
    pub n_images: usize,
    /// Images that are new.
    pub n_new: usize,
    /// Images that were encoded again because their files had changed.
    pub n_changed: usize,
    /// Images that were kept.
    pub n_kept: usize,
    /// Images that were dropped.
    pub n_dropped: usize,
    /// Kept images whose folder or archive could not be read.
    pub n_out_of_reach: usize,
    /// Inputs that named an image again.
    pub n_twice: u64,
}

/// In words, without zero counts.
impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = match self {
            Finished::Nothing(_) => return f.write_str("no images"),
            Finished::Written(changes) | Finished::UpToDate(changes) => changes,
        };
        f.write_str(&counted(changes.n_images, "image"))?;
        if matches!(self, Finished::UpToDate(_)) {
            f.write_str(", up to date")?;
        } else {
            let counts = [
                (changes.n_new, "new"),
                (changes.n_changed, "changed"),
                (changes.n_kept, "unchanged"),
                (changes.n_dropped, "dropped"),
            ];
            let mut counts = counts.into_iter().filter(|(n, _)| *n > 0);
            counts.try_for_each(|(n, what)| write!(f, ", {n} {what}"))?;
        }
        if changes.n_out_of_reach > 0 {
            let n = changes.n_out_of_reach;
            write!(f, "; {n} kept, because their folder or archive can't be read")?;
        }
        match changes.n_twice {
            0 => Ok(()),
            n => write!(f, "; {n} named more than once, and stored once"),
        }
    }
}

impl Update {
    /// Opens the journal of an index. `before` is the index as it was; without it, the index is made from nothing.
    ///
    /// # Errors
    /// As [`Index::open`]; [`Error::Usage`] if either has another origin or is in use by another run.
    pub fn begin(target: Target, before: Option<Index>, origin: Origin) -> Result<Self> {
        let path = target.path();
        let mut plan = Plan::new(&origin.folder);
        if let Some(before) = &before {
            before.origin().refuse_other(path, &origin)?;
            for (row, picture) in before.pictures()?.into_iter().enumerate() {
                plan.know(&before.origin().folder, picture, EmbeddingSource::Index(row));
            }
        }
        let journal = journal::open(path, &origin)?;
        let encoded = journal::pictures(&journal, &origin)?;
        let n_resumed = encoded.len();
        for (picture, place) in encoded {
            plan.know(&origin.folder, picture, EmbeddingSource::Journal(place));
        }
        Ok(Update {
            target,
            origin,
            before,
            journal,
            plan: Arc::new(Mutex::new(plan)),
            n_resumed,
        })
    }

    /// Images that an interrupted build has encoded.
    pub fn n_resumed(&self) -> usize {
        self.n_resumed
    }

    /// Images so far that need not be encoded.
    pub fn n_known(&self) -> u64 {
        locked(&self.plan).n_known
    }

    /// The items that must be encoded. The caller passes each to [`Update::encoded`] or [`Update::failed`], in order.
    pub fn only_new(&self, items: Items) -> Items {
        let plan = Arc::clone(&self.plan);
        Box::new(items.filter(move |item| locked(&plan).admit(item)))
    }

    /// Adds the embedding of the next item.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Picture`] if the embedding isn't finite, in which case the image is left out.
    pub fn encoded(&mut self, item: &Item, embedding: &[f32]) -> Result<()> {
        let Some(embedding) = stored_embedding(embedding) else {
            self.failed(item);
            return Err(Error::Picture {
                name: item.name.to_string(),
                problem: "its embedding is not finite".into(),
                hint: None,
            });
        };
        let mut plan = locked(&self.plan);
        if let Some(entry) = plan.next_pending() {
            let place = journal::add(&mut self.journal, &entry.picture, &embedding);
            entry.source = EmbeddingSource::Journal(place);
        }
        Ok(())
    }

    /// Notes that the next item failed.
    pub fn failed(&mut self, item: &Item) {
        let mut plan = locked(&self.plan);
        plan.next_pending();
        plan.failed(&item.name.to_string());
    }

    /// Flushes the journal, so that nothing encoded so far is lost if the process is killed.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn flush(&mut self) -> Result<()> {
        self.journal.flush()
    }

    /// Writes the index, if it has changed, after all items were passed.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(self) -> Result<Finished> {
        let Update {
            target,
            origin,
            before,
            mut journal,
            plan,
            ..
        } = self;
        let mut plan = locked(&plan);
        let mut entries = std::mem::take(&mut plan.entries);
        entries.retain(|entry| entry.source != EmbeddingSource::Missing);
        let out_of_reach = plan.take_out_of_reach();
        let n_out_of_reach = out_of_reach.len();
        entries.extend(out_of_reach);
        let n_before = before.as_ref().map_or(0, Index::len);
        if entries.is_empty() {
            journal.leave()?;
            return Ok(Finished::Nothing(n_before));
        }
        let changes = Changes {
            n_out_of_reach,
            n_twice: plan.n_twice,
            ..changes(&entries, n_before)
        };
        let is_same = |(row, entry): (usize, &IndexEntry)| entry.source == EmbeddingSource::Index(row);
        let is_up_to_date = n_before == entries.len()
            && entries.iter().enumerate().all(is_same)
            && before
                .as_ref()
                .is_some_and(|before| before.origin().folder == origin.folder);
        if is_up_to_date {
            journal.remove()?;
            return Ok(Finished::UpToDate(changes));
        }
        journal.flush()?;
        write(&target, &origin, entries, before.as_ref(), &journal)?;
        journal.remove()?;
        Ok(Finished::Written(changes))
    }

    /// Ends an interrupted update: the index stays as it was. Returns the journal that the next run continues, if any.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn leave(self) -> Result<Option<PathBuf>> {
        self.journal.leave()
    }
}

fn changes(entries: &[IndexEntry], n_before: usize) -> Changes {
    let is_kept = |entry: &&IndexEntry| matches!(entry.source, EmbeddingSource::Index(_));
    let n_kept = entries.iter().filter(is_kept).count();
    let n_changed = entries
        .iter()
        .filter(|entry| entry.was_indexed && !is_kept(entry))
        .count();
    Changes {
        n_images: entries.len(),
        n_new: entries.len() - n_kept - n_changed,
        n_changed,
        n_kept,
        n_dropped: n_before - n_kept - n_changed,
        ..Changes::default()
    }
}

fn write(
    target: &Target,
    origin: &Origin,
    entries: Vec<IndexEntry>,
    before: Option<&Index>,
    journal: &Store,
) -> Result<()> {
    let out = Destination::whole(target)?;
    let failed = Error::write(target.name());
    let mut writer = IndexWriter::new(out, origin).map_err(failed)?;
    for IndexEntry { picture, source, .. } in entries {
        let embedding = match source {
            EmbeddingSource::Index(row) => before.map(|before| before.stored_embedding(row).into()),
            EmbeddingSource::Journal(place) => journal.value_at(place).map(Cow::Owned),
            EmbeddingSource::Missing => None,
        };
        let embedding = embedding.ok_or_else(|| failed(io::Error::other("the journal was changed in the meantime")))?;
        writer.push_stored(picture, &embedding).map_err(failed)?;
    }
    writer.finish().map_err(failed)?.finish()
}

fn locked(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}
