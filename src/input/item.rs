//! One image of the input, before it is read: its name, its fields, and where its bytes come from.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::content::Content;
use crate::error::Error;

/// A stream of items, each made when it is needed.
pub type Items = Box<dyn Iterator<Item = Item> + Send>;

/// One image: its name, its fields, and where its bytes come from.
#[derive(Debug)]
pub struct Item {
    /// Its name in messages and records.
    pub name: Name,
    /// Fields of an input record, or the key of an archive's member, which are copied to the output.
    pub fields: Map<String, Value>,
    /// Labels for this image only, instead of the run's.
    pub labels: Option<Vec<String>>,
    /// Where its bytes come from.
    pub content: Content,
}

impl Item {
    /// An item without fields or its own labels.
    pub fn new(name: impl Into<String>, content: Content) -> Self {
        Item {
            name: Name::Path(name.into()),
            fields: Map::new(),
            labels: None,
            content,
        }
    }

    /// A file.
    pub(super) fn file(path: PathBuf) -> Self {
        Item::new(path.display().to_string(), Content::File(path))
    }

    /// Something that was named and can't be used.
    pub(super) fn unusable(name: impl Into<String>, error: Error) -> Self {
        Item::new(name, Content::Nothing(Some(error)))
    }
}

/// The name of an item.
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

/// A stream of one item.
pub(super) fn one(item: Item) -> Items {
    Box::new(std::iter::once(item))
}
