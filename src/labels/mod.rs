//! Labels: from files and templates to embeddings, which are computed once and cached for the next run.
//!
//! [`files`] reads labels, [`LabelList`] merges duplicates, [`Template`]s make prompts of names, and [`PromptEncoder`]
//! encodes prompts through a [`VectorCache`]. The result is a [`LabelSet`], whose rows `score` compares images with.
//! Several prompts of a label become one row as in upstream's zero-shot classifier
//! (`eval/classification/imagenet/imagenet.py`): normalise each, take the mean, normalise again.

mod cache;
mod distinct;
pub mod files;
mod groups;
mod list;
mod negation;
mod neutral;
mod notice;
mod prompts;
mod templates;
mod vocabulary;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

pub use self::cache::VectorCache;
use self::distinct::Distinct;
pub use self::distinct::SameTokens;
pub use self::groups::Groups;
pub use self::list::{Label, LabelList};
pub use self::neutral::neutral_prompts;
pub use self::notice::{Notice, NoticeKind};
pub use self::prompts::{LongText, PromptEncoder};
pub use self::templates::{PublishedTemplates, Template, named_templates, read_templates};
pub use self::vocabulary::{BuiltIn, Vocabulary};
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
    /// What happens to labels that the model can't distinguish.
    pub same_tokens: SameTokens,
}

impl Recipe<'_> {
    fn prompts(&self, label: &Label) -> Vec<String> {
        if !label.prompts.is_empty() {
            return label.prompts.clone();
        }
        if self.templates.is_empty() {
            return vec![label.name.clone()];
        }
        let filled = self.templates.iter().map(|template| template.fill(&label.name));
        without_repeats(filled.collect())
    }
}

/// The texts without repetitions, in their order.
fn without_repeats(texts: Vec<String>) -> Vec<String> {
    let mut known: HashSet<&str> = HashSet::with_capacity(texts.len());
    let is_first: Vec<bool> = texts.iter().map(|text| known.insert(text)).collect();
    let texts = texts.into_iter().zip(is_first);
    texts.filter_map(|(text, is_first)| is_first.then_some(text)).collect()
}

/// At least one label, in the order given, each with one or more rows of embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSet {
    labels: Vec<String>,
    /// The index of each name that was given, also of those that count under another name.
    places: HashMap<String, usize>,
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
        let mut notices = list.notices();
        notices.extend(negation::notice(labels));
        if !recipe.templates.is_empty() && labels.iter().all(|label| !label.prompts.is_empty()) {
            notices.push(Notice::TemplatesUnused);
        }
        let prompts: Vec<Vec<String>> = labels.iter().map(|label| recipe.prompts(label)).collect();
        if recipe.combine == Combine::Max && prompts.iter().all(|prompts| prompts.len() == 1) {
            notices.push(Notice::CombineUnused);
        }
        let left = match recipe.same_tokens {
            SameTokens::Merge => Distinct::of(labels, prompts, encoder)?,
            SameTokens::Keep => Distinct::all(labels, prompts),
        };
        notices.extend(left.notices);
        let prompts = left.prompts;
        let mut rows = RowsInProgress {
            of_label: Vec::with_capacity(prompts.len()),
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
        let averaged = averaged(&prompts, recipe.combine, &notices);
        let names = labels.iter().map(|label| label.name.clone());
        Ok(LabelSet {
            places: names.zip(left.places).collect(),
            groups: Groups::new(&left.labels),
            labels: left.labels.into_iter().map(|label| label.name).collect(),
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

    /// The labels as given, without those that the model reads like an earlier one.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The index of a label by its name as given, also if it counts under another name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
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

/// The index of the first label whose row is a mean of several embeddings.
fn averaged(prompts: &[Vec<String>], combine: Combine, notices: &[Notice]) -> Option<usize> {
    let in_parts = notices.iter().filter_map(|notice| match notice {
        Notice::Chunked { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let in_parts: HashSet<&str> = in_parts.collect();
    prompts.iter().position(|prompts| {
        let are_combined = combine == Combine::Mean && prompts.len() > 1;
        are_combined || prompts.iter().any(|prompt| in_parts.contains(prompt.as_str()))
    })
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
