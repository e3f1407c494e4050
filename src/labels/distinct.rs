//! Labels that the model can't distinguish: `Cat` and `cat`, other spacing, composed and decomposed accents, two long texts
//! that are equal up to the cut.
//!
//! Softmax would divide one probability among them, so they count once, under the name that was given first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::{Label, Notice, PromptEncoder};
use crate::error::{Error, Result};

/// What happens to labels whose prompts have the same token ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameTokens {
    /// They count once, with a [`Notice`].
    #[default]
    Merge,
    /// Each counts: the classes of an evaluation stay as they are numbered.
    Keep,
}

/// The labels of a list that are left after merging.
pub(super) struct Distinct {
    pub(super) labels: Vec<Label>,
    /// The prompts of each.
    pub(super) prompts: Vec<Vec<String>>,
    /// For each label of the list, its index among those that are left.
    pub(super) places: Vec<usize>,
    pub(super) notices: Vec<Notice>,
}

impl Distinct {
    /// All labels, with their prompts.
    pub(super) fn all(labels: &[Label], prompts: Vec<Vec<String>>) -> Self {
        Distinct {
            labels: labels.to_vec(),
            places: (0..labels.len()).collect(),
            prompts,
            notices: Vec::new(),
        }
    }

    /// Merges labels whose prompts have the same token ids.
    ///
    /// # Errors
    /// [`Error::Usage`] if such labels are in two groups.
    pub(super) fn of(labels: &[Label], prompts: Vec<Vec<String>>, encoder: &PromptEncoder<'_>) -> Result<Self> {
        let mut left = Distinct {
            labels: Vec::with_capacity(labels.len()),
            prompts: Vec::with_capacity(labels.len()),
            places: Vec::with_capacity(labels.len()),
            notices: Vec::new(),
        };
        let mut by_first: HashMap<Vec<u32>, Alike> = HashMap::with_capacity(labels.len());
        for (label, prompts) in labels.iter().zip(prompts) {
            let new = left.labels.len();
            let known = match by_first.entry(encoder.ids(&prompts[0])) {
                Entry::Vacant(entry) => {
                    entry.insert(Alike::one(new));
                    None
                }
                Entry::Occupied(mut alike) => alike.get_mut().find(&prompts, new, &left.prompts, encoder),
            };
            match known {
                Some(place) => left.merge(place, label)?,
                None => {
                    left.places.push(new);
                    left.labels.push(label.clone());
                    left.prompts.push(prompts);
                }
            }
        }
        Ok(left)
    }

    fn merge(&mut self, place: usize, label: &Label) -> Result<()> {
        let known = &mut self.labels[place];
        if let (Some(one), Some(other)) = (&known.group, &label.group)
            && one != other
        {
            return Err(Error::usage(
                format!(
                    "labels `{}` and `{}` have the same tokens, and are in two groups, `{one}` and `{other}`",
                    known.name, label.name
                ),
                "leave one of them out: the model reads them alike",
            ));
        }
        known.group = known.group.take().or(label.group.clone());
        self.places.push(place);
        self.notices.push(Notice::SameTokens {
            label: label.name.clone(),
            first: known.name.clone(),
        });
        Ok(())
    }
}

/// Labels whose first prompts have the same ids. Few labels have, so the other prompts of a template set are rarely
/// tokenized.
struct Alike {
    first: usize,
    /// All of them by the ids of their other prompts, once there are two.
    by_others: HashMap<Vec<Vec<u32>>, usize>,
}

impl Alike {
    fn one(first: usize) -> Self {
        Alike {
            first,
            by_others: HashMap::new(),
        }
    }

    /// The label with the same ids, if there is one; otherwise adds this one as `new`.
    fn find(
        &mut self,
        prompts: &[String],
        new: usize,
        known: &[Vec<String>],
        encoder: &PromptEncoder<'_>,
    ) -> Option<usize> {
        let others = |prompts: &[String]| prompts[1..].iter().map(|text| encoder.ids(text)).collect();
        if self.by_others.is_empty() {
            self.by_others.insert(others(&known[self.first]), self.first);
        }
        match self.by_others.entry(others(prompts)) {
            Entry::Occupied(same) => Some(*same.get()),
            Entry::Vacant(entry) => {
                entry.insert(new);
                None
            }
        }
    }
}
