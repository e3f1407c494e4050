//! Updating an index: new, changed and removed images, unreachable folders, and kills at any moment.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use insta::assert_snapshot;

use crate::fixture::Desk;
use crate::many::{SMALL, arguments, ppm, with_many};
use crate::search::{BUILD, build, found, index};

#[test]
fn an_update_reads_only_changes_and_gives_the_index_of_a_build_from_scratch() {
    let desk = with_many(30).file("many/00007b.ppm", "broken");
    assert_eq!(build(&desk), Some(1));
    // An unchanged image is not read. This one is damaged, but keeps its size and time.
    let damaged = desk.path("many/00003.ppm");
    let written = fs::metadata(&damaged).unwrap().modified().unwrap();
    let length = fs::metadata(&damaged).unwrap().len() as usize;
    fs::write(&damaged, vec![b'x'; length]).unwrap();
    set_time(&desk, "many/00003.ppm", written);
    // Change one, add two (one of them first), remove two, and repair the broken one.
    fs::write(desk.path("many/00010.ppm"), ppm(500)).unwrap();
    later(&desk, "many/00010.ppm");
    fs::write(desk.path("many/00000a.ppm"), ppm(501)).unwrap();
    fs::write(desk.path("many/zzz.ppm"), ppm(502)).unwrap();
    fs::remove_file(desk.path("many/00000.ppm")).unwrap();
    fs::remove_file(desk.path("many/00020.ppm")).unwrap();
    fs::write(desk.path("many/00007b.ppm"), ppm(503)).unwrap();
    later(&desk, "many/00007b.ppm");
    let again = arguments(&[&BUILD[..5], &SMALL]);
    assert_snapshot!(desk.run(&again), @"
    exit code 0
    --- stdout
    --- stderr
    note: encoded: 4 done, 0 failed, [RATE] images/s
    note: i.parquet: 31 images, 3 new, 1 changed, 27 unchanged, 2 dropped
    ");
    let updated = index(&desk);
    assert_snapshot!(desk.run(&again), @"
    exit code 0
    --- stdout
    --- stderr
    note: i.parquet: 31 images, up to date
    ");
    assert!(index(&desk) == updated, "nothing changed");
    // Repair the image and keep its time, so that a build from scratch sees the same files.
    fs::write(&damaged, ppm(3)).unwrap();
    set_time(&desk, "many/00003.ppm", written);
    fs::remove_file(desk.path("i.parquet")).unwrap();
    assert_eq!(build(&desk), Some(0));
    assert!(
        index(&desk) == updated,
        "an updated index differs from one built from scratch"
    );
}

/// Moves a file's modification time by a second, since the clock of a file system may be coarse.
fn later(desk: &Desk, name: &str) {
    set_time(desk, name, SystemTime::now() + Duration::from_secs(1));
}

fn set_time(desk: &Desk, name: &str, time: SystemTime) {
    let file = File::options().write(true).open(desk.path(name)).unwrap();
    file.set_modified(time).unwrap();
}

/// Starts a build and kills it, alternately when its journal has grown and after a few milliseconds. Returns false if the
/// build finished before.
fn killed(desk: &Desk, run: &[&str], n_kills: u32, random: u64) -> bool {
    let journal = desk.path("i.parquet.journal");
    let bytes = || fs::metadata(&journal).map_or(0, |about| about.len());
    let until = bytes() + 2_000 + random % 30_000;
    let mut child = desk.command(run).stderr(Stdio::null()).spawn().unwrap();
    let until_then = Instant::now() + Duration::from_millis(random % 60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(0));
            return false;
        }
        let is_due = if n_kills.is_multiple_of(2) {
            bytes() >= until
        } else {
            Instant::now() >= until_then
        };
        if is_due {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_build_keeps_the_old_index_and_resumes() {
    let desk = with_many(40);
    build(&desk);
    let old = index(&desk);
    for i in 40..640 {
        fs::write(desk.path(&format!("many/{i:05}.ppm")), ppm(i)).unwrap();
    }
    fs::remove_file(desk.path("many/00005.ppm")).unwrap();
    let run = arguments(&[&BUILD, &SMALL, &["--batch", "2"]]);
    let journal = desk.path("i.parquet.journal");
    let n_held = || fs::metadata(&journal).map_or(0, |about| about.len());
    let (mut moment, mut held, mut n_kills) = (12345_u64, 0, 0);
    loop {
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if !killed(&desk, &run, n_kills, moment >> 33) {
            break;
        }
        n_kills += 1;
        if index(&desk) != old {
            // The kill came after the new index was renamed and before the end.
            break;
        }
        assert!(n_held() >= held, "the journal only grows");
        held = n_held();
        if n_kills == 3 && held > 500 {
            // A kill can cut a record in two; make sure that this happens once.
            let torn = fs::read(&journal).unwrap();
            fs::write(&journal, &torn[..torn.len() - 5]).unwrap();
            held = 0;
        }
        assert!(n_kills < 500, "the build makes progress");
    }
    assert!(n_kills >= 5, "{n_kills} kills");
    assert_eq!(build(&desk), Some(0));
    assert!(!journal.exists(), "the journal is removed after the index is renamed");
    let resumed = index(&desk);
    fs::remove_file(desk.path("i.parquet")).unwrap();
    build(&desk);
    assert!(
        index(&desk) == resumed,
        "a build that was killed {n_kills} times differs from one that was not"
    );
    assert_eq!(
        found(&desk, &["--image", "many/00123.ppm", "-k", "1"]),
        ["many/00123.ppm"]
    );
}

#[test]
fn the_same_images_are_recognised_from_another_working_folder() {
    let desk = with_many(5);
    build(&desk);
    let from_below = ["search", "build", ".", "-o", "../i.parquet"];
    let mut command = desk.command(&from_below);
    let output = command.current_dir(desk.path("many")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("5 images, 5 unchanged"), "{said}");
    // Printed paths lead to the images from the folder where they were named and from others.
    for folder in ["many", ""] {
        let name = if folder.is_empty() { "i.parquet" } else { "../i.parquet" };
        let mut command = desk.command(&["search", "query", name, "a square", "-f", "{path}"]);
        let output = command.current_dir(desk.path(folder)).output().unwrap();
        let paths = String::from_utf8(output.stdout).unwrap();
        assert_eq!(paths.lines().count(), 5);
        for path in paths.lines() {
            assert!(desk.path(folder).join(path).is_file(), "{path}");
        }
    }
}

#[test]
fn images_in_an_archive_are_recognised_by_their_bytes() {
    let desk = with_many(6);
    let tar = std::process::Command::new("tar")
        .args(["-cf", "many.tar", "many"])
        .current_dir(desk.path(""))
        .status();
    assert!(tar.unwrap().success());
    let run = arguments(&[&["search", "build", "many.tar", "-o", "i.parquet"], &SMALL]);
    desk.output(&run);
    let said = String::from_utf8(desk.output(&run).stderr).unwrap();
    assert!(said.contains("6 images, up to date"), "{said}");
    assert_eq!(
        found(&desk, &["--image", "many/00004.ppm", "-k", "1"]),
        ["many.tar/many/00004.ppm"]
    );
}

#[test]
fn images_of_a_missing_folder_stay_in_the_index() {
    let desk = with_many(4).folder("more");
    for i in 0..3 {
        fs::write(desk.path(&format!("more/{i}.ppm")), ppm(90 + i)).unwrap();
    }
    let run = arguments(&[&["search", "build", "many", "more", "-o", "i.parquet"], &SMALL]);
    desk.output(&run);
    fs::rename(desk.path("more"), desk.path("unplugged")).unwrap();
    assert_snapshot!(desk.run(&run), @"
    exit code 2
    --- stdout
    --- stderr
    error: cannot read `more`: No such file or directory
    ");
    fs::rename(desk.path("unplugged"), desk.path("more")).unwrap();
    let said = String::from_utf8(desk.output(&run).stderr).unwrap();
    assert!(said.contains("7 images, up to date"), "{said}");
}

#[test]
fn a_build_that_stopped_at_a_failure_resumes_once_its_folders_are_there() {
    let desk = with_many(4).folder("more").file("zz.ppm", "broken");
    for i in 0..3 {
        fs::write(desk.path(&format!("more/{i}.ppm")), ppm(90 + i)).unwrap();
    }
    let stopping = [
        "search",
        "build",
        "many",
        "more",
        "zz.ppm",
        "-o",
        "i.parquet",
        "--on-error",
        "fail",
    ];
    assert_snapshot!(desk.run(&arguments(&[&stopping, &SMALL])), @"
    exit code 1
    --- stdout
    --- stderr
    error: cannot use the image `zz.ppm`: it is text, not an image that can be decoded
    hint: give an image: jpeg, png, webp, gif, bmp, tiff, ico, pnm, qoi, tga or hdr
    note: encoded: 7 done, 1 failed, [RATE] images/s
    note: stopped, because too many failed (`--on-error`, `--max-errors`), after 8 of 8
    note: `i.parquet.journal` holds what was encoded; the next build continues from it
    ");
    // Without any readable input, the encoded images are kept for another time.
    let elsewhere = ["search", "build", "nowhere", "-o", "i.parquet"];
    assert_eq!(desk.output(&arguments(&[&elsewhere, &SMALL])).status.code(), Some(2));
    fs::rename(desk.path("more"), desk.path("unplugged")).unwrap();
    let run = ["search", "build", "many", "more", "-o", "i.parquet"];
    assert_eq!(desk.output(&arguments(&[&run, &SMALL])).status.code(), Some(2));
    fs::rename(desk.path("unplugged"), desk.path("more")).unwrap();
    assert_snapshot!(desk.run(&arguments(&[&run, &SMALL])), @"
    exit code 0
    --- stdout
    --- stderr
    note: resuming an interrupted build, which had encoded 7 images
    note: i.parquet: 7 images, 7 new
    ");
    assert!(!desk.path("i.parquet.journal").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_valid_text_are_kept_apart() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let desk = with_many(2);
    for (i, name) in [b"a\xff.ppm", b"a\xfe.ppm"].iter().enumerate() {
        let path = desk.path("many").join(OsStr::from_bytes(*name));
        fs::write(path, ppm(70 + i)).unwrap();
    }
    let run = arguments(&[&BUILD[..5], &SMALL]);
    let said = |run: &[&str]| String::from_utf8(desk.output(run).stderr).unwrap();
    assert!(said(&run).contains("4 images, 4 new\n"));
    assert!(said(&run).contains("4 images, up to date\n"));
}
