//! One image of the input, before it is read: its name, its fields, and where its bytes come from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::content::Content;
use crate::error::{Error, in_words};
use crate::json_fields::{Json, JsonFields};

/// A stream of items, each made when it is needed.
pub type Items = Box<dyn Iterator<Item = Item> + Send>;

/// One image: its name, its fields, and where its bytes come from.
#[derive(Debug)]
pub struct Item {
    /// Its name in messages and records.
    pub name: Name,
    /// Fields of an input record, or the key of an archive's member, which are copied to the output.
    pub fields: JsonFields,
    /// Labels for this image only, instead of the run's.
    pub labels: Option<Vec<String>>,
    /// Where its bytes come from.
    pub content: Content,
}

impl Item {
    /// An item without fields or its own labels.
    pub fn new(name: impl Into<Name>, content: Content) -> Self {
        Item {
            name: name.into(),
            fields: JsonFields::default(),
            labels: None,
            content,
        }
    }

    /// A file.
    pub(super) fn file(path: PathBuf) -> Self {
        let name = Name::from(&path);
        Item::new(name, Content::File(path))
    }

    /// Something that was named and can't be used.
    pub(crate) fn unusable(name: impl Into<Name>, error: Error) -> Self {
        Item::new(name, Content::Nothing(Some(error)))
    }
}

/// The name of an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Name {
    /// A file, a URL or an archive's member, as named.
    Path(String),
    /// A file whose name is not UTF-8.
    Raw(OsString),
    /// An input record's `id`.
    Id(Json),
}

impl From<&Path> for Name {
    fn from(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Name::Path(text.to_owned()),
            None => Name::Raw(path.as_os_str().to_owned()),
        }
    }
}

impl From<&PathBuf> for Name {
    fn from(path: &PathBuf) -> Self {
        Name::from(path.as_path())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Name::Path(text.to_owned())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Name::Path(text)
    }
}

/// As a person can read it: bytes that are not UTF-8 are escaped.
impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Path(text) => f.write_str(text),
            Name::Raw(name) => f.write_str(&in_words(name)),
            Name::Id(id) => write!(f, "{id}"),
        }
    }
}

/// A stream of one item.
pub(super) fn one(item: Item) -> Items {
    Box::new(std::iter::once(item))
}

/// A file name from bytes, which can be any on Unix.
#[cfg(unix)]
pub(super) fn name_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
pub(super) fn name_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
