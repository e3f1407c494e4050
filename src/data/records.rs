//! Records, one JSON object per line or an array of them, each an image with what is known about it.
//!
//! Fields go by the names that published files use: those of DOCCI, of Hugging Face's exports, of img2dataset. ShareGPT4V's own json
//! has `image` and `conversations`, of which the first answer is the caption, with spaces for its line breaks (upstream
//! `train/sharegpt4v.py`). A member `.json` of a WebDataset tar is such a record too, without a path.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::Sha256;

use super::image::Image;
use super::kind::{Candidate, CaptionProtocol, DataOptions, Kind, Opened, Purpose, entries_of, file_name, has_ending};
use super::record_file::{Record, RecordFile};
use super::sample::{ClassOf, Sample, Source};
use super::unusable::{Unusable, unusable};
use crate::error::{Error, Result, counted};

pub(super) const RECORDS: Kind = Kind {
    name: "records",
    what: "records, one JSON object per line or an array of them: an image as `path`, its caption as `long` or `text`, its class as \
           `label` or `class`",
    looks_like: looks_like_records,
    open: |paths, options| open(&RECORDS, paths, options),
    is_joined: false,
    has_fields: true,
    protocol: CaptionProtocol::WHOLE,
};

pub(super) const SHAREGPT4V: Kind = Kind {
    name: "ShareGPT4V json",
    what: "ShareGPT4V json",
    looks_like: |candidate| {
        let is_it = !candidate.is_folder && candidate.has_key("conversations") && is_json(candidate);
        is_it.then(|| file_name(candidate.path))
    },
    open: |paths, options| open(&SHAREGPT4V, paths, options),
    ..RECORDS
};

/// Fields that name an image.
pub(super) const IMAGE: [&str; 6] = ["path", "image", "image_file", "file_name", "filepath", "filename"];
const CAPTION: [&str; 5] = ["long", "text", "caption", "captions", "description"];
const CLASS: [&str; 3] = ["label", "class", "cls"];
const ENDINGS: [&str; 3] = ["ndjson", "jsonl", "json"];

fn is_json(candidate: &Candidate<'_>) -> bool {
    matches!(candidate.text().first(), Some(b'{' | b'[') | None) || candidate.has_ending(&ENDINGS)
}

fn looks_like_records(candidate: &Candidate<'_>) -> Option<String> {
    if !candidate.is_folder {
        return is_json(candidate).then(|| file_name(candidate.path));
    }
    let files = entries_of(candidate.path).ok()?;
    let mut records = files.iter().filter(|file| has_ending(file, &ENDINGS) && file.is_file());
    records.find(|file| holds_captions(file)).map(|file| file_name(file))
}

/// Whether the first record of a file has a caption: other JSON files may be next to the data.
fn holds_captions(path: &Path) -> bool {
    let first = RecordFile::open(path).and_then(|(file, _)| match file.len() {
        0 => Ok(Record::new()),
        _ => file.read(0),
    });
    let is_there = |key: &&str| first.as_ref().is_ok_and(|record| record.contains_key(*key));
    CAPTION[..3].iter().chain(&["conversations"]).any(is_there)
}

struct Records {
    file: RecordFile,
    options: DataOptions,
    /// Where the images' paths start from.
    images: PathBuf,
}

fn open(kind: &'static Kind, paths: &[PathBuf], options: &DataOptions) -> Result<Opened> {
    let path = &paths[0];
    if path.is_dir() {
        let problem = format!(
            "`{}` is not a data set itself, but holds files of records",
            path.display()
        );
        return Err(Error::usage(problem, "name the file"));
    }
    let (file, damage) = RecordFile::open(path)?;
    let records = Records {
        file,
        options: options.clone(),
        images: options.images_of(path),
    };
    let damage = damage.map(|error| Unusable::of(error, path.display().to_string()));
    Ok(Opened::new(kind, records, damage.into_iter().collect()))
}

impl Source for Records {
    fn len(&self) -> usize {
        self.file.len()
    }

    fn place(&self, i: usize) -> String {
        self.file.name(i)
    }

    fn read(&self, i: usize) -> Result<Sample> {
        let (record, place) = (self.file.read(i)?, self.place(i));
        let mut sample = Sample::new(named_image(&place, &record, &self.images)?, place);
        describe(&mut sample, &record, &self.options)?;
        Ok(sample)
    }

    fn outline(&self, hash: &mut Sha256) {
        self.file.outline(hash);
    }

    fn about(&self) -> String {
        counted(self.len(), "record")
    }
}

/// The image that a record names by a path; relative ones start from `images`.
pub(super) fn named_image(place: &str, record: &Record, images: &Path) -> Result<Image> {
    let path = text(place, record, &IMAGE)?;
    let path = path.ok_or_else(|| unusable(place, "it names no image, as `path` or `image`"))?;
    Ok(Image::file(images.join(path)))
}

/// The fields that may hold captions: the named one, or else the first of the known ones that there is.
pub fn caption_fields(named: Option<&str>) -> Vec<&str> {
    named.map_or(CAPTION.to_vec(), |named| vec![named])
}

/// The fields of which [`describe`] needs one.
#[cfg(any(feature = "arrow", feature = "parquet"))]
pub(super) fn needed_keys(options: &DataOptions) -> Vec<&str> {
    match (options.purpose, &options.caption_field) {
        (Purpose::ZeroShot, _) => CLASS.to_vec(),
        (Purpose::Training, Some(_)) | (Purpose::Retrieval, _) => caption_fields(options.caption_field.as_deref()),
        (Purpose::Training, None) => CAPTION.iter().chain(&["class"]).copied().collect(),
    }
}

/// Other fields that [`describe`] reads.
#[cfg(any(feature = "arrow", feature = "parquet"))]
pub(super) fn optional_keys(options: &DataOptions) -> &'static [&'static str] {
    match (options.purpose, &options.caption_field) {
        (Purpose::ZeroShot, _) => &[],
        (Purpose::Retrieval, _) => &["split"],
        (Purpose::Training, Some(_)) => &["short", "class"],
        (Purpose::Training, None) => &["short"],
    }
}

/// Adds what a record says of a sample, as far as the purpose needs it.
pub(super) fn describe(sample: &mut Sample, record: &Record, options: &DataOptions) -> Result<()> {
    let place = &sample.place;
    match options.purpose {
        Purpose::ZeroShot => sample.class = Some(ClassOf::Name(class(place, record)?)),
        Purpose::Retrieval => {
            sample.captions = captions(place, record, options.caption_field.as_deref())?;
            sample.split = text(place, record, &["split"])?;
        }
        Purpose::Training => {
            sample.captions = captions(place, record, options.caption_field.as_deref())?;
            sample.short = text(place, record, &["short"])?;
            sample.class = text(place, record, &["class"])?.map(ClassOf::Name);
        }
    }
    Ok(())
}

/// A class's name, or its number as text.
fn class(place: &str, record: &Record) -> Result<String> {
    let found = CLASS.iter().find_map(|key| record.get(*key));
    let class = match found {
        Some(Value::Number(number)) => number.to_string(),
        _ => text(place, record, &CLASS)?.unwrap_or_default(),
    };
    match class.trim() {
        "" => Err(unusable(place, "it has no class, as `label` or `class`")),
        class => Ok(class.to_owned()),
    }
}

/// All captions of a record: the answer of its conversations, a text, or a list of texts.
fn captions(place: &str, record: &Record, field: Option<&str>) -> Result<Vec<String>> {
    let keys = match field {
        Some(field) => vec![field],
        None => match answer(place, record)? {
            Some(answer) => return Ok(vec![answer]),
            None => CAPTION.to_vec(),
        },
    };
    let is_there = |key: &&&str| record.get(**key).is_some_and(|value| !value.is_null());
    match keys.iter().find(is_there).map(|key| (*key, &record[*key])) {
        Some((key, Value::Array(items))) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.ok_or_else(|| unusable(place, format!("not all of its `{key}` is text")))
        }
        Some((key, _)) => Ok(text(place, record, &[key])?.into_iter().collect()),
        None => Err(unusable(
            place,
            format!("it has no caption, as `{}`", keys.join("`, `")),
        )),
    }
}

/// The first of `keys` that a record has, with its text. A `null` counts as absent.
///
/// # Errors
/// [`Error::Sample`] if it is empty or not text.
fn text(place: &str, record: &Record, keys: &[&str]) -> Result<Option<String>> {
    let value = |key: &&str| record.get(*key).filter(|value| !value.is_null());
    match keys.iter().find_map(|key| Some((*key, value(key)?))) {
        Some((_, Value::String(text))) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some((key, Value::String(_))) => Err(unusable(place, format!("its `{key}` is empty"))),
        Some((key, _)) => Err(unusable(place, format!("its `{key}` is not text"))),
        None => Ok(None),
    }
}

/// The caption in a record's `conversations`, as upstream takes it; `None` if it has none.
///
/// # Errors
/// [`Error::Sample`] if they have no answer.
fn answer(place: &str, record: &Record) -> Result<Option<String>> {
    let Some(conversations) = record.get("conversations") else {
        return Ok(None);
    };
    let is_answer = |turn: &&Value| turn.get("from").and_then(Value::as_str) == Some("gpt");
    let found = conversations.as_array().and_then(|turns| {
        let turn = turns.iter().find(is_answer).or_else(|| turns.get(1))?;
        Some(turn.get("value")?.as_str()?.replace('\n', " "))
    });
    match found.filter(|text| !text.trim().is_empty()) {
        Some(text) => Ok(Some(text)),
        None => Err(unusable(place, "its `conversations` have no answer")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::testing::{captions, check_said, file, fixture, read};

    #[test]
    fn fields_go_by_several_names_and_a_problem_costs_one_record() {
        let lines = [
            r#"{"path":"a.jpg","long":"One. Two.","short":"Own.","label":7}"#,
            "",
            r#"{"path":"a.jpg","text":["One thing.","Two things."],"split":"val"}"#,
            r#"{"image":"a.jpg","caption":"No stop","short":null,"class":"cat"}"#,
            r#"{"path":"a.jpg","long":"  "}"#,
            r#"{"path":"a.jpg","long":7}"#,
            r#"{"path":"a.jpg","text":["x",7]}"#,
            r#"{"long":"x"}"#,
            r#"{"path":"a.jpg"}"#,
            "half a li",
        ];
        let (_dir, path) = file("data.ndjson", format!("\u{feff}{}", lines.join("\r\n")));
        let (samples, problems) = read(&path, Purpose::Training);
        let all: Vec<Vec<String>> = captions(&samples).into_iter().map(|(_, captions)| captions).collect();
        assert_eq!(
            all,
            [vec!["One. Two."], vec!["One thing.", "Two things."], vec!["No stop"]]
        );
        assert_eq!(
            (samples[0].short.as_deref(), samples[0].image.read().unwrap()),
            (Some("Own."), b"a.jpg".to_vec())
        );
        assert_eq!(samples[2].class, Some(ClassOf::Name("cat".into())));
        let expected = [
            "data.ndjson line 5`: its `long` is empty",
            "line 6`: its `long` is not text",
            "line 7`: not all of its `text` is text",
            "line 8`: it names no image",
            "line 9`: it has no caption, as `long`, `text`",
            "line 10`: it is not a JSON object",
        ];
        check_said(&problems, &expected);
        let (samples, problems) = read(&path, Purpose::Retrieval);
        assert_eq!((samples.len(), samples[1].split.as_deref()), (3, Some("val")));
        check_said(&problems, &expected);
        let (samples, problems) = read(&path, Purpose::ZeroShot);
        let classes: Vec<ClassOf> = samples.into_iter().filter_map(|sample| sample.class).collect();
        assert_eq!(classes, ["7", "cat"].map(|name| ClassOf::Name(name.into())));
        assert_eq!(
            problems
                .iter()
                .filter(|problem| problem.contains("it has no class"))
                .count(),
            5
        );
    }

    #[test]
    fn sharegpt4vs_json_is_read_as_upstream_reads_it() {
        let (samples, _) = read(&fixture("pairs/share-captioner.json"), Purpose::Retrieval);
        assert_eq!(samples.len(), 3);
        assert!(samples[0].captions[0].starts_with("A cat looks straight into the camera. Its fur"));
        let json = r#" [
          {"id": "1", "image": "a.jpg", "conversations": [
            {"from": "human", "value": "What is it?\n<image> ]}"},
            {"from": "gpt", "value": "A \"dog\" [sits].\nIt is {brown}. It waits."}]},
          {"id": "2", "image": "a.jpg", "conversations": [{"from": "human", "value": "What?"}]},
          {"path": "a.jpg", "long": "Plain."}
        ]"#;
        let (_dir, path) = file("share.json", json);
        let (samples, problems) = read(&path, Purpose::Training);
        let all: Vec<&str> = samples.iter().map(|sample| sample.captions[0].as_str()).collect();
        assert_eq!(all, [r#"A "dog" [sits]. It is {brown}. It waits."#, "Plain."]);
        check_said(&problems, &["share.json record 2`: its `conversations` have no answer"]);
        fs::write(&path, &json[..json.len() - 20]).unwrap();
        check_said(
            &read(&path, Purpose::Training).1,
            &["before its array does", "no answer"],
        );
    }

    #[test]
    fn files_that_do_not_hold_records_say_so() {
        let pretty = "{\n  \"path\": \"a.jpg\",\n  \"long\": \"x\"\n}\n".repeat(40);
        let (_dir, path) = file("data.ndjson", pretty);
        let (problem, _) = crate::data::testing::refused(&path, Purpose::Training);
        assert!(
            problem.contains("line 1`: it spans several lines; write one record per line"),
            "{problem}"
        );
        // A line that is cut costs that line alone.
        let (_dir, path) = file(
            "data.ndjson",
            "{\"path\": \"a.jpg\", \"lo\n{\"path\": \"a.jpg\", \"long\": \"x\"}\n",
        );
        let (samples, problems) = read(&path, Purpose::Training);
        assert_eq!(samples.len(), 1);
        check_said(&problems, &["line 1`: it is not a JSON object"]);
        let array = r#"[5, "a, ]", {"path": "a.jpg", "long": "x [1, 2], y"} , null, [1, 2],
            {"path": "a.jpg", "long": null, "text": "z"}]"#;
        let (_dir, path) = file("data.json", array);
        let (samples, problems) = read(&path, Purpose::Training);
        assert_eq!(samples[0].captions, ["x [1, 2], y"]);
        assert_eq!(samples[1].captions, ["z"]);
        check_said(
            &problems,
            &[
                "record 1`: it",
                "record 2`: it",
                "record 4`: it",
                "record 5`: it is not a JSON",
            ],
        );
    }
}
