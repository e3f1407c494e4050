//! COCO's captions, one object whose `annotations` name their image by its id in `images`; and Karpathy's json, whose `images`
//! have `sentences` and a `split` (the usual splits of COCO and Flickr30k).
//!
//! COCO's images come in the order of their ids and captions in the order of the file, as torchvision's `CocoCaptions` gives them to
//! upstream's script.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::image::Image;
use super::kind::{Candidate, CaptionPart, CaptionProtocol, DataOptions, Kind, Opened, PerImage, file_name};
use super::sample::{Listed, Sample};
use super::unusable::Unusable;
use crate::error::{Error, Result};
use crate::plain_text::Utf8Reader;

pub(super) const COCO: Kind = Kind {
    name: "COCO captions",
    what: "COCO's `captions_*.json`",
    looks_like: |candidate| (form(candidate)? == Form::Coco).then(|| file_name(candidate.path)),
    open: |paths, options| open_coco(&paths[0], options),
    is_joined: false,
    has_fields: false,
    // `captions[0:5]` in upstream's `eval/retrieval/coco.py`. Some images have six or seven.
    protocol: CaptionProtocol {
        part: CaptionPart::Whole,
        per_image: PerImage::AtMost(5),
    },
};

pub(super) const KARPATHY: Kind = Kind {
    name: "Karpathy's splits",
    what: "Karpathy's `dataset_*.json`",
    looks_like: |candidate| {
        // Parsed only if that can be it: COCO's files are large.
        let is_it = candidate.has_key("sentences") && form(candidate)? == Form::Karpathy;
        is_it.then(|| file_name(candidate.path))
    },
    open: |paths, options| open_karpathy(&paths[0], options),
    is_joined: false,
    has_fields: false,
    protocol: CaptionProtocol::WHOLE,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Coco,
    Karpathy,
}

/// The keys that distinguish one object from many.
#[derive(Deserialize)]
struct Head {
    images: Option<Vec<HeadImage>>,
    annotations: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct HeadImage {
    sentences: Option<IgnoredAny>,
}

/// A file that is one object is COCO's or Karpathy's, one of an object per line has records. What can't be parsed is judged by how it
/// looks, and the reader of its kind reports the damage.
fn form(candidate: &Candidate<'_>) -> Option<Form> {
    if candidate.text().first() != Some(&b'{') {
        return None;
    }
    let by_looks = match candidate.has_key("sentences") {
        true => Form::Karpathy,
        false => Form::Coco,
    };
    let reader = text_of(candidate.path).ok()?;
    let first = serde_json::Deserializer::from_reader(reader)
        .into_iter::<Head>()
        .next()?;
    match first {
        Ok(Head {
            images: Some(images), ..
        }) => match images.iter().any(|image| image.sentences.is_some()) {
            true => Some(Form::Karpathy),
            false => Some(Form::Coco),
        },
        Ok(Head { annotations, .. }) => annotations.map(|_| Form::Coco),
        Err(error) => {
            let is_one = begins_like_coco(candidate) || (error.line() > 1 && !has_objects_below(candidate));
            is_one.then_some(by_looks)
        }
    }
}

fn begins_like_coco(candidate: &Candidate<'_>) -> bool {
    let inner = candidate.text()[1..].trim_ascii_start();
    ["\"info\"", "\"images\"", "\"annotations\"", "\"licenses\""]
        .iter()
        .any(|key| inner.starts_with(key.as_bytes()))
}

/// Whether further lines begin an object of their own, as records do.
fn has_objects_below(candidate: &Candidate<'_>) -> bool {
    let mut lines = candidate.text().split(|byte| *byte == b'\n').skip(1);
    lines.any(|line| line.starts_with(b"{"))
}

#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: i64,
    file_name: String,
}

/// Fields are checked one annotation at a time: a wrong one does not make the file wrong.
#[derive(Deserialize)]
#[serde(expecting = "an annotation: an object with `image_id` and `caption`")]
struct Annotation {
    image_id: Option<Value>,
    /// Absent if annotations are of boxes.
    caption: Option<Value>,
}

impl Annotation {
    fn fields(self) -> Result<(i64, String), String> {
        let image_id = self.image_id.ok_or("it has no `image_id`")?;
        let image_id = image_id.as_i64().ok_or("its `image_id` is not a whole number")?;
        match self.caption {
            Some(Value::String(caption)) => Ok((image_id, caption)),
            Some(_) => Err("its `caption` is not text".into()),
            None => Err("it has no `caption`".into()),
        }
    }
}

fn open_coco(path: &Path, options: &DataOptions) -> Result<Opened> {
    let Coco { images, annotations } = parse(path, "COCO's captions")?;
    if !annotations.is_empty() && annotations.iter().all(|annotation| annotation.caption.is_none()) {
        let problem = "has annotations without `caption`: it is one of COCO's files, but not the captions";
        return Err(Error::usage(
            format!("`{}` {problem}", path.display()),
            "name the file of captions, as in `captions_val2017.json`",
        ));
    }
    let mut unusable = Vec::new();
    let place = |what: &str, i: usize| format!("{} {what} {}", path.display(), i + 1);
    let mut by_id: BTreeMap<i64, Sample> = BTreeMap::new();
    for (i, CocoImage { id, file_name }) in images.into_iter().enumerate() {
        let sample = Sample::new(Image::file(file_name.into()), place("image", i));
        if let Some(other) = by_id.insert(id, sample) {
            let problem = format!("its id {id} is that of `{}` too", other.image.name());
            unusable.push(Unusable::new(place("image", i), problem));
        }
    }
    for (i, annotation) in annotations.into_iter().enumerate() {
        let added = annotation.fields().and_then(|(image_id, caption)| {
            let sample = by_id.get_mut(&image_id);
            let sample = sample.ok_or_else(|| format!("no image has its `image_id` {image_id}"))?;
            sample.captions.push(caption);
            Ok(())
        });
        if let Err(problem) = added {
            unusable.push(Unusable::new(place("annotation", i), problem));
        }
    }
    // `annotations/captions_val2017.json` is next to `val2017/`.
    let folder = path.parent().unwrap_or(Path::new(""));
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let set = stem.strip_prefix("captions_").unwrap_or(stem);
    let folders = ["", &format!("../{set}"), set, "../images", "images"].map(|name| folder.join(name));
    let source = Listed::below(by_id.into_values().collect(), options.images.as_deref(), &folders);
    Ok(Opened::new(&COCO, source, unusable))
}

#[derive(Deserialize)]
struct Karpathy {
    images: Vec<KarpathyImage>,
}

#[derive(Deserialize)]
struct KarpathyImage {
    /// The folder, in COCO's file.
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

fn open_karpathy(path: &Path, options: &DataOptions) -> Result<Opened> {
    let Karpathy { images } = parse(path, "Karpathy's json")?;
    let sample = |(i, image): (usize, KarpathyImage)| {
        let file = Path::new(image.filepath.as_deref().unwrap_or_default()).join(image.filename);
        Sample {
            captions: image.sentences.into_iter().map(|sentence| sentence.raw).collect(),
            split: image.split,
            ..Sample::new(Image::file(file), format!("{} image {}", path.display(), i + 1))
        }
    };
    let samples = images.into_iter().enumerate().map(sample).collect();
    let source = Listed::below(samples, options.images.as_deref(), &usual_folders(path));
    Ok(Opened::new(&KARPATHY, source, Vec::new()))
}

/// Where images of Flickr30k and COCO usually are, next to their captions.
pub(super) fn usual_folders(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let names = ["", "flickr30k-images", "flickr30k_images", "images"];
    names.iter().map(|name| folder.join(name)).collect()
}

fn text_of(path: &Path) -> std::io::Result<Utf8Reader<BufReader<File>>> {
    Utf8Reader::new(BufReader::with_capacity(1 << 20, File::open(path)?))
}

fn parse<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let reader = text_of(path).map_err(Error::read(path))?;
    serde_json::from_reader(reader).map_err(|error| {
        if error.is_io() {
            return Error::read(path)(error.into());
        }
        Error::usage(
            format!("`{}` is not {what}: {error}", path.display()),
            "fetch the file again; it should be one object with `images`, each with its captions or with `annotations` next to them",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::kind::Purpose;
    use crate::data::testing::{captions, check_said, file, fixture, opened, read, refused};

    #[test]
    fn coco_comes_in_the_order_of_ids_and_karpathys_json_has_splits() {
        let (samples, problems) = read(
            &fixture("pairs/coco/annotations/captions_val2017.json"),
            Purpose::Retrieval,
        );
        let found = captions(&samples);
        let counts: Vec<(&str, usize)> = found.iter().map(|(name, all)| (name.as_str(), all.len())).collect();
        let expected = [
            ("000000037777.jpg", 5),
            ("000000252219.jpg", 5),
            ("000000397133.jpg", 6),
        ];
        assert_eq!((counts.as_slice(), problems.len()), (expected.as_slice(), 0));
        assert_eq!(
            (found[0].1[0].as_str(), found[2].1[5].as_str()),
            ("A cup of coffee on a table .", "A sixth caption .")
        );
        let (samples, _) = read(&fixture("pairs/flickr30k/dataset_flickr30k.json"), Purpose::Retrieval);
        let splits: Vec<_> = samples.iter().map(|sample| sample.split.as_deref().unwrap()).collect();
        assert_eq!(splits, ["test", "train", "test"]);
        assert!(samples.iter().all(|sample| sample.image.is_there()));
    }

    #[test]
    fn damage_is_reported_with_its_place() {
        let whole = r#"{
  "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "2.jpg"}, {"id": 2, "file_name": "3.jpg"}],
  "annotations": [{"image_id": 1, "caption": "one"}, {"image_id": 9, "caption": "nine"}, {"image_id": "1", "caption": "a"},
    {"image_id": 1, "caption": 7}, {"image_id": 1, "caption": null}, {"caption": "b"}]
}"#;
        let (_dir, path) = file("captions.json", whole);
        let (samples, problems) = read(&path, Purpose::Retrieval);
        let none: [String; 0] = [];
        assert_eq!(
            (&samples[0].captions[..], &samples[1].captions[..]),
            (&["one".to_owned()][..], &none[..])
        );
        let expected = [
            "image 3`: its id 2 is that of `2.jpg` too",
            "annotation 2`: no image has its `image_id` 9",
            "annotation 3`: its `image_id` is not a whole number",
            "annotation 4`: its `caption` is not text",
            "annotation 5`: it has no `caption`",
            "annotation 6`: it has no `image_id`",
        ];
        check_said(&problems, &expected);
        for (text, expected) in [
            (whole[..200].to_owned(), "is not COCO's captions: EOF while parsing"),
            (
                whole.replace("\"file_name\"", "\"name\""),
                "missing field `file_name` at line 2",
            ),
            (whole.replace("caption", "bbox"), "annotations without `caption`"),
        ] {
            std::fs::write(&path, text).unwrap();
            let (problem, _) = refused(&path, Purpose::Retrieval);
            assert!(problem.contains(expected), "{problem}");
        }
        let karpathy =
            r#"{"images": [{"filename": "a.jpg", "sentences": [{"raw": "A cat."}]}, {"filename": "b.jpg"}]}"#;
        std::fs::write(&path, karpathy).unwrap();
        assert_eq!(opened(&path, Purpose::Retrieval).kind.name, KARPATHY.name);
        std::fs::write(&path, &karpathy[..karpathy.len() - 20]).unwrap();
        let (problem, _) = refused(&path, Purpose::Retrieval);
        assert!(problem.contains("is not Karpathy's json: EOF"), "{problem}");
    }
}
