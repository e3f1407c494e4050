//! Whether two names are one file: hard links, symbolic links and `./` make many names of one.

use std::fs;
use std::path::{Path, PathBuf};

/// What makes two names the same file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileId(Id);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Id {
    #[cfg(unix)]
    Node { device: u64, inode: u64 },
    /// Of a file that does not exist yet, or on a system without inodes.
    Path(PathBuf),
}

impl FileId {
    /// The file of this name, with links followed; if there is none, the place where it would be. `None` if its folder
    /// does not exist either.
    pub fn of(path: &Path) -> Option<FileId> {
        match fs::metadata(path) {
            Ok(metadata) => FileId::of_existing(path, &metadata),
            Err(_) => {
                let folder = folder_of(path).canonicalize().ok()?;
                Some(FileId(Id::Path(folder.join(path.file_name()?))))
            }
        }
    }

    #[cfg(unix)]
    pub(super) fn of_existing(_path: &Path, metadata: &fs::Metadata) -> Option<FileId> {
        use std::os::unix::fs::MetadataExt;
        Some(FileId(Id::Node {
            device: metadata.dev(),
            inode: metadata.ino(),
        }))
    }

    #[cfg(not(unix))]
    pub(super) fn of_existing(path: &Path, _metadata: &fs::Metadata) -> Option<FileId> {
        path.canonicalize().ok().map(|path| FileId(Id::Path(path)))
    }
}

/// The folder that a name is in: `.` for a bare name.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    }
}

/// The file that a symbolic link leads to, which need not be there; any other name unchanged.
pub(super) fn followed(path: &Path) -> PathBuf {
    /// As many links as Linux follows.
    const LINKS_MAX: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            Err(_) => break,
        }
    }
    path
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_a_file_are_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "").unwrap();
        fs::write(path("b"), "").unwrap();
        fs::create_dir(path("sub")).unwrap();
        fs::hard_link(path("a"), path("hard")).unwrap();
        std::os::unix::fs::symlink("a", path("soft")).unwrap();
        std::os::unix::fs::symlink("sub/none", path("dangling")).unwrap();
        let id = |name: &str| FileId::of(&path(name));
        for other in ["hard", "soft", "sub/../a", "./a"] {
            assert_eq!(id(other), id("a"), "{other}");
        }
        assert_ne!(id("b"), id("a"));
        assert_eq!(id("sub/../none"), id("none"));
        assert_eq!(id("nowhere/none"), None);
        assert_eq!(FileId::of(&followed(&path("dangling"))), id("sub/none"));
    }
}
