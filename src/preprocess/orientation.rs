//! How an image is to be turned, as Pillow's `ImageOps.exif_transpose` finds it.
//!
//! EXIF counts first, then XMP (`Image.getexif`). Both can be in many places: segments of a JPEG, chunks of a PNG before
//! or after the pixels, text chunks as ImageMagick writes them, chunks of a WebP, tags of a TIFF.

use std::borrow::Cow;
use std::io::Read;

use image::ImageFormat;
use memchr::memmem;

use super::directory::Tagged;
use super::png;

const ORIENTATION: u16 = 274;
const XMP: u16 = 700;
/// What Pillow unpacks of a compressed text (`PngImagePlugin.MAX_TEXT_CHUNK`).
const LARGEST_TEXT_BYTES: u64 = 1 << 20;
pub(super) const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// Where an orientation may be.
#[derive(Default)]
pub(super) struct Metadata<'a> {
    /// A block of EXIF, with or without its prefix.
    pub(super) exif: Option<Cow<'a, [u8]>>,
    /// XMP, a text of XML.
    pub(super) xmp: Option<Cow<'a, [u8]>>,
}

impl<'a> Metadata<'a> {
    /// The orientation, 1 to 8; 1 if there is none.
    pub(super) fn orientation(&self) -> u8 {
        self.stored_orientation().unwrap_or(1)
    }

    /// As [`Metadata::orientation`]; none if there is none.
    pub(super) fn stored_orientation(&self) -> Option<u8> {
        let exif = self.exif.as_deref().and_then(of_exif);
        let found = exif.or_else(|| self.xmp.as_deref().and_then(of_xmp));
        found.and_then(|value| u8::try_from(value).ok())
    }

    /// Reads the chunks or tags of a file that isn't a JPEG.
    pub(super) fn of(format: ImageFormat, bytes: &'a [u8]) -> Self {
        match format {
            ImageFormat::Png => of_png(bytes),
            ImageFormat::WebP => of_webp(bytes),
            ImageFormat::Tiff => Metadata {
                exif: Some(Cow::Borrowed(bytes)),
                xmp: Tagged::new(bytes)
                    .and_then(Tagged::first)
                    .and_then(|first| first.bytes(XMP).map(Cow::Borrowed)),
            },
            _ => Metadata::default(),
        }
    }
}

/// The orientation tag of an EXIF block, whatever its value.
fn of_exif(block: &[u8]) -> Option<u64> {
    // Some programs write the prefix twice.
    let block = block.strip_prefix(EXIF_PREFIX).unwrap_or(block);
    let block = block.strip_prefix(EXIF_PREFIX).unwrap_or(block);
    let first = Tagged::new(block)?.first()?;
    match first.is_of_bytes(ORIENTATION) {
        true => Some(1),
        false => first.has(ORIENTATION).then(|| first.number(ORIENTATION).unwrap_or(1)),
    }
}

/// The first `tiff:Orientation="6"` or `<tiff:Orientation>6`.
fn of_xmp(xmp: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"tiff:Orientation";
    let mut rest = xmp;
    while let Some(at) = memmem::find(rest, NAME) {
        rest = &rest[at + NAME.len()..];
        let digit = match rest {
            [b'=', b'"', digit, ..] | [b'>', digit, ..] => *digit,
            _ => continue,
        };
        if digit.is_ascii_digit() {
            return Some(u64::from(digit - b'0'));
        }
    }
    None
}

fn of_png(bytes: &[u8]) -> Metadata<'_> {
    let (mut exif, mut profile, mut xmp) = (None, None, None);
    for chunk in png::chunks(bytes) {
        if &chunk.kind == b"eXIf" {
            exif = Some(Cow::Borrowed(chunk.content));
        }
        let Some((key, text)) = png_text(chunk) else { continue };
        match key {
            b"Raw profile type exif" => profile = raw_profile(&text).map(Cow::Owned),
            b"XML:com.adobe.xmp" => xmp = Some(text),
            _ => {}
        }
    }
    Metadata {
        exif: exif.or(profile),
        xmp,
    }
}

/// The key and the text of a text chunk of any kind, if its key is of interest.
fn png_text(chunk: png::Chunk<'_>) -> Option<(&[u8], Cow<'_, [u8]>)> {
    let zero = |bytes: &[u8]| bytes.iter().position(|&byte| byte == 0);
    let key_end = zero(chunk.content)?;
    let (key, rest) = (&chunk.content[..key_end], &chunk.content[key_end + 1..]);
    if !matches!(key, b"Raw profile type exif" | b"XML:com.adobe.xmp") {
        return None;
    }
    match (&chunk.kind, rest) {
        (b"tEXt", text) => Some((key, text.into())),
        (b"zTXt", [0, packed @ ..]) => Some((key, inflated(packed)?.into())),
        (b"iTXt", [is_packed, 0, rest @ ..]) => {
            // The language, then the key in that language.
            let rest = &rest[zero(rest)? + 1..];
            let text = &rest[zero(rest)? + 1..];
            Some((
                key,
                if *is_packed == 0 {
                    text.into()
                } else {
                    inflated(text)?.into()
                },
            ))
        }
        _ => None,
    }
}

fn inflated(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let unpacked = flate2::read::ZlibDecoder::new(packed).take(LARGEST_TEXT_BYTES + 1);
    { unpacked }.read_to_end(&mut text).ok()?;
    (text.len() as u64 <= LARGEST_TEXT_BYTES).then_some(text)
}

/// The bytes of ImageMagick's text form: an empty line, a name, a length, then lines of hexadecimal digits.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let lines = text.split(|&byte| byte == b'\n').skip(3);
    let digits = lines.flatten().filter(|byte| !byte.is_ascii_whitespace());
    let digits: Option<Vec<u8>> = digits
        .map(|&digit| char::from(digit).to_digit(16).map(|value| value as u8))
        .collect();
    Some(digits?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// The chunks of a WebP in the extended form that its header announces.
fn of_webp(bytes: &[u8]) -> Metadata<'_> {
    const HAS_EXIF: u8 = 0x08;
    const HAS_XMP: u8 = 0x04;
    let mut metadata = Metadata::default();
    let Some((b"VP8X", Some(&flags))) = bytes.get(12..16).map(|kind| (kind, bytes.get(20))) else {
        return metadata;
    };
    let mut rest = &bytes[12..];
    while let Some(&[a, b, c, d, l0, l1, l2, l3]) = rest.first_chunk() {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let Some(content) = rest[8..].get(..length) else { break };
        match &[a, b, c, d] {
            b"EXIF" if flags & HAS_EXIF != 0 && metadata.exif.is_none() => metadata.exif = Some(content.into()),
            b"XMP " if flags & HAS_XMP != 0 && metadata.xmp.is_none() => metadata.xmp = Some(content.into()),
            _ => {}
        }
        // Chunks are padded to an even length.
        rest = rest[8 + length..].get(length & 1..).unwrap_or_default();
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: u16, count: u32, value: u32) -> Vec<u8> {
        let mut block = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01".to_vec();
        block.extend(kind.to_le_bytes());
        block.extend(count.to_le_bytes());
        block.extend(value.to_le_bytes());
        block.extend([0; 4]);
        block
    }

    #[track_caller]
    fn check(exif: Option<Vec<u8>>, xmp: Option<&str>, expected: u8) {
        let (exif, xmp) = (exif.map(Cow::Owned), xmp.map(|text| text.as_bytes().into()));
        assert_eq!(Metadata { exif, xmp }.orientation(), expected);
    }

    /// The expected values are those of Pillow 13.
    #[test]
    fn types_prefixes_and_xmp_count_as_in_pillow() {
        check(Some(entry(3, 1, 6)), None, 6);
        check(Some(entry(4, 1, 8)), None, 8);
        check(Some(entry(1, 1, 6)), None, 1);
        check(Some(entry(3, 2, 6)), None, 6);
        check(Some([EXIF_PREFIX, &entry(3, 1, 5)].concat()), None, 5);
        check(Some([EXIF_PREFIX, EXIF_PREFIX, &entry(3, 1, 5)].concat()), None, 5);
        let attribute = "<x tiff:Orientation=\"3\"/>";
        check(None, Some(attribute), 3);
        check(None, Some("<tiff:Orientation>7</tiff:Orientation>"), 7);
        check(None, Some("tiff:Orientation='7' tiff:Orientation=\"2\""), 2);
        check(Some(entry(3, 1, 0)), Some(attribute), 0);
        check(Some(Vec::new()), Some(attribute), 3);
        check(Some(b"damaged".to_vec()), None, 1);
    }

    #[test]
    fn reads_imagemagick_s_text_form() {
        assert_eq!(raw_profile(b"\nexif\n       4\n4578\n6966\n"), Some(b"Exif".to_vec()));
        assert_eq!(raw_profile(b"\nexif\n       4\nzz\n"), None);
    }
}
