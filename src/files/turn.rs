//! Lets runs that write one file of the cache wait for each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::{Error, Result};

/// The turn of a run to write a file. The next run has it when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _locked: File,
}

impl Turn {
    /// Waits for the turn to write `path`, after a call of `wait` if another run has it. The lock is an empty file next to
    /// it, `NAME.turn`, which stays.
    ///
    /// # Errors
    /// [`Error::Write`] if the folder can't be written to.
    pub fn of(path: &Path, wait: impl FnOnce()) -> Result<Turn> {
        let mut name = path.as_os_str().to_owned();
        name.push(".turn");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(&name);
        let file = file.map_err(Error::write(path))?;
        // On a file system without locks, assume that this is the only run.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            wait();
            let _ = file.lock();
        }
        Ok(Turn { _locked: file })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_second_run_waits_until_the_first_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let first = Turn::of(&path, || panic!("nobody has it")).unwrap();
        let (waits, is_waiting) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let turn = Turn::of(&path, || waits.send(()).unwrap()).unwrap();
                done.send(()).unwrap();
                drop(turn);
            });
            is_waiting.recv().unwrap();
            assert!(is_done.try_recv().is_err());
            drop(first);
            is_done.recv().unwrap();
        });
    }
}
