//! The members of a tar archive, one after another, as GNU tar and Python's `tarfile` read them.
//!
//! `archive.rs` makes images of them, and `data/tar_index.rs` finds samples by them. All kinds of headers are read: v7, ustar,
//! GNU and PAX (POSIX.1-2001), with long names, global PAX headers and sparse files (`sparse.rs`). Joined archives are read
//! one after another, as with GNU tar's `--ignore-zeros`, because otherwise their images would be lost silently. The `tar`
//! crate supports neither PAX's sparse files nor joined archives; it only writes the archives of the tests.

mod header;
mod pax;
mod sparse;

use std::io::{self, Read};

use self::header::{BLOCK, Block, Header};
use self::pax::Pax;
pub(crate) use self::sparse::Segments;

/// The most bytes of a long name or of a PAX header; a map of a sparse file with many holes can be large.
const LARGEST_NOTE_BYTES: u64 = 16 << 20;
/// Zeros after an archive's end that are searched for another archive. A tape's largest block is smaller.
const ZEROS_MAX: u64 = 64 << 20;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file with a content, sparse or not.
    File,
    /// Another name of an earlier file.
    HardLink,
    /// A link by name.
    SymbolicLink,
    /// A folder or a volume's label: nothing that could be an image.
    Nothing,
    /// A device, a FIFO, a part of a file in another volume.
    Other,
}

/// A member, whose content can be read until the next one is asked for.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name, in any encoding.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    /// What a link leads to.
    pub(crate) target: Vec<u8>,
    /// Where its content is.
    pub(crate) place: Place,
}

/// Where a file's content is in its archive.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The first stored byte.
    pub(crate) offset: u64,
    /// The content's length.
    pub(crate) size: u64,
    /// What is stored of it, if it has holes.
    pub(crate) segments: Option<Box<Segments>>,
}

/// An archive that is read from front to back.
pub(crate) struct Archive<R> {
    reader: R,
    /// The number of bytes read.
    position: u64,
    /// Where the next header begins.
    next: u64,
    /// What global headers say about all members.
    globals: Pax,
    /// Whether an end marker came directly before `next`.
    is_after_end: bool,
    /// Whether bytes after an end marker are not an archive.
    has_trailing_data: bool,
}

/// What headers before a member's own say about it.
#[derive(Default)]
struct Announced {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl Announced {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.target.is_none() && self.pax.is_none()
    }
}

/// Whether a file's first 512 bytes are a member's header.
pub(crate) fn begins_like_an_archive(start: &[u8]) -> bool {
    let block = start.first_chunk::<BLOCK>();
    block.is_some_and(|block| Header(block).has_valid_checksum())
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(reader: R) -> Self {
        Archive {
            reader,
            position: 0,
            next: 0,
            globals: Pax::default(),
            is_after_end: false,
            has_trailing_data: false,
        }
    }

    /// The number of bytes read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether an archive that was read to its end has an end marker.
    pub(crate) fn has_end_marker(&self) -> bool {
        self.is_after_end
    }

    /// Whether bytes after the archive's end are not another archive. GNU tar ignores them.
    pub(crate) fn has_trailing_data(&self) -> bool {
        self.has_trailing_data
    }

    /// The next member; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Member>> {
        let mut announced = Announced::default();
        loop {
            self.skip_to(self.next)?;
            let Some(block) = self.next_header()? else {
                return match announced.is_empty() {
                    true => Ok(None),
                    false => Err(damage("it ends after the long name of a member that does not follow")),
                };
            };
            let header = Header(&block);
            let stored = header.stored_size()?;
            self.next = after(self.position, stored)?;
            match header.kind() {
                b'L' => announced.name = Some(self.text(stored)?),
                b'K' => announced.target = Some(self.text(stored)?),
                b'x' | b'X' => announced.pax = Some(Pax::read(&self.note(stored)?)?),
                b'g' => {
                    let global = Pax::read(&self.note(stored)?)?;
                    self.globals.add(global);
                }
                _ => return self.member(header, stored, announced).map(Some),
            }
        }
    }

    fn member(&mut self, header: Header<'_>, stored: u64, announced: Announced) -> io::Result<Member> {
        let mut pax = self.globals.clone();
        if let Some(local) = announced.pax {
            pax.add(local);
        }
        let name = pax.name.take().or(announced.name).unwrap_or_else(|| header.name());
        let kind = header.meaning(&name);
        // Some programs write the size of the other file, without its content.
        let stored = match kind {
            Kind::HardLink => 0,
            Kind::File | Kind::SymbolicLink | Kind::Nothing | Kind::Other => pax.size.unwrap_or(stored),
        };
        let begin = self.position;
        self.next = after(begin, stored)?;
        let segments = match header.kind() {
            b'S' => {
                // The blocks that continue the map are not part of the stored size.
                let segments = sparse::of_gnu(header, || self.block()?.ok_or_else(cut_in_header))?;
                self.next = after(self.position, stored)?;
                Some(segments)
            }
            _ => pax.segments(stored, || self.block()?.ok_or_else(cut_in_header))?,
        };
        let place = Place {
            offset: self.position,
            size: segments.as_ref().map_or(stored, Segments::size),
            segments: segments.map(Box::new),
        };
        Ok(Member {
            name,
            kind,
            target: pax
                .target
                .take()
                .or(announced.target)
                .unwrap_or_else(|| header.target()),
            place,
        })
    }

    /// The next header that is not an end marker; none at the end.
    fn next_header(&mut self) -> io::Result<Option<Block>> {
        let mut n_zeros = 0;
        loop {
            let block = match self.block() {
                Ok(block) => block,
                Err(error) if self.is_after_end && error.kind() == io::ErrorKind::UnexpectedEof => None,
                Err(error) => return Err(error),
            };
            let Some(block) = block else { return Ok(None) };
            if block.iter().all(|&byte| byte == 0) {
                n_zeros += BLOCK as u64;
                self.is_after_end = true;
                if n_zeros > ZEROS_MAX {
                    return Ok(None);
                }
                continue;
            }
            if Header(&block).has_valid_checksum() {
                self.is_after_end = false;
                return Ok(Some(block));
            }
            if self.is_after_end {
                self.has_trailing_data = true;
                return Ok(None);
            }
            return Err(damage(match Header(&block).has_numbers() {
                true => "it is not a tar archive, or is damaged: a member's header has another checksum",
                false => "it is not a tar archive, or is damaged: a header has no numbers in their places",
            }));
        }
    }

    /// The next block; none at the end.
    fn block(&mut self) -> io::Result<Option<Block>> {
        let mut block = [0; BLOCK];
        let mut n = 0;
        while n < BLOCK {
            match self.reader.read(&mut block[n..]) {
                Ok(0) if n == 0 => return Ok(None),
                Ok(0) => return Err(cut_in_header()),
                Ok(more) => n += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += BLOCK as u64;
        Ok(Some(block))
    }

    /// The content of a header that says something about the next member.
    fn note(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > LARGEST_NOTE_BYTES {
            return Err(damage("a member's name or PAX header has more than 16 MiB"));
        }
        let mut bytes = Vec::new();
        (&mut *self).take(size).read_to_end(&mut bytes)?;
        match bytes.len() as u64 == size {
            true => Ok(bytes),
            false => Err(cut_in_header()),
        }
    }

    /// A name, which a zero byte ends.
    fn text(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.note(size)?;
        let end = bytes.iter().position(|&byte| byte == 0);
        bytes.truncate(end.unwrap_or(bytes.len()));
        Ok(bytes)
    }

    fn skip_to(&mut self, position: u64) -> io::Result<()> {
        let n = position.saturating_sub(self.position);
        let skipped = io::copy(&mut (&mut *self).take(n), &mut io::sink())?;
        match skipped == n {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it is cut in the middle of a member",
            )),
        }
    }

    /// The content of the member that was returned last.
    pub(crate) fn content<'a>(&'a mut self, place: &'a Place) -> Box<dyn Read + 'a> {
        match &place.segments {
            None => Box::new((&mut *self).take(place.size)),
            Some(segments) => Box::new(segments.filled(&mut *self)),
        }
    }
}

/// Counts what is read.
impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Place {
    /// The same content in a file in which the archive begins at `begin`.
    pub(crate) fn moved(self, begin: u64) -> Self {
        Place {
            offset: begin.saturating_add(self.offset),
            ..self
        }
    }

    /// How many bytes the archive stores of it.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.segments
            .as_ref()
            .map_or(self.size, |segments| segments.stored_bytes())
    }

    /// The content, from a reader of the archive's file.
    pub(crate) fn read_from<'a>(&'a self, mut file: impl Read + io::Seek + 'a) -> io::Result<Box<dyn Read + 'a>> {
        file.seek(io::SeekFrom::Start(self.offset))?;
        Ok(match &self.segments {
            None => Box::new(file.take(self.size)),
            Some(segments) => Box::new(segments.filled(file)),
        })
    }
}

/// The position after a content, which fills whole blocks.
fn after(position: u64, size: u64) -> io::Result<u64> {
    let end = size.checked_next_multiple_of(BLOCK as u64);
    end.and_then(|size| position.checked_add(size))
        .ok_or_else(|| damage("it is damaged: a member is larger than any disk"))
}

fn damage(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

fn cut_in_header() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "it is cut in the middle of a member's header",
    )
}

#[cfg(test)]
mod tests;
