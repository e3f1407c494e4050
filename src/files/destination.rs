//! An open output: a stream, a file that grows, or a file that gets its name when it is complete.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::lock::{Lock, is_being_written};
use super::replacement::{Replacement, remove_leftovers};
use super::target::{self, Before, Target};
use crate::error::{Error, Result};

/// Where output goes.
pub struct Destination {
    out: BufWriter<Out>,
    /// As the user named it, for messages.
    name: PathBuf,
    kind: Kind,
}

enum Out {
    Stream(Box<dyn Write + Send>),
    File(File),
    /// Moved away once the file has its name.
    Whole(Option<Replacement>),
}

enum Kind {
    /// Stdout, a device or a pipe.
    Stream,
    /// A file that a later run can continue: under its name from the start.
    Growing,
    /// A file that is complete or absent: written under a temporary name, then renamed.
    Whole {
        path: PathBuf,
        /// The file that was there when the target was checked.
        before: Option<Before>,
        /// Keeps other runs from writing the same file.
        _lock: Option<Lock>,
    },
    /// As `Whole`, for a file that several runs may make at once, all with the same content.
    Attempt,
}

impl Destination {
    /// A stream that is given, such as the process's stdout, with what messages call it.
    pub fn stream(out: Box<dyn Write + Send>, name: &'static str) -> Self {
        Destination::new(Out::Stream(out), Path::new(name), Kind::Stream)
    }

    /// A file that can be continued. It stays as it is until [`Destination::keep`].
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Usage`] if another run writes to it, or it has changed since the target was looked at.
    pub fn growing(target: &Target) -> Result<Self> {
        let target::Place::File { path, before } = &target.place else {
            return Destination::special(target);
        };
        let failed = Error::write(target.name());
        let mut options = OpenOptions::new();
        let options = options.create(true).write(true).truncate(false);
        let file = options.open(path).map_err(failed)?;
        // On a file system without locks, assume that this is the only run.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(is_being_written(target.name()));
        }
        let metadata = file.metadata().map_err(failed)?;
        let is_as_before = match before {
            Some(before) => *before == Before::of(path, &metadata),
            None => metadata.len() == 0,
        };
        if !is_as_before {
            return Err(changed(target.name()));
        }
        Ok(Destination::new(Out::File(file), target.name(), Kind::Growing))
    }

    /// Cuts a growing file after the first `n_bytes`, and continues there.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn keep(&mut self, n_bytes: u64) -> Result<()> {
        if let (Kind::Growing, Out::File(file)) = (&self.kind, self.out.get_mut()) {
            let cut = file.set_len(n_bytes).and_then(|()| file.seek(SeekFrom::Start(n_bytes)));
            cut.map_err(Error::write(&self.name))?;
        }
        Ok(())
    }

    /// A file that gets its name when it is whole. Until then nobody else can write it, and what is there stays.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Usage`] if another run writes it.
    pub fn whole(target: &Target) -> Result<Self> {
        let target::Place::File { path, before } = &target.place else {
            return Destination::special(target);
        };
        let lock = Lock::of(path).map_err(|error| named(target.name(), error))?;
        remove_leftovers(path);
        let replacement = Replacement::begin(path).map_err(Error::write(target.name()))?;
        let kind = Kind::Whole {
            path: path.clone(),
            before: before.clone(),
            _lock: lock,
        };
        Ok(Destination::new(Out::Whole(Some(replacement)), target.name(), kind))
    }

    /// As [`Destination::whole`], of a file that other processes may be making too, all with the same content.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn attempt(path: &Path) -> Result<Self> {
        let replacement = Replacement::begin(path).map_err(Error::write(path))?;
        Ok(Destination::new(Out::Whole(Some(replacement)), path, Kind::Attempt))
    }

    /// A device or a pipe.
    fn special(target: &Target) -> Result<Self> {
        let file = OpenOptions::new().write(true).open(target.name());
        let file = file.map_err(Error::write(target.name()))?;
        Ok(Destination::new(Out::File(file), target.name(), Kind::Stream))
    }

    fn new(out: Out, name: &Path, kind: Kind) -> Self {
        Destination {
            out: BufWriter::new(out),
            name: name.to_owned(),
            kind,
        }
    }

    /// Says what could not be written.
    pub fn error(&self, source: io::Error) -> Error {
        Error::write(&self.name)(source)
    }

    /// All is written: the file gets its name.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Usage`] if a file of that name was written meanwhile: it stays, and so does the new one.
    pub fn finish(&mut self) -> Result<()> {
        self.flush().map_err(|source| self.error(source))?;
        let Out::Whole(replacement) = self.out.get_mut() else {
            return Ok(());
        };
        let replacement = replacement.take().expect("a file is finished once");
        if let Kind::Whole { path, before, .. } = &self.kind {
            let now = fs::metadata(path).map(|metadata| Before::of(path, &metadata));
            let is_as_before = match (before, &now) {
                (Some(before), Ok(now)) => before == now,
                (None, Err(error)) => error.kind() == ErrorKind::NotFound,
                _ => false,
            };
            if !is_as_before {
                let left = replacement.leave().map_err(Error::write(&self.name))?;
                return Err(Error::usage(
                    format!(
                        "`{}` was written by something else during this run",
                        self.name.display()
                    ),
                    format!("it is left alone; the new results are in `{}`", left.display()),
                ));
            }
        }
        replacement.finish().map_err(Error::write(&self.name))
    }

    /// Not all is written: a file that would be whole is left under another name, which is given back. An attempt is
    /// removed.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn leave(&mut self) -> Result<Option<PathBuf>> {
        self.flush().map_err(|source| self.error(source))?;
        match (&self.kind, self.out.get_mut()) {
            (Kind::Whole { .. }, Out::Whole(replacement)) => {
                let replacement = replacement.take().expect("a file is left once");
                let left = replacement.leave().map_err(Error::write(&self.name))?;
                Ok(Some(left))
            }
            _ => Ok(None),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Out::Stream(out) => out.write(bytes),
            Out::File(out) => out.write(bytes),
            Out::Whole(Some(replacement)) => replacement.file().write(bytes),
            Out::Whole(None) => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::Stream(out) => out.flush(),
            Out::File(out) => out.flush(),
            Out::Whole(_) => Ok(()),
        }
    }
}

/// An error about a file that a link leads to, in the words of the user.
fn named(name: &Path, error: Error) -> Error {
    match error {
        Error::Write { source, .. } => Error::write(name)(source),
        other => other,
    }
}

fn changed(path: &Path) -> Error {
    Error::usage(
        format!("`{}` was written by something else just now", path.display()),
        "run again, or name another file",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &Path) -> Target {
        Target::at(path).unwrap()
    }

    #[test]
    fn a_whole_file_has_its_name_at_the_end_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        let mut destination = Destination::whole(&target(&path)).unwrap();
        destination.write_all(b"[]").unwrap();
        destination.flush().unwrap();
        assert!(!path.exists());
        destination.finish().unwrap();
        drop(destination);
        assert_eq!(fs::read(&path).unwrap(), b"[]");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn half_a_file_does_not_pass_as_a_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        fs::write(&path, b"[]").unwrap();
        let mut destination = Destination::whole(&target(&path)).unwrap();
        destination.write_all(b"[half").unwrap();
        let partial = destination.leave().unwrap().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"[]", "what was there is untouched");
        assert_eq!(fs::read(partial).unwrap(), b"[half");
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        drop(Destination::whole(&target(&path)).unwrap());
        Destination::attempt(&path).unwrap().leave().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn two_runs_do_not_write_to_one_file() {
        for open in [Destination::growing, Destination::whole] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("out");
            let first = open(&target(&path)).unwrap();
            let refused = open(&target(&path)).err().unwrap();
            assert!(refused.to_string().contains("is being written by another run"));
            drop(first);
            assert!(open(&target(&path)).is_ok());
        }
    }

    #[test]
    fn a_file_that_appeared_during_the_run_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        let mut destination = Destination::whole(&target(&path)).unwrap();
        destination.write_all(b"[]").unwrap();
        fs::write(&path, b"a diary").unwrap();
        let error = destination.finish().unwrap_err();
        assert!(error.to_string().contains("during this run"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"a diary");
        assert_eq!(fs::read(dir.path().join("out.json.partial")).unwrap(), b"[]");
        let late = target(&dir.path().join("late.ndjson"));
        fs::write(late.path(), b"a diary").unwrap();
        assert!(Destination::growing(&late).is_err());
        assert_eq!(fs::read(late.path()).unwrap(), b"a diary");
    }

    #[test]
    fn a_growing_file_continues_after_what_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.ndjson");
        fs::write(&path, b"one\nhal").unwrap();
        let mut destination = Destination::growing(&target(&path)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\nhal", "opening changes nothing");
        destination.keep(4).unwrap();
        destination.write_all(b"two\n").unwrap();
        destination.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    }
}
