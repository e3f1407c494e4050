//! The row of every format: what was asked about, and what came of it.

use serde::{Serialize, Serializer};

/// One input's result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// What the person named.
    pub path: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What `embed` was asked about.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// A picture, by what the person named.
    Path(String),
    /// A text.
    Text(String),
}

/// The row of `embed`: a picture or a text, and its vector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbeddingRecord {
    /// What was asked about.
    #[serde(flatten)]
    pub input: Input,
    /// Its vector, or why there is none.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A result or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Outcome {
    /// Labels, the likeliest first.
    #[serde(rename = "labels")]
    Labels(Vec<Labelled>),
    /// Numbers of the joint space.
    #[serde(rename = "embedding")]
    Embedding(Vec<f32>),
    /// Why this input gave nothing.
    #[serde(rename = "error")]
    Failed(String),
}

/// One label and its numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Labelled {
    /// The label as given.
    pub label: String,
    /// Softmax over the labels, 0 to 1.
    #[serde(serialize_with = "as_f32")]
    pub probability: f64,
    /// What the softmax was taken of.
    #[serde(serialize_with = "as_f32")]
    pub logit: f64,
    /// Cosine of picture and label, -1 to 1.
    #[serde(serialize_with = "as_f32")]
    pub cosine: f64,
}

/// The model computes in f32: more digits would be noise.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_f32<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(*value as f32)
}
