//! The columns of an index and the notes of its file.
//!
//! `path` as the person named the picture; `size` in bytes and `mtime`, by which a later build knows whether the file has
//! changed; `sha256` where there is no such file (a member of an archive, a picture on stdin); `embedding`, a list of fixed
//! length, unit length, f16. Notes: `longclip.index` (the form's number) and an [`Origin`]'s fields.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::file::metadata::KeyValue;

use super::origin::Origin;
use crate::error::{Error, Result};

pub(super) const PATH: &str = "path";
pub(super) const SIZE: &str = "size";
pub(super) const MTIME: &str = "mtime";
pub(super) const SHA256: &str = "sha256";
pub(super) const EMBEDDING: &str = "embedding";

/// Columns before the embeddings'.
pub(super) const N_PLAIN: usize = 4;

/// The form of the file that this version writes and reads.
const FORM: &str = "1";
const FORM_NOTE: &str = "longclip.index";

/// The columns, and the notes once more: Arrow's programs keep those of its own schema, not the file's.
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
    let notes = notes(origin).into_iter();
    let notes = notes.filter_map(|note| Some((note.key, note.value?)));
    Schema::new_with_metadata(columns, notes.collect())
}

pub(super) fn notes(origin: &Origin) -> Vec<KeyValue> {
    let note = |name: &str, value: String| KeyValue::new(format!("longclip.{name}"), value);
    vec![
        KeyValue::new(FORM_NOTE.to_owned(), FORM.to_owned()),
        note("version", origin.version.clone()),
        note("model", origin.model.clone()),
        note("weights", origin.weights.clone()),
        note("dtype", origin.dtype.clone()),
        note("orientation", origin.orientation.clone()),
        note("embed_dim", origin.embed_dim.to_string()),
        note("folder", origin.folder.display().to_string()),
    ]
}

/// Reads the notes back; `path` is for the message.
pub(super) fn origin(path: &Path, notes: Option<&Vec<KeyValue>>) -> Result<Origin> {
    let notes: HashMap<&str, &str> = notes
        .into_iter()
        .flatten()
        .filter_map(|note| Some((note.key.as_str(), note.value.as_deref()?)))
        .collect();
    match notes.get(FORM_NOTE) {
        Some(&FORM) => {}
        Some(other) => {
            return Err(Error::usage(
                format!(
                    "`{}` is an index of the form {other}; this version reads form {FORM}",
                    path.display()
                ),
                "read it with the version that made it, or build it again with this one",
            ));
        }
        None => return Err(not_an_index(path, "a Parquet file, but not an index of pictures")),
    }
    let note = |name: &str| {
        let value = notes.get(format!("longclip.{name}").as_str());
        value
            .map(|value| (*value).to_owned())
            .ok_or_else(|| damaged(path, &format!("its note `longclip.{name}` is missing")))
    };
    let embed_dim = note("embed_dim")?;
    Ok(Origin {
        model: note("model")?,
        weights: note("weights")?,
        dtype: note("dtype")?,
        orientation: note("orientation")?,
        embed_dim: embed_dim
            .parse()
            .ok()
            .filter(|dim| (1..=MOST_NUMBERS).contains(dim))
            .ok_or_else(|| damaged(path, &format!("an embedding can't have `{embed_dim}` numbers")))?,
        folder: note("folder")?.into(),
        version: note("version")?,
    })
}

/// An embedding has some hundred numbers; this many are a mistake, and would be a page of more than 2 GiB.
const MOST_NUMBERS: usize = 1 << 20;

/// A file of another kind.
pub(super) fn not_an_index(path: &Path, kind: &str) -> Error {
    Error::usage(
        format!("`{}` is {kind}", path.display()),
        "name an index, or make one: `longclip search build photos/ -o index.parquet`",
    )
}

/// An index that can't be read.
pub(super) fn damaged(path: &Path, problem: &str) -> Error {
    Error::usage(
        format!("`{}` can't be read as an index: {problem}", path.display()),
        "remove it and build it again: `longclip search build photos/ -o index.parquet`",
    )
}
