//! How images get their classes from labels, from the data's own list and from each other.

use super::*;
use crate::data::testing::{check_said, file, folder, said};
use crate::input::testing::archive_of;

fn labels(names: &[&str]) -> LabelList {
    let mut list = LabelList::default();
    list.extend(names.iter().map(|name| Label::plain(*name))).unwrap();
    list
}

fn open(path: &Path) -> Result<ClassifiedImages> {
    ClassifiedImages::open(path, Split::Test, std::env::temp_dir())
}

/// The classes of the images among `given` labels, or among the data's own if these are none.
#[track_caller]
fn resolved(path: &Path, given: &[&str]) -> (Resolved, Vec<String>) {
    let resolved = open(path).unwrap().resolve(labels(given), &[]).unwrap();
    let all = resolved.labels.labels();
    let names = resolved.truths.iter().map(|truth| all[*truth].name.clone()).collect();
    (resolved, names)
}

#[test]
fn folders_are_classes_and_an_empty_one_is_a_candidate() {
    let (_dir, root) = folder(&["fire_truck/b.jpg", "cat/x/a.png", "cat/.hidden.jpg", "cat/notes.txt"]);
    std::fs::create_dir(root.join("zebra")).unwrap();
    let (data, names) = resolved(&root, &[]);
    assert_eq!(names, ["cat", "fire truck"]);
    assert_eq!(data.labels.labels()[2].name, "zebra");
    assert!(data.unusable.is_empty());
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_stay_apart() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let (_dir, root) = folder(&[]);
    for name in [&b"\xff/\xff.png"[..], b"\xff/\xfe.png", b"\xfe/a.png"] {
        let file = root.join(OsStr::from_bytes(name));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, name).unwrap();
    }
    let (data, names) = resolved(&root, &[]);
    assert_eq!(names, ["\\xfe", "\\xff", "\\xff"]);
    let found: BTreeSet<&str> = data.images.iter().map(Image::name).collect();
    assert!(
        found.len() == 3 && found.iter().any(|name| name.ends_with("\\xff/\\xfe.png")),
        "{found:?}"
    );
}

#[test]
fn classes_of_the_same_name_are_two_classes() {
    let (_dir, root) = folder(&["_/x.jpg", "__/y.jpg"]);
    assert_eq!(resolved(&root, &[]).1, ["_", "__"]);
    let (_dir, root) = folder(&["a b/x.jpg", "a_b/y.jpg"]);
    assert_eq!(resolved(&root, &[]).1, ["a b (a b)", "a b (a_b)"]);
    // CLIP_benchmark's names of ImageNet have two such pairs.
    let tar = archive_of(&[
        ("0.jpg", b"0"),
        ("0.cls", b"2"),
        ("1.jpg", b"1"),
        ("1.cls", b"0"),
        ("2.jpg", b"2"),
        ("2.cls", b"7"),
    ]);
    let (_dir, path) = file("0.tar", tar);
    std::fs::write(path.with_file_name("classnames.txt"), "missile\ncat\nmissile\n").unwrap();
    let (data, names) = resolved(&path, &[]);
    assert_eq!(names, ["missile (2)", "missile (0)"]);
    let labels = data.labels.labels();
    assert!(labels.len() == 3 && labels[0].prompts == labels[2].prompts && labels[0].prompts == ["missile"]);
    check_said(
        &said(&data.unusable),
        &["0.tar/2`: its class is number 7; the data names 3 classes, counted from 0"],
    );
}

#[test]
fn given_labels_are_matched_by_name_and_a_class_without_one_is_reported() {
    let (_dir, root) = folder(&["cat/a.jpg", "fire_truck/b.jpg", "ship/c.jpg"]);
    let (data, names) = resolved(&root, &["ship", "fire truck", "bird"]);
    assert_eq!(names, ["fire truck", "ship"]);
    check_said(
        &said(&data.unusable),
        &["cat/a.jpg`: its class `cat` is none of the 3 labels"],
    );
    let error = open(&root).unwrap().resolve(labels(&["house"]), &[]).unwrap_err();
    assert!(error.to_string().starts_with("no image has a class"), "{error}");
}

#[test]
fn an_image_that_is_missing_or_has_no_class_is_reported() {
    let lines = r#"{"path": "a.jpg", "label": 1}
{"path": "gone.jpg", "label": "cat"}
{"path": "a.jpg"}"#;
    let (_dir, path) = file("list.ndjson", lines);
    let (data, names) = resolved(&path, &["cat", "dog"]);
    assert_eq!(names, ["dog"]);
    check_said(
        &said(&data.unusable),
        &[
            "line 2`: cannot find the image `",
            "line 3`: it has no class, as `label`",
        ],
    );
    let (_dir, path) = file("x.token", "a.jpg#0\tA caption.\n");
    let error = open(&path).unwrap_err().to_string();
    assert!(
        error.contains("found no image with a class in") && error.contains("line 1`: it has no class"),
        "{error}"
    );
}

#[test]
fn numbers_without_names_ask_for_them() {
    for numbers in ["2", "-1", "1.5"] {
        let (_dir, path) = file("list.csv", format!("path,label\na.jpg,{numbers}\na.jpg,0\n"));
        let error = open(&path).unwrap().resolve(LabelList::default(), &[]).unwrap_err();
        assert_eq!(error.to_string(), "the data numbers its classes and doesn't name them");
    }
    let (_dir, path) = file("list.csv", "path,label\na.jpg,2\n");
    assert_eq!(resolved(&path, &["x", "y", "z"]).1, ["z"]);
}

#[test]
fn synsets_of_one_name_are_told_apart_and_asked_alike() {
    let (_dir, root) = folder(&[
        "n01440764/a.JPEG",
        "n03773504/b.JPEG",
        "n04008634/c.JPEG",
        "n99999999/d.JPEG",
    ]);
    let data = open(&root).unwrap();
    let templates = data.templates.clone();
    let data = data.resolve(LabelList::default(), &templates).unwrap();
    let names: Vec<&str> = data.labels.labels().iter().map(|label| label.name.as_str()).collect();
    assert_eq!(names, ["tench", "missile (n03773504)", "missile (n04008634)"]);
    assert_eq!(data.labels.labels()[1].prompts[0], templates[0].fill("missile"));
    check_said(
        &said(&data.unusable),
        &["d.JPEG`: its class `n99999999` is none of the 3 labels"],
    );
}

#[test]
fn numbers_count_the_lines_of_a_label_file_whatever_is_in_them() {
    use crate::labels::files::{GROUP, read_label_lines};
    let (_dir, path) = file(
        "list.csv",
        "path,label\na.jpg,0\na.jpg,1\na.jpg,4\na.jpg,6\na.jpg,2\na.jpg,7\n",
    );
    std::fs::write(
        path.with_file_name("labels.txt"),
        "missile\nmissile\n\n# later\ncat\n \nCat\n",
    )
    .unwrap();
    let mut given = LabelList::default();
    given
        .extend_lines(read_label_lines(&path.with_file_name("labels.txt"), GROUP).unwrap())
        .unwrap();
    let data = open(&path).unwrap().resolve(given, &[]).unwrap();
    assert_eq!(data.truths, [0, 0, 1, 2]);
    check_said(
        &said(&data.unusable),
        &[
            "line 6`: its class is number 2, counted from 0; that line of the labels is blank or a comment",
            "line 7`: its class is number 7; there are 7 labels, counted from 0",
        ],
    );
}
