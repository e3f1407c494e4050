//! The table at the widths that terminals have.

use super::super::cells::width;
use super::super::specimen::{bare_records, bare_settings, settings, written};
use super::*;

/// Three paragraphs that begin in the same way, one in Japanese, and one with emoji.
const LABELS: [&str; 5] = [
    "In the photo a grey cat lies on a wide windowsill and looks at the street, on which it has just begun to rain.",
    "In the photo a grey cat lies on a wide windowsill and looks at the room, in which a dog sleeps on the sofa.",
    "In the photo a grey cat lies on a wide windowsill and sleeps.",
    "窓辺で眠る灰色の猫",
    "a cat 🐈‍⬛ and a family 👩‍👩‍👧 on a sofa",
];

fn terminal(width_columns: usize) -> Terminal {
    Terminal {
        width_columns,
        colour: Colour::Off,
        n_images: Some(1),
        n_listed_max: None,
    }
}

fn settings_of(terminal: Option<Terminal>) -> Settings {
    Settings {
        labels: LABELS.map(str::to_owned).to_vec(),
        terminal,
        ..settings()
    }
}

/// An image whose best label is the one at `best`.
fn record(path: &str, best: usize) -> Record {
    let [mut record, _] = bare_records();
    let mut labels = LABELS;
    labels.rotate_left(best);
    let probabilities = [0.6, 0.25, 0.1, 0.04, 0.01];
    let labelled = labels.iter().zip(probabilities).map(|(label, probability)| Labelled {
        label: (*label).to_owned(),
        probability: Some(probability),
        logit: None,
        cosine: None,
        group: None,
        parents: Vec::new(),
    });
    record.subject = super::super::Subject::Path(path.into());
    record.outcome = Outcome::Labels {
        labels: labelled.collect(),
        groups: Vec::new(),
        embedding: None,
    };
    record
}

fn table(terminal: Terminal, records: &[Record]) -> String {
    let text = written(&mut Table::new(&settings_of(Some(terminal))), records);
    for line in text.lines() {
        assert!(
            width(line) <= terminal.width_columns,
            "{}: {line}",
            terminal.width_columns
        );
    }
    text
}

#[track_caller]
fn one_image(width_columns: usize) -> String {
    table(terminal(width_columns), &[record("photos/猫.jpg", 0)])
}

#[test]
fn at_40_columns() {
    insta::assert_snapshot!(one_image(40), @r"
    photos/猫.jpg
        60.0%  ████▊     In the photo a grey
                         cat lies on a wide
                         windowsill and
                         looks at the
                         street, on which it
                         has just begun to
                         rain.
        25.0%  ██        In the photo a grey
                         cat lies on a wide
                         windowsill and
                         looks at the room,
                         in which a dog
                         sleeps on the sofa.
        10.0%  ▊         In the photo a grey
                         cat lies on a wide
                         windowsill and
                         sleeps.
         4.0%  ▍         窓辺で眠る灰色の猫
         1.0%  ▏         a cat 🐈‍⬛ and a
                         family 👩‍👩‍👧 on a sofa
    ");
}

#[test]
fn at_60_columns() {
    insta::assert_snapshot!(one_image(60), @r"
    photos/猫.jpg
        60.0%  ███████▎      In the photo a grey cat lies on a
                             wide windowsill and looks at the
                             street, on which it has just begun
                             to rain.
        25.0%  ███           In the photo a grey cat lies on a
                             wide windowsill and looks at the
                             room, in which a dog sleeps on the
                             sofa.
        10.0%  █▎            In the photo a grey cat lies on a
                             wide windowsill and sleeps.
         4.0%  ▌             窓辺で眠る灰色の猫
         1.0%  ▏             a cat 🐈‍⬛ and a family 👩‍👩‍👧 on a sofa
    ");
}

#[test]
fn at_80_columns() {
    insta::assert_snapshot!(one_image(80), @r"
    photos/猫.jpg
        60.0%  █████████▋        In the photo a grey cat lies on a wide windowsill
                                 and looks at the street, on which it has just begun
                                 to rain.
        25.0%  ████              In the photo a grey cat lies on a wide windowsill
                                 and looks at the room, in which a dog sleeps on the
                                 sofa.
        10.0%  █▋                In the photo a grey cat lies on a wide windowsill
                                 and sleeps.
         4.0%  ▋                 窓辺で眠る灰色の猫
         1.0%  ▏                 a cat 🐈‍⬛ and a family 👩‍👩‍👧 on a sofa
    ");
}

#[test]
fn at_120_columns() {
    insta::assert_snapshot!(one_image(120), @r"
    photos/猫.jpg
        60.0%  ████████████          In the photo a grey cat lies on a wide windowsill and looks at the street, on which it
                                     has just begun to rain.
        25.0%  █████                 In the photo a grey cat lies on a wide windowsill and looks at the room, in which a dog
                                     sleeps on the sofa.
        10.0%  ██                    In the photo a grey cat lies on a wide windowsill and sleeps.
         4.0%  ▊                     窓辺で眠る灰色の猫
         1.0%  ▎                     a cat 🐈‍⬛ and a family 👩‍👩‍👧 on a sofa
    ");
}

#[test]
fn at_200_columns() {
    insta::assert_snapshot!(one_image(200), @r"
    photos/猫.jpg
        60.0%  ████████████          In the photo a grey cat lies on a wide windowsill and looks at the street, on which it has just begun to rain.
        25.0%  █████                 In the photo a grey cat lies on a wide windowsill and looks at the room, in which a dog sleeps on the sofa.
        10.0%  ██                    In the photo a grey cat lies on a wide windowsill and sleeps.
         4.0%  ▊                     窓辺で眠る灰色の猫
         1.0%  ▎                     a cat 🐈‍⬛ and a family 👩‍👩‍👧 on a sofa
    ");
}

#[test]
fn lines_fit_terminals_of_any_width() {
    for width_columns in 32..210 {
        one_image(width_columns);
        many(width_columns);
    }
}

/// A run over 24 images, one of which failed and one of which has labels of its own.
#[track_caller]
fn many(width_columns: usize) -> String {
    let path = |i: usize| format!("photos/2024-05 holiday in the mountains/IMG_{i:04}.jpg");
    let mut records: Vec<Record> = (0..24).map(|i| record(&path(i), i % 5)).collect();
    records[1].outcome = Outcome::Failed("cannot read `photos/gone.jpg`: no such file or folder".into());
    if let Outcome::Labels { labels, .. } = &mut records[2].outcome {
        labels.clear();
    }
    let terminal = Terminal {
        n_images: Some(21),
        ..terminal(width_columns)
    };
    table(terminal, &records)
}

/// The first lines, and the histogram.
fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    [&lines[..7], &["[...]"], &lines[lines.len() - 8..]].concat().join("\n")
}

#[test]
fn many_images_have_a_line_each_and_a_histogram_at_40_columns() {
    insta::assert_snapshot!(shortened(&many(40)), @r"
        score   margin  label      image
        60.0%    +35.0  In …stre…  …0000.jpg
       failed  cannot read
               `photos/gone.jpg`: no such
               file or folder
                        no label…  …0002.jpg
        60.0%    +35.0  窓辺で眠…  …0003.jpg
    [...]

    23 images
            5    21.7%  █▊        In …stree…
            5    21.7%  █▊        窓辺で眠…
            4    17.4%  █▍        In …room,…
            4    17.4%  █▍        In …sleep…
            4    17.4%  █▍        a cat 🐈‍⬛ …
            1     4.3%  ▍         no label …
    ");
}

#[test]
fn many_images_have_a_line_each_and_a_histogram_at_80_columns() {
    insta::assert_snapshot!(shortened(&many(80)), @r"
        score   margin  label                          image
        60.0%    +35.0  In the ph…street, on which i…  …n the mountains/IMG_0000.jpg
       failed  cannot read `photos/gone.jpg`: no such file or folder
                        no label reaches the thresho…  …n the mountains/IMG_0002.jpg
        60.0%    +35.0  窓辺で眠る灰色の猫             …n the mountains/IMG_0003.jpg
        60.0%    +35.0  a cat 🐈‍⬛ and a family 👩‍👩‍👧 on …  …n the mountains/IMG_0004.jpg
        60.0%    +35.0  In the ph…street, on which i…  …n the mountains/IMG_0005.jpg
    [...]

    23 images
            5    21.7%  ███▌              In the photo a…street, on which it has ju…
            5    21.7%  ███▌              窓辺で眠る灰色の猫
            4    17.4%  ██▊               In the photo a…room, in which a dog sleep…
            4    17.4%  ██▊               In the photo a…wide windowsill and sleeps.
            4    17.4%  ██▊               a cat 🐈‍⬛ and a family 👩‍👩‍👧 on a sofa
            1     4.3%  ▊                 no label reaches the threshold
    ");
}

#[test]
fn many_images_have_a_line_each_and_a_histogram_at_200_columns() {
    insta::assert_snapshot!(shortened(&many(200)), @r"
        score   margin  label                                                                                      image
        60.0%    +35.0  In the photo a grey cat lies …nd looks at the street, on which it has just begun to rain.  photos/2024-05 holiday in the mountains/IMG_0000.jpg
       failed  cannot read `photos/gone.jpg`: no such file or folder
                        no label reaches the threshold                                                             photos/2024-05 holiday in the mountains/IMG_0002.jpg
        60.0%    +35.0  窓辺で眠る灰色の猫                                                                         photos/2024-05 holiday in the mountains/IMG_0003.jpg
        60.0%    +35.0  a cat 🐈‍⬛ and a family 👩‍👩‍👧 on a sofa                                                         photos/2024-05 holiday in the mountains/IMG_0004.jpg
        60.0%    +35.0  In the photo a grey cat lies …nd looks at the street, on which it has just begun to rain.  photos/2024-05 holiday in the mountains/IMG_0005.jpg
    [...]

    23 images
            5    21.7%  ████▍                 In the photo a grey cat lies on a wide windowsill and looks at the street, on which it has just begun to rain.
            5    21.7%  ████▍                 窓辺で眠る灰色の猫
            4    17.4%  ███▌                  In the photo a grey cat lies on a wide windowsill and looks at the room, in which a dog sleeps on the sofa.
            4    17.4%  ███▌                  In the photo a grey cat lies on a wide windowsill and sleeps.
            4    17.4%  ███▌                  a cat 🐈‍⬛ and a family 👩‍👩‍👧 on a sofa
            1     4.3%  ▉                     no label reaches the threshold
    ");
}

#[test]
fn after_20_images_of_unknown_number_each_has_one_line() {
    let records: Vec<Record> = (0..22).map(|i| record(&format!("{i}.jpg"), 3)).collect();
    let terminal = Terminal {
        n_images: None,
        ..terminal(80)
    };
    let text = table(terminal, &records);
    assert_eq!(
        text.matches(" 0.jpg").count() + text.matches("\n19.jpg\n").count(),
        1,
        "{text}"
    );
    assert!(text.contains("\n\n    score   margin  label"), "{text}");
    assert!(
        text.contains("22   100.0%  ████████████████  窓辺で眠る灰色の猫\n"),
        "{text}"
    );
}

#[test]
fn the_winner_is_coloured_and_nothing_else_changes() {
    let coloured = Terminal {
        colour: Colour::On,
        ..terminal(80)
    };
    let text = written(&mut Table::new(&settings_of(Some(coloured))), &[record("a.jpg", 3)]);
    assert_eq!(text.matches("\x1b[1;32m").count(), 1, "{text}");
    let plain = text
        .replace("\x1b[1;32m", "")
        .replace("\x1b[1m", "")
        .replace("\x1b[0m", "");
    assert_eq!(plain, table(terminal(80), &[record("a.jpg", 3)]));
    assert!(plain.contains("█████"), "{plain}");
}

#[test]
fn of_many_labels_the_likeliest_are_listed_and_the_others_counted() {
    let few = Terminal {
        n_listed_max: Some(2),
        ..terminal(80)
    };
    insta::assert_snapshot!(table(few, &[record("photos/猫.jpg", 2)]), @r"
    photos/猫.jpg
        60.0%  █████████▋        In the photo a grey cat lies on a wide windowsill
                                 and sleeps.
        25.0%  ████              窓辺で眠る灰色の猫
                                 3 other labels, each 10.0% or less
    ");
}

#[test]
fn an_image_among_many_has_its_tags_in_one_line() {
    let many = Settings {
        task: Task::Tags,
        ..settings_of(Some(Terminal {
            n_images: Some(21),
            ..terminal(80)
        }))
    };
    let records: Vec<Record> = (0..21).map(|i| record(&format!("{i}.jpg"), 2 + i % 2)).collect();
    let text = written(&mut Table::new(&many), &records);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("    score   number  tags   "), "{text}");
    assert!(
        lines[1].starts_with("    60.0%        5  In the photo a grey cat lies…  "),
        "{text}"
    );
    assert!(
        lines[1].ends_with("  0.jpg") && lines[20].ends_with("  19.jpg"),
        "{text}"
    );
    // Each of the five tags is in all images.
    assert_eq!(
        lines[22..]
            .iter()
            .filter(|line| line.starts_with("       21   100.0%  ███"))
            .count(),
        5,
        "{text}"
    );
}

#[test]
fn in_a_pipe_labels_are_whole_and_on_one_line() {
    let text = written(&mut Table::new(&settings_of(None)), &[record("a.jpg", 0)]);
    assert!(text.contains(&format!("    60.0%  {}\n", LABELS[0])), "{text}");
}

#[test]
fn a_terminal_obeys_no_name_or_label() {
    let [mut record, mut failed] = bare_records();
    record.subject = super::super::Subject::Path("\u{1b}]0;x\u{7}a\nb.jpg".into());
    failed.outcome = Outcome::Failed("cannot read `\u{202e}gpj`".into());
    if let Outcome::Labels { labels, .. } = &mut record.outcome {
        labels[0].label = "a \u{1b}[2Jcat".into();
    }
    assert_eq!(
        written(&mut Table::new(&bare_settings()), &[record, failed]),
        "\\x1b]0;x\\x07a\\nb.jpg\n   0.2500  a \\x1b[2Jcat\n           none of these\n  by group\n    75.0%  =a, b\n\n\
         b.jpg\n  failed: cannot read `\\u{202e}gpj`\n"
    );
}

#[test]
fn shows_the_cosine_if_there_is_no_probability_and_groups_below_the_labels() {
    assert_eq!(
        written(&mut Table::new(&bare_settings()), &bare_records()),
        "a.jpg\n   0.2500  two lines\n           none of these\n  by group\n    75.0%  =a, b\n\n\
         b.jpg\n  no label reaches the threshold\n"
    );
}
