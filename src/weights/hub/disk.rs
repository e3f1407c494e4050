//! Folders of the cache, and errors that say what to do about a full disk.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

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
