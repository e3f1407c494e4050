//! Recognises a file by its content, never by its name: either a format we decode, or a known one that we don't.
//!
//! Called by [`super::decode()`]. The signatures are from the specifications of the formats.

use image::ImageFormat;
use memchr::memmem;

/// What the bytes of a file look like.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A format that we decode.
    Decodable(ImageFormat),
    /// AVIF, with this name.
    Avif(&'static str),
    /// HEIC or HEIF, with this name.
    Heic(&'static str),
    /// JPEG XL.
    Jxl,
    /// A camera's raw photo, with this name.
    Raw(&'static str),
    /// Something else.
    Foreign {
        /// With an article: `an SVG drawing`.
        what: &'static str,
        /// What the user can do about it.
        advice: &'static str,
    },
}

const CONVERT: &str = "convert it to jpeg or png first";
pub(super) const DEVELOP: &str = "develop it to jpeg or tiff first";
const FRAMES: &str = "extract frames first, for example one every two seconds: \
    `ffmpeg -i VIDEO -vf fps=1/2 FOLDER/%06d.jpg`";
const RENDER: &str = "render it to png first";
const NOT_IMAGE: &str = "give an image: jpeg, png, webp, gif, bmp, tiff, ico, pnm, qoi, tga or hdr";
const BIG_TIFF: [&[u8]; 2] = [b"II\x2b\0", b"MM\0\x2b"];

/// Offset, signature, what it is, advice. The first match counts.
const FOREIGN: &[(usize, &[u8], &str, &str)] = &[
    (4, b"ftyp", "a video", FRAMES),
    (0, b"\x1aE\xdf\xa3", "a video", FRAMES),
    (0, b"%PDF", "a PDF document", RENDER),
    (0, b"%!PS", "a PostScript document", RENDER),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript document", RENDER),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 image", CONVERT),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image", CONVERT),
    (0, b"8BPS", "a Photoshop document", CONVERT),
    (0, b"gimp xcf", "a GIMP document", CONVERT),
    (0, b"v/1\x01", "an OpenEXR image", CONVERT),
    (0, b"DDS ", "a DDS texture", CONVERT),
    (0, b"farbfeld", "a farbfeld image", CONVERT),
    (0, b"PK\x03\x04", "a zip archive", "unpack it first"),
    (0, b"\x1f\x8b", "gzip-compressed data", "unpack it first"),
    (
        0,
        b"version https://git-lfs",
        "a Git LFS pointer, not the file itself",
        "fetch the file with `git lfs pull`",
    ),
    (0, b"SIMPLE  =", "a FITS image", CONVERT),
];

/// Brands of HEIF files whose images are coded as HEVC, as a rule.
const HEIC: &[(&[u8], &str)] = &[
    (b"ftypheic", "a HEIC photo"),
    (b"ftypheix", "a HEIC photo"),
    (b"ftypheim", "a HEIC photo"),
    (b"ftypheis", "a HEIC photo"),
    (b"ftyphevc", "a HEIC sequence"),
    (b"ftyphevx", "a HEIC sequence"),
    (b"ftypmif1", "a HEIF photo"),
    (b"ftypmsf1", "a HEIF sequence"),
];

const AVIF: &[(&[u8], &str)] = &[(b"ftypavif", "an AVIF image"), (b"ftypavis", "an AVIF sequence")];

const JXL: [&[u8]; 2] = [b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"];

/// Offset, signature and name of raw photos that don't begin as a TIFF file does.
const RAW: &[(usize, &[u8], &str)] = &[
    (4, b"ftypcrx ", "a Canon raw photo (CR3)"),
    (6, b"HEAPCCDR", "a Canon raw photo (CRW)"),
    (0, b"FUJIFILMCCD-RAW", "a Fuji raw photo (RAF)"),
    (0, b"IIRO", "an Olympus raw photo (ORF)"),
    (0, b"IIRS", "an Olympus raw photo (ORF)"),
    (0, b"MMOR", "an Olympus raw photo (ORF)"),
    (0, b"IIU\0", "a Panasonic raw photo (RW2)"),
    (0, b"FOVb", "a Sigma raw photo (X3F)"),
    (0, b"\0MRM", "a Minolta raw photo (MRW)"),
];

fn has(bytes: &[u8], offset: usize, signature: &[u8]) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.starts_with(signature))
}

/// Recognises a file by its first bytes, or by a plausible TGA header.
pub(super) fn recognise(bytes: &[u8]) -> Content {
    let at = |offset, signature| has(bytes, offset, signature);
    if let Some(other) = photo(bytes) {
        return other;
    }
    for &(offset, signature, what, advice) in FOREIGN {
        if at(offset, signature) {
            return Content::Foreign { what, advice };
        }
    }
    match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => Content::Decodable(format),
        Ok(_) => Content::Foreign {
            what: "an image in a format that is not supported",
            advice: CONVERT,
        },
        Err(_) if BIG_TIFF.iter().any(|signature| at(0, signature)) => Content::Decodable(ImageFormat::Tiff),
        Err(_) if looks_like_tga(bytes) => Content::Decodable(ImageFormat::Tga),
        Err(_) => text_or_data(bytes),
    }
}

/// Whether a file that starts with these bytes is a photo of a kind that the crate `image` doesn't know. The two bytes
/// that a bare JPEG XL starts with are too few to say so.
pub(super) fn is_photo(start: &[u8]) -> bool {
    photo(start).is_some() && !start.starts_with(JXL[0])
}

fn photo(bytes: &[u8]) -> Option<Content> {
    const BRANDS_BYTES: usize = 64;
    let at = |offset, signature| has(bytes, offset, signature);
    let brands = &bytes[..bytes.len().min(BRANDS_BYTES)];
    if let Some((_, what)) = AVIF.iter().find(|(brand, _)| at(4, brand)) {
        return Some(Content::Avif(what));
    }
    if let Some((_, what)) = HEIC.iter().find(|(brand, _)| at(4, brand)) {
        let is_avif = memmem::find(brands, b"avif").is_some();
        return Some(match is_avif {
            true => Content::Avif("an AVIF image"),
            false => Content::Heic(what),
        });
    }
    if JXL.iter().any(|signature| at(0, signature)) {
        return Some(Content::Jxl);
    }
    let raw = RAW.iter().find(|(offset, signature, _)| at(*offset, signature));
    raw.map(|(_, _, what)| Content::Raw(what))
}

fn text_or_data(bytes: &[u8]) -> Content {
    let head = &bytes[..bytes.len().min(1024)];
    let is_text = head.iter().all(|&b| b >= b' ' || matches!(b, b'\n' | b'\r' | b'\t'));
    let lower = String::from_utf8_lossy(head).to_ascii_lowercase();
    let (what, advice) = if is_text && lower.contains("<svg") {
        ("an SVG drawing", RENDER)
    } else if is_text && (lower.contains("<html") || lower.contains("<!doctype html")) {
        ("a web page", "the download may have failed; fetch the image itself")
    } else if is_text {
        ("text", NOT_IMAGE)
    } else if head.iter().all(|&b| b == 0) {
        ("nothing but zero bytes", "copy or fetch the file again")
    } else {
        ("data of an unknown kind", NOT_IMAGE)
    };
    Content::Foreign { what, advice }
}

/// TGA has no signature, so every field of the header must have a valid value.
fn looks_like_tga(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..18) else { return false };
    let [map_type, image_type, depth] = [header[1], header[2], header[16]];
    let (width, height) = (
        u16::from_le_bytes([header[12], header[13]]),
        u16::from_le_bytes([header[14], header[15]]),
    );
    let has_valid_type = match map_type {
        0 => matches!(image_type, 2 | 3 | 10 | 11) && header[3..8] == [0; 5],
        1 => matches!(image_type, 1 | 9) && matches!(header[7], 15 | 16 | 24 | 32),
        _ => false,
    };
    has_valid_type && matches!(depth, 8 | 16 | 24 | 32) && width > 0 && height > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        match recognise(bytes) {
            Content::Foreign { what, .. } => assert_eq!(what, expected),
            other => panic!("recognised as {other:?}"),
        }
    }

    #[test]
    fn names_formats_that_are_not_decoded() {
        check(b"<?xml version=\"1.0\"?>\n<svg xmlns=\"\">", "an SVG drawing");
        check(b"%PDF-1.7\n", "a PDF document");
        check(b"<!DOCTYPE html><html>404", "a web page");
        check(b"a cat\na dog\n", "text");
        check(&[0; 100], "nothing but zero bytes");
        check(b"\x01\x02\x03", "data of an unknown kind");
    }

    #[test]
    fn recognises_avif_by_its_brands() {
        let avif = Content::Avif("an AVIF image");
        assert_eq!(recognise(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif"), avif);
        assert_eq!(recognise(b"\0\0\0\x18ftypavif\0\0\0\0"), avif);
        assert_eq!(
            recognise(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic"),
            Content::Heic("a HEIF photo")
        );
    }

    #[test]
    fn recognises_a_tga_by_its_header() {
        let mut header = [0; 18];
        header[2] = 2;
        (header[12], header[14], header[16]) = (5, 4, 24);
        assert_eq!(recognise(&header), Content::Decodable(ImageFormat::Tga));
        header[16] = 23;
        check(&header, "data of an unknown kind");
    }
}
