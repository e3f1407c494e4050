//! Labels: what the user asks for, from files and templates to embeddings, encoded once and kept for the next run.
//!
//! [`files`] reads them, [`LabelList`] merges what comes twice, [`Template`]s make prompts of names, [`PromptEncoder`]
//! encodes prompts through a [`VectorCache`], and [`LabelSet`] has the rows that `score` compares pictures with. Several
//! prompts of a label become one row as in upstream's zero-shot classifier
//! (`eval/classification/imagenet/imagenet.py`: each made unit length, their mean, unit length again).

mod cache;
pub mod files;
mod list;
mod notice;
mod prompts;
mod templates;

use std::ops::Range;

pub use self::cache::VectorCache;
pub use self::list::{Label, LabelList};
pub use self::notice::Notice;
pub use self::prompts::{LongText, PromptEncoder};
pub use self::templates::{PublishedTemplates, Template, read_templates};
use crate::error::{Error, Result};
use crate::model::{Embeddings, LongClip, TextEmbeddings, normalize};

/// How the prompts of a label become its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Combine {
    /// One row: the mean of the prompts' directions. A single prompt keeps its length.
    #[default]
    Mean,
    /// A row a prompt, each unit length; the nearest one counts.
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
    groups: Vec<Option<String>>,
    /// The rows of each label, end to end.
    rows: Vec<Range<usize>>,
    embeddings: TextEmbeddings,
    notices: Vec<Notice>,
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
        let mut set = LabelSet {
            labels: list.labels().iter().map(|label| label.name.clone()).collect(),
            groups: list.labels().iter().map(|label| label.group.clone()).collect(),
            rows: Vec::with_capacity(list.labels().len()),
            embeddings: TextEmbeddings(Embeddings::new(Vec::new(), encoder.embed_dim())),
            notices: list.notices().to_vec(),
        };
        if !recipe.templates.is_empty() && list.labels().iter().all(|label| !label.prompts.is_empty()) {
            set.notices.push(Notice::TemplatesUnused);
        }
        let prompts: Vec<Vec<String>> = list.labels().iter().map(|label| recipe.prompts(label)).collect();
        let mut rest = prompts.as_slice();
        while !rest.is_empty() {
            let mut n_prompts = 0;
            let fits = rest.iter().take_while(|prompts| {
                n_prompts += prompts.len();
                n_prompts <= PROMPTS_AT_ONCE
            });
            let (now, later) = rest.split_at(fits.count().max(1));
            set.append(now, recipe.combine, encoder)?;
            rest = later;
        }
        set.notices.extend(encoder.take_notices());
        Ok(set)
    }

    fn append(&mut self, labels: &[Vec<String>], combine: Combine, encoder: &mut PromptEncoder<'_>) -> Result<()> {
        let rows = match combine {
            Combine::Mean => encoder.means(labels)?,
            Combine::Max => encoder.encode(&labels.concat())?,
        };
        let mut start = self.embeddings.0.len();
        for prompts in labels {
            let n_rows = if combine == Combine::Mean { 1 } else { prompts.len() };
            self.rows.push(start..start + n_rows);
            start += n_rows;
        }
        self.embeddings.0.append(&rows);
        Ok(())
    }

    /// What is wrong where there is no label.
    pub fn none_given() -> Error {
        Error::usage(
            "no labels given",
            "say what the picture may show: `--labels \"a cat\" \"a dog\"`, or `--labels-file FILE`",
        )
    }

    /// The labels as given.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The group of each label, where it has one.
    pub fn groups(&self) -> &[Option<String>] {
        &self.groups
    }

    /// The rows of each label, `(n_rows, embed_dim)` all together; not normalised where a label has one prompt.
    pub fn embeddings(&self) -> &TextEmbeddings {
        &self.embeddings
    }

    /// Which rows of the embeddings belong to each label: one, or one a prompt with [`Combine::Max`].
    pub fn rows(&self) -> &[Range<usize>] {
        &self.rows
    }

    /// What the person should know.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }
}

/// The mean of directions, unit length: `normalize(Σ normalize(row) / n)`. A single row stays as it is.
fn mean_direction(rows: &Embeddings) -> Vec<f32> {
    if rows.len() == 1 {
        return rows.row(0).to_vec();
    }
    let mut sum = vec![0f64; rows.embed_dim()];
    for row in rows.rows() {
        let norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
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
