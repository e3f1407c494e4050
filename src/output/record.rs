//! What every format writes: one record per input, with its subject, its result or error, and carried fields.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::in_words;
use crate::json_fields::{BYTES, Json, JsonFields, of_name, push_member};
use crate::sidecar::TagPath;

/// The result of one input.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What the record is about.
    pub subject: Subject,
    /// Fields of the input that are copied to the output. If a name is also one of ours, ours wins.
    pub fields: JsonFields,
    /// The result.
    pub outcome: Outcome,
    /// The image as a thumbnail, for formats that show it.
    pub thumbnail: Option<Thumbnail>,
    /// The file of the image, if it is one, for formats that link to it.
    pub file: Option<PathBuf>,
}

/// A small copy of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The image as JPEG.
    pub photo: Vec<u8>,
    /// The image under its heat map as JPEG, if one was requested.
    pub heat: Option<Vec<u8>>,
}

/// What a record is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// An image, by the path that the user gave.
    Path(String),
    /// An image, by a path that is not UTF-8.
    Raw(OsString),
    /// An image, by the `id` of its input record.
    Id(Json),
    /// A text.
    Text(String),
}

impl Subject {
    /// The name of its field in the output.
    pub fn key(&self) -> &'static str {
        match self {
            Subject::Path(_) | Subject::Raw(_) => "path",
            Subject::Id(_) => "id",
            Subject::Text(_) => "text",
        }
    }

    /// Its value in JSON. A path that is not UTF-8 is `{"bytes": BASE64}`, as ripgrep writes it.
    fn json(&self) -> String {
        match self {
            Subject::Path(text) | Subject::Text(text) => Value::from(text.as_str()).to_string(),
            Subject::Raw(path) => of_name(path).to_string(),
            Subject::Id(id) => id.as_str().to_owned(),
        }
    }

    /// Its bytes: of a path, those by which a file is opened.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Subject::Raw(path) => path.as_encoded_bytes().to_vec(),
            Subject::Path(_) | Subject::Id(_) | Subject::Text(_) => self.to_string().into_bytes(),
        }
    }
}

/// The name of the subject of a JSON record, as [`Subject`] prints it.
pub(super) fn name_in_json(record: &JsonFields) -> Option<String> {
    let subject = ["path", "id", "text"].iter().find_map(|key| record.get(key))?;
    let value = subject.value();
    let raw = value.get(BYTES).and_then(Value::as_str);
    let raw = raw.and_then(|text| BASE64_STANDARD.decode(text).ok());
    Some(match raw {
        Some(bytes) => in_words_of_bytes(&bytes),
        None => subject.to_string(),
    })
}

fn in_words_of_bytes(bytes: &[u8]) -> String {
    let chunks = bytes.utf8_chunks().map(|chunk| {
        let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        chunk.valid().to_owned() + &invalid.collect::<String>()
    });
    chunks.collect()
}

/// As a person can read it: bytes that are not UTF-8 are escaped.
impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::Path(text) | Subject::Text(text) => f.write_str(text),
            Subject::Raw(path) => f.write_str(&in_words(path)),
            Subject::Id(id) => write!(f, "{id}"),
        }
    }
}

/// A result, or the reason why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The labels and how well each fits the image.
    Labels {
        /// Highest score first; empty if no label reaches the threshold.
        labels: Vec<Labelled>,
        /// Sums by group, highest first; empty if labels have no groups.
        groups: Vec<Grouped>,
        /// The image's embedding, if it was requested.
        embedding: Option<Vec<f32>>,
    },
    /// The embedding of the image or text.
    Embedding(Vec<f32>),
    /// What a search found, the nearest first.
    Found(Vec<Found>),
    /// Why this input failed.
    Failed(String),
}

/// An image that a search found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// What was searched for.
    pub query: String,
    /// Its place among what was found, from 1.
    pub rank: usize,
    /// Where it is.
    pub path: String,
    /// Its cosine with what was searched for.
    pub cosine: f32,
    /// `gone` or `changed`, if its file is not the one that was indexed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// What it is among images that show the same, if those were searched for.
    #[serde(flatten)]
    pub copy: Option<Duplicate>,
    /// The image, small, for formats that show it.
    #[serde(skip)]
    pub thumbnail: Option<Thumbnail>,
}

/// What an image is among images that show the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Duplicate {
    /// `kept`, `exact` or `near`.
    pub copy: &'static str,
    /// Its width as stored, in pixels, if it is known.
    pub width: Option<usize>,
    /// Its height as stored, in pixels, if it is known.
    pub height: Option<usize>,
}

impl std::fmt::Display for Duplicate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.width.zip(self.height) {
            Some((width, height)) => write!(f, "{}, {width} x {height}", self.copy),
            None => f.write_str(self.copy),
        }
    }
}

impl Found {
    /// As the record of an image whose label is the search, for formats that write one record per image.
    pub(super) fn as_labelled(&self) -> Record {
        let mut fields = JsonFields::default();
        fields.insert("rank", self.rank);
        fields.insert("state", self.state.unwrap_or_default());
        if let Some(Duplicate { copy, width, height }) = &self.copy {
            fields.insert("copy", *copy);
            fields.insert("width", *width);
            fields.insert("height", *height);
        }
        Record {
            subject: Subject::Path(self.path.clone()),
            fields,
            outcome: Outcome::Labels {
                labels: vec![Labelled {
                    label: self.query.clone(),
                    probability: None,
                    logit: None,
                    cosine: Some(f64::from(self.cosine)),
                    group: None,
                    parents: Vec::new(),
                }],
                groups: Vec::new(),
                embedding: None,
            },
            thumbnail: self.thumbnail.clone(),
            // What has no thumbnail is not a file, or can't be read any more.
            file: self.thumbnail.is_some().then(|| PathBuf::from(&self.path)),
        }
    }
}

impl Outcome {
    /// Labels without groups and embedding.
    pub fn of_labels(labels: Vec<Labelled>) -> Self {
        Outcome::Labels {
            labels,
            groups: Vec::new(),
            embedding: None,
        }
    }

    /// The labels, highest score first; empty for a failure or an embedding.
    pub fn labels(&self) -> &[Labelled] {
        match self {
            Outcome::Labels { labels, .. } => labels,
            Outcome::Embedding(_) | Outcome::Found(_) | Outcome::Failed(_) => &[],
        }
    }

    /// The groups, highest probability first; empty for a failure or an embedding.
    pub fn groups(&self) -> &[Grouped] {
        match self {
            Outcome::Labels { groups, .. } => groups,
            Outcome::Embedding(_) | Outcome::Found(_) | Outcome::Failed(_) => &[],
        }
    }

    /// The probability of this group, if the record has it.
    pub(super) fn group_probability(&self, group: &str) -> Option<f64> {
        let mut groups = self.groups().iter();
        Some(groups.find(|grouped| grouped.group == group)?.probability)
    }

    /// The embedding, if there is one.
    pub fn embedding(&self) -> Option<&[f32]> {
        match self {
            Outcome::Embedding(values) => Some(values),
            Outcome::Labels { embedding, .. } => embedding.as_deref(),
            Outcome::Found(_) | Outcome::Failed(_) => None,
        }
    }

    /// Why the input failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Outcome::Failed(reason) => Some(reason),
            Outcome::Labels { .. } | Outcome::Embedding(_) | Outcome::Found(_) => None,
        }
    }
}

/// One label with its numbers. A kind of score that has no probability, logit or cosine leaves it `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Labelled {
    /// The label as given.
    pub label: String,
    /// The probability, 0 to 1.
    #[serde(serialize_with = "as_f32_or_null")]
    pub probability: Option<f64>,
    /// What the probability was computed from.
    #[serde(serialize_with = "as_f32_or_null")]
    pub logit: Option<f64>,
    /// Cosine similarity of image and label, -1 to 1.
    #[serde(serialize_with = "as_f32_or_null")]
    pub cosine: Option<f64>,
    /// The label's group, if labels have groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Of a tag, the names above it, from the top.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
}

impl Labelled {
    /// Its name, with the names above it.
    pub fn path(&self) -> TagPath {
        TagPath(self.parents.iter().chain([&self.label]).cloned().collect())
    }

    /// The number that labels are compared by: the probability, or else the cosine.
    pub fn score(&self) -> Option<f64> {
        self.probability.or(self.cosine)
    }

    /// The score for people: `75.0%`, or a cosine with four decimals; empty if there is none.
    pub(super) fn score_text(&self) -> String {
        match (self.probability, self.cosine) {
            (Some(probability), _) => percent(probability),
            (None, Some(cosine)) => format!("{cosine:.4}"),
            (None, None) => String::new(),
        }
    }
}

/// A probability for people: `75.0%`.
pub(super) fn percent(probability: f64) -> String {
    format!("{:.1}%", probability * 100.0)
}

/// A group of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grouped {
    /// The group's name.
    pub group: String,
    /// The sum of its labels' probabilities, 0 to 1.
    #[serde(serialize_with = "as_f32")]
    pub probability: f64,
}

/// The model computes in f32, so more digits would be noise.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_f32<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(*value as f32)
}

#[allow(clippy::ref_option, reason = "serde's signature")]
fn as_f32_or_null<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|value| value as f32).serialize(serializer)
}

/// A carried field with one of these names would appear twice in a JSON record.
const RESERVED_FIELDS: [&str; 4] = ["labels", "embedding", "error", "path"];

impl Record {
    /// The fields of the input, except those whose names we use ourselves.
    pub fn carried(&self) -> impl Iterator<Item = (&str, &Json)> {
        let key = self.subject.key();
        let has_groups = !self.outcome.groups().is_empty();
        let is_carried = move |(name, _): &(&str, &Json)| {
            *name != key && !RESERVED_FIELDS.contains(name) && !(has_groups && *name == "groups")
        };
        self.fields.iter().filter(is_carried)
    }

    /// The carried fields as one JSON object; `None` if there are none.
    pub(super) fn carried_json(&self) -> Option<String> {
        let mut object = "{".to_owned();
        for (name, value) in self.carried() {
            push_member(&mut object, name, value.as_str());
        }
        (object.len() > 1).then(|| object + "}")
    }

    /// The record as a JSON object: its subject, its fields as they are written in the input, its result.
    pub(super) fn json(&self) -> io::Result<Vec<u8>> {
        let mut object = "{".to_owned();
        push_member(&mut object, self.subject.key(), &self.subject.json());
        for (name, value) in self.carried() {
            push_member(&mut object, name, value.as_str());
        }
        match &self.outcome {
            Outcome::Labels {
                labels,
                groups,
                embedding,
            } => {
                push_member(&mut object, "labels", &serde_json::to_string(labels)?);
                if !groups.is_empty() {
                    push_member(&mut object, "groups", &serde_json::to_string(groups)?);
                }
                if let Some(values) = embedding {
                    push_member(&mut object, "embedding", &serde_json::to_string(values)?);
                }
            }
            Outcome::Embedding(values) => push_member(&mut object, "embedding", &serde_json::to_string(values)?),
            Outcome::Found(found) => push_member(&mut object, "found", &serde_json::to_string(found)?),
            Outcome::Failed(reason) => push_member(&mut object, "error", &serde_json::to_string(reason)?),
        }
        Ok((object + "}").into_bytes())
    }
}
