//! Limits on the size of one encoded image, and on the memory for all of them.

use std::io::{self, BufRead, Read};

use crate::memory::{READING, TooLarge};

/// The most bytes of one encoded image. A photo of 200 megapixels takes about 100 MB; more is a mistake or an attack.
pub(crate) const LARGEST_BYTES: u64 = 1 << 30;
/// Up to this size, images are read without asking for memory: there are only a few readers.
const SMALL_BYTES: u64 = 16 << 20;

/// Why bytes were not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// There are more than [`LARGEST_BYTES`].
    TooMany,
    /// Reading failed, or there is not enough memory.
    Failed(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Unread::Failed(error)
    }
}

/// Takes memory for an image of this many bytes, and waits for it.
///
/// # Errors
/// If it is larger than an image may be, or than memory allows.
pub(super) fn admit(bytes: u64) -> Result<(), Unread> {
    if bytes > LARGEST_BYTES {
        return Err(Unread::TooMany);
    }
    if bytes > SMALL_BYTES {
        READING.take(bytes).map_err(|lack| out_of_memory(&lack))?;
    }
    Ok(())
}

fn out_of_memory(why: &impl std::fmt::Display) -> Unread {
    io::Error::new(io::ErrorKind::OutOfMemory, why.to_string()).into()
}

/// All bytes of a reader of known length: exactly `size`, or fewer if it ends before.
///
/// # Errors
/// As [`admit`], and those of the reader.
pub(crate) fn read_sized(reader: impl Read, size: u64) -> Result<Vec<u8>, Unread> {
    admit(size)?;
    let mut bytes = Vec::new();
    // The size may be wrong. Memory is taken as the bytes arrive, or at once if the image is small.
    let at_once = usize::try_from(size.min(SMALL_BYTES)).unwrap_or(0);
    read_into(&mut bytes, reader.take(size), at_once)?;
    Ok(bytes)
}

/// All bytes of a reader of unknown length.
///
/// # Errors
/// As [`admit`], and those of the reader.
pub(super) fn read_at_most(mut reader: impl Read) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    read_into(&mut bytes, (&mut reader).take(SMALL_BYTES + 1), 0)?;
    if bytes.len() as u64 <= SMALL_BYTES {
        return Ok(bytes);
    }
    let room = Room::take(LARGEST_BYTES)?;
    let more = (room.bytes + 1).saturating_sub(SMALL_BYTES + 1);
    read_into(&mut bytes, (&mut reader).take(more), 0)?;
    match bytes.len() as u64 <= room.bytes {
        true => Ok(bytes),
        false => Err(room.exceeded()),
    }
}

/// A line of a list, with the byte that ends it, if one does. Of a line that is too large for memory, the rest is skipped.
///
/// # Errors
/// As [`admit`], and those of the reader.
pub(super) fn read_line(reader: &mut (impl BufRead + ?Sized), end: u8) -> Result<Vec<u8>, Unread> {
    /// The line, its parsed values, and the image in it, or its text.
    const COPIES: u64 = 3;
    let mut line = Vec::new();
    let n = reader.take(SMALL_BYTES).read_until(end, &mut line)? as u64;
    if n < SMALL_BYTES || line.last() == Some(&end) {
        return Ok(line);
    }
    let room = Room::take(COPIES * LARGEST_BYTES)?;
    let most = room.bytes / COPIES;
    while (line.len() as u64) < most {
        let more = (line.len() as u64 / 4).min(most - line.len() as u64);
        reserve(&mut line, usize::try_from(more).unwrap_or(usize::MAX))?;
        let n = reader.take(more).read_until(end, &mut line)? as u64;
        if n < more || line.last() == Some(&end) {
            return Ok(line);
        }
    }
    if room.lack.is_some() {
        drop(line);
        reader.take(LARGEST_BYTES).skip_until(end)?;
    }
    Err(room.exceeded())
}

/// Memory for bytes of which nobody knows yet how many there are.
struct Room {
    bytes: u64,
    /// Why it isn't as much as there could be bytes.
    lack: Option<TooLarge>,
}

impl Room {
    /// Takes memory for the most bytes that there could be, or else all that there is.
    fn take(largest: u64) -> Result<Self, Unread> {
        let Err(lack) = READING.take(largest) else {
            return Ok(Room {
                bytes: largest,
                lack: None,
            });
        };
        READING.take(lack.available).map_err(|lack| out_of_memory(&lack))?;
        Ok(Room {
            bytes: lack.available,
            lack: Some(lack),
        })
    }

    fn exceeded(&self) -> Unread {
        self.lack.map_or(Unread::TooMany, |lack| out_of_memory(&lack))
    }
}

/// Appends what a reader gives. Memory that the system refuses is an error, as vectors would end the process.
fn read_into(bytes: &mut Vec<u8>, mut reader: impl Read, at_once: usize) -> Result<(), Unread> {
    const STEP: usize = 1 << 16;
    reserve(bytes, at_once)?;
    loop {
        if bytes.capacity() - bytes.len() < STEP {
            // Growing by a quarter keeps copying in proportion, and wastes less than doubling.
            reserve(bytes, (bytes.len() / 4).max(STEP))?;
        }
        let room = bytes.capacity() - bytes.len();
        let n = (&mut reader).take(room as u64).read_to_end(bytes)?;
        if n < room {
            return Ok(());
        }
    }
}

fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<(), Unread> {
    bytes.try_reserve_exact(more).map_err(|error| out_of_memory(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_of_any_length() {
        for n in [0, 1, (16 << 20) - 2, (16 << 20) - 1, 16 << 20, 60 << 20] {
            let mut text = [vec![b'a'; n], b"\nb".to_vec()].concat();
            let mut reader = text.as_slice();
            assert_eq!(read_line(&mut reader, b'\n').unwrap().len(), n + 1);
            assert_eq!(read_line(&mut reader, b'\n').unwrap(), b"b");
            assert_eq!(read_line(&mut reader, b'\n').unwrap(), b"");
            text.truncate(n);
            assert_eq!(read_line(&mut text.as_slice(), b'\n').unwrap().len(), n);
        }
        let mut reader = &b"long\nnext"[..];
        reader.skip_until(b'\n').unwrap();
        assert_eq!(reader, b"next");
    }

    #[test]
    fn reads_all_of_a_reader_and_no_more_than_its_size() {
        for n in [0, 1, 1 << 16, (1 << 16) + 1, (16 << 20) + 5] {
            let bytes = vec![7; n];
            assert_eq!(read_at_most(bytes.as_slice()).unwrap(), bytes);
            assert_eq!(read_sized(bytes.as_slice(), n as u64).unwrap(), bytes);
        }
        assert_eq!(read_sized([1, 2, 3].as_slice(), 2).unwrap(), [1, 2]);
        assert_eq!(read_sized([1, 2].as_slice(), 3).unwrap(), [1, 2]);
        assert!(matches!(
            read_sized(io::empty(), LARGEST_BYTES + 1),
            Err(Unread::TooMany)
        ));
    }
}
