//! The keywords of IPTC in a JPEG (IPTC-NAA "Information Interchange Model" 4.2, dataset 2:25), among Photoshop's resources.
//!
//! Programs follow the guidelines of the Metadata Working Group (2.0, "Image Metadata Handling"): keywords in XMP replace
//! those of IPTC, unless a checksum says that a program without XMP has changed IPTC since.

use md5::{Digest, Md5};

pub(super) const HEADER: &[u8] = b"Photoshop 3.0\0";
const RESOURCE: &[u8] = b"8BIM";
const IPTC: u16 = 0x0404;
/// The MD5 of the block, written by the last program that knew XMP.
const CHECKSUM: u16 = 0x0425;
const UTF_8: &[u8] = b"\x1b%G";

/// What a block of IPTC says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Iptc {
    pub(super) keywords: Vec<String>,
    /// Whether it was changed after the XMP.
    pub(super) is_newer: bool,
}

impl Iptc {
    /// Reads Photoshop's resources, as far as they are whole; `None` if no IPTC is among them.
    pub(super) fn read(resources: &[u8]) -> Option<Iptc> {
        let (mut block, mut checksum) = (None, None);
        let mut rest = resources;
        while let Some((id, content, after)) = resource(rest) {
            match id {
                IPTC if block.is_none() => block = Some(content),
                CHECKSUM => checksum = Some(content),
                _ => {}
            }
            rest = after;
        }
        let block = block?;
        Some(Iptc {
            keywords: keywords(block),
            is_newer: checksum.is_some_and(|sum| sum != Md5::digest(block).as_slice()),
        })
    }
}

/// The first resource: its number, its content and what follows it.
fn resource(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let bytes = bytes.strip_prefix(RESOURCE)?;
    let (id, bytes) = bytes.split_first_chunk::<2>()?;
    // A name with its length before it; both are filled up to an even number of bytes.
    let name = (usize::from(*bytes.first()?) + 1).next_multiple_of(2);
    let (length, bytes) = bytes.get(name..)?.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let content = bytes.get(..length)?;
    let after = bytes.get(length.next_multiple_of(2)..).unwrap_or_default();
    Some((u16::from_be_bytes(*id), content, after))
}

/// The keywords of a block, without repeats.
fn keywords(block: &[u8]) -> Vec<String> {
    let mut keywords = Vec::new();
    let mut charset = Charset::Undeclared;
    let mut rest = block;
    while let [0x1c, record, dataset, high, low, after @ ..] = rest {
        let length = u16::from_be_bytes([*high, *low]);
        // Lengths above that take more bytes, and keywords have at most 64.
        let Some(content) = after.get(..usize::from(length)).filter(|_| length < 0x8000) else {
            break;
        };
        match (record, dataset) {
            (1, 90) if content == UTF_8 => charset = Charset::Utf8,
            (2, 25) => keywords.extend(text(content, charset)),
            _ => {}
        }
        rest = &after[content.len()..];
    }
    let mut known = std::collections::HashSet::new();
    keywords.retain(|keyword| known.insert(keyword.clone()));
    keywords
}

/// What a block says of its texts.
#[derive(Debug, Clone, Copy)]
enum Charset {
    Utf8,
    /// Programs write Latin-1 or UTF-8.
    Undeclared,
}

fn text(content: &[u8], charset: Charset) -> Option<String> {
    let text = match (std::str::from_utf8(content), charset) {
        (Ok(text), _) => text.to_owned(),
        (Err(_), Charset::Utf8) => String::from_utf8_lossy(content).into_owned(),
        (Err(_), Charset::Undeclared) => content.iter().map(|byte| char::from(*byte)).collect(),
    };
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
