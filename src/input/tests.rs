//! Sources: their order, what is skipped, and what is said about names that can't be read.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::testing::slashed;
use super::*;

fn touch(dir: &Path, names: &[&str]) {
    for name in names {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }
}

fn inputs(sources: Vec<Source>) -> Inputs {
    Inputs {
        sources,
        options: InputOptions::default(),
    }
}

pub(super) fn folder(dir: &Path) -> Inputs {
    inputs(vec![Source::Named(dir.to_owned())])
}

fn names(inputs: &Inputs, dir: &Path) -> Vec<String> {
    let prefix = slashed(&format!("{}/", dir.display()));
    let name = |item: Item| slashed(&item.name.to_string()).replace(&prefix, "");
    inputs.items().map(name).collect()
}

pub(super) fn problem(item: &mut Item) -> String {
    item.content.take("x").unwrap_err().to_string()
}

#[test]
fn a_folder_gives_its_pictures_in_byte_order_without_hidden_ones() {
    let dir = tempfile::tempdir().unwrap();
    // Windows and macOS take `B.JPG` for `b.jpg`.
    let capital = match cfg!(any(windows, target_os = "macos")) {
        true => "C.JPG",
        false => "B.JPG",
    };
    let all = [
        "b.jpg",
        capital,
        "a/z.png",
        "a/.hidden.png",
        ".git/c.jpg",
        "notes.txt",
        "Thumbs.db",
        "ä.webp",
    ];
    touch(dir.path(), &all);
    fs::write(dir.path().join("no-ending"), b"\x89PNG\r\n\x1a\n").unwrap();
    let inputs = folder(dir.path());
    assert_eq!(
        names(&inputs, dir.path()),
        [capital, "a/z.png", "b.jpg", "no-ending", "ä.webp"]
    );
    assert_eq!(inputs.options.skipped.counts().not_pictures.n, 2);
    assert_eq!(inputs.count(), Some(5));
    assert_eq!(
        inputs.options.skipped.counts().not_pictures.n,
        2,
        "counting skips nothing"
    );
}

#[test]
fn max_depth_counts_the_named_folder_as_one() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a.jpg", "b/c.jpg", "b/d/e.jpg"]);
    let to_depth = |max_depth| {
        let mut inputs = folder(dir.path());
        inputs.options.max_depth = Some(max_depth);
        names(&inputs, dir.path())
    };
    assert_eq!(to_depth(1), ["a.jpg"]);
    assert_eq!(to_depth(2), ["a.jpg", "b/c.jpg"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_links_reach_again_is_counted_and_not_walked_twice() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a/b.jpg", "elsewhere.jpg"]);
    let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, dir.path().join(name)).unwrap();
    link(dir.path(), "a/back");
    link(&dir.path().join("a"), "c");
    link(&dir.path().join("elsewhere.jpg"), "d.jpg");

    let passing = folder(dir.path());
    assert_eq!(names(&passing, dir.path()), ["a/b.jpg", "d.jpg", "elsewhere.jpg"]);
    assert_eq!(passing.options.skipped.counts().links.n, 2);

    let mut following = folder(dir.path());
    following.options.follows_links = true;
    let found = names(&following, dir.path());
    assert_eq!(found, ["a/b.jpg", "d.jpg", "elsewhere.jpg"]);
    assert_eq!(following.options.skipped.counts().loops.n, 2, "`a/back` and `c`");
}

#[test]
fn a_list_is_taken_literally_and_may_name_folders() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a [1].jpg", "b/c.jpg"]);
    let at = |name: &str| dir.path().join(name).display().to_string();
    let list = dir.path().join("list");
    fs::write(
        &list,
        format!("{}\r\n\n{}\n{}", at("a [1].jpg"), at("b"), at("gone*.jpg")),
    )
    .unwrap();
    let lines = inputs(vec![Source::List(list.clone(), Separator::Line)]);
    assert_eq!(names(&lines, dir.path()), ["a [1].jpg", "b/c.jpg", "gone*.jpg"]);

    fs::write(&list, format!("{}\0{}\0", at("a [1].jpg"), at("new\nline.jpg"))).unwrap();
    let entries = inputs(vec![Source::List(list, Separator::Nul)]);
    assert_eq!(names(&entries, dir.path()), ["a [1].jpg", "new\nline.jpg"]);
}

#[test]
fn a_pattern_that_nothing_matches_is_an_item_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["b.jpg", "a.jpg", "c/d.jpg"]);
    let matching = |pattern: &str| inputs(vec![Source::Named(dir.path().join(pattern))]);
    assert_eq!(names(&matching("*.jpg"), dir.path()), ["a.jpg", "b.jpg"]);
    assert_eq!(names(&matching("**/*.jpg"), dir.path()), ["a.jpg", "b.jpg", "c/d.jpg"]);
    let mut none: Vec<Item> = matching("*.png").items().collect();
    assert!(problem(&mut none[0]).contains("no file matches"));
}

#[test]
fn ndjson_carries_fields_and_answers_every_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("in.ndjson");
    let lines = [
        r#"{"path":"a.jpg","n":1,"labels":["x","y"]}"#,
        r#"{"id":7,"image_b64":"YWJj","who":"me"}"#,
        "not json",
        r#"{"id":"lost","n":2}"#,
        r#"{"path":"b.jpg","labels":[]}"#,
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let mut items: Vec<Item> = inputs(vec![Source::Ndjson(file.clone())]).items().collect();
    assert_eq!(items.len(), 5);
    assert_eq!(items[0].labels, Some(vec!["x".into(), "y".into()]));
    assert_eq!(items[0].fields.get("n").unwrap().as_str(), "1");
    assert_eq!(items[1].name.to_string(), "7");
    assert_eq!(items[1].content.take("7").unwrap(), b"abc");
    assert_eq!(items[2].name.to_string(), format!("{}:3", file.display()));
    assert!(problem(&mut items[2]).contains("not a JSON object"));
    assert_eq!(items[3].name.to_string(), "lost");
    assert!(problem(&mut items[4]).contains("`labels` must be a list"));
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_read_unless_named_directly() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("a.jpg");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("b.tar")).unwrap();
    let list = dir.path().join("list");
    fs::write(
        &list,
        format!("{}\n{}\n", link.display(), dir.path().join("b.tar").display()),
    )
    .unwrap();
    let in_folder = folder(dir.path());
    let in_list = inputs(vec![Source::List(list, Separator::Line)]);
    let mut items: Vec<Item> = in_folder.items().chain(in_list.items()).collect();
    assert_eq!(items.len(), 3);
    for item in &mut items {
        assert!(problem(item).contains("not a regular file"));
    }
    let mut direct: Vec<Item> = inputs(vec![Source::Named("/dev/null".into())]).items().collect();
    assert_eq!(direct[0].content.take("x").unwrap(), b"");
}

#[test]
fn a_missing_file_and_a_folder_are_reported_when_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut missing = Item::file(dir.path().join("gone.jpg"));
    assert!(problem(&mut missing).starts_with("cannot read `"));
    let mut is_folder = Item::file(dir.path().to_owned());
    assert!(problem(&mut is_folder).contains("it is a folder"));
}

#[test]
fn a_byte_order_mark_belongs_to_no_name() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a.jpg", "b.jpg"]);
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (list, records) = (dir.path().join("list"), dir.path().join("records"));
    let record = |name: &str| format!("{}\n", json!({ "path": at(name) }));
    fs::write(&records, format!("\u{feff}{}{}", record("a.jpg"), record("b.jpg"))).unwrap();
    assert_eq!(
        names(&inputs(vec![Source::Ndjson(records)]), dir.path()),
        ["a.jpg", "b.jpg"]
    );
    for (separator, end) in [(Separator::Line, '\n'), (Separator::Nul, '\0')] {
        fs::write(&list, format!("\u{feff}{}{end}{}{end}", at("a.jpg"), at("b.jpg"))).unwrap();
        let inputs = inputs(vec![Source::List(list.clone(), separator)]);
        assert_eq!(names(&inputs, dir.path()), ["a.jpg", "b.jpg"]);
    }
}

#[test]
fn lists_and_records_may_be_utf16() {
    let dir = tempfile::tempdir().unwrap();
    let names_in = ["ä 1.jpg", "猫.jpg"];
    touch(dir.path(), &names_in);
    let at = |name: &str| dir.path().join(name).display().to_string();
    let list: String = names_in.iter().map(|name| format!("{}\r\n", at(name))).collect();
    let records: String = names_in
        .iter()
        .map(|name| format!("{}\r\n", json!({ "path": at(name) })))
        .collect();
    let path = dir.path().join("list");
    let check = |text: &str, source: Source| {
        for mark in ["", "\u{feff}"] {
            for order in [u16::to_le_bytes, u16::to_be_bytes] {
                let bytes: Vec<u8> = format!("{mark}{text}").encode_utf16().flat_map(order).collect();
                fs::write(&path, bytes).unwrap();
                let inputs = inputs(vec![source.clone()]);
                assert_eq!(names(&inputs, dir.path()), names_in);
                assert_eq!(inputs.count(), Some(2));
            }
        }
    };
    check(&list, Source::List(path.clone(), Separator::Line));
    check(&records, Source::Ndjson(path.clone()));
    // In a list that zero bytes separate, they don't mean UTF-16.
    fs::write(&path, "a\0b\0").unwrap();
    let inputs = inputs(vec![Source::List(path, Separator::Nul)]);
    assert_eq!(names(&inputs, dir.path()), ["a", "b"]);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_stay_distinguishable() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    for name in [&b"\xfe.jpg"[..], b"\xff.jpg"] {
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(name)), b"x").unwrap();
    }
    assert_eq!(names(&folder(dir.path()), dir.path()), ["\\xfe.jpg", "\\xff.jpg"]);
    // In an archive too, whose members may be keys of samples.
    let mut builder = ::tar::Builder::new(Vec::new());
    for name in [&b"\xfe.jpg"[..], b"\xff.jpg"] {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(1);
        let name = std::ffi::OsStr::from_bytes(name);
        builder.append_data(&mut header, name, &b"x"[..]).unwrap();
    }
    let tar = dir.path().join("a.tar");
    fs::write(&tar, builder.into_inner().unwrap()).unwrap();
    let items: Vec<Item> = inputs(vec![Source::Named(tar)]).items().collect();
    for (item, (name, key)) in items.iter().zip([("\\xfe.jpg", "/g=="), ("\\xff.jpg", "/w==")]) {
        assert!(matches!(&item.name, Name::Raw(_)) && item.name.to_string().ends_with(name));
        assert_eq!(
            item.fields.get("__key__").unwrap().as_str(),
            format!("{{\"bytes\":\"{key}\"}}")
        );
    }
    assert_eq!(items.len(), 2);
    // As records name them, so that a run's output can be another's input.
    let records = dir.path().join("records");
    fs::write(&records, r#"{"path":{"bytes":"/i5qcGc="}}"#).unwrap();
    let mut item = inputs(vec![Source::Ndjson(records)]).items().next().unwrap();
    assert_eq!(item.name.to_string(), "\\xfe.jpg");
    assert!(problem(&mut item).contains("cannot read `\\xfe.jpg`"));
}

#[test]
fn a_raw_photo_next_to_a_jpeg_or_heic_of_the_same_name_is_counted_and_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        "a.CR2", "a.JPG", "b.nef", "c.dng", "c.heic", "d/a.nef", "e.cr3", "e.png", "e.xmp",
    ];
    touch(dir.path(), &all);
    let with = |raw| {
        let mut inputs = folder(dir.path());
        inputs.options.raw = raw;
        let found = names(&inputs, dir.path());
        (found, inputs.options.skipped.counts().raws.n)
    };
    let (found, n_skipped) = with(RawPhotos::Alone);
    assert_eq!(found, ["a.JPG", "b.nef", "c.heic", "d/a.nef", "e.cr3", "e.png"]);
    assert_eq!(n_skipped, 2);
    assert_eq!((with(RawPhotos::Both).0.len(), with(RawPhotos::Both).1), (8, 0));
    assert_eq!(
        with(RawPhotos::Skip),
        (vec!["a.JPG".into(), "c.heic".into(), "e.png".into()], 5)
    );
}

#[test]
fn folders_that_hold_no_photos_are_counted_and_not_searched() {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        "@eaDir/a.jpg",
        "a/node_modules/b.jpg",
        "a/thumbs/c.jpg",
        "d.jpg",
        "e.MOV",
        "f.mov",
        "notes",
    ];
    touch(dir.path(), &all);
    let mut inputs = folder(dir.path());
    inputs.options.excluded.add("a/thumbs").unwrap();
    assert_eq!(names(&inputs, dir.path()), ["d.jpg"]);
    let counts = inputs.options.skipped.counts();
    assert_eq!((counts.excluded.n, counts.not_pictures.n), (3, 3));
    assert_eq!(counts.endings.into_iter().collect::<Vec<_>>(), [("mov".into(), 2)]);
    inputs.options.excluded.add("!@eaDir").unwrap();
    assert_eq!(names(&inputs, dir.path()), ["@eaDir/a.jpg", "d.jpg"]);
    let named = folder(&dir.path().join("@eaDir"));
    assert_eq!(names(&named, dir.path()), ["@eaDir/a.jpg"], "what is named is searched");
}
