//! Data sets in their true formats, whole and damaged.

use std::fs;
use std::path::PathBuf;

use super::*;

pub(super) fn labels(names: &[&str]) -> LabelList {
    let mut list = LabelList::default();
    list.extend(names.iter().map(|name| Label::plain(*name))).unwrap();
    list
}

/// A folder with files, each holding its own name.
pub(super) fn folder(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    let path = dir.path().to_owned();
    (dir, path)
}

pub(super) fn names(resolved: &Resolved) -> Vec<&str> {
    let labels = resolved.labels.labels();
    resolved
        .truths
        .iter()
        .map(|truth| labels[*truth].name.as_str())
        .collect()
}

#[test]
fn folders_are_classes_and_an_empty_one_is_a_candidate() {
    let (_dir, path) = folder(&[
        "fire_truck/b.jpg",
        "cat/x/a.png",
        "cat/.hidden.jpg",
        "loose.jpg",
        "cat/notes.txt",
    ]);
    fs::create_dir(path.join("zebra")).unwrap();
    let resolved = DataSet::open(&path).unwrap().resolve(LabelList::default()).unwrap();
    assert_eq!(names(&resolved), ["cat", "fire truck"]);
    let all: Vec<&str> = resolved
        .labels
        .labels()
        .iter()
        .map(|label| label.name.as_str())
        .collect();
    assert_eq!(all, ["cat", "fire truck", "zebra"]);
    assert_eq!(resolved.unusable.len(), 1);
    assert!(resolved.unusable[0].error.to_string().contains("loose.jpg"));
}

#[test]
fn given_labels_are_matched_by_name_and_a_class_without_one_is_said() {
    let (_dir, path) = folder(&["cat/a.jpg", "fire_truck/b.jpg", "ship/c.jpg"]);
    let open = || DataSet::open(&path).unwrap();
    let resolved = open().resolve(labels(&["ship", "fire truck", "bird"])).unwrap();
    assert_eq!(names(&resolved), ["fire truck", "ship"]);
    let [unusable] = &resolved.unusable[..] else { panic!() };
    let said = unusable.error.to_string();
    assert!(
        said.contains("cat/a.jpg") && said.ends_with("its class `cat` is none of the 3 labels"),
        "{said}"
    );
    let error = open().resolve(labels(&["house"])).unwrap_err();
    assert!(error.to_string().starts_with("no picture has a class"), "{error}");
}

#[test]
fn what_is_no_data_is_refused_with_what_would_be() {
    let (_dir, path) = folder(&["words.txt"]);
    for (path, said) in [
        (path.clone(), "there is no picture in"),
        (path.join("words.txt"), "is no data of classes"),
        (path.join("gone"), "cannot read"),
    ] {
        let error = DataSet::open(&path).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}
