//! The packet in a JPEG: an APP1 segment (Adobe, "XMP Specification Part 3", 1.1.3), after those of JFIF and EXIF.

use std::ops::Range;

use super::iptc::{self, Iptc};
use super::mpf::{self, ImageList};
use super::{DAMAGED, NoPlace, Place, spliced};

const HEADER: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// The most bytes of a packet in a segment, by the specification.
const PACKET_MAX: usize = 65502;

const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP13: u8 = 0xed;
const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// A segment, by its bytes in the file.
struct Segment {
    marker: u8,
    all: Range<usize>,
    content: Range<usize>,
}

/// Those before the first scan.
fn segments(bytes: &[u8]) -> Result<Vec<Segment>, NoPlace> {
    let mut segments = Vec::new();
    let mut at = 2;
    loop {
        let Some([0xff, marker]) = bytes.get(at..at + 2) else {
            return Err(DAMAGED);
        };
        match *marker {
            // Bytes that fill up, and markers without content.
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            START_OF_SCAN | END_OF_IMAGE => return Ok(segments),
            marker => {
                let length = bytes.get(at + 2..at + 4).ok_or(DAMAGED)?;
                let end = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
                bytes.get(at + 4..end).ok_or(DAMAGED)?;
                segments.push(Segment {
                    marker,
                    all: at..end,
                    content: at + 4..end,
                });
                at = end;
            }
        }
    }
}

pub(super) fn find(bytes: &[u8]) -> Result<Place, NoPlace> {
    let (mut new_at, mut is_leading) = (2, true);
    let mut place = None;
    for Segment { marker, all, content } in segments(bytes)? {
        let start = &bytes[content.clone()];
        is_leading &= marker == APP0 || (marker == APP1 && start.starts_with(b"Exif\0"));
        if is_leading {
            new_at = all.end;
        }
        if marker == APP1 && start.starts_with(HEADER) {
            if place.is_some() {
                return Err(Some("it has two XMP packets".into()));
            }
            place = Some(Place {
                container: all,
                packet: Some(content.start + HEADER.len()..content.end),
            });
        }
    }
    Ok(place.unwrap_or(Place {
        container: new_at..new_at,
        packet: None,
    }))
}

/// What its IPTC says, if it has some.
pub(super) fn iptc(bytes: &[u8]) -> Option<Iptc> {
    let segments = segments(bytes).ok()?;
    let of_photoshop = segments.iter().filter(|segment| segment.marker == APP13);
    // Resources that don't fit into one segment continue in the next.
    let parts = of_photoshop.filter_map(|segment| bytes[segment.content.clone()].strip_prefix(iptc::HEADER));
    Iptc::read(&parts.collect::<Vec<_>>().concat())
}

pub(super) fn with(bytes: &[u8], place: &Place, packet: Option<&str>) -> Result<Vec<u8>, String> {
    let segment = packet.map_or(Ok(Vec::new()), segment)?;
    let mut new = spliced(bytes, &place.container, &segment);
    let is_list = |segment: &Segment| segment.marker == APP2 && bytes[segment.content.clone()].starts_with(mpf::HEADER);
    if let Some(list) = segments(bytes)
        .ok()
        .and_then(|segments| segments.into_iter().find(is_list))
    {
        let list = ImageList::read(bytes, &list.content).ok_or("its list of the images in the file is damaged")?;
        let written = list.write(&mut new, &place.container, segment.len());
        written.ok_or("its list of the images in the file has no room for the new positions")?;
    }
    Ok(new)
}

fn segment(packet: &str) -> Result<Vec<u8>, String> {
    if packet.len() > PACKET_MAX {
        return Err(format!(
            "its XMP would have {} bytes, and a JPEG holds at most {PACKET_MAX}",
            packet.len()
        ));
    }
    let length = (2 + HEADER.len() + packet.len()) as u16;
    Ok([&[0xff, APP1][..], &length.to_be_bytes(), HEADER, packet.as_bytes()].concat())
}

#[cfg(test)]
mod tests;
