//! The row of every format: what was asked about, what goes with it, and what came of it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// One input's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What was asked about.
    pub subject: Subject,
    /// Fields of the input that the output carries too; ours go before them where names are equal.
    pub fields: Map<String, Value>,
    /// What came of it.
    pub outcome: Outcome,
    /// The picture, small, for formats that show it.
    pub thumbnail: Option<Thumbnail>,
}

/// A small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// A jpeg of it.
    pub photo: Vec<u8>,
    /// A jpeg of it with a heat map over it, where that was asked for.
    pub heat: Option<Vec<u8>>,
}

/// What was asked about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A picture, by what the person named.
    Path(String),
    /// A picture, by the `id` of its input record.
    Id(Value),
    /// A text.
    Text(String),
}

impl Subject {
    /// Its field's name.
    pub fn key(&self) -> &'static str {
        match self {
            Subject::Path(_) => "path",
            Subject::Id(_) => "id",
            Subject::Text(_) => "text",
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::Path(text) | Subject::Text(text) | Subject::Id(Value::String(text)) => f.write_str(text),
            Subject::Id(value) => write!(f, "{value}"),
        }
    }
}

/// A result or the reason why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// How labels fit.
    Labels {
        /// The likeliest first; none where none reaches the least score that was asked for.
        labels: Vec<Labelled>,
        /// What they sum up to by group, the likeliest first; empty where that wasn't asked for.
        groups: Vec<Grouped>,
        /// The picture's vector, where it was asked for.
        embedding: Option<Vec<f32>>,
    },
    /// Numbers of the joint space.
    Embedding(Vec<f32>),
    /// Why this input gave nothing.
    Failed(String),
}

impl Outcome {
    /// The labels, the likeliest first; none where it failed or none were asked for.
    pub fn labels(&self) -> &[Labelled] {
        match self {
            Outcome::Labels { labels, .. } => labels,
            Outcome::Embedding(_) | Outcome::Failed(_) => &[],
        }
    }

    /// The groups, the likeliest first; none where it failed or none were asked for.
    pub fn groups(&self) -> &[Grouped] {
        match self {
            Outcome::Labels { groups, .. } => groups,
            Outcome::Embedding(_) | Outcome::Failed(_) => &[],
        }
    }

    /// The vector, where there is one.
    pub fn embedding(&self) -> Option<&[f32]> {
        match self {
            Outcome::Embedding(values) => Some(values),
            Outcome::Labels { embedding, .. } => embedding.as_deref(),
            Outcome::Failed(_) => None,
        }
    }

    /// Why there is no result.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Outcome::Failed(reason) => Some(reason),
            Outcome::Labels { .. } | Outcome::Embedding(_) => None,
        }
    }
}

/// One label and its numbers. Where a score has no such number there is none, in every format.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Labelled {
    /// The label as given.
    pub label: String,
    /// How likely it is, 0 to 1.
    #[serde(serialize_with = "as_f32_or_null")]
    pub probability: Option<f64>,
    /// What the probability was made of.
    #[serde(serialize_with = "as_f32_or_null")]
    pub logit: Option<f64>,
    /// Cosine of picture and label, -1 to 1.
    #[serde(serialize_with = "as_f32_or_null")]
    pub cosine: Option<f64>,
    /// The group that it counts for, where labels are grouped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Labelled {
    /// What labels are compared by: the probability, or the cosine where there is none.
    pub fn score(&self) -> Option<f64> {
        self.probability.or(self.cosine)
    }
}

/// A group of labels and what they sum up to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grouped {
    /// The group's name.
    pub group: String,
    /// The sum of its labels' probabilities, 0 to 1.
    #[serde(serialize_with = "as_f32")]
    pub probability: f64,
}

/// The model computes in f32: more digits would be noise.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_f32<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(*value as f32)
}

#[allow(clippy::ref_option, reason = "serde's signature")]
fn as_f32_or_null<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|value| value as f32).serialize(serializer)
}

/// Names that a carried field can't have: they would stand twice in a line.
const OURS: [&str; 4] = ["labels", "embedding", "error", "path"];

impl Record {
    /// The carried fields whose names are not ours.
    pub fn carried(&self) -> impl Iterator<Item = (&String, &Value)> {
        let key = self.subject.key();
        let has_groups = !self.outcome.groups().is_empty();
        let is_carried = move |(name, _): &(&String, &Value)| {
            *name != key && !OURS.contains(&name.as_str()) && !(has_groups && *name == "groups")
        };
        self.fields.iter().filter(is_carried)
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.subject {
            Subject::Path(text) | Subject::Text(text) => map.serialize_entry(self.subject.key(), text)?,
            Subject::Id(value) => map.serialize_entry(self.subject.key(), value)?,
        }
        for (name, value) in self.carried() {
            map.serialize_entry(name, value)?;
        }
        match &self.outcome {
            Outcome::Labels {
                labels,
                groups,
                embedding,
            } => {
                map.serialize_entry("labels", labels)?;
                if !groups.is_empty() {
                    map.serialize_entry("groups", groups)?;
                }
                if let Some(values) = embedding {
                    map.serialize_entry("embedding", values)?;
                }
            }
            Outcome::Embedding(values) => map.serialize_entry("embedding", values)?,
            Outcome::Failed(reason) => map.serialize_entry("error", reason)?,
        }
        map.end()
    }
}
