//! Data sets in their true formats, whole and damaged.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::input::testing::archive_of;

pub(super) fn options() -> DataOptions {
    DataOptions {
        split: Split::Test,
        scratch: std::env::temp_dir(),
    }
}

fn labels(names: &[&str]) -> LabelList {
    let mut list = LabelList::default();
    list.extend(names.iter().map(|name| Label::plain(*name))).unwrap();
    list
}

/// A folder with files, each holding its own name.
fn folder(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    let path = dir.path().to_owned();
    (dir, path)
}

/// The class of each picture.
pub(super) fn names(resolved: &Resolved) -> Vec<&str> {
    let labels = resolved.labels.labels();
    resolved
        .truths
        .iter()
        .map(|truth| labels[*truth].name.as_str())
        .collect()
}

fn said(unusable: &[Unusable]) -> Vec<String> {
    unusable.iter().map(|unusable| unusable.error.to_string()).collect()
}

fn open(path: &Path) -> DataSet {
    DataSet::open(path, &options()).unwrap()
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
    let resolved = open(&path).resolve(LabelList::default(), &[]).unwrap();
    assert_eq!(names(&resolved), ["cat", "fire truck"]);
    let all: Vec<&str> = resolved
        .labels
        .labels()
        .iter()
        .map(|label| label.name.as_str())
        .collect();
    assert_eq!(all, ["cat", "fire truck", "zebra"]);
    let said = said(&resolved.unusable);
    assert!(said.len() == 1 && said[0].contains("loose.jpg"), "{said:?}");
}

#[cfg(unix)]
#[test]
fn a_class_that_is_a_link_has_the_pictures_of_its_folder() {
    let (_elsewhere, pictures) = folder(&["1.jpg", "2.jpg"]);
    let (_dir, path) = folder(&["cat/a.jpg"]);
    std::os::unix::fs::symlink(&pictures, path.join("dog")).unwrap();
    let resolved = open(&path).resolve(LabelList::default(), &[]).unwrap();
    assert_eq!(names(&resolved), ["cat", "dog", "dog"]);
    assert!(resolved.unusable.is_empty(), "{:?}", said(&resolved.unusable));
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_stay_apart() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let (_dir, path) = folder(&[]);
    for name in [&b"\xff/\xff.png"[..], b"\xff/\xfe.png", b"\xfe/a.png"] {
        let file = path.join(OsStr::from_bytes(name));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, name).unwrap();
    }
    let resolved = open(&path).resolve(LabelList::default(), &[]).unwrap();
    assert_eq!(names(&resolved), ["\\xfe", "\\xff", "\\xff"]);
    let found: BTreeSet<&str> = resolved.pictures.iter().map(Picture::name).collect();
    assert!(
        found.len() == 3 && found.iter().any(|name| name.ends_with("\\xff/\\xfe.png")),
        "{found:?}"
    );
}

#[test]
fn classes_of_the_same_name_are_two_classes() {
    // CLIP_benchmark's names of ImageNet have two such pairs.
    let (_dir, path) = folder(&["_/x.jpg", "__/y.jpg"]);
    let resolved = open(&path).resolve(LabelList::default(), &[]).unwrap();
    assert_eq!(names(&resolved), ["_", "__"]);
    let (_dir, path) = folder(&["a b/x.jpg", "a_b/y.jpg"]);
    let resolved = open(&path).resolve(LabelList::default(), &[]).unwrap();
    assert_eq!(names(&resolved), ["a b (a b)", "a b (a_b)"]);
    let (_dir, path) = folder(&[]);
    let tar = archive_of(&[("0.jpg", b"0"), ("0.cls", b"2"), ("1.jpg", b"1"), ("1.cls", b"0")]);
    fs::write(path.join("0.tar"), tar).unwrap();
    fs::write(path.join("classnames.txt"), "missile\ncat\nmissile\n").unwrap();
    let resolved = open(&path).resolve(LabelList::default(), &[]).unwrap();
    assert_eq!(names(&resolved), ["missile (2)", "missile (0)"]);
    let labels = resolved.labels.labels();
    assert!(labels.len() == 3 && labels[0].prompts == labels[2].prompts && labels[0].prompts == ["missile"]);
}

#[test]
fn given_labels_are_matched_by_name_and_a_class_without_one_is_said() {
    let (_dir, path) = folder(&["cat/a.jpg", "fire_truck/b.jpg", "ship/c.jpg"]);
    let resolved = open(&path)
        .resolve(labels(&["ship", "fire truck", "bird"]), &[])
        .unwrap();
    assert_eq!(names(&resolved), ["fire truck", "ship"]);
    let said = said(&resolved.unusable);
    assert!(
        said[0].contains("cat/a.jpg") && said[0].ends_with("its class `cat` is none of the 3 labels"),
        "{said:?}"
    );
    let error = open(&path).resolve(labels(&["house"]), &[]).unwrap_err();
    assert!(error.to_string().starts_with("no picture has a class"), "{error}");
}

#[test]
fn records_have_a_path_and_a_label_or_say_on_which_line_not() {
    let (_dir, path) = folder(&["img/a.jpg", "img/b.jpg"]);
    let lines = [
        r#"{"path": "img/a.jpg", "label": "cat"}"#,
        r#"{"path": "img/b.jpg", "label": "dog"}"#,
        "",
        r#"{"path": "img/b.jpg", "label": 1}"#,
        r#"{"path": "img/gone.jpg", "label": "cat"}"#,
        r#"{"path": "img/b.jpg", "label": "#,
        r#"{"path": "img/b.jpg"}"#,
        r#"{"label": "cat"}"#,
        r#"{"image": "img/b.jpg", "class": "cow"}"#,
    ];
    let file = path.join("list.ndjson");
    fs::write(&file, lines.join("\n")).unwrap();
    let resolved = open(&file).resolve(labels(&["cat", "dog"]), &[]).unwrap();
    assert_eq!(names(&resolved), ["cat", "dog", "dog"]);
    let said = said(&resolved.unusable);
    let expected = [
        "line 5`: its picture `",
        "line 6`: it is no JSON object",
        "line 7`: it has no class as `label` or `class`",
        "line 8`: it names no picture",
        "line 9`: its class `cow` is none of the 2 labels",
    ];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected) && said.contains("list.ndjson"), "{said}");
    }
}

#[test]
fn tables_have_named_columns_or_two() {
    for (name, text) in [
        (
            "a.csv",
            "label,path\ncat,img/a.jpg\n\"dog\",img/b.jpg\n,,\ndog\ncat,img/gone.jpg\n",
        ),
        (
            "b.csv",
            "img/a.jpg,cat\nimg/b.jpg,dog\n\n\nimg/b.jpg,\nimg/gone.jpg,cat\n",
        ),
        (
            "c.tsv",
            "path\tn\tclass\nimg/a.jpg\t1\tcat\nimg/b.jpg\t2\tdog\n\nimg/b.jpg\t3\nimg/gone.jpg\t4\tcat\n",
        ),
    ] {
        let (_dir, path) = folder(&["img/a.jpg", "img/b.jpg"]);
        let file = path.join(name);
        fs::write(&file, text).unwrap();
        let resolved = open(&file).resolve(LabelList::default(), &[]).unwrap();
        assert_eq!(names(&resolved), ["cat", "dog"], "{name}");
        let said = said(&resolved.unusable);
        assert!(
            said.len() == 2 && said[0].contains("line 5") && said[1].contains("line 6"),
            "{name}: {said:?}"
        );
    }
    let (_dir, path) = folder(&["img/a.jpg"]);
    fs::write(path.join("open.csv"), "img/a.jpg,cat\nimg/a.jpg,\"cat\nimg/a.jpg,dog\n").unwrap();
    let swallowed = said(&open(&path.join("open.csv")).unusable);
    assert!(
        swallowed.len() == 1 && swallowed[0].contains("line 2`: a field of several lines"),
        "{swallowed:?}"
    );
    fs::write(
        path.join("mixed.csv"),
        b"path,label\nimg/a.jpg,cat\n\nimg/a.jpg,\xe9l\xe9phant\nimg/a.jpg,dog\n",
    )
    .unwrap();
    let mixed = open(&path.join("mixed.csv"));
    let told = said(&mixed.unusable);
    assert!(
        mixed.samples.len() == 2 && told.len() == 1 && told[0].contains("mixed.csv line 4`: it is no UTF-8"),
        "{told:?}"
    );
    fs::write(path.join("wide.csv"), b"\xff\xfep\0a\0t\0h\0,\0l\0\n\0").unwrap();
    let error = DataSet::open(&path.join("wide.csv"), &options()).unwrap_err();
    assert!(
        error.to_string().contains("no table of text: line 1 is no UTF-8"),
        "{error}"
    );
    fs::write(path.join("d.csv"), "a,b,c\n").unwrap();
    let error = DataSet::open(&path.join("d.csv"), &options()).unwrap_err();
    assert!(error.to_string().contains("line 1`: its columns don't say"), "{error}");
}

#[test]
fn tars_have_pictures_with_classes_by_name_or_by_number() {
    let (_dir, path) = folder(&[]);
    let tar = archive_of(&[
        ("s0.jpg", b"0"),
        ("s0.cls", b"1\n"),
        ("s1.cls", b"sea lion"),
        ("s1.webp", b"1"),
        ("lonely.jpg", b"2"),
        ("word.cls", b"0"),
        ("s3.jpg", b"3"),
        ("s3.cls", b"7"),
        ("s4.jpg", b"4"),
        ("s4.cls", b""),
    ]);
    fs::create_dir(path.join("test")).unwrap();
    fs::write(path.join("test/0.tar"), tar).unwrap();
    fs::write(path.join("classnames.txt"), "sea lion\ncat\n").unwrap();
    fs::write(
        path.join("zeroshot_classification_templates.txt"),
        "a photo of a {c}.\n{c}\n",
    )
    .unwrap();
    let data = open(&path);
    assert_eq!(data.templates.len(), 2);
    let bytes = data.samples[1].picture.item().content.take("it").unwrap();
    assert_eq!(bytes, b"1");
    let resolved = data.resolve(LabelList::default(), &[]).unwrap();
    assert_eq!(names(&resolved), ["cat", "sea lion"]);
    let said = said(&resolved.unusable);
    let expected = [
        "0.tar/lonely`: it has no class",
        "0.tar/word`: it has no picture",
        "0.tar/s4`: its `.cls` is empty",
        "0.tar/s3`: its class is number 7; the data names 2 classes",
    ];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_tar_that_is_cut_is_told_beside_the_pictures_before_the_cut() {
    let (_dir, path) = folder(&[]);
    let tar = archive_of(&[("0.jpg", b"0"), ("0.cls", b"cat"), ("1.jpg", b"1"), ("1.cls", b"dog")]);
    for (n_bytes, said_of_it) in [
        (4 * 512, "without the end-of-archive marker"),
        (7 * 512, "in the middle of a member"),
    ] {
        fs::write(path.join("0.tar"), &tar[..n_bytes]).unwrap();
        let data = open(&path);
        let said = said(&data.unusable);
        assert_eq!((data.samples.len(), said.len()), (1, 1), "{said:?}");
        assert!(said[0].contains("0.tar") && said[0].contains(said_of_it), "{said:?}");
    }
    fs::write(path.join("0.tar"), &tar).unwrap();
    assert!(open(&path).unusable.is_empty());
}

#[test]
fn a_key_that_comes_again_in_a_tar_is_another_picture() {
    let (_dir, path) = folder(&[]);
    let samples = ["s0", "s1", "s0", "s0"].map(|key| (format!("{key}.jpg"), format!("{key}.cls")));
    let members = samples.iter().zip([b"0", b"1", b"2", b"3"]);
    let members: Vec<(&str, &[u8])> = members
        .flat_map(|((picture, class), bytes)| [(picture.as_str(), &bytes[..]), (class.as_str(), &b"cat"[..])])
        .collect();
    fs::write(path.join("0.tar"), archive_of(&members)).unwrap();
    let data = open(&path);
    let named: BTreeSet<&str> = data.samples.iter().map(|sample| sample.picture.name()).collect();
    assert!(
        named.len() == 4 && named.iter().any(|name| name.ends_with("s0 (3)")),
        "{named:?}"
    );
    let bytes = |sample: &Sample| sample.picture.item().content.take("it").unwrap();
    assert_eq!(data.samples.iter().map(bytes).collect::<Vec<_>>().concat(), b"0123");
}

#[test]
fn numbers_without_names_ask_for_them() {
    let (_dir, path) = folder(&["a.jpg"]);
    let file = path.join("list.csv");
    for labels in ["2", "-1", "1.5"] {
        fs::write(&file, format!("path,label\na.jpg,{labels}\na.jpg,0\n")).unwrap();
        let error = open(&file).resolve(LabelList::default(), &[]).unwrap_err();
        assert_eq!(error.to_string(), "the data numbers its classes and doesn't name them");
    }
    fs::write(&file, "path,label\na.jpg,2\n").unwrap();
    let error = open(&file).resolve(LabelList::default(), &[]).unwrap_err();
    assert_eq!(error.to_string(), "the data numbers its classes and doesn't name them");
    let resolved = open(&file).resolve(labels(&["x", "y", "z"]), &[]).unwrap();
    assert_eq!(names(&resolved), ["z"]);
}

#[test]
fn synset_folders_have_the_published_names_and_templates() {
    // Two of the names that OpenAI uses stand for two synsets each.
    let (_dir, path) = folder(&[
        "n01440764/a.JPEG",
        "n03773504/b.JPEG",
        "n04008634/c.JPEG",
        "n99999999/d.JPEG",
    ]);
    let data = open(&path);
    assert_eq!(
        (data.about.as_str(), data.templates.len()),
        ("ImageNet, 3 of 1000 classes", 80)
    );
    let templates = data.templates.clone();
    let resolved = data.resolve(LabelList::default(), &templates).unwrap();
    assert_eq!(
        names(&resolved),
        ["tench", "missile (n03773504)", "missile (n04008634)"]
    );
    assert_eq!(resolved.labels.labels()[1].prompts[0], templates[0].fill("missile"));
    let said = said(&resolved.unusable);
    assert!(
        said.len() == 1 && said[0].contains("d.JPEG`") && said[0].contains("its class `n99999999`"),
        "{said:?}"
    );
}

#[test]
fn what_is_no_data_is_refused_with_what_would_be() {
    let (_dir, path) = folder(&["words.txt", "empty.ndjson"]);
    fs::write(path.join("empty.ndjson"), "").unwrap();
    for (path, said) in [
        (path.clone(), "there is no picture with a class in"),
        (path.join("words.txt"), "is no data of classes"),
        (path.join("empty.ndjson"), "there is no picture with a class in"),
        (path.join("gone"), "cannot read"),
    ] {
        let error = DataSet::open(&path, &options()).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}
