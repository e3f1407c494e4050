//! `longclip tag --write keywords`: tags inside photos, which are never lost.

use std::fs;
use std::process::Command;

use insta::assert_snapshot;

use crate::exiftool::exiftool;
use crate::fixture::{Desk, data};
use crate::many::{SMALL, arguments, with_many};
use crate::tag::{ALL, TREE, kill_twenty_times, tag};

/// A photo of each format that keywords are written into.
const PHOTOS: [(&str, &str); 4] = [
    ("a.jpg", "preprocess/exif-6-240x160.jpg"),
    ("b.png", "preprocess/rgba-200x150.png"),
    ("c.webp", "preprocess/exif-6-240x160.webp"),
    ("d.webp", "preprocess/rgb-300x200-q80.webp"),
];

fn desk() -> Desk {
    let desk = with_many(0).file("tree.txt", TREE);
    for (name, from) in PHOTOS {
        fs::copy(data(from), desk.path(&format!("many/{name}"))).unwrap();
    }
    desk
}

fn write<'a>(more: &[&'a str]) -> Vec<&'a str> {
    tag(&[&["--write", "keywords", "--format", "{path}:{error}"], more].concat())
}

const REMOVE: [&str; 5] = ["tag", "many", "--write", "keywords", "--remove"];

fn contents(desk: &Desk) -> Vec<Vec<u8>> {
    let read = |(name, _)| fs::read(desk.path(&format!("many/{name}"))).unwrap();
    PHOTOS.into_iter().map(read).collect()
}

#[test]
fn keywords_go_into_photos_and_out_again_and_other_images_get_sidecars() {
    let desk = desk();
    fs::copy(data("preprocess/formats/rgb.heic"), desk.path("many/e.heic")).unwrap();
    let before = contents(&desk);
    assert_snapshot!(desk.run(&write(&[])), @"
    exit code 0
    --- stdout
    many/a.jpg:
    many/b.png:
    many/c.webp:
    many/d.webp:
    many/e.heic:
    --- stderr
    note: 5 done, 0 failed, [RATE] images/s
    note: 5 images: 25 tags; files next to them: 1 new; keywords in them: 4 changed
    ");
    let written = contents(&desk);
    assert!(before.iter().zip(&written).all(|(a, b)| a != b));
    assert_snapshot!(desk.run(&write(&[])), @"
    exit code 0
    --- stdout
    many/a.jpg:
    many/b.png:
    many/c.webp:
    many/d.webp:
    many/e.heic:
    --- stderr
    note: 5 done, 0 failed, [RATE] images/s
    note: skipped as not an image: 1 (`many/e.heic.xmp`)
    note: 5 images: 25 tags; files next to them: 1 unchanged; keywords in them: 4 unchanged
    ");
    assert!(contents(&desk) == written, "a second run changes nothing");
    assert_snapshot!(desk.run(&REMOVE), @"
    exit code 0
    --- stdout
    --- stderr
    note: 5 images; files next to them: 1 removed; keywords in them: 4 changed
    ");
    let removed = contents(&desk);
    for ((name, _), (before, after)) in PHOTOS.iter().zip(before.iter().zip(&removed)) {
        match *name {
            // The chunk that says what a file has stays.
            "d.webp" => assert!(after[30..] == before[12..], "{name}"),
            _ => assert!(after == before, "{name}"),
        }
    }
    assert!(!desk.path("many/e.heic.xmp").exists());
}

#[test]
fn photo_programs_read_what_is_in_photos() {
    let desk = desk();
    assert_eq!(desk.output(&write(&[])).status.code(), Some(0));
    for (name, _) in PHOTOS {
        let path = desk.path(&format!("many/{name}"));
        let Some(read) = exiftool(
            &[
                "-json",
                "-validate",
                "-warning",
                "-a",
                "-Subject",
                "-HierarchicalSubject",
            ],
            &path,
        ) else {
            return;
        };
        assert_eq!(read["Subject"].as_array().unwrap().len(), 5, "{name}: {read}");
        assert!(read.to_string().contains("animal|cat"), "{name}: {read}");
        let exiv2 = Command::new("exiv2").args(["-q", "-PXkyt"]).arg(&path).output();
        let Ok(exiv2) = exiv2 else {
            println!("skipped: there is no exiv2");
            continue;
        };
        let read = String::from_utf8(exiv2.stdout).unwrap();
        for list in [
            "Xmp.dc.subject XmpBag",
            "Xmp.lr.hierarchicalSubject XmpBag",
            "Xmp.digiKam.TagsList XmpSeq",
        ] {
            let words: Vec<&str> = list.split(' ').collect();
            let is_it = |line: &str| words.iter().all(|word| line.contains(word)) && line.contains("cat");
            assert!(read.lines().any(is_it), "{name}: no {list} in {read}");
        }
    }
}

#[test]
fn a_dry_run_says_which_photos_would_be_written_and_writes_none() {
    let desk = desk();
    let before = contents(&desk);
    assert_snapshot!(desk.run(&write(&["--dry-run", "--max-tags", "1"])), @"
    exit code 0
    --- stdout
    many/a.jpg:
    many/b.png:
    many/c.webp:
    many/d.webp:
    --- stderr
    note: `many/a.jpg` would have in it: night
    note: `many/b.png` would have in it: night
    note: `many/c.webp` would have in it: night
    note: `many/d.webp` would have in it: night
    note: 4 done, 0 failed, [RATE] images/s
    note: 4 images: 4 tags; keywords in them, if this were not a dry run: 4 changed
    ");
    assert!(contents(&desk) == before);
}

#[test]
fn protected_and_damaged_photos_stay_as_they_are() {
    let desk = desk();
    fs::hard_link(desk.path("many/a.jpg"), desk.path("another-name.jpg")).unwrap();
    let mut permissions = fs::metadata(desk.path("many/b.png")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(desk.path("many/b.png"), permissions).unwrap();
    fs::copy(data("preprocess/no-iend.png"), desk.path("many/c.webp")).unwrap();
    let before = contents(&desk);
    assert_snapshot!(desk.run(&write(&[])), @"
    exit code 1
    --- stdout
    many/a.jpg:`many/a.jpg` is left as it is: it has 2 names (hard links), and would become another file under this one; write a sidecar instead, or copy it first
    many/b.png:`many/b.png` is left as it is: it is write-protected; write a sidecar instead, or copy it first
    many/c.webp:`many/c.webp` is left as it is: it is damaged or incomplete; repair it in the program that wrote it, or move it away
    many/d.webp:
    --- stderr
    error: `many/a.jpg` is left as it is: it has 2 names (hard links), and would become another file under this one
    hint: write a sidecar instead, or copy it first
    error: `many/b.png` is left as it is: it is write-protected
    hint: write a sidecar instead, or copy it first
    error: `many/c.webp` is left as it is: it is damaged or incomplete
    hint: repair it in the program that wrote it, or move it away
    note: 1 done, 3 failed, [RATE] images/s
    note: 1 image: 5 tags; keywords in them: 1 changed
    ");
    let after = contents(&desk);
    assert!(after[..3] == before[..3]);
    assert!(after[3] != before[3]);
}

#[test]
fn killed_twenty_times_leaves_every_photo_whole() {
    let desk = with_many(0).folder("whole").file("tree.txt", TREE);
    for i in 0..60 {
        let (_, from) = PHOTOS[i % PHOTOS.len()];
        for folder in ["many", "whole"] {
            fs::copy(data(from), desk.path(&format!("{folder}/{i:05}.photo"))).unwrap();
        }
    }
    kill_twenty_times(&desk, "keywords", ".photo");
}

#[test]
fn keywords_can_be_written_together_with_sidecars_and_only_into_files() {
    let desk = desk();
    let both = desk.run(&write(&["--write", "xmp"]));
    assert!(
        both.contains("files next to them: 4 new; keywords in them: 4 changed"),
        "{both}"
    );
    let packed = desk.shell("tar cf photos.tar many/a.jpg");
    assert!(packed.status.success());
    let archive = arguments(&[
        &["tag", "photos.tar", "--write", "keywords", "-f", "{path}:{error}"],
        &ALL,
        &SMALL,
    ]);
    assert_snapshot!(desk.run(&archive), @"
    exit code 2
    --- stdout
    photos.tar/many/a.jpg:cannot use the image `photos.tar/many/a.jpg`: tags are written only for an image that is a file; save it to a file first
    --- stderr
    error: cannot use the image `photos.tar/many/a.jpg`: tags are written only for an image that is a file
    hint: save it to a file first
    note: 0 images: 0 tags; keywords in them: none
    ");
}
