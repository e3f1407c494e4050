//! NDJSON input: one JSON object per line, `{"path": ...}` or `{"id": ..., "image_b64": ...}`.
//!
//! `labels`, a list of texts, replace the run's labels for this image. A path that is not UTF-8 is `{"bytes": BASE64}`, as
//! in the output. All other fields are copied to the output as they are written. Any other line becomes an item with an
//! error, so that each line of input gives one line of output.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::item::{name_of, one};
use super::list::{Entries, Entry, Separator, open};
use super::{Content, Deferred, InputOptions, Item, Items, Name, base64, content, split};
use crate::error::Error;
use crate::json_fields::{BYTES, Json, JsonFields};

pub(super) fn items(file: &Path, options: &InputOptions) -> Items {
    split::kept(all_items(file, options), options.shard, split::as_named)
}

fn all_items(file: &Path, options: &InputOptions) -> Items {
    let reader = match open(file) {
        Ok(reader) => reader,
        Err(error) => {
            options.skipped.unreadable(file);
            return one(Item::unusable(file, error));
        }
    };
    let options = options.clone();
    let list = file.to_owned();
    Box::new(
        Entries::new(reader, Separator::Line, file).filter_map(move |entry| match entry {
            Ok(entry) if entry.bytes.trim_ascii().is_empty() => None,
            Ok(entry) => Some(item(entry, &list, &options)),
            Err(broken) => Some(Item::unusable(broken.0, broken.1)),
        }),
    )
}

fn item(entry: Entry, list: &Path, options: &InputOptions) -> Item {
    let place = &*Entries::place(list, entry.line);
    let record = match JsonFields::parse(&entry.bytes) {
        Ok(record) => record,
        Err(error) => return Item::unusable(place, refused(place, &format!("it is not a JSON object: {error}"))),
    };
    drop(entry.bytes);
    let mut item = item_of_record(record, place, options);
    if let Content::Base64(text) = &mut item.content {
        let (name, text, holds) = (item.name.to_string(), std::mem::take(text), entry.holds);
        item.content = Content::Deferred(Deferred::new(move || {
            holds.pass_on();
            content::of_base64(&text, &name)
        }));
    }
    item
}

fn item_of_record(mut record: JsonFields, place: &str, options: &InputOptions) -> Item {
    let value = |json: Option<Json>| json.map(|json| json.value());
    let labels = value(record.remove("labels")).map(texts);
    let image = value(record.remove("image_b64"));
    let path = value(record.remove("path"));
    let (name, content) = match (path, image) {
        (Some(Value::Object(path)), None) => match raw_path(&path) {
            Some(path) => (Name::from(&path), Content::File(path)),
            None => unnamed(place, "`path` must be a text, or `{\"bytes\": BASE64}`"),
        },
        (Some(Value::String(path)), None) => {
            let content = content::named(&path, options);
            (Name::Path(path), content)
        }
        (Some(Value::String(path)), Some(Value::String(image))) => (Name::Path(path), Content::Base64(image)),
        (None, Some(Value::String(image))) => match record.remove("id") {
            Some(id) if matches!(id.value(), Value::String(_) | Value::Number(_)) => {
                (Name::Id(id), Content::Base64(image))
            }
            _ => unnamed(place, "`image_b64` needs an `id` or a `path`, a text or a number"),
        },
        (None, None) => match record.remove("id") {
            Some(id) => (Name::Id(id), nothing(place, "it has neither `path` nor `image_b64`")),
            None => unnamed(place, "it has neither `path` nor `image_b64`"),
        },
        _ => unnamed(place, "`path` and `image_b64` must be texts"),
    };
    let (labels, content) = match labels {
        Some(Err(problem)) => (None, nothing(place, problem)),
        Some(Ok(labels)) => (Some(labels), content),
        None => (None, content),
    };
    Item {
        name,
        fields: record,
        labels,
        content,
    }
}

/// A path that is not UTF-8.
fn raw_path(path: &serde_json::Map<String, Value>) -> Option<PathBuf> {
    let bytes = base64::decoded(path.get(BYTES)?.as_str()?).ok()?;
    Some(name_of(bytes))
}

const EXPECTED: &str = "`labels` must be a list of one or more texts, none of them empty";

fn texts(value: Value) -> Result<Vec<String>, &'static str> {
    checked_labels(serde_json::from_value(value).map_err(|_| EXPECTED)?)
}

/// A record's own labels.
pub(super) fn checked_labels(texts: Vec<String>) -> Result<Vec<String>, &'static str> {
    if texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()) {
        return Err(EXPECTED);
    }
    Ok(texts)
}

fn unnamed(place: &str, problem: &str) -> (Name, Content) {
    (Name::Path(place.to_owned()), nothing(place, problem))
}

fn nothing(place: &str, problem: &str) -> Content {
    Content::Nothing(Some(refused(place, problem)))
}

fn refused(place: &str, problem: &str) -> Error {
    Error::Picture {
        name: place.to_owned(),
        problem: problem.to_owned(),
        hint: Some("a line is `{\"path\": \"a.jpg\"}` or `{\"id\": \"a\", \"image_b64\": \"...\"}`".into()),
    }
}
