//! Labels as asked for, and what a model makes of them: each encoded once, also for records that bring their own.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Grouping;
use crate::error::Result;
use crate::labels::{
    Combine, Label, LabelList, LabelSet, LongText, Notice, PromptEncoder, Recipe, Template, VectorCache,
};
use crate::model::LongClip;

/// What images may show, read and checked.
#[derive(Debug, Clone, Default)]
pub struct Labelling {
    /// The run's labels; none if each record brings its own.
    pub list: LabelList,
    /// Applied to labels without prompts of their own.
    pub templates: Vec<Template>,
    /// How several prompts of a label count.
    pub combine: Combine,
    /// What happens to a text of more tokens than the model reads.
    pub long_text: LongText,
    /// Where embeddings are kept from run to run, if they are.
    pub cache_root: Option<PathBuf>,
    /// Whether probabilities are summed up by group.
    pub grouping: Grouping,
}

impl Labelling {
    /// An encoder that keeps what it encodes for the next run.
    pub fn encoder<'a>(&self, model: &'a LongClip) -> PromptEncoder<'a> {
        let encoder = PromptEncoder::new(model).long_text(self.long_text);
        match &self.cache_root {
            Some(root) => encoder.cache(VectorCache::open(root, model)),
            None => encoder,
        }
    }

    /// The run's labels, if there are any.
    ///
    /// # Errors
    /// As [`LabelSet::encode`].
    pub fn encode(&self, encoder: &mut PromptEncoder<'_>) -> Result<Option<LabelSet>> {
        if self.list.is_empty() {
            return Ok(None);
        }
        LabelSet::encode(&self.list, &self.recipe(), encoder).map(Some)
    }

    fn recipe(&self) -> Recipe<'_> {
        Recipe {
            templates: &self.templates,
            combine: self.combine,
        }
    }

    /// A record's labels. One that the run's files define has the prompts and the group that it has there.
    fn own_list(&self, names: &[String]) -> Result<LabelList> {
        let mut list = LabelList::default();
        list.extend(names.iter().map(|name| match self.list.find(name.trim()) {
            Some(known) => known.clone(),
            None => Label::plain(name),
        }))?;
        Ok(list)
    }
}

/// Label sets that are kept. Records mostly share a few; if each has its own, keeping more would only cost memory.
const MAX_SETS: usize = 256;

/// Labels that records bring: encoded once, kept while there are not too many, and not beyond the run.
pub(super) struct OwnLabels<'a> {
    labelling: &'a Labelling,
    encoder: PromptEncoder<'a>,
    sets: HashMap<Vec<String>, LabelSet>,
    notices: Vec<Notice>,
}

impl<'a> OwnLabels<'a> {
    pub(super) fn new(model: &'a LongClip, labelling: &'a Labelling) -> Self {
        OwnLabels {
            labelling,
            encoder: PromptEncoder::new(model).long_text(labelling.long_text),
            sets: HashMap::new(),
            notices: Vec::new(),
        }
    }

    /// The set of these labels.
    pub(super) fn set(&mut self, labels: &[String]) -> Result<&LabelSet> {
        if !self.sets.contains_key(labels) {
            let list = self.labelling.own_list(labels)?;
            let set = LabelSet::encode(&list, &self.labelling.recipe(), &mut self.encoder)?;
            let of_these = |notice: &&Notice| !matches!(notice, Notice::CombineUnused | Notice::TemplatesUnused);
            self.notices.extend(set.notices().iter().filter(of_these).cloned());
            if self.sets.len() >= MAX_SETS {
                self.sets.clear();
            }
            self.sets.insert(labels.to_vec(), set);
        }
        Ok(&self.sets[labels])
    }

    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }
}
