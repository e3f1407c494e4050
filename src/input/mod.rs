//! Turns the names that a user gives into a stream of images; one file per kind of source.
//!
//! `cli` makes [`Inputs`] from flags, and `pipeline` takes [`Item`]s from them one at a time, in the given order. A source
//! holds at most the names of a folder in memory, never its images. Something that can't be read is also an item, whose
//! bytes are an error, so nothing is dropped silently; other files in a folder are counted in [`Skipped`]. A new kind of
//! source is a file here and an arm in [`Inputs::items`] or `named.rs`.

pub(crate) mod archive;
#[cfg(feature = "arrow")]
pub mod arrow;
mod base64;
#[cfg(any(feature = "arrow", feature = "parquet"))]
pub(crate) mod cells;
pub(crate) mod content;
mod excluded;
mod folder;
mod item;
pub(crate) mod limit;
mod list;
mod named;
mod ndjson;
mod options;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
mod pattern;
mod shard;
mod skipped;
mod split;
mod standard_input;
pub(crate) mod tar;
#[cfg(test)]
pub(crate) mod testing;
mod url;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub use self::archive::is_named_like_one as is_named_like_an_archive;
pub use self::content::{Content, Deferred, Held};
pub use self::excluded::ExcludedFolders;
pub(crate) use self::folder::is_image_ending;
pub use self::folder::is_named_like_a_picture;
pub use self::item::{Item, Items, Name};
pub use self::list::Separator;
pub use self::options::{InputOptions, RawPhotos};
pub use self::shard::{Shard, Unit};
pub use self::skipped::{Passed, Skipped, SkippedCounts};
pub use self::url::{Address, Proxies, Web, WebSettings};
use crate::error::{Error, Result};
use crate::files::{Looking, Target};

/// The sources that a user names, in order, and how they are read.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The sources, which are read in this order.
    pub sources: Vec<Source>,
    /// How folders are searched and URLs fetched.
    pub options: InputOptions,
}

/// One source that a user names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, folder, pattern, archive or URL; `-` is stdin.
    Named(PathBuf),
    /// A file with one name per entry; `-` is stdin.
    List(PathBuf, Separator),
    /// A file of records, one JSON object per line; `-` is stdin.
    Ndjson(PathBuf),
}

impl Inputs {
    /// All images, in the order of the sources.
    pub fn items(&self) -> Items {
        let options = self.options.clone();
        let sources = self.sources.clone().into_iter();
        Box::new(sources.flat_map(move |source| match source {
            Source::Named(path) => named::expanded(path, &options),
            Source::List(path, separator) => list::items(&path, separator, &options),
            Source::Ndjson(path) => ndjson::items(&path, &options),
        }))
    }

    /// Whether images may bring labels of their own: records can.
    pub fn may_bring_labels(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, Source::Ndjson(_)))
    }

    /// Whether images may bring fields for their results: records, and the members of archives.
    pub fn may_bring_fields(&self) -> bool {
        self.sources.iter().any(|source| match source {
            Source::Named(path) => archive::is_named_like_one(path) || path == Path::new("-"),
            Source::List(..) | Source::Ndjson(_) => true,
        })
    }

    /// The number of images, unless counting them would read something that can be read only once, or an archive.
    pub fn count(&self) -> Option<u64> {
        self.count_up_to(usize::MAX)
    }

    /// As [`Inputs::count`], without looking for more than `most` of them.
    pub fn count_up_to(&self, most: usize) -> Option<u64> {
        let countable = |source: &Source| match source {
            Source::Named(path) => path != Path::new("-") && (path.is_dir() || !archive::is_named_like_one(path)),
            Source::List(path, _) | Source::Ndjson(path) => path != Path::new("-") && path.is_file(),
        };
        let all = self.sources.iter().all(countable);
        all.then(|| self.apart(self.sources.clone()).items().take(most).count() as u64)
    }

    /// Whether a file is one of those that are read: named itself, or one that a folder, a pattern, a list or a record
    /// leads to.
    pub fn have(&self, file: &Target, looking: Looking) -> bool {
        let is_named = |source: &Source| match source {
            Source::Named(path) | Source::List(path, _) | Source::Ndjson(path) => file.is(path),
        };
        let mut leads_on = self.sources.clone();
        leads_on.retain(|source| match source {
            Source::Named(path) => path != Path::new("-") && !archive::is_named_like_one(path),
            Source::List(path, _) | Source::Ndjson(path) => path != Path::new("-"),
        });
        let is_found = || {
            let mut items = self.apart(leads_on).items();
            items.any(|item| matches!(&item.content, Content::File(path) if file.is(path)))
        };
        self.sources.iter().any(is_named) || (looking == Looking::Everywhere && is_found())
    }

    /// The only image of a name.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none, or more than one.
    pub fn only_item(name: &Path) -> Result<Item> {
        let inputs = Inputs {
            sources: vec![Source::Named(name.to_owned())],
            options: InputOptions::default(),
        };
        let mut items = inputs.items();
        match (items.next(), items.next()) {
            (Some(item), None) => Ok(item),
            (None, _) => Err(Error::usage(
                format!("there is no image in `{}`", name.display()),
                "name one image",
            )),
            (Some(_), Some(_)) => Err(Error::usage(
                format!("there is more than one image in `{}`", name.display()),
                "name one, or each of them by itself",
            )),
        }
    }

    /// Whether a named folder is, or holds, this one, which may not exist yet.
    pub fn are_around(&self, inner: &Path) -> bool {
        // A folder that is to be made is where its nearest parent is.
        let nearest = inner.ancestors().find_map(|path| match path.as_os_str().is_empty() {
            true => Path::new(".").canonicalize().ok(),
            false => path.canonicalize().ok(),
        });
        let is_around = |outer: PathBuf| nearest.as_ref().is_some_and(|inner| inner.starts_with(outer));
        self.sources.iter().any(|source| match source {
            Source::Named(path) if path.is_dir() => path.canonicalize().is_ok_and(is_around),
            Source::Named(_) | Source::List(..) | Source::Ndjson(_) => false,
        })
    }

    /// Refuses folders, lists, archives and patterns that can't be read: what they would have led to is unknown. A single
    /// image that can't be read is a failed item.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Picture`] for a pattern that no file matches.
    pub fn refuse_unreadable(&self) -> Result<()> {
        let opened = |path: &Path| match path == Path::new("-") {
            true => Ok(()),
            // A pipe can be opened once.
            false if fs::metadata(path)?.is_file() => File::open(path).map(drop),
            false => Ok(()),
        };
        for source in &self.sources {
            let (path, opened) = match source {
                Source::List(path, _) | Source::Ndjson(path) => (path, opened(path)),
                Source::Named(path) if path.to_str().is_some_and(url::is_url) => continue,
                Source::Named(path) if path.is_dir() => (path, path.read_dir().map(drop)),
                Source::Named(path) if pattern::is_pattern(path) && !path.exists() => {
                    pattern::refuse_empty(path)?;
                    continue;
                }
                Source::Named(path) if is_named_like_a_picture(path) => continue,
                Source::Named(path) => (path, opened(path)),
            };
            opened.map_err(Error::read(path))?;
        }
        Ok(())
    }

    /// Some of the sources, with their own counts of skipped files, so that none is counted twice.
    fn apart(&self, sources: Vec<Source>) -> Inputs {
        let options = InputOptions {
            skipped: Skipped::default(),
            ..self.options.clone()
        };
        Inputs { sources, options }
    }

    /// The number of sources that read stdin, which can be read only once.
    pub fn n_reading_stdin(&self) -> usize {
        let reads = |source: &&Source| match source {
            Source::Named(path) | Source::List(path, _) | Source::Ndjson(path) => path == Path::new("-"),
        };
        self.sources.iter().filter(reads).count()
    }
}

#[cfg(test)]
mod tests;
