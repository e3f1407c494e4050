//! A file to write, examined before anything is opened: a run must not write over what it reads, over a file that the
//! program did not make, or over finished results, unless the user allows it.
//!
//! Made from what the user named. [`Target::refusal`] decides; [`Destination`](super::Destination) opens what was
//! decided, and checks that the file has not changed in between.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use memchr::memmem;

use super::identity::{FileId, folder_of, followed};
use crate::error::{Error, Result};

/// A place to write to.
#[derive(Debug, Clone)]
pub struct Target {
    /// As the user named it.
    name: PathBuf,
    pub(super) place: Place,
}

#[derive(Debug, Clone)]
pub(super) enum Place {
    /// A device or a pipe: written to, never replaced.
    Special,
    File {
        /// With links followed.
        path: PathBuf,
        before: Option<Before>,
    },
}

/// A file that was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Before {
    id: Option<FileId>,
    n_bytes: u64,
    modified: Option<SystemTime>,
}

impl Before {
    pub(super) fn of(path: &Path, metadata: &Metadata) -> Before {
        Before {
            id: FileId::of_existing(path, metadata),
            n_bytes: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

/// What may be done with results that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing.
    Keep,
    /// They may be continued.
    Continue,
    /// They may be replaced.
    Replace,
}

/// How far to look for a file among those that a run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looking {
    /// Among the files that were named.
    AtNames,
    /// Also among those that folders, patterns and lists lead to.
    Everywhere,
}

/// Why a target may not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The run reads it.
    Input,
    /// It holds results of an earlier run.
    Results,
    /// It holds something else.
    Foreign,
    /// It is a stream, and only a file can be continued.
    Stream,
}

impl Target {
    /// The file or device of this name, which may not exist yet.
    ///
    /// # Errors
    /// [`Error::Usage`] for a folder; [`Error::Write`] if the folder that it is in does not exist.
    pub fn at(name: &Path) -> Result<Target> {
        let failed = Error::write(name);
        let path = followed(name);
        let place = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Error::usage(format!("`{}` is a folder", name.display()), "name a file"));
            }
            Ok(metadata) if !metadata.is_file() => Place::Special,
            Ok(metadata) => Place::File {
                before: Some(Before::of(&path, &metadata)),
                path,
            },
            // `/dev/stdout` leads to a name that no path has when it is a pipe.
            Err(_) if fs::metadata(name).is_ok_and(|metadata| !metadata.is_file()) => Place::Special,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = fs::metadata(folder_of(&path)).map_err(failed)?;
                if !folder.is_dir() {
                    return Err(failed(io::ErrorKind::NotADirectory.into()));
                }
                Place::File { path, before: None }
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Target {
            name: name.to_owned(),
            place,
        })
    }

    /// As the user named it.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The file itself, links followed; a device by its name.
    pub fn path(&self) -> &Path {
        match &self.place {
            Place::Special => &self.name,
            Place::File { path, .. } => path,
        }
    }

    /// Whether it is, or will be, a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.place, Place::File { .. })
    }

    /// Whether a file of this name is this one.
    pub fn is(&self, other: &Path) -> bool {
        self.is_file() && FileId::of(self.path()).is_some_and(|id| FileId::of(other) == Some(id))
    }

    /// Whether a file is there and not empty.
    pub fn holds_something(&self) -> bool {
        matches!(&self.place, Place::File { before: Some(before), .. } if before.n_bytes > 0)
    }

    /// Why it may not be written, if it may not. `is_read` says whether the run reads this file; it is asked to look
    /// everywhere only about a file that is to be replaced and that the program did not write. `is_ours` judges by
    /// content whether it did.
    ///
    /// # Errors
    /// [`Error::Read`] if what is there can't be read.
    pub fn refusal(
        &self,
        existing: Existing,
        is_read: impl Fn(Looking) -> bool,
        is_ours: impl FnOnce(&Excerpt) -> bool,
    ) -> Result<Option<Refusal>> {
        if !self.is_file() {
            return Ok((existing == Existing::Continue).then_some(Refusal::Stream));
        }
        if is_read(Looking::AtNames) {
            return Ok(Some(Refusal::Input));
        }
        if !self.holds_something() {
            return Ok(None);
        }
        let excerpt = Excerpt::of(self.path()).map_err(Error::read(&self.name))?;
        Ok(match (existing, is_ours(&excerpt)) {
            (Existing::Continue | Existing::Replace, true) => None,
            (Existing::Keep, true) => Some(Refusal::Results),
            (Existing::Replace, false) => is_read(Looking::Everywhere).then_some(Refusal::Input),
            (Existing::Keep | Existing::Continue, false) => Some(Refusal::Foreign),
        })
    }
}

/// The beginning and the end of a file: enough to recognise what wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The first bytes.
    pub start: Vec<u8>,
    /// The last bytes; those of `start` too if the file is short.
    pub end: Vec<u8>,
}

impl Excerpt {
    const START_BYTES: u64 = 64 << 10;
    /// A Parquet file describes itself at its end.
    const END_BYTES: u64 = 1 << 20;

    /// Reads them.
    ///
    /// # Errors
    /// Those of reading.
    pub fn of(path: &Path) -> io::Result<Excerpt> {
        let mut file = File::open(path)?;
        let mut excerpt = Excerpt::default();
        (&file).take(Self::START_BYTES).read_to_end(&mut excerpt.start)?;
        let n_bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(n_bytes.saturating_sub(Self::END_BYTES)))?;
        file.take(Self::END_BYTES).read_to_end(&mut excerpt.end)?;
        Ok(excerpt)
    }

    /// Those of a short file.
    #[cfg(test)]
    pub(crate) fn of_bytes(file: &[u8]) -> Excerpt {
        Excerpt {
            start: file.to_vec(),
            end: file.to_vec(),
        }
    }

    /// The first line without its end, and whether it has one.
    pub fn first_line(&self) -> (&[u8], bool) {
        match self.start.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&self.start[..end], true),
            None => (&self.start, false),
        }
    }

    /// Whether `word` is in the file's beginning.
    pub fn start_has(&self, word: &str) -> bool {
        has(&self.start, word)
    }

    /// Whether `word` is in the file's end.
    pub fn end_has(&self, word: &str) -> bool {
        has(&self.end, word)
    }
}

fn has(bytes: &[u8], word: &str) -> bool {
    memmem::find(bytes, word.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decides on a file that the run reads, or does not.
    fn refusal(path: &Path, existing: Existing, reads: Option<&Path>) -> Option<Refusal> {
        let target = Target::at(path).unwrap();
        let is_ours = |excerpt: &Excerpt| excerpt.start_has("ours");
        let is_read = |_| reads.is_some_and(|read| target.is(read));
        target.refusal(existing, is_read, is_ours).unwrap()
    }

    #[test]
    fn inputs_results_and_foreign_files_are_told_apart() {
        use Existing::{Continue, Keep, Replace};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        assert_eq!(refusal(&path, Keep, None), None, "nothing is there");
        assert_eq!(refusal(&path, Replace, Some(&path)), Some(Refusal::Input));
        fs::write(&path, "").unwrap();
        assert_eq!(refusal(&path, Keep, None), None, "it is empty");
        fs::write(&path, "this is ours").unwrap();
        assert_eq!(refusal(&path, Keep, None), Some(Refusal::Results));
        assert_eq!(refusal(&path, Continue, None), None);
        assert_eq!(refusal(&path, Replace, None), None);
        assert_eq!(refusal(&path, Replace, Some(&path)), Some(Refusal::Input));
        fs::write(&path, "a diary").unwrap();
        assert_eq!(refusal(&path, Keep, None), Some(Refusal::Foreign));
        assert_eq!(refusal(&path, Continue, None), Some(Refusal::Foreign));
        assert_eq!(refusal(&path, Replace, None), None);
    }

    #[test]
    fn folders_and_names_in_no_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Target::at(dir.path()), Err(Error::Usage { .. })));
        let nowhere = Target::at(&dir.path().join("none/out")).unwrap_err();
        assert!(matches!(nowhere, Error::Write { .. }), "{nowhere}");
    }

    #[test]
    #[cfg(unix)]
    fn devices_are_streams_and_links_lead_to_files() {
        let dir = tempfile::tempdir().unwrap();
        let link = |to: &str, name: &str| {
            let path = dir.path().join(name);
            std::os::unix::fs::symlink(to, &path).unwrap();
            Target::at(&path).unwrap()
        };
        let null = link("/dev/null", "null");
        assert!(!null.is_file());
        let refused = null.refusal(Existing::Continue, |_| true, |_| true).unwrap();
        assert_eq!(refused, Some(Refusal::Stream));
        assert_eq!(link("real", "link").path(), dir.path().join("real"));
    }
}
