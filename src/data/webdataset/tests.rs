//! Tars of captions, of classes and of both, whole and damaged.

use std::fs;
use std::io::Write;

use super::*;
use crate::data::testing::{captions, check_said, file, folder, opened, options, read, said};
use crate::input::testing::archive_of;

#[test]
fn samples_are_the_same_packed_or_not() {
    let members: [(&str, &[u8]); 8] = [
        ("s/001.jpg", b"one"),
        ("s/001.txt", b"A cat. It sleeps.\n"),
        ("s/002.txt", b"A dog."),
        ("s/002.json", br#"{"caption": "not this"}"#),
        ("s/002.left.png", b"not this: the key is the same up to the first dot"),
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
    for (name, bytes) in [
        ("a.tar", plain.clone()),
        ("a.tar.gz", gzip.finish().unwrap()),
        ("a.tzst", zstd::encode_all(&plain[..], 1).unwrap()),
    ] {
        let (_dir, path) = file(name, bytes);
        let with_scratch = DataOptions {
            scratch: path.parent().unwrap().to_owned(),
            ..options(Purpose::Training)
        };
        let data = open(std::slice::from_ref(&path), &with_scratch).unwrap();
        let samples: Vec<Sample> = (0..3).map(|i| data.source.read(i).unwrap()).collect();
        let images: Vec<Vec<u8>> = samples.iter().map(|sample| sample.image.read().unwrap()).collect();
        assert_eq!(images, [&b"one"[..], b"two", b"three"]);
        let all: Vec<String> = captions(&samples)
            .into_iter()
            .flat_map(|(_, captions)| captions)
            .collect();
        assert_eq!(all, ["A cat. It sleeps.", "A dog.", "A bird. It flies."]);
        assert_eq!(samples[2].short.as_deref(), Some("Bird."));
        assert_eq!(samples[2].class, Some(ClassOf::Name("bird".into())));
        // Elsewhere it has no name from the beginning, so that nothing is left of a run that is killed.
        if cfg!(windows) {
            drop((data, samples));
        }
        let n_files = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(n_files, 2, "nothing is left of unpacking");
    }
}

#[test]
fn one_tar_of_captions_and_classes_serves_every_purpose() {
    let both = [("1.jpg", &b"1"[..]), ("1.txt", b"A cat."), ("1.cls", b"cat")];
    let (_dir, path) = file("a.tar", archive_of(&both));
    for purpose in [Purpose::Training, Purpose::Retrieval] {
        assert_eq!(read(&path, purpose).0[0].captions, ["A cat."]);
    }
    assert_eq!(
        read(&path, Purpose::ZeroShot).0[0].class,
        Some(ClassOf::Name("cat".into()))
    );
}

#[test]
fn a_folder_is_all_of_its_tars_and_incomplete_keys_are_reported() {
    let (_dir, root) = folder(&[]);
    let pair = |key: &str| archive_of(&[(&format!("{key}.jpg"), key.as_bytes()), (&format!("{key}.txt"), b"x")]);
    let incomplete = [
        ("1.jpg", &b"1"[..]),
        ("1.txt", b"y"),
        ("alone.jpg", b"x"),
        ("text.txt", b"x"),
        ("2.jpg", b"2"),
    ];
    fs::write(root.join("a.tar"), archive_of(&incomplete)).unwrap();
    fs::write(root.join("b.tar"), pair("2")).unwrap();
    fs::write(root.join("c.tar.zst"), zstd::encode_all(&pair("3")[..], 1).unwrap()).unwrap();
    fs::write(root.join("d.tar.zst"), zstd::encode_all(&pair("4")[..], 1).unwrap()).unwrap();
    fs::write(root.join("e.tar"), archive_of(&[("README", b"x")])).unwrap();
    fs::write(root.join("f.tar"), "").unwrap();
    let (samples, problems) = read(&root, Purpose::Training);
    let images: Vec<Vec<u8>> = samples.iter().map(|sample| sample.image.read().unwrap()).collect();
    assert_eq!(images, [b"1", b"2", b"3", b"4"]);
    let expected = [
        "a.tar/alone`: it has no caption: a member `.txt` or `.json`",
        "a.tar/text`: it has no image",
        "a.tar/2`: it has no caption",
        "e.tar`: it holds no sample",
        "f.tar`: it is empty; no sample comes before that",
    ];
    check_said(&problems, &expected);
    assert_eq!(opened(&root, Purpose::Training).source.about(), "4 samples of 6 tars");
}

#[test]
fn a_json_member_is_read_as_a_record() {
    let members = [
        ("1", r#"{"text": null, "caption": "A cat. It sleeps."}"#),
        ("2", r#"{"caption": 5}"#),
        (
            "3",
            r#"{"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "A bird.\nIt flies."}]}"#,
        ),
        ("4", r#"["A cat."]"#),
    ];
    let names: Vec<[String; 2]> = members
        .iter()
        .map(|(key, _)| [format!("{key}.jpg"), format!("{key}.json")])
        .collect();
    let files = names.iter().zip(&members);
    let files: Vec<(&str, &[u8])> = files
        .flat_map(|([image, json], (_, text))| [(image.as_str(), &b"x"[..]), (json.as_str(), text.as_bytes())])
        .collect();
    let (_dir, path) = file("a.tar", archive_of(&files));
    let (samples, problems) = read(&path, Purpose::Training);
    assert_eq!(samples[0].captions, ["A cat. It sleeps."]);
    assert_eq!(samples[1].captions, ["A bird. It flies."]);
    check_said(
        &problems,
        &[
            "a.tar/2`: its `caption` is not text",
            "a.tar/4`: its `.json` is not a JSON object",
        ],
    );
}

#[test]
fn classes_are_names_or_numbers_and_the_data_may_list_them() {
    let tar = archive_of(&[
        ("s0.jpg", b"0"),
        ("s0.cls", b"1\n"),
        ("s1.cls", b"sea lion"),
        ("s1.webp", b"1"),
        ("alone.jpg", b"2"),
        ("word.cls", b"0"),
        ("s4.jpg", b"4"),
        ("s4.cls", b""),
        // A key that comes again is another image.
        ("s0.jpg", b"5"),
        ("s0.cls", b"0"),
    ]);
    let (_dir, root) = folder(&["preview.jpg"]);
    fs::create_dir(root.join("test")).unwrap();
    fs::write(root.join("test/0.tar"), tar).unwrap();
    fs::write(root.join("classnames.txt"), "sea_lion\ncat\n").unwrap();
    fs::write(root.join(TEMPLATES), "a photo of a {c}.\n{c}\n").unwrap();
    let data = opened(&root, Purpose::ZeroShot);
    assert_eq!((data.templates.len(), data.classes[0].name.as_str()), (2, "sea lion"));
    check_said(
        &said(&data.unusable),
        &["0.tar/alone`: it has no class", "0.tar/word`: it has no image"],
    );
    let (samples, problems) = read(&root, Purpose::ZeroShot);
    check_said(&problems[2..], &["0.tar/s4`: its `.cls` is empty"]);
    let found: Vec<_> = samples
        .iter()
        .map(|sample| (sample.image.read().unwrap(), sample.class.clone()))
        .collect();
    let expected = [(b"0", "1"), (b"1", "sea lion"), (b"5", "0")];
    assert_eq!(
        found,
        expected.map(|(image, class)| (image.to_vec(), Some(ClassOf::Name(class.into()))))
    );
    assert!(
        samples[2].image.name().ends_with("0.tar/s0 (2)"),
        "{:?}",
        samples[2].image
    );
    fs::write(root.join(TEMPLATES), "a photo\n").unwrap();
    let (problem, _) = crate::data::testing::refused(&root, Purpose::ZeroShot);
    assert!(problem.contains("the template `a photo` has no `{c}`"), "{problem}");
}
