//! Labels: what the user asks for, checked and encoded once.

use crate::error::{Error, Result};
use crate::model::{LongClip, TextEmbeddings};

/// At least one label, in the order given; row i of the embeddings belongs to label i.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSet {
    labels: Vec<String>,
    embeddings: TextEmbeddings,
}

impl LabelSet {
    /// Encodes labels.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no label or an empty one; else those of encoding.
    pub fn new(model: &LongClip, labels: Vec<String>) -> Result<Self> {
        if labels.is_empty() {
            return Err(Error::usage(
                "no labels given",
                "say what the picture may show: `--labels \"a cat\" \"a dog\"`, or `--labels-file FILE`",
            ));
        }
        if let Some(place) = labels.iter().position(|label| label.trim().is_empty()) {
            return Err(Error::usage(
                format!("label {} of {} is empty", place + 1, labels.len()),
                "leave it out, or write what it should say",
            ));
        }
        let embeddings = model.encode_texts(&labels)?;
        Ok(LabelSet { labels, embeddings })
    }

    /// The labels as given.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// One embedding a label, `(n_labels, embed_dim)`, not normalised.
    pub fn embeddings(&self) -> &TextEmbeddings {
        &self.embeddings
    }
}
