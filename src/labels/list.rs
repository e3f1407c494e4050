//! A list of labels as read, before any model: names in order, each with its prompts and its group.
//!
//! Made by the command line of arguments and [files](super::files); encoded by [`LabelSet::encode`](super::LabelSet).

use std::collections::HashMap;

use super::Notice;
use crate::error::{Error, Result};

/// What a person asks for: a name to print, and what the model reads for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What the results call it.
    pub name: String,
    /// What is encoded for it; where there is none, the name itself, through the templates if there are any.
    pub prompts: Vec<String>,
    /// The group that its probability counts for.
    pub group: Option<String>,
}

impl Label {
    /// A label that is its own prompt.
    pub fn plain(name: impl Into<String>) -> Self {
        Label {
            name: name.into(),
            prompts: Vec::new(),
            group: None,
        }
    }

    /// Without white space around its texts, and no prompt twice.
    fn tidied(self, place: usize) -> Result<Self> {
        let name = self.name.trim().to_owned();
        if name.is_empty() {
            return Err(Error::usage(
                format!("label {place} is empty"),
                "leave it out, or write what it should say",
            ));
        }
        let mut prompts: Vec<String> = Vec::new();
        for prompt in &self.prompts {
            let prompt = prompt.trim();
            if prompt.is_empty() {
                return Err(Error::usage(
                    format!("label `{name}` has an empty prompt"),
                    "leave it out, or write what the model should read",
                ));
            }
            if !prompts.iter().any(|known| known == prompt) {
                prompts.push(prompt.to_owned());
            }
        }
        let group = self.group.map(|group| group.trim().to_owned());
        Ok(Label {
            name,
            prompts,
            group: group.filter(|group| !group.is_empty()),
        })
    }
}

/// Labels in the order in which their names first came, no name twice and none empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelList {
    labels: Vec<Label>,
    places: HashMap<String, usize>,
    notices: Vec<Notice>,
}

impl LabelList {
    /// Adds labels. A name that is there already is not added again: its prompts join the first one's, and a
    /// [`Notice`] says so.
    ///
    /// # Errors
    /// [`Error::Usage`] for an empty name or prompt, and for a name in two groups.
    pub fn extend(&mut self, labels: impl IntoIterator<Item = Label>) -> Result<()> {
        labels.into_iter().try_for_each(|label| self.push(label))
    }

    fn push(&mut self, label: Label) -> Result<()> {
        let label = label.tidied(self.labels.len() + 1)?;
        let Some(&place) = self.places.get(&label.name) else {
            self.places.insert(label.name.clone(), self.labels.len());
            self.labels.push(label);
            return Ok(());
        };
        let known = &mut self.labels[place];
        if let (Some(one), Some(other)) = (&known.group, &label.group)
            && one != other
        {
            return Err(Error::usage(
                format!("label `{}` is in two groups, `{one}` and `{other}`", known.name),
                "give it one of them: its probability can be counted once only",
            ));
        }
        known.group = known.group.take().or(label.group);
        let new: Vec<String> = label
            .prompts
            .into_iter()
            .filter(|prompt| !known.prompts.contains(prompt))
            .collect();
        known.prompts.extend(new);
        let notice = Notice::Merged { label: label.name };
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
        Ok(())
    }

    /// The labels.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The label of this name.
    pub fn find(&self, name: &str) -> Option<&Label> {
        self.places.get(name).map(|place| &self.labels[*place])
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// What the person should know about the list.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
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
    fn a_label_that_comes_twice_is_merged_with_a_notice() {
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
    fn a_label_in_two_groups_is_refused() {
        let mut list = LabelList::default();
        let error = list
            .extend([label("bat", &[], Some("animal")), label("bat", &[], Some("sport"))])
            .unwrap_err();
        assert_eq!(error.to_string(), "label `bat` is in two groups, `animal` and `sport`");
    }

    #[test]
    fn an_empty_label_or_prompt_is_refused() {
        #[track_caller]
        fn check(bad: Label, expected: &str) {
            let error = LabelList::default().extend([Label::plain("ok"), bad]).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        check(Label::plain(" \t"), "label 2 is empty");
        check(label("cat", &["a cat", " "], None), "label `cat` has an empty prompt");
    }
}
