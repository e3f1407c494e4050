//! Labels: what the user asks for, from files and templates to embeddings, encoded once and kept for the next run.
//!
//! [`files`] reads them, [`LabelList`] merges what comes twice, [`Template`]s make prompts of names, [`PromptEncoder`]
//! encodes prompts through a [`VectorCache`], and [`LabelSet`] has the rows that `score` compares pictures with. Several
//! prompts of a label become one row as in upstream's zero-shot classifier
//! (`eval/classification/imagenet/imagenet.py`: each made unit length, their mean, unit length again).

mod cache;
pub mod files;
mod groups;
mod list;
mod neutral;
mod notice;
mod prompts;
mod templates;

use std::ops::Range;

pub use self::cache::VectorCache;
pub use self::groups::Groups;
pub use self::list::{Label, LabelList};
pub use self::neutral::neutral_prompts;
pub use self::notice::Notice;
pub use self::prompts::{LongText, PromptEncoder};
pub use self::templates::{PublishedTemplates, Template, read_templates};
use crate::error::{Control, Error, Result, hint};
use crate::model::{Embeddings, LongClip, MeasuredTexts, TextEmbeddings, norm, normalize};

/// How the prompts of a label become its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Combine {
    /// One row: the mean of the prompts' directions. A single prompt keeps its length.
    #[default]
    Mean,
    /// A row a prompt, as the tower gives it; the nearest one counts.
    Max,
}

/// How labels become prompts and prompts become rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recipe<'a> {
    /// Applied to labels that have no prompts of their own.
    pub templates: &'a [Template],
    /// What becomes of several prompts.
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

/// At least one label, in the order given, each with one row of the embeddings or more.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSet {
    labels: Vec<String>,
    groups: Groups,
    /// The rows of each label, end to end.
    rows: Vec<Range<usize>>,
    texts: MeasuredTexts,
    /// The first label with a row that is a mean.
    averaged: Option<usize>,
    notices: Vec<Notice>,
}

/// The rows of a set that is being encoded.
struct Rows {
    of_label: Vec<Range<usize>>,
    embeddings: Embeddings,
}

/// Prompts that are encoded before they are combined and let go: some 10 MB of rows.
const PROMPTS_AT_ONCE: usize = 4096;

impl LabelSet {
    /// Encodes labels as they stand: no templates, over-long ones cut.
    ///
    /// # Errors
    /// As [`LabelSet::encode`].
    pub fn new(model: &LongClip, labels: Vec<String>) -> Result<Self> {
        let mut list = LabelList::default();
        list.extend(labels.into_iter().map(Label::plain))?;
        LabelSet::encode(&list, &Recipe::default(), &mut PromptEncoder::new(model))
    }

    /// Encodes a list of labels. What the person should know is in [`LabelSet::notices`].
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no label; else as [`PromptEncoder::encode`].
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
        let mut rows = Rows {
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
        let in_parts = |prompt: &String| {
            let is_it = |notice: &Notice| matches!(notice, Notice::Chunked { text, .. } if text == prompt);
            notices.iter().any(is_it)
        };
        let is_mean = |prompts: &Vec<String>| {
            (recipe.combine == Combine::Mean && prompts.len() > 1) || prompts.iter().any(in_parts)
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

    /// What is wrong where there is no label.
    pub fn none_given() -> Error {
        Error::usage(
            "no labels given",
            hint!("say what the image may show: {}", Control::Labels),
        )
    }

    /// The labels as given.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The groups that the labels make.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The rows of each label, `(n_rows, embed_dim)` all together; not normalised where a label has one prompt.
    pub fn embeddings(&self) -> &TextEmbeddings {
        self.texts.rows()
    }

    /// As [`LabelSet::embeddings`], with the rows' lengths: what `score` compares pictures with.
    pub fn texts(&self) -> &MeasuredTexts {
        &self.texts
    }

    /// Which rows of the embeddings belong to each label: one, or one a prompt with [`Combine::Max`].
    pub fn rows(&self) -> &[Range<usize>] {
        &self.rows
    }

    /// A label with a row that is a mean of several, where there is one: such a row has no length of its own.
    pub fn averaged(&self) -> Option<&str> {
        self.averaged.map(|label| self.labels[label].as_str())
    }

    /// What the person should know.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }
}

impl Rows {
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

/// The mean of directions, unit length: `normalize(Σ normalize(row) / n)`. A single row stays as it is.
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
