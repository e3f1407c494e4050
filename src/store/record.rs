//! The records of a store: written, and read without trust in their lengths.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};

pub(super) const MAGIC: &[u8; 8] = b"LCSTORE1";
/// The two lengths.
const HEAD_BYTES: u64 = 8;
const CHECK_BYTES: u64 = 8;
/// A file that a kill left within its first record is smaller than this.
const BEGUN_BYTES_MAX: u64 = 1 << 14;

/// Where a record is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(super) at: u64,
    pub(super) key_bytes: u32,
    pub(super) value_bytes: u32,
}

impl Place {
    fn n_bytes(&self) -> u64 {
        HEAD_BYTES + u64::from(self.key_bytes) + u64::from(self.value_bytes) + CHECK_BYTES
    }

    /// The key and the value that are there, if the check agrees.
    pub(super) fn read(&self, mut file: &File) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        file.seek(SeekFrom::Start(self.at))?;
        let mut key = vec![0; self.n_bytes() as usize];
        match file.read_exact(&mut key) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let found = key.split_off(key.len() - CHECK_BYTES as usize);
        if found != check(&key) {
            return Ok(None);
        }
        let value = key.split_off((HEAD_BYTES + u64::from(self.key_bytes)) as usize);
        Ok(Some((key.split_off(HEAD_BYTES as usize), value)))
    }
}

/// What a file begins with.
pub(super) enum Begun {
    Whole(Place),
    /// As much of a header as a kill left, or nothing.
    Cut,
    Foreign,
}

/// Goes through a file from record to record.
pub(super) struct Walk<'a> {
    reader: BufReader<&'a File>,
    pub(super) at: u64,
    n_bytes: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn of(mut file: &'a File, n_bytes: u64) -> io::Result<Self> {
        file.rewind()?;
        Ok(Walk {
            reader: BufReader::with_capacity(1 << 16, file),
            at: 0,
            n_bytes,
        })
    }

    pub(super) fn begin(&mut self) -> io::Result<Begun> {
        let mut magic = Vec::new();
        self.at = (&mut self.reader).take(MAGIC.len() as u64).read_to_end(&mut magic)? as u64;
        if !MAGIC.starts_with(&magic) {
            return Ok(Begun::Foreign);
        }
        Ok(match self.next()? {
            Some((_, place)) => Begun::Whole(place),
            None if self.n_bytes < BEGUN_BYTES_MAX => Begun::Cut,
            None => Begun::Foreign,
        })
    }

    /// Goes on where it was, although the file was read elsewhere meanwhile.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(self.at)).map(drop)
    }

    /// The key and the place of the next record, if the file has as many bytes as its lengths say. Its check is not looked
    /// at.
    pub(super) fn next(&mut self) -> io::Result<Option<(Vec<u8>, Place)>> {
        let left = self.n_bytes.saturating_sub(self.at);
        if left < HEAD_BYTES + CHECK_BYTES {
            return Ok(None);
        }
        let mut lengths = [[0; 4]; 2];
        self.reader.read_exact(lengths.as_flattened_mut())?;
        let [key_bytes, value_bytes] = lengths.map(u32::from_le_bytes);
        let place = Place {
            at: self.at,
            key_bytes,
            value_bytes,
        };
        if place.n_bytes() > left {
            return Ok(None);
        }
        let mut key = vec![0; key_bytes as usize];
        self.reader.read_exact(&mut key)?;
        self.reader.seek_relative(i64::from(value_bytes) + CHECK_BYTES as i64)?;
        self.at += place.n_bytes();
        Ok(Some((key, place)))
    }
}

pub(super) fn encoded(key: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |part: &[u8]| (part.len() as u32).to_le_bytes();
    let record = [&length(key), &length(value), key, value].concat();
    let check = check(&record);
    [&record[..], &check].concat()
}

fn check(record: &[u8]) -> [u8; CHECK_BYTES as usize] {
    let digest = Sha256::digest(record);
    std::array::from_fn(|i| digest[i])
}

/// A row as a value.
pub(crate) fn bytes_of(row: &[f32]) -> Vec<u8> {
    row.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The row of a value, if it is one.
pub(crate) fn row_of(value: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = value.as_chunks();
    let row = numbers.iter().map(|number| f32::from_le_bytes(*number));
    rest.is_empty().then(|| row.collect())
}
