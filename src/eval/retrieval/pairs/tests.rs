//! Each kind of data in its published format (`tests/data/pairs/make_pairs.py`), and its typical damage.

use std::fs;

use super::*;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/pairs")
        .join(path)
}

fn opened(path: &str, options: &PairOptions) -> Pairs {
    Pairs::open(&fixture(path), options).unwrap()
}

/// Checks the kind, the pictures' file names and how many captions each has.
#[track_caller]
fn check(pairs: &Pairs, kind: Kind, pictures: &[(&str, usize)]) {
    let found: Vec<(&str, usize)> = pairs
        .pictures
        .iter()
        .map(|picture| {
            (
                picture.path.file_name().unwrap().to_str().unwrap(),
                picture.captions.len(),
            )
        })
        .collect();
    assert_eq!((pairs.kind, found.as_slice()), (kind, pictures));
    assert!(pairs.pictures.iter().all(|picture| picture.path.is_file()));
}

fn first_caption(pairs: &Pairs) -> &str {
    &pairs.pictures[0].captions[0]
}

fn refused(data: &Path) -> String {
    Pairs::open(data, &PairOptions::default()).unwrap_err().to_string()
}

/// Opens data that is damaged, and checks that it is refused with `said`, and left out where that is asked for.
#[track_caller]
fn check_damage(data: &Path, said: &[&str], n_pictures_left: usize) {
    let message = refused(data);
    for said in said {
        assert!(message.contains(said), "`{said}` is not in: {message}");
    }
    let options = PairOptions {
        most_unusable: u64::MAX,
        ..PairOptions::default()
    };
    let left = Pairs::open(data, &options).unwrap();
    assert_eq!(
        (left.pictures.len(), left.left_out.len()),
        (n_pictures_left, said.len())
    );
}

#[test]
fn coco_comes_in_the_order_of_ids_with_five_captions_a_picture_as_upstream_takes_it() {
    let pairs = opened("coco/annotations/captions_val2017.json", &PairOptions::default());
    let expected = [
        ("000000037777.jpg", 5),
        ("000000252219.jpg", 5),
        ("000000397133.jpg", 5),
    ];
    check(&pairs, Kind::Coco, &expected);
    assert_eq!(first_caption(&pairs), "A cup of coffee on a table .");
    let all = PairOptions {
        captions_per_picture: Some(PerPicture::All),
        first: Some(3),
        ..PairOptions::default()
    };
    let pairs = opened("coco/annotations/captions_val2017.json", &all);
    assert_eq!(pairs.pictures[2].captions[5], "A sixth caption .");
}

#[test]
fn flickr30k_comes_as_tokens_and_as_a_table_with_its_broken_line() {
    let expected = [("1000092795.jpg", 5), ("10002456.jpg", 5), ("2199200615.jpg", 5)];
    let tokens = opened("flickr30k/results_20130124.token", &PairOptions::default());
    check(&tokens, Kind::FlickrTokens, &expected);
    let table = opened("flickr30k/results.csv", &PairOptions::default());
    check(&table, Kind::FlickrTable, &expected);
    assert_eq!(tokens.pictures, table.pictures);
    assert_eq!(tokens.pictures[2].captions[4], "An astronaut of the shuttle .");
}

#[test]
fn karpathys_json_has_splits() {
    let split = |name: &str| PairOptions {
        split: Some(name.to_owned()),
        ..PairOptions::default()
    };
    let pairs = opened("flickr30k/dataset_flickr30k.json", &split("test"));
    check(&pairs, Kind::Karpathy, &[("1000092795.jpg", 5), ("2199200615.jpg", 5)]);
    let path = fixture("flickr30k/dataset_flickr30k.json");
    let error = Pairs::open(&path, &split("val")).unwrap_err();
    assert!(error.to_string().contains("no picture of the split `val`"), "{error}");
    assert!(error.hint().unwrap().to_string().contains("`test`, `train`"));
    let error = Pairs::open(&fixture("pairs.ndjson"), &split("val")).unwrap_err();
    assert!(error.hint().unwrap().to_string().contains("it has no splits"));
}

#[test]
fn urban1k_is_two_folders_of_which_the_first_lines_are_read() {
    let pairs = opened("Urban1k", &PairOptions::default());
    check(&pairs, Kind::Folders, &[("1.jpg", 1), ("2.jpg", 1), ("3.jpg", 1)]);
    assert!(!first_caption(&pairs).contains("second line") && first_caption(&pairs).ends_with("blurred ground."));
    let part = |part| PairOptions {
        part: Some(part),
        ..PairOptions::default()
    };
    assert!(first_caption(&opened("Urban1k", &part(Part::Whole))).contains("second line"));
    let sentence = opened("Urban1k", &part(Part::FirstSentence));
    assert_eq!(first_caption(&sentence), "A cat looks straight into the camera");
}

#[test]
fn sharegpt4vs_answer_is_the_caption_with_spaces_for_line_breaks() {
    let pairs = opened("share-captioner.json", &PairOptions::default());
    check(&pairs, Kind::ShareGpt4v, &[("1.jpg", 1), ("2.jpg", 1), ("3.jpg", 1)]);
    assert!(first_caption(&pairs).starts_with("A cat looks straight into the camera. Its fur"));
}

#[test]
fn records_have_one_caption_or_a_list_in_a_field_that_may_be_named() {
    let pairs = opened("pairs.ndjson", &PairOptions::default());
    check(&pairs, Kind::Records, &[("1.jpg", 1), ("2.jpg", 2), ("3.jpg", 3)]);
    let short = PairOptions {
        text_field: Some("short".into()),
        ..PairOptions::default()
    };
    let pairs = opened("pairs.ndjson", &short);
    check(&pairs, Kind::Records, &[("1.jpg", 1), ("2.jpg", 1), ("3.jpg", 1)]);
    assert_eq!(first_caption(&pairs), "A cat looks into the camera .");
    let error = Pairs::open(&fixture("Urban1k"), &short).unwrap_err();
    assert!(
        error.to_string().contains("`--text-field short` with folders"),
        "{error}"
    );
}

#[test]
fn records_that_name_one_picture_are_one_picture() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.jpg"), "A").unwrap();
    fs::write(dir.path().join("b.jpg"), "B").unwrap();
    let lines = r#"{"path":"a.jpg","caption":"one"}
{"image":"b.jpg","text":"two"}
{"path":"a.jpg","caption":["three","four"]}"#;
    fs::write(dir.path().join("x.ndjson"), lines).unwrap();
    let pairs = Pairs::open(&dir.path().join("x.ndjson"), &PairOptions::default()).unwrap();
    check(&pairs, Kind::Records, &[("a.jpg", 3), ("b.jpg", 1)]);
    assert_eq!(pairs.captions().collect::<Vec<_>>(), ["one", "three", "four", "two"]);
}

#[test]
fn damaged_records_are_named_with_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.jpg"), "A").unwrap();
    fs::write(dir.path().join("b.jpg"), "B").unwrap();
    let lines = [
        r#"{"path":"a.jpg","text":"good"}"#,
        r#"{"path":"a.jpg","te"#,
        r#"{"path":"gone.jpg","text":"x"}"#,
        r#"{"path":"b.jpg","text":["x"," "]}"#,
        r#"{"path":"b.jpg"}"#,
    ];
    let data = dir.path().join("x.ndjson");
    fs::write(&data, lines.join("\n")).unwrap();
    let said = [
        "line 2: it is no JSON object",
        "line 3: there is no picture",
        "line 4: caption 2 of `b.jpg` is empty",
        "line 5: it has no caption as `long`",
    ];
    check_damage(&data, &said, 1);
    fs::write(
        &data,
        (1..=9)
            .map(|i| format!("{{\"path\":\"{i}.png\",\"text\":\"x\"}}\n"))
            .collect::<String>(),
    )
    .unwrap();
    let message = refused(&data);
    assert!(
        message.contains("has 9 things that can't be used") && message.contains("; and 4 more"),
        "{message}"
    );
}

#[test]
fn damaged_coco_is_named_with_its_places() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("1.jpg"), "1").unwrap();
    fs::write(dir.path().join("2.jpg"), "2").unwrap();
    let data = dir.path().join("captions.json");
    let whole = r#"{
  "images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}, {"id": 3, "file_name": "3.jpg"}],
  "annotations": [{"image_id": 1, "caption": "one"}, {"image_id": 9, "caption": "nine"}, {"image_id": 3, "caption": "three"}]
}"#;
    fs::write(&data, whole).unwrap();
    let said = [
        "annotation 2: there is no image with its `image_id` 9",
        "image 2: the picture `2.jpg` has no caption",
        "image 3: there is no picture",
    ];
    check_damage(&data, &said, 1);
    let wrong = r#"{"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "one"},
      {"image_id": "1", "caption": "a"}, {"image_id": 1, "caption": 7}, {"image_id": 1, "caption": null}, {"caption": "b"}]}"#;
    fs::write(&data, wrong).unwrap();
    let said = [
        "annotation 2: its `image_id` is no whole number",
        "annotation 3: its `caption` is no text",
        "annotation 4: it has no `caption`",
        "annotation 5: it has no `image_id`",
    ];
    check_damage(&data, &said, 1);
    fs::write(&data, &whole[..200]).unwrap();
    let message = refused(&data);
    assert!(
        message.contains("is not COCO's captions") && message.contains("line 3 column"),
        "{message}"
    );
    fs::write(&data, whole.replace("\"file_name\"", "\"name\"")).unwrap();
    assert!(
        refused(&data).contains("missing field `file_name` at line 2"),
        "{}",
        refused(&data)
    );
    fs::write(&data, whole.replace("caption", "bbox")).unwrap();
    assert!(
        refused(&data).contains("annotations without `caption`"),
        "{}",
        refused(&data)
    );
}

#[test]
fn damaged_lines_of_flickr30k_are_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.jpg"), "A").unwrap();
    let data = dir.path().join("x.token");
    fs::write(
        &data,
        b"a.jpg#0\tone\na.jpg#1 two\na.jpg\tthree\nb.jpg#0\tfour\n\xff#0\tfive\n",
    )
    .unwrap();
    let said = [
        "line 2: there is no tab",
        "line 3: its picture has no `#`",
        "line 5: it is no UTF-8",
        "line 4: there is no picture",
    ];
    check_damage(&data, &said, 1);
    fs::write(&data, "image_name| comment_number| comment\na.jpg| 0| one\na.jpg two\n").unwrap();
    check_damage(&data, &["line 3: it is not like `name.jpg| 0| caption`"], 1);
}

#[test]
fn a_file_of_flickr30k_that_was_cut_is_told_from_one_without_a_last_line_end() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.jpg", "b.jpg", "c.jpg"] {
        fs::write(dir.path().join(name), "a picture").unwrap();
    }
    let tokens = dir.path().join("some.token");
    let begun = "a.jpg#0\tA cat.\na.jpg#1\tThe cat.\nb.jpg#0\tA dog.\n";
    fs::write(&tokens, format!("{begun}b.jpg#1\tThe dog.")).unwrap();
    let pairs = Pairs::open(&tokens, &PairOptions::default()).unwrap();
    check(&pairs, Kind::FlickrTokens, &[("a.jpg", 2), ("b.jpg", 2)]);
    fs::write(&tokens, format!("{begun}b.jpg#1\tThe dog.\nc.jpg#0\tA bi")).unwrap();
    check_damage(
        &tokens,
        &["in the middle of a line, after 1 of the 2 captions of `c.jpg`"],
        2,
    );
    fs::write(&tokens, format!("{begun}b.jpg#1")).unwrap();
    check_damage(&tokens, &["line 4: there is no tab"], 2);
    // Pictures that have as many captions as people wrote, and a last line without an end.
    fs::write(&tokens, format!("{begun}c.jpg#0\tA bird.")).unwrap();
    let pairs = Pairs::open(&tokens, &PairOptions::default()).unwrap();
    check(&pairs, Kind::FlickrTokens, &[("a.jpg", 2), ("b.jpg", 1), ("c.jpg", 1)]);
}

#[test]
fn a_damaged_file_is_told_as_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.jpg"), "a picture").unwrap();
    let records = dir.path().join("pairs.ndjson");
    fs::write(&records, "{\"path\": \n{\"path\": \"a.jpg\", \"text\": \"A cat.\"}\n").unwrap();
    check_damage(&records, &["line 1: it is no JSON object"], 1);
    let karpathy = dir.path().join("dataset.json");
    let lacking = r#"{"images": [{"filename": "a.jpg", "sentences": [{"raw": "A cat."}]}, {"filename": "b.jpg"}]}"#;
    fs::write(&karpathy, lacking).unwrap();
    check_damage(&karpathy, &["image 2: the picture `b.jpg` has no caption"], 1);
    let whole = r#"{"images": [{"filename": "a.jpg", "sentences": [{"raw": "A cat."}]}, {"filename": "b.jpg", "sentences": []}]}"#;
    fs::write(&karpathy, &whole[..whole.len() - 20]).unwrap();
    let message = refused(&karpathy);
    assert!(message.contains("is not Karpathy's json: EOF"), "{message}");
}

#[test]
fn lonely_files_of_urban1k_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("image/1.jpg", "1"),
        ("image/2.png", "2"),
        ("image/4.jpg", "4"),
        ("image/Thumbs.db", "no picture"),
        ("caption/1.txt", "one"),
        ("caption/3.txt", "three"),
        ("caption/4.txt", "\n"),
    ] {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(dir.path().join("image/5.jpg"), "5").unwrap();
    fs::create_dir(dir.path().join("caption/5.txt")).unwrap();
    let said = [
        "caption/5.txt: it can't be read",
        "caption/3.txt: there is no picture `image/3.*`",
        "image/2.png: there is no `caption/2.txt`",
        "caption/4.txt: caption of `image/4.jpg` is empty",
    ];
    check_damage(dir.path(), &said, 1);
}

#[test]
fn what_is_no_pairs_is_refused_with_what_would_be() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.txt"), "a cat\na dog\n").unwrap();
    fs::write(dir.path().join("empty.ndjson"), "").unwrap();
    fs::write(dir.path().join("empty.json"), "[]").unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    for (name, said) in [
        ("a.txt", "is no pairs of pictures and captions"),
        ("empty.ndjson", "empty.ndjson` is empty"),
        ("empty.json", "has no picture with a caption"),
        ("folder", "has no `image` and `caption` in it"),
        ("gone", "cannot read"),
    ] {
        let error = Pairs::open(&dir.path().join(name), &PairOptions::default()).unwrap_err();
        assert!(error.to_string().contains(said), "{name}: {error}");
    }
}
