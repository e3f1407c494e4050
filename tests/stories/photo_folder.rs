//! A photographer's folder: two cameras, a phone, raw photos, live photos, sidecars and what computers leave there. Each
//! command must get through it in one run, and say only what a photographer understands.

use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use crate::fixture::{Desk, data};
use crate::many::{SMALL, arguments};

/// The beginning of a Canon CR2 and of a Fujifilm RAF; a preview follows.
const CR2: &[u8] = b"II\x2a\0\x10\0\0\0CR\x02\0\0\0\0\0\0\0";
const RAF: &[u8] = b"FUJIFILMCCD-RAW 0201FF383501X-T1";
/// The beginning of a QuickTime movie.
const MOV: &[u8] = b"\0\0\0\x14ftypqt  \0\0\0\0qt  \0\0\0\x08wide";

/// 502 files in `photos/`.
fn desk() -> Desk {
    let desk = Desk::with_pictures().and_small_model();
    let read = |name: &str| fs::read(data(name)).unwrap();
    let photo = read("preprocess/jpeg-422-75x50.jpg");
    let turned = read("preprocess/exif-6-240x160.jpg");
    let heic = read("preprocess/formats/turned-6.heic");
    let lightroom = read("xmp/lightroom.xmp");
    let with_preview = |header: &[u8]| [header, &photo].concat();
    for folder in ["canon", "fuji", "phone/@eaDir", "phone/.thumbnails", "scans"] {
        fs::create_dir_all(desk.path("photos").join(folder)).unwrap();
    }
    let write = |name: String, bytes: &[u8]| fs::write(desk.path("photos").join(name), bytes).unwrap();
    for i in 0..80 {
        write(
            format!("canon/IMG_{i:04}.JPG"),
            if i % 2 == 0 { &photo } else { &turned },
        );
        write(format!("canon/IMG_{i:04}.CR2"), &with_preview(CR2));
        write(format!("fuji/DSCF{i:04}.RAF"), &with_preview(RAF));
        write(format!("phone/IMG_E{i:04}.HEIC"), &heic);
        write(format!("phone/IMG_E{i:04}.MOV"), MOV);
    }
    for i in 0..25 {
        write(format!("canon/IMG_{i:04}.xmp"), &lightroom);
        write(format!("phone/IMG_E{i:04}.AAE"), b"<plist></plist>");
        write(format!("phone/@eaDir/IMG_E{i:04}.jpg"), &photo);
        write(format!("scans/{i}.tif"), &read("preprocess/formats/zstd.tif"));
    }
    write("Thumbs.db".into(), b"\xd0\xcf\x11\xe0");
    write("phone/.thumbnails/1.jpg".into(), &photo);
    assert_eq!(files(&desk.path("photos")).len(), 502);
    desk
}

#[test]
fn each_command_gets_through_a_photographers_folder_in_one_run() {
    let desk = desk().file("words.txt", "cat\ndog\nbeach\n");
    let labels = ["--labels", "a cat", "a dog", "--score", "cosine"];
    let classify = arguments(&[&["classify", "photos", "-o", "page.html"], &SMALL, &labels]);
    assert_snapshot!(desk.run(&classify), @"
    exit code 0
    --- stdout
    --- stderr
    note: 265 done, 0 failed, [RATE] images/s
    note: skipped as not an image: 131 (the first: `photos/Thumbs.db`): 80 .mov, 25 .aae, 25 .xmp, 1 .db
    note: skipped as a raw photo: 80 (the first: `photos/canon/IMG_0000.CR2`); `--raw both` also reads those next to a JPEG or HEIC photo of the same name
    note: skipped as a folder that holds no photos: 1 (`photos/phone/@eaDir`); `--exclude-dir '!NAME'` searches it
    ");
    let tag = [
        "tag",
        "photos",
        "--write",
        "xmp",
        "--vocabulary",
        "words.txt",
        "--threshold",
        "1e-300",
        "--false-positives",
        "off",
        "-f",
        "{path}",
        "-o",
        "tags.txt",
    ];
    assert_snapshot!(desk.run(&arguments(&[&tag, &SMALL])), @"
    exit code 0
    --- stdout
    --- stderr
    note: 265 done, 0 failed, [RATE] images/s
    note: skipped as not an image: 131 (the first: `photos/Thumbs.db`): 80 .mov, 25 .aae, 25 .xmp, 1 .db
    note: skipped as a raw photo: 80 (the first: `photos/canon/IMG_0000.CR2`); `--raw both` also reads those next to a JPEG or HEIC photo of the same name
    note: skipped as a folder that holds no photos: 1 (`photos/phone/@eaDir`); `--exclude-dir '!NAME'` searches it
    note: 265 images: 795 tags; files next to them: 240 new, 25 changed
    ");
    let search = arguments(&[&["search", "photos", "a cat", "-k", "1", "-f", "{label}"], &SMALL]);
    assert_snapshot!(desk.run(&search), @"
    exit code 0
    --- stdout
    a cat
    --- stderr
    note: encoded: 265 done, 0 failed, [RATE] images/s
    note: skipped as not an image: 371 (the first: `[DESK]/photos/Thumbs.db`): 265 .xmp, 80 .mov, 25 .aae, 1 .db
    note: skipped as a raw photo: 80 (the first: `[DESK]/photos/canon/IMG_0000.CR2`); `--raw both` also reads those next to a JPEG or HEIC photo of the same name
    note: skipped as a folder that holds no photos: 1 (`[DESK]/photos/phone/@eaDir`); `--exclude-dir '!NAME'` searches it
    note: photos: 265 images, 265 new
    ");
    let before = files(&desk.path("photos"));
    let sort = arguments(&[
        &["sort", "photos", "--into", "sorted", "--move", "--log", "moves.ndjson"],
        &SMALL,
        &labels,
    ]);
    let sorted = desk.output(&sort);
    let said = String::from_utf8(sorted.stderr).unwrap();
    assert!(
        sorted.status.success() && !said.contains("error") && !said.contains("warning"),
        "{said}"
    );
    // Each photo with its sidecar and its raw file; a phone's also with its movie and its edits.
    assert_eq!(files(&desk.path("sorted")).len(), 265 + 265 + 80 + 80 + 25);
    assert_snapshot!(desk.run(&["sort", "--undo", "moves.ndjson"]), @"
    exit code 0
    --- stdout
    --- stderr
    note: 715 files put back
    ");
    assert_eq!(files(&desk.path("photos")), before);
}

/// All files below a folder, with their bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push((path.clone(), fs::read(path).unwrap())),
            }
        }
    }
    files.sort();
    files
}
