//! The labels that a caller asked for, and their embeddings by a model. Each label is encoded once, also if records have
//! labels of their own.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::path::PathBuf;

use serde_json::json;

use super::shards::Facts;
use super::{Grouping, ScorePlan};
use crate::error::Result;
use crate::labels::{
    Combine, Label, LabelList, LabelSet, LongText, Notice, PromptEncoder, Recipe, SameTokens, Template, VectorCache,
    Vocabulary,
};
use crate::model::LongClip;
use crate::score::Temperature;

/// What images may show, read and checked.
#[derive(Debug, Clone, Default)]
pub struct Labelling {
    /// The run's labels; none if each record brings its own.
    pub list: LabelList,
    /// Applied to labels without prompts of their own.
    pub templates: Vec<Template>,
    /// How several prompts of a label count.
    pub combine: Combine,
    /// What happens to labels that the model can't distinguish.
    pub same_tokens: SameTokens,
    /// What happens to a text of more tokens than the model reads.
    pub long_text: LongText,
    /// Where embeddings are kept from run to run, if they are.
    pub cache_root: Option<PathBuf>,
    /// Whether probabilities are summed up by group.
    pub grouping: Grouping,
}

impl Labelling {
    /// The tags of a vocabulary. Those of files are asked by `templates`, or by the usual one if there is none.
    ///
    /// # Errors
    /// As [`Template::new`] and [`Vocabulary::labels`].
    pub fn of_vocabulary(vocabulary: &Vocabulary, templates: &[String], cache_root: Option<PathBuf>) -> Result<Self> {
        const USUAL: &str = "a photo of {}";
        let are_given = !templates.is_empty();
        let templates = match are_given {
            true => templates
                .iter()
                .map(|text| Template::new(text))
                .collect::<Result<_>>()?,
            false => vec![Template::new(USUAL)?],
        };
        Ok(Labelling {
            list: vocabulary.labels(&templates)?,
            // A default that changes nothing is no reason for a notice.
            templates: match are_given || vocabulary.needs_templates() {
                true => templates,
                false => Vec::new(),
            },
            cache_root,
            ..Labelling::default()
        })
    }

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

    /// What records depend on of these labels and their scores, by name.
    pub fn facts(&self, scores: &ScorePlan) -> Facts {
        let label = |label: &Label| match label.prompts.is_empty() && label.group.is_none() {
            true => json!(label.name),
            false => json!({"label": label.name, "prompts": label.prompts, "group": label.group}),
        };
        let templates = self.templates.iter().map(|template| template.fill("{}"));
        let temperature = scores.temperature.map_or(1.0, Temperature::value);
        Facts::from_iter([
            ("labels".into(), self.list.labels().iter().map(label).collect()),
            ("templates".into(), templates.collect()),
            ("group_by".into(), (self.grouping == Grouping::ByGroup).into()),
            ("score".into(), scores.score.to_string().into()),
            ("temperature".into(), temperature.into()),
            ("neutral".into(), scores.neutral_prompts().into()),
        ])
    }

    fn recipe(&self) -> Recipe<'_> {
        Recipe {
            templates: &self.templates,
            combine: self.combine,
            same_tokens: self.same_tokens,
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
    /// Notices that were reported already and are not repeated: they are about all labels, not about a single one.
    given: Vec<Discriminant<Notice>>,
}

impl<'a> OwnLabels<'a> {
    /// `given` are the notices about the run's labels, which were reported already.
    pub(super) fn new(model: &'a LongClip, labelling: &'a Labelling, given: &[Notice]) -> Self {
        OwnLabels {
            given: given.iter().filter_map(once_per_run).collect(),
            labelling,
            encoder: PromptEncoder::new(model).long_text(labelling.long_text),
            sets: HashMap::new(),
            notices: Vec::new(),
        }
    }

    /// The set of these labels.
    pub(super) fn set(&mut self, labels: &[String], scores: &ScorePlan) -> Result<&LabelSet> {
        if !self.sets.contains_key(labels) {
            let list = self.labelling.own_list(labels)?;
            let set = LabelSet::encode(&list, &self.labelling.recipe(), &mut self.encoder)?;
            for notice in set.notices().iter().cloned().chain(scores.notice(&set)) {
                self.add(notice);
            }
            if self.sets.len() >= MAX_SETS {
                self.sets.clear();
            }
            self.sets.insert(labels.to_vec(), set);
        }
        Ok(&self.sets[labels])
    }

    fn add(&mut self, notice: Notice) {
        if matches!(notice, Notice::CombineUnused | Notice::TemplatesUnused) {
            return;
        }
        if let Some(kind) = once_per_run(&notice) {
            if self.given.contains(&kind) {
                return;
            }
            self.given.push(kind);
        }
        self.notices.push(notice);
    }

    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }
}

fn once_per_run(notice: &Notice) -> Option<Discriminant<Notice>> {
    let is_general = matches!(notice, Notice::OnlyLabel { .. } | Notice::Negation { .. });
    is_general.then(|| discriminant(notice))
}
