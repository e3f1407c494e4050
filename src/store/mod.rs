//! A file of embeddings that only grows: an interrupted run continues in it, and a later run finds what this one made.
//!
//! Holds an evaluation's embeddings and what a build of an index has encoded, which one run at a time writes, and the cache
//! of labels, which many runs read and add to at once.
//!
//! ```text
//! LCSTORE1 | records                                    the first, without a key, says what the values are and what made them
//! key length u32 | value length u32 | key | value | check    a record; numbers are little-endian
//! ```
//!
//! The check is the start of a SHA-256 of what comes before it: a value whose check does not agree is never returned. A
//! kill can leave half a record at the end, which is cut off. Of records with the same key, the last one counts.

mod record;

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::record::{Begun, MAGIC, Walk, encoded};
pub(crate) use self::record::{Place, bytes_of, row_of};
use crate::error::{Error, Result};
use crate::files::{Target, is_being_written};

/// A file that many runs add to begins anew when it is larger. 80,000 prompts of a ViT-L are 246 MB.
const SHARED_BYTES_MAX: u64 = 256 << 20;

/// What the first record says.
#[derive(Serialize, Deserialize)]
struct Header<V, O> {
    values: V,
    origin: O,
}

/// How many runs may write a file at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writers {
    One,
    Many,
}

/// An open file of embeddings.
pub(crate) struct Store {
    path: PathBuf,
    file: File,
    writers: Writers,
    header: Vec<u8>,
    places: HashMap<Vec<u8>, Place>,
    /// Records that are not in the file yet.
    pending: Vec<u8>,
    end: u64,
    dropped_bytes: u64,
}

impl Store {
    /// Opens a file, or begins one, that no other run writes meanwhile. `values` says what it holds, such as `embeddings`;
    /// `refuse_other` checks what made the existing records.
    ///
    /// # Errors
    /// [`Error::Usage`] if it holds something else, or another run writes it; those of `refuse_other`; [`Error::Read`],
    /// [`Error::Write`].
    pub(crate) fn open<O: Serialize + DeserializeOwned>(
        path: &Path,
        values: &str,
        origin: &O,
        refuse_other: impl FnOnce(&O) -> Result<()>,
    ) -> Result<Self> {
        let foreign = || {
            let problem = format!("`{}` does not hold {values}", path.display());
            Error::usage(problem, "it is left unchanged: name another file, or move this one")
        };
        if !Target::at(path)?.is_file() {
            return Err(foreign());
        }
        let mut store = Store::begin(path, Writers::One, values, origin)?;
        // If a file system has no locks, this may be the only run.
        if matches!(store.file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(is_being_written(path));
        }
        store.scan(|json| match serde_json::from_slice::<Header<String, O>>(json) {
            Ok(there) if there.values == values => refuse_other(&there.origin).map(|()| true),
            Ok(_) | Err(_) => Err(foreign()),
        })?;
        store.append().map_err(Error::write(path))?;
        Ok(store)
    }

    /// Opens a file that other runs read and add to as well. One of another origin, or a damaged one, begins anew when
    /// something is added.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Write`].
    pub(crate) fn shared<O: Serialize>(path: &Path, values: &str, origin: &O) -> Result<Self> {
        let mut store = Store::begin(path, Writers::Many, values, origin)?;
        store.scan_own()?;
        Ok(store)
    }

    fn begin<O: Serialize>(path: &Path, writers: Writers, values: &str, origin: &O) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        // What many runs add to may be read by one that may not write.
        let file = match writers {
            Writers::One => file,
            Writers::Many => file.or_else(|error| File::open(path).map_err(|_| error)),
        };
        let header = serde_json::to_vec(&Header { values, origin });
        Ok(Store {
            path: path.to_owned(),
            file: file.map_err(Error::write(path))?,
            writers,
            header: header.expect("texts and numbers are JSON"),
            places: HashMap::new(),
            pending: Vec::new(),
            end: 0,
            dropped_bytes: 0,
        })
    }

    /// Bytes after the last record that were dropped.
    pub(crate) fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    /// Gives each whole record's place, key and value, in the order of the file.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub(crate) fn records(&self, mut each: impl FnMut(Place, &[u8], &[u8])) -> Result<()> {
        let mut places: Vec<Place> = self.places.values().copied().collect();
        places.sort_unstable();
        for place in places {
            if let Some((key, value)) = place.read(&self.file).map_err(Error::read(&self.path))? {
                each(place, &key, &value);
            }
        }
        Ok(())
    }

    /// The value of a key that is in the file, if it is whole.
    pub(crate) fn value(&self, key: &[u8]) -> Option<Vec<u8>> {
        let (found, value) = self.places.get(key)?.read(&self.file).ok()??;
        (found == key).then_some(value)
    }

    /// The value of a record that is in the file, if it is whole.
    #[cfg(feature = "parquet")]
    pub(crate) fn value_at(&self, place: Place) -> Option<Vec<u8>> {
        place.read(&self.file).ok()?.map(|(_, value)| value)
    }

    /// Adds a record, which is in the file after the next [`Store::flush`]; returns its place, unless other runs add some
    /// before it.
    ///
    /// # Panics
    /// If it has 4 GiB or more.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Place {
        let place = Place {
            at: self.end + self.pending.len() as u64,
            key_bytes: u32::try_from(key.len()).expect("a name of less than 4 GiB"),
            value_bytes: u32::try_from(value.len()).expect("an embedding of less than 4 GiB"),
        };
        self.pending.extend(encoded(key, value));
        self.places.insert(key.to_owned(), place);
        place
    }

    /// What was added is in the file, so that a kill does not lose it.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Write`].
    pub(crate) fn flush(&mut self) -> Result<()> {
        let path = self.path.clone();
        if self.pending.is_empty() || self.writers == Writers::One {
            return self.append().map_err(Error::write(&path));
        }
        // Without locks, what two runs write at once does not agree with its checks.
        let _ = self.file.lock();
        self.scan_own()?;
        if self.end > SHARED_BYTES_MAX {
            self.end = 0;
        }
        let written = self.append();
        let scanned = self.scan_own();
        let _ = self.file.unlock();
        written.map_err(Error::write(&path)).and(scanned)
    }

    /// Removes the file: nothing in it is needed any more.
    ///
    /// # Errors
    /// [`Error::Write`].
    #[cfg(feature = "parquet")]
    pub(crate) fn remove(self) -> Result<()> {
        // While it is locked, so that another run's is not removed; some systems want it closed first.
        let removed = std::fs::remove_file(&self.path).or_else(|_| {
            drop(self.file);
            std::fs::remove_file(&self.path)
        });
        removed.map_err(Error::write(&self.path))
    }

    /// Leaves the file to the next run and returns its name; one without records is removed.
    ///
    /// # Errors
    /// [`Error::Write`].
    #[cfg(feature = "parquet")]
    pub(crate) fn leave(mut self) -> Result<Option<PathBuf>> {
        self.flush()?;
        match self.places.is_empty() {
            true => self.remove().map(|()| None),
            false => Ok(Some(self.path)),
        }
    }

    fn scan_own(&mut self) -> Result<()> {
        let own = self.header.clone();
        self.scan(|json| Ok(json == own))
    }

    /// Looks where records are. `is_ours` judges the header, which is empty if the file is something else; a file that ends
    /// before its header does counts as empty.
    fn scan(&mut self, is_ours: impl FnOnce(&[u8]) -> Result<bool>) -> Result<()> {
        let path = self.path.clone();
        let failed = Error::read(&path);
        self.places.clear();
        self.end = 0;
        self.dropped_bytes = self.file.metadata().map_err(failed)?.len();
        let mut walk = Walk::of(&self.file, self.dropped_bytes).map_err(failed)?;
        let header = match walk.begin().map_err(failed)? {
            Begun::Whole(place) => place.read(&self.file).map_err(failed)?.map(|(_, json)| json),
            Begun::Cut => return Ok(()),
            Begun::Foreign => None,
        };
        if !is_ours(&header.unwrap_or_default())? {
            return Ok(());
        }
        self.end = walk.at;
        walk.resume().map_err(failed)?;
        while let Some((key, place)) = walk.next().map_err(failed)? {
            self.places.insert(key, place);
            self.end = walk.at;
        }
        self.dropped_bytes -= self.end;
        Ok(())
    }

    /// Cuts the file after the last record, and appends what is pending.
    fn append(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        if self.end == 0 {
            let start = [&MAGIC[..], &encoded(b"", &self.header)].concat();
            self.file.write_all(&start)?;
            self.end = start.len() as u64;
        }
        self.file.write_all(&self.pending)?;
        self.end += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
