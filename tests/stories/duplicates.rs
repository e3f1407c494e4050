//! Images that show the same.

use std::fs;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use serde_json::json;

use crate::fixture::Desk;
use crate::many::{SMALL, arguments, ppm, text, with_many};

const SEARCH: [&str; 5] = ["search", "duplicates", "many", "--threshold", "0.99"];

/// An image of `side` x `side` pixels whose colours change slowly: the same in every size.
fn gradient(side: usize) -> Vec<u8> {
    let share = |at: usize| ((2 * at + 1) * 255 / (2 * side)) as u8;
    let pixels = (0..side * side).flat_map(|at| [share(at % side), share(at / side), 128]);
    format!("P6 {side} {side} 255\n")
        .into_bytes()
        .into_iter()
        .chain(pixels)
        .collect()
}

fn duplicates(desk: &Desk, more: &[&str]) -> String {
    desk.run(&arguments(&[&SEARCH, &SMALL, more]))
}

#[test]
fn the_largest_of_a_group_is_kept_and_copies_are_told_from_others() {
    let desk = with_many(3);
    fs::write(desk.path("many/small.ppm"), gradient(60)).unwrap();
    fs::write(desk.path("many/large.ppm"), gradient(80)).unwrap();
    fs::copy(desk.path("many/00001.ppm"), desk.path("many/copy-of-1.ppm")).unwrap();
    assert_snapshot!(duplicates(&desk, &[]), @"
    exit code 0
    --- stdout
    many/00001.ppm
       1.0000  many/00001.ppm  kept, 8 x 8
       1.0000  many/copy-of-1.ppm  exact, 8 x 8

    many/large.ppm
       1.0000  many/large.ppm  kept, 80 x 80
       1.0000  many/small.ppm  near, 60 x 60
    --- stderr
    note: encoded: 6 done, 0 failed, [RATE] images/s
    note: many: 6 images, 6 new
    note: 6 images: 2 groups of images that show the same; 2 copies of 11 kB besides those to keep
    ");
    let record = &desk.records(&arguments(&[&SEARCH, &SMALL, &["-q", "-f", "ndjson"]]))[0];
    let expected = json!({
        "query": "many/00001.ppm", "rank": 1, "path": "many/00001.ppm", "cosine": 1.0, "copy": "kept", "width": 8, "height": 8
    });
    assert_eq!(*record, expected);
    assert_snapshot!(duplicates(&desk, &["-q", "-f", "{field.copy} {field.width} {path}"]), @"
    exit code 0
    --- stdout
    kept 8 many/00001.ppm
    exact 8 many/copy-of-1.ppm
    kept 80 many/large.ppm
    near 60 many/small.ppm
    --- stderr
    ");
    assert_snapshot!(duplicates(&desk, &["-q", "-o", "d.html"]), @"
    exit code 0
    --- stdout
    --- stderr
    ");
    assert!(text(&desk, "d.html").contains(r#""copy":"exact, 8 x 8""#));
}

#[test]
fn of_equal_files_the_earliest_is_kept() {
    let desk = with_many(2);
    fs::copy(desk.path("many/00001.ppm"), desk.path("many/0-earlier.ppm")).unwrap();
    fs::copy(desk.path("many/00001.ppm"), desk.path("many/0-later.ppm")).unwrap();
    let day = Duration::from_secs(86_400);
    let date = |name: &str, days: u32| {
        let file = fs::File::options().append(true).open(desk.path(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + days * day).unwrap();
    };
    date("many/0-earlier.ppm", 10);
    date("many/00001.ppm", 20);
    date("many/0-later.ppm", 30);
    assert_snapshot!(duplicates(&desk, &["-q", "-f", "{field.copy} {path}"]), @"
    exit code 0
    --- stdout
    kept many/0-earlier.ppm
    exact many/00001.ppm
    exact many/0-later.ppm
    --- stderr
    ");
}

#[test]
fn images_that_differ_are_in_no_group() {
    let desk = with_many(3);
    assert_snapshot!(duplicates(&desk, &[]), @"
    exit code 0
    --- stdout
    --- stderr
    note: encoded: 3 done, 0 failed, [RATE] images/s
    note: many: 3 images, 3 new
    note: 3 images: no two show the same
    ");
}

#[test]
fn files_that_changed_since_an_index_was_made_are_in_no_group() {
    let desk = with_many(2);
    fs::copy(desk.path("many/00001.ppm"), desk.path("many/copy.ppm")).unwrap();
    let build = arguments(&[&["search", "build", "many", "-o", "i.parquet", "-q"], &SMALL]);
    desk.output(&build);
    let found = || {
        desk.run(&[
            "search",
            "duplicates",
            "i.parquet",
            "--threshold",
            "0.99",
            "-f",
            "{field.copy} {path}",
        ])
    };
    assert_snapshot!(found(), @"
    exit code 0
    --- stdout
    kept many/00001.ppm
    exact many/copy.ppm
    --- stderr
    note: 3 images: 1 group of images that show the same; 1 copy of 203 B besides those to keep
    ");
    fs::write(desk.path("many/copy.ppm"), ppm(7)).unwrap();
    assert_snapshot!(found(), @"
    exit code 0
    --- stdout
    --- stderr
    note: 3 images: no two show the same
    ");
}
