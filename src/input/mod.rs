//! Input: what a person names, as a stream of pictures' names and bytes; one file a kind of source.
//!
//! `cli` makes [`Inputs`] from flags, `pipeline` draws [`Item`]s from them, in the order given, one at a time: a source
//! holds a folder's names at most, never its pictures. What can't be read is an item too, whose bytes are an error, so
//! that nothing is left out silently; what a folder holds besides pictures is counted in [`Skipped`]. A new kind of
//! source is a file here and an arm in [`Inputs::items`] or `named`.

pub(crate) mod archive;
#[cfg(feature = "arrow")]
pub mod arrow;
mod base64;
pub(crate) mod class_folders;
pub(crate) mod content;
mod folder;
mod list;
mod ndjson;
mod pattern;
#[cfg_attr(not(feature = "train"), allow(dead_code, reason = "training reads records too"))]
pub(crate) mod records;
#[cfg_attr(
    not(feature = "train"),
    allow(dead_code, reason = "training tells shards by their outline too")
)]
pub(crate) mod shards;
mod split;
mod standard_input;
#[cfg(test)]
pub(crate) mod testing;
mod url;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

pub use self::content::{Content, Deferred};
pub(crate) use self::folder::is_named_like_a_picture;
pub use self::list::Separator;
pub use self::split::{Shard, Unit};
pub use self::url::{Address, Proxies, Web, WebSettings};
use crate::error::{Error, Result};
use crate::files::{Looking, Target};

/// Items one behind the other, each made when it is asked for.
pub type Items = Box<dyn Iterator<Item = Item> + Send>;

/// One picture: what it is called, what goes with it, and where its bytes come from.
#[derive(Debug)]
pub struct Item {
    /// What the person named.
    pub name: Name,
    /// Fields of an input record, or an archive's keys, that the output carries too.
    pub fields: Map<String, Value>,
    /// Labels of this picture alone, in place of the run's.
    pub labels: Option<Vec<String>>,
    /// Where its bytes come from.
    pub content: Content,
}

impl Item {
    /// An item without fields or labels of its own.
    pub fn new(name: impl Into<String>, content: Content) -> Self {
        Item {
            name: Name::Path(name.into()),
            fields: Map::new(),
            labels: None,
            content,
        }
    }

    /// A file.
    fn file(path: PathBuf) -> Self {
        Item::new(path.display().to_string(), Content::File(path))
    }

    /// Something that was named and can't be used.
    fn unusable(name: impl Into<String>, error: Error) -> Self {
        Item::new(name, Content::Nothing(Some(error)))
    }
}

/// What an item is called.
#[derive(Debug, Clone, PartialEq)]
pub enum Name {
    /// A file, a URL or an archive's member, as named.
    Path(String),
    /// An input record's `id`.
    Id(Value),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Path(text) | Name::Id(Value::String(text)) => f.write_str(text),
            Name::Id(value) => write!(f, "{value}"),
        }
    }
}

/// What a person named, in order, and how folders are walked.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The sources, drawn one behind the other.
    pub sources: Vec<Source>,
    /// How folders are walked and URLs fetched.
    pub options: InputOptions,
}

/// One thing that a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, folder, pattern, archive or URL; `-` is stdin.
    Named(PathBuf),
    /// A file that names one picture an entry; `-` is stdin.
    List(PathBuf, Separator),
    /// A file of records, one JSON object a line; `-` is stdin.
    Ndjson(PathBuf),
}

/// How folders are walked and URLs fetched.
#[derive(Debug, Clone, Default)]
pub struct InputOptions {
    /// Whether links to folders are walked too.
    pub links: Links,
    /// How many folders deep to look; 1 is the named folder's own files. No end if `None`.
    pub max_depth: Option<usize>,
    /// The part of all pictures that is meant; all if `None`.
    pub shard: Option<Shard>,
    /// The way to URLs.
    pub web: Web,
    /// Where what was passed over is counted.
    pub skipped: Skipped,
}

/// Whether links to folders are walked. Links to files always are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// They are passed over, and counted.
    #[default]
    PassOver,
    /// They are walked, but for those that lead back to where they stand.
    Follow,
}

impl Inputs {
    /// All pictures, in the order of the sources.
    pub fn items(&self) -> Items {
        let options = self.options.clone();
        let sources = self.sources.clone().into_iter();
        Box::new(sources.flat_map(move |source| match source {
            Source::Named(path) => named(path, Patterns::Expanded, &options),
            Source::List(path, separator) => list::items(&path, separator, &options),
            Source::Ndjson(path) => ndjson::items(&path, &options),
        }))
    }

    /// How many pictures there are, where that can be told without reading what can be read only once.
    pub fn count(&self) -> Option<u64> {
        let countable = |source: &Source| match source {
            Source::Named(path) => path != Path::new("-") && (path.is_dir() || !archive::is_named_like_one(path)),
            Source::List(path, _) | Source::Ndjson(path) => path != Path::new("-") && path.is_file(),
        };
        let all = self.sources.iter().all(countable);
        all.then(|| self.apart(self.sources.clone()).items().count() as u64)
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

    /// Refuses folders, lists, archives and patterns that can't be read: what they would have led to is unknown. A single
    /// image that can't be read is a failed item.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Picture`] for a pattern that no file matches.
    pub fn refuse_unreadable(&self) -> Result<()> {
        let opened = |path: &Path| match path == Path::new("-") {
            true => Ok(()),
            false => File::open(path).map(drop),
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

    /// Some of the sources, whose skipped files are counted apart, so that none counts twice.
    fn apart(&self, sources: Vec<Source>) -> Inputs {
        let options = InputOptions {
            skipped: Skipped::default(),
            ..self.options.clone()
        };
        Inputs { sources, options }
    }

    /// How many sources read stdin; it can be read once.
    pub fn n_reading_stdin(&self) -> usize {
        let reads = |source: &&Source| match source {
            Source::Named(path) | Source::List(path, _) | Source::Ndjson(path) => path == Path::new("-"),
        };
        self.sources.iter().filter(reads).count()
    }
}

/// Whether `*` and its like stand for files. In a list they don't: names in it are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patterns {
    Expanded,
    Literal,
}

/// The pictures behind one name: the file's, the folder's, the archive's ...
fn named(path: PathBuf, patterns: Patterns, options: &InputOptions) -> Items {
    if path == Path::new("-") && patterns == Patterns::Expanded {
        return standard_input::items(options);
    }
    if let Some(url) = path.to_str().filter(|text| url::is_url(text)) {
        return split::kept(one(url::item(url, options)), options.shard, split::as_named);
    }
    if path.is_dir() {
        let folder = path.display().to_string();
        let name = move |item: &Item| split::below(&folder, &item.name.to_string());
        return split::kept(folder::items(path, options), options.shard, name);
    }
    if archive::is_named_like_one(&path) {
        return archive::file_items(path, options);
    }
    if patterns == Patterns::Expanded && !path.exists() && pattern::is_pattern(&path) {
        return pattern::items(&path, options);
    }
    split::kept(one(Item::file(path)), options.shard, split::as_named)
}

fn one(item: Item) -> Items {
    Box::new(std::iter::once(item))
}

/// What folders and archives held besides pictures.
#[derive(Debug, Clone, Default)]
pub struct Skipped(Arc<Mutex<SkippedCounts>>);

/// Counts of what was passed over, each with the first name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkippedCounts {
    /// Files and members that are no pictures, by name and by content.
    pub not_pictures: Passed,
    /// Links to folders that were not followed.
    pub links: Passed,
    /// Links that lead back to a folder that they stand in.
    pub loops: Passed,
    /// Folders, lists and archives that could not be read, each an item that says why.
    pub unreadable: Passed,
}

/// How many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// How many.
    pub n: u64,
    /// The first one's name.
    pub first: Option<String>,
}

impl Passed {
    fn add(&mut self, name: impl FnOnce() -> String) {
        self.n += 1;
        self.first.get_or_insert_with(name);
    }
}

impl Skipped {
    /// The counts until now.
    pub fn counts(&self) -> SkippedCounts {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, SkippedCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_picture(&self, path: &Path) {
        self.locked().not_pictures.add(|| path.display().to_string());
    }

    fn link(&self, path: &Path) {
        self.locked().links.add(|| path.display().to_string());
    }

    fn unreadable(&self, path: &Path) {
        self.locked().unreadable.add(|| path.display().to_string());
    }

    fn circle(&self, path: &Path) {
        self.locked().loops.add(|| path.display().to_string());
    }
}

#[cfg(test)]
mod tests;
