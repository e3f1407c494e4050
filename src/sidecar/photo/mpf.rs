//! The list of images in a JPEG file that holds several (CIPA DC-007, "Multi-Picture Format"): a directory as in TIFF, in an
//! APP2 segment of the first image. Phones store depth and HDR gain maps as further images. The list says how long each image
//! is and where it begins, so an edit of the first one changes both.

use std::ops::Range;

pub(super) const HEADER: &[u8] = b"MPF\0";
/// The tag of the list's entries.
const ENTRIES: usize = 0xb002;
/// Flags, size, position and two numbers of other images.
const ENTRY_BYTES: usize = 16;

/// The list, by positions in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ImageList {
    /// What positions in the list count from.
    base: usize,
    is_little_endian: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// Where its size is written, and after that its position.
    at: usize,
    size: usize,
    /// From the base; 0 for the first image.
    offset: usize,
}

impl ImageList {
    /// Reads the list in the content of a segment; `None` if it is damaged.
    pub(super) fn read(bytes: &[u8], content: &Range<usize>) -> Option<ImageList> {
        let base = content.start + HEADER.len();
        let bytes = bytes.get(..content.end)?;
        let is_little_endian = match bytes.get(base..base + 4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        let mut list = ImageList {
            base,
            is_little_endian,
            entries: Vec::new(),
        };
        let directory = list.position(bytes, base + 4)?;
        let n_fields = list.number(bytes, directory, 2)?;
        bytes.get(directory..directory + 2 + 12 * n_fields)?;
        let mut fields = (0..n_fields).map(|i| directory + 2 + 12 * i);
        let Some(field) = fields.find(|field| list.number(bytes, *field, 2) == Some(ENTRIES)) else {
            return Some(list);
        };
        let n_entries = list.number(bytes, field + 4, 4)? / ENTRY_BYTES;
        let first = list.position(bytes, field + 8)?;
        for at in (first + 4..).step_by(ENTRY_BYTES).take(n_entries) {
            list.entries.push(Entry {
                at,
                size: list.number(bytes, at, 4)?,
                offset: list.number(bytes, at + 4, 4)?,
            });
        }
        Some(list)
    }

    /// Writes into `new` what the list says after `container` was replaced by `n_new` bytes; `None` if its numbers have no
    /// room for that.
    pub(super) fn write(&self, new: &mut [u8], container: &Range<usize>, n_new: usize) -> Option<()> {
        let moved = |at: usize| match at < container.end {
            true => at,
            false => at - container.len() + n_new,
        };
        for entry in &self.entries {
            let start = match entry.offset {
                0 => 0,
                offset => self.base.checked_add(offset)?,
            };
            let holds = start <= container.start && container.end <= start.checked_add(entry.size)?;
            let size = match holds {
                true => entry.size - container.len() + n_new,
                false => entry.size,
            };
            let offset = match entry.offset {
                0 => 0,
                _ => moved(start).checked_sub(moved(self.base))?,
            };
            let at = moved(entry.at);
            for (at, number) in [(at, size), (at + 4, offset)] {
                let number = u32::try_from(number).ok()?;
                new.get_mut(at..at + 4)?.copy_from_slice(&match self.is_little_endian {
                    true => number.to_le_bytes(),
                    false => number.to_be_bytes(),
                });
            }
        }
        Some(())
    }

    /// The position in the file that is written at another one.
    fn position(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let position = self.base.checked_add(self.number(bytes, at, 4)?)?;
        (position <= bytes.len()).then_some(position)
    }

    fn number(&self, bytes: &[u8], at: usize, n_bytes: usize) -> Option<usize> {
        let bytes = bytes.get(at..at.checked_add(n_bytes)?)?;
        let add = |number: usize, byte: &u8| (number << 8) | usize::from(*byte);
        Some(match self.is_little_endian {
            true => bytes.iter().rev().fold(0, add),
            false => bytes.iter().fold(0, add),
        })
    }
}
