//! Writes files that appear complete or not at all; the errors say what to do about a full disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Makes `path` by renaming a complete file, so that nobody sees a partially written one.
pub(super) fn replace(path: &Path, make: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    // Threads and processes that make the same file at the same time need different temporary names.
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
        // The rest of a failed attempt is useless; the error stays the same if it can't be removed.
        let _ = fs::remove_file(&fresh);
        write_error(path)(source)
    })
}

/// Makes the folder of `path`.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(write_error(parent)),
        None => Ok(()),
    }
}

/// For `map_err`, with advice about a full disk, which downloads are likely to meet.
pub(super) fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| {
        let source = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => std::io::Error::new(
                source.kind(),
                format!("{source}; free some space, or name another folder with HF_HOME; what has arrived is kept"),
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
