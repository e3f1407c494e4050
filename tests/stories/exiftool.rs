//! Tags as ExifTool reads and writes them, if it is installed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fixture::{Desk, data};
use crate::many::{SMALL, arguments};
use crate::tag::{ALL, TREE, desk, run};

/// What ExifTool reads of a file; `None` if it is not installed.
pub(crate) fn exiftool(arguments: &[&str], file: &Path) -> Option<serde_json::Value> {
    let read = Command::new("exiftool").args(arguments).arg(file).output();
    let Ok(read) = read else {
        println!("skipped: there is no exiftool");
        return None;
    };
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert!(read.stderr.is_empty(), "{}", String::from_utf8_lossy(&read.stderr));
    let objects: serde_json::Value = serde_json::from_slice(&read.stdout).ok()?;
    Some(objects[0].clone())
}

#[test]
fn exiftool_reads_what_was_written() {
    const READ: [&str; 8] = [
        "-json",
        "-struct",
        "-G1",
        "-validate",
        "-Subject",
        "-HierarchicalSubject",
        "-TagsList",
        "-Rating",
    ];
    let desk = desk(2);
    fs::copy(data("xmp/darktable.xmp"), desk.path("many/00000.ppm.xmp")).unwrap();
    run(&desk, &["--write", "xmp", "--max-tags", "10"]);
    let Some(merged) = exiftool(&READ, &desk.path("many/00000.ppm.xmp")) else {
        return;
    };
    let list = |object: &serde_json::Value, name: &str| -> Vec<String> {
        let items = object[name].as_array().unwrap_or_else(|| panic!("{name}: {object}"));
        items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        list(&merged, "XMP-dc:Subject")[..3],
        ["Tom & Anna", "darktable", "people"]
    );
    assert_eq!(merged["XMP-xmp:Rating"], 3);
    let new = exiftool(&READ, &desk.path("many/00001.ppm.xmp")).unwrap();
    assert_eq!(list(&new, "XMP-dc:Subject").len(), 5);
    assert!(list(&new, "XMP-lr:HierarchicalSubject").contains(&"animal|cat".to_owned()));
    assert!(list(&new, "XMP-digiKam:TagsList").contains(&"animal/dog".to_owned()));
}

#[test]
fn exiftool_writes_tags_into_photos() {
    let desk = Desk::with_pictures().and_small_model().file("tree.txt", TREE);
    let base = arguments(&[
        &[
            "tag",
            "cat.jpg",
            "coffee.jpg",
            "-q",
            "--format",
            "exiftool",
            "-o",
            "tags.json",
        ],
        &ALL,
        &SMALL,
    ]);
    assert_eq!(desk.output(&base).status.code(), Some(0));
    let written = Command::new("exiftool")
        .args(["-q", "-json=tags.json", "cat.jpg", "coffee.jpg"])
        .current_dir(desk.path(""))
        .output();
    let Ok(written) = written else { return };
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let read = exiftool(&["-json", "-Subject"], &desk.path("cat.jpg")).unwrap();
    assert_eq!(read["Subject"].as_array().unwrap().len(), 5, "{read}");
}
