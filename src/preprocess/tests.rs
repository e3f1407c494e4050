//! Goldens from torchvision and Pillow, and tests of sizes, colours and errors.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::*;
use crate::random::Random;

#[derive(serde::Deserialize)]
struct Goldens {
    cases: Vec<Golden>,
}

/// The result of Pillow and torchvision for one image at one size.
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
    /// Returns whether every byte is equal, and the largest and the mean difference of the samples.
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

/// Every case must be equal to the bit, lossy or not.
fn check_goldens(list: &Path, folder: &Path) {
    let goldens: Goldens = serde_json::from_str(&std::fs::read_to_string(list).unwrap()).unwrap();
    let n_lossy = goldens.cases.iter().filter(|golden| !golden.lossless).count();
    assert!(n_lossy > 0 && n_lossy < goldens.cases.len());
    for golden in &goldens.cases {
        let (exact, max, mean) = golden.compare(folder);
        assert!(
            exact,
            "{} at {}: samples differ by up to {max}, {mean} on average",
            golden.file, golden.size
        );
    }
    println!("{} cases exact, {n_lossy} of them lossy", goldens.cases.len());
}

#[test]
fn matches_pillow_and_torchvision() {
    let folder = Path::new("tests/data/preprocess");
    check_goldens(&folder.join("goldens.json"), folder);
}

#[test]
fn matches_the_whole_reference() {
    let folder = Path::new("../shared/reference");
    if folder.exists() {
        check_goldens(&folder.join("preprocess.json"), folder);
    }
}

const FORMATS: &str = "tests/data/preprocess/formats";

/// Whether this build decodes the format of a file.
fn is_read(name: &str) -> bool {
    match Path::new(name).extension().and_then(|ending| ending.to_str()) {
        Some("avif") => cfg!(feature = "avif"),
        Some("heic") => cfg!(feature = "heic"),
        Some("jxl") => cfg!(feature = "jxl"),
        _ => true,
    }
}

/// `make.py` in their folder made the images and the goldens.
#[test]
fn matches_pillow_and_its_plugins_in_further_formats() {
    let folder = Path::new(FORMATS);
    let goldens: Goldens =
        serde_json::from_str(&std::fs::read_to_string(folder.join("goldens.json")).unwrap()).unwrap();
    let read = goldens.cases.iter().filter(|golden| is_read(&golden.file));
    let differing: Vec<String> = read
        .map(|golden| (golden, golden.compare(folder)))
        .filter(|(_, (is_exact, ..))| !is_exact)
        .map(|(golden, (_, max, mean))| format!("{}: up to {max}, {mean} on average", golden.file))
        .collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn further_formats_are_refused_if_they_are_cut_short_or_too_large_and_never_panic() {
    let few = Limits {
        max_pixels: 1000,
        ..Limits::default()
    };
    for name in [
        "rgb.heic",
        "alpha.heic",
        "rgb.jxl",
        "alpha.avif",
        "grid.avif",
        "palette.tif",
        "grey-4-bits-inverted.tif",
        "zstd.tif",
        "lzma.tif",
        "lzma-planar-tiles.tif",
        "big.tif",
        "planar-tiles.tif",
        "ycbcr-22-strips.tif",
        "ycbcr-21-tiles-limited.tif",
        "group3.tif",
        "group3-2d.tif",
        "huffman.tif",
        "grey-32-bits.tif",
        "grey-float.tif",
    ] {
        if !is_read(name) {
            continue;
        }
        let whole = std::fs::read(Path::new(FORMATS).join(name)).unwrap();
        let error = decode(name, &whole, Orientation::Upright, &few)
            .unwrap_err()
            .to_string();
        assert!(error.contains("pixels; at most 1000 are decoded"), "{error}");
        let mut random = Random::new(1, 0);
        for i in 0..400 {
            let mut broken = whole.clone();
            match i % 8 {
                0 => broken.truncate(random.below(whole.len())),
                _ => (0..3).for_each(|_| broken[random.below(whole.len())] = random.number() as u8),
            }
            let outcome = decode(name, &broken, Orientation::Upright, &Limits::default());
            let panicked = outcome.is_err_and(|error| error.to_string().contains("its decoder failed"));
            assert!(!panicked, "{name}, case {i}");
        }
        if !name.ends_with("tif") {
            assert!(error_of(&whole[..whole.len() * 3 / 4]).contains("cut short"), "{name}");
        }
    }
}

#[cfg(feature = "heic")]
#[test]
fn a_heic_image_has_the_colours_of_its_bit_stream() {
    for (name, chroma) in [("grey.heic", 1), ("rgb.heic", 0)] {
        let original = std::fs::read(Path::new(FORMATS).join(name)).unwrap();
        let mut bytes = original.clone();
        // The box's 17th byte: ISO/IEC 14496-15, 8.3.3.1.2.
        let at = memchr::memmem::find(&bytes, b"hvcC").unwrap() + 4 + 16;
        assert_eq!(bytes[at], 0xfc | (1 - chroma));
        bytes[at] = 0xfc | chroma;
        let [expected, found] =
            [original, bytes].map(|bytes| decode(name, &bytes, Orientation::Upright, &Limits::default()).unwrap());
        assert_eq!(
            (found.mode(), found.bytes()),
            (expected.mode(), expected.bytes()),
            "{name}"
        );
    }
}

/// An image with a pattern that has no symmetry.
fn patterned(mode: Mode, width: usize, height: usize) -> Picture {
    let bytes = (0..width * height * mode.channels())
        .map(|i| (i * 37 + i / 11 * 5 + i / 101) as u8)
        .collect();
    Picture::new(mode, width, height, bytes).unwrap()
}

#[test]
fn copies_an_image_of_the_right_size() {
    for n in [1, 2, 7, 64] {
        let picture = patterned(Mode::Rgb, n, n);
        assert_eq!(Preprocess::new(n).crop_u8(&picture), picture.bytes());
        let clear = Picture::new(Mode::Rgba, n, n, [9, 8, 7, 0].repeat(n * n)).unwrap();
        assert_eq!(
            Preprocess::new(n).crop_u8(&clear),
            [9, 8, 7].repeat(n * n),
            "colours of transparent pixels stay"
        );
    }
}

#[test]
fn keeps_a_constant_image_constant() {
    for (width, height) in [(1, 1), (3, 1), (1, 500), (31, 17), (640, 480), (7000, 3)] {
        for level in [0, 1, 128, 254, 255] {
            let picture = Picture::new(Mode::Rgb, width, height, vec![level; width * height * 3]).unwrap();
            let rgb = Preprocess::new(32).crop_u8(&picture);
            assert!(rgb.iter().all(|&b| b == level), "{width}x{height} of {level}");
        }
    }
}

#[test]
fn resizes_extreme_shapes() {
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
    let pixels = Preprocess::new(2).pixels(&picture);
    let expected = [0.0f32, 128.0, 255.0];
    for (c, plane) in pixels.values().chunks_exact(4).enumerate() {
        assert!(plane.iter().all(|&v| v == (expected[c] / 255.0 - MEAN[c]) / STD[c]));
    }
}

#[test]
fn append_row_matches_values() {
    let photo = Preprocess::new(9).pixels(&patterned(Mode::Rgb, 9, 9));
    let floats = Pixels::from_normalised(photo.values().into_owned(), 9).unwrap();
    for (channel, row) in (0..3).flat_map(|c| (0..9).map(move |r| (c, r))) {
        let (mut of_photo, mut of_floats) = (vec![7.0], vec![7.0]);
        photo.append_row(channel, row, 2..8, &mut of_photo);
        floats.append_row(channel, row, 2..8, &mut of_floats);
        assert_eq!(of_photo, of_floats, "channel {channel}, row {row}");
        let start = (channel * 9 + row) * 9;
        assert_eq!(of_photo[1..], photo.values()[start + 2..start + 8]);
    }
}

#[test]
fn turns_images_by_exif_orientation() {
    // The stored image, then the result of each orientation, row by row:
    // 1 2
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
fn checks_normalised_pixels_from_the_caller() {
    assert!(Pixels::from_normalised(vec![0.0; 12], 2).is_ok());
    assert!(Pixels::from_normalised(vec![0.0; 11], 2).is_err());
    assert!(Pixels::from_normalised(vec![], 0).is_err());
    assert!(Pixels::from_normalised([vec![0.0; 11], vec![f32::NAN]].concat(), 2).is_err());
}

#[track_caller]
pub(super) fn error_of(bytes: &[u8]) -> String {
    let error = decode("a.jpg", bytes, Orientation::Upright, &Limits::default()).unwrap_err();
    assert!(error.hint().is_some(), "every error has a hint");
    error.to_string()
}

pub(super) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/data/preprocess").join(name)).unwrap()
}

/// A TIFF header and a directory of SHORTs and LONGs, each with one value.
pub(super) fn tiff_of(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut bytes = b"II\x2a\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend([4, 0, 1, 0, 0, 0]);
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn an_image_is_fitted_as_asked_whatever_the_recipe_says() {
    // Left half 0, right half 200: the centre crop of the wide image sees both.
    let row = [[0; 30], [200; 30]].concat();
    let wide = Picture::new(Mode::Rgb, 20, 10, row.repeat(10)).unwrap();
    let column = |fit, recipe: &PixelRecipe| {
        let rgb = Preprocess::with_recipe(10, recipe.clone()).fit(fit).crop_u8(&wide);
        let level = |x: usize, y: usize| rgb[(y * 10 + x) * 3];
        [level(0, 0), level(0, 5), level(9, 5)]
    };
    for resize in [Resize::Shortest, Resize::Squash, Resize::Longest { fill: 0 }] {
        let recipe = PixelRecipe {
            resize,
            ..PixelRecipe::default()
        };
        assert_eq!(column(Fit::Crop, &recipe), [0, 0, 200], "{resize:?}");
        assert_eq!(column(Fit::Squash, &recipe), [0, 0, 200], "{resize:?}");
        assert_eq!(column(Fit::Pad, &recipe), [0, 0, 200], "{resize:?}");
    }
    let white = Picture::new(Mode::Rgb, 20, 10, vec![255; 600]).unwrap();
    let padded = Preprocess::new(10).fit(Fit::Pad).crop_u8(&white);
    assert_eq!((padded[0], padded[5 * 30], padded[299]), (0, 255, 0));
    let squashed = Preprocess::new(10).fit(Fit::Squash).crop_u8(&wide);
    let cropped = Preprocess::new(10).fit(Fit::Crop).crop_u8(&wide);
    assert_ne!(squashed, cropped);
}
