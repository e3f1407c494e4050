//! Searching a folder or an archive without an index in a file, and arithmetic with what is searched for.

use std::fs;
use std::path::PathBuf;

use insta::assert_snapshot;

use crate::fixture::Desk;
use crate::many::{SMALL, arguments, ppm, with_many};

/// What a search of `many/` prints on stderr.
fn said(desk: &Desk) -> String {
    let run = desk.output(&arguments(&[&["search", "many", "a cat", "-k", "1"], &SMALL]));
    assert_eq!(run.status.code(), Some(0));
    assert!(!run.stdout.is_empty());
    String::from_utf8(run.stderr).unwrap()
}

/// The indexes in the cache.
fn indexes(desk: &Desk) -> Vec<PathBuf> {
    let files = fs::read_dir(desk.path(".cache/longclip/search")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "parquet"))
        .collect()
}

#[test]
fn a_folder_is_searched_without_naming_an_index() {
    let desk = Desk::with_pictures().and_small_model().folder("album");
    for name in ["cat.jpg", "coffee.jpg"] {
        fs::copy(desk.path(name), desk.path(&format!("album/{name}"))).unwrap();
    }
    let search = arguments(&[&["search", "album", "a cat"], &SMALL]);
    assert_snapshot!(desk.run(&search), @"
    exit code 0
    --- stdout
    a cat
       0.1162  album/cat.jpg
       0.0691  album/coffee.jpg
    --- stderr
    note: encoded: 2 done, 0 failed, [RATE] images/s
    note: album: 2 images, 2 new
    ");
    assert_snapshot!(desk.run(&search), @"
    exit code 0
    --- stdout
    a cat
       0.1162  album/cat.jpg
       0.0691  album/coffee.jpg
    --- stderr
    ");
}

#[test]
fn only_what_is_new_or_changed_in_a_folder_is_encoded() {
    let desk = with_many(4);
    assert!(said(&desk).contains("many: 4 images, 4 new"), "{}", said(&desk));
    assert_eq!(said(&desk), "");
    fs::write(desk.path("many/9.ppm"), ppm(9)).unwrap();
    fs::remove_file(desk.path("many/00002.ppm")).unwrap();
    let changed = said(&desk);
    assert!(changed.contains("encoded: 1 done"), "{changed}");
    assert!(
        changed.contains("many: 4 images, 1 new, 3 unchanged, 1 dropped"),
        "{changed}"
    );
    assert_eq!(indexes(&desk).len(), 1);
    // Images that are read with other flags have their own index.
    desk.output(&arguments(&[&["search", "many", "a cat", "--fit", "pad"], &SMALL]));
    assert_eq!(indexes(&desk).len(), 2);
}

#[test]
fn a_damaged_index_in_the_cache_is_made_again() {
    let desk = with_many(3);
    said(&desk);
    let [index] = &indexes(&desk)[..] else {
        panic!("one index")
    };
    let bytes = fs::read(index).unwrap();
    fs::write(index, &bytes[..bytes.len() / 2]).unwrap();
    assert!(said(&desk).contains("many: 3 images, 3 new"));
    assert_eq!(fs::read(index).unwrap(), bytes);
}

#[test]
fn searches_of_one_folder_at_the_same_time_wait_for_each_other() {
    let desk = with_many(40);
    let search = arguments(&[&["search", "many", "a cat", "-k", "1"], &SMALL]);
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| desk.output(&search))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for output in &outputs {
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.stdout, outputs[0].stdout);
    }
}

#[test]
fn an_image_that_cannot_be_used_is_reported_by_each_search() {
    let desk = with_many(2);
    fs::write(desk.path("many/broken.jpg"), "no image").unwrap();
    for _ in 0..2 {
        let run = desk.output(&arguments(&[&["search", "many", "a cat"], &SMALL]));
        assert_eq!(run.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&run.stderr).contains("many/broken.jpg`"));
        assert_eq!(String::from_utf8_lossy(&run.stdout).lines().count(), 3);
    }
}

#[test]
fn a_folder_without_images_is_an_error() {
    let desk = Desk::with_pictures().and_small_model().folder("empty");
    assert_snapshot!(desk.run(&arguments(&[&["search", "empty/", "a cat"], &SMALL])), @"
    exit code 2
    --- stdout
    --- stderr
    error: there is no image in `empty/` that can be read
    hint: name a folder or an archive of images, or an index that `longclip search build` made
    ");
    assert_snapshot!(desk.run(&arguments(&[&["search", "missing/", "a cat"], &SMALL])), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: no folder, archive or index `missing/`
    hint: name what to search in: `longclip search photos/ "a cat"`
    "#);
}

#[test]
fn what_a_folder_holds_besides_images_is_said_if_something_was_done() {
    let desk = with_many(1)
        .folder("movies")
        .file("movies/a.mov", "x")
        .file("many/b.mov", "x");
    let skipped = "skipped as not an image: 1";
    assert!(said(&desk).contains(skipped));
    assert_eq!(said(&desk), "");
    for run in [
        &["search", "movies", "a cat"][..],
        &["search", "build", "movies", "-o", "i.parquet"],
    ] {
        let output = desk.output(&arguments(&[run, &SMALL]));
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(skipped), "{said}");
    }
}

#[test]
fn a_search_never_overwrites_what_it_searches() {
    let desk = with_many(2);
    fs::rename(desk.path("many/00001.ppm"), desk.path("many/00001.html")).unwrap();
    let before = fs::read(desk.path("many/00000.ppm")).unwrap();
    let run = arguments(&[
        &[
            "search",
            "many",
            "a cat",
            "-f",
            "ndjson",
            "-o",
            "many/00000.ppm",
            "--force",
        ],
        &SMALL,
    ]);
    assert_eq!(desk.output(&run).status.code(), Some(2));
    assert_eq!(fs::read(desk.path("many/00000.ppm")).unwrap(), before);
}

#[test]
fn a_search_can_be_for_more_of_one_thing_and_less_of_another() {
    let desk = with_many(6);
    let cosines = |query: &[&str]| -> Vec<(String, f64)> {
        let records = desk.records(&arguments(&[&["search", "many", "-q", "-f", "ndjson"], &SMALL, query]));
        let values = |record: &serde_json::Value| {
            let query = record["query"].as_str().unwrap().to_owned();
            (query, record["cosine"].as_f64().unwrap())
        };
        records.iter().map(values).collect()
    };
    let plain = cosines(&["a cat"]);
    // The direction of twice the same text is that of the text.
    let doubled = cosines(&["a cat", "--add", "3:a cat"]);
    assert_eq!(doubled[0].0, "a cat + 3:a cat");
    for (a, b) in plain.iter().zip(&doubled) {
        assert!((a.1 - b.1).abs() < 1e-4, "{a:?} {b:?}");
    }
    let changed = cosines(&["a cat", "--add", "a dog", "--subtract", "0.5:a dog, asleep"]);
    assert_eq!(changed[0].0, "a cat + a dog - 0.5:a dog, asleep");
    assert_ne!(changed[0].1, plain[0].1);
    let nothing = arguments(&[&["search", "many", "a cat", "--subtract", "a cat"], &SMALL]);
    assert_snapshot!(desk.run(&nothing), @"
    exit code 2
    --- stdout
    --- stderr
    error: nothing is left of `a cat` after what is subtracted from it
    hint: subtract something else, or give it a smaller weight, such as 0.5
    ");
}
