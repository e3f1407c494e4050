//! Labels: from files and templates to embeddings, which are computed once and cached for the next run.
//!
//! [`files`] reads labels, [`LabelList`] merges duplicates, [`Template`]s make prompts of names, and [`PromptEncoder`]
//! encodes prompts through a [`VectorCache`]. The result is a [`LabelSet`], whose rows `score` compares images with.
//! Several prompts of a label become one row as in upstream's zero-shot classifier
//! (`eval/classification/imagenet/imagenet.py`): normalise each, take the mean, normalise again.

mod cache;
mod cache_folder;
pub mod files;
mod groups;
mod list;
mod neutral;
mod notice;
mod prompts;
mod templates;

use std::ops::Range;

pub use self::cache::VectorCache;
pub use self::cache_folder::cache_folder;
pub use self::groups::Groups;
pub use self::list::{Label, LabelList};
pub use self::neutral::neutral_prompts;
pub use self::notice::Notice;
pub use self::prompts::{LongText, PromptEncoder};
pub use self::templates::{PublishedTemplates, Template, read_templates};
use crate::error::{Control, Error, Result, hint};
use crate::model::{Embeddings, LongClip, MeasuredTexts, TextEmbeddings, norm, normalize};
use crate::named::named;

/// How the embeddings of a label's prompts are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Combine {
    /// One row: the mean of the directions of the prompts. The embedding of a single prompt is not normalised.
    #[default]
    Mean,
    /// One row per prompt, as the tower returns it; the nearest one counts.
    Max,
}

named!(Combine, "way to combine prompts": Mean = "mean", Max = "max");

/// How labels become prompts, and prompts become rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recipe<'a> {
    /// Applied to labels without prompts of their own.
    pub templates: &'a [Template],
    /// How several prompts are combined.
    pub combine: Combine,
}

impl Recipe<'_> {
    fn prompts(&self, label: &Label) -> Vec<String> {
        if !label.prompts.is_empty() {
            return label.prompts.clone();
        }
        if self.templates.is_empty() {
            return vec![label.name.clone()];
        }
        let mut prompts: Vec<String> = Vec::with_capacity(self.templates.len());
        for template in self.templates {
            let prompt = template.fill(&label.name);
            if !prompts.contains(&prompt) {
                prompts.push(prompt);
            }
        }
        prompts
    }
}

/// At least one label, in the order given, each with one or more rows of embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSet {
    labels: Vec<String>,
    groups: Groups,
    /// The rows of each label, contiguous.
    rows: Vec<Range<usize>>,
    texts: MeasuredTexts,
    /// The index of the first label that has a mean of several embeddings as a row.
    averaged: Option<usize>,
    notices: Vec<Notice>,
}

/// The rows of a set while it is being encoded.
struct RowsInProgress {
    of_label: Vec<Range<usize>>,
    embeddings: Embeddings,
}

/// How many prompts are encoded before they are combined and freed: about 10 MB of rows.
const PROMPTS_AT_ONCE: usize = 4096;

impl LabelSet {
    /// Encodes labels as they are, without templates. Labels that are too long are truncated.
    ///
    /// # Errors
    /// As [`LabelSet::encode`].
    pub fn new(model: &LongClip, labels: Vec<String>) -> Result<Self> {
        let mut list = LabelList::default();
        list.extend(labels.into_iter().map(Label::plain))?;
        LabelSet::encode(&list, &Recipe::default(), &mut PromptEncoder::new(model))
    }

    /// Encodes a list of labels. Warnings for the user are in [`LabelSet::notices`].
    ///
    /// # Errors
    /// [`Error::Usage`] if the list is empty; otherwise as [`PromptEncoder::encode`].
    pub fn encode(list: &LabelList, recipe: &Recipe<'_>, encoder: &mut PromptEncoder<'_>) -> Result<Self> {
        if list.is_empty() {
            return Err(LabelSet::none_given());
        }
        let labels = list.labels();
        let mut notices = list.notices().to_vec();
        if !recipe.templates.is_empty() && labels.iter().all(|label| !label.prompts.is_empty()) {
            notices.push(Notice::TemplatesUnused);
        }
        let prompts: Vec<Vec<String>> = labels.iter().map(|label| recipe.prompts(label)).collect();
        if recipe.combine == Combine::Max && prompts.iter().all(|prompts| prompts.len() == 1) {
            notices.push(Notice::CombineUnused);
        }
        let mut rows = RowsInProgress {
            of_label: Vec::with_capacity(labels.len()),
            embeddings: Embeddings::new(Vec::new(), encoder.embed_dim()),
        };
        let mut rest = prompts.as_slice();
        while !rest.is_empty() {
            let mut n_prompts = 0;
            let fits = rest.iter().take_while(|prompts| {
                n_prompts += prompts.len();
                n_prompts <= PROMPTS_AT_ONCE
            });
            let (now, later) = rest.split_at(fits.count().max(1));
            rows.append(now, recipe.combine, encoder)?;
            rest = later;
        }
        notices.extend(encoder.take_notices());
        let is_chunked = |prompt: &String| {
            let is_it = |notice: &Notice| matches!(notice, Notice::Chunked { text, .. } if text == prompt);
            notices.iter().any(is_it)
        };
        let is_mean = |prompts: &Vec<String>| {
            (recipe.combine == Combine::Mean && prompts.len() > 1) || prompts.iter().any(is_chunked)
        };
        let averaged = prompts.iter().position(is_mean);
        Ok(LabelSet {
            labels: labels.iter().map(|label| label.name.clone()).collect(),
            groups: Groups::new(labels),
            rows: rows.of_label,
            texts: MeasuredTexts::new(TextEmbeddings(rows.embeddings)),
            averaged,
            notices,
        })
    }

    /// The error for an empty list of labels.
    pub fn none_given() -> Error {
        Error::usage(
            "no labels given",
            hint!("list what the image may show: {}", Control::Labels),
        )
    }

    /// The labels as given.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The groups of the labels.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The rows of all labels, `(n_rows, embed_dim)`. The row of a label with a single prompt is not normalised.
    pub fn embeddings(&self) -> &TextEmbeddings {
        self.texts.rows()
    }

    /// Like [`LabelSet::embeddings`], with the norm of each row, as `score` needs them.
    pub fn texts(&self) -> &MeasuredTexts {
        &self.texts
    }

    /// The rows of each label: one, or one per prompt with [`Combine::Max`].
    pub fn rows(&self) -> &[Range<usize>] {
        &self.rows
    }

    /// The first label that has a mean of several embeddings as a row, if there is one. Such a row has no length of its
    /// own.
    pub fn averaged(&self) -> Option<&str> {
        self.averaged.map(|label| self.labels[label].as_str())
    }

    /// Warnings for the user.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }
}

impl RowsInProgress {
    fn append(&mut self, labels: &[Vec<String>], combine: Combine, encoder: &mut PromptEncoder<'_>) -> Result<()> {
        let rows = match combine {
            Combine::Mean => encoder.means(labels)?,
            Combine::Max => encoder.encode(&labels.concat())?,
        };
        let mut start = self.embeddings.len();
        for prompts in labels {
            let n_rows = if combine == Combine::Mean { 1 } else { prompts.len() };
            self.of_label.push(start..start + n_rows);
            start += n_rows;
        }
        self.embeddings.append(&rows);
        Ok(())
    }
}

/// The mean of directions, with unit length: `normalize(Σ normalize(row) / n)`. A single row is returned unchanged.
fn mean_direction(rows: &Embeddings) -> Vec<f32> {
    if rows.len() == 1 {
        return rows.row(0).to_vec();
    }
    let mut sum = vec![0f64; rows.embed_dim()];
    for row in rows.rows() {
        let norm = norm(row);
        if norm > 0.0 {
            sum.iter_mut()
                .zip(row)
                .for_each(|(sum, v)| *sum += f64::from(*v) / norm);
        }
    }
    let n = rows.len() as f64;
    let mut mean: Vec<f32> = sum.into_iter().map(|v| (v / n) as f32).collect();
    normalize(&mut mean);
    mean
}

#[cfg(test)]
mod tests;
