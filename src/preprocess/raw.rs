//! The preview inside a camera's raw photo: the largest JPEG in the file, which the camera developed itself.
//!
//! Raw formats keep it in directories of TIFF, in notes of the maker, in boxes or at offsets of their own, but always as a
//! whole JPEG. So it is found by its header, in all formats in the same way. The sensor's own data can be JPEG, too: if it
//! is lossless or has 12 bits, its header says so; if not, a directory says where it is (DNG with lossy compression).

use std::collections::HashSet;

use memchr::memmem;

use super::directory::Tagged;
use super::jpeg;
use super::tiff;

/// Endings of cameras' raw photos.
pub const RAW_ENDINGS: [&str; 22] = [
    "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "iiq", "kdc", "mos", "mrw", "nef", "nrw", "orf", "pef",
    "raf", "rw2", "sr2", "srf", "srw", "x3f",
];

/// How many JPEGs of a file are looked at. Cameras write up to five.
const PREVIEWS_MAX: usize = 256;
/// How many beginnings of a JPEG are looked at. The sensor's data has one by chance in 16 MB; a hostile file could
/// be made of them, each with a long header.
const STARTS_MAX: usize = 4096;
/// The part of a file that holds its metadata.
const HEAD_BYTES: usize = 1 << 20;

/// The JPEG with the most pixels; the first of those with equally many.
pub(super) fn preview(bytes: &[u8]) -> Option<&[u8]> {
    let sensor: HashSet<u64> = tiff::sensor_data(bytes).into_iter().collect();
    let starts = starts(bytes)
        .take(STARTS_MAX)
        .filter(|at| !sensor.contains(&(*at as u64)));
    let sized = starts.filter_map(|at| Some((jpeg::pixels(&bytes[at..])?, at)));
    let largest = sized
        .take(PREVIEWS_MAX)
        .max_by_key(|&(pixels, at)| (pixels, std::cmp::Reverse(at)));
    largest.map(|(_, at)| &bytes[at..])
}

/// Where JPEGs may begin.
fn starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    const START: [u8; 3] = [0xff, 0xd8, 0xff];
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(from..)?;
            let at = from + rest.iter().position(|&byte| byte == START[0])?;
            from = at + 1;
            if bytes[at..].starts_with(&START) {
                return Some(at);
            }
        }
    })
}

/// How the raw photo is to be turned, 1 to 8; 1 if it doesn't say. This counts for a preview that doesn't say it itself.
pub(super) fn turn(bytes: &[u8]) -> u8 {
    // Before the directory: in CR3 the kind of a box, in MRW the kind and the length of a block.
    const MARKS: [(&[u8], usize); 2] = [(b"CMT1", 4), (b"\0TTW", 8)];
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let marked = |(mark, skipped): (&[u8], usize)| {
        let at = memmem::find(head, mark)?;
        Tagged::new(head.get(at + skipped..)?)
    };
    let directories = Tagged::new(bytes).or_else(|| MARKS.into_iter().find_map(marked));
    directories.and_then(tiff::orientation).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fixture, tiff_of};
    use super::super::{Limits, Orientation, Picture, decode};
    use super::STARTS_MAX;

    const SMALL: &str = "jpeg-420-5x3.jpg";
    const LARGE: &str = "jpeg-422-75x50.jpg";

    fn read(bytes: &[u8]) -> Picture {
        decode("x", bytes, Orientation::Upright, &Limits::default()).unwrap()
    }

    #[track_caller]
    fn check(header: &[u8], expected_size: (usize, usize)) {
        let filler = [0xff; 7];
        let file = [
            header,
            &fixture(SMALL),
            &filler,
            &fixture(LARGE),
            &filler,
            &fixture(SMALL),
            &filler,
        ]
        .concat();
        let picture = read(&file);
        assert!(picture.is_preview());
        assert_eq!((picture.width_px(), picture.height_px()), expected_size);
        let turn = if expected_size.0 < expected_size.1 { 6 } else { 1 };
        assert_eq!(picture.bytes(), read(&fixture(LARGE)).upright(turn).bytes());
    }

    #[test]
    fn the_largest_preview_is_read_whatever_the_format() {
        for header in [
            &tiff_of(&[(50706, 1)]),
            b"II\x2a\0\x10\0\0\0CR\x02\0\0\0\0\0\0\0".as_slice(),
            b"FUJIFILMCCD-RAW 0201FF383501X-T1",
            b"IIRO\x08\0\0\0\0\0",
            b"IIU\0\x08\0\0\0\0\0",
            b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
            b"FOVb\0\0\x03\0",
        ] {
            check(header, (75, 50));
        }
    }

    #[test]
    fn a_preview_is_turned_as_the_raw_photo_says() {
        let turned = tiff_of(&[(274, 6), (50706, 1)]);
        check(&turned, (50, 75));
        let mut panasonic = tiff_of(&[(274, 6)]);
        panasonic[2..4].copy_from_slice(b"U\0");
        check(&panasonic, (50, 75));
        let canon = [
            b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom\0\0\0\x80CMT1",
            tiff_of(&[(274, 6)]).as_slice(),
        ]
        .concat();
        check(&canon, (50, 75));
        let minolta = [b"\0MRM\0\0\0\x80\0TTW\0\0\0\x40", tiff_of(&[(274, 6)]).as_slice()].concat();
        check(&minolta, (50, 75));
    }

    #[test]
    fn what_a_preview_says_itself_counts_more() {
        let turned = fixture("exif-6-240x160.jpg");
        let picture = read(&[tiff_of(&[(274, 3), (50706, 1)]), turned].concat());
        assert_eq!((picture.width_px(), picture.height_px()), (160, 240));
    }

    #[test]
    fn a_file_made_of_beginnings_is_not_searched_to_its_end() {
        let dng = tiff_of(&[(50706, 1)]);
        for (n, is_found) in [(STARTS_MAX - 1, true), (STARTS_MAX, false)] {
            let starts = [0xff, 0xd8, 0xff, 0].repeat(n);
            let file = [&dng[..], &starts, &fixture(SMALL)].concat();
            assert_eq!(super::preview(&file).is_some(), is_found, "{n}");
        }
    }

    #[test]
    fn data_of_the_sensor_is_not_a_preview() {
        // CFA at the offset of the larger JPEG, and a preview after it.
        let (large, small) = (fixture(LARGE), fixture(SMALL));
        let mut dng = tiff_of(&[(262, 34892), (273, 0), (50706, 1)]);
        let at = dng.len() as u32;
        dng = tiff_of(&[(262, 34892), (273, at), (50706, 1)]);
        let picture = read(&[dng, large, small].concat());
        assert_eq!(picture.width_px(), 5);
    }
}
