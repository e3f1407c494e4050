//! What a person sees at a terminal: lines that fit, colours, notes, and words that are understood.

use crate::fixture::Desk;

/// Two paragraphs that begin in the same way.
const LABELS: &str = "--labels 'A grey cat lies on a wide windowsill, and in the street it begins to rain.' \
                      'A grey cat lies on a wide windowsill, and in the room a dog sleeps.' '窓辺の猫' --model small.safetensors";

/// What a terminal of this width shows; `None` if the machine has no `script` to make one.
fn seen(desk: &Desk, n_columns: usize, command: &str) -> Option<String> {
    let shown = desk.on_terminal(&format!("stty cols {n_columns} rows 40; export TERM=xterm; {command}"))?;
    Some(shown.replace("\r\n", "\n"))
}

/// The text without colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

#[test]
fn lines_fit_the_terminal_and_labels_are_whole() {
    let desk = Desk::with_pictures().and_small_model();
    for n_columns in [40, 60, 80, 120, 200] {
        let Some(text) = seen(&desk, n_columns, &format!("longclip classify cat.jpg {LABELS}")) else {
            return;
        };
        let shown = plain(&text);
        // Two cells for each Japanese character.
        let cells = |line: &str| line.chars().map(|c| if c > '\u{3000}' { 2 } else { 1 }).sum::<usize>();
        assert!(
            shown.lines().all(|line| cells(line) <= n_columns),
            "{n_columns}: {shown}"
        );
        let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("dog sleeps.") || words.contains("dog"), "{shown}");
        assert!(text.contains("\u{1b}[1;32m"), "the best label is coloured: {text}");
    }
}

#[test]
fn no_color_removes_colours_and_keeps_bars() {
    let desk = Desk::with_pictures().and_small_model();
    let run = format!("longclip classify cat.jpg gone.jpg {LABELS}");
    let Some(coloured) = seen(&desk, 80, &run) else { return };
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    for plain_run in [
        format!("NO_COLOR=1 {run}"),
        format!("{run} --color never"),
        format!("TERM=dumb {run}"),
    ] {
        let shown = seen(&desk, 80, &plain_run).unwrap();
        assert_eq!(shown, plain(&coloured), "{plain_run}");
        assert!(shown.contains(['█', '▏', '▎', '▍', '▌']), "{shown}");
    }
}

#[test]
fn color_always_colours_a_pipe_too() {
    let desk = Desk::with_pictures().and_small_model();
    let output = desk.shell(&format!("longclip classify cat.jpg {LABELS} --color always 2>&1"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("\u{1b}[1;32m") && text.contains(['█', '▏', '▌', '▊']),
        "{text}"
    );
    let output = desk.shell("longclip classify gone.jpg --label a --label b --color always 2>&1");
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("\u{1b}[1;31merror:\u{1b}[0m ")
    );
}

#[test]
fn only_a_terminal_is_told_that_nano_is_used_and_that_stdin_is_read() {
    let desk = Desk::with_pictures();
    let Some(text) = seen(&desk, 80, "longclip classify cat.jpg --labels cat dog") else {
        return;
    };
    assert!(plain(&text).contains("note: using `nano`"), "{text}");
    // `script` passes the end of its own input on, but may do so before the program reads.
    let run = "timeout --foreground -s INT 10 longclip classify --files-from - --labels cat dog";
    let text = seen(&desk, 80, run).unwrap();
    assert!(
        plain(&text).contains("note: reading from the terminal; end with Ctrl-D"),
        "{text}"
    );
    let piped = desk.shell("echo cat.jpg | longclip classify --files-from - --labels cat dog 2>&1");
    assert!(!String::from_utf8(piped.stdout).unwrap().contains("note:"));
}

#[test]
fn more_than_20_images_have_a_line_each_and_a_histogram() {
    let desk = Desk::with_pictures().and_small_model().folder("many");
    for i in 0..24 {
        std::fs::copy(desk.path("cat.jpg"), desk.path(&format!("many/{i:02}.jpg"))).unwrap();
    }
    let Some(text) = seen(&desk, 60, &format!("longclip classify many {LABELS}")) else {
        return;
    };
    let text = plain(&text);
    assert!(text.contains("score   margin  label"), "{text}");
    assert_eq!(text.lines().filter(|line| line.ends_with(".jpg")).count(), 24, "{text}");
    assert!(text.contains("\n24 images\n       24   100.0%  ████"), "{text}");
    let text = plain(&seen(&desk, 60, &format!("longclip sort many --into out --copy {LABELS}")).unwrap());
    assert_eq!(text.matches("many/").count(), 24, "{text}");
    assert!(text.contains("\n24 images\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
}

#[test]
fn more_than_20_images_have_their_tags_in_a_line_each() {
    let desk = Desk::with_pictures().and_small_model().folder("many");
    for i in 0..24 {
        std::fs::copy(desk.path("cat.jpg"), desk.path(&format!("many/{i:02}.jpg"))).unwrap();
    }
    let desk = desk.file("keywords.txt", "animal\n\tcat\n\tdog\nfood\n");
    let run =
        "longclip tag many --vocabulary keywords.txt --threshold 1e-9 --false-positives off --model small.safetensors";
    let Some(text) = seen(&desk, 80, run) else { return };
    let text = plain(&text);
    assert!(text.contains("score   number  tags "), "{text}");
    let lines = text.lines().filter(|line| line.ends_with(".jpg"));
    assert_eq!(
        lines.filter(|line| line.contains("cat") && line.contains(", ")).count(),
        24,
        "{text}"
    );
    let counts = text.split_once("\n24 images\n").map_or("", |(_, counts)| counts);
    assert_eq!(counts.matches("     24   100.0%  ████").count(), 4, "{text}");
}

#[test]
fn of_many_labels_a_terminal_lists_20_and_a_pipe_all() {
    let desk = Desk::with_pictures().and_small_model();
    let labels: String = (0..120).map(|i| format!("thing {i}\n")).collect();
    let desk = desk.file("labels.txt", labels);
    let run = "longclip classify cat.jpg --labels-file labels.txt --model small.safetensors";
    let Some(text) = seen(&desk, 80, run) else { return };
    let shown = plain(&text);
    assert_eq!(shown.matches("%  ").count(), 20, "{shown}");
    assert!(shown.contains("  100 other labels, each 0."), "{shown}");
    for (more, n) in [("--top-k 120", 120), ("--top-k 30", 30), ("--threshold 0", 120)] {
        let shown = plain(&seen(&desk, 80, &format!("{run} {more}")).unwrap());
        assert_eq!(shown.matches("thing").count(), n, "{more}: {shown}");
    }
    let piped = String::from_utf8(desk.shell(run).stdout).unwrap();
    assert_eq!(piped.matches("thing").count(), 120, "{piped}");
}

#[test]
fn what_people_type_out_of_habit_is_understood() {
    let desk = Desk::with_pictures().and_small_model();
    let model = ["--model", "small.safetensors"];
    let usual = desk.run(&[&["classify", "cat.jpg", "--labels", "a", "b"], &model[..]].concat());
    assert_eq!(
        desk.run(&[&["cat.jpg", "--labels", "a", "b"], &model[..]].concat()),
        usual
    );
    assert_eq!(
        desk.run(&[&["cat.jpg", "-l", "a", "-l", "b"], &model[..]].concat()),
        usual
    );
    assert_eq!(
        desk.run(&[&["-l", "a", "-l", "b", "cat.jpg", "-o", "-"], &model[..]].concat()),
        usual
    );
    let json = desk.run(
        &[
            &["classify", "cat.jpg", "-l", "a", "-l", "b", "--format", "json"],
            &model[..],
        ]
        .concat(),
    );
    assert_eq!(
        desk.run(&[&["cat.jpg", "--json", "-l", "a", "-l", "b"], &model[..]].concat()),
        json
    );
    let misspelt = desk.run(&["cat.jpg", "-l", "a", "--model", "longclip_b"]);
    assert!(misspelt.contains("hint: did you mean `longclip-b`?\n"), "{misspelt}");
    let misspelt = desk.run(&["cat.jpg", "-l", "a", "--format", "ndjsn"]);
    assert!(misspelt.contains("did you mean `ndjson`?"), "{misspelt}");
    let elsewhere = desk.run(&["cat.jpg", "--recursive", "-l", "a"]);
    insta::assert_snapshot!(elsewhere, @r"
    exit code 2
    --- stdout
    --- stderr
    error: unexpected argument '--recursive' found

      tip: folders are searched with all folders in them; `--max-depth 1` reads only their own files

    Usage: longclip classify [OPTIONS] INPUT... --labels LABEL...

    For more information, try '--help'.
    ");
    assert_eq!(
        desk.run(&["classify", "--colour", "never", "-h"]),
        desk.run(&["classify", "--color", "never", "-h"])
    );
    let misspelt = desk.run(&["clasify", "cat.jpg"]);
    assert!(
        misspelt.contains("tip: a similar subcommand exists: 'classify'"),
        "{misspelt}"
    );
}

#[test]
fn the_version_says_what_was_built_and_what_it_computes_with() {
    let desk = Desk::new().variable("LONGCLIP_CPU", "portable");
    let output = desk.output(&["--version"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with(&format!("longclip {}", env!("CARGO_PKG_VERSION"))),
        "{text}"
    );
    for line in [
        "\ntarget: ",
        "\nfeatures: arrow, cli, ",
        "\ncpu: portable, by LONGCLIP_CPU",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(
        String::from_utf8(desk.output(&["-V"]).stdout).unwrap().lines().count(),
        1
    );
    let info = String::from_utf8(desk.output(&["model", "info", "nano"]).stdout).unwrap();
    assert!(info.contains("computed with  portable, by LONGCLIP_CPU"), "{info}");
}
