//! Brings an index up to date: pictures that it knows as they are stay, others are encoded, and what is no longer named
//! goes. An updated index is the one that a build from nothing would make.
//!
//! The index as it was stays whole until the new one is, and takes its name in one step. Until then, what was encoded is in
//! the [journal](super::journal): a run that is killed loses a batch, not an hour.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::index::Index;
use super::journal::Journal;
use super::origin::Origin;
use super::page::VALUE_BYTES;
use super::plan::{Entry, Place, Plan};
use super::writer::{IndexWriter, stored};
use crate::error::{Error, Result};
use crate::files::{Destination, Target};
use crate::input::{Item, Items};

/// An index that is being brought up to date.
pub struct Update {
    target: Target,
    origin: Origin,
    before: Option<Index>,
    journal: Journal,
    plan: Arc<Mutex<Plan>>,
    n_resumed: usize,
}

/// What came of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// The index has its new form.
    Written(Changes),
    /// It is as it was: nothing has changed.
    UpToDate(Changes),
}

/// How an index differs from what it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Pictures that it holds now.
    pub n_pictures: usize,
    /// Pictures that it didn't hold before.
    pub n_new: usize,
    /// Pictures that were encoded anew, since their files had changed.
    pub n_changed: usize,
    /// Pictures that stayed as they were.
    pub n_kept: usize,
    /// Pictures that it doesn't hold any more.
    pub n_dropped: usize,
    /// Of those kept, pictures that were out of reach: what they lie in could not be read.
    pub n_out_of_reach: usize,
    /// Inputs that named a picture once more.
    pub n_twice: u64,
}

impl Update {
    /// Reads what the index as it was and the journal know; without the former, the index is made from nothing.
    ///
    /// # Errors
    /// As [`Index::open`]; [`Error::Usage`] where either is of another origin, or another run is at work.
    pub fn begin(target: Target, before: Option<Index>, origin: Origin) -> Result<Self> {
        let path = target.path();
        let mut plan = Plan::new(&origin.folder);
        if let Some(before) = &before {
            before.origin().refuse_other(path, &origin)?;
            for (row, picture) in before.pictures()?.into_iter().enumerate() {
                plan.know(&before.origin().folder, picture, Place::Index(row));
            }
        }
        let (journal, encoded) = Journal::open(path, &origin)?;
        let n_resumed = encoded.len();
        for encoded in encoded {
            plan.know(&origin.folder, encoded.picture, Place::Journal(encoded.at));
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

    /// Pictures that an interrupted build had encoded.
    pub fn n_resumed(&self) -> usize {
        self.n_resumed
    }

    /// Pictures drawn until now that needed nothing.
    pub fn n_known(&self) -> u64 {
        locked(&self.plan).n_known
    }

    /// The items that must be encoded. Each of them is answered, in order, by [`Update::encoded`] or [`Update::failed`].
    pub fn only_new(&self, items: Items) -> Items {
        let plan = Arc::clone(&self.plan);
        Box::new(items.filter(move |item| locked(&plan).admit(item)))
    }

    /// The next item's embedding.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Picture`] for an embedding that isn't finite, which leaves the picture out.
    pub fn encoded(&mut self, item: &Item, embedding: &[f32]) -> Result<()> {
        let Some(embedding) = stored(embedding) else {
            self.failed(item);
            return Err(Error::Picture {
                name: item.name.to_string(),
                problem: "its embedding is not finite".into(),
                hint: None,
            });
        };
        let mut plan = locked(&self.plan);
        if let Some(entry) = plan.next_pending() {
            let at = self.journal.add(&entry.picture, &embedding)?;
            entry.place = Place::Journal(at);
        }
        Ok(())
    }

    /// The next item gave nothing.
    pub fn failed(&mut self, item: &Item) {
        let mut plan = locked(&self.plan);
        plan.next_pending();
        plan.failed(&item.name.to_string());
    }

    /// What was encoded until now is safe from a kill.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn flush(&mut self) -> Result<()> {
        self.journal.flush()
    }

    /// All items are through: the index gets its new form, if it is another.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Usage`] where not one picture is left, which is more often a disk that isn't there than
    /// a wish.
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
        entries.retain(|entry| entry.place != Place::Nowhere);
        let out_of_reach = plan.take_out_of_reach();
        let n_out_of_reach = out_of_reach.len();
        entries.extend(out_of_reach);
        let n_before = before.as_ref().map_or(0, Index::len);
        if entries.is_empty() {
            journal.leave()?;
            return Err(nothing_left(target.name(), before.as_ref()));
        }
        let changes = Changes {
            n_out_of_reach,
            n_twice: plan.n_twice,
            ..changes(&entries, n_before)
        };
        let is_same = |(row, entry): (usize, &Entry)| entry.place == Place::Index(row);
        let is_up_to_date = n_before == entries.len()
            && entries.iter().enumerate().all(is_same)
            && before
                .as_ref()
                .is_some_and(|before| before.origin().folder == origin.folder);
        if is_up_to_date {
            journal.remove()?;
            return Ok(Finished::UpToDate(changes));
        }
        write(&target, &origin, entries, before.as_ref(), &mut journal)?;
        journal.remove()?;
        Ok(Finished::Written(changes))
    }

    /// The run was cut short: the index stays as it was. Gives the file from which the next run goes on, if there is one.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn leave(self) -> Result<Option<PathBuf>> {
        self.journal.leave()
    }
}

fn changes(entries: &[Entry], n_before: usize) -> Changes {
    let is_kept = |entry: &&Entry| matches!(entry.place, Place::Index(_));
    let n_kept = entries.iter().filter(is_kept).count();
    let n_changed = entries
        .iter()
        .filter(|entry| entry.was_there && !is_kept(entry))
        .count();
    Changes {
        n_pictures: entries.len(),
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
    entries: Vec<Entry>,
    before: Option<&Index>,
    journal: &mut Journal,
) -> Result<()> {
    let encoded = journal.mapped()?;
    let vector_bytes = origin.embed_dim * VALUE_BYTES;
    let out = Destination::whole(target)?;
    let failed = Error::write(target.name());
    let mut writer = IndexWriter::new(out, origin).map_err(failed)?;
    for Entry { picture, place, .. } in entries {
        let embedding = match place {
            Place::Index(row) => before.map(|before| before.stored_embedding(row)),
            Place::Journal(at) => encoded.get(at as usize..).and_then(|rest| rest.get(..vector_bytes)),
            Place::Nowhere => None,
        };
        let embedding =
            embedding.ok_or_else(|| failed(std::io::Error::other("the journal was cut short meanwhile")))?;
        writer.push_stored(picture, embedding).map_err(failed)?;
    }
    writer.finish().map_err(failed)?.finish()
}

fn nothing_left(path: &Path, before: Option<&Index>) -> Error {
    match before.filter(|before| !before.is_empty()) {
        None => Error::usage(
            format!("there is no picture for `{}`", path.display()),
            "name pictures or folders that hold some: `longclip search build photos/ -o index.parquet`",
        ),
        Some(before) => Error::usage(
            format!(
                "not one picture is left of the {} in `{}`; it stays as it is",
                before.len(),
                path.display()
            ),
            "is the disk there? If the pictures are meant to be gone, remove the index",
        ),
    }
}

fn locked(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}
