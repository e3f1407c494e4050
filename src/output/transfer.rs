//! Copies, moves or links a file into a folder, and never overwrites another one.
//!
//! Each system call fails if the name is taken (`copy_new`, `hard_link`, `symlink`), so that another process can't take
//! the name between a check and its use. A file of the same name and the same bytes is the same photo; otherwise a number is
//! added to the name.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::companions::Companion;
use crate::error::{Error, Result};
use crate::files::copy_new;
use crate::named::named;

/// How a file is put into its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// By a copy.
    Copy,
    /// By moving it.
    Move,
    /// By a symbolic link to it.
    Link,
}

named!(Manner, "way to place a file": Copy = "copy", Move = "move", Link = "link");

/// The result of putting a file into a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// The file is new in the folder.
    New,
    /// The same photo was in the folder already.
    WasThere,
}

/// Where a file was, and where it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is.
    pub to: PathBuf,
    /// Whether it is new there.
    pub placed: Placed,
}

/// Puts a photo into `folder` as `name`, or under the first free numbered name, and its companions under names that go with
/// it; returns each file's new path, the photo's first.
///
/// # Errors
/// [`Error::Write`].
pub fn place(
    from: &Path,
    folder: &Path,
    name: &Path,
    companions: &[Companion],
    manner: Manner,
) -> Result<Vec<Transfer>> {
    fs::create_dir_all(folder).map_err(Error::write(folder))?;
    place_all(&mut OnDisk(manner), from, &folder.join(name), companions)
}

/// Where files are put.
trait Placing {
    /// Whether a name is taken.
    fn has(&self, to: &Path) -> bool;
    /// Puts a file at a name, unless the same file is there; `None` if another one is.
    fn put_or_find(&mut self, from: &Path, to: &Path) -> Result<Option<Placed>>;
}

fn place_all(placing: &mut impl Placing, from: &Path, name: &Path, companions: &[Companion]) -> Result<Vec<Transfer>> {
    for number in 1.. {
        let to = numbered(name, number);
        let is_taken = |companion: &Companion| placing.has(&companion.next_to(&to));
        if !placing.has(&to) && companions.iter().any(is_taken) {
            // The name is free, but a companion's is not: it belongs to a photo of this name.
            continue;
        }
        let Some(placed) = placing.put_or_find(from, &to)? else {
            continue;
        };
        let mut transfers = vec![transfer(from, to.clone(), placed)];
        for companion in companions {
            transfers.push(place_companion(placing, companion, &to)?);
        }
        return Ok(transfers);
    }
    Err(no_name_is_free())
}

/// Puts a companion next to its photo, or under a numbered name if another file has its own.
fn place_companion(placing: &mut impl Placing, companion: &Companion, photo: &Path) -> Result<Transfer> {
    let name = companion.next_to(photo);
    for number in 1.. {
        let to = numbered(&name, number);
        if let Some(placed) = placing.put_or_find(&companion.path, &to)? {
            return Ok(transfer(&companion.path, to, placed));
        }
    }
    Err(no_name_is_free())
}

fn transfer(from: &Path, to: PathBuf, placed: Placed) -> Transfer {
    Transfer {
        from: from.to_owned(),
        to,
        placed,
    }
}

/// Files are really placed.
struct OnDisk(Manner);

impl Placing for OnDisk {
    fn has(&self, to: &Path) -> bool {
        to.symlink_metadata().is_ok()
    }

    fn put_or_find(&mut self, from: &Path, to: &Path) -> Result<Option<Placed>> {
        match put(from, to, self.0) {
            Ok(()) => Ok(Some(Placed::New)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if !is_same(from, to).map_err(Error::write(to))? {
                    return Ok(None);
                }
                // If both are the same file, it must not be removed.
                if self.0 == Manner::Move && fs::canonicalize(from).ok() != fs::canonicalize(to).ok() {
                    fs::remove_file(from).map_err(Error::write(from))?;
                }
                Ok(Some(Placed::WasThere))
            }
            Err(error) => Err(Error::write(to)(error)),
        }
    }
}

/// Undoes a transfer: puts the file back where it was, and takes it away from where it is. Nothing is overwritten.
///
/// # Errors
/// [`Error::Usage`] if a file has changed, or another one has its old name; [`Error::Write`].
pub fn undo(transfer: &Transfer, manner: Manner) -> Result<()> {
    let Transfer { from, to, placed } = transfer;
    let refused = |problem: String| Err(Error::usage(problem, "it is left as it is"));
    if to.symlink_metadata().is_err() {
        return refused(format!("`{}` no longer exists", to.display()));
    }
    match (manner, placed) {
        (Manner::Move, _) if from.symlink_metadata().is_ok() => refused(format!("`{}` is there again", from.display())),
        (Manner::Move, Placed::New) => {
            let folder = from.parent().unwrap_or(Path::new(""));
            fs::create_dir_all(folder).map_err(Error::write(folder))?;
            put(to, from, Manner::Move).map_err(Error::write(from))
        }
        (Manner::Move, Placed::WasThere) => put(to, from, Manner::Copy).map_err(Error::write(from)),
        (Manner::Copy | Manner::Link, Placed::WasThere) => Ok(()),
        (Manner::Copy | Manner::Link, Placed::New) => {
            if !is_same(from, to).map_err(Error::read(to))? {
                return refused(format!("`{}` no longer equals `{}`", to.display(), from.display()));
            }
            fs::remove_file(to).map_err(Error::write(to))
        }
    }
}

/// A dry run: where photos would go, given the earlier ones.
#[derive(Default)]
pub struct Rehearsal {
    /// From target to source.
    placed: HashMap<PathBuf, PathBuf>,
}

impl Rehearsal {
    /// As [`place`], without doing anything.
    ///
    /// # Errors
    /// [`Error::Write`] if a file can't be read.
    pub fn place(
        &mut self,
        from: &Path,
        folder: &Path,
        name: &Path,
        companions: &[Companion],
    ) -> Result<Vec<Transfer>> {
        place_all(self, from, &folder.join(name), companions)
    }

    /// What has a name already.
    fn there(&self, to: &Path) -> Option<PathBuf> {
        let is_there = || to.symlink_metadata().is_ok().then(|| to.to_owned());
        self.placed.get(to).cloned().or_else(is_there)
    }
}

impl Placing for Rehearsal {
    fn has(&self, to: &Path) -> bool {
        self.there(to).is_some()
    }

    fn put_or_find(&mut self, from: &Path, to: &Path) -> Result<Option<Placed>> {
        let Some(there) = self.there(to) else {
            self.placed.insert(to.to_owned(), from.to_owned());
            return Ok(Some(Placed::New));
        };
        let is_same = is_same(from, &there).map_err(Error::write(to))?;
        Ok(is_same.then_some(Placed::WasThere))
    }
}

fn no_name_is_free() -> Error {
    Error::usage("no name is free", "choose another folder")
}

fn put(from: &Path, to: &Path, manner: Manner) -> io::Result<()> {
    match manner {
        Manner::Copy => copy_new(from, to),
        Manner::Link => link(&fs::canonicalize(from)?, to),
        Manner::Move => {
            // Adds a second name for the file, then removes the first one; on another disk, copies it. A link is made
            // anew, since a relative one would lead elsewhere from another folder.
            let is_link = from.symlink_metadata()?.is_symlink();
            let linked = match is_link {
                true => link(&fs::canonicalize(from)?, to),
                false => fs::hard_link(from, to),
            };
            match linked {
                Err(error) if is_link || error.kind() == ErrorKind::AlreadyExists => return Err(error),
                Err(_) => copy_new(from, to)?,
                Ok(()) => {}
            }
            fs::remove_file(from)
        }
    }
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(windows)]
fn link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(from, to)
}

/// `photo.jpg`, `photo-2.jpg`, `photo-3.jpg` ...
fn numbered(name: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return name.to_owned();
    }
    let mut text = OsString::from(name.file_stem().unwrap_or_default());
    text.push(format!("-{number}"));
    if let Some(ending) = name.extension() {
        text.push(".");
        text.push(ending);
    }
    name.with_file_name(text)
}

fn is_same(a: &Path, b: &Path) -> io::Result<bool> {
    // A dangling link is not the same as anything.
    let (Ok(a), Ok(b)) = (File::open(a), File::open(b)) else {
        return Ok(false);
    };
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (BufReader::new(a).bytes(), BufReader::new(b).bytes());
    loop {
        match (a.next().transpose()?, b.next().transpose()?) {
            (None, None) => return Ok(true),
            (x, y) if x != y => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    struct Desk(tempfile::TempDir);

    impl Desk {
        fn new() -> Self {
            Desk(tempfile::tempdir().unwrap())
        }

        fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            path
        }

        fn place(&self, from: &Path, manner: Manner) -> (String, Placed) {
            let folder = self.0.path().join("into");
            let name = Path::new(from.file_name().unwrap());
            let placed = place(from, &folder, name, &[], manner).unwrap().swap_remove(0);
            (
                placed.to.file_name().unwrap().to_string_lossy().into_owned(),
                placed.placed,
            )
        }
    }

    /// The ways that there are here: Windows makes links for administrators only, and Wine none.
    fn manners() -> impl Iterator<Item = Manner> {
        let desk = Desk::new();
        let (photo, to) = (desk.file("photo", b""), desk.0.path().join("link"));
        let has_links = link(&photo, &to).is_ok() && to.exists();
        let all = Manner::ALL.iter().copied();
        all.filter(move |manner| has_links || *manner != Manner::Link)
    }

    #[test]
    fn a_taken_name_gets_a_number_and_nothing_is_overwritten() {
        for manner in manners() {
            let desk = Desk::new();
            let taken = desk.file("into/a.jpg", b"first");
            let from = desk.file("a.jpg", b"other");
            assert_eq!(desk.place(&from, manner), ("a-2.jpg".into(), Placed::New));
            assert_eq!(fs::read(taken).unwrap(), b"first");
            assert_eq!(fs::read(desk.0.path().join("into/a-2.jpg")).unwrap(), b"other");
            assert_eq!(from.exists(), manner != Manner::Move);
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_moved_link_still_leads_to_its_photo() {
        let desk = Desk::new();
        let photo = desk.file("photos/a.jpg", b"photo");
        let from = desk.0.path().join("link.jpg");
        link(Path::new("photos/a.jpg"), &from).unwrap();
        assert_eq!(desk.place(&from, Manner::Move), ("link.jpg".into(), Placed::New));
        let to = desk.0.path().join("into/link.jpg");
        assert!(to.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read(to).unwrap(), b"photo");
        assert!(photo.exists() && from.symlink_metadata().is_err());
    }

    #[test]
    fn a_rehearsal_says_what_then_happens() {
        let desk = Desk::new();
        let folder = desk.file("into/a.jpg", b"first").parent().unwrap().to_owned();
        let photos = [
            ("1/a.jpg", "other"),
            ("2/a.jpg", "other"),
            ("3/a.jpg", "third"),
            ("4/a.jpg", "first"),
            ("5/b.jpg", "b"),
        ]
        .map(|(name, bytes)| desk.file(name, bytes.as_bytes()));
        let mut rehearsal = Rehearsal::default();
        let rehearsed = photos.clone().map(|from| {
            rehearsal
                .place(&from, &folder, Path::new(from.file_name().unwrap()), &[])
                .unwrap()
        });
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing happens");
        let happened =
            photos.map(|from| place(&from, &folder, Path::new(from.file_name().unwrap()), &[], Manner::Copy).unwrap());
        assert_eq!(rehearsed, happened);
        assert_eq!(
            (&happened[1][0].to, happened[1][0].placed),
            (&folder.join("a-2.jpg"), Placed::WasThere)
        );
    }

    #[test]
    fn companions_go_with_their_photo_and_undoing_brings_all_back() {
        for manner in manners() {
            let desk = Desk::new();
            let folder = desk
                .file("into/a.CR3", b"of another photo")
                .parent()
                .unwrap()
                .to_owned();
            let from = desk.file("a.jpg", b"photo");
            let belong = ["a.xmp", "a.CR3", "a.jpg.xmp"].map(|name| desk.file(name, name.as_bytes()));
            let companions = Companion::of(&from);
            let rehearsed = Rehearsal::default().place(&from, &folder, Path::new("a.jpg"), &companions);
            let placed = place(&from, &folder, Path::new("a.jpg"), &companions, manner).unwrap();
            assert_eq!(rehearsed.unwrap(), placed);
            let names: Vec<_> = placed
                .iter()
                .map(|one| one.to.file_name().unwrap().to_str().unwrap())
                .collect();
            assert_eq!(names, ["a-2.jpg", "a-2.xmp", "a-2.CR3", "a-2.jpg.xmp"]);
            assert_eq!(belong.iter().any(|path| path.exists()), manner != Manner::Move);
            placed.iter().rev().for_each(|transfer| undo(transfer, manner).unwrap());
            for path in &belong {
                let name = path.file_name().unwrap().as_encoded_bytes();
                assert_eq!(fs::read(path).unwrap(), name);
            }
            assert_eq!(fs::read(&from).unwrap(), b"photo");
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        }
    }

    #[test]
    fn the_same_photo_is_not_placed_twice() {
        let desk = Desk::new();
        let from = desk.file("a.jpg", b"same");
        for placed in [Placed::New, Placed::WasThere] {
            assert_eq!(desk.place(&from, Manner::Copy), ("a.jpg".into(), placed));
        }
        assert_eq!(desk.place(&from, Manner::Move), ("a.jpg".into(), Placed::WasThere));
        assert!(!from.exists());
    }
}
