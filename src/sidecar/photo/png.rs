//! The packet in a PNG: an `iTXt` chunk (Adobe, "XMP Specification Part 3", 1.1.5), after `IHDR`.

use flate2::Crc;

use super::{DAMAGED, NoPlace, Place, spliced};

pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The keyword of the chunk, and its fields as the specification wants them: not compressed, no language, no translation.
const HEADER: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";
const KEYWORD: &[u8] = b"XML:com.adobe.xmp\0";
/// The length and the kind before a chunk's content, and the checksum after it.
const FRAME: [usize; 2] = [8, 4];

pub(super) fn find(bytes: &[u8]) -> Result<Place, NoPlace> {
    let mut at = SIGNATURE.len();
    let (mut new_at, mut place) = (None, None);
    loop {
        let frame = bytes.get(at..at + FRAME[0]).ok_or(DAMAGED)?;
        let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
        let (start, end) = (at, (at + FRAME[0] + FRAME[1]).checked_add(length).ok_or(DAMAGED)?);
        let content = bytes
            .get(start + FRAME[0]..end.saturating_sub(FRAME[1]))
            .ok_or(DAMAGED)?;
        if end > bytes.len() {
            return Err(DAMAGED);
        }
        at = end;
        match &frame[4..] {
            b"IHDR" => new_at = Some(end),
            b"IEND" => break,
            b"iTXt" if content.starts_with(KEYWORD) => {
                if place.is_some() {
                    return Err(Some("it has two XMP packets".into()));
                }
                let text = start + FRAME[0] + text_offset(content)?;
                place = Some(Place {
                    container: start..end,
                    packet: Some(text..end - FRAME[1]),
                });
            }
            _ => {}
        }
    }
    let new_at = new_at.ok_or(DAMAGED)?;
    Ok(place.unwrap_or(Place {
        container: new_at..new_at,
        packet: None,
    }))
}

/// Where the text begins in the content of the chunk.
fn text_offset(content: &[u8]) -> Result<usize, NoPlace> {
    let fields = &content[KEYWORD.len()..];
    match fields {
        [0, 0, names @ ..] => {
            let mut ends = names.iter().enumerate().filter(|(_, byte)| **byte == 0);
            // Of the language and of the translated keyword.
            let (end, _) = ends.nth(1).ok_or(DAMAGED)?;
            Ok(KEYWORD.len() + 2 + end + 1)
        }
        _ => Err(Some("its XMP is compressed".into())),
    }
}

pub(super) fn with(bytes: &[u8], place: &Place, packet: Option<&str>) -> Result<Vec<u8>, String> {
    let Some(packet) = packet else {
        return Ok(spliced(bytes, &place.container, &[]));
    };
    let length = u32::try_from(HEADER.len() + packet.len()).map_err(|_| "its XMP is too long".to_owned())?;
    let checked = [&b"iTXt"[..], HEADER, packet.as_bytes()].concat();
    let mut crc = Crc::new();
    crc.update(&checked);
    let chunk = [&length.to_be_bytes()[..], &checked, &crc.sum().to_be_bytes()].concat();
    Ok(spliced(bytes, &place.container, &chunk))
}
