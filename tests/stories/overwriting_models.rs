//! Models, trainings and indexes do not overwrite what they did not write.

use std::fs;

use crate::fixture::Desk;
use crate::many::{SMALL, arguments, text};
use crate::overwriting::{Case, check_untouched};

/// Converts the small model to one file.
pub(crate) fn convert(out: &str) -> [&str; 7] {
    [
        "model",
        "convert",
        "small.safetensors",
        "--to",
        "safetensors",
        "-o",
        out,
    ]
}

#[test]
fn convert_overwrites_neither_its_source_nor_another_file() {
    let desk = Desk::new().and_small_model().file("diary.safetensors", "dear diary");
    check_untouched(
        &desk,
        &[Case {
            file: "small.safetensors",
            run: &convert("small.safetensors"),
            said: "would overwrite the model",
        }],
    );
    let diary = convert("diary.safetensors");
    assert!(desk.run(&diary).contains("does not look like results"));
    assert_eq!(text(&desk, "diary.safetensors"), "dear diary");
    assert_eq!(desk.output(&[&diary[..], &["--force"]].concat()).status.code(), Some(0));
    let folder = ["model", "convert", "small.safetensors", "--to", "hf", "-o", "hf"];
    assert_eq!(desk.output(&folder).status.code(), Some(0));
    let config = text(&desk, "hf/config.json");
    let again = ["model", "convert", "hf", "--to", "hf", "-o", "hf", "--force"];
    assert!(
        desk.run(&again)
            .contains("`--output hf/model.safetensors` would overwrite the model")
    );
    assert_eq!(text(&desk, "hf/config.json"), config);
    assert!(desk.run(&folder).contains("`hf` exists already"));
}

#[cfg(feature = "train")]
#[test]
fn a_training_does_not_change_files_that_it_did_not_write() {
    let records = "{\"path\":\"cat.jpg\",\"long\":\"a cat\"}\n{\"path\":\"coffee.jpg\",\"long\":\"a cup of coffee\"}\n";
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("data.ndjson", records)
        .folder("run");
    let train = |base: &'static str, data: &'static str| {
        let run = [
            "train", "--base", base, "--data", data, "--out", "run", "--batch", "2", "--steps", "1", "--images", ".",
            "-q",
        ];
        run.to_vec()
    };
    let plain = train("small.safetensors", "data.ndjson");
    fs::write(desk.path("run/config.json"), "mine").unwrap();
    let told = desk.run(&plain);
    assert!(
        told.contains("`run/config.json` would be overwritten, but it is not from a training"),
        "{told}"
    );
    assert_eq!(text(&desk, "run/config.json"), "mine");
    fs::remove_file(desk.path("run/config.json")).unwrap();
    fs::write(desk.path("run/state.safetensors"), "mine").unwrap();
    assert!(desk.run(&plain).starts_with("exit code 2"));
    assert_eq!(text(&desk, "run/state.safetensors"), "mine");
    assert_eq!(desk.output(&[&plain[..], &["--force"]].concat()).status.code(), Some(0));
    assert!(desk.run(&plain).contains("`run` already has a training"));
    fs::write(desk.path("run/metrics.ndjson"), records).unwrap();
    check_untouched(
        &desk,
        &[
            Case {
                file: "run/last.safetensors",
                run: &train("run/last.safetensors", "data.ndjson"),
                said: "would overwrite the model",
            },
            Case {
                file: "run/metrics.ndjson",
                run: &train("small.safetensors", "run/metrics.ndjson"),
                said: "would overwrite the data",
            },
        ],
    );
}

#[cfg(feature = "parquet")]
#[test]
fn an_index_does_not_overwrite_another_file() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("diary.parquet", "dear diary");
    let build = |out: &'static str| arguments(&[&["search", "build", "cat.jpg", "-o", out, "-q"], &SMALL]);
    check_untouched(
        &desk,
        &[Case {
            file: "cat.jpg",
            run: &build("cat.jpg"),
            said: "would overwrite one of the inputs",
        }],
    );
    assert!(desk.run(&build("diary.parquet")).starts_with("exit code 2"));
    assert_eq!(text(&desk, "diary.parquet"), "dear diary");
    for more in [&["--force"][..], &[]] {
        assert_eq!(
            desk.output(&[&build("diary.parquet")[..], more].concat()).status.code(),
            Some(0)
        );
    }
    let query = |out: &'static str| {
        arguments(&[
            &["search", "query", "diary.parquet", "a cat", "-f", "json", "-o", out],
            &SMALL,
        ])
    };
    check_untouched(
        &desk,
        &[Case {
            file: "diary.parquet",
            run: &query("diary.parquet"),
            said: "would overwrite the index",
        }],
    );
    assert_eq!(desk.output(&query("found.json")).status.code(), Some(0));
    assert!(
        desk.run(&query("found.json"))
            .contains("`found.json` holds results already")
    );
}
