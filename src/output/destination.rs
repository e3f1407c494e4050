//! Where output goes: a stream, a file that grows, or a file that gets its name when it is whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Progress;
use crate::error::{Error, Result};

/// Where output goes.
pub struct Destination {
    out: BufWriter<Out>,
    place: Place,
}

enum Out {
    Stream(Box<dyn Write + Send>),
    File(File),
}

enum Place {
    /// Called so in messages.
    Stream(&'static str),
    /// A file that a later run can continue: under its name from the start.
    Growing(PathBuf),
    /// A file that is whole or nothing: written beside its place, then renamed.
    Whole { path: PathBuf, partial: PathBuf },
}

impl Destination {
    /// A stream that is given, as the process's stdout, with what messages call it.
    pub fn stream(out: Box<dyn Write + Send>, name: &'static str) -> Self {
        Destination::new(Out::Stream(out), Place::Stream(name))
    }

    /// A file that can be continued. It stays as it is until [`Destination::keep`].
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Usage`] where another run writes to it.
    pub fn growing(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.create(true).write(true).truncate(false);
        let file = options.open(path).map_err(Error::write(path))?;
        // Where a file system has no locks, nothing is said: it may be the only run.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && is_file(&file) {
            return Err(Error::usage(
                format!("`{}` is being written by another run", path.display()),
                "wait for its end, or name another file",
            ));
        }
        Ok(Destination::new(Out::File(file), Place::Growing(path.to_owned())))
    }

    /// Cuts a growing file to what is held, and goes on behind it; from its beginning where that is nothing.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn keep(&mut self, held: Progress) -> Result<()> {
        let (Place::Growing(path), Out::File(file)) = (&self.place, self.out.get_mut()) else {
            return Ok(());
        };
        let failed = Error::write(path);
        // A pipe or a device has no length to cut.
        if is_file(file) {
            file.set_len(held.end).map_err(failed)?;
        }
        if held.end > 0 {
            file.seek(SeekFrom::Start(held.end)).map_err(failed)?;
        }
        Ok(())
    }

    /// A file that gets its name when it is whole; until then its name ends in `.partial`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn whole(path: &Path) -> Result<Self> {
        let mut partial = OsString::from(path);
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(Error::write(&partial))?;
        let path = path.to_owned();
        Ok(Destination::new(Out::File(file), Place::Whole { path, partial }))
    }

    /// As [`Destination::whole`], under a name of one's own until then, which no file may have.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn whole_from(partial: PathBuf, path: PathBuf) -> Result<Self> {
        let file = File::create_new(&partial).map_err(Error::write(&partial))?;
        Ok(Destination::new(Out::File(file), Place::Whole { path, partial }))
    }

    fn new(out: Out, place: Place) -> Self {
        Destination {
            out: BufWriter::new(out),
            place,
        }
    }

    /// Says what could not be written.
    pub fn error(&self, source: io::Error) -> Error {
        let path = match &self.place {
            Place::Stream(name) => Path::new(name),
            Place::Growing(path) => path,
            Place::Whole { partial, .. } => partial,
        };
        Error::write(path)(source)
    }

    /// All is written: the file gets its name.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(&mut self) -> Result<()> {
        self.flush().map_err(|source| self.error(source))?;
        if let (Place::Whole { path, partial }, Out::File(file)) = (&self.place, self.out.get_ref()) {
            // The name must not be there before the bytes are.
            file.sync_all().map_err(Error::write(partial))?;
            fs::rename(partial, path).map_err(Error::write(path))?;
        }
        Ok(())
    }

    /// Not all is written: a file that would be whole keeps the name that says it isn't, which is given back.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn leave(&mut self) -> Result<Option<PathBuf>> {
        self.flush().map_err(|source| self.error(source))?;
        Ok(match &self.place {
            Place::Stream(_) | Place::Growing(_) => None,
            Place::Whole { partial, .. } => Some(partial.clone()),
        })
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
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Out::Stream(out) => out.flush(),
            Out::File(out) => out.flush(),
        }
    }
}

fn is_file(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_has_its_name_only_when_it_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        let mut destination = Destination::whole(&path).unwrap();
        destination.write_all(b"[]").unwrap();
        assert!(!path.exists());
        destination.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"[]");

        let mut destination = Destination::whole(&path).unwrap();
        destination.write_all(b"[half").unwrap();
        let partial = destination.leave().unwrap().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"[]", "what was there is untouched");
        assert_eq!(fs::read(partial).unwrap(), b"[half");
    }

    #[test]
    fn two_runs_do_not_write_to_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.ndjson");
        let first = Destination::growing(&path).unwrap();
        let refused = Destination::growing(&path).err().unwrap();
        assert!(refused.to_string().contains("is being written by another run"));
        drop(first);
        assert!(Destination::growing(&path).is_ok());
    }

    #[test]
    fn a_growing_file_goes_on_behind_what_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.ndjson");
        fs::write(&path, b"one\nhal").unwrap();
        let held = Progress {
            n_records: 1,
            n_failed: 0,
            end: 4,
        };
        let mut destination = Destination::growing(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\nhal", "opening changes nothing");
        destination.keep(held).unwrap();
        destination.write_all(b"two\n").unwrap();
        destination.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    }
}
