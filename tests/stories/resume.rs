//! Runs that end early and go on: whatever ended them, the file is in the end what one run would have made.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use insta::assert_snapshot;

use crate::fixture::Desk;
use crate::many::{LABELS, SMALL, arguments, ppm, text, with_many};

/// Formats that can be continued: a file's ending, and what else is said.
const CONTINUED: [(&str, &[&str]); 5] = [
    ("ndjson", &[]),
    ("csv", &[]),
    ("tsv", &["--top-k", "1"]),
    ("wide.csv", &["--wide"]),
    ("txt", &["--format", r"{path}\t{label} {score:.3}{error}"]),
];

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
fn a_file_cut_anywhere_is_resumed_to_the_whole_one() {
    let desk = with_many(6).file("many/00002.ppm", "broken");
    for (name, more) in CONTINUED {
        let name = format!("out.{name}");
        let run = arguments(&[&["classify", "many", "-q", "--output", &name], &LABELS, &SMALL, more]);
        desk.output(&run);
        let whole = fs::read(desk.path(&name)).unwrap();
        // Thirteen cuts, the file's ends among them, and a line's end and the byte before it.
        let line_end = whole.iter().rposition(|&byte| byte == b'\n').unwrap();
        let cuts = (0..=10)
            .map(|part| whole.len() * part / 10)
            .chain([line_end, line_end.saturating_sub(1)]);
        for cut in cuts {
            fs::write(desk.path(&name), &whole[..cut]).unwrap();
            let code = desk.output(&[&run[..], &["--resume"]].concat()).status.code();
            // A template's line doesn't tell that it is about a failure.
            assert!(code == Some(1) || (name == "out.txt" && code == Some(0)), "{code:?}");
            assert!(fs::read(desk.path(&name)).unwrap() == whole, "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_finished_file_goes_on_where_pictures_came_behind_it() {
    for (name, more) in CONTINUED {
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
    error: `out.ndjson` can't be resumed: record 1 is about `elsewhere.jpg`, the input there is `many/00000.ppm`
    hint: resume with the inputs and the format of the interrupted run, or name another `--output`
    ");
    assert_eq!(
        text(&desk, "out.ndjson").lines().count(),
        1,
        "the file is left as it was"
    );
}

#[test]
fn resuming_with_other_labels_model_or_flags_is_refused_and_changes_nothing() {
    for (name, more) in CONTINUED {
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
        desk.output(&[&base[..], &["--format", made]].concat());
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
fn what_is_resumed_says_what_differs() {
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
    error: `out.ndjson` can't be resumed: `many/00002.ppm` would come out differently now: `{"label":"a cat","probability":0.99674…,"logit"` stands there, `{"label":"a fish","probability":0.99003…,"logit` would
    hint: give the labels, the model and the flags of the interrupted run, or name another `--output`
    "#);
}

#[test]
fn failures_stay_where_they_are_and_still_count() {
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
    note: 0 done, 4 were there already (1 of them failures), 0 failed, [RATE] images/s
    ");
    assert_eq!(text(&desk, "out.ndjson"), before);
}

#[test]
fn a_picture_that_is_gone_does_not_hinder_resuming() {
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
fn vectors_are_resumed_and_refused_alike() {
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
