//! WebDataset's tars: the files of one sample stand one behind the other and share a name up to the first dot.
//!
//! Read by training and by evaluations, each of which says what it wants of a sample's members. Archives are looked through
//! once for where their members lie. One that is packed with gzip or zstd can only be read from front to back, so it is
//! unpacked into a nameless file of the scratch folder, and is gone with the process.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::archive;
use super::limit::LARGEST_BYTES;
use super::records::{read_range, read_range_of, unusable};
use crate::error::{Error, Result};

/// Endings of members that are pictures.
const PICTURES: [&str; 9] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm"];

/// Archives whose members can be read in any order.
pub(crate) struct Shards {
    archives: Vec<Archive>,
    /// What packed archives held, one behind the other.
    unpacked: Mutex<Option<File>>,
}

struct Archive {
    path: PathBuf,
    is_packed: bool,
}

/// Where a member lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    archive: usize,
    offset: u64,
    length: u64,
}

impl Range {
    /// Adds where it lies in its archive, and how long it is.
    pub(crate) fn outline(&self, hash: &mut Sha256) {
        hash.update(self.offset.to_le_bytes());
        hash.update(self.length.to_le_bytes());
    }

    fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// What is met while archives are looked through.
pub(crate) enum Met<'a> {
    /// All members of a key.
    Key(Group<'a>),
    /// An archive's end, or why there is no more of it: what stands before the damage is whole.
    End(&'a Path, Option<io::Error>),
}

/// The members of one key.
pub(crate) struct Group<'a> {
    /// The archive that they stand in.
    pub(crate) path: &'a Path,
    /// What they share of their names.
    pub(crate) key: &'a str,
    /// Ending, in small letters, and place of each.
    members: &'a [(String, Range)],
}

impl Group<'_> {
    /// The last member with this ending.
    pub(crate) fn member(&self, ending: &str) -> Option<Range> {
        let mut found = self.members.iter().rev();
        found.find(|(other, _)| other == ending).map(|(_, range)| *range)
    }

    /// The last member that is a picture.
    pub(crate) fn picture(&self) -> Option<Range> {
        let mut found = self.members.iter().rev();
        found
            .find(|(ending, _)| PICTURES.contains(&ending.as_str()))
            .map(|(_, range)| *range)
    }

    /// What messages call the sample.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.path.display(), self.key)
    }
}

impl Shards {
    /// Looks archives through; `see` hears of all that is met.
    ///
    /// # Errors
    /// [`Error::Read`] where an archive isn't there, [`Error::Write`] where there is no room to unpack one.
    pub(crate) fn open(paths: &[PathBuf], scratch: &Path, mut see: impl FnMut(Met<'_>)) -> Result<Self> {
        let mut shards = Shards {
            archives: Vec::new(),
            unpacked: Mutex::new(None),
        };
        let mut unpacked: Option<File> = None;
        for path in paths {
            let unreadable = Error::read(path);
            let mut reader = BufReader::with_capacity(1 << 18, File::open(path).map_err(unreadable)?);
            let is_packed = archive::is_packed(reader.fill_buf().map_err(unreadable)?);
            shards.archives.push(Archive {
                path: path.clone(),
                is_packed,
            });
            let looked = if is_packed {
                if unpacked.is_none() {
                    unpacked = Some(scratch_file(scratch)?);
                }
                let file = unpacked.as_mut().expect("made a line above");
                let begin = file.metadata().map_err(unreadable)?.len();
                let inner = archive::unpacked(reader).map_err(unreadable)?;
                shards.look_through(Copying { inner, copy: file }, begin, &mut see)
            } else {
                shards.look_through(reader, 0, &mut see)
            };
            see(Met::End(path, looked.err()));
        }
        shards.unpacked = Mutex::new(unpacked);
        Ok(shards)
    }

    /// Finds the members of the last archive; `begin` is where its first byte will be read again.
    fn look_through(&self, reader: impl Read, begin: u64, see: &mut impl FnMut(Met<'_>)) -> io::Result<()> {
        let path = &self.archives[self.archives.len() - 1].path;
        let seen = Cell::new(Seen::default());
        let mut tar = tar::Archive::new(Watched {
            inner: reader,
            seen: &seen,
        });
        let (mut key, mut members) = (String::new(), Vec::<(String, Range)>::new());
        let mut close = |key: &str, members: &mut Vec<(String, Range)>| {
            if !members.is_empty() {
                see(Met::Key(Group { path, key, members }));
                members.clear();
            }
        };
        for member in tar.entries()? {
            let member = match member {
                Ok(member) => member,
                Err(error) => {
                    let is_whole = |(_, range): &(_, Range)| range.end() <= begin + seen.get().n_bytes;
                    // Where the damage is in a member, its sample is damaged.
                    if members.last().is_some_and(is_whole) {
                        close(&key, &mut members);
                    }
                    return Err(archive::damage(error));
                }
            };
            if !member.header().entry_type().is_file() {
                continue;
            }
            let name = member.path()?.to_string_lossy().into_owned();
            let Some((its_key, ending)) = key_and_ending(&name) else {
                continue;
            };
            let ending = ending.to_lowercase();
            // A key that has this member already is another sample's, which came right behind.
            if its_key != key || members.iter().any(|(known, _)| *known == ending) {
                close(&key, &mut members);
                its_key.clone_into(&mut key);
            }
            let range = Range {
                archive: self.archives.len() - 1,
                offset: begin + member.raw_file_position(),
                length: member.size(),
            };
            members.push((ending, range));
        }
        close(&key, &mut members);
        let Seen { n_bytes, is_at_end } = seen.get();
        let problem = if n_bytes == 0 {
            "it is empty"
        } else if is_at_end {
            "it ends without the end-of-archive marker: it was cut short or never finished"
        } else if holds_more(tar.into_inner()) {
            "behind its end stands more, as where archives were written one behind the other; only the first is read"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, problem))
    }

    /// A member's bytes.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Sample`] where they are too many.
    pub(crate) fn bytes(&self, range: Range) -> Result<Vec<u8>> {
        let Archive { path, is_packed } = &self.archives[range.archive];
        if range.length > LARGEST_BYTES {
            return Err(unusable(path.display().to_string(), "a member of more than 1 GiB"));
        }
        if !is_packed {
            return read_range(path, range.offset, range.length);
        }
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        let file = unpacked.as_mut().expect("a packed archive was unpacked");
        read_range_of(file, range.offset, range.length).map_err(Error::read(path))
    }
}

/// How far an archive was read.
#[derive(Clone, Copy, Default)]
struct Seen {
    n_bytes: u64,
    /// Whether more was asked for than there is. A whole archive ends with blocks of zeros, behind which nobody asks.
    is_at_end: bool,
}

/// Reads, and says how far.
struct Watched<'a, R> {
    inner: R,
    seen: &'a Cell<Seen>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let Seen { n_bytes, is_at_end } = self.seen.get();
        self.seen.set(Seen {
            n_bytes: n_bytes + n as u64,
            is_at_end: is_at_end || (n == 0 && !buffer.is_empty()),
        });
        Ok(n)
    }
}

/// Whether anything but the zeros of the last record stands behind an archive's end.
fn holds_more(mut reader: impl Read) -> bool {
    let mut buffer = [0; 1 << 13];
    loop {
        match reader.read(&mut buffer) {
            // What follows a packed archive may be no part of it.
            Ok(0) | Err(_) => return false,
            Ok(n) if buffer[..n].iter().any(|byte| *byte != 0) => return true,
            Ok(_) => {}
        }
    }
}

fn scratch_file(folder: &Path) -> Result<File> {
    tempfile::tempfile_in(folder).map_err(Error::write(&folder.join("(unpacked archives)")))
}

/// Reads, and keeps a copy of all that was read.
struct Copying<'a> {
    inner: Box<dyn Read>,
    copy: &'a mut File,
}

impl Read for Copying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.copy.write_all(&buffer[..n])?;
        Ok(n)
    }
}

/// `a/b.c.jpg` is the `c.jpg` of `a/b`; hidden names are no members.
fn key_and_ending(path: &str) -> Option<(&str, &str)> {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name_at + path[name_at..].find('.')?;
    (dot > name_at).then(|| (&path[..dot], &path[dot + 1..]))
}
