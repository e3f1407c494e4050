//! Sources: their order, what is skipped, and what is said about names that can't be read.

use std::fs;
use std::path::Path;

use super::testing::archive_of;
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

fn folder(dir: &Path) -> Inputs {
    inputs(vec![Source::Named(dir.to_owned())])
}

fn names(inputs: &Inputs, dir: &Path) -> Vec<String> {
    let prefix = format!("{}/", dir.display());
    let name = |item: Item| item.name.to_string().replace(&prefix, "");
    inputs.items().map(name).collect()
}

fn problem(item: &mut Item) -> String {
    item.content.take("x").unwrap_err().to_string()
}

#[test]
fn a_folder_gives_its_pictures_in_byte_order_without_hidden_ones() {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        "b.jpg",
        "B.JPG",
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
        ["B.JPG", "a/z.png", "b.jpg", "no-ending", "ä.webp"]
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
    following.options.links = Links::Follow;
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

#[test]
fn archives_give_their_pictures_packed_or_not() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let tar = archive_of(&[
        ("s/001.jpg", b"one"),
        ("s/001.txt", b"a cat"),
        ("s/002.left.png", b"two"),
    ]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let packed = [
        ("x.tar", tar.clone()),
        ("x.tgz", gzip.finish().unwrap()),
        ("x.tar.zst", zstd::encode_all(&tar[..], 1).unwrap()),
    ];
    for (name, bytes) in packed {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let inputs = folder(&path);
        let mut items: Vec<Item> = inputs.items().collect();
        assert_eq!(items.len(), 2, "{name}");
        assert_eq!(items[1].name.to_string(), format!("{}/s/002.left.png", path.display()));
        assert_eq!(items[1].fields.get("__key__").unwrap().to_string(), "s/002");
        assert_eq!(items[1].content.take("x").unwrap(), b"two");
        assert_eq!(inputs.options.skipped.counts().not_pictures.n, 1);
    }
}

/// The images of an archive of GNU tar in `tests/data/archives`, and the inputs that gave them.
fn links_of(name: &str) -> (Vec<(String, Vec<u8>)>, Inputs) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/archives")
        .join(name);
    let dir = tempfile::tempdir().unwrap();
    let mut inputs = folder(&path);
    if name.ends_with(".tar") {
        let packed = fs::File::open(path.with_extension("tar.gz")).unwrap();
        let plain = dir.path().join(name);
        std::io::copy(
            &mut flate2::read::GzDecoder::new(packed),
            &mut fs::File::create(&plain).unwrap(),
        )
        .unwrap();
        inputs = folder(&plain);
    }
    let images = inputs.items().map(|mut item| {
        let name = item.name.to_string();
        let bytes = item.content.take("x").unwrap();
        let name = name.split_once(".tar.gz/").or(name.split_once(".tar/"));
        (name.unwrap().1.to_owned(), bytes)
    });
    (images.collect(), inputs)
}

#[test]
fn links_in_archives_have_the_content_of_their_files_and_other_members_are_counted() {
    for name in ["links.tar", "links.tar.gz"] {
        let (images, inputs) = links_of(name);
        let expected = [
            ("1.jpg", "one"),
            ("2.jpg", "two!"),
            ("3.jpg", "one"),
            ("4.jpg", "two!"),
            ("d/5.jpg", "five"),
            ("d/6.jpg", "one"),
        ];
        let expected = expected.map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec()));
        assert_eq!(images, expected, "{name}");
        let skipped = inputs.options.skipped.counts();
        assert!(skipped.members.n == 1 && skipped.members.first.unwrap().ends_with("/p.jpg"));
    }
    for name in ["sparse-1.0.tar", "sparse-gnu.tar.gz"] {
        let (images, _) = links_of(name);
        assert_eq!((images.len(), images[0].1.len()), (2, 600_000));
    }
}

#[test]
fn a_hard_link_to_a_file_that_is_not_there_is_an_error_of_its_own() {
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut link = ::tar::Header::new_gnu();
    link.set_entry_type(::tar::EntryType::Link);
    link.set_size(0);
    builder.append_link(&mut link, "a.jpg", "gone.jpg").unwrap();
    link.set_entry_type(::tar::EntryType::Symlink);
    builder.append_link(&mut link, "b.jpg", "gone.jpg").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tar");
    fs::write(&path, builder.into_inner().unwrap()).unwrap();
    let inputs = folder(&path);
    let mut items: Vec<Item> = inputs.items().collect();
    assert_eq!(items.len(), 1);
    assert!(problem(&mut items[0]).contains("a hard link to `gone.jpg`"));
    assert_eq!(inputs.options.skipped.counts().members.n, 1);
}

#[test]
fn a_video_of_more_than_a_gibibyte_in_an_archive_is_skipped_like_a_small_one() {
    use std::io::{Seek, SeekFrom, Write};
    let (dir, large) = (tempfile::tempdir().unwrap(), (1 << 30) + 512);
    let path = dir.path().join("x.tar");
    let mut file = fs::File::create(&path).unwrap();
    for (name, size) in [("a.mp4", large), ("b.mp4", 512), ("c.jpg", 512)] {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(size);
        header.set_path(name).unwrap();
        header.set_cksum();
        file.write_all(header.as_bytes()).unwrap();
        let end = file.seek(SeekFrom::Current(i64::try_from(size).unwrap())).unwrap();
        file.set_len(end).unwrap();
    }
    file.set_len(file.metadata().unwrap().len() + 1024).unwrap();
    let inputs = folder(&path);
    let mut items: Vec<Item> = inputs.items().collect();
    assert_eq!((items.len(), items[0].content.take("x").unwrap().len()), (1, 512));
    assert_eq!(inputs.options.skipped.counts().not_pictures.n, 2);
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
fn an_archive_cut_short_gives_what_it_holds_and_then_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tar");
    let tar = archive_of(&[("1.jpg", b"one"), ("2.jpg", &[7; 2000])]);
    fs::write(&path, &tar[..512 * 3 + 700]).unwrap();
    let mut items: Vec<Item> = folder(&path).items().collect();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].content.take("x").unwrap(), b"one");
    assert!(problem(&mut items[1]).contains("in the middle of"));
}

#[test]
fn bytes_that_are_not_a_tar_archive_are_reported_and_not_printed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tar");
    let noise: Vec<u8> = (0..3000_u32).map(|i| (i * 37 % 251) as u8).collect();
    fs::write(&path, noise).unwrap();
    let mut items: Vec<Item> = folder(&path).items().collect();
    let message = problem(&mut items[0]);
    assert!(
        message.contains("not a tar archive") && !message.contains(char::is_control),
        "{message}"
    );
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
    let record = |name: &str| format!("{{\"path\":\"{}\"}}\n", at(name));
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
        .map(|name| format!("{{\"path\":\"{}\"}}\r\n", at(name)))
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
