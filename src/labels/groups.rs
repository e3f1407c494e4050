//! Groups of labels, the second level of results. A label without a group is a group of its own.

use std::collections::HashMap;

use super::Label;

/// The groups of a list of labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    names: Vec<String>,
    of_label: Vec<usize>,
}

impl Groups {
    /// The groups of these labels, in the order of their first labels.
    pub fn new(labels: &[Label]) -> Self {
        let mut groups = Groups::default();
        let mut indices: HashMap<&str, usize> = HashMap::new();
        for label in labels {
            let name = label.group.as_ref().unwrap_or(&label.name);
            let index = *indices.entry(name).or_insert_with(|| {
                groups.names.push(name.clone());
                groups.names.len() - 1
            });
            groups.of_label.push(index);
        }
        groups
    }

    /// The names of the groups.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of a label's group.
    ///
    /// # Panics
    /// If there is no such label.
    pub fn of(&self, label_idx: usize) -> &str {
        &self.names[self.of_label[label_idx]]
    }

    /// The index of each label's group.
    pub fn of_label(&self) -> &[usize] {
        &self.of_label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_without_a_group_is_its_own_group() {
        let label = |name: &str, group: Option<&str>| Label {
            group: group.map(str::to_owned),
            ..Label::plain(name)
        };
        let groups = Groups::new(&[
            label("cat", Some("animal")),
            label("mug", None),
            label("dog", Some("animal")),
            label("animal", None),
        ]);
        assert_eq!(groups.names(), ["animal", "mug"]);
        assert_eq!(groups.of_label(), [0, 1, 0, 0]);
        assert_eq!(groups.of(1), "mug");
    }
}
