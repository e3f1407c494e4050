//! Data of each kind, whole and damaged.

use std::fs;
use std::io::Write;

use super::*;
use crate::input::testing::archive_of;

pub(super) fn options(dir: &Path) -> DataOptions {
    DataOptions {
        images: None,
        templates: vec![Template::new("a photo of a {}.").unwrap()],
        // Which is there, whatever is opened.
        scratch: dir.parent().unwrap().to_owned(),
    }
}

/// What is said of the data's unusable parts.
pub(super) fn said(data: &Dataset) -> Vec<String> {
    data.unusable()
        .iter()
        .map(|unusable| unusable.error.to_string())
        .collect()
}

/// Problem and hint of data that is refused.
#[track_caller]
pub(super) fn refused(path: &Path) -> (String, String) {
    let error = Dataset::open(&[path.to_owned()], &options(path))
        .err()
        .expect("it is refused");
    (
        error.to_string(),
        error.hint().map_or_else(String::new, |hint| hint.to_string()),
    )
}

fn opened(path: PathBuf) -> Dataset {
    let dir = path.parent().unwrap().to_owned();
    Dataset::open(&[path], &options(&dir)).unwrap()
}

#[track_caller]
fn check(data: &Dataset, i: usize, picture: &str, long: &str, short: &str) {
    let sample = data.read(i, 0).unwrap();
    assert_eq!(
        (sample.picture.as_slice(), sample.long.as_str(), sample.short.as_str()),
        (picture.as_bytes(), long, short)
    );
}

fn problem(data: &Dataset, i: usize) -> String {
    data.read(i, 0).unwrap_err().to_string()
}

#[test]
fn a_records_captions_go_by_several_names_and_its_path_starts_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("img")).unwrap();
    fs::write(dir.path().join("img/a.jpg"), "A").unwrap();
    let lines = [
        r#"{"path":"img/a.jpg","long":"One. Two.","short":"Own."}"#,
        "",
        r#"{"path":"img/a.jpg","text":"One thing. Two things."}"#,
        r#"{"image":"img/a.jpg","caption":"No stop","short":null,"class":"cat"}"#,
        r#"{"path":"img/a.jpg","long":"  "}"#,
        r#"{"path":"img/a.jpg","long":7}"#,
        r#"{"path":"img/gone.jpg","long":"x"}"#,
        r#"{"long":"x"}"#,
        r#"{"path":"img/a.jpg"}"#,
        "half a li",
    ];
    let file = dir.path().join("data.ndjson");
    fs::write(&file, format!("\u{feff}{}", lines.join("\r\n"))).unwrap();
    let data = opened(file);
    assert_eq!(data.len(), 9);
    check(&data, 0, "A", "One. Two.", "Own.");
    check(&data, 1, "A", "One thing. Two things.", "One thing");
    check(&data, 2, "A", "No stop", "No stop");
    assert_eq!(data.read(2, 0).unwrap().class.unwrap(), "cat");
    assert!(data.name(2).ends_with("data.ndjson line 4"), "{}", data.name(2));
    let said = [
        "its `long` is empty",
        "its `long` is no text",
        "gone.jpg",
        "no picture",
        "no caption",
        "no JSON object",
    ];
    for (i, said) in (3..).zip(said) {
        assert!(problem(&data, i).contains(said), "{i}: {}", problem(&data, i));
    }
}

#[test]
fn sharegpt4vs_json_is_read_as_upstream_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("root");
    fs::create_dir_all(images.join("coco")).unwrap();
    fs::write(images.join("coco/1.jpg"), "one").unwrap();
    let json = r#" [
      {"id": "1", "image": "coco/1.jpg", "conversations": [
        {"from": "human", "value": "What is it?\n<image> ]}"},
        {"from": "gpt", "value": "A \"dog\" [sits].\nIt is {brown}. It waits."}]},
      {"id": "2", "image": "coco/1.jpg", "conversations": [{"from": "human", "value": "What?"}]},
      {"path": "coco/1.jpg", "long": "Plain."}
    ]"#;
    let file = dir.path().join("share.json");
    fs::write(&file, json).unwrap();
    let with_root = DataOptions {
        images: Some(images),
        ..options(dir.path())
    };
    let data = Dataset::open(std::slice::from_ref(&file), &with_root).unwrap();
    assert_eq!(data.len(), 3);
    check(
        &data,
        0,
        "one",
        "A \"dog\" [sits]. It is {brown}. It waits.",
        "A \"dog\" [sits]",
    );
    assert!(problem(&data, 1).contains("no answer"));
    check(&data, 2, "one", "Plain.", "Plain.");
    assert!(data.unusable().is_empty());

    fs::write(&file, &json[..json.len() - 20]).unwrap();
    let cut = Dataset::open(&[file], &with_root).unwrap();
    assert_eq!((cut.len(), cut.unusable().len()), (2, 1));
    assert!(cut.unusable()[0].error.to_string().contains("before its array does"));
}

#[test]
fn shards_give_the_same_samples_packed_or_not() {
    let members: [(&str, &[u8]); 8] = [
        ("s/001.jpg", b"one"),
        ("s/001.txt", b"A cat. It sleeps.\n"),
        ("s/002.txt", b"A dog."),
        ("s/002.json", br#"{"caption": "not this"}"#),
        ("s/002.left.png", b"another key? no: the same up to the dot"),
        ("s/002.PNG", b"two"),
        ("s/003.jpg", b"three"),
        (
            "s/003.json",
            br#"{"caption": "A bird. It flies.", "short": "Bird.", "class": "bird"}"#,
        ),
    ];
    let plain = archive_of(&members);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let packed = [
        ("a.tar", plain.clone()),
        ("a.tar.gz", gzip.finish().unwrap()),
        ("a.tzst", zstd::encode_all(&plain[..], 1).unwrap()),
    ];
    for (name, bytes) in packed {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), bytes).unwrap();
        let data = opened(dir.path().join(name));
        assert_eq!(data.len(), 3, "{name}");
        check(&data, 0, "one", "A cat. It sleeps.", "A cat");
        check(&data, 1, "two", "A dog.", "A dog.");
        check(&data, 2, "three", "A bird. It flies.", "Bird.");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left of unpacking"
        );
    }
}

#[test]
fn a_folder_of_shards_is_all_of_them_and_lonely_members_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let pair = |key: &str| archive_of(&[(&format!("{key}.jpg"), key.as_bytes()), (&format!("{key}.txt"), b"x")]);
    fs::write(dir.path().join("b.tar"), pair("2")).unwrap();
    fs::write(
        dir.path().join("c.tar.zst"),
        zstd::encode_all(&pair("3")[..], 1).unwrap(),
    )
    .unwrap();
    fs::write(
        dir.path().join("d.tar.zst"),
        zstd::encode_all(&pair("4")[..], 1).unwrap(),
    )
    .unwrap();
    let lonely = archive_of(&[
        ("1.jpg", b"1"),
        ("1.txt", b"y"),
        ("lonely.jpg", b"x"),
        ("text.txt", b"x"),
    ]);
    fs::write(dir.path().join("a.tar"), &lonely).unwrap();
    let data = Dataset::open(&[dir.path().to_owned()], &options(dir.path())).unwrap();
    let pictures: Vec<Vec<u8>> = (0..4).map(|i| data.read(i, 0).unwrap().picture).collect();
    assert_eq!(pictures, [b"1", b"2", b"3", b"4"]);
    let unusable: Vec<String> = data.unusable().iter().map(|u| u.error.to_string()).collect();
    assert!(unusable[0].contains("a.tar/lonely") && unusable[0].contains("no caption"));
    assert!(unusable[1].contains("a.tar/text") && unusable[1].contains("no picture"));

    fs::write(dir.path().join("b.tar"), &lonely[..lonely.len() / 2 + 700]).unwrap();
    let cut = Dataset::open(
        &[dir.path().join("a.tar"), dir.path().join("b.tar")],
        &options(dir.path()),
    )
    .unwrap();
    assert_eq!(
        cut.about(),
        "2 samples of 2 tars",
        "what stands before the damage is used"
    );
    let said = said(&cut);
    let last = said.last().unwrap();
    assert!(
        last.contains("b.tar") && last.contains("the 1 sample before that is used"),
        "{said:?}"
    );
}

#[test]
fn a_folder_of_several_kinds_of_data_is_refused_with_what_was_found() {
    let refusal = |names: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        for name in names {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let bytes = match path.extension().unwrap().to_str().unwrap() {
                "tar" => archive_of(&[("1.jpg", b"1"), ("1.txt", b"y")]),
                "json" => b"{\n  \"count\": 2\n}".to_vec(),
                "ndjson" => br#"{"path": "a/1.jpg", "text": "A cat."}"#.to_vec(),
                _ => b"x".to_vec(),
            };
            fs::write(path, bytes).unwrap();
        }
        let opened = Dataset::open(std::slice::from_ref(&root), &options(&root));
        let words = match opened {
            Ok(data) => [vec![data.about()], said(&data)].concat().join("; "),
            Err(error) => error.reason(|_| None),
        };
        words.replace(dir.path().to_str().unwrap(), "")
    };
    assert_eq!(
        refusal(&["cat/1.jpg", "dog/1.jpg", "backup.tar"]),
        "`/data` holds 1 tar (`backup.tar`) and folders of pictures (such as `cat`): which is meant can't be told; name the data \
         itself, such as `/data/backup.tar`; to train on folders of pictures as classes, move other data elsewhere"
    );
    assert_eq!(
        refusal(&["0.tar", "1.tar", "captions.ndjson"]),
        "`/data` holds 2 tars (such as `0.tar`) and 1 record file (`captions.ndjson`): which is meant can't be told; name the data \
         itself, such as `/data/captions.ndjson`"
    );
    assert_eq!(
        refusal(&["captions.ndjson"]),
        "`/data` holds 1 record file (`captions.ndjson`): it is no data itself; name the data itself, such as \
         `/data/captions.ndjson`"
    );
    // What tools leave beside shards, and what macOS does.
    assert_eq!(
        refusal(&["0.tar", "0_stats.json", "._0.tar", "notes/a.txt"]),
        "1 sample of 1 tar"
    );
    assert_eq!(
        refusal(&["0.tar", "preview.jpg"]),
        "1 sample of 1 tar; cannot use the sample `/data/preview.jpg`: it lies beside tars, and is in none"
    );
}

#[test]
fn what_is_no_record_is_listed_or_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data.ndjson");
    fs::write(&file, "{\n  \"path\": \"a.jpg\",\n  \"long\": \"x\"\n}\n".repeat(40)).unwrap();
    let (refusal, _) = refused(&file);
    assert!(
        refusal.contains("line 1") && refusal.contains("write one record a line"),
        "{refusal}"
    );
    // A line that is cut is that line alone.
    fs::write(
        &file,
        "{\"path\": \"a.jpg\", \"lo\n{\"path\": \"a.jpg\", \"long\": \"x\"}\n",
    )
    .unwrap();
    assert_eq!(opened(file).len(), 2);

    let file = dir.path().join("data.json");
    fs::write(dir.path().join("a.jpg"), "A").unwrap();
    let array = r#"[5, "a, ]", {"path": "a.jpg", "long": "x [1, 2], y"} , null,
        {"path": "a.jpg", "long": ". A cat."}, [1, 2], {"path": "a.jpg", "long": null, "text": "z"}]"#;
    fs::write(&file, array).unwrap();
    let data = opened(file);
    assert_eq!(data.about(), "7 records");
    check(&data, 2, "A", "x [1, 2], y", "x [1, 2], y");
    check(&data, 6, "A", "z", "z");
    for i in [0, 1, 3, 5] {
        let problem = problem(&data, i);
        let expected = format!("record {}`: it is no JSON object", i + 1);
        assert!(problem.contains(&expected), "{problem}");
    }
    assert!(
        problem(&data, 4).contains("begins with no word"),
        "{}",
        problem(&data, 4)
    );
}

#[test]
fn what_is_no_data_is_refused_with_what_would_be() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "path,long\n").unwrap();
    fs::write(dir.path().join("empty.ndjson"), "").unwrap();
    fs::write(dir.path().join("blank.ndjson"), "\u{feff}\n\n").unwrap();
    fs::write(dir.path().join("empty.json"), "[]").unwrap();
    fs::create_dir(dir.path().join("nothing")).unwrap();
    for (name, said) in [
        ("a.csv", "is no data to train on"),
        ("empty.ndjson", "is empty"),
        ("blank.ndjson", "is empty"),
        ("empty.json", "no sample in"),
        ("nothing", "no sample in"),
        ("gone", "cannot read"),
    ] {
        let error = Dataset::open(&[dir.path().join(name)], &options(dir.path()))
            .err()
            .unwrap();
        assert!(error.to_string().contains(said), "{name}: {error}");
        assert_eq!(error.hint().is_some(), name != "gone");
    }
}
