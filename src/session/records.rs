//! Records of results: what every format writes for an item.

use std::num::NonZeroUsize;

use super::Answer;
use crate::input::{Content, Item, Name};
use crate::output::{Outcome, Record, Subject, Thumbnail};
use crate::score::{OneView, Views};

/// What a record of labels has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordOptions {
    /// The most labels; all if `None`.
    pub top_k: Option<NonZeroUsize>,
    /// Whether it has the image's embedding too, which is only possible if there is one.
    pub embeddings: Option<OneView>,
}

impl RecordOptions {
    /// The outcome that holds an answer.
    pub fn outcome(&self, mut answer: Answer, views: Views) -> Outcome {
        answer.labels.truncate(self.top_k.map_or(usize::MAX, NonZeroUsize::get));
        Outcome::Labels {
            labels: answer.labels,
            groups: answer.groups,
            embedding: self.embeddings.map(|one| views.into_embedding(one)),
        }
    }
}

/// The record of an item.
pub fn record(item: Item, outcome: Outcome, thumbnail: Option<Thumbnail>) -> Record {
    Record {
        file: match item.content {
            Content::File(path) => Some(path),
            _ => None,
        },
        subject: match item.name {
            Name::Path(path) => Subject::Path(path),
            Name::Raw(path) => Subject::Raw(path),
            Name::Id(id) => Subject::Id(id),
        },
        fields: item.fields,
        outcome,
        thumbnail,
    }
}
