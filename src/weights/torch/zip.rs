//! Finds the records of a zip archive that `torch.save` wrote, without copying them.
//!
//! Supports what such an archive needs: the central directory, with or without zip64, and uncompressed records. Every
//! offset and length is checked against the file before it is used. Checksums are not checked: this would read all
//! weights once more, and torch has a setting not to write them.
//! Field offsets are those of PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.

use std::collections::BTreeMap;

use super::refusal::{Outcome, damaged, shown};

/// The first bytes of a record, and so of the archive.
pub(super) const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
const LOCAL_HEADER_BYTES: usize = 30;
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
const DIRECTORY_ENTRY_BYTES: usize = 46;
const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";
const END_64_LOCATOR_BYTES: usize = 20;
const END_64: &[u8] = b"PK\x06\x06";
/// A comment may follow the end record; its length is a 16-bit number.
const MAX_COMMENT_BYTES: usize = 0xffff;
/// The id of the extra field with 64-bit sizes, and the value of a 32-bit field that refers to it.
const ZIP64_EXTRA: usize = 1;
const SEE_ZIP64: usize = 0xffff_ffff;

/// The directory of an archive. All records of torch are in one folder, which names leave out here.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    folder: &'a str,
    entries: BTreeMap<&'a str, Entry>,
    directory_start: usize,
}

/// One entry of the central directory.
#[derive(Clone, Copy)]
struct Entry {
    header_start: usize,
    len_bytes: usize,
    is_stored: bool,
}

/// A record's bytes, and where they begin in the file.
pub(super) struct Record<'a> {
    pub(super) start_byte: usize,
    pub(super) bytes: &'a [u8],
}

impl<'a> Archive<'a> {
    /// Reads the central directory.
    pub(super) fn read(bytes: &'a [u8]) -> Outcome<Self> {
        let Some(end) = find_end(bytes) else {
            return damaged(format!(
                "{} bytes of a zip archive without its end: cut short",
                bytes.len()
            ));
        };
        let Some(directory) = directory_span(bytes, end) else {
            return damaged("a zip archive whose end record is damaged");
        };
        let Some(entries) = read_entries(&bytes[directory.start..directory.end], directory.n_entries) else {
            return damaged("a zip archive whose directory is damaged");
        };
        let is_root = |name: &&str| name.split_once('/').is_some_and(|(_, rest)| rest == "data.pkl");
        let Some(pickle) = entries.keys().copied().find(is_root) else {
            return damaged("a zip archive without the `data.pkl` that `torch.save` writes");
        };
        Ok(Archive {
            bytes,
            folder: &pickle[..pickle.len() - "data.pkl".len()],
            entries,
            directory_start: directory.start,
        })
    }

    /// The size of the whole file.
    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the archive has such a record.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// TorchScript archives also hold the sources of functions, and their constants.
    pub(super) fn is_torch_script(&self) -> bool {
        let is_code = |name: &str| {
            name.strip_prefix(self.folder)
                .is_some_and(|rest| rest.starts_with("code/"))
        };
        self.has("constants.pkl") && self.entries.keys().any(|name| is_code(name))
    }

    /// A record by its name inside the archive's folder.
    pub(super) fn record(&self, name: &str) -> Outcome<Record<'a>> {
        let Some(entry) = self.entry(name) else {
            return damaged(format!("an archive without the record `{}`: incomplete", shown(name)));
        };
        if !entry.is_stored {
            return damaged(format!(
                "an archive whose record `{}` is compressed or encrypted; `torch.save` doesn't compress",
                shown(name)
            ));
        }
        match self.locate(entry, name) {
            Some(record) => Ok(record),
            None => damaged(format!(
                "an archive whose record `{}` is not where its directory says",
                shown(name)
            )),
        }
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        self.entries.get([self.folder, name].concat().as_str()).copied()
    }

    /// The bytes after a record's own header, which repeats the name; they end before the directory.
    fn locate(&self, entry: Entry, name: &str) -> Option<Record<'a>> {
        let records = &self.bytes[..self.directory_start];
        let header = slice(records, entry.header_start, LOCAL_HEADER_BYTES)?;
        let (name_bytes, extra_bytes) = (number(header, 26, 2)?, number(header, 28, 2)?);
        let name_start = entry.header_start + LOCAL_HEADER_BYTES;
        let own_name = slice(records, name_start, name_bytes)?;
        let start_byte = name_start + name_bytes + extra_bytes;
        let agrees = header.starts_with(LOCAL_HEADER) && own_name == [self.folder, name].concat().as_bytes();
        agrees.then_some(Record {
            start_byte,
            bytes: slice(records, start_byte, entry.len_bytes)?,
        })
    }
}

/// The start of the end record: the last one whose comment ends exactly at the end of the file.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_BYTES)?;
    (last.saturating_sub(MAX_COMMENT_BYTES)..=last)
        .rev()
        .find(|&at| bytes[at..].starts_with(END) && number(bytes, at + 20, 2) == Some(last - at))
}

struct DirectorySpan {
    start: usize,
    end: usize,
    n_entries: usize,
}

/// Where the central directory is, by the end record or its zip64 form.
fn directory_span(bytes: &[u8], end: usize) -> Option<DirectorySpan> {
    let locator = end
        .checked_sub(END_64_LOCATOR_BYTES)
        .filter(|&at| bytes[at..].starts_with(END_64_LOCATOR));
    let (records_end, n_entries, len_bytes, start) = match locator {
        Some(locator) => {
            let at = number(bytes, locator + 8, 8)?;
            let record = bytes[..locator].get(at..).filter(|record| record.starts_with(END_64))?;
            (
                at,
                number(record, 32, 8)?,
                number(record, 40, 8)?,
                number(record, 48, 8)?,
            )
        }
        None => (
            end,
            number(bytes, end + 10, 2)?,
            number(bytes, end + 12, 4)?,
            number(bytes, end + 16, 4)?,
        ),
    };
    let directory_end = start.checked_add(len_bytes)?;
    // Each entry takes a number of bytes, so a false count can't ask for more memory than the file has.
    let is_possible = directory_end <= records_end && n_entries <= len_bytes / DIRECTORY_ENTRY_BYTES;
    is_possible.then_some(DirectorySpan {
        start,
        end: directory_end,
        n_entries,
    })
}

fn read_entries(mut directory: &[u8], n_entries: usize) -> Option<BTreeMap<&str, Entry>> {
    let mut entries = BTreeMap::new();
    for _ in 0..n_entries {
        let fixed = slice(directory, 0, DIRECTORY_ENTRY_BYTES)?;
        if !fixed.starts_with(DIRECTORY_ENTRY) {
            return None;
        }
        let (name_bytes, extra_bytes, comment_bytes) =
            (number(fixed, 28, 2)?, number(fixed, 30, 2)?, number(fixed, 32, 2)?);
        let name = slice(directory, DIRECTORY_ENTRY_BYTES, name_bytes)?;
        let extra = slice(directory, DIRECTORY_ENTRY_BYTES + name_bytes, extra_bytes)?;
        entries.insert(std::str::from_utf8(name).ok()?, read_entry(fixed, extra)?);
        directory = directory.get(DIRECTORY_ENTRY_BYTES + name_bytes + extra_bytes + comment_bytes..)?;
    }
    Some(entries)
}

fn read_entry(fixed: &[u8], extra: &[u8]) -> Option<Entry> {
    let (flags, method) = (number(fixed, 8, 2)?, number(fixed, 10, 2)?);
    let (mut packed, mut len_bytes, mut header_start) =
        (number(fixed, 20, 4)?, number(fixed, 24, 4)?, number(fixed, 42, 4)?);
    // The zip64 field holds only the values that don't fit into 32 bits, in this order.
    let mut at = 0;
    for value in [&mut len_bytes, &mut packed, &mut header_start] {
        if *value == SEE_ZIP64 {
            *value = number(zip64_field(extra)?, at, 8)?;
            at += 8;
        }
    }
    Some(Entry {
        header_start,
        len_bytes,
        is_stored: method == 0 && flags & 1 == 0 && packed == len_bytes,
    })
}

fn zip64_field(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let (id, len_bytes) = (number(extra, 0, 2)?, number(extra, 2, 2)?);
        let field = slice(extra, 4, len_bytes)?;
        if id == ZIP64_EXTRA {
            return Some(field);
        }
        extra = &extra[4 + len_bytes..];
    }
}

fn slice(bytes: &[u8], start: usize, len: usize) -> Option<&[u8]> {
    bytes.get(start..start.checked_add(len)?)
}

/// A little-endian number of at most eight bytes.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let mut wide = [0; 8];
    wide[..len].copy_from_slice(slice(bytes, at, len)?);
    usize::try_from(u64::from_le_bytes(wide)).ok()
}
