//! Overwriting: inputs, files that longclip did not write and finished results are never overwritten by accident.

use std::fs;

use insta::assert_snapshot;

use crate::fixture::{Desk, repository};
use crate::many::{LABELS, SMALL, arguments, text, with_many};

/// The formats of `classify` that are written to a temporary file and renamed at the end.
pub(crate) const WHOLE: [&str; 3] = ["json", "html", "parquet"];

pub(crate) fn classify<'a>(more: &[&'a str]) -> Vec<&'a str> {
    arguments(&[&["classify"], more, &LABELS, &SMALL, &["-q"]])
}

/// A file, a run that would overwrite it, and a part of the error message.
pub(crate) struct Case<'a> {
    pub(crate) file: &'a str,
    pub(crate) run: &'a [&'a str],
    pub(crate) said: &'a str,
}

/// Checks that each run, also with `--force`, exits with 2 and does not change the file.
#[track_caller]
pub(crate) fn check_untouched(desk: &Desk, cases: &[Case<'_>]) {
    for Case { file, run, said } in cases {
        let before = fs::read(desk.path(file)).unwrap();
        for more in [&[][..], &["--force"]] {
            let told = desk.run(&[run, more].concat());
            assert!(told.starts_with("exit code 2"), "{run:?} {more:?}: {told}");
            assert!(!more.is_empty() || told.contains(said), "{run:?}: {told}");
            let after = fs::read(desk.path(file)).unwrap();
            assert!(after == before, "{run:?} {more:?} changed `{file}`");
        }
    }
}

#[test]
fn the_photos_of_a_pattern_after_output_are_not_overwritten() {
    let desk = Desk::with_pictures().and_small_model();
    let photo = fs::read(desk.path("astronaut.jpg")).unwrap();
    let run = "longclip classify -o *.jpg -f csv --model small.safetensors --label 'a cat' --label 'a dog' 2>&1";
    let output = desk.shell(run);
    assert_eq!(output.status.code(), Some(2));
    assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    error: `astronaut.jpg` exists, and it does not look like results of longclip
    hint: name another file; `--force` replaces this one
    ");
    assert!(fs::read(desk.path("astronaut.jpg")).unwrap() == photo);
}

#[test]
fn an_input_is_never_an_output() {
    let member = fs::read(repository().join("img/cat.jpg")).unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(member.len() as u64);
    tar.append_data(&mut header, "cat.jpg", &member[..]).unwrap();
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("in.ndjson", "{\"path\":\"cat.jpg\"}\n")
        .file("list.txt", "cat.jpg\n")
        .file("labels.txt", "a cat\na dog\n")
        .file("templates.txt", "a photo of a {}.\n")
        .file("neutral.txt", "a photo\n")
        .file("texts.txt", "a cat\n")
        .file("in.tar", tar.into_inner().unwrap())
        .folder("photos");
    fs::rename(desk.path("coffee.jpg"), desk.path("photos/coffee.jpg")).unwrap();
    let to = |file: &'static str| ["-o", file, "-f", "ndjson"];
    let refused = |file: &'static str, run: &[&'static str]| {
        let run = classify(&[run, &to(file)].concat());
        let said = format!("`--output {file}` would overwrite ");
        (file, run, said)
    };
    let cases = [
        refused("cat.jpg", &["cat.jpg"]),
        refused("in.ndjson", &["--ndjson-from", "in.ndjson"]),
        refused("list.txt", &["--files-from", "list.txt"]),
        refused("in.tar", &["in.tar"]),
        refused("labels.txt", &["cat.jpg", "--labels-file", "labels.txt"]),
        refused("templates.txt", &["cat.jpg", "--templates", "templates.txt"]),
        refused("neutral.txt", &["cat.jpg", "--reject", "--neutral", "neutral.txt"]),
        refused("small.safetensors", &["cat.jpg"]),
    ];
    for (file, run, said) in &cases {
        check_untouched(&desk, &[Case { file, run, said }]);
    }
    // Files found through a folder, a list, a record or a pattern.
    for (file, run) in [
        ("photos/coffee.jpg", &["photos"][..]),
        ("photos/coffee.jpg", &["photos/*.jpg"]),
        ("cat.jpg", &["--files-from", "list.txt"]),
        ("cat.jpg", &["--ndjson-from", "in.ndjson"]),
    ] {
        let run = classify(&[run, &to(file)].concat());
        check_untouched(
            &desk,
            &[Case {
                file,
                run: &run,
                said: "exists",
            }],
        );
    }
    check_untouched(
        &desk,
        &[
            Case {
                file: "cat.jpg",
                run: &arguments(&[&["embed", "cat.jpg", "-o", "cat.jpg", "-f", "npy"], &SMALL]),
                said: "would overwrite one of the inputs",
            },
            Case {
                file: "texts.txt",
                run: &arguments(&[
                    &["embed", "--texts-file", "texts.txt", "-o", "texts.txt", "-f", "npy"],
                    &SMALL,
                ]),
                said: "would overwrite the file of texts",
            },
        ],
    );
}

#[cfg(unix)]
#[test]
fn another_name_of_an_input_is_an_input() {
    let desk = Desk::with_pictures().and_small_model();
    fs::hard_link(desk.path("cat.jpg"), desk.path("hard.csv")).unwrap();
    std::os::unix::fs::symlink("cat.jpg", desk.path("soft.csv")).unwrap();
    let cases = ["hard.csv", "soft.csv", "./cat.jpg"].map(|file| {
        let run = classify(&["cat.jpg", "-o", file, "-f", "csv"]);
        (file, run)
    });
    for (file, run) in &cases {
        check_untouched(
            &desk,
            &[Case {
                file,
                run,
                said: "would overwrite one of the inputs",
            }],
        );
    }
}

#[test]
fn a_file_that_is_not_results_is_replaced_only_with_force() {
    let formats = [
        ("ndjson", &["--resume"][..]),
        ("csv", &["--resume"]),
        ("tsv", &[]),
        ("json", &[]),
        ("html", &[]),
    ];
    for (format, more) in formats {
        for diary in [
            "dear diary\n",
            "dear diary",
            "{\"path\": \"dear diary\"}\n",
            "path of my life\n",
        ] {
            let desk = Desk::with_pictures().and_small_model().file("out", diary);
            let run = classify(&["cat.jpg", "-o", "out", "-f", format]);
            for more in [&[][..], more] {
                let told = desk.run(&[&run[..], more].concat());
                assert!(
                    told.starts_with("exit code 2") && told.contains("does not look like results"),
                    "{told}"
                );
                assert_eq!(text(&desk, "out"), diary, "{format} {more:?}");
            }
            let forced = desk.output(&[&run[..], &["--force"]].concat());
            assert_eq!(forced.status.code(), Some(0), "{format}");
            assert_ne!(text(&desk, "out"), diary);
        }
    }
}

#[test]
fn finished_results_are_continued_or_replaced_only_on_request() {
    let desk = with_many(3).file("empty.ndjson", "");
    let run = arguments(&[&["classify", "many", "--output", "out.ndjson"], &LABELS, &SMALL]);
    desk.output(&run);
    let finished = text(&desk, "out.ndjson");
    assert_snapshot!(desk.run(&run), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `out.ndjson` holds results already
    hint: `--resume` continues them, `--force` replaces them; or name another file
    ");
    assert_eq!(text(&desk, "out.ndjson"), finished);
    for more in ["--resume", "--force"] {
        assert_eq!(desk.output(&[&run[..], &[more]].concat()).status.code(), Some(0));
        assert_eq!(text(&desk, "out.ndjson"), finished);
    }
    let empty = classify(&["many", "-o", "empty.ndjson"]);
    assert_eq!(
        desk.output(&empty).status.code(),
        Some(0),
        "an empty file may be overwritten"
    );
    for format in WHOLE {
        let out = format!("out.{format}");
        let run = classify(&["many", "-o", &out]);
        assert_eq!(desk.output(&run).status.code(), Some(0));
        let told = desk.run(&run);
        assert!(
            told.starts_with("exit code 2") && told.contains("holds results already"),
            "{told}"
        );
        assert_eq!(desk.output(&[&run[..], &["--force"]].concat()).status.code(), Some(0));
    }
}

#[test]
fn a_report_does_not_overwrite_the_data_it_measures() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("data.ndjson", "{\"path\":\"cat.jpg\",\"label\":\"cat\"}\n");
    for folder in ["photos", "photos/cat", "photos/cup"] {
        fs::create_dir(desk.path(folder)).unwrap();
    }
    fs::copy(desk.path("cat.jpg"), desk.path("photos/cat/1.jpg")).unwrap();
    fs::copy(desk.path("coffee.jpg"), desk.path("photos/cup/1.jpg")).unwrap();
    let eval = |more: &[&'static str]| arguments(&[&["eval", "zeroshot"], more, &SMALL]);
    let of_data = eval(&["--data", "data.ndjson", "--report", "data.ndjson"]);
    let of_photo = eval(&["--data", "photos", "--report", "photos/cat/1.jpg"]);
    let kept = eval(&["--data", "data.ndjson", "--embeddings", "data.ndjson"]);
    fs::write(desk.path("labels.txt"), "cat\ncup\n").unwrap();
    let of_labels = eval(&[
        "--data",
        "photos",
        "--labels-file",
        "labels.txt",
        "--report",
        "labels.txt",
    ]);
    fs::copy(desk.path("small.safetensors"), desk.path("other.safetensors")).unwrap();
    let of_other = eval(&[
        "--data",
        "photos",
        "--compare",
        "other.safetensors",
        "--report",
        "other.safetensors",
    ]);
    check_untouched(
        &desk,
        &[
            Case {
                file: "data.ndjson",
                run: &of_data,
                said: "`--report data.ndjson` would overwrite one of the inputs",
            },
            Case {
                file: "photos/cat/1.jpg",
                run: &of_photo,
                said: "exists",
            },
            Case {
                file: "data.ndjson",
                run: &kept,
                said: "would overwrite one of the inputs",
            },
            Case {
                file: "labels.txt",
                run: &of_labels,
                said: "`--report labels.txt` would overwrite the label file",
            },
            Case {
                file: "other.safetensors",
                run: &of_other,
                said: "`--report other.safetensors` would overwrite the model",
            },
        ],
    );
    let page = eval(&["--data", "photos", "--report", "page.html", "-q"]);
    assert_eq!(desk.output(&page).status.code(), Some(0));
    assert!(desk.run(&page).contains("`page.html` holds results already"));
    assert_eq!(desk.output(&[&page[..], &["--force"]].concat()).status.code(), Some(0));
}

#[test]
fn a_report_with_force_does_not_overwrite_what_the_data_leads_to() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .folder("photos")
        .folder("photos/cat")
        .file("data.ndjson", "{\"path\":\"cat.jpg\",\"label\":\"cat\"}\n");
    fs::copy(desk.path("cat.jpg"), desk.path("photos/cat/1.jpg")).unwrap();
    let eval = |more: &[&'static str]| arguments(&[&["eval", "zeroshot"], more, &SMALL]);
    let forced = |data: &'static str, page: &'static str| eval(&["--data", data, "--report", page, "--force"]);
    fs::write(desk.path("photos/notes.txt"), "which cat is which").unwrap();
    fs::create_dir(desk.path("pairs")).unwrap();
    for folder in ["pairs/image", "pairs/caption"] {
        fs::create_dir(desk.path(folder)).unwrap();
    }
    fs::copy(desk.path("cat.jpg"), desk.path("pairs/image/1.jpg")).unwrap();
    fs::write(desk.path("pairs/caption/1.txt"), "A cat.").unwrap();
    let of_caption = arguments(&[
        &[
            "eval",
            "retrieval",
            "--data",
            "pairs",
            "--report",
            "pairs/caption/1.txt",
            "--force",
        ],
        &SMALL,
    ]);
    let of_image = arguments(&[
        &[
            "eval",
            "retrieval",
            "--data",
            "captions.ndjson",
            "--report",
            "cat.jpg",
            "--force",
        ],
        &SMALL,
    ]);
    fs::write(
        desk.path("captions.ndjson"),
        "{\"path\":\"cat.jpg\",\"text\":\"A cat.\"}\n",
    )
    .unwrap();
    fs::write(desk.path("table.csv"), "path,label\ncat.jpg,cat\n").unwrap();
    check_untouched(
        &desk,
        &[
            ("cat.jpg", forced("data.ndjson", "cat.jpg")),
            ("cat.jpg", forced("table.csv", "cat.jpg")),
            ("photos/cat/1.jpg", forced("photos", "photos/cat/1.jpg")),
            ("photos/notes.txt", forced("photos", "photos/notes.txt")),
            ("pairs/caption/1.txt", of_caption),
            ("cat.jpg", of_image),
        ]
        .each_ref()
        .map(|(file, run)| Case {
            file,
            run,
            said: "would overwrite one of the inputs",
        }),
    );
}

#[test]
fn a_heat_map_does_not_overwrite_another_file() {
    let desk = Desk::with_pictures().and_small_model().file("art.png", "a painting");
    let of = |place: &'static str| classify(&["cat.jpg", "-f", "ndjson", "--explain", place]);
    let told = desk.run(&of("art.png"));
    assert!(
        told.contains("`art.png` exists, and it does not look like results"),
        "{told}"
    );
    assert_eq!(text(&desk, "art.png"), "a painting");
    assert_eq!(desk.output(&of("heat")).status.code(), Some(0));
    let told = desk.run(&of("heat"));
    assert!(told.contains("`heat` holds painted photos already"), "{told}");
    assert_eq!(
        desk.output(&[&of("heat")[..], &["--force"]].concat()).status.code(),
        Some(0)
    );
    let both = classify(&["cat.jpg", "-o", "a.png", "-f", "json", "--explain", "a.png"]);
    assert!(
        desk.run(&both)
            .contains("`--explain` and `--output` both write `a.png`")
    );
}
