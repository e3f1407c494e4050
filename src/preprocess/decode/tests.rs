//! Images that are damaged, over a limit or refused, and unusual ones that are decoded.

use std::path::Path;

use super::*;
use crate::preprocess::Preprocess;
use crate::preprocess::tests::{error_of, fixture, tiff_of};
use crate::random::Random;

#[test]
fn errors_say_what_is_wrong_with_a_file() {
    let jpeg = std::fs::read("tests/data/preprocess/rgb-401x267-q50.jpg").unwrap();
    let png = std::fs::read("tests/data/preprocess/rgb-97x61.png").unwrap();
    let webp = std::fs::read("tests/data/preprocess/rgb-300x200-q80.webp").unwrap();
    assert_eq!(error_of(b""), "cannot use the image `a.jpg`: the file is empty");
    assert_eq!(
        error_of(b"this is not an image\n"),
        "cannot use the image `a.jpg`: it is text, not an image that can be decoded"
    );
    for whole in [&jpeg, &png, &webp] {
        for part in [2, 3, 10] {
            let message = error_of(&whole[..whole.len() * (part - 1) / part]);
            assert_eq!(
                message,
                "cannot use the image `a.jpg`: the file is cut short: its end is missing"
            );
        }
    }
}

#[test]
fn an_image_over_a_limit_is_rejected_with_the_limit() {
    let png = std::fs::read("tests/data/preprocess/rgb-97x61.png").unwrap();
    let few = Limits {
        max_pixels: 5_916,
        ..Limits::default()
    };
    let error = decode("big.png", &png, Orientation::Upright, &few).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot use the image `big.png`: it has 97x61 = 5917 pixels; at most 5916 are decoded"
    );
    assert!(error.hint().unwrap().to_string().contains("Control::MaxPixels"));
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
fn a_broken_jpeg_never_panics() {
    for name in [
        "jpeg-422-75x50.jpg",
        "jpeg-grey-restarts-80x60.jpg",
        "jpeg-restarts-progressive-90x71.jpg",
    ] {
        let whole = std::fs::read(Path::new("tests/data/preprocess").join(name)).unwrap();
        let mut random = Random::new(1, 0);
        for _ in 0..3000 {
            let mut broken = whole.clone();
            for _ in 0..3 {
                let at = random.below(broken.len());
                broken[at] = random.number() as u8;
            }
            let outcome = decode("broken", &broken, Orientation::Upright, &Limits::default());
            let caught_panic = outcome
                .as_ref()
                .is_err_and(|error| error.to_string().contains("its decoder failed"));
            assert!(!caught_panic, "a panic was caught");
        }
    }
}

#[test]
fn reports_a_truncated_photo_that_has_a_thumbnail() {
    let whole = std::fs::read("tests/data/preprocess/jpeg-422-75x50.jpg").unwrap();
    let mut notes = b"Exif\0\0".to_vec();
    notes.extend(&whole);
    let mut file = vec![0xff, 0xd8, 0xff, 0xe1];
    file.extend((notes.len() as u16 + 2).to_be_bytes());
    file.extend(notes);
    file.extend(&whole[2..]);
    assert!(decode("photo", &file, Orientation::Upright, &Limits::default()).is_ok());
    file.truncate(file.len() - 200);
    assert!(error_of(&file).contains("cut short"));
}

#[track_caller]
fn problem_of(bytes: &[u8]) -> String {
    decode("x", bytes, Orientation::Upright, &Limits::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_bmp_of_which_nothing_can_be_seen_is_opaque() {
    let name = "bmp-v4-alpha-all-zero.bmp";
    let picture = decode(name, &fixture(name), Orientation::Upright, &Limits::default()).unwrap();
    assert_eq!(picture.mode(), Mode::Rgb);
    assert_eq!(picture.bytes()[..3], [200, 210, 0]);
}

/// Pillow makes the screen of a GIF as large as its first frame.
#[test]
fn a_gif_without_a_screen_is_its_first_frame() {
    let gif = |sides: [u8; 4], extension: &[u8]| {
        const COLOURS: &[u8] = b"\x81\0\0\xff\0\0\0\xff\0\0\0\xff\t\t\t";
        const FRAME: &[u8] = b",\0\0\0\0\x03\0\x02\0\0\x08\t\0\x01\x04\x10  \0\x80\x80\0;";
        [b"GIF87a", &sides[..], COLOURS, extension, FRAME].concat()
    };
    let pixels = [255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 255, 0, 255, 0, 255, 0, 0];
    for sides in [[3, 0, 2, 0], [0; 4], [2, 0, 1, 0], [0, 0, 2, 0]] {
        for extension in [&b""[..], b"!\xfe\x02hi\x01!\0"] {
            let bytes = gif(sides, extension);
            let picture = decode("x", &bytes, Orientation::Upright, &Limits::default()).unwrap();
            assert_eq!((picture.width_px(), picture.height_px()), (3, 2), "{sides:?}");
            assert_eq!(picture.rgb(), pixels, "{sides:?}");
            assert_eq!(size(&bytes), Some((3, 2)));
            for end in 0..bytes.len() {
                let _ = size(&bytes[..end]);
            }
        }
    }
}

/// A PNG of 2x1 pixels with a palette of red, and of green with this alpha.
fn palette_png(alpha: u8) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], content: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(kind);
        sum.update(content);
        let length = (content.len() as u32).to_be_bytes();
        [&length, kind.as_slice(), content, &sum.sum().to_be_bytes()].concat()
    };
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &[0, 0, 1]).unwrap();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0]),
        chunk(b"PLTE", &[255, 0, 0, 0, 255, 0]),
        chunk(b"tRNS", &[255, alpha]),
        chunk(b"IDAT", &packed.finish().unwrap()),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn a_palette_with_transparent_colours_is_an_image_with_alpha() {
    let picture = decode("x", &palette_png(0), Orientation::Upright, &Limits::default()).unwrap();
    assert_eq!(
        (picture.mode(), picture.bytes()),
        (Mode::Rgba, [255, 0, 0, 255, 0, 255, 0, 0].as_slice())
    );
    // Transparent pixels are black after the resize, as those of any image with alpha are.
    let crop = Preprocess::new(1).crop_u8(&Picture::new(Mode::Rgba, 2, 2, [0, 255, 0, 0].repeat(4)).unwrap());
    assert_eq!(crop, [0, 0, 0]);
}

#[test]
fn a_raw_photo_without_a_preview_is_refused_by_name_and_not_read_as_its_thumbnail() {
    let dng = tiff_of(&[(256, 8), (257, 8), (50706, 1)]);
    assert!(problem_of(&dng).contains("a raw photo (DNG)"));
    let mut cr2 = dng;
    cr2.splice(8..8, *b"CR\x02\0\0\0\0\0");
    assert!(problem_of(&cr2).contains("a Canon raw photo (CR2)"));
    // A thumbnail first, and the sensor's mosaic in a directory inside it.
    let outer = tiff_of(&[(254, 1), (256, 8), (330, 0), (262, 2)]);
    let at = outer.len() as u32;
    let mut nef = tiff_of(&[(254, 1), (256, 8), (330, at), (262, 2)]);
    nef.extend(&tiff_of(&[(262, 32803), (259, 34713)])[8..]);
    assert!(problem_of(&nef).contains("a raw photo of a camera"));
    assert!(!problem_of(&outer).contains("raw photo"));
    assert!(problem_of(b"IIRO\x08\0\0\0rest").contains("Olympus"));
}

#[test]
fn kinds_of_tiff_that_are_not_read_are_refused_by_name() {
    let kind_of = |tags: &[(u16, u32)]| {
        let mut all = vec![(256, 8), (257, 8), (258, 8), (273, 8), (278, 8), (279, 64)];
        all.extend(tags);
        problem_of(&tiff_of(&all))
    };
    const KIND: &str = "this kind of tiff is not supported: ";
    for (tags, kind) in [
        (
            &[(259, 3), (292, 2)][..],
            "CCITT group 3 with rows that are not compressed",
        ),
        (
            &[(259, 1), (262, 6), (277, 3), (284, 2)][..],
            "colours as YCbCr of this kind",
        ),
        (
            &[(262, 8), (277, 3), (284, 2), (322, 16), (323, 16)][..],
            "tiles of one colour each (planar configuration) of this kind",
        ),
    ] {
        let problem = kind_of(tags);
        assert!(problem.contains(&format!("{KIND}{kind}")), "{problem}");
    }
    let wrong = kind_of(&[(259, 34925), (262, 1)]);
    assert!(wrong.contains("its LZMA data are wrong"), "{wrong}");
    assert!(
        kind_of(&[(339, 2), (262, 1)]).contains(KIND),
        "signed samples of 8 bits"
    );
}

/// Of grey, a value over 1 makes all of them levels from 0 to 255; otherwise 1 is white.
#[test]
fn floats_are_levels_or_light_and_whole_numbers_fill_the_bits_that_they_need() {
    let levels = |bits: u32, format: u32, values: &[u8]| {
        let n = values.len() as u32 * 8 / bits;
        let mut tags = vec![
            (256, n),
            (257, 1),
            (258, bits),
            (262, 1),
            (277, 1),
            (278, 1),
            (339, format),
        ];
        tags.extend([(279, values.len() as u32), (273, 0)]);
        let at = tiff_of(&tags).len() as u32;
        tags.pop();
        tags.push((273, at));
        let file = [tiff_of(&tags), values.to_vec()].concat();
        let picture = decode("a.tif", &file, Orientation::Upright, &Limits::default()).unwrap();
        assert_eq!(picture.mode(), Mode::Grey);
        picture.bytes().to_vec()
    };
    const WHOLE: u32 = 1;
    const FLOATS: u32 = 3;
    let floats = |values: &[f32]| {
        levels(
            32,
            FLOATS,
            &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        floats(&[-4.0, 0.9, 1.5, 254.9, 300.0, f32::NAN]),
        [0, 0, 1, 254, 255, 0]
    );
    assert_eq!(floats(&[-1.0, 0.0, 0.2159, 1.0]), [0, 0, 128, 255]);
    let halves = [0.0, 0.2159, 1.0].map(half::f16::from_f32);
    assert_eq!(
        levels(16, FLOATS, &halves.map(half::f16::to_le_bytes).concat()),
        [0, 128, 255]
    );
    assert_eq!(
        levels(64, FLOATS, &[7.9f64, 0.0].map(f64::to_le_bytes).concat()),
        [7, 0]
    );
    let whole = |values: [u32; 2]| levels(32, WHOLE, &values.map(u32::to_le_bytes).concat());
    assert_eq!(whole([3, 255]), [3, 255]);
    assert_eq!(whole([257, 65535]), [1, 255]);
    assert_eq!(whole([1 << 24, u32::MAX]), [1, 255]);
    let signed = [-7i16, 255].map(i16::to_le_bytes).concat();
    assert_eq!(levels(16, 2, &signed), [0, 255]);
}

#[test]
fn the_hint_to_raise_the_limit_is_given_only_where_that_helps() {
    let limits = |max_pixels, max_decoded_bytes| Limits {
        max_pixels,
        max_decoded_bytes,
    };
    let hint = |limits: &Limits| {
        let name = "bmp-v4-alpha-all-zero.bmp";
        let error = decode(name, &fixture(name), Orientation::Upright, limits).unwrap_err();
        error.reason(|_| Some("`--max-pixels`".into()))
    };
    assert!(hint(&limits(63, 1000)).contains("raise the limit with `--max-pixels`"));
    assert!(!hint(&limits(63, 100)).contains("raise the limit"));
}

/// A grey progressive JPEG whose scans have no data. In the second, coefficients are -1 by bits of 0; the others go over
/// all of them.
fn jpeg_of_empty_scans(side: u16, n_scans: usize, data: &[u8]) -> Vec<u8> {
    let segment = |marker: u8, payload: &[u8]| {
        let length = (payload.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker], length.as_slice(), payload].concat()
    };
    let [high, low] = side.to_be_bytes();
    let table = |class: u8, value: u8| [&[class, 1], [0; 15].as_slice(), &[value]].concat();
    let mut bytes = b"\xff\xd8".to_vec();
    bytes.extend(segment(0xdb, &[&[0], [1; 64].as_slice()].concat()));
    bytes.extend(segment(0xc2, &[8, high, low, high, low, 1, 0, 0x11, 0]));
    bytes.extend(segment(0xc4, &table(0, 0)));
    bytes.extend(segment(0xc4, &table(0x10, 0xe0)));
    bytes.extend(segment(0xda, &[1, 0, 0, 0, 0, 0]));
    for _ in 0..n_scans {
        bytes.extend(segment(0xda, &[1, 0, 0, 1, 63, 0x10]));
        bytes.extend(data);
    }
    bytes.extend(b"\xff\xd9");
    bytes
}

#[test]
fn scans_without_data_take_no_time_and_scans_that_take_too_much_are_refused() {
    let picture = decode(
        "x",
        &jpeg_of_empty_scans(1792, 98, &[]),
        Orientation::Upright,
        &Limits::default(),
    );
    assert_eq!(picture.unwrap().bytes()[..2], [128, 128]);
    // A code for 16,384 blocks without coefficients, and bits for as many: 256 of them in each scan.
    let endless = jpeg_of_empty_scans(1792, 98, &[0; 512]);
    assert!(problem_of(&endless).contains("more scans than an image of its size needs"));
}
