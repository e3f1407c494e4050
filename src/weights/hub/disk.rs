//! Files that appear whole or not at all, and errors that say what to do about a full disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Makes `path` by making a neighbour and renaming it, so that nobody sees half of it.
pub(super) fn replace(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    // Two threads or two processes that make the same file must not share its neighbour.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(
        ".{}-{}.new",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    let fresh = PathBuf::from(fresh);
    let made = make(&fresh).and_then(|()| fs::rename(&fresh, path));
    made.map_err(|source| {
        // What is left of a failed attempt is of no use; that it can't be removed adds nothing to the error.
        let _ = fs::remove_file(&fresh);
        write_error(path)(source)
    })
}

/// Makes the folder that `path` stands in.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(write_error(parent)),
        None => Ok(()),
    }
}

/// A full disk gets advice; a download is the likeliest thing to meet one.
pub(super) fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| {
        let source = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => std::io::Error::new(
                source.kind(),
                format!(
                    "{source}; make room, or name another folder with HF_HOME; what has arrived is kept and will be continued"
                ),
            ),
            _ => source,
        };
        Error::write(&path)(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let error = write_error(Path::new("x"))(std::io::ErrorKind::StorageFull.into());
        assert!(error.to_string().contains("HF_HOME"), "{error}");
    }
}
