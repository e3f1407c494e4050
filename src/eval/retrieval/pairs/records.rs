//! Records: `{"path": "a.jpg", "text": "..."}` a line or in an array, `text` perhaps a list; ShareGPT4V's json.
//!
//! The fields that training reads (`input/records.rs`), and those of DOCCI and of Hugging Face's exports.

use std::path::Path;

use serde_json::Value;

use super::Found;
use crate::error::Result;
use crate::eval::Unusable;
use crate::input::records::{Record, RecordFile, answer, text, unusable};

const PICTURE: [&str; 4] = ["path", "image", "image_file", "file_name"];
const CAPTION: [&str; 5] = ["long", "text", "caption", "captions", "description"];

pub(super) fn read(data: &Path, text_field: Option<&str>) -> Result<Found> {
    let (file, damage) = RecordFile::open(data)?;
    let mut found = Found::default();
    for i in 0..file.len() {
        let name = file.name(i);
        let parsed = file.read(i).and_then(|record| {
            let picture = text(&name, &record, &PICTURE)?
                .ok_or_else(|| unusable(&name, format!("it names no picture as `{}`", PICTURE.join("`, `"))))?;
            let captions = captions(&name, &record, text_field)?;
            Ok((picture, text(&name, &record, &["split"])?, captions))
        });
        match parsed {
            Ok((picture, split, captions)) => found.add(&picture, split.as_deref(), captions, || name),
            Err(error) => found.problems.push(Unusable::of(error, name)),
        }
    }
    found
        .problems
        .extend(damage.map(|error| Unusable::of(error, data.display().to_string())));
    Ok(found)
}

/// All captions of a record.
fn captions(name: &str, record: &Record, text_field: Option<&str>) -> Result<Vec<String>> {
    let keys = match text_field {
        Some(field) => vec![field],
        None => match answer(name, record)? {
            Some(answer) => return Ok(vec![answer]),
            None => CAPTION.to_vec(),
        },
    };
    let key = keys
        .iter()
        .find(|key| record.get(**key).is_some_and(|value| !value.is_null()));
    match key.map(|key| (*key, &record[*key])) {
        Some((key, Value::Array(items))) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.ok_or_else(|| unusable(name, format!("its `{key}` holds something that is no text")))
        }
        Some((key, _)) => Ok(text(name, record, &[key])?.into_iter().collect()),
        None => Err(unusable(name, format!("it has no caption as `{}`", keys.join("`, `")))),
    }
}
