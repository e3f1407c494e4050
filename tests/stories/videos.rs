//! The frames of a video, with ffmpeg if it is installed.

use std::fs;

use serde_json::Value;

use crate::documents::blocks;
use crate::fixture::{Desk, repository};
use crate::pipes::paths;

#[test]
fn frames_of_a_video_are_labelled_as_files_and_from_a_tar() {
    let desk = Desk::new();
    // Two seconds of each colour.
    let made = desk.shell(
        "ffmpeg -v error -f lavfi -i color=red:s=64x48:d=2 -f lavfi -i color=lime:s=64x48:d=2 \
         -f lavfi -i color=blue:s=64x48:d=2 -filter_complex concat=n=3 video.mp4",
    );
    if !made.status.success() {
        println!("skipped without ffmpeg: {}", String::from_utf8_lossy(&made.stderr));
        return;
    }
    let page = fs::read_to_string(repository().join("docs/formats.md")).unwrap();
    let (_, section) = page.split_once("## Video").unwrap();
    let recipe = blocks(section, "bash").concat();
    let ran = desk.shell(&format!("set -e\n{recipe}"));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    for (name, channel) in [("000001", 0), ("000002", 1), ("000003", 2)] {
        let frame = image::open(desk.path(&format!("frames/{name}.jpg")))
            .unwrap()
            .into_rgb8();
        let pixel = frame.get_pixel(32, 24).0;
        let brightest = (0..3).max_by_key(|channel| pixel[*channel]);
        assert_eq!(brightest, Some(channel), "{name}: {pixel:?}");
    }
    let paths_in = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(desk.path(name)).unwrap();
        let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut paths: Vec<String> = paths(&records).into_iter().map(str::to_owned).collect();
        paths.sort();
        paths
    };
    let frames = ["frames/000001.jpg", "frames/000002.jpg", "frames/000003.jpg"];
    assert_eq!(paths_in("frames.ndjson"), frames);
    assert_eq!(
        paths_in("tar.ndjson"),
        frames.map(|frame| format!("frames.tar/{frame}"))
    );
}
