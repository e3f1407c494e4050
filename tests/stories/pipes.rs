//! Many pictures: folders, streams and pipelines in; every format out; nothing lost, whatever interrupts.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::Value;

use crate::fixture::{Desk, repository};

const SMALL: [&str; 2] = ["--model", "small.safetensors"];
const LABELS: [&str; 4] = ["--label", "a cat", "--label", "a dog, asleep"];

/// A desk with the small model and `n` small pictures in `many/`, all different.
fn with_many(n: usize) -> Desk {
    let desk = Desk::with_pictures().and_small_model().folder("many");
    for i in 0..n {
        fs::write(desk.path(&format!("many/{i:05}.ppm")), ppm(i)).unwrap();
    }
    desk
}

/// A picture of 8 x 8 pixels whose colours follow from its number.
fn ppm(i: usize) -> Vec<u8> {
    let pixels = (0..8 * 8 * 3).map(|p| (p * 7 + i * 131 + p * i) as u8);
    b"P6 8 8 255\n".iter().copied().chain(pixels).collect()
}

fn arguments<'a>(parts: &[&[&'a str]]) -> Vec<&'a str> {
    parts.concat()
}

fn paths(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["path"].as_str().unwrap()).collect()
}

fn text(desk: &Desk, name: &str) -> String {
    fs::read_to_string(desk.path(name)).unwrap()
}

#[test]
fn a_folder_with_one_broken_file_gives_all_the_others() {
    let desk = with_many(3)
        .file("many/00001.ppm", "P6 8 8 255\nshort")
        .file("many/notes.txt", "not a picture");
    let run = desk.run(&arguments(&[
        &["classify", "many", "--format", r"{path} {label}{error}"],
        &LABELS,
        &SMALL,
    ]));
    assert_snapshot!(run, @r"
    exit code 1
    --- stdout
    many/00000.ppm a dog, asleep
    many/00001.ppm cannot use the picture `many/00001.ppm`: the file is cut short: its end is missing; copy or fetch it again
    many/00002.ppm a dog, asleep
    --- stderr
    error: cannot use the picture `many/00001.ppm`: the file is cut short: its end is missing
    hint: copy or fetch it again
    note: 2 done, 1 failed, [RATE] images/s
    note: passed over as no picture: 1 (`many/notes.txt`)
    ");
}

#[test]
fn find_print0_is_read_from_a_pipe_as_the_readme_writes_it() {
    let desk = with_many(0).file(
        "with space\nand line.jpg",
        fs::read(repository().join("img/cat.jpg")).unwrap(),
    );
    let script = "find . -name '*.jpg' -print0 | sort -z | \"$0\" classify --files-from - -0 --label 'a cat' --label 'a dog' \
                  --format ndjson --model small.safetensors";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_longclip")]);
    let output = command.current_dir(desk.path(".")).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [
        "./astronaut.jpg",
        "./cat.jpg",
        "./coffee.jpg",
        "./with space\nand line.jpg",
    ];
    assert_eq!(paths(&records), expected);
    assert!(
        records
            .iter()
            .all(|record| record["labels"].as_array().unwrap().len() == 2)
    );
}

#[test]
fn a_reader_that_has_seen_enough_hears_no_complaint() {
    let desk = with_many(200);
    let script = "\"$0\" classify many --label 'a cat' --format ndjson --model small.safetensors -q | head -1";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_longclip")]);
    let output = command.current_dir(desk.path(".")).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1);
}

#[test]
fn one_record_in_is_one_record_out_with_its_fields_and_its_labels() {
    let lines = [
        r#"{"path":"cat.jpg","n":1,"labels":["only this"]}"#,
        r#"{"path":"gone.jpg","n":2}"#,
        "no json",
        r#"{"id":"x","image_b64":"UDYgMSAxIDI1NQr/AAA=","error":"ours wins"}"#,
    ];
    let desk = with_many(0).stdin(lines.join("\n").as_bytes());
    let records = desk.records(&arguments(&[
        &["classify", "--ndjson-from", "-", "--format", "ndjson"],
        &LABELS,
        &SMALL,
    ]));
    assert_eq!(records.len(), 4);
    assert_eq!(
        (&records[0]["n"], records[0]["labels"].as_array().unwrap().len()),
        (&1.into(), 1)
    );
    assert_eq!(records[0]["labels"][0]["label"], "only this");
    assert_eq!(records[1]["n"], 2);
    assert!(records[1]["error"].as_str().unwrap().contains("gone.jpg"));
    assert_eq!(records[2]["path"], "-:3");
    assert_eq!((&records[3]["id"], records[3].get("error")), (&"x".into(), None));
    assert_eq!(records[3]["labels"].as_array().unwrap().len(), 2);
}

#[test]
fn a_picture_and_an_archive_come_over_stdin() {
    let picture = fs::read(repository().join("img/cat.jpg")).unwrap();
    let run = arguments(&[&["classify", "-", "--format", "ndjson"], &LABELS, &SMALL]);
    let named = with_many(0).records(&arguments(&[
        &["classify", "cat.jpg", "--format", "ndjson"],
        &LABELS,
        &SMALL,
    ]));
    let piped = with_many(0).stdin(&picture).records(&run);
    assert_eq!(
        (&piped[0]["path"], &piped[0]["labels"]),
        (&"-".into(), &named[0]["labels"])
    );

    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(picture.len() as u64);
    builder
        .append_data(&mut header, "shard/0001.jpg", &picture[..])
        .unwrap();
    let archive = zstd::encode_all(&builder.into_inner().unwrap()[..], 1).unwrap();
    let unpacked = with_many(0).stdin(&archive).records(&run);
    assert_eq!(unpacked[0]["path"], "shard/0001.jpg");
    assert_eq!(unpacked[0]["__key__"], "shard/0001");
    assert_eq!(unpacked[0]["labels"], named[0]["labels"]);
}

#[cfg(feature = "hub")]
#[test]
fn a_url_is_fetched_and_a_missing_one_is_a_record() {
    let picture = fs::read(repository().join("img/cat.jpg")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let n = stream.read(&mut request).unwrap();
            let (status, body) = match request[..n].starts_with(b"GET /cat.jpg ") {
                true => ("200 OK", &picture[..]),
                false => ("404 Not Found", &b"none"[..]),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    let (there, gone) = (format!("{host}/cat.jpg"), format!("{host}/gone.jpg"));
    let records = with_many(0).records(&arguments(&[
        &["classify", &there, &gone, "cat.jpg", "--format", "ndjson"],
        &LABELS,
        &SMALL,
    ]));
    assert_eq!(records[0]["labels"], records[2]["labels"]);
    assert!(records[1]["error"].as_str().unwrap().contains("404"), "{}", records[1]);
}

/// Runs to a file and kills the run once the file has grown to `bytes`; false where it ended before.
fn killed_at(desk: &Desk, run: &[&str], file: &Path, bytes: u64) -> bool {
    let mut child = desk.command(run).stderr(Stdio::null()).spawn().unwrap();
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if fs::metadata(file).is_ok_and(|metadata| metadata.len() >= bytes) {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        std::thread::yield_now();
    }
}

#[test]
fn killed_twenty_times_and_resumed_gives_exactly_the_uninterrupted_output() {
    for (ending, kills) in [("ndjson", 20), ("csv", 3)] {
        let desk = with_many(240).file("many/00100.ppm", "broken");
        let (whole, pieces) = (format!("whole.{ending}"), format!("pieces.{ending}"));
        let run = arguments(&[&["classify", "many", "--batch", "3", "-q"], &LABELS, &SMALL]);
        desk.output(&[&run[..], &["--output", &whole]].concat());
        let expected = text(&desk, &whole);
        let resumed = [&run[..], &["--output", &pieces, "--resume"]].concat();
        let mut moment = 12345_u64;
        for kill in 0..kills {
            // Anywhere in the next part of the file, so that all kills find a run that is not done.
            moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let part = expected.len() as u64 / (kills + 1);
            let was_killed = killed_at(
                &desk,
                &resumed,
                &desk.path(&pieces),
                part * kill + (moment >> 33) % part,
            );
            assert!(was_killed, "{ending} ended before kill {kill}");
            if kill == kills / 2 {
                // A kill can tear a line; make sure that one is.
                let torn = text(&desk, &pieces);
                fs::write(desk.path(&pieces), &torn[..torn.len() - torn.len().min(5)]).unwrap();
            }
        }
        assert_eq!(desk.output(&resumed).status.code(), Some(1));
        assert!(text(&desk, &pieces) == expected, "{ending} differs");
        desk.output(&resumed);
        assert!(
            text(&desk, &pieces) == expected,
            "{ending} changes when there is nothing left to do"
        );
    }
}

#[test]
fn resuming_with_other_inputs_is_refused() {
    let desk = with_many(3).file("out.ndjson", "{\"path\":\"elsewhere.jpg\",\"labels\":[]}\n");
    let run = desk.run(&arguments(&[
        &["classify", "many", "--output", "out.ndjson", "--resume"],
        &LABELS,
        &SMALL,
    ]));
    assert_snapshot!(run, @r"
    exit code 2
    --- stdout
    --- stderr
    error: `out.ndjson` can't be resumed: record 1 is about `elsewhere.jpg`, the input there is `many/00000.ppm`
    hint: resume with the inputs and the format of the interrupted run, or name another `--output`
    ");
    assert_eq!(
        text(&desk, "out.ndjson").lines().count(),
        1,
        "the file is left as it was"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupt_finishes_lines_and_exits_with_130() {
    for ending in ["ndjson", "json"] {
        let desk = with_many(3000);
        let out = format!("out.{ending}");
        let run = arguments(&[&["classify", "many", "--batch", "2", "--output", &out], &LABELS, &SMALL]);
        let growing = desk.path(if ending == "json" { "out.json.partial" } else { &out });
        let mut child = desk.command(&run).stderr(Stdio::piped()).spawn().unwrap();
        while !fs::metadata(&growing).is_ok_and(|metadata| metadata.len() > 1000) {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
        assert!(said.contains(" done, 0 failed"), "{said}");
        let kept = fs::read_to_string(growing).unwrap();
        if ending == "json" {
            assert!(!serde_json::from_str::<Vec<Value>>(&kept).unwrap().is_empty());
            assert!(
                !desk.path("out.json").exists(),
                "what is not whole has no whole file's name"
            );
        } else {
            assert!(kept.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
        }
    }
}

#[test]
fn errors_end_a_run_where_they_are_told_to() {
    let desk = with_many(40);
    for i in [2, 5, 9] {
        fs::write(desk.path(&format!("many/{i:05}.ppm")), "broken").unwrap();
    }
    let records = |more: &[&str]| {
        let run = arguments(&[&["classify", "many", "--format", "ndjson", "-q"], &LABELS, &SMALL, more]);
        let output = desk.output(&run);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    assert_eq!(records(&[]), 40);
    assert_eq!(records(&["--on-error", "fail"]), 3);
    assert_eq!(records(&["--max-errors", "1"]), 6);
    assert_eq!(records(&["--max-errors", "3"]), 40);
}

#[test]
fn every_format_is_written_to_a_file_by_its_ending() {
    let desk = with_many(5).file("many/00003.ppm", "broken");
    for (name, begins) in [
        ("a.json", &b"[\n{"[..]),
        ("a.ndjson", b"{\"path\":"),
        ("a.jsonl", b"{\"path\":"),
        ("a.csv", b"path,rank,label,"),
        ("a.tsv", b"path\trank\tlabel\t"),
        ("a.html", b"<!doctype html>"),
        #[cfg(feature = "parquet")]
        ("a.parquet", b"PAR1"),
    ] {
        let output = desk.output(&arguments(&[&["classify", "many", "--output", name], &LABELS, &SMALL]));
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stdout.is_empty());
        assert!(fs::read(desk.path(name)).unwrap().starts_with(begins), "{name}");
        assert!(!desk.path(&format!("{name}.partial")).exists());
    }
    assert_eq!(text(&desk, "a.ndjson"), text(&desk, "a.jsonl"));
    assert_eq!(text(&desk, "a.html").matches("<figure").count(), 5);
    assert_eq!(text(&desk, "a.html").matches("data:image/jpeg;base64,").count(), 4);
}

#[test]
fn embeddings_stand_beside_labels_and_are_those_of_embed() {
    let desk = with_many(2);
    let vectors = desk.records(&arguments(&[&["embed", "many"], &SMALL]));
    let both = desk.records(&arguments(&[
        &["classify", "many", "--embeddings", "--format", "ndjson"],
        &LABELS,
        &SMALL,
    ]));
    for (vector, both) in vectors.iter().zip(&both) {
        assert_eq!(vector["embedding"], both["embedding"]);
        assert_eq!(both["labels"].as_array().unwrap().len(), 2);
    }
    desk.output(&arguments(&[
        &["embed", "many", "many/00000.ppm", "--output", "v.npy"],
        &SMALL,
    ]));
    let npy = fs::read(desk.path("v.npy")).unwrap();
    let last = f32::from_le_bytes(npy[npy.len() - 4..].try_into().unwrap());
    let expected = vectors[0]["embedding"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .as_f64()
        .unwrap();
    assert!((f64::from(last) - expected).abs() < 1e-6);
}

#[test]
fn texts_of_a_file_are_embedded_in_their_order() {
    let desk = with_many(0).file("texts", "a dog\n\na cat\n");
    let records = desk.records(&arguments(&[
        &["embed", "--texts-file", "texts", "--text", "a bird"],
        &SMALL,
    ]));
    let texts: Vec<&str> = records.iter().map(|record| record["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["a bird", "a dog", "a cat"]);
}

#[test]
fn what_makes_no_sense_together_is_refused_before_anything_is_loaded() {
    let desk = with_many(1);
    let refusal = |more: &[&str]| {
        let output = desk.output(&[&["classify", "many", "--label", "a", "--model", "not there"], more].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        let said = String::from_utf8(output.stderr).unwrap();
        said.lines()
            .take(2)
            .collect::<Vec<_>>()
            .join("\n")
            .trim_end()
            .to_owned()
    };
    let said = [
        &["--resume"][..],
        &["--format", "npy"],
        &["--format", "csv", "--embeddings"],
        &["--format", "json", "--wide"],
        &["--format", "csv", "--wide", "--top-k", "1"],
        &["--output", "out.xyz"],
        &["--format", "{nonsense}"],
        &["--files-from", "-", "-"],
        &["-0"],
    ]
    .map(refusal);
    assert_snapshot!(said.join("\n\n"), @r"
    error: the following required arguments were not provided:
      --output <FILE>

    error: the format npy has no place for labels
    hint: these have: table, json, ndjson, csv, tsv, parquet, html

    error: the format csv has no place for vectors beside labels
    hint: these have: json, ndjson, parquet

    error: `--wide` changes nothing in the format json
    hint: it is for csv, tsv, parquet

    error: `--wide` has a column for each of the run's labels; `--top-k`, or no labels for all, leave none for it
    hint: leave out `--wide`

    error: the ending of `--output` tells no format
    hint: name one: `--format ndjson`

    error: invalid value '{nonsense}' for '--format <FORMAT>': the template `{nonsense}` can't be used: it asks for `nonsense`; values are {path}, {label}, {score}, {logit}, {cosine}, {group}, {group_score}, {error} and {field.NAME}; {label.2} is the second label, {score:.3} has three decimals

    error: 2 inputs want stdin, and it can be read once
    hint: give all but one of them a file

    error: the following required arguments were not provided:
      --files-from <FILE>
    ");
}

#[test]
fn sort_fills_a_folder_for_each_label_and_overwrites_nothing() {
    let desk = with_many(6)
        .folder("sorted")
        .folder("sorted/a cat")
        .folder("sorted/a dog, asleep");
    for folder in ["a cat", "a dog, asleep"] {
        fs::write(desk.path(&format!("sorted/{folder}/00000.ppm")), "mine").unwrap();
    }
    let run = arguments(&[&["sort", "many", "--into", "sorted"], &LABELS, &SMALL]);
    let dry = desk.output(&[&run[..], &["--move", "--dry-run"]].concat());
    assert_eq!(String::from_utf8(dry.stdout).unwrap().lines().count(), 6);
    assert_eq!(files_in(&desk.path("sorted")).len(), 2, "a dry run does nothing");

    desk.output(&[&run[..], &["--copy"]].concat());
    let copied = files_in(&desk.path("sorted"));
    assert_eq!(copied.len(), 8);
    assert_eq!(copied.iter().filter(|path| path.ends_with("00000-2.ppm")).count(), 1);
    assert_eq!(
        copied.iter().filter(|path| fs::read(path).unwrap() == b"mine").count(),
        2
    );

    desk.output(&[&run[..], &["--move"]].concat());
    assert_eq!(
        files_in(&desk.path("sorted")),
        copied,
        "what was there already stays as it is"
    );
    assert_eq!(files_in(&desk.path("many")).len(), 0);
}

fn files_in(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let nested = |path: std::path::PathBuf| if path.is_dir() { files_in(&path) } else { vec![path] };
    files.into_iter().flat_map(nested).collect()
}

/// The most memory that a run over `n` pictures held, in KiB, as the kernel counts it.
#[cfg(target_os = "linux")]
fn peak_kib(n: usize) -> u64 {
    let desk = with_many(n);
    let run = arguments(&[&["classify", "many", "--output", "out.ndjson", "-q"], &LABELS, &SMALL]);
    let mut child = desk.command(&run).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    while child.try_wait().unwrap().is_none() {
        // The kernel keeps the peak; the last look before the end has nearly all of it.
        let peak = fs::read_to_string(&status).unwrap_or_default();
        let line = peak.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kib = line.map_or(peak_kib, |line| line.trim().trim_end_matches(" kB").parse().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(text(&desk, "out.ndjson").lines().count(), n);
    peak_kib
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes a minute; docs/batch.md quotes it"]
fn memory_of_ten_thousand_pictures_is_that_of_one_thousand() {
    let (few, many) = (peak_kib(1_000), peak_kib(10_000));
    let ratio = many as f64 / few as f64;
    println!("peak of 1,000: {few} KiB, of 10,000: {many} KiB, ratio {ratio:.3}");
    assert!(ratio <= 1.15);
}
