//! `--explain` shows where in the photo a label was seen.

use insta::assert_snapshot;

use crate::fixture::{Desk, data};

const RUN: [&str; 5] = ["--model", "nano", "--labels", "a cat", "a dog"];

fn explained(desk: &Desk, arguments: &[&str]) -> String {
    desk.run(
        &[
            &["classify", "-q"],
            arguments,
            &["--format", "{path} {label} {error}"],
            &RUN,
        ]
        .concat(),
    )
}

fn picture(desk: &Desk, name: &str) -> image::RgbImage {
    image::open(desk.path(name)).unwrap().to_rgb8()
}

#[test]
fn writes_a_heat_map_of_the_same_size_as_the_photo() {
    let desk = Desk::with_pictures();
    assert_snapshot!(explained(&desk, &["cat.jpg", "--explain", "seen.png"]), @r"
    exit code 0
    --- stdout
    cat.jpg a cat 
    --- stderr
    ");
    let (photo, seen) = (picture(&desk, "cat.jpg"), picture(&desk, "seen.png"));
    assert_eq!(photo.dimensions(), seen.dimensions());
    // The photo is wide. The model reads only its middle, so the sides are dark and grey.
    let edge = seen.get_pixel(0, 150).0;
    assert!(edge[0] == edge[1] && edge[1] == edge[2], "{edge:?}");
    let middle: Vec<[u8; 3]> = (80..370).map(|x| seen.get_pixel(x, 150).0).collect();
    assert!(middle.iter().any(|pixel| pixel[0] > pixel[2]) && middle.iter().any(|pixel| pixel[2] > pixel[0]));
}

#[test]
fn a_photo_with_exif_rotation_is_drawn_upright() {
    let desk = Desk::new();
    let turned = data("preprocess/exif-6-240x160.jpg");
    explained(&desk, &[&turned, "--explain", "seen.png"]);
    assert_eq!(picture(&desk, "seen.png").dimensions(), (160, 240));
}

#[test]
fn different_labels_give_different_heat_maps() {
    let desk = Desk::with_pictures();
    let run = |label: &str, file: &str| {
        desk.output(&[
            "classify",
            "cat.jpg",
            "--model",
            "nano",
            "--label",
            label,
            "--explain",
            file,
            "--force",
        ]);
        picture(&desk, file)
    };
    assert_ne!(run("a cat", "cat.png"), run("a green wall", "wall.png"));
    assert_eq!(run("a cat", "cat.png"), run("a cat", "again.png"));
}

#[test]
fn several_images_are_written_to_a_folder_under_different_names() {
    let desk = Desk::with_pictures().folder("more");
    std::fs::copy(desk.path("coffee.jpg"), desk.path("more/cat.jpg")).unwrap();
    explained(&desk, &["cat.jpg", "more/cat.jpg", "missing.jpg", "--explain", "seen"]);
    let mut names: Vec<String> = std::fs::read_dir(desk.path("seen"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["cat.jpg-2.heat.png", "cat.jpg.heat.png"]);
}

#[test]
fn refuses_unsuitable_output_files_before_doing_anything() {
    let desk = Desk::with_pictures();
    std::fs::copy(data("preprocess/rgb-97x61.png"), desk.path("photo.png")).unwrap();
    let refused = [
        explained(&desk, &["cat.jpg", "coffee.jpg", "--explain", "seen.png"]),
        explained(&desk, &["photo.png", "--explain", "photo.png"]),
        explained(&desk, &["photo.png", "--explain", "cat.jpg"]),
    ];
    assert_snapshot!(refused.join(""), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `seen.png` is one file, and there are several images
    hint: name a folder: each image gets a file in it
    exit code 2
    --- stdout
    --- stderr
    error: `--explain photo.png` would overwrite one of the inputs
    hint: name another file: what a run reads is never written
    exit code 2
    --- stdout
    --- stderr
    error: `--explain cat.jpg` is a file, but not a png
    hint: name a file that ends in `.png`, or a folder
    ");
    assert_eq!(
        std::fs::read(desk.path("photo.png")).unwrap(),
        std::fs::read(data("preprocess/rgb-97x61.png")).unwrap()
    );
}

#[test]
fn the_html_page_shows_a_heat_map_over_each_photo() {
    let desk = Desk::with_pictures();
    let run = ["classify", "cat.jpg", "coffee.jpg", "--output", "page.html", "--force"];
    let page = |more: &[&str]| {
        desk.output(&[&run, more, &RUN].concat());
        std::fs::read_to_string(desk.path("page.html")).unwrap()
    };
    assert_eq!(page(&[]).matches("\"heat\":\"").count(), 0);
    assert_eq!(page(&["--explain", "seen"]).matches("\"heat\":\"").count(), 2);
}
