//! An index of WebDataset tars: which files a sample has, and where each is in its archive.
//!
//! The files of one sample follow each other and share their name up to the first dot, the key. Archives are scanned once. One
//! that is compressed with gzip or zstd can only be read from front to back, so it is unpacked into an unnamed file of the
//! scratch folder, which disappears with the process.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::unusable::unusable;
use crate::error::{Error, Result, in_words};
use crate::input::archive::{self, Earlier};
use crate::input::is_image_ending;
use crate::input::limit::Unread;
use crate::input::tar::{self, Member, Place};

/// Archives whose members can be read in any order.
pub(super) struct TarIndex {
    archives: Vec<Archive>,
    /// The contents of packed archives, in sequence.
    unpacked: Mutex<Option<File>>,
}

struct Archive {
    path: PathBuf,
    is_packed: bool,
}

/// Where a member is.
#[derive(Debug, Clone)]
pub(super) struct MemberSpan {
    archive: usize,
    place: Place,
}

impl MemberSpan {
    /// Adds where it begins in its archive, and how long it is.
    pub(super) fn outline(&self, hash: &mut Sha256) {
        hash.update(self.place.offset.to_le_bytes());
        hash.update(self.place.size.to_le_bytes());
    }

    fn end(&self) -> u64 {
        self.place.offset.saturating_add(self.place.stored_bytes())
    }
}

/// What archives hold, in order.
pub(super) enum Found<'a> {
    /// All members of a key.
    Key(Group<'a>),
    /// An archive's end, or the damage that ends it: what comes before the damage is whole.
    End(&'a Path, Option<io::Error>),
}

/// The members of one key.
pub(super) struct Group<'a> {
    path: &'a Path,
    /// The beginning that their names share.
    key: &'a str,
    /// The ending of each, in lower case, and its place.
    members: &'a [(String, MemberSpan)],
}

impl Group<'_> {
    /// The last member with this ending.
    pub(super) fn member(&self, ending: &str) -> Option<MemberSpan> {
        let mut found = self.members.iter().rev();
        found.find(|(other, _)| other == ending).map(|(_, span)| span.clone())
    }

    /// The last member that is an image.
    pub(super) fn image(&self) -> Option<MemberSpan> {
        let mut found = self.members.iter().rev();
        found
            .find(|(ending, _)| is_image_ending(ending))
            .map(|(_, span)| span.clone())
    }

    /// What messages call the sample.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.path.display(), self.key)
    }
}

impl TarIndex {
    /// The archive that a member is in.
    pub(super) fn archive(&self, member: &MemberSpan) -> &Path {
        &self.archives[member.archive].path
    }

    /// Looks archives through; `see` is called with all that they hold.
    ///
    /// # Errors
    /// [`Error::Read`] if an archive can't be opened, [`Error::Write`] if there is no room to unpack one.
    pub(super) fn open(paths: &[PathBuf], scratch: &Path, mut see: impl FnMut(Found<'_>)) -> Result<Self> {
        let mut index = TarIndex {
            archives: Vec::new(),
            unpacked: Mutex::new(None),
        };
        let mut unpacked: Option<File> = None;
        for path in paths {
            let mut reader = BufReader::with_capacity(1 << 18, File::open(path).map_err(Error::read(path))?);
            let is_packed = archive::is_packed(reader.fill_buf().map_err(Error::read(path))?);
            index.archives.push(Archive {
                path: path.clone(),
                is_packed,
            });
            let looked = if is_packed {
                if unpacked.is_none() {
                    unpacked = Some(scratch_file(scratch)?);
                }
                let file = unpacked.as_mut().expect("made a line above");
                let begin = file.metadata().map_err(Error::read(path))?.len();
                let inner = archive::unpacked(reader).map_err(Error::read(path))?;
                index.look_through(Copying { inner, copy: file }, begin, &mut see)
            } else {
                index.look_through(reader, 0, &mut see)
            };
            see(Found::End(path, looked.err()));
        }
        index.unpacked = Mutex::new(unpacked);
        Ok(index)
    }

    /// Finds the members of the last archive; `begin` is where its first byte will be read again.
    fn look_through(&self, reader: impl Read, begin: u64, see: &mut impl FnMut(Found<'_>)) -> io::Result<()> {
        let path = &self.archives[self.archives.len() - 1].path;
        let mut tar = tar::Archive::new(reader);
        let mut earlier = Earlier::of(Some(path.clone()));
        let (mut key, mut members) = (String::new(), Vec::<(String, MemberSpan)>::new());
        let mut close = |key: &str, members: &mut Vec<(String, MemberSpan)>| {
            if !members.is_empty() {
                see(Found::Key(Group { path, key, members }));
                members.clear();
            }
        };
        loop {
            let member = match tar.next() {
                Ok(Some(member)) => member,
                Ok(None) => break,
                Err(error) => {
                    let is_whole = |(_, span): &(_, MemberSpan)| span.end() <= begin + tar.position();
                    // If the damage is in a member, its sample is damaged too.
                    if members.last().is_some_and(is_whole) {
                        close(&key, &mut members);
                    }
                    return Err(error);
                }
            };
            let Some(place) = content_of(&member, &mut earlier) else {
                continue;
            };
            let name = in_words(archive::name_of(&member));
            let Some((its_key, ending)) = key_and_ending(&name) else {
                continue;
            };
            let ending = ending.to_lowercase();
            // A key that has this member already is that of another sample, which follows directly.
            if its_key != key || members.iter().any(|(known, _)| *known == ending) {
                close(&key, &mut members);
                its_key.clone_into(&mut key);
            }
            let span = MemberSpan {
                archive: self.archives.len() - 1,
                place: place.moved(begin),
            };
            members.push((ending, span));
        }
        close(&key, &mut members);
        let problem = if tar.position() == 0 {
            "it is empty"
        } else if !tar.has_end_marker() {
            "it ends without the end-of-archive marker: it was cut short or never finished"
        } else if tar.has_trailing_data() {
            "it continues after its end with what is not an archive"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, problem))
    }

    /// A member's bytes.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Sample`] if there are too many.
    pub(super) fn bytes(&self, span: &MemberSpan) -> Result<Vec<u8>> {
        let Archive { path, is_packed } = &self.archives[span.archive];
        let read = || -> Result<Vec<u8>, Unread> {
            if !is_packed {
                return archive::read_at(File::open(path)?, &span.place);
            }
            let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
            let file = unpacked.as_mut().expect("a packed archive was unpacked");
            archive::read_at(file, &span.place)
        };
        read().map_err(|unread| match unread {
            Unread::TooMany => unusable(path.display().to_string(), "a member of more than 1 GiB"),
            Unread::Failed(source) => Error::read(path)(source),
        })
    }
}

/// Where a member's content is: its own, or that of the earlier file which it is another name of.
fn content_of(member: &Member, earlier: &mut Earlier) -> Option<Place> {
    match member.kind {
        tar::Kind::File => {
            earlier.note_place(member);
            Some(member.place.clone())
        }
        tar::Kind::HardLink => {
            let found = earlier.find(&member.target)?;
            earlier.note_link(&member.name, &found);
            found.into_place()
        }
        tar::Kind::SymbolicLink | tar::Kind::Nothing | tar::Kind::Other => None,
    }
}

fn scratch_file(folder: &Path) -> Result<File> {
    tempfile::tempfile_in(folder).map_err(Error::write(&folder.join("(unpacked archives)")))
}

/// A reader that writes a copy of all that it reads.
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

/// `a/b.c.jpg` is the `c.jpg` of `a/b`; hidden names are ignored.
fn key_and_ending(path: &str) -> Option<(&str, &str)> {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name_at + path[name_at..].find('.')?;
    (dot > name_at).then(|| (&path[..dot], &path[dot + 1..]))
}

#[cfg(test)]
mod tests {
    use crate::data::kind::Purpose;
    use crate::data::testing::{check_said, file, read};
    use crate::input::testing::archive_of;

    /// Two samples, in blocks of 512 bytes: `1.jpg`'s header and bytes, `1.txt`'s, `2.jpg`'s, `2.txt`'s, and the marker.
    fn two() -> Vec<u8> {
        archive_of(&[
            ("1.jpg", b"one"),
            ("1.txt", b"A cat."),
            ("2.jpg", b"two"),
            ("2.txt", b"A dog."),
        ])
    }

    #[track_caller]
    fn check_tar(bytes: &[u8], n_samples: usize, expected: &[&str]) {
        let (_dir, path) = file("b.tar", bytes);
        let (samples, problems) = read(&path, Purpose::Training);
        assert_eq!(samples.len(), n_samples);
        assert!(
            samples
                .iter()
                .all(|sample| sample.image.read().is_ok_and(|image| image.len() == 3))
        );
        check_said(&problems, expected);
    }

    #[test]
    fn damage_is_reported_with_the_number_of_samples_before_it() {
        let whole = two();
        check_tar(&whole, 2, &[]);
        // In the bytes of `2.txt`, in its header, and after its header.
        for (cut, expected) in [
            (
                7 * 512 + 3,
                "it is cut in the middle of a member; the 1 sample before that is used",
            ),
            (
                6 * 512 + 100,
                "it is cut in the middle of a member's header; the 1 sample before",
            ),
            (7 * 512, "it is cut in the middle of a member; the 1 sample before"),
        ] {
            check_tar(&whole[..cut], 1, &[expected]);
        }
        let mut bad_header = whole.clone();
        bad_header[4 * 512] ^= 1;
        check_tar(&bad_header, 1, &["damaged: a member's header"]);
        // If nothing is missing but the marker, and if another archive follows.
        check_tar(
            &whole[..8 * 512],
            2,
            &["without the end-of-archive marker: it was cut short or never finished; the 2 samples"],
        );
        check_tar(
            &[whole.as_slice(), &[b'x'; 600]].concat(),
            2,
            &["it continues after its end"],
        );
        // Joined archives are read one after another, as GNU tar does with `--ignore-zeros`.
        check_tar(&[whole.as_slice(), &whole].concat(), 4, &[]);
        // The zeros that fill the last block do no harm, and one zero block is an end.
        check_tar(&[whole.as_slice(), &[0; 9000]].concat(), 2, &[]);
        check_tar(&whole[..9 * 512], 2, &[]);
        let packed = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        check_tar(&packed(&whole[..8 * 512]), 2, &["without the end-of-archive marker"]);
        check_tar(&packed(&whole[..7 * 512]), 1, &["it is cut"]);
    }

    #[test]
    fn hard_links_have_the_content_of_their_files() {
        let mut builder = ::tar::Builder::new(Vec::new());
        let mut header = ::tar::Header::new_gnu();
        header.set_size(3);
        builder.append_data(&mut header, "a/1.jpg", &b"one"[..]).unwrap();
        header.set_size(6);
        builder.append_data(&mut header, "a/1.txt", &b"A cat."[..]).unwrap();
        for (name, target) in [
            ("b/2.jpg", "a/1.jpg"),
            ("b/2.txt", "./a/1.txt"),
            ("b/3.jpg", "gone.jpg"),
        ] {
            let mut link = ::tar::Header::new_gnu();
            link.set_entry_type(::tar::EntryType::Link);
            link.set_size(0);
            builder.append_link(&mut link, name, target).unwrap();
        }
        let whole = builder.into_inner().unwrap();
        check_tar(&whole, 2, &[]);
        check_tar(&zstd::encode_all(whole.as_slice(), 1).unwrap(), 2, &[]);
    }
}
