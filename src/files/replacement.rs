//! Writes a file under a temporary name in the same folder, and renames it in one step when it is complete, so that nobody
//! ever sees half of it.
//!
//! Until then it is called `.NAME.RANDOM.partial`, which no other run can guess or share. A run that is killed leaves
//! that file; the next run that writes `NAME` removes it once nobody has written to it for [`LEFTOVER_AGE`].

use std::ffi::OsString;
use std::fs::{self, File, FileTimes, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{Builder, NamedTempFile};

use super::identity::{folder_of, followed};
use crate::error::{Error, Result};

const PARTIAL: &str = ".partial";
/// A temporary file that nobody has written to for this long is of a run that was killed.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);
/// Bytes of a name that a temporary one keeps: file systems take 255.
const NAME_BYTES_MAX: usize = 200;

/// A file that is being written and has no name yet. It is removed if it is dropped.
pub(super) struct Replacement {
    file: NamedTempFile,
    path: PathBuf,
    /// The permissions of the file that is replaced.
    permissions: Option<Permissions>,
}

impl Replacement {
    /// Begins a file that is to become `path`, which is not a link.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let permissions = fs::metadata(path).ok().map(|metadata| metadata.permissions());
        let prefix = prefix(path);
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(PARTIAL).rand_bytes(12);
        #[cfg(unix)]
        builder.permissions(permissions.clone().unwrap_or_else(ordinary));
        Ok(Replacement {
            file: builder.tempfile_in(folder_of(path))?,
            path: path.to_owned(),
            permissions,
        })
    }

    pub(super) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// What it is called until it is whole.
    pub(super) fn temporary_path(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its name, once it is on the disk: a name must not be there before the bytes are.
    pub(super) fn finish(self) -> io::Result<()> {
        let file = self.file.as_file();
        if let Some(permissions) = self.permissions {
            file.set_permissions(permissions)?;
        }
        file.sync_all()?;
        self.file.persist(&self.path).map_err(|failed| failed.error)?;
        // So that the new name is on the disk too; some systems can't sync a folder.
        let _ = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        Ok(())
    }

    /// Leaves what there is as `NAME.partial`, or as the first numbered name that is free; says which.
    pub(super) fn leave(self) -> io::Result<PathBuf> {
        let mut file = self.file;
        for number in 1.. {
            let mut name = self.path.clone().into_os_string();
            if number > 1 {
                name.push(format!(".{number}"));
            }
            name.push(PARTIAL);
            match file.persist_noclobber(&name) {
                Ok(_) => return Ok(name.into()),
                Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => file = failed.file,
                // If the file system can't rename it in one step, the file keeps its temporary name.
                Err(failed) => return Ok(failed.file.keep().map_err(|failed| failed.error)?.1),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }
}

/// The permissions of a new file, from which the system removes those in the user's umask.
#[cfg(unix)]
fn ordinary() -> Permissions {
    use std::os::unix::fs::PermissionsExt;
    Permissions::from_mode(0o666)
}

/// Calls `write` with a temporary name in the same folder, then renames that file to `path`; nothing is left if that fails.
/// A link is followed, and what is not a regular file is written to directly.
///
/// # Errors
/// Those of `write`; [`Error::Write`].
pub fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let failed = Error::write(path);
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return write(path);
    }
    let replacement = Replacement::begin(&followed(path)).map_err(failed)?;
    write(replacement.temporary_path())?;
    replacement.finish().map_err(failed)
}

/// Gives a file other bytes in one step, and keeps its owner, permissions, times and extended attributes. A link is
/// followed. `was` is what the file was when its bytes were read.
///
/// # Errors
/// [`Error::Write`], also if the file is not as it was any more, or if its owner or a user's attribute can't be kept.
pub fn replace_contents(path: &Path, was: &Metadata, bytes: &[u8]) -> Result<()> {
    let written = || -> io::Result<()> {
        let mut replacement = Replacement::begin(&followed(path))?;
        let file = replacement.file();
        file.write_all(bytes)?;
        keep_owner(file, was)?;
        keep_attributes(file, path)?;
        let times = FileTimes::new().set_modified(was.modified()?);
        file.set_times(was.accessed().map_or(times, |accessed| times.set_accessed(accessed)))?;
        let now = fs::metadata(path)?;
        if now.len() != was.len() || now.modified()? != was.modified()? {
            return Err(io::Error::other("another program has changed it meanwhile"));
        }
        replacement.finish()
    };
    written().map_err(Error::write(path))
}

/// A file that root writes, or that is in a folder of a group, would be another's.
#[cfg(unix)]
fn keep_owner(file: &File, was: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let now = file.metadata()?;
    match (now.uid(), now.gid()) == (was.uid(), was.gid()) {
        true => Ok(()),
        false => fchown(file, Some(was.uid()), Some(was.gid())),
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Copies what users and programs noted about a file, such as KDE's tags and the Finder's.
#[cfg(unix)]
fn keep_attributes(file: &File, from: &Path) -> io::Result<()> {
    use xattr::FileExt;
    let from = File::open(from)?;
    // A file system without attributes has none to keep.
    for name in from.list_xattr().into_iter().flatten() {
        let copied = from
            .get_xattr(&name)
            .and_then(|value| file.set_xattr(&name, &value.unwrap_or_default()));
        // The system's own, such as labels of SELinux, are given by the system.
        if name.as_encoded_bytes().starts_with(b"user.") {
            copied?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_attributes(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Replaces `path` in one step by a symbolic link, or by whatever `make` creates under the name that it gets.
///
/// # Errors
/// Those of `make`, and of the disk.
#[cfg(feature = "hub")]
pub(crate) fn link_new(path: &Path, make: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let prefix = prefix(path);
    let made = Builder::new()
        .prefix(&prefix)
        .suffix(PARTIAL)
        .make_in(folder_of(path), make)?;
    made.into_temp_path().persist(path).map_err(|failed| failed.error)
}

/// Writes a file under a hidden name, then renames it to `path` if that name is still free.
///
/// # Errors
/// Those of `write`; [`ErrorKind::AlreadyExists`] if the name is taken.
pub fn name_new(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let prefix = prefix(path);
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(PARTIAL);
    #[cfg(unix)]
    builder.permissions(ordinary());
    let mut file = builder.tempfile_in(folder_of(path))?;
    write(file.as_file_mut())?;
    give_new_name(file, path)
}

/// Copies a file's bytes, permissions and time of change to a name that is free. Until it is whole, the copy is hidden
/// and private.
///
/// # Errors
/// Those of the disk; [`ErrorKind::AlreadyExists`] if the name is taken.
pub fn copy_new(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let prefix = prefix(to);
    let mut copy = Builder::new()
        .prefix(&prefix)
        .suffix(PARTIAL)
        .tempfile_in(folder_of(to))?;
    io::copy(&mut source, &mut copy)?;
    let metadata = source.metadata()?;
    let file = copy.as_file();
    file.set_times(fs::FileTimes::new().set_modified(metadata.modified()?))?;
    file.set_permissions(metadata.permissions())?;
    give_new_name(copy, to)
}

fn give_new_name(file: NamedTempFile, path: &Path) -> io::Result<()> {
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => Err(failed.error),
        // A file system that can't do it in one step.
        Err(_) if path.symlink_metadata().is_ok() => Err(ErrorKind::AlreadyExists.into()),
        Err(failed) => failed.file.persist(path).map(drop).map_err(|failed| failed.error),
    }
}

/// Removes the temporary files of `path` that killed runs left.
pub fn remove_leftovers(path: &Path) {
    let path = followed(path);
    let prefix = prefix(&path);
    let entries = fs::read_dir(folder_of(&path)).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_ours = name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(PARTIAL.as_bytes());
        if is_ours && is_leftover(&entry.path()) {
            // Another run may have removed it.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether a temporary file has not been written to for [`LEFTOVER_AGE`].
fn is_leftover(path: &Path) -> bool {
    let changed = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > LEFTOVER_AGE))
}

/// What the temporary names of a file begin with: `.NAME.`.
fn prefix(path: &Path) -> OsString {
    let name = path.file_name().unwrap_or_default();
    let mut prefix = OsString::from(".");
    match name.len() > NAME_BYTES_MAX {
        true => prefix.push(
            name.to_string_lossy()
                .chars()
                .take(NAME_BYTES_MAX / 4)
                .collect::<String>(),
        ),
        false => prefix.push(name),
    }
    prefix.push(".");
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "old").unwrap();
        let broken = replace(&path, |new| {
            fs::write(new, "half").unwrap();
            Err(Error::usage("broken", ""))
        });
        assert!(broken.is_err());
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), names(dir.path())),
            ("old".into(), vec!["a".into()])
        );
        replace(&path, |new| fs::write(new, "new").map_err(Error::write(new))).unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), names(dir.path())),
            ("new".into(), vec!["a".into()])
        );
        let nowhere = replace(&dir.path().join("none/a"), |_| Ok(())).unwrap_err();
        assert!(matches!(nowhere, Error::Write { .. }));
    }

    #[test]
    #[cfg(unix)]
    fn a_link_and_a_mode_stay_what_they_are() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("a"), dir.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        replace(&link, |new| fs::write(new, "new").map_err(Error::write(new))).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_new_name_is_never_one_that_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        name_new(&path, |file| io::Write::write_all(file, b"one")).unwrap();
        let taken = name_new(&path, |file| io::Write::write_all(file, b"two")).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), names(dir.path())),
            ("one".into(), vec!["a".into()])
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_new_file_is_for_all_and_a_copy_for_those_of_the_original() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
        fs::write(path("plain"), "").unwrap();
        name_new(&path("new"), |_| Ok(())).unwrap();
        replace(&path("replaced"), |new| fs::write(new, "").map_err(Error::write(new))).unwrap();
        assert_eq!((mode("new"), mode("replaced")), (mode("plain"), mode("plain")));
        fs::set_permissions(path("plain"), Permissions::from_mode(0o600)).unwrap();
        copy_new(&path("plain"), &path("copy")).unwrap();
        assert_eq!(mode("copy"), 0o600);
        assert_eq!(
            copy_new(&path("plain"), &path("new")).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn what_killed_runs_left_is_removed_once_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        let left = [
            "a.partial",
            ".out.json.old.partial",
            ".out.json.new.partial",
            "out.json.partial",
        ];
        for name in left {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let old = File::options().write(true).open(dir.path().join(left[1])).unwrap();
        old.set_modified(SystemTime::now() - 2 * LEFTOVER_AGE).unwrap();
        drop(old);
        remove_leftovers(&path);
        assert_eq!(
            names(dir.path()),
            [".out.json.new.partial", "a.partial", "out.json.partial"]
        );
    }

    #[test]
    fn what_is_left_never_takes_a_name_that_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        for expected in ["out.json.partial", "out.json.2.partial"] {
            let left = Replacement::begin(&path).unwrap().leave().unwrap();
            assert_eq!(left, dir.path().join(expected));
        }
    }
}
