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
pub(crate) mod content;
mod folder;
mod item;
pub(crate) mod limit;
mod list;
mod named;
mod ndjson;
mod options;
mod pattern;
mod skipped;
mod split;
mod standard_input;
#[cfg(test)]
pub(crate) mod testing;
mod url;

use std::path::{Path, PathBuf};

pub use self::content::{Content, Deferred};
pub(crate) use self::folder::is_named_like_a_picture;
pub use self::item::{Item, Items, Name};
pub use self::list::Separator;
pub use self::options::{InputOptions, Links};
pub use self::skipped::{Passed, Skipped, SkippedCounts};
pub use self::split::{Shard, Unit};
pub use self::url::{Address, Proxies, Web, WebSettings};

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

    /// The number of images, unless counting them would read something that can be read only once, or an archive.
    pub fn count(&self) -> Option<u64> {
        let countable = |source: &Source| match source {
            Source::Named(path) => path != Path::new("-") && (path.is_dir() || !archive::is_named_like_one(path)),
            Source::List(path, _) | Source::Ndjson(path) => path != Path::new("-") && path.is_file(),
        };
        // With its own counts of skipped files, so that they are not counted twice.
        let options = InputOptions {
            skipped: Skipped::default(),
            ..self.options.clone()
        };
        let sources = self.sources.clone();
        self.sources
            .iter()
            .all(countable)
            .then(|| Inputs { sources, options }.items().count() as u64)
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
