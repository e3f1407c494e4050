//! WebDataset's tars: the files of one sample stand one behind the other and share a name up to the first dot.
//!
//! Read by training and by evaluations, each of which says what it wants of a sample's members. Archives are looked through
//! once for where their members lie. One that is packed with gzip or zstd can only be read from front to back, so it is
//! unpacked into a nameless file of the scratch folder, and is gone with the process.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::archive;
use super::content::LARGEST_BYTES;
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
}

/// The members of one key that were met.
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
    /// Looks archives through; `visit` hears of each key's members, `damaged` of an archive that can't be read to its
    /// end: what stands before the damage is whole.
    ///
    /// # Errors
    /// [`Error::Read`] where an archive isn't there, [`Error::Write`] where there is no room to unpack one.
    pub(crate) fn open(
        paths: &[PathBuf],
        scratch: &Path,
        mut visit: impl FnMut(&Group<'_>),
        mut damaged: impl FnMut(&Path, Error),
    ) -> Result<Self> {
        let mut shards = Shards {
            archives: Vec::new(),
            unpacked: Mutex::new(None),
        };
        let mut unpacked: Option<File> = None;
        for path in paths {
            let unreadable = |source| Error::Read {
                path: path.clone(),
                source,
            };
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
                shards.look_through(Copying { inner, copy: file }, begin, &mut visit)
            } else {
                shards.look_through(reader, 0, &mut visit)
            };
            if let Err(source) = looked {
                damaged(path, unreadable(source));
            }
        }
        shards.unpacked = Mutex::new(unpacked);
        Ok(shards)
    }

    /// Finds the members of the last archive; `begin` is where its first byte will be read again.
    fn look_through(&self, reader: impl Read, begin: u64, visit: &mut impl FnMut(&Group<'_>)) -> io::Result<()> {
        let path = &self.archives[self.archives.len() - 1].path;
        let mut tar = tar::Archive::new(reader);
        let (mut key, mut members) = (String::new(), Vec::new());
        let mut close = |key: &str, members: &mut Vec<(String, Range)>| {
            if !members.is_empty() {
                visit(&Group { path, key, members });
                members.clear();
            }
        };
        for member in tar.entries()? {
            let member = match member {
                Ok(member) => member,
                Err(error) => {
                    close(&key, &mut members);
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
        Ok(())
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
        read_range_of(file, range.offset, range.length).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })
    }
}

fn scratch_file(folder: &Path) -> Result<File> {
    tempfile::tempfile_in(folder).map_err(|source| Error::Write {
        path: folder.join("(unpacked archives)"),
        source,
    })
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
