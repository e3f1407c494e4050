//! Goldens of torchvision and Pillow, and promises about sizes, colours and errors.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::*;

#[derive(serde::Deserialize)]
struct Goldens {
    cases: Vec<Golden>,
}

/// One picture at one size: what Pillow and torchvision made of it.
#[derive(serde::Deserialize)]
struct Golden {
    file: String,
    size: usize,
    upright: bool,
    lossless: bool,
    sha256: String,
    mean: [f64; 3],
    /// y, x, red, green, blue.
    samples: Vec<[usize; 5]>,
}

impl Golden {
    /// Whether every byte is equal, and the samples' largest and mean difference.
    fn compare(&self, folder: &Path) -> (bool, usize, f64) {
        let orientation = if self.upright {
            Orientation::Upright
        } else {
            Orientation::AsStored
        };
        let bytes = std::fs::read(folder.join(&self.file)).unwrap();
        let picture = decode(&self.file, &bytes, orientation, &Limits::default()).unwrap();
        let rgb = Preprocess::new(self.size).crop_u8(&picture);
        assert_eq!(rgb.len(), self.size * self.size * 3);
        let differences: Vec<usize> = self
            .samples
            .iter()
            .flat_map(|&[y, x, r, g, b]| {
                let ours = &rgb[(y * self.size + x) * 3..][..3];
                [r, g, b]
                    .into_iter()
                    .zip(ours)
                    .map(|(theirs, &ours)| theirs.abs_diff(usize::from(ours)))
            })
            .collect();
        for (c, mean) in self.mean.iter().enumerate() {
            let ours =
                rgb.iter().skip(c).step_by(3).map(|&b| f64::from(b)).sum::<f64>() / (self.size * self.size) as f64;
            assert!(
                (ours - mean).abs() < 0.5,
                "{}: channel {c} has the mean {ours}, not {mean}",
                self.file
            );
        }
        let exact = format!("{:x}", Sha256::digest(&rgb)) == self.sha256;
        let mean = differences.iter().sum::<usize>() as f64 / differences.len() as f64;
        (exact, differences.into_iter().max().unwrap_or(0), mean)
    }
}

/// Lossless files equal to the bit; lossy ones within 3 of 255, and within 0.5 on average.
fn check_goldens(list: &Path, folder: &Path) {
    let goldens: Goldens = serde_json::from_str(&std::fs::read_to_string(list).unwrap()).unwrap();
    let (mut n_lossless, mut n_exact, mut n_lossy_exact, mut max_lossy, mut mean_lossy) = (0, 0, 0, 0, 0f64);
    for golden in &goldens.cases {
        let (exact, max, mean) = golden.compare(folder);
        println!(
            "{} {} exact {exact}, max {max}, mean {mean:.3}",
            golden.file, golden.size
        );
        if golden.lossless {
            (n_lossless, n_exact) = (n_lossless + 1, n_exact + usize::from(exact));
            assert!(
                exact,
                "{} at {}: not Pillow's bytes, samples differ by up to {max}",
                golden.file, golden.size
            );
        } else {
            (max_lossy, mean_lossy) = (max_lossy.max(max), mean_lossy.max(mean));
            n_lossy_exact += usize::from(exact);
            assert!(
                max <= 3 && mean <= 0.5,
                "{} at {}: max {max}, mean {mean}",
                golden.file,
                golden.size
            );
        }
    }
    let n_lossy = goldens.cases.len() - n_lossless;
    println!(
        "{n_exact} of {n_lossless} lossless and {n_lossy_exact} of {n_lossy} lossy cases exact; lossy within {max_lossy}, mean {mean_lossy:.3}"
    );
    assert!(n_lossless > 0 && n_lossy > 0);
}

#[test]
fn gives_the_pixels_of_pillow_and_torchvision() {
    let folder = Path::new("tests/data/preprocess");
    check_goldens(&folder.join("goldens.json"), folder);
}

#[test]
fn gives_the_pixels_of_the_whole_reference() {
    let folder = Path::new("../shared/reference");
    if folder.exists() {
        check_goldens(&folder.join("preprocess.json"), folder);
    }
}

/// A picture with a pattern that has no symmetry.
fn patterned(mode: Mode, width: usize, height: usize) -> Picture {
    let bytes = (0..width * height * mode.channels())
        .map(|i| (i * 37 + i / 11 * 5 + i / 101) as u8)
        .collect();
    Picture::new(mode, width, height, bytes).unwrap()
}

#[test]
fn a_picture_of_the_right_size_is_left_alone() {
    for n in [1, 2, 7, 64] {
        let picture = patterned(Mode::Rgb, n, n);
        assert_eq!(Preprocess::new(n).crop_u8(&picture), picture.bytes());
        let clear = Picture::new(Mode::Rgba, n, n, [9, 8, 7, 0].repeat(n * n)).unwrap();
        assert_eq!(
            Preprocess::new(n).crop_u8(&clear),
            [9, 8, 7].repeat(n * n),
            "colours under clear pixels stay"
        );
    }
}

#[test]
fn a_constant_picture_stays_constant() {
    for (width, height) in [(1, 1), (3, 1), (1, 500), (31, 17), (640, 480), (7000, 3)] {
        for level in [0, 1, 128, 254, 255] {
            let picture = Picture::new(Mode::Rgb, width, height, vec![level; width * height * 3]).unwrap();
            let rgb = Preprocess::new(32).crop_u8(&picture);
            assert!(rgb.iter().all(|&b| b == level), "{width}x{height} of {level}");
        }
    }
}

#[test]
fn extreme_shapes_compute_only_the_crop() {
    for (width, height) in [(1, 100_000), (100_000, 1), (2, 300_000), (1_000_000, 3)] {
        for mode in [Mode::Grey, Mode::GreyAlpha, Mode::Rgb, Mode::Rgba, Mode::Cmyk] {
            assert_eq!(
                Preprocess::new(224).crop_u8(&patterned(mode, width, height)).len(),
                224 * 224 * 3
            );
        }
    }
}

#[test]
fn pixels_are_normalised_planes() {
    let picture = Picture::new(Mode::Rgb, 1, 1, vec![0, 128, 255]).unwrap();
    let pixels = normalise(&Preprocess::new(2).crop_u8(&picture), 2);
    let expected = [0.0f32, 128.0, 255.0];
    for (c, plane) in pixels.values().chunks_exact(4).enumerate() {
        assert!(plane.iter().all(|&v| v == (expected[c] / 255.0 - MEAN[c]) / STD[c]));
    }
}

#[track_caller]
fn refused(bytes: &[u8]) -> String {
    let error = decode("a.jpg", bytes, Orientation::Upright, &Limits::default()).unwrap_err();
    assert!(error.hint().is_some(), "every refusal says what to do");
    error.to_string()
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let jpeg = std::fs::read("tests/data/preprocess/rgb-401x267-q50.jpg").unwrap();
    let png = std::fs::read("tests/data/preprocess/rgb-97x61.png").unwrap();
    let webp = std::fs::read("tests/data/preprocess/rgb-300x200-q80.webp").unwrap();
    assert_eq!(refused(b""), "cannot use the picture `a.jpg`: the file is empty");
    assert_eq!(
        refused(b"this is not a picture\n"),
        "cannot use the picture `a.jpg`: it is text, not a picture that can be decoded"
    );
    for whole in [&jpeg, &png, &webp] {
        for part in [2, 3, 10] {
            let message = refused(&whole[..whole.len() * (part - 1) / part]);
            assert_eq!(
                message,
                "cannot use the picture `a.jpg`: the file is cut short: its end is missing"
            );
        }
    }
}

#[test]
fn a_picture_over_a_limit_is_refused_with_the_limit() {
    let png = std::fs::read("tests/data/preprocess/rgb-97x61.png").unwrap();
    let few = Limits {
        max_pixels: 5_916,
        ..Limits::default()
    };
    let error = decode("big.png", &png, Orientation::Upright, &few).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot use the picture `big.png`: it has 97x61 = 5917 pixels; at most 5916 are decoded"
    );
    assert!(error.hint().unwrap().contains("--max-pixels"));
    let small = Limits {
        max_decoded_bytes: 17_750,
        ..Limits::default()
    };
    let error = decode("big.png", &png, Orientation::Upright, &small).unwrap_err();
    assert!(
        error.to_string().contains("17751 bytes decoded; at most 17750"),
        "{error}"
    );
}

#[test]
fn exif_turns_are_those_of_the_standard() {
    // 1 2    as stored; what each orientation makes of it, row by row.
    // 3 4
    // 5 6
    let stored = Picture::new(Mode::Grey, 2, 3, vec![1, 2, 3, 4, 5, 6]).unwrap();
    let expected: [(u8, usize, [u8; 6]); 9] = [
        (0, 2, [1, 2, 3, 4, 5, 6]),
        (1, 2, [1, 2, 3, 4, 5, 6]),
        (2, 2, [2, 1, 4, 3, 6, 5]),
        (3, 2, [6, 5, 4, 3, 2, 1]),
        (4, 2, [5, 6, 3, 4, 1, 2]),
        (5, 3, [1, 3, 5, 2, 4, 6]),
        (6, 3, [5, 3, 1, 6, 4, 2]),
        (7, 3, [6, 4, 2, 5, 3, 1]),
        (8, 3, [2, 4, 6, 1, 3, 5]),
    ];
    for (orientation, width, bytes) in expected {
        let turned = stored.clone().upright(orientation);
        assert_eq!(
            (turned.width_px(), turned.bytes()),
            (width, &bytes[..]),
            "orientation {orientation}"
        );
    }
}

#[test]
fn pixels_from_elsewhere_are_checked() {
    assert!(Pixels::from_normalised(vec![0.0; 12], 2).is_ok());
    assert!(Pixels::from_normalised(vec![0.0; 11], 2).is_err());
    assert!(Pixels::from_normalised(vec![], 0).is_err());
    assert!(Pixels::from_normalised([vec![0.0; 11], vec![f32::NAN]].concat(), 2).is_err());
}
