//! A list of labels before encoding: names in order, each with its prompts and its group.
//!
//! The command line builds it from arguments and [files](super::files); [`LabelSet::encode`](super::LabelSet) encodes
//! it.

use std::collections::{HashMap, HashSet};

use super::{Notice, without_repeats};
use crate::error::{Error, Result};

/// A label: the name in the results, and the texts that the model reads for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The name in the results.
    pub name: String,
    /// The texts to encode. If there are none, the name is encoded, through the templates if there are any.
    pub prompts: Vec<String>,
    /// The group that its probability is added to.
    pub group: Option<String>,
}

impl Label {
    /// A label without prompts, so that its name is encoded.
    pub fn plain(name: impl Into<String>) -> Self {
        Label {
            name: name.into(),
            prompts: Vec::new(),
            group: None,
        }
    }

    /// Trims all texts and removes duplicate prompts. `number` is the label's number in messages.
    fn cleaned_up(self, number: usize) -> Result<Self> {
        let name = self.name.trim().to_owned();
        if name.is_empty() {
            return Err(Error::usage(
                format!("label {number} is empty"),
                "remove it, or fill it in",
            ));
        }
        let prompts: Vec<String> = self.prompts.iter().map(|prompt| prompt.trim().to_owned()).collect();
        if prompts.iter().any(String::is_empty) {
            return Err(Error::usage(
                format!("label `{name}` has an empty prompt"),
                "remove it, or fill it in",
            ));
        }
        let prompts = without_repeats(prompts);
        let group = self.group.map(|group| group.trim().to_owned());
        Ok(Label {
            name,
            prompts,
            group: group.filter(|group| !group.is_empty()),
        })
    }
}

/// Labels in the order in which their names first appear. No name appears twice, and none is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelList {
    labels: Vec<Label>,
    indices: HashMap<String, usize>,
    /// The label of each line or argument, in the order given; `None` for a blank line or a comment.
    numbered: Vec<Option<usize>>,
    /// Names that were given more than once, in order.
    repeated: Vec<String>,
    /// The prompts of each repeated label, by its index.
    prompts_of_repeated: HashMap<usize, HashSet<String>>,
}

impl LabelList {
    /// Adds labels. If a name already exists, its new prompts are added to the existing label, and a [`Notice`] reports
    /// it.
    ///
    /// # Errors
    /// [`Error::Usage`] if a name or a prompt is empty, or if a name is in two groups.
    pub fn extend(&mut self, labels: impl IntoIterator<Item = Label>) -> Result<()> {
        self.extend_lines(labels.into_iter().map(Some))
    }

    /// As [`LabelList::extend`], for the lines of a file. `None` is a line without a label, which is numbered too.
    ///
    /// # Errors
    /// As [`LabelList::extend`].
    pub fn extend_lines(&mut self, lines: impl IntoIterator<Item = Option<Label>>) -> Result<()> {
        for line in lines {
            let index = line.map(|label| self.push(label)).transpose()?;
            self.numbered.push(index);
        }
        Ok(())
    }

    /// Adds a label; returns its index.
    fn push(&mut self, label: Label) -> Result<usize> {
        let label = label.cleaned_up(self.labels.len() + 1)?;
        let Some(&index) = self.indices.get(&label.name) else {
            self.indices.insert(label.name.clone(), self.labels.len());
            self.labels.push(label);
            return Ok(self.labels.len() - 1);
        };
        let known = &mut self.labels[index];
        if let (Some(one), Some(other)) = (&known.group, &label.group)
            && one != other
        {
            return Err(Error::usage(
                format!("label `{}` is in two groups, `{one}` and `{other}`", known.name),
                "give it only one group: its probability can be counted only once",
            ));
        }
        known.group = known.group.take().or(label.group);
        let prompts = self.prompts_of_repeated.entry(index).or_insert_with(|| {
            self.repeated.push(label.name);
            known.prompts.iter().cloned().collect()
        });
        let new = label
            .prompts
            .into_iter()
            .filter(|prompt| prompts.insert(prompt.clone()));
        known.prompts.extend(new);
        Ok(index)
    }

    /// The index of the label of each line or argument, in the order given, whatever is repeated; `None` for a line without
    /// a label.
    pub fn numbered(&self) -> &[Option<usize>] {
        &self.numbered
    }

    /// The labels.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The label with this name.
    pub fn find(&self, name: &str) -> Option<&Label> {
        self.indices.get(name).map(|index| &self.labels[*index])
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Warnings about the list for the user.
    pub fn notices(&self) -> Vec<Notice> {
        let repeated = self.repeated.iter().cloned();
        repeated.map(|label| Notice::Merged { label }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, prompts: &[&str], group: Option<&str>) -> Label {
        Label {
            name: name.into(),
            prompts: prompts.iter().map(|prompt| (*prompt).to_owned()).collect(),
            group: group.map(str::to_owned),
        }
    }

    #[test]
    fn merges_duplicate_labels_with_a_notice() {
        let mut list = LabelList::default();
        list.extend([
            label("cat", &["a cat"], None),
            Label::plain("dog"),
            label(" cat ", &["a cat", "cats"], Some("animal")),
            Label::plain("cat"),
        ])
        .unwrap();
        assert_eq!(
            list.labels(),
            [label("cat", &["a cat", "cats"], Some("animal")), Label::plain("dog")]
        );
        let notices: Vec<String> = list.notices().iter().map(ToString::to_string).collect();
        assert_eq!(notices, ["label `cat` is given more than once; it counts once"]);
    }

    #[test]
    fn rejects_a_label_in_two_groups() {
        let mut list = LabelList::default();
        let error = list
            .extend([label("bat", &[], Some("animal")), label("bat", &[], Some("sport"))])
            .unwrap_err();
        assert_eq!(error.to_string(), "label `bat` is in two groups, `animal` and `sport`");
    }

    #[test]
    fn rejects_an_empty_label_or_prompt() {
        #[track_caller]
        fn check(bad: Label, expected: &str) {
            let error = LabelList::default().extend([Label::plain("ok"), bad]).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        check(Label::plain(" \t"), "label 2 is empty");
        check(label("cat", &["a cat", " "], None), "label `cat` has an empty prompt");
    }
}
