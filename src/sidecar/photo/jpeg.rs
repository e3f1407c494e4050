//! The packet in a JPEG: an APP1 segment (Adobe, "XMP Specification Part 3", 1.1.3), after those of JFIF and EXIF.

use super::{DAMAGED, NoPlace, Place, spliced};

const HEADER: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// The most bytes of a packet in a segment, by the specification.
const PACKET_MAX: usize = 65502;

const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

pub(super) fn find(bytes: &[u8]) -> Result<Place, NoPlace> {
    let (mut at, mut new_at) = (2, 2);
    let mut is_leading = true;
    let mut has_others = false;
    let mut place = None;
    loop {
        let Some([0xff, marker]) = bytes.get(at..at + 2) else {
            return Err(DAMAGED);
        };
        let start = at;
        match *marker {
            // Bytes that fill up, and markers without content.
            0xff => {
                at += 1;
                continue;
            }
            0x01 | 0xd0..=0xd7 => {
                at += 2;
                continue;
            }
            START_OF_SCAN | END_OF_IMAGE => break,
            _ => {}
        }
        let length = bytes.get(at + 2..at + 4).ok_or(DAMAGED)?;
        let end = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        let content = bytes.get(at + 4..end).ok_or(DAMAGED)?;
        at = end;
        is_leading &= *marker == APP0 || (*marker == APP1 && content.starts_with(b"Exif\0"));
        if is_leading {
            new_at = end;
        }
        has_others |= *marker == APP2 && content.starts_with(b"MPF\0");
        if *marker == APP1 && content.starts_with(HEADER) {
            if place.is_some() {
                return Err(Some("it has two XMP packets".into()));
            }
            if has_others {
                // Positions in that list count from the list.
                return Err(Some(
                    "its XMP follows a list of other images in the file, whose positions would change".into(),
                ));
            }
            place = Some(Place {
                container: start..end,
                packet: Some(start + 4 + HEADER.len()..end),
            });
        }
    }
    Ok(place.unwrap_or(Place {
        container: new_at..new_at,
        packet: None,
    }))
}

pub(super) fn with(bytes: &[u8], place: &Place, packet: Option<&str>) -> Result<Vec<u8>, String> {
    let Some(packet) = packet else {
        return Ok(spliced(bytes, &place.container, &[]));
    };
    if packet.len() > PACKET_MAX {
        return Err(format!(
            "its XMP would have {} bytes, and a JPEG holds at most {PACKET_MAX}",
            packet.len()
        ));
    }
    let length = (2 + HEADER.len() + packet.len()) as u16;
    let segment = [&[0xff, APP1][..], &length.to_be_bytes(), HEADER, packet.as_bytes()].concat();
    Ok(spliced(bytes, &place.container, &segment))
}
