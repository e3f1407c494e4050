//! The packet in a WebP file: the chunk `XMP ` at its end (WebP Container Specification, "Metadata").
//!
//! A file says in its first chunk, `VP8X`, that it has such a chunk. A file that is only an image has no `VP8X`, and gets
//! one, with the width, the height and the alpha flag that the image says.

use super::{DAMAGED, NoPlace, Place, spliced};

/// The name and the length before a chunk's content.
const FRAME: usize = 8;
/// The signature, the length and the kind of the file.
const HEADER: usize = 12;
const XMP_FLAG: u8 = 0b100;
const ALPHA_FLAG: u8 = 0b1_0000;

pub(super) fn find(bytes: &[u8]) -> Result<Place, NoPlace> {
    let (mut at, end) = (HEADER, end(bytes)?);
    let mut place = None;
    while at < end {
        let frame = bytes.get(at..at + FRAME).ok_or(DAMAGED)?;
        let length = u32_at(frame, 4).ok_or(DAMAGED)?;
        let content = at + FRAME..(at + FRAME).checked_add(length).ok_or(DAMAGED)?;
        // Content of odd length is followed by a zero.
        let next = content.end.checked_add(length % 2).ok_or(DAMAGED)?;
        if next > end {
            return Err(DAMAGED);
        }
        if frame.starts_with(b"XMP ") {
            if place.is_some() {
                return Err(Some("it has two XMP packets".into()));
            }
            place = Some(Place {
                container: at..next,
                packet: Some(content),
            });
        }
        at = next;
    }
    Ok(place.unwrap_or(Place {
        container: end..end,
        packet: None,
    }))
}

/// Where the file ends by its own length. More may follow.
fn end(bytes: &[u8]) -> Result<usize, NoPlace> {
    let end = u32_at(bytes, 4)
        .and_then(|length| length.checked_add(FRAME))
        .ok_or(DAMAGED)?;
    match end <= bytes.len() && end >= HEADER {
        true => Ok(end),
        false => Err(DAMAGED),
    }
}

pub(super) fn with(bytes: &[u8], place: &Place, packet: Option<&str>) -> Result<Vec<u8>, String> {
    let chunk = packet.map_or_else(Vec::new, |packet| chunk(b"XMP ", packet.as_bytes()));
    let mut new = spliced(bytes, &place.container, &chunk);
    let n_after = end(bytes).map_or(0, |end| bytes.len() - end);
    let is_extended = new.len() > HEADER + FRAME && new[HEADER..].starts_with(b"VP8X");
    if is_extended {
        let flags = &mut new[HEADER + FRAME];
        *flags = match packet {
            Some(_) => *flags | XMP_FLAG,
            None => *flags & !XMP_FLAG,
        };
    } else if packet.is_some() {
        let image = first_chunk(bytes).ok_or("its image says no width and height")?;
        drop(new.splice(HEADER..HEADER, extended_chunk(&image)));
    }
    let length = u32::try_from(new.len() - n_after - FRAME).map_err(|_| "it would be too large for its format")?;
    new[4..8].copy_from_slice(&length.to_le_bytes());
    Ok(new)
}

/// What an image says of itself.
struct Image {
    width: u32,
    height: u32,
    has_alpha: bool,
}

/// What the first chunk says, if it is an image: RFC 6386, 9.1 and the WebP lossless specification, 3.
fn first_chunk(bytes: &[u8]) -> Option<Image> {
    let content = bytes.get(HEADER + FRAME..)?;
    let side = |at: usize| Some(u32::from(u16::from_le_bytes([*content.get(at)?, *content.get(at + 1)?])) & 0x3fff);
    let image = match bytes.get(HEADER..HEADER + 4)? {
        b"VP8 " if content.get(3..6)? == b"\x9d\x01\x2a" => Some(Image {
            width: side(6)?,
            height: side(8)?,
            has_alpha: false,
        }),
        b"VP8L" if content.first() == Some(&0x2f) => {
            let bits = u32_at(content, 1)?;
            Some(Image {
                width: (bits as u32 & 0x3fff) + 1,
                height: ((bits as u32 >> 14) & 0x3fff) + 1,
                has_alpha: (bits >> 28) & 1 == 1,
            })
        }
        _ => None,
    };
    image.filter(|image| image.width > 0 && image.height > 0)
}

/// The chunk `VP8X` of an image with XMP.
fn extended_chunk(image: &Image) -> Vec<u8> {
    let flags = XMP_FLAG | if image.has_alpha { ALPHA_FLAG } else { 0 };
    let [width, height] = [image.width, image.height].map(|side| (side - 1).to_le_bytes());
    chunk(b"VP8X", &[&[flags, 0, 0, 0][..], &width[..3], &height[..3]].concat())
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let padding = &[0][..content.len() % 2];
    [&name[..], &(content.len() as u32).to_le_bytes(), content, padding].concat()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]) as usize)
}
