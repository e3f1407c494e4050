//! ImageNet's validation folder: class folders named by their synsets, as `n01440764`.
//!
//! Synsets get the names that OpenAI asks CLIP by, and its 80 templates (`lists/imagenet.txt` and `labels/data/imagenet80.txt`
//! say from where). The candidates are the synsets that have a folder, all 1,000 in the whole of it.

use std::collections::HashMap;

use super::{Class, DataSet};
use crate::labels::PublishedTemplates;

/// Whether all classes are synsets, and one at least is ImageNet's.
pub(super) fn is_it(data: &DataSet) -> bool {
    let is_synset = |class: &Class| {
        let number = class.key.strip_prefix('n').unwrap_or("");
        number.len() == 8 && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let names = names();
    data.classes.iter().all(is_synset) && data.classes.iter().any(|class| names.contains_key(class.key.as_str()))
}

/// The data set with the published names and templates.
pub(super) fn named(mut data: DataSet) -> DataSet {
    let names = names();
    data.classes = data
        .classes
        .into_iter()
        .filter_map(|class| {
            let name = (*names.get(class.key.as_str())?).to_owned();
            Some(Class { name, ..class })
        })
        .collect();
    data.about = format!("ImageNet, {} of {} classes", data.classes.len(), names.len());
    data.templates = PublishedTemplates::ImageNet80.templates();
    data
}

/// Names by synset.
fn names() -> HashMap<&'static str, &'static str> {
    let lines = include_str!("lists/imagenet.txt").lines();
    lines.filter_map(|line| line.split_once('\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_list_is_whole_and_in_the_order_of_its_synsets() {
        assert_eq!(names().len(), 1000);
        let lines = include_str!("lists/imagenet.txt").lines();
        let synsets: Vec<&str> = lines.filter_map(|line| Some(line.split_once('\t')?.0)).collect();
        assert!(synsets.is_sorted());
        let names = names();
        for (synset, name) in [
            ("n01440764", "tench"),
            ("n02012849", "crane bird"),
            ("n03126707", "construction crane"),
            ("n15075141", "toilet paper"),
        ] {
            assert_eq!(names[synset], name);
        }
    }
}
