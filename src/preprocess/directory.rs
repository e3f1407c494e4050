//! Directories of tags, as in TIFF files and EXIF blocks (TIFF 6.0, section 2): which entries there are, and their numbers.

use std::collections::BTreeMap;

/// The bytes of a TIFF file or of an EXIF block.
#[derive(Clone, Copy)]
pub(super) struct Tagged<'a> {
    bytes: &'a [u8],
    order: Order,
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn short(self, number: u16) -> [u8; 2] {
        match self {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        }
    }

    fn long(self, number: u32) -> [u8; 4] {
        match self {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        }
    }
}

/// The entries of a directory, and where the next directory is; 0 if there is none.
pub(super) struct Directory<'a> {
    file: Tagged<'a>,
    entries: Vec<Entry>,
    next: u32,
}

struct Entry {
    tag: u16,
    kind: u16,
    count: u32,
    /// Where its values are.
    at: usize,
}

/// The most directories of a file that are looked at.
const DIRECTORIES_MAX: usize = 64;
/// The tag of the offsets of directories inside another one.
const SUB_DIRECTORIES: u16 = 330;

impl<'a> Tagged<'a> {
    /// None if the bytes don't begin like a TIFF file.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let order = match bytes.get(..4)? {
            b"II\x2a\0" => Order::Little,
            b"MM\0\x2a" => Order::Big,
            // Olympus and Panasonic.
            b"IIRO" | b"IIRS" | b"IIU\0" => Order::Little,
            b"MMOR" => Order::Big,
            _ => return None,
        };
        Some(Tagged { bytes, order })
    }

    pub(super) fn first(self) -> Option<Directory<'a>> {
        self.directory(self.u32(4)?)
    }

    /// All directories: those that follow the first, and those inside each.
    pub(super) fn all(self) -> Vec<Directory<'a>> {
        let mut waiting = vec![self.u32(4).unwrap_or(0)];
        let mut seen = Vec::new();
        let mut all = Vec::new();
        while let Some(offset) = waiting.pop() {
            if offset == 0 || seen.contains(&offset) || seen.len() == DIRECTORIES_MAX {
                continue;
            }
            seen.push(offset);
            let Some(directory) = self.directory(offset) else {
                continue;
            };
            waiting.push(directory.next);
            let inside = directory.numbers(SUB_DIRECTORIES).into_iter().take(DIRECTORIES_MAX);
            waiting.extend(inside.filter_map(|offset| u32::try_from(offset).ok()));
            all.push(directory);
        }
        all
    }

    fn directory(self, offset: u32) -> Option<Directory<'a>> {
        let offset = usize::try_from(offset).ok()?;
        let n = usize::from(self.u16(offset)?);
        let entries = (0..n).map_while(|i| self.entry(offset + 2 + i * 12)).collect();
        Some(Directory {
            file: self,
            entries,
            next: self.u32(offset + 2 + n * 12).unwrap_or(0),
        })
    }

    fn entry(self, at: usize) -> Option<Entry> {
        let (kind, count) = (self.u16(at + 2)?, self.u32(at + 4)?);
        let bytes = u64::from(count).checked_mul(size_of_kind(kind))?;
        let inline = bytes <= 4;
        Some(Entry {
            tag: self.u16(at)?,
            kind,
            count,
            at: if inline {
                at + 8
            } else {
                usize::try_from(self.u32(at + 8)?).ok()?
            },
        })
    }

    fn u16(self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(match self.order {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        })
    }

    fn u32(self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(match self.order {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        })
    }
}

/// Bytes of a value of each type; 0 for unknown ones.
fn size_of_kind(kind: u16) -> u64 {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 => 8,
        _ => 0,
    }
}

impl<'a> Directory<'a> {
    /// The last entry of a tag counts, as in Pillow.
    fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.tag == tag)
    }

    pub(super) fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }

    /// The values of a tag that has whole numbers; none if it is absent or has others.
    pub(super) fn numbers(&self, tag: u16) -> Vec<u64> {
        let Some(entry) = self.entry(tag) else {
            return Vec::new();
        };
        let size = size_of_kind(entry.kind) as usize;
        let number = |i: usize| {
            let at = entry.at.checked_add(i * size)?;
            match entry.kind {
                1 | 6 => self.file.bytes.get(at).map(|&byte| u64::from(byte)),
                3 | 8 => self.file.u16(at).map(u64::from),
                4 | 9 | 13 => self.file.u32(at).map(u64::from),
                _ => None,
            }
        };
        (0..entry.count as usize).map_while(number).collect()
    }

    /// The first number of a tag.
    pub(super) fn number(&self, tag: u16) -> Option<u64> {
        let entry = self.entry(tag)?;
        let first = Entry { count: 1, ..*entry };
        let only = Directory {
            file: self.file,
            entries: vec![first],
            next: 0,
        };
        only.numbers(tag).first().copied()
    }

    /// The rational numbers of a tag.
    pub(super) fn ratios(&self, tag: u16) -> Vec<f32> {
        const RATIONAL: u16 = 5;
        let Some(entry) = self.entry(tag).filter(|entry| entry.kind == RATIONAL) else {
            return Vec::new();
        };
        let ratio = |i: usize| {
            let at = entry.at.checked_add(i * 8)?;
            Some(self.file.u32(at)? as f32 / self.file.u32(at + 4)? as f32)
        };
        (0..entry.count as usize).map_while(ratio).collect()
    }

    /// A file that begins with the bytes of `file`, whose only directory follows them: this one, of which only the tags
    /// `kept` remain, with other numbers in some of them, or without a tag if there are none. `None` if it were too long.
    pub(super) fn rewritten(&self, mut file: Vec<u8>, kept: &[u16], changed: &[(u16, Vec<u32>)]) -> Option<Vec<u8>> {
        const SHORT: u16 = 3;
        const LONG: u16 = 4;
        let order = self.file.order;
        let mut entries = BTreeMap::new();
        for tag in kept {
            if let (Some(entry), Some(values)) = (self.entry(*tag), self.bytes(*tag)) {
                entries.insert(*tag, (entry.kind, entry.count, values.to_vec()));
            }
        }
        for (tag, numbers) in changed {
            let is_short = numbers.iter().all(|number| *number <= u32::from(u16::MAX));
            let values: Vec<u8> = match is_short {
                true => numbers.iter().flat_map(|number| order.short(*number as u16)).collect(),
                false => numbers.iter().flat_map(|number| order.long(*number)).collect(),
            };
            let kind = if is_short { SHORT } else { LONG };
            match numbers.is_empty() {
                true => entries.remove(tag),
                false => entries.insert(*tag, (kind, u32::try_from(numbers.len()).ok()?, values)),
            };
        }
        let mut directory = order.short(entries.len() as u16).to_vec();
        for (tag, (kind, count, mut values)) in entries {
            if values.len() > 4 {
                let at = u32::try_from(file.len()).ok()?;
                file.append(&mut values);
                values.extend(order.long(at));
            }
            values.resize(4, 0);
            directory.extend(order.short(tag));
            directory.extend(order.short(kind));
            directory.extend(order.long(count));
            directory.extend(values);
        }
        directory.extend([0; 4]);
        let at = u32::try_from(file.len()).ok()?;
        file.get_mut(4..8)?.copy_from_slice(&order.long(at));
        file.append(&mut directory);
        Some(file)
    }

    /// The bytes that a file of this order begins with; [`Self::rewritten`] fills in where its directory is.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut header = match self.file.order {
            Order::Little => b"II".to_vec(),
            Order::Big => b"MM".to_vec(),
        };
        header.extend(self.file.order.short(42));
        header.extend([0; 4]);
        header
    }

    /// The bytes of a tag.
    pub(super) fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(tag)?;
        let n = u64::from(entry.count).checked_mul(size_of_kind(entry.kind))?;
        self.file.bytes.get(entry.at..)?.get(..usize::try_from(n).ok()?)
    }

    /// Whether a tag's values are bytes, which are not numbers for Pillow.
    pub(super) fn is_of_bytes(&self, tag: u16) -> bool {
        self.entry(tag).is_some_and(|entry| matches!(entry.kind, 1 | 2 | 7))
    }
}
