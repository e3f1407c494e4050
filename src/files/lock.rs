//! Keeps two runs from writing the same file. Used if the file is written under a temporary name until it is complete, so
//! that it cannot be locked itself.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::identity::{FileId, folder_of};
use crate::error::{Error, Result};

/// A name that no other run writes to. The lock is an empty hidden file, `.NAME.lock`, which is removed when the run
/// ends; one that a killed run left is taken over.
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    /// Takes the lock of a file; `None` if the file system has no locks.
    ///
    /// # Errors
    /// [`Error::Usage`] if another run has it; [`Error::Write`] if the folder can't be written to.
    pub(super) fn of(path: &Path) -> Result<Option<Lock>> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".lock");
        let lock = folder_of(path).join(name);
        loop {
            let file = open(&lock).map_err(Error::write(path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(is_being_written(path)),
                // On a file system without locks, assume that this is the only run.
                Err(TryLockError::Error(_)) => {
                    let _ = fs::remove_file(&lock);
                    return Ok(None);
                }
            }
            // The run that had the lock may have removed its file between the two calls.
            let is_current = file.metadata().is_ok_and(|metadata| {
                let locked = FileId::of_existing(&lock, &metadata);
                locked.is_some() && locked == FileId::of(&lock)
            });
            if is_current {
                return Ok(Some(Lock { path: lock, file }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is locked, so that no other run's lock is removed.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

pub(crate) fn is_being_written(path: &Path) -> Error {
    Error::usage(
        format!("`{}` is being written by another run", path.display()),
        "wait until it ends, or name another file",
    )
}

fn open(lock: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A link that somebody put there would make an empty file elsewhere.
        options.custom_flags(libc::O_NOFOLLOW).mode(0o600);
    }
    options.open(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time_has_a_name_and_nothing_is_left_of_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        let first = Lock::of(&path).unwrap();
        let refused = Lock::of(&path).err().unwrap().to_string();
        assert!(refused.ends_with("is being written by another run"), "{refused}");
        assert!(Lock::of(&dir.path().join("other.json")).is_ok());
        drop(first);
        drop(Lock::of(&path).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
