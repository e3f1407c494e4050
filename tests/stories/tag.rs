//! `longclip tag`: several tags for each image, written where photo programs read them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use insta::assert_snapshot;

use crate::fixture::{Desk, data};
use crate::many::{SMALL, arguments, text, with_many};

/// A tree with a category, a synonym and a choice.
pub(crate) const TREE: &str = "animal\n\tcat\n\t\t{kitty}\n\tdog\n[place]\n\tbeach\n[light] (one of)\n\tday\n\tnight\n";
/// Every tag reaches this probability, whatever a model of random numbers says.
pub(crate) const ALL: [&str; 6] = [
    "--vocabulary",
    "tree.txt",
    "--threshold",
    "1e-300",
    "--false-positives",
    "off",
];

pub(crate) fn desk(n: usize) -> Desk {
    with_many(n).file("tree.txt", TREE)
}

pub(crate) fn tag<'a>(more: &[&'a str]) -> Vec<&'a str> {
    arguments(&[&["tag", "many"], &ALL, &SMALL, more])
}

#[track_caller]
pub(crate) fn run(desk: &Desk, more: &[&str]) -> String {
    let output = desk.output(&tag(more));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Files with this ending in `many/`, in order.
pub(crate) fn files(desk: &Desk, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(desk.path("many")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

/// The keywords of `dc:subject`, as written.
fn subjects(sidecar: &str) -> Vec<String> {
    let after = sidecar.split_once("<dc:subject").map_or("", |(_, after)| after);
    let list = after.split("</dc:subject>").next().unwrap();
    let items = list.split("<rdf:li>").skip(1);
    items.map(|item| item.split('<').next().unwrap().to_owned()).collect()
}

fn state(path: &Path) -> (Vec<u8>, std::time::SystemTime) {
    (fs::read(path).unwrap(), fs::metadata(path).unwrap().modified().unwrap())
}

#[test]
fn an_image_gets_its_tags_with_those_above_them_and_one_of_a_choice() {
    let desk = desk(2);
    for record in desk.records(&tag(&["--format", "ndjson"])) {
        let labels = record["labels"].as_array().unwrap();
        let names: Vec<&str> = labels.iter().map(|label| label["label"].as_str().unwrap()).collect();
        assert_eq!(
            names.len(),
            5,
            "three of the tree, one place, one of day and night: {names:?}"
        );
        assert_eq!(names.iter().filter(|name| ["day", "night"].contains(name)).count(), 1);
        assert!(!names.contains(&"place") && !names.contains(&"kitty"));
        let cat = labels.iter().find(|label| label["label"] == "cat").unwrap();
        assert_eq!(cat["parents"], serde_json::json!(["animal"]));
    }
    let two = desk.records(&tag(&["--format", "ndjson", "--max-tags", "1"]));
    for record in two {
        let labels = record["labels"].as_array().unwrap();
        let chosen = &labels[0];
        let parents = chosen["parents"].as_array().map_or(0, Vec::len);
        assert_eq!(labels.len(), 1 + parents, "{record}");
    }
}

#[test]
fn sidecars_are_written_and_a_second_run_does_not_touch_them() {
    let desk = desk(3);
    run(&desk, &["--write", "xmp"]);
    let sidecars = files(&desk, ".xmp");
    let names: Vec<_> = sidecars
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["00000.ppm.xmp", "00001.ppm.xmp", "00002.ppm.xmp"]);
    let before: Vec<_> = sidecars.iter().map(|path| state(path)).collect();
    let text = String::from_utf8(before[0].0.clone()).unwrap();
    assert_eq!(subjects(&text).len(), 5, "{text}");
    assert!(text.contains("<rdf:li>animal|cat</rdf:li>") && text.contains("<rdf:li>animal/cat</rdf:li>"));
    assert_snapshot!(desk.run(&tag(&["--write", "xmp", "--format", "{path}"])), @r"
    exit code 0
    --- stdout
    many/00000.ppm
    many/00001.ppm
    many/00002.ppm
    --- stderr
    note: 3 done, 0 failed, [RATE] images/s
    note: skipped as not an image: 3 (the first: `many/00000.ppm.xmp`): 3 .xmp
    note: 3 images: 15 tags; files next to them: 3 unchanged
    ");
    let after: Vec<_> = sidecars.iter().map(|path| state(path)).collect();
    assert!(before == after, "nothing is written");
    run(&desk, &["--write", "xmp", "--sidecar-name", "replaced"]);
    assert_eq!(files(&desk, ".xmp").len(), 3, "a sidecar that exists is used");
}

#[test]
fn sidecars_of_photo_programs_get_the_tags_and_give_them_back() {
    let desk = desk(3);
    let programs = ["darktable", "lightroom", "digikam"];
    let places = ["many/00000.ppm.xmp", "many/00001.xmp", "many/00002.ppm.xmp"];
    for (program, place) in programs.iter().zip(places) {
        fs::copy(data(&format!("xmp/{program}.xmp")), desk.path(place)).unwrap();
    }
    run(&desk, &["--write", "xmp"]);
    assert_eq!(files(&desk, ".xmp").len(), 3, "each was used");
    let own = [
        vec!["Tom &amp; Anna", "darktable", "people"],
        vec!["Haustier", "Wohnung"],
        vec!["Küste"],
    ];
    for (place, own) in places.iter().zip(own) {
        let subjects = subjects(&text(&desk, place));
        assert_eq!(subjects[..own.len()], own, "{place}");
        assert_eq!(subjects.len(), own.len() + 5, "{place}");
    }
    let removed = desk.run(&["tag", "many", "--write", "xmp", "--remove"]);
    assert_snapshot!(removed, @r"
    exit code 0
    --- stdout
    --- stderr
    note: 3 images; files next to them: 3 changed
    ");
    for (program, place) in programs.iter().zip(places) {
        let original = fs::read(data(&format!("xmp/{program}.xmp"))).unwrap();
        assert!(fs::read(desk.path(place)).unwrap() == original, "{program}");
    }
}

#[test]
fn removal_deletes_sidecars_that_hold_nothing_else() {
    let desk = desk(2);
    run(&desk, &["--write", "xmp", "--write", "txt"]);
    assert_eq!((files(&desk, ".xmp").len(), files(&desk, ".txt").len()), (2, 2));
    let remove = [
        "tag",
        "many",
        "--write",
        "xmp",
        "--write",
        "txt",
        "--vocabulary",
        "tree.txt",
        "--remove",
    ];
    assert_snapshot!(desk.run(&[&remove[..], &["--dry-run"]].concat()), @r"
    exit code 0
    --- stdout
    --- stderr
    note: `many/00000.ppm.xmp` would be removed
    note: `many/00000.txt` would be removed
    note: `many/00001.ppm.xmp` would be removed
    note: `many/00001.txt` would be removed
    note: 2 images; files next to them, if this were not a dry run: 4 removed
    ");
    assert_eq!(files(&desk, ".xmp").len(), 2);
    assert_eq!(desk.output(&remove).status.code(), Some(0));
    assert_eq!((files(&desk, ".xmp").len(), files(&desk, ".txt").len()), (0, 0));
}

#[test]
fn a_dry_run_says_what_would_be_written_and_writes_nothing() {
    let desk = desk(1);
    let run = desk.run(&tag(&[
        "--write",
        "xmp",
        "--dry-run",
        "--format",
        "{path}",
        "--max-tags",
        "1",
    ]));
    assert!(run.contains("note: `many/00000.ppm.xmp` would be new: "), "{run}");
    assert!(run.contains("if this were not a dry run: 1 new"), "{run}");
    assert!(files(&desk, ".xmp").is_empty());
    let useless = desk.run(&tag(&["--dry-run"]));
    assert!(useless.contains("`--dry-run` changes nothing"), "{useless}");
}

#[test]
fn a_damaged_sidecar_is_an_error_of_its_image_and_stays() {
    let desk = desk(3).file("many/00001.ppm.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF>");
    assert_snapshot!(desk.run(&tag(&["--write", "xmp", "--format", "{path}:{error}"])), @r"
    exit code 1
    --- stdout
    many/00000.ppm:
    many/00001.ppm:`many/00001.ppm.xmp` is left as it is: it is not XML: `<rdf:RDF>` is never closed; repair it in the program that wrote it, or move it away
    many/00002.ppm:
    --- stderr
    error: `many/00001.ppm.xmp` is left as it is: it is not XML: `<rdf:RDF>` is never closed
    hint: repair it in the program that wrote it, or move it away
    note: 2 done, 1 failed, [RATE] images/s
    note: skipped as not an image: 1 (`many/00001.ppm.xmp`)
    note: 2 images: 10 tags; files next to them: 2 new
    ");
    assert_eq!(
        text(&desk, "many/00001.ppm.xmp"),
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF>"
    );
    assert_eq!(files(&desk, ".xmp").len(), 3);
}

#[test]
fn text_files_are_for_training_tools_and_those_of_others_stay() {
    let desk = desk(3)
        .file("many/00001.txt", "a diary\n")
        .file("many/00002.txt", "cat, night\n");
    let failed = desk.run(&tag(&["--write", "txt", "--format", "{path}:{error}"]));
    assert_snapshot!(failed, @r"
    exit code 1
    --- stdout
    many/00000.ppm:
    many/00001.ppm:`many/00001.txt` exists, and holds something else than tags of this vocabulary; move it away; `--force` replaces it
    many/00002.ppm:
    --- stderr
    error: `many/00001.ppm`: `many/00001.txt` exists, and holds something else than tags of this vocabulary
    hint: move it away; `--force` replaces it
    note: 2 done, 1 failed, [RATE] images/s
    note: skipped as not an image: 2 (the first: `many/00001.txt`): 2 .txt
    note: 2 images: 10 tags; files next to them: 1 new, 1 changed
    ");
    assert_eq!(text(&desk, "many/00001.txt"), "a diary\n");
    for name in ["many/00000.txt", "many/00002.txt"] {
        let line = text(&desk, name);
        assert_eq!(line.trim_end().split(", ").count(), 5, "{line}");
    }
    run(&desk, &["--write", "txt", "--force"]);
    assert_ne!(text(&desk, "many/00001.txt"), "a diary\n");
}

#[test]
fn what_the_run_reads_is_never_written() {
    let desk = with_many(1).file("many/00000.txt", TREE);
    let run = arguments(&[
        &[
            "tag",
            "many",
            "--vocabulary",
            "many/00000.txt",
            "--write",
            "txt",
            "--force",
        ],
        &SMALL,
    ]);
    let output = desk.output(&run);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("would overwrite the vocabulary")
    );
    assert_eq!(text(&desk, "many/00000.txt"), TREE);
}

/// Kills a run that writes tags into files in `many/` twenty times, each time after two more of them. After each kill, each
/// file must be as it was or as it is to be, as a run that is not killed leaves it in `whole/`, which holds the same.
pub(crate) fn kill_twenty_times(desk: &Desk, kind: &str, ending: &str) {
    let originals: HashMap<PathBuf, Vec<u8>> = files(desk, ending)
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let write = ["-q", "--write", kind];
    let whole = arguments(&[&["tag", "whole"], &write, &ALL, &SMALL]);
    assert_eq!(desk.output(&whole).status.code(), Some(0));
    let killed = tag(&[&write[..], &["--batch", "1"]].concat());
    let is_original = |path: &Path, now: &[u8]| originals.get(path).is_some_and(|original| original == now);
    let n_done = || {
        let is_done = |path: &&PathBuf| !is_original(path, &fs::read(path).unwrap());
        files(desk, ending).iter().filter(is_done).count()
    };
    let whole_now = |path: &Path| fs::read(desk.path("whole").join(path.file_name().unwrap())).unwrap();
    for kill in 0..20 {
        let mut child = desk
            .command(&killed)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while n_done() < kill * 2 + 1 {
            assert!(child.try_wait().unwrap().is_none(), "the run ended before kill {kill}");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for path in files(desk, ending) {
            let now = fs::read(&path).unwrap();
            assert!(
                now == whole_now(&path) || is_original(&path, &now),
                "{}",
                path.display()
            );
        }
    }
    run(desk, &["--write", kind]);
    for path in files(desk, ending) {
        assert!(fs::read(&path).unwrap() == whole_now(&path), "{}", path.display());
    }
}

#[test]
fn killed_twenty_times_leaves_every_sidecar_whole() {
    let desk = desk(60).folder("whole");
    for i in 0..60 {
        let name = format!("{i:05}.ppm");
        fs::copy(desk.path(&format!("many/{name}")), desk.path(&format!("whole/{name}"))).unwrap();
        if i % 2 == 0 {
            for folder in ["many", "whole"] {
                fs::copy(data("xmp/lightroom.xmp"), desk.path(&format!("{folder}/{name}.xmp"))).unwrap();
            }
        }
    }
    kill_twenty_times(&desk, "xmp", ".xmp");
}

#[test]
fn an_interrupted_run_is_resumed() {
    let desk = desk(60);
    let base = arguments(&[
        &[
            "tag",
            "many",
            "-q",
            "--vocabulary",
            "tree.txt",
            "--threshold",
            "1e-300",
            "--false-positives",
            "20%",
        ],
        &SMALL,
    ]);
    let once = desk.output(&[&base[..], &["--output", "once.ndjson"]].concat());
    assert_eq!(once.status.code(), Some(0), "{}", String::from_utf8_lossy(&once.stderr));
    let whole = text(&desk, "once.ndjson");
    fs::write(desk.path("pieces.ndjson"), &whole[..whole.len() / 2]).unwrap();
    let resumed = [&base[..], &["--output", "pieces.ndjson", "--resume"]].concat();
    assert_eq!(desk.output(&resumed).status.code(), Some(0));
    assert_eq!(text(&desk, "pieces.ndjson"), whole);
    fs::write(desk.path("pieces.ndjson"), &whole[..whole.len() / 2]).unwrap();
    let other = desk.output(&[&resumed[..], &["--max-tags", "1"]].concat());
    assert_eq!(other.status.code(), Some(2), "other options make other records");
}

#[test]
fn thresholds_are_calibrated_on_the_folder_or_on_another_one() {
    let desk = desk(60);
    let base = arguments(&[&["--vocabulary", "tree.txt", "--format", "{path}"], &SMALL]);
    let notes = |more: &[&str]| {
        let output = desk.output(&[&["tag"], more, &base[..]].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        stderr.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(notes(&["many"]), "note: thresholds are calibrated on 60 images");
    assert_eq!(
        notes(&["many/00000.ppm"]),
        "warning: thresholds can't be chosen by 1 image, since that takes 50: images get all tags with a probability of at \
         least 0.95, and more of them are wrong; `--calibrate FOLDER` chooses thresholds by the images of a folder"
    );
    assert_eq!(
        notes(&["many/00000.ppm", "--calibrate", "many"]),
        "note: thresholds are calibrated on 60 images"
    );
    let refused = desk.run(&["tag", "many", "--false-positives", "off", "--calibrate", "many"]);
    assert!(refused.contains("`--calibrate` changes nothing"), "{refused}");
    let n_tags = |share: &str| -> usize {
        let records = desk.records(&arguments(&[
            &["tag", "many", "--vocabulary", "tree.txt", "--format", "ndjson"],
            &["--threshold", "1e-300", "--false-positives", share],
            &SMALL,
        ]));
        let n_labels = |record: &serde_json::Value| record["labels"].as_array().unwrap().len();
        records.iter().map(n_labels).sum()
    };
    let (few, half, all) = (n_tags("1%"), n_tags("50%"), n_tags("off"));
    assert!(few < half && half < all, "{few} {half} {all}");
}

#[test]
fn a_mistyped_vocabulary_is_reported_with_those_that_there_are() {
    let desk = desk(1);
    assert_snapshot!(desk.run(&["tag", "many", "--vocabulary", "everday"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: there is no vocabulary and no file `everday`
    hint: the built-in ones are `everyday` and `scenes`
    ");
}
