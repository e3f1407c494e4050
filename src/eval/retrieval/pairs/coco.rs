//! COCO's captions: one object, whose `annotations` name their picture by its id in `images`; and Karpathy's json, whose
//! `images` have `sentences` and a `split` (COCO's and Flickr30k's usual ones).
//!
//! Pictures come in the order of their ids and captions in the order of the file, as torchvision's `CocoCaptions` gives
//! them to upstream's script.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Entry, Found};
use crate::error::{Error, Result};
use crate::eval::Unusable;

#[derive(Deserialize)]
struct Coco {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: String,
}

/// Fields are looked at one annotation at a time: one that is wrong is no wrong file.
#[derive(Deserialize)]
#[serde(expecting = "an annotation: an object with `image_id` and `caption`")]
struct Annotation {
    image_id: Option<Value>,
    /// Absent where annotations are of boxes.
    caption: Option<Value>,
}

impl Annotation {
    fn fields(self) -> std::result::Result<(i64, String), &'static str> {
        let image_id = self.image_id.ok_or("it has no `image_id`")?;
        let image_id = image_id.as_i64().ok_or("its `image_id` is no whole number")?;
        match self.caption {
            Some(Value::String(caption)) => Ok((image_id, caption)),
            Some(_) => Err("its `caption` is no text"),
            None => Err("it has no `caption`"),
        }
    }
}

pub(super) fn read(data: &Path) -> Result<Found> {
    let Coco { images, annotations } = parse(data, "COCO's captions")?;
    if !annotations.is_empty() && annotations.iter().all(|annotation| annotation.caption.is_none()) {
        return Err(Error::usage(
            format!(
                "`{}` has annotations without `caption`: it is COCO's, but not its captions",
                data.display()
            ),
            "name the file of captions, as in `captions_val2017.json`",
        ));
    }
    let mut found = Found::default();
    let place = |what: &str, i: usize| format!("{} {what} {}", data.display(), i + 1);
    let mut by_id: BTreeMap<i64, Entry> = BTreeMap::new();
    for (i, image) in images.into_iter().enumerate() {
        let place = place("image", i);
        let entry = Entry {
            picture: image.file_name,
            place: place.clone(),
            split: None,
            captions: Vec::new(),
        };
        if let Some(other) = by_id.insert(image.id, entry) {
            let problem = format!("its id {} is that of `{}` too", image.id, other.picture);
            found.problems.push(Unusable::new(place, problem));
        }
    }
    for (i, annotation) in annotations.into_iter().enumerate() {
        let added = annotation
            .fields()
            .map_err(str::to_owned)
            .and_then(|(image_id, caption)| {
                let entry = by_id.get_mut(&image_id);
                let entry = entry.ok_or_else(|| format!("there is no image with its `image_id` {image_id}"))?;
                entry.captions.push(caption);
                Ok(())
            });
        if let Err(problem) = added {
            found.problems.push(Unusable::new(place("annotation", i), problem));
        }
    }
    found.entries = by_id.into_values().collect();
    Ok(found)
}

#[derive(Deserialize)]
struct Karpathy {
    images: Vec<KarpathyImage>,
}

#[derive(Deserialize)]
struct KarpathyImage {
    /// COCO's: the folder.
    filepath: Option<String>,
    filename: String,
    split: Option<String>,
    #[serde(default)]
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
#[serde(expecting = "a sentence: an object with `raw`")]
struct Sentence {
    raw: String,
}

pub(super) fn read_karpathy(data: &Path) -> Result<Found> {
    let Karpathy { images } = parse(data, "Karpathy's json")?;
    let mut found = Found::default();
    for (i, image) in images.into_iter().enumerate() {
        let picture = match &image.filepath {
            Some(folder) => format!("{folder}/{}", image.filename),
            None => image.filename,
        };
        let captions = image.sentences.into_iter().map(|sentence| sentence.raw).collect();
        found.add(&picture, image.split.as_deref(), captions, || {
            format!("{} image {}", data.display(), i + 1)
        });
    }
    Ok(found)
}

fn parse<T: DeserializeOwned>(data: &Path, what: &str) -> Result<T> {
    let unreadable = Error::read(data);
    let mut reader = BufReader::with_capacity(1 << 20, File::open(data).map_err(unreadable)?);
    if reader.fill_buf().map_err(unreadable)?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    serde_json::from_reader(reader).map_err(|error| {
        if error.is_io() {
            return unreadable(error.into());
        }
        Error::usage(
            format!("`{}` is not {what}: {error}", data.display()),
            "fetch the file again; it should be one object with `images`, each with its captions or with `annotations` beside them",
        )
    })
}
