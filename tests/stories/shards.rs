//! `--shard I/N`: independent processes label every image exactly once, and a folder of their files shows whether it is
//! complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use insta::assert_snapshot;

use crate::fixture::Desk;
use crate::many::{LABELS, SMALL, arguments, ppm, text, with_many};

pub(crate) fn lines(output: &Output) -> Vec<String> {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    stdout.lines().map(str::to_owned).collect()
}

fn archive_of(members: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A working folder with `many/`, a list, records and archives of similar images, each with something that cannot be read.
pub(crate) fn desk() -> Desk {
    let desk = with_many(30).file("many/00007.ppm", "broken").folder("many/inner");
    fs::write(desk.path("many/inner/a.ppm"), ppm(100)).unwrap();
    let list: String = (0..30).map(|i| format!("many/{i:05}.ppm\n")).collect();
    let records: String = (0..20)
        .map(|i| format!("{{\"path\":\"many/{i:05}.ppm\",\"n\":{i}}}\n"))
        .collect();
    let members = |from: usize| {
        (from..from + 12).flat_map(|i| {
            [
                (format!("{i:04}.ppm"), ppm(i)),
                (format!("{i:04}.txt"), b"text".to_vec()),
            ]
        })
    };
    let cut = archive_of(members(20));
    desk.file("list.txt", list + "many/inner\ngone.ppm\ngone.tar\n")
        .file("records.ndjson", records + "no record\n")
        .file("one.tar", archive_of(members(0)))
        .file("cut.tar", &cut[..cut.len() / 2])
}

const INPUTS: [&[&str]; 5] = [
    &["many"],
    &["--files-from", "list.txt"],
    &["--ndjson-from", "records.ndjson"],
    &["one.tar", "cut.tar"],
    &["many/00001.ppm", "many/inner", "cut.tar", "--files-from", "list.txt"],
];

#[test]
fn all_shards_together_have_the_rows_of_a_run_without_shards() {
    let desk = desk();
    for input in INPUTS {
        let run = arguments(&[&["classify", "--format", "ndjson", "-q"], input, &LABELS, &SMALL]);
        let whole = lines(&desk.output(&run));
        assert!(whole.len() > 15, "{input:?}");
        for n in [1, 2, 3, 7] {
            let mut together = Vec::new();
            for i in 0..n {
                let shard = format!("{i}/{n}");
                let part = lines(&desk.output(&[&run[..], &["--shard", &shard]].concat()));
                assert!(is_in_order(&part, &whole), "{input:?} {shard}");
                together.extend(part);
            }
            let mut expected = whole.clone();
            expected.sort_unstable();
            together.sort_unstable();
            assert_eq!(together, expected, "{input:?} in {n} shards");
        }
    }
}

/// Whether `part` is `whole` with some lines missing.
fn is_in_order(part: &[String], whole: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|line| rest.any(|other| other == line))
}

#[test]
fn a_shard_has_the_same_images_wherever_the_folder_is() {
    let desk = with_many(20);
    let moved = with_many(20);
    fs::create_dir(moved.path("deep")).unwrap();
    fs::rename(moved.path("many"), moved.path("deep/photos")).unwrap();
    let names = |desk: &Desk, folder: &str| {
        let run = [&["classify", folder, "--shard", "1/3", "-q"][..], &LABELS, &SMALL];
        let run = arguments(&[&run.concat(), &["--format", "{path}"]]);
        let lines = lines(&desk.output(&run));
        let names = lines.iter().map(|path| path.rsplit('/').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let here = names(&desk, "many");
    assert!((1..20).contains(&here.len()));
    assert_eq!(here, names(&moved, "deep/photos/"));
    let absolute = moved.path("deep/photos");
    assert_eq!(here, names(&moved, absolute.to_str().unwrap()));
}

#[test]
fn shard_by_archive_keeps_archives_together() {
    let desk = with_many(0);
    for archive in 0..6 {
        let members = (0..4).map(|i| (format!("{i}.ppm"), ppm(i + archive)));
        fs::write(desk.path(&format!("{archive}.tar")), archive_of(members)).unwrap();
    }
    let mut seen = BTreeSet::new();
    for shard in ["0/2", "1/2"] {
        let run = [
            "classify", "0.tar", "1.tar", "2.tar", "3.tar", "4.tar", "5.tar", "--format", "{path}", "-q",
        ];
        let by = ["--shard", shard, "--shard-by", "archive"];
        let paths = lines(&desk.output(&arguments(&[&run, &by, &LABELS, &SMALL])));
        let archives: BTreeSet<String> = paths
            .iter()
            .map(|path| path.split('/').next().unwrap().to_owned())
            .collect();
        assert_eq!(paths.len(), 4 * archives.len());
        assert!(archives.is_disjoint(&seen));
        seen.extend(archives);
    }
    assert_eq!(seen.len(), 6);
}

pub(crate) fn folder_run<'a>(shard: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let run = ["classify", "many", "--shard", shard, "--output", "out/"];
    arguments(&[&run, &LABELS, &SMALL, more])
}

pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn the_last_shard_writes_success_and_a_second_run_does_nothing() {
    let desk = with_many(12).file("many/00003.ppm", "broken");
    let ndjson = ["--format", "ndjson", "--threads", "1"];
    for shard in ["2/3", "0/3"] {
        assert!(
            desk.output(&folder_run(shard, &ndjson))
                .status
                .code()
                .is_some_and(|code| code < 2)
        );
    }
    let without_last = [
        "_longclip.json",
        "part-00000-of-00003.ndjson",
        "part-00002-of-00003.ndjson",
    ];
    assert_eq!(names_in(&desk.path("out")), without_last);
    assert_snapshot!(desk.run(&folder_run("1/3", &ndjson)), @r#"
    exit code 0
    --- stdout
    --- stderr
    note: 3 done, 0 failed, [RATE] images/s
    note: all 3 shards are there: `out/_SUCCESS`
    "#);
    assert_snapshot!(desk.run(&folder_run("1/3", &ndjson)), @r#"
    exit code 0
    --- stdout
    --- stderr
    note: shard 1/3 is done already: `out/part-00001-of-00003.ndjson`
    "#);
    let whole = lines(&desk.output(&arguments(&[
        &["classify", "many", "--format", "ndjson", "-q"],
        &LABELS,
        &SMALL,
    ])));
    let parts = (0..3).map(|i| text(&desk, &format!("out/part-{i:05}-of-00003.ndjson")));
    let mut together: Vec<String> = parts.collect::<String>().lines().map(str::to_owned).collect();
    together.sort_unstable();
    assert_eq!(
        together, whole,
        "the rows of the folder, sorted, are those of the plain run"
    );
    // Any command that finds all shards complete writes the file.
    fs::remove_file(desk.path("out/_SUCCESS")).unwrap();
    desk.output(&folder_run("0/3", &ndjson));
    assert!(desk.path("out/_SUCCESS").exists());
}

#[cfg(feature = "parquet")]
#[test]
fn shards_that_run_at_the_same_time_write_one_folder_of_parquet() {
    let desk = with_many(40);
    let shards = ["0/4", "1/4", "2/4", "3/4"];
    let children = shards.map(|shard| {
        let mut command = desk.command(&folder_run(shard, &["-q", "--threads", "1"]));
        command.stderr(Stdio::piped()).spawn().unwrap()
    });
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(
        names_in(&desk.path("out")),
        [
            "_SUCCESS",
            "_longclip.json",
            "part-00000-of-00004.parquet",
            "part-00001-of-00004.parquet",
            "part-00002-of-00004.parquet",
            "part-00003-of-00004.parquet",
        ]
    );
    let n_rows = |i: usize| {
        let file = fs::File::open(desk.path(&format!("out/part-{i:05}-of-00004.parquet"))).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader.metadata().file_metadata().num_rows()
    };
    assert_eq!((0..4).map(n_rows).sum::<i64>(), 40);
}

#[test]
fn shards_with_other_settings_are_refused_and_the_error_says_what_differs() {
    let desk = with_many(3).file("labels.txt", "a cat\na dog, asleep\n");
    assert_eq!(desk.output(&folder_run("0/2", &["-q"])).status.code(), Some(0));
    let before = names_in(&desk.path("out"));
    assert_snapshot!(desk.run(&folder_run("1/2", &["--label", "a bird"])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `out/` holds shards made with other settings: `labels` was a list of 2 there and is one of 3 here
    hint: give what `out/_longclip.json` says, or name another folder
    "#);
    assert_snapshot!(desk.run(&folder_run("1/3", &[])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `out/` holds shards made with other settings: `shards` was `2` there and is `3` here
    hint: give what `out/_longclip.json` says, or name another folder
    "#);
    assert_snapshot!(desk.run(&folder_run("1/2", &["--dtype", "bf16"])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `out/` holds shards made with other settings: `dtype` was `f32` there and is `bf16` here
    hint: give what `out/_longclip.json` says, or name another folder
    "#);
    assert_snapshot!(desk.run(&folder_run("0/2", &["--format", "ndjson"])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `out/` holds shards made with other settings: `format` was `parquet` there and is `ndjson` here
    hint: give what `out/_longclip.json` says, or name another folder
    "#);
    let other_labels = [
        "classify", "many", "--labels", "a cat", "a dog", "--shard", "1/2", "--output", "out",
    ];
    assert_snapshot!(desk.run(&arguments(&[&other_labels, &SMALL])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `out` holds shards made with other settings: `labels` was `a dog, asleep` in place 2 there and is `a dog` here
    hint: give what `out/_longclip.json` says, or name another folder
    "#);
    let other_model = [
        "classify", "many", "--shard", "1/2", "--output", "out", "--model", "nano",
    ];
    assert_snapshot!(desk.run(&arguments(&[&other_model, &LABELS])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `out` holds shards made with other settings: `model` was `small.safetensors` there and is `nano` here
    hint: give what `out/_longclip.json` says, or name another folder
    "#);
    assert_eq!(names_in(&desk.path("out")), before);
    // The same labels from a file are not a difference.
    let same = [
        "classify",
        "many",
        "--labels-file",
        "labels.txt",
        "--shard",
        "1/2",
        "--output",
        "out",
        "-q",
    ];
    assert_eq!(desk.output(&arguments(&[&same, &SMALL])).status.code(), Some(0));
}

#[test]
fn other_weights_under_the_same_name_are_refused() {
    let desk = with_many(3);
    assert_eq!(desk.output(&folder_run("0/2", &["-q"])).status.code(), Some(0));
    let mut weights = fs::read(desk.path("small.safetensors")).unwrap();
    let near_end = weights.len() - 2;
    weights[near_end] ^= 1;
    fs::write(desk.path("small.safetensors"), weights).unwrap();
    let said = desk.run(&folder_run("1/2", &[]));
    assert!(said.contains("made with other settings: `weights` was `"), "{said}");
}

#[test]
fn wrong_shards_and_formats_are_refused() {
    let desk = with_many(2).folder("out");
    assert_snapshot!(desk.run(&folder_run("2/2", &[])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: invalid value '2/2' for '--shard <I/N>': no shard 2 of 2: shards are counted from 0; the shards of 8 are `0/8` to `7/8`

    For more information, try '--help'.
    "#);
    assert_snapshot!(desk.run(&arguments(&[&["classify", "many", "--output", "out"], &LABELS, &SMALL])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `--output out` is a folder, and the run is one file
    hint: name a file in it, or write shards: `--shard 0/8` to `--shard 7/8`
    "#);
    assert_snapshot!(desk.run(&folder_run("0/2", &["--resume"])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `--resume` changes nothing: a shard that was interrupted starts from its beginning
    hint: leave it out: a second run skips shards that are done
    "#);
    assert_snapshot!(desk.run(&folder_run("0/2", &["--format", "{path}"])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: shards of a folder are files of a named format
    hint: choose one, such as `--format parquet`
    "#);
    assert_snapshot!(desk.run(&folder_run("0/2", &["--format", "table"])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: a table is for people, and shards are for programs
    hint: choose another, such as `--format parquet`
    "#);
}

#[test]
fn a_shard_without_images_is_a_file_without_rows() {
    let desk = with_many(1);
    let said: Vec<String> = ["0/2", "1/2"]
        .iter()
        .map(|shard| desk.run(&folder_run(shard, &["--format", "csv"])))
        .collect();
    let empty = said.iter().find(|said| said.contains("belongs to shard")).unwrap();
    assert!(empty.contains("exit code 0") && empty.contains("note: no image in the input belongs to shard "));
    assert!(desk.path("out/_SUCCESS").exists());
}
