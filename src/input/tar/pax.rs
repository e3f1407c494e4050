//! PAX headers: records `LENGTH KEY=VALUE\n` that replace fields of the next member's header (POSIX.1-2001).

use std::io;

use super::damage;
use super::header::{BLOCK, Block, decimal};
use super::sparse::{Segments, in_content};

/// What a header says. Keys that don't matter here, such as times, are ignored.
#[derive(Debug, Clone, Default)]
pub(super) struct Pax {
    pub(super) name: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    /// The number of stored bytes.
    pub(super) size: Option<u64>,
    sparse: Sparse,
}

/// GNU tar's keys for sparse files; its versions 0.0, 0.1 and 1.0 use different ones.
#[derive(Debug, Clone, Default)]
struct Sparse {
    /// In version 1.0, the map is at the beginning of the content.
    major: Option<u64>,
    name: Option<Vec<u8>>,
    size: Option<u64>,
    /// The map's numbers: offset, length, offset, length.
    map: Vec<u64>,
}

impl Pax {
    pub(super) fn read(mut bytes: &[u8]) -> io::Result<Pax> {
        let wrong = || damage("it is damaged: a PAX header is not a list of keys and values");
        let mut pax = Pax::default();
        while !bytes.iter().all(|&byte| byte == 0) {
            let space = bytes.iter().position(|&byte| byte == b' ').ok_or_else(wrong)?;
            let length = usize::try_from(decimal(&bytes[..space])?).map_err(|_| wrong())?;
            let record = bytes.get(space + 1..length).ok_or_else(wrong)?;
            let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(wrong)?;
            pax.take(&record[..equals], &record[equals + 1..])?;
            bytes = &bytes[length..];
        }
        // The name in the header is that of a folder for sparse files, for programs that know no sparse files.
        if pax.sparse.name.is_some() {
            pax.name = pax.sparse.name.take();
        }
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            b"path" => self.name = Some(value.to_vec()),
            b"linkpath" => self.target = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value)?),
            b"GNU.sparse.major" => self.sparse.major = Some(decimal(value)?),
            b"GNU.sparse.name" => self.sparse.name = Some(value.to_vec()),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.size = Some(decimal(value)?),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.sparse.map.push(decimal(value)?),
            b"GNU.sparse.map" => {
                let numbers = value.split(|&byte| byte == b',').map(decimal);
                self.sparse.map = numbers.collect::<io::Result<_>>()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes over what another header says.
    pub(super) fn add(&mut self, other: Pax) {
        self.name = other.name.or(self.name.take());
        self.target = other.target.or(self.target.take());
        self.size = other.size.or(self.size.take());
        if other.sparse.size.is_some() {
            self.sparse = other.sparse;
        }
    }

    /// The map of a sparse file, if it is one. `next` reads the content's first blocks, of `stored` bytes in all.
    pub(super) fn segments(
        &self,
        stored: u64,
        next: impl FnMut() -> io::Result<Block>,
    ) -> io::Result<Option<Segments>> {
        let Some(size) = self.sparse.size else { return Ok(None) };
        let map = match self.sparse.major {
            Some(1) => in_content(stored / BLOCK as u64, next)?,
            _ => self.sparse.map.clone(),
        };
        Segments::new(&map, size).map(Some)
    }
}
