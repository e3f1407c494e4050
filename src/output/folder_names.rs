//! Folder names for labels: readable, valid on every system, one per label.

use std::collections::{HashMap, HashSet};

/// The most characters of a folder's name: enough to distinguish labels, and within every file system's limit in any script.
const LONGEST: usize = 60;
/// Characters that are reserved on some system.
const RESERVED: &str = "/\\:*?\"<>|";

/// One name per label, in the same order; they differ in more than case.
pub fn folder_names(labels: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(labels.len());
    let mut taken: HashSet<String> = HashSet::with_capacity(labels.len());
    // The number that is tried next for a name that is taken.
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for label in labels {
        let plain = plain_name(label);
        let mut name = plain.clone();
        while !taken.insert(name.to_lowercase()) {
            let number = numbers.entry(plain.to_lowercase()).or_insert(2);
            name = format!("{plain}-{number}");
            *number += 1;
        }
        names.push(name);
    }
    names
}

fn plain_name(label: &str) -> String {
    let safe = |c: char| if c.is_control() || RESERVED.contains(c) { ' ' } else { c };
    let spaced: String = label.chars().map(safe).collect();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = words.chars().take(LONGEST).collect();
    // A dot at the start hides a folder; one at the end is lost on Windows.
    let name = cut.trim_matches(['.', ' ']);
    if name.is_empty() {
        "label".into()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &[&str], expected: &[&str]) {
        let labels: Vec<String> = labels.iter().map(|&label| label.into()).collect();
        assert_eq!(folder_names(&labels), expected);
    }

    #[test]
    fn labels_give_names_that_every_system_takes() {
        check(
            &["A cat jumping.", "../etc", "a\n b:c", "..."],
            &["A cat jumping", "etc", "a b c", "label"],
        );
    }

    #[test]
    fn similar_labels_get_different_folders() {
        let long = "x".repeat(80);
        let longer = format!("{long}y");
        let cut = "x".repeat(60);
        check(&["Cat", "cat.", "cat"], &["Cat", "cat-2", "cat-3"]);
        check(&[&long, &longer], &[&cut, &format!("{cut}-2")]);
    }
}
