//! Resuming: however a run was interrupted, the file ends up exactly as a single run would have made it.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use insta::assert_snapshot;

use crate::fixture::Desk;
use crate::many::{LABELS, SMALL, arguments, ppm, text, with_many};

/// Formats that can be resumed: the file's extension, and more arguments.
const RESUMABLE: [(&str, &[&str]); 5] = [
    ("ndjson", &[]),
    ("csv", &[]),
    ("tsv", &["--top-k", "1"]),
    ("wide.csv", &["--wide"]),
    ("txt", &["--format", r"{path}\t{label} {score:.3}{error}"]),
];

/// Starts a run and kills it when the file has grown to `bytes`. Returns false if the run ended before.
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
            // Kill at a random size in the next part of the file, so that no run is finished before its kill.
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
                // A kill can cut a line in two; make sure that this happens once.
                let torn = text(&desk, &pieces);
                fs::write(desk.path(&pieces), &torn[..torn.len() - torn.len().min(5)]).unwrap();
            }
        }
        assert_eq!(desk.output(&resumed).status.code(), Some(1));
        assert!(text(&desk, &pieces) == expected, "{ending} differs");
        desk.output(&resumed);
        assert!(
            text(&desk, &pieces) == expected,
            "{ending} changes although nothing is left to do"
        );
    }
}

#[test]
fn a_file_cut_at_any_byte_is_completed() {
    let desk = with_many(6).file("many/00002.ppm", "broken");
    for (name, more) in RESUMABLE {
        let name = format!("out.{name}");
        let run = arguments(&[&["classify", "many", "-q", "--output", &name], &LABELS, &SMALL, more]);
        desk.output(&run);
        let whole = fs::read(desk.path(&name)).unwrap();
        // Thirteen cuts, including the start and the end of the file, the end of a line and the byte before it.
        let line_end = whole.iter().rposition(|&byte| byte == b'\n').unwrap();
        let cuts = (0..=10)
            .map(|part| whole.len() * part / 10)
            .chain([line_end, line_end.saturating_sub(1)]);
        // A part of a template's line could be any text, so it is not recognised as the start of these results.
        let first_end = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for cut in cuts.filter(|cut| *cut == 0 || name != "out.txt" || *cut >= first_end) {
            fs::write(desk.path(&name), &whole[..cut]).unwrap();
            let code = desk.output(&[&run[..], &["--resume"]].concat()).status.code();
            // The line of a template does not show that the image failed.
            assert!(code == Some(1) || (name == "out.txt" && code == Some(0)), "{code:?}");
            assert!(fs::read(desk.path(&name)).unwrap() == whole, "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_finished_file_is_continued_with_images_added_after_its_last() {
    for (name, more) in RESUMABLE {
        let desk = with_many(5);
        let name = format!("out.{name}");
        let run = arguments(&[
            &["classify", "many", "-q", "--resume", "--output", &name],
            &LABELS,
            &SMALL,
            more,
        ]);
        desk.output(&run);
        let before = text(&desk, &name);
        fs::write(desk.path("many/00005.ppm"), ppm(5)).unwrap();
        assert_eq!(desk.output(&run).status.code(), Some(0));
        let after = text(&desk, &name);
        assert!(after.starts_with(&before) && after.contains("00005.ppm"), "{name}");
        fs::remove_file(desk.path(&name)).unwrap();
        desk.output(&run);
        assert_eq!(text(&desk, &name), after);
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
    error: `out.ndjson` can't be resumed: record 1 is about `elsewhere.jpg`, but input 1 is `many/00000.ppm`
    hint: resume with the inputs and the format of the interrupted run, or write to another file
    ");
    assert_eq!(text(&desk, "out.ndjson").lines().count(), 1, "the file is not changed");
}

#[test]
fn resuming_with_other_labels_model_or_flags_is_refused_and_changes_nothing() {
    for (name, more) in RESUMABLE {
        let desk = with_many(4);
        let name = format!("out.{name}");
        let base = ["classify", "many", "-q", "--output", &name];
        assert_eq!(
            desk.output(&arguments(&[&base, &LABELS, &SMALL, more])).status.code(),
            Some(0)
        );
        let before = text(&desk, &name);
        fs::write(desk.path("many/00009.ppm"), ppm(9)).unwrap();
        let resume = |labels: &[&str], rest: &[&str]| {
            let output = desk.output(&arguments(&[&base, labels, more, rest, &["--resume"]]));
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{name} with {labels:?} {rest:?}: {said}");
            assert!(said.contains(&format!("error: `{name}` can't be resumed: ")), "{said}");
            assert_eq!(text(&desk, &name), before, "{name} with {labels:?} {rest:?}");
        };
        resume(&["--label", "a cat", "--label", "a bird"], &SMALL);
        resume(
            &["--label", "a cat", "--label", "a dog, asleep", "--label", "a bird"],
            &SMALL,
        );
        resume(&LABELS, &["--model", "nano"]);
        resume(&LABELS, &["--model", "small.safetensors", "--raw-dot"]);
        assert_eq!(
            desk.output(&arguments(&[&base, &LABELS, &SMALL, more, &["--resume"]]))
                .status
                .code(),
            Some(0)
        );
        assert_eq!(
            text(&desk, &name).matches("00009.ppm").count(),
            if name == "out.csv" { 2 } else { 1 }
        );
    }
}

#[test]
fn resuming_in_another_format_is_refused() {
    let desk = with_many(4);
    let base = arguments(&[&["classify", "many", "-q", "--output", "out"], &LABELS, &SMALL]);
    let formats = ["ndjson", "csv", "tsv", "{path} {label}", "{label}: {path}"];
    for made in formats {
        desk.output(&[&base[..], &["--format", made, "--force"]].concat());
        let before = text(&desk, "out");
        for resumed in formats.into_iter().filter(|format| *format != made) {
            let output = desk.output(&[&base[..], &["--format", resumed, "--resume"]].concat());
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{made} as {resumed}: {said}");
            assert_eq!(text(&desk, "out"), before, "{made} as {resumed}");
        }
    }
}

#[test]
fn the_error_shows_how_a_record_differs() {
    let desk = with_many(3);
    let base = [
        "classify",
        "many",
        "-q",
        "--output",
        "out.ndjson",
        "--model",
        "small.safetensors",
    ];
    desk.output(&[&base[..], &["--label", "a cat", "--label", "a dog"]].concat());
    let run = desk.run(&[&base[..], &["--resume", "--label", "a bird", "--label", "a fish"]].concat());
    assert_snapshot!(run, @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `out.ndjson` can't be resumed: the record of `many/00002.ppm` would differ: the file has `{"label":"a cat","probability":0.99674…,"logit"`, this run `{"label":"a fish","probability":0.99003…,"logit`
    hint: give the labels, the model and the options of the interrupted run, or name another output file
    "#);
}

#[test]
fn failures_keep_their_places_and_still_count() {
    let desk = with_many(4).file("many/00001.ppm", "broken");
    let run = arguments(&[
        &["classify", "many", "--output", "out.ndjson", "--resume"],
        &LABELS,
        &SMALL,
    ]);
    desk.output(&run);
    let before = text(&desk, "out.ndjson");
    fs::write(desk.path("many/00001.ppm"), ppm(1)).unwrap();
    assert_snapshot!(desk.run(&run), @r"
    exit code 1
    --- stdout
    --- stderr
    note: 0 done, 4 already there (1 of them failures), 0 failed
    ");
    assert_eq!(text(&desk, "out.ndjson"), before);
}

#[test]
fn resumes_even_if_images_have_been_removed() {
    let desk = with_many(2).file("list", "many/00000.ppm\nmany/00001.ppm\n");
    let run = arguments(&[
        &[
            "classify",
            "--files-from",
            "list",
            "-q",
            "--output",
            "out.ndjson",
            "--resume",
        ],
        &LABELS,
        &SMALL,
    ]);
    desk.output(&run);
    fs::remove_file(desk.path("many/00000.ppm")).unwrap();
    fs::remove_file(desk.path("many/00001.ppm")).unwrap();
    assert_eq!(desk.output(&run).status.code(), Some(0));
    assert_eq!(text(&desk, "out.ndjson").lines().count(), 2);
}

#[test]
fn embeddings_are_resumed_or_refused_in_the_same_way() {
    let desk = with_many(3);
    let run = arguments(&[&["embed", "many", "-q", "--output", "out.ndjson", "--resume"], &SMALL]);
    desk.output(&run);
    let whole = text(&desk, "out.ndjson");
    fs::write(desk.path("out.ndjson"), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(
        desk.output(&[&run[..], &["--normalize"]].concat()).status.code(),
        Some(2)
    );
    assert_eq!(desk.output(&run).status.code(), Some(0));
    assert_eq!(text(&desk, "out.ndjson"), whole);
}
