//! The XMP packet inside a JPEG, PNG or WebP file: found, edited as the text of a sidecar is, and put back.
//!
//! Each format says where the packet is, or where a new one goes ([`Place`]). Everything else is copied: pixels, EXIF,
//! colour profiles, and what cameras append after the image. Nothing is written from a parsed form. Crates that edit these
//! containers rebuild the file from what they know of it, and lose what follows the end of a PNG or WebP image.

mod iptc;
mod jpeg;
mod mpf;
mod png;
mod webp;

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::edit::{Untagged, has_names, new_packet, tagged, untagged};
use super::{TagPath, unusable};
use crate::error::{Error, Result};
use crate::files::replace_contents;

/// The formats whose packets are edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Jpeg,
    Png,
    WebP,
}

impl Kind {
    fn of(bytes: &[u8]) -> Option<Kind> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Kind::Jpeg),
            _ if bytes.starts_with(png::SIGNATURE) => Some(Kind::Png),
            _ if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Some(Kind::WebP),
            _ => None,
        }
    }

    fn find(self, bytes: &[u8]) -> Result<Place, String> {
        let found = match self {
            Kind::Jpeg => jpeg::find(bytes),
            Kind::Png => png::find(bytes),
            Kind::WebP => webp::find(bytes),
        };
        found.map_err(|problem| problem.unwrap_or_else(|| "it is damaged or incomplete".into()))
    }
}

/// Where a packet is, in bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// The segment or chunk that holds it; empty where a new one goes.
    container: Range<usize>,
    /// The packet's text in it; `None` if there is none.
    packet: Option<Range<usize>>,
}

/// Why no place was found: what is wrong in words, or `None` if the file ends too early or contradicts itself.
type NoPlace = Option<String>;
const DAMAGED: NoPlace = None;

/// Photos are read whole.
const BYTES_MAX: u64 = 1 << 30;

/// A photo's file whose packet can be edited.
#[derive(Debug)]
pub struct Photo {
    kind: Kind,
    bytes: Vec<u8>,
    metadata: Metadata,
}

impl Photo {
    /// Reads a file; `None` if it is of a format whose packets are not edited.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Usage`] if it must not be replaced: it is write-protected, or has other names (hard links),
    /// which would keep the old content.
    pub fn read(path: &Path) -> Result<Option<Photo>> {
        let failed = Error::read(path);
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(unusable(path, "it is not a regular file"));
        }
        if metadata.len() > BYTES_MAX {
            return Err(unusable(path, "it is larger than 1 GiB"));
        }
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        let Some(kind) = Kind::of(&bytes) else {
            return Ok(None);
        };
        if metadata.permissions().readonly() {
            return Err(protected(path, "it is write-protected"));
        }
        let n_names = n_names(&metadata);
        if n_names > 1 {
            return Err(protected(
                path,
                &format!("it has {n_names} names (hard links), and would become another file under this one"),
            ));
        }
        Ok(Some(Photo { kind, bytes, metadata }))
    }

    /// The file's bytes with these tags added to its packet; `None` if it has them all.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn tagged(&self, tags: &[TagPath]) -> Result<Option<Vec<u8>>, String> {
        let place = self.kind.find(&self.bytes)?;
        let packet = self.packet(&place)?;
        let tags = self.after_iptc(tags, packet)?;
        let text = match packet {
            None if tags.is_empty() => None,
            None => Some(new_packet(&tags)?),
            Some(there) => tagged(there, &tags)?,
        };
        text.map(|text| self.with(&place, Some(&text))).transpose()
    }

    /// The file's bytes without the tags that earlier runs added; `None` if it has none of them.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn untagged(&self) -> Result<Option<Vec<u8>>, String> {
        let place = self.kind.find(&self.bytes)?;
        let Some(there) = self.packet(&place)? else {
            return Ok(None);
        };
        match untagged(there)? {
            Untagged::Unchanged => Ok(None),
            Untagged::Text(text) => self.with(&place, Some(&text)).map(Some),
            Untagged::Nothing => self.with(&place, None).map(Some),
        }
    }

    /// The tags, after the keywords of IPTC if XMP has none: photo programs would show ours instead of them.
    fn after_iptc(&self, tags: &[TagPath], packet: Option<&str>) -> Result<Vec<TagPath>, String> {
        let iptc = match self.kind {
            Kind::Jpeg if !tags.is_empty() => jpeg::iptc(&self.bytes),
            Kind::Jpeg | Kind::Png | Kind::WebP => None,
        };
        let Some(iptc) = iptc.filter(|iptc| !iptc.keywords.is_empty()) else {
            return Ok(tags.to_vec());
        };
        if iptc.is_newer {
            return Err("its IPTC keywords were changed after its XMP, and photo programs show only those".into());
        }
        let of_iptc = match packet.map_or(Ok(false), has_names)? {
            true => Vec::new(),
            false => iptc.keywords,
        };
        let of_iptc = of_iptc.into_iter().map(|keyword| TagPath(vec![keyword]));
        Ok(of_iptc.chain(tags.iter().cloned()).collect())
    }

    fn packet(&self, place: &Place) -> Result<Option<&str>, String> {
        let Some(packet) = place.packet.clone() else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&self.bytes[packet]);
        text.map(Some).map_err(|_| "its XMP is not UTF-8".into())
    }

    fn with(&self, place: &Place, packet: Option<&str>) -> Result<Vec<u8>, String> {
        match self.kind {
            Kind::Jpeg => jpeg::with(&self.bytes, place, packet),
            Kind::Png => png::with(&self.bytes, place, packet),
            Kind::WebP => webp::with(&self.bytes, place, packet),
        }
    }

    /// Gives the file at `path`, which this was read from, other bytes in one step.
    ///
    /// # Errors
    /// [`Error::Write`], also if another program has changed the file since it was read.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        replace_contents(path, &self.metadata, bytes)
    }
}

/// The bytes with `new` in place of the container.
fn spliced(bytes: &[u8], container: &Range<usize>, new: &[u8]) -> Vec<u8> {
    [&bytes[..container.start], new, &bytes[container.end..]].concat()
}

fn protected(path: &Path, problem: &str) -> Error {
    Error::usage(
        format!("`{}` is left as it is: {problem}", path.display()),
        "write a sidecar instead, or copy it first",
    )
}

#[cfg(unix)]
fn n_names(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn n_names(_: &Metadata) -> u64 {
    1
}

#[cfg(test)]
mod tests;
