//! Labels as asked for, and what a model makes of them: each encoded once, also for records that bring their own.

use std::collections::HashMap;
use std::path::PathBuf;

pub(super) use longclip::Grouping;
use longclip::Result;
use longclip::labels::{
    Combine, Label, LabelList, LabelSet, LongText, Notice, PromptEncoder, Recipe, Template, VectorCache,
};
use longclip::model::LongClip;
use serde_json::json;

use super::report::Report;
use super::shards::Facts;

/// What pictures may show, read and checked.
#[derive(Debug)]
pub(super) struct Labelling {
    /// The run's labels; none where each record brings its own.
    pub(super) list: LabelList,
    pub(super) templates: Vec<Template>,
    pub(super) combine: Combine,
    pub(super) long_text: LongText,
    /// Where vectors are kept from run to run, if they are.
    pub(super) cache_root: Option<PathBuf>,
    pub(super) grouping: Grouping,
}

impl Labelling {
    /// An encoder that keeps what it encodes for the next run.
    pub(super) fn encoder<'a>(&self, model: &'a LongClip) -> PromptEncoder<'a> {
        let encoder = PromptEncoder::new(model).long_text(self.long_text);
        match &self.cache_root {
            Some(root) => encoder.cache(VectorCache::open(root, model)),
            None => encoder,
        }
    }

    /// What records depend on, by name.
    pub(super) fn facts(&self) -> Facts {
        let label = |label: &Label| {
            if label.prompts.is_empty() && label.group.is_none() {
                return json!(label.name);
            }
            json!({"label": label.name, "prompts": label.prompts, "group": label.group})
        };
        let templates = self.templates.iter().map(|template| template.fill("{}"));
        let combine = match self.combine {
            Combine::Mean => "mean",
            Combine::Max => "max",
        };
        let long_text = match self.long_text {
            LongText::Truncate => "truncate",
            LongText::Refuse => "error",
            LongText::Chunk => "chunk",
        };
        Facts::from_iter([
            ("labels".into(), self.list.labels().iter().map(label).collect()),
            ("templates".into(), templates.collect()),
            ("combine".into(), combine.into()),
            ("long_text".into(), long_text.into()),
            ("group_by".into(), (self.grouping == Grouping::ByGroup).into()),
        ])
    }

    fn recipe(&self) -> Recipe<'_> {
        Recipe {
            templates: &self.templates,
            combine: self.combine,
        }
    }

    /// The run's labels, if there are any.
    pub(super) fn run_labels(&self, encoder: &mut PromptEncoder<'_>, report: Report) -> Result<Option<LabelSet>> {
        if self.list.is_empty() {
            return Ok(None);
        }
        let set = LabelSet::encode(&self.list, &self.recipe(), encoder)?;
        say(set.notices(), report);
        Ok(Some(set))
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

/// Says what a person should know about their labels.
pub(super) fn say(notices: &[Notice], report: Report) {
    for notice in notices {
        match notice {
            Notice::Chunked { .. } | Notice::NotKept { .. } => report.note(notice),
            _ => report.warning(notice),
        }
    }
}

/// Label sets that are kept. Records mostly share a few; where each has its own, keeping more would only cost memory.
const MOST_SETS: usize = 256;

/// Labels that pictures' records bring: encoded once, kept while there are not too many, and not beyond the run.
pub(super) struct OwnLabels<'a> {
    labelling: &'a Labelling,
    encoder: PromptEncoder<'a>,
    sets: HashMap<Vec<String>, LabelSet>,
    report: Report,
}

impl<'a> OwnLabels<'a> {
    pub(super) fn new(model: &'a LongClip, labelling: &'a Labelling, report: Report) -> Self {
        OwnLabels {
            labelling,
            encoder: PromptEncoder::new(model).long_text(labelling.long_text),
            sets: HashMap::new(),
            report,
        }
    }

    /// The set of these labels.
    pub(super) fn set(&mut self, labels: &[String]) -> Result<&LabelSet> {
        if !self.sets.contains_key(labels) {
            let list = self.labelling.own_list(labels)?;
            let set = LabelSet::encode(&list, &self.labelling.recipe(), &mut self.encoder)?;
            let of_these = |notice: &&Notice| !matches!(notice, Notice::CombineUnused | Notice::TemplatesUnused);
            say(
                &set.notices().iter().filter(of_these).cloned().collect::<Vec<_>>(),
                self.report,
            );
            if self.sets.len() >= MOST_SETS {
                self.sets.clear();
            }
            self.sets.insert(labels.to_vec(), set);
        }
        Ok(&self.sets[labels])
    }
}
