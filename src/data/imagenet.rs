//! ImageNet's validation images: class folders named by their synsets, such as `n01440764`.
//!
//! Synsets get the names that OpenAI used for CLIP, and its 80 templates (`lists/imagenet.txt` and
//! `labels/data/imagenet80.txt` say where they come from). The candidates are the synsets that have a folder, which are all
//! 1,000 in the whole set.

use std::collections::HashMap;

use super::kind::Opened;
use super::sample::Class;
use crate::labels::PublishedTemplates;

/// Adds the published names and templates, if all classes are synsets and at least one of them is ImageNet's.
pub(super) fn name_synsets(data: &mut Opened) {
    let is_synset = |class: &Class| {
        let number = class.key.strip_prefix('n').unwrap_or("");
        number.len() == 8 && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let names = published_names();
    let published = |class: &Class| {
        Some(Class {
            name: (*names.get(class.key.as_str())?).to_owned(),
            key: class.key.clone(),
        })
    };
    let named: Vec<Class> = data.classes.iter().filter_map(published).collect();
    if named.is_empty() || !data.classes.iter().all(is_synset) {
        return;
    }
    data.title = format!("ImageNet, {} of {} classes", named.len(), names.len());
    data.classes = named;
    data.templates = PublishedTemplates::ImageNet80.templates();
}

/// Names by synset.
fn published_names() -> HashMap<&'static str, &'static str> {
    let lines = include_str!("lists/imagenet.txt").lines();
    lines.filter_map(|line| line.split_once('\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_list_is_whole_and_in_the_order_of_its_synsets() {
        let lines = include_str!("lists/imagenet.txt").lines();
        let synsets: Vec<&str> = lines.filter_map(|line| Some(line.split_once('\t')?.0)).collect();
        assert!(synsets.is_sorted());
        let names = published_names();
        assert_eq!(names.len(), 1000);
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
