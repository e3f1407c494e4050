//! Exit codes and messages: what a person is told, once, and what a script can rely on.

use std::fs;

use serde_json::Value;

use crate::fixture::{CPU_VARIABLE, Desk};

const LABELS: [&str; 5] = ["--labels", "a cat", "a dog", "--model", "small.safetensors"];

fn run(desk: &Desk, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = desk.output(arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_missing_folder_or_list_is_exit_code_2_in_every_command() {
    let desk = Desk::with_pictures().and_small_model();
    let classify = |inputs: &[&'static str]| [&["classify"], inputs, &LABELS].concat();
    let commands = [
        classify(&["nowhere"]),
        classify(&["cat.jpg", "nowhere/"]),
        classify(&["nowhere/*.jpg"]),
        classify(&["--files-from", "nowhere"]),
        classify(&["cat.jpg", "--ndjson-from", "nowhere.ndjson"]),
        vec!["embed", "nowhere", "--model", "small.safetensors"],
        [&["sort", "nowhere", "--into", "out", "--copy"], &LABELS[..]].concat(),
        vec!["eval", "zeroshot", "--data", "nowhere", "--model", "small.safetensors"],
        vec!["eval", "retrieval", "--data", "nowhere", "--model", "small.safetensors"],
        #[cfg(feature = "parquet")]
        vec![
            "search",
            "build",
            "nowhere",
            "--output",
            "i.parquet",
            "--model",
            "small.safetensors",
        ],
    ];
    for command in commands {
        let (code, stdout, stderr) = run(&desk, &command);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{command:?}: {stderr}");
        assert!(stderr.contains("nowhere") && !stderr.contains("os error"), "{stderr}");
    }
}

#[test]
fn if_every_input_failed_the_exit_code_is_2_and_else_1() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("broken.jpg", "not an image");
    for (inputs, code) in [
        (&["broken.jpg"][..], 2),
        (&["broken.jpg", "gone.jpg"], 2),
        (&["broken.jpg", "cat.jpg"], 1),
        (&["cat.jpg"], 0),
    ] {
        let arguments = [&["classify"], inputs, &["--format", "ndjson"], &LABELS].concat();
        let (found, stdout, stderr) = run(&desk, &arguments);
        assert_eq!(found, Some(code), "{stderr}");
        assert_eq!(stdout.lines().count(), inputs.len(), "each input has its record");
    }
}

#[test]
fn quiet_runs_say_how_many_failed() {
    let names: Vec<String> = (0..9).map(|i| format!("gone-{i}.jpg")).collect();
    let desk = Desk::with_pictures().and_small_model();
    let inputs: Vec<&str> = names.iter().map(String::as_str).chain(["cat.jpg"]).collect();
    let (code, _, stderr) = run(&desk, &[&["classify", "-q"], &inputs[..], &LABELS].concat());
    assert_eq!(code, Some(1));
    assert!(stderr.ends_with("error: 9 of 10 images failed\n"), "{stderr}");
    let stopped = [&["classify", "-q", "--on-error", "fail"], &inputs[..], &LABELS].concat();
    let (code, _, stderr) = run(&desk, &stopped);
    assert_eq!(code, Some(2));
    assert!(
        stderr.ends_with("error: 1 of 1 images failed, so the run stopped\n"),
        "{stderr}"
    );
}

#[cfg(unix)]
#[test]
fn on_a_terminal_a_failure_is_printed_once() {
    let desk = Desk::with_pictures().and_small_model();
    let seen = |command: &str| {
        let labels = "--label 'a cat' --label 'a dog' --model small.safetensors";
        let text = desk.on_terminal(&format!("longclip {command} {labels}"))?;
        Some((text.matches("gone.jpg`").count(), text))
    };
    for command in ["classify cat.jpg gone.jpg", "classify cat.jpg gone.jpg --format ndjson"] {
        let Some((n, text)) = seen(command) else { return };
        assert_eq!(n, 1, "{text}");
    }
    // Results that don't say it, or go elsewhere.
    for command in [
        "classify cat.jpg gone.jpg --format '{path} {label}'",
        "classify cat.jpg gone.jpg -o out.csv",
        "sort cat.jpg gone.jpg --into out --copy --dry-run",
    ] {
        let Some((n, text)) = seen(command) else { return };
        assert_eq!(n, 1, "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_terminal_obeys_no_name_and_no_label() {
    let evil = "a \u{1b}[31m\u{202e}cat\u{7}";
    let name = format!("{evil}\n.jpg");
    let desk = Desk::with_pictures().and_small_model().file(&name, "not an image");
    fs::copy(desk.path("cat.jpg"), desk.path(&format!("good {name}"))).unwrap();
    let good = format!("good {name}");
    let model = [
        "--model",
        "small.safetensors",
        "--label",
        evil,
        "--label",
        evil,
        "--label",
        "a dog",
    ];
    for command in [
        vec!["classify", &good, &name],
        vec!["sort", &good, &name, "--into", "out", "--copy"],
        vec!["classify", &good, "--explain", &name],
        vec!["classify", "cat.jpg", "--labels-file", &name],
    ] {
        let (_, stdout, stderr) = run(&desk, &[&command[..], &model].concat());
        let shown = stdout + &stderr;
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(
            !shown.contains(obeyed) && shown.contains("\\x1b[31m\\u{202e}cat\\x07"),
            "{shown:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn results_are_escaped_on_a_terminal_and_nowhere_else() {
    let desk = Desk::with_pictures().and_small_model();
    let evil = "a \u{1b}[31m\u{202e}cat";
    let desk = desk.file("labels.txt", format!("{evil}\na dog\n"));
    for format in ["csv", "tsv", "ndjson", "json", "{label} {label.2}"] {
        let command = format!(
            "longclip classify cat.jpg --labels-file labels.txt --model small.safetensors -q --format '{format}'"
        );
        let Some(seen) = desk.on_terminal(&command) else { return };
        assert!(!seen.contains(['\u{1b}', '\u{202e}']), "{format}: {seen:?}");
        assert!(seen.contains("a \\u001b[31m\\u202ecat"), "{format}: {seen:?}");
        // JSON has no control characters, but for those of text direction.
        let piped = String::from_utf8(desk.shell(&command).stdout).unwrap();
        assert!(piped.contains('\u{202e}'), "{format}: {piped:?}");
    }
}

/// 34 bytes of WebP that stand for 16383 × 16383 pixels.
#[cfg(target_os = "linux")]
const BOMB: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8L\x0e\0\0\0/\xfe\xbf\xff\x1f(r\x15\xeaQ\xc0\x02\0\0";

#[cfg(target_os = "linux")]
#[test]
fn images_that_take_too_much_memory_are_rows_and_the_run_ends() {
    let desk = Desk::with_pictures().and_small_model();
    let names = (0..6).map(|i| format!("bomb-{i}.webp"));
    let desk = names.fold(desk, |desk, name| desk.file(&name, BOMB));
    let output = desk.shell(
        "ulimit -v 1572864; longclip classify bomb-*.webp cat.jpg --label 'a cat' --label 'a dog' \
         --model small.safetensors --format ndjson -q",
    );
    let rows = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{rows}");
    assert_eq!(rows.matches("of memory; ").count(), 6, "{rows}");
    assert!(rows.contains("{\"path\":\"cat.jpg\",\"labels\""), "{rows}");
}

/// Root has no limit of processes, so the program runs as another user.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_threads_slows_a_run_down_or_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let desk = Desk::with_pictures().and_small_model();
    let arguments = [
        &["classify", "cat.jpg", "coffee.jpg", "-f", "csv", "-q", "--threads", "2"],
        &LABELS[..],
    ]
    .concat();
    let expected = desk.output(&arguments).stdout;
    fs::copy(env!("CARGO_BIN_EXE_longclip"), desk.path("longclip")).unwrap();
    for path in ["longclip", ""] {
        fs::set_permissions(desk.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let limited = |n_threads: usize| {
        let mut command = std::process::Command::new("bash");
        let script = format!("ulimit -u {n_threads} && exec ./longclip \"$@\"");
        command
            .args(["-c", &script, "bash"])
            .args(&arguments)
            .current_dir(desk.path(""));
        command.env_clear().env("HOME", desk.path(""));
        command.envs(std::env::var_os(CPU_VARIABLE).map(|level| (CPU_VARIABLE, level)));
        command.uid(65534).gid(65534).output().ok()
    };
    let Some(few) = limited(6) else {
        println!("skipped: only root may run a program as another user");
        return;
    };
    assert!(few.status.success() && few.stdout == expected, "{few:?}");
    let none = limited(1);
    let (code, stderr) = none
        .map(|o| (o.status.code(), String::from_utf8(o.stderr).unwrap()))
        .unwrap();
    insta::assert_snapshot!(format!("{} {stderr}", code.unwrap()), @r"
    2 error: cannot start the threads that read images: Resource temporarily unavailable
    hint: allow more threads: `ulimit -u`, or the limit of processes of the container
    ");
}

#[test]
fn explain_and_reject_with_the_wrong_value_are_refused_with_a_hint() {
    let desk = Desk::with_pictures().and_small_model().folder("photos");
    fs::copy(desk.path("cat.jpg"), desk.path("photos/cat.jpg")).unwrap();
    let refused = |arguments: &[&str]| {
        let (code, stdout, stderr) = run(&desk, &[&["classify"], arguments, &LABELS].concat());
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        stderr
    };
    for place in ["photos", "photos/heat", "photos/cat.png", "./photos/../photos"] {
        assert!(
            refused(&["photos", "--explain", place]).contains("is in a folder of inputs"),
            "{place}"
        );
    }
    insta::assert_snapshot!(refused(&["cat.jpg", "--explain", "x.jpg"]), @r"
    error: `--explain x.jpg` names an image that is not a png
    hint: name a file that ends in `.png`, or a folder
    ");
    insta::assert_snapshot!(refused(&["cat.jpg", "--reject", "2"]), @r"
    error: `--reject` is followed by `2`, which is not a file
    hint: write the margin after `=`: `--reject=2`
    ");
    let sort = ["sort", "cat.jpg", "--into", "out", "--copy", "--reject", "0.5"];
    let (code, _, stderr) = run(&desk, &[&sort[..], &LABELS].concat());
    assert!(code == Some(2) && stderr.contains("`--reject=0.5`"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_are_distinguishable_and_can_be_read_back() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::with_pictures().and_small_model().folder("photos");
    for name in [&b"\xfe.jpg"[..], b"\xff.jpg"] {
        fs::copy(
            desk.path("cat.jpg"),
            desk.path("photos").join(std::ffi::OsStr::from_bytes(name)),
        )
        .unwrap();
    }
    let output = |arguments: &[&str]| desk.output(&[&["classify"], arguments, &LABELS].concat()).stdout;
    let ndjson = output(&["photos", "--format", "ndjson"]);
    let paths: Vec<Value> = String::from_utf8(ndjson.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["path"].clone())
        .collect();
    let bytes = |text: &str| serde_json::json!({ "bytes": text });
    assert_eq!(paths, [bytes("cGhvdG9zL/4uanBn"), bytes("cGhvdG9zL/8uanBn")]);
    fs::write(desk.path("in.ndjson"), &ndjson).unwrap();
    let lines = String::from_utf8(ndjson.clone())
        .unwrap()
        .replace("\"labels\"", "\"before\"");
    fs::write(desk.path("in.ndjson"), lines).unwrap();
    let again = output(&["--ndjson-from", "in.ndjson", "--format", "{path} {error}"]);
    assert_eq!(
        String::from_utf8(again).unwrap(),
        "photos/\\xfe.jpg \nphotos/\\xff.jpg \n"
    );
    assert_eq!(
        output(&["photos", "--format", r"{path}\0"]),
        b"photos/\xfe.jpg\0photos/\xff.jpg\0"
    );
    // An interrupted run continues.
    let first = ndjson.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    fs::write(desk.path("out.ndjson"), first).unwrap();
    output(&["photos", "--output", "out.ndjson", "--resume"]);
    assert_eq!(fs::read(desk.path("out.ndjson")).unwrap(), ndjson);
}

#[test]
fn carried_numbers_come_out_as_they_went_in() {
    let line = r#"{"path":"cat.jpg","id":123456789012345678901234567890,"x":1.10,"list":[1.0, 2e5]}"#;
    let desk = Desk::with_pictures().and_small_model().stdin(line.as_bytes());
    for (format, expected) in [
        (
            "ndjson",
            r#""path":"cat.jpg","id":123456789012345678901234567890,"list":[1.0, 2e5],"x":1.10,"labels""#,
        ),
        (
            "csv",
            r#"{""id"":123456789012345678901234567890,""list"":[1.0, 2e5],""x"":1.10}"#,
        ),
        ("{field.id} {field.x}", "123456789012345678901234567890 1.10"),
    ] {
        let (_, stdout, _) = run(
            &desk,
            &[&["classify", "--ndjson-from", "-", "--format", format], &LABELS[..]].concat(),
        );
        assert!(stdout.contains(expected), "{stdout}");
    }
}

#[test]
fn a_label_that_is_a_column_is_refused_in_the_wide_layout() {
    let desk = Desk::with_pictures().and_small_model();
    for format in ["csv", "tsv", "parquet"] {
        if format == "parquet" && !cfg!(feature = "parquet") {
            continue;
        }
        for label in ["path", "error"] {
            let output = format!("out.{format}");
            let arguments = ["classify", "cat.jpg", "--wide", "--output", &output, "--label", label];
            let (code, _, stderr) = run(&desk, &[&arguments[..], &LABELS].concat());
            assert_eq!(code, Some(2));
            assert!(stderr.contains(&format!("two columns `{label}`")), "{stderr}");
        }
    }
}
