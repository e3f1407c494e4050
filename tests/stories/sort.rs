//! `longclip sort` copies, moves or links photos into one folder per label, and overwrites nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture::Desk;
use crate::many::{LABELS, SMALL, arguments, ppm, with_many};

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let nested = |path: PathBuf| if path.is_dir() { files_in(&path) } else { vec![path] };
    files.into_iter().flat_map(nested).collect()
}

fn sort(desk: &Desk, more: &[&str]) -> String {
    let run = arguments(&[&["sort", "many", "--into", "sorted"], &LABELS, &SMALL, more]);
    let output = desk.output(&run);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn fills_one_folder_per_label_and_overwrites_nothing() {
    let desk = with_many(6)
        .folder("sorted")
        .folder("sorted/a cat")
        .folder("sorted/a dog, asleep");
    for folder in ["a cat", "a dog, asleep"] {
        fs::write(desk.path(&format!("sorted/{folder}/00000.ppm")), "mine").unwrap();
    }
    let rehearsed = sort(&desk, &["--copy", "--dry-run"]);
    assert_eq!(files_in(&desk.path("sorted")).len(), 2, "a dry run changes nothing");

    assert_eq!(
        sort(&desk, &["--copy"]),
        rehearsed,
        "a dry run prints what would happen"
    );
    assert!(rehearsed.contains("/00000-2.ppm\n"), "{rehearsed}");
    let copied = files_in(&desk.path("sorted"));
    assert_eq!(copied.len(), 8);
    assert_eq!(copied.iter().filter(|path| path.ends_with("00000-2.ppm")).count(), 1);
    assert_eq!(
        copied.iter().filter(|path| fs::read(path).unwrap() == b"mine").count(),
        2
    );

    let moved = sort(&desk, &["--move"]);
    assert_eq!(moved.matches("(was there)").count(), 6, "{moved}");
    assert_eq!(files_in(&desk.path("sorted")), copied, "existing files are not changed");
    assert_eq!(files_in(&desk.path("many")).len(), 0);
}

#[test]
fn photos_with_the_same_name_or_content_do_not_collide() {
    for manner in ["--copy", "--move", "--link"] {
        let desk = with_many(0);
        for (folder, picture) in [("1", 0), ("2", 0), ("3", 7), ("4", 8)] {
            fs::create_dir(desk.path(&format!("many/{folder}"))).unwrap();
            fs::write(desk.path(&format!("many/{folder}/a.ppm")), ppm(picture)).unwrap();
        }
        // One label, so that all go to the same folder.
        let run = arguments(&[
            &["sort", "many", "--into", "sorted", "--label", "all", "--force", manner],
            &SMALL,
        ]);
        let rehearsed = desk.output(&[&run[..], &["--dry-run"]].concat());
        let happened = desk.output(&run);
        assert_eq!(rehearsed.stdout, happened.stdout, "{manner}");
        let said = String::from_utf8(happened.stdout).unwrap();
        assert_eq!(said.matches("(was there)").count(), 1, "{manner}: {said}");
        let sorted = files_in(&desk.path("sorted"));
        let names: Vec<_> = sorted
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a-2.ppm", "a-3.ppm", "a.ppm"], "{manner}");
        for (file, picture) in sorted.iter().zip([7, 8, 0]) {
            assert_eq!(fs::read(file).unwrap(), ppm(picture), "{manner}");
            assert_eq!(file.is_symlink(), manner == "--link");
        }
        let n_left = files_in(&desk.path("many")).len();
        assert_eq!(n_left, if manner == "--move" { 0 } else { 4 }, "{manner}");
    }
}

#[test]
fn a_broken_photo_is_not_moved() {
    let desk = with_many(3).file("many/00001.ppm", "broken");
    let output = desk.output(&arguments(&[
        &["sort", "many", "--into", "sorted", "--move"],
        &LABELS,
        &SMALL,
    ]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(files_in(&desk.path("many")), [desk.path("many/00001.ppm")]);
    assert_eq!(files_in(&desk.path("sorted")).len(), 2);
}

#[test]
fn refuses_to_sort_a_folder_into_itself() {
    let desk = with_many(1);
    let run = arguments(&[&["sort", "many", "--into", "many/sorted", "--copy"], &LABELS, &SMALL]);
    let output = desk.output(&run);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("is in a folder that is to be sorted")
    );
    assert!(!desk.path("many/sorted").exists());
}

#[test]
fn sidecars_and_raw_files_go_with_their_photo_and_an_undo_puts_everything_back() {
    for manner in ["--move", "--copy", "--link"] {
        let desk = with_many(3);
        // A camera writes a JPEG next to its raw file.
        fs::remove_file(desk.path("many/00001.ppm")).unwrap();
        fs::copy(desk.path("cat.jpg"), desk.path("many/00001.jpg")).unwrap();
        for name in ["00000.xmp", "00000.ppm.xmp", "00001.CR3", "00001.AAE", "notes.txt"] {
            fs::write(desk.path(&format!("many/{name}")), name).unwrap();
        }
        let before = files_in(&desk.path("many"));
        let lines = sort(&desk, &[manner, "--log", "moves.ndjson"]);
        assert_eq!(lines.matches("(with 2 files)\n").count(), 2, "{lines}");
        let sorted = files_in(&desk.path("sorted"));
        assert_eq!(sorted.len(), 7, "{manner}: {sorted:?}");
        let n_left = if manner == "--move" { 1 } else { 8 };
        assert_eq!(files_in(&desk.path("many")).len(), n_left, "{manner}");
        let log = fs::read_to_string(desk.path("moves.ndjson")).unwrap();
        assert_eq!(log.lines().count(), 7);

        let undone = desk.run(&["sort", "--undo", "moves.ndjson"]);
        assert_eq!(
            undone, "exit code 0\n--- stdout\n--- stderr\nnote: 7 files put back\n",
            "{manner}"
        );
        assert_eq!(files_in(&desk.path("many")), before, "{manner}");
        let photo = |path: &str| fs::read(desk.path(path)).unwrap();
        assert_eq!(photo("many/00001.jpg"), photo("cat.jpg"));
        assert_eq!(files_in(&desk.path("sorted")).len(), 0, "{manner}");
    }
}

#[test]
fn an_undo_leaves_what_has_changed_and_overwrites_nothing() {
    let desk = with_many(2);
    sort(&desk, &["--move", "--log", "moves.ndjson"]);
    fs::write(desk.path("many/00000.ppm"), "another one").unwrap();
    let undone = desk.output(&["sort", "--undo", "moves.ndjson"]);
    assert_eq!(undone.status.code(), Some(1));
    let said = String::from_utf8(undone.stderr).unwrap();
    assert!(said.contains("00000.ppm` is there again"), "{said}");
    assert!(said.contains("1 file put back, 1 left as they are"), "{said}");
    assert_eq!(fs::read(desk.path("many/00000.ppm")).unwrap(), b"another one");
    assert_eq!(fs::read(desk.path("many/00001.ppm")).unwrap(), ppm(1));
    let foreign = desk.file("diary.txt", "dear diary\n");
    let refused = foreign.run(&["sort", "--undo", "diary.txt"]);
    assert!(refused.contains("line 1 is not of a log of `sort`"), "{refused}");
}

#[cfg(unix)]
#[test]
fn a_link_that_is_moved_still_leads_to_its_photo() {
    let desk = with_many(1).folder("links");
    std::os::unix::fs::symlink("../many/00000.ppm", desk.path("links/a.ppm")).unwrap();
    let run = arguments(&[&["sort", "links", "--into", "sorted", "--move"], &LABELS, &SMALL]);
    assert_eq!(desk.output(&run).status.code(), Some(0));
    let [moved] = &files_in(&desk.path("sorted"))[..] else {
        panic!("one file")
    };
    assert!(moved.is_symlink());
    assert_eq!(fs::read(moved).unwrap(), ppm(0));
    assert!(!desk.path("links/a.ppm").is_symlink() && desk.path("many/00000.ppm").exists());
}
