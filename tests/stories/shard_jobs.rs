//! Shards as jobs of a scheduler: killed, interrupted, side by side, and on a machine without the disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::fixture::{Desk, repository};
use crate::many::{LABELS, SMALL, arguments, text, with_many};
use crate::shards::names_in;

/// The only shard of the images that stdin names.
const ONE_SHARD: [&str; 9] = [
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

/// Starts the `n`th attempt of a shard, which has begun to write and is waiting for more names.
fn begun(desk: &Desk, n: usize) -> std::process::Child {
    let mut command = desk.command(&arguments(&[&ONE_SHARD, &LABELS, &SMALL]));
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
    let desk = desk.stdin(b"many/00000.ppm\nmany/00001.ppm\n");
    assert_eq!(
        desk.output(&arguments(&[&ONE_SHARD, &["-q"], &LABELS, &SMALL]))
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        names_in(&desk.path("out")),
        ["_SUCCESS", "_longclip.json", "part-00000-of-00001.ndjson"]
    );
    assert_eq!(text(&desk, "out/part-00000-of-00001.ndjson").lines().count(), 2);
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
