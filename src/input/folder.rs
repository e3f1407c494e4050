//! The images in a folder and in all folders below it; names of files and folders are sorted together, in byte order.
//!
//! Hidden names are skipped, and so are folders that hold no photos and raw photos with a JPEG of the same name. A file is
//! an image by its ending or by its first bytes; other files are counted as skipped. Only the names in the folders from the
//! top to the current one are in memory.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirEntry, File, FileType};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{InputOptions, Item, Items, RawPhotos};
use crate::error::Error;
use crate::preprocess::{self, RAW_ENDINGS};

/// Endings of images. They include formats that can't be read, so that a folder's AVIF images are not skipped silently
/// but are errors with advice.
const ENDINGS: [&str; 26] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "ico", "pbm", "pgm", "ppm", "pam", "pnm",
    "qoi", "tga", "hdr", "heic", "heif", "hif", "avif", "jxl", "jp2", "apng",
];

/// Endings of what cameras and phones write next to a raw photo.
const COMPANIONS: [&str; 6] = ["jpg", "jpeg", "jpe", "heic", "heif", "hif"];

/// Whether a name has an image's ending.
pub fn is_named_like_a_picture(path: &Path) -> bool {
    has_one_of(&ENDINGS, path) || has_one_of(&RAW_ENDINGS, path)
}

/// Whether names of images have this ending.
pub(crate) fn is_image_ending(ending: &str) -> bool {
    is_one_of(&ENDINGS, ending) || is_one_of(&RAW_ENDINGS, ending)
}

fn is_one_of(endings: &[&str], ending: &str) -> bool {
    endings.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

fn has_one_of(endings: &[&str], name: &Path) -> bool {
    let ending = name.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| is_one_of(endings, ending))
}

pub(super) fn items(path: PathBuf, options: &InputOptions) -> Items {
    let mut walk = Walk {
        levels: Vec::new(),
        entered: HashSet::new(),
        options: options.clone(),
    };
    let unreadable = walk.enter(path);
    Box::new(unreadable.into_iter().chain(walk))
}

struct Walk {
    /// The folders from the named one to the current one.
    levels: Vec<Level>,
    /// All folders that were entered, by their path without links; only if links are followed.
    entered: HashSet<PathBuf>,
    options: InputOptions,
}

struct Level {
    path: PathBuf,
    /// Names without endings of the photos that a raw photo can belong to.
    companions: HashSet<OsString>,
    entries: std::vec::IntoIter<Entry>,
}

struct Entry {
    name: OsString,
    kind: FileType,
}

/// How an entry is treated.
enum Verdict {
    Picture,
    Folder,
    Skipped,
}

impl Iterator for Walk {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            let level = self.levels.last_mut()?;
            let Some(entry) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let path = level.path.join(&entry.name);
            match self.judge(&path, entry.kind) {
                Verdict::Picture => return Some(Item::file(path)),
                Verdict::Folder => {
                    if let Some(unreadable) = self.enter(path) {
                        return Some(unreadable);
                    }
                }
                Verdict::Skipped => {}
            }
        }
    }
}

impl Walk {
    /// Enters a folder; returns an item with the error if it can't be read.
    fn enter(&mut self, path: PathBuf) -> Option<Item> {
        if self
            .options
            .max_depth
            .is_some_and(|deepest| self.levels.len() >= deepest)
        {
            return None;
        }
        // Folders that link to each other can be reached in more ways than anyone can walk.
        if self.options.follows_links
            && let Ok(real) = fs::canonicalize(&path)
            && !self.entered.insert(real)
        {
            self.options.skipped.circle(&path);
            return None;
        }
        match sorted_entries(&path) {
            Ok(entries) => {
                let level = Level {
                    path,
                    companions: companions(&entries),
                    entries: entries.into_iter(),
                };
                self.levels.push(level);
                None
            }
            Err(source) => {
                self.options.skipped.unreadable(&path);
                Some(Item::unusable(&path, Error::read(&path)(source)))
            }
        }
    }

    fn is_excluded(&self, path: &Path) -> bool {
        let root = self.levels.first().map(|level| level.path.as_path());
        let below = root.and_then(|root| path.strip_prefix(root).ok());
        self.options.excluded.have(below.unwrap_or(path))
    }

    /// Whether it is a raw photo that is not to be read.
    fn is_surplus(&self, path: &Path) -> bool {
        let has_companion = || {
            let level = self.levels.last();
            level.is_some_and(|level| path.file_stem().is_some_and(|stem| level.companions.contains(stem)))
        };
        match self.options.raw {
            RawPhotos::Both => false,
            RawPhotos::Alone => has_one_of(&RAW_ENDINGS, path) && has_companion(),
            RawPhotos::Skip => has_one_of(&RAW_ENDINGS, path),
        }
    }

    fn judge(&self, path: &Path, kind: FileType) -> Verdict {
        // A link whose target is missing can have an image's name; reading its item is then an error.
        let target = if kind.is_symlink() {
            fs::metadata(path).ok()
        } else {
            None
        };
        let is_dir = target.as_ref().map_or(kind.is_dir(), fs::Metadata::is_dir);
        if is_dir && kind.is_symlink() && !self.options.follows_links {
            self.options.skipped.link(path);
            return Verdict::Skipped;
        }
        if is_dir && self.is_excluded(path) {
            self.options.skipped.excluded(path);
            return Verdict::Skipped;
        }
        if is_dir {
            return Verdict::Folder;
        }
        if self.is_surplus(path) {
            self.options.skipped.raw(path);
            return Verdict::Skipped;
        }
        let is_file = target.as_ref().map_or(kind.is_file(), fs::Metadata::is_file);
        let is_picture = is_named_like_a_picture(path) || (is_file && begins_like_a_picture(path).unwrap_or(false));
        if is_picture && (is_file || kind.is_symlink()) {
            return Verdict::Picture;
        }
        self.options.skipped.not_picture(path);
        Verdict::Skipped
    }
}

fn companions(entries: &[Entry]) -> HashSet<OsString> {
    let names = entries.iter().map(|entry| Path::new(&entry.name));
    let photos = names.filter(|name| has_one_of(&COMPANIONS, name));
    photos.filter_map(|name| name.file_stem().map(OsString::from)).collect()
}

fn sorted_entries(path: &Path) -> io::Result<Vec<Entry>> {
    let entry = |entry: io::Result<DirEntry>| {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name();
        Ok(Entry { name, kind })
    };
    let mut entries: Vec<Entry> = fs::read_dir(path)?.map(entry).collect::<io::Result<_>>()?;
    entries.retain(|entry| !entry.name.as_encoded_bytes().starts_with(b"."));
    entries.sort_unstable_by(|a, b| a.name.as_encoded_bytes().cmp(b.name.as_encoded_bytes()));
    Ok(entries)
}

fn begins_like_a_picture(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut start)?;
    Ok(preprocess::begins_like_a_picture(&start))
}
