//! `--shard I/N`: independent processes label every image exactly once, and a folder of their files shows whether it is
//! complete.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;

use crate::fixture::{Desk, repository};
use crate::many::{LABELS, SMALL, arguments, ppm, text, with_many};

fn lines(output: &Output) -> Vec<String> {
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
fn desk() -> Desk {
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

fn folder_run<'a>(shard: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let run = ["classify", "many", "--shard", shard, "--output", "out/"];
    arguments(&[&run, &LABELS, &SMALL, more])
}

fn names_in(folder: &Path) -> Vec<String> {
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
    error: invalid value '2/2' for '--shard <I/N>': there is no shard 2 of 2: they are counted from 0; the shards of 8 are `0/8` to `7/8`

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
    error: `--resume` changes nothing: a shard is whole, or is made from its beginning
    hint: leave it out: a second run skips shards that are done
    "#);
    assert_snapshot!(desk.run(&folder_run("0/2", &["--format", "{path}"])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: shards of a folder are files of a named format
    hint: choose one, as `--format parquet`
    "#);
    assert_snapshot!(desk.run(&folder_run("0/2", &["--format", "table"])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: a table is for people, and nobody reads shards
    hint: choose another, as `--format parquet`
    "#);
}

/// Starts the `n`th attempt of a shard, which has begun to write and is waiting for more names.
fn begun(desk: &Desk, n: usize) -> std::process::Child {
    let run = [
        "classify",
        "--files-from",
        "-",
        "--shard",
        "0/1",
        "--output",
        "out/",
        "--format",
        "ndjson",
    ];
    let mut command = desk.command(&arguments(&[&run, &LABELS, &SMALL]));
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.as_mut().unwrap();
    stdin.write_all(b"many/00000.ppm\nmany/00001.ppm\n").unwrap();
    stdin.flush().unwrap();
    let is_begun = |name: &&String| {
        let has_records = || fs::metadata(desk.path("out").join(name)).is_ok_and(|metadata| metadata.len() > 0);
        name.starts_with(".part-00000-of-00001.ndjson.") && name.ends_with(".partial") && has_records()
    };
    while !desk.path("out").exists() || names_in(&desk.path("out")).iter().filter(is_begun).count() < n {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[cfg(unix)]
#[test]
fn a_killed_or_interrupted_shard_leaves_no_file_under_its_name() {
    let desk = with_many(2).file("list.txt", "many/00000.ppm\nmany/00001.ppm\n");
    let mut killed = begun(&desk, 1);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let is_hidden = |name: &String| name.starts_with(['.', '_']);
    assert!(names_in(&desk.path("out")).iter().all(is_hidden));

    let mut interrupted = begun(&desk, 2);
    // If stdin ended now, the run could be complete before it notices the interrupt.
    let stdin = interrupted.stdin.take();
    Command::new("kill")
        .args(["-INT", &interrupted.id().to_string()])
        .status()
        .unwrap();
    let output = interrupted.wait_with_output().unwrap();
    drop(stdin);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.contains("note: shard 0/1 is incomplete, and was not kept"),
        "{said}"
    );
    let left = names_in(&desk.path("out"));
    assert_eq!(left.len(), 2, "a killed process cannot clean up: {left:?}");

    // Files that were left more than an hour ago are removed when the shard is done.
    let hidden = desk.path("out").join(&left[0]);
    let file = fs::File::options().write(true).open(&hidden).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(4000))
        .unwrap();
    let again = [
        "classify",
        "--files-from",
        "-",
        "--shard",
        "0/1",
        "--output",
        "out/",
        "--format",
        "ndjson",
        "-q",
    ];
    let desk = desk.stdin(b"many/00000.ppm\nmany/00001.ppm\n");
    assert_eq!(
        desk.output(&arguments(&[&again, &LABELS, &SMALL])).status.code(),
        Some(0)
    );
    assert_eq!(
        names_in(&desk.path("out")),
        ["_SUCCESS", "_longclip.json", "part-00000-of-00001.ndjson"]
    );
    assert_eq!(text(&desk, "out/part-00000-of-00001.ndjson").lines().count(), 2);
}

#[test]
fn a_shard_without_images_is_a_file_without_rows() {
    let desk = with_many(1);
    let said: Vec<String> = ["0/2", "1/2"]
        .iter()
        .map(|shard| desk.run(&folder_run(shard, &["--format", "csv"])))
        .collect();
    let empty = said.iter().find(|said| said.contains("falls to shard")).unwrap();
    assert!(empty.contains("exit code 0") && empty.contains("note: no image of what was named falls to shard "));
    assert!(desk.path("out/_SUCCESS").exists());
}

#[test]
fn the_schedulers_variables_in_the_documents_give_a_shard() {
    let page = fs::read_to_string(repository().join("docs/scale.md")).unwrap();
    // A list of arguments, in which Kubernetes replaces `$(NAME)`.
    let page = page
        .replace("--shard, ", "--shard ")
        .replace("$(JOB_COMPLETION_INDEX)", "$JOB_COMPLETION_INDEX");
    let shown: BTreeSet<&str> = page
        .split("--shard \"")
        .skip(1)
        .map(|rest| &rest[..=rest.find('"').unwrap()])
        .collect();
    assert_eq!(
        shown.len(),
        3,
        "Slurm from 0, Slurm from any number, Kubernetes: {shown:?}"
    );
    let desk = with_many(6);
    for shard in shown {
        let variables = "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=4 JOB_COMPLETION_INDEX=2";
        let script = format!(
            "{variables}\nlongclip classify many --shard \"{shard} --output out/ --format ndjson -q \\
             --label cat --label dog --model small.safetensors && ls out && rm -r out"
        );
        let output = desk.shell(&script);
        let listed = String::from_utf8(output.stdout).unwrap();
        let expected = match (shard.contains("MIN"), shard.contains("JOB")) {
            (true, _) => "part-00002-of-00004.ndjson",
            (_, true) => "part-00002-of-00100.ndjson",
            _ => "part-00003-of-00004.ndjson",
        };
        assert!(
            listed.contains(expected),
            "{shard}: {listed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn gnu_parallel_runs_shards() {
    let desk = with_many(20);
    if !desk.shell("parallel --version").status.success() {
        println!("skipped: GNU parallel is not installed");
        return;
    }
    let script = "seq 0 4 | parallel -j 2 longclip classify many --shard {}/5 --output out/ --format ndjson \
                  --threads 1 -q --label cat --label dog --model small.safetensors";
    let output = desk.shell(script);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(names_in(&desk.path("out")).len(), 7);
    let n_rows = desk.shell("cat out/part-*.ndjson | wc -l");
    assert_eq!(String::from_utf8(n_rows.stdout).unwrap().trim(), "20");
}

#[test]
fn a_disk_that_is_not_mounted_is_not_an_empty_shard() {
    let desk = with_many(4).file("list.txt", "many/00000.ppm\n").folder("photos");
    for input in [
        &["gone"][..],
        &["many", "gone/"],
        &["gone/*.jpg"],
        &["gone.tar"],
        &["--files-from", "gone.txt"],
        &["--ndjson-from", "gone.ndjson"],
        &["many", "--files-from", "list.txt", "--files-from", "gone.txt"],
    ] {
        let run = [input, &["--shard", "0/1", "--output", "out/", "--format", "ndjson"]].concat();
        let told = desk.run(&arguments(&[&["classify"], &run, &LABELS, &SMALL]));
        assert!(
            told.starts_with("exit code 2") && told.contains("gone"),
            "{input:?}: {told}"
        );
        assert!(!desk.path("out").exists(), "{input:?}");
    }
    // An archive that disappears while the shard is made, or that is only named in a list.
    let desk = desk.file("tars.txt", "many/00000.ppm\ngone.tar\n");
    let run = [
        "--files-from",
        "tars.txt",
        "--shard",
        "0/1",
        "--output",
        "out/",
        "--format",
        "ndjson",
    ];
    let told = desk.run(&arguments(&[&["classify"], &run, &LABELS, &SMALL]));
    assert!(told.starts_with("exit code 2"), "{told}");
    assert!(
        told.contains("`gone.tar` could not be read, so shard 0/1 is incomplete, and was not kept"),
        "{told}"
    );
    assert_eq!(names_in(&desk.path("out")), ["_longclip.json"]);
    // Images that a list names on a disk that is not mounted: its folder is empty, or not there.
    let desk = desk
        .file("disk.txt", "photos/1.jpg\nphotos/2.jpg\n")
        .file("nowhere.txt", "disk/photos/1.jpg\ndisk/photos/2.jpg\n");
    for (command, labels) in [("classify", &LABELS[..]), ("embed", &[])] {
        for list in ["disk.txt", "nowhere.txt"] {
            let run = [
                command,
                "--files-from",
                list,
                "--shard",
                "0/1",
                "--output",
                "out3/",
                "--format",
                "ndjson",
            ];
            let told = desk.run(&arguments(&[&run, labels, &SMALL]));
            assert!(
                told.starts_with("exit code 2") && told.contains("so shard 0/1 is not kept"),
                "{told}"
            );
            assert_eq!(names_in(&desk.path("out3")), ["_longclip.json"]);
            fs::remove_dir_all(desk.path("out3")).unwrap();
        }
    }
    // A missing image is a row with an error, and the shard is complete.
    let run = [
        "many/00000.ppm",
        "gone.jpg",
        "--shard",
        "0/1",
        "--output",
        "out2/",
        "--format",
        "ndjson",
    ];
    assert_eq!(
        desk.output(&arguments(&[&["classify"], &run, &LABELS, &SMALL]))
            .status
            .code(),
        Some(1)
    );
    assert!(names_in(&desk.path("out2")).contains(&"_SUCCESS".to_owned()));
}
