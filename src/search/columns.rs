//! The columns and the metadata of an index.
//!
//! `path`, as the user named the image; `size` in bytes and `mtime`, which show a later build whether the file has
//! changed; `sha256` instead, if the image isn't a file (a member of an archive, an image on stdin); `embedding`, a list
//! of fixed length, unit length, f16. Metadata: `longclip.index`, the version of this format, and the fields of an
//! [`Origin`].

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::file::metadata::KeyValue;

use super::origin::Origin;
use crate::error::{Control, Error, Hint, Result, hint};

pub(super) const PATH: &str = "path";
pub(super) const SIZE: &str = "size";
pub(super) const MTIME: &str = "mtime";
pub(super) const SHA256: &str = "sha256";
pub(super) const EMBEDDING: &str = "embedding";

/// The position of the embeddings' column.
pub(super) const EMBEDDING_COLUMN: usize = 4;

/// The version of the format that this crate writes and reads.
const FORMAT_VERSION: &str = "1";
const FORMAT_VERSION_KEY: &str = "longclip.index";

/// The columns, with the metadata: a program that rewrites the file through Arrow keeps the schema's metadata, but not
/// the file's.
pub(super) fn schema(origin: &Origin) -> Schema {
    let number = Arc::new(Field::new("element", DataType::Float16, false));
    let columns = vec![
        Field::new(PATH, DataType::Utf8, false),
        Field::new(SIZE, DataType::Int64, true),
        Field::new(
            MTIME,
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new(SHA256, DataType::Utf8, true),
        Field::new(
            EMBEDDING,
            DataType::FixedSizeList(number, origin.embed_dim as i32),
            false,
        ),
    ];
    let metadata = metadata(origin).into_iter();
    let metadata = metadata.filter_map(|entry| Some((entry.key, entry.value?)));
    Schema::new_with_metadata(columns, metadata.collect())
}

pub(super) fn metadata(origin: &Origin) -> Vec<KeyValue> {
    let entry = |name: &str, value: String| KeyValue::new(format!("longclip.{name}"), value);
    vec![
        KeyValue::new(FORMAT_VERSION_KEY.to_owned(), FORMAT_VERSION.to_owned()),
        entry("version", origin.version.clone()),
        entry("model", origin.model.clone()),
        entry("weights", origin.weights.clone()),
        entry("dtype", origin.dtype.clone()),
        entry("orientation", origin.orientation.clone()),
        entry("embed_dim", origin.embed_dim.to_string()),
        entry("folder", origin.folder.display().to_string()),
    ]
}

/// Reads the origin from the metadata of the file `path`.
pub(super) fn origin(path: &Path, metadata: Option<&Vec<KeyValue>>) -> Result<Origin> {
    let metadata: HashMap<&str, &str> = metadata
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((entry.key.as_str(), entry.value.as_deref()?)))
        .collect();
    match metadata.get(FORMAT_VERSION_KEY) {
        Some(&FORMAT_VERSION) => {}
        Some(other) => {
            return Err(Error::usage(
                format!(
                    "`{}` is an index in version {other} of the format; this program reads version {FORMAT_VERSION}",
                    path.display()
                ),
                "read it with the program that made it, or build it again with this one",
            ));
        }
        None => return Err(not_an_index(path, "a Parquet file, but not an index of images")),
    }
    let value = |name: &str| {
        let value = metadata.get(format!("longclip.{name}").as_str());
        value
            .map(|value| (*value).to_owned())
            .ok_or_else(|| damaged(path, &format!("its metadata lacks `longclip.{name}`")))
    };
    let embed_dim = value("embed_dim")?;
    Ok(Origin {
        model: value("model")?,
        weights: value("weights")?,
        dtype: value("dtype")?,
        orientation: value("orientation")?,
        embed_dim: embed_dim
            .parse()
            .ok()
            .filter(|dim| (1..=EMBED_DIM_MAX).contains(dim))
            .ok_or_else(|| damaged(path, &format!("an embedding can't have `{embed_dim}` numbers")))?,
        folder: value("folder")?.into(),
        version: value("version")?,
    })
}

/// Embeddings have some hundred numbers; more than this are a mistake, and would make a page of more than 2 GiB.
const EMBED_DIM_MAX: usize = 1 << 20;

/// The error for a file of another kind.
pub(super) fn not_an_index(path: &Path, kind: &str) -> Error {
    Error::usage(
        format!("`{}` is {kind}", path.display()),
        Hint::from("name an index").or(hint!("make one: {}", Control::BuildIndex("index.parquet".into()))),
    )
}

/// The error for an index that can't be read.
pub(super) fn damaged(path: &Path, problem: &str) -> Error {
    Error::usage(
        format!("`{}` can't be read as an index: {problem}", path.display()),
        hint!(
            "remove it and build it again: {}",
            Control::BuildIndex("index.parquet".into())
        ),
    )
}
