//! Tar archives, plain or compressed with gzip or zstd: their images, in the archive's order.
//!
//! An archive is read once, from start to end, on its own thread, which is at most two members ahead. A member's name is
//! `shard.tar/key.jpg`, and its field `__key__` is the name up to the first dot after the last slash, which all files of one
//! sample share in WebDataset (github.com/webdataset/webdataset, `tariterators.py`).

mod links;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::folder::is_named_like_a_picture;
use super::item;
use super::limit::{Unread, admit, read_sized};
use super::tar::{Archive, Kind, Member};
use super::{Content, Deferred, Held, InputOptions, Item, Items, Name, Shard, Skipped, Unit, tar};
use crate::error::{Error, caught, in_words};
use crate::json_fields::of_name;
use crate::memory::holding;
use crate::preprocess;
pub(crate) use links::{Earlier, read_at};

/// The number of first bytes that show whether a file is an archive: a member's header.
pub(crate) const TELLING_BYTES: u64 = 512;
/// The number of first bytes that show whether a member is an image.
const START_BYTES: u64 = 64;
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// Members read ahead, so that unpacking continues while images are decoded.
const MEMBERS_AHEAD: usize = 2;
const ENDINGS: [&str; 6] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.zstd", ".tzst"];

/// Whether a name ends as archives' names do.
pub fn is_named_like_one(path: &Path) -> bool {
    let name = path.as_os_str().to_string_lossy().to_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

pub(crate) fn begins_like_one(start: &[u8]) -> bool {
    is_packed(start) || start.get(257..262) == Some(b"ustar") || tar::begins_like_an_archive(start)
}

/// Whether these first bytes are those of gzip or zstd.
pub(crate) fn is_packed(start: &[u8]) -> bool {
    start.starts_with(GZIP) || start.starts_with(ZSTD)
}

pub(super) fn file_items(path: PathBuf, options: &InputOptions) -> Items {
    let share = Share::of(&path, options);
    if share.is_elsewhere() {
        return Box::new(std::iter::empty());
    }
    match File::open(&path) {
        Ok(file) => named_items(path.clone(), Some(path), Box::new(file), options),
        Err(source) => {
            options.skipped.unreadable(&path);
            share.of_failure(Item::unusable(&path, Error::read(&path)(source)))
        }
    }
}

/// The images of an archive on stdin.
pub(super) fn items(name: PathBuf, reader: Box<dyn Read + Send>, options: &InputOptions) -> Items {
    named_items(name, None, reader, options)
}

fn named_items(name: PathBuf, file: Option<PathBuf>, reader: Box<dyn Read + Send>, options: &InputOptions) -> Items {
    let (sender, receiver) = sync_channel(MEMBERS_AHEAD);
    let share = Share::of(&name, options);
    let unpacking = Unpacking {
        name: name.clone(),
        file,
        skipped: options.skipped.clone(),
        share: share.clone(),
        sender,
    };
    let spawned = thread::Builder::new().name("archive".into()).spawn(move || {
        // A bug must end as an error, not as an archive that seems to have ended.
        let outcome =
            caught(|| unpacking.send_all(reader)).unwrap_or_else(|bug| Err(io::Error::other(bug.to_string())));
        if let Err(source) = outcome {
            let item = Item::unusable(&unpacking.name, Error::read(&unpacking.name)(source));
            for item in unpacking.share.of_failure(item) {
                // Without a receiver nobody needs the error.
                let _ = unpacking.sender.send(item);
            }
        }
    });
    match spawned {
        Ok(_) => Box::new(receiver.into_iter()),
        Err(source) => share.of_failure(Item::unusable(&name, Error::read(&name)(source))),
    }
}

/// The part of an archive that belongs to a shard. Names are the same on any machine: the archive's file name and the
/// member's key, so that the files of one sample stay together.
#[derive(Clone)]
struct Share {
    shard: Option<Shard>,
    file_name: String,
}

impl Share {
    fn of(name: &Path, options: &InputOptions) -> Self {
        Share {
            shard: options.shard,
            file_name: in_words(name.file_name().unwrap_or(name.as_os_str())),
        }
    }

    fn holds_archive(&self) -> bool {
        self.shard.is_none_or(|shard| shard.holds(&self.file_name))
    }

    /// Whether nothing of it belongs to this shard.
    fn is_elsewhere(&self) -> bool {
        self.shard.is_some_and(|shard| shard.unit() == Unit::Archive) && !self.holds_archive()
    }

    fn holds_member(&self, key: &str) -> bool {
        self.shard
            .is_none_or(|shard| match (shard.unit(), self.file_name.as_str()) {
                (Unit::Archive, _) => self.holds_archive(),
                (Unit::Picture, "-") => shard.holds(key),
                (Unit::Picture, file_name) => shard.holds(&format!("{file_name}/{key}")),
            })
    }

    /// An archive that can't be read is reported once, by the shard of its name.
    fn of_failure(&self, item: Item) -> Items {
        Box::new(self.holds_archive().then_some(item).into_iter())
    }
}

struct Unpacking {
    name: PathBuf,
    /// The archive's file, if its members can be read in any order.
    file: Option<PathBuf>,
    skipped: Skipped,
    share: Share,
    sender: SyncSender<Item>,
}

/// What an archive's members are sent as, and whether anyone still takes them.
enum Sent {
    Yes,
    NobodyReads,
}

impl Unpacking {
    fn send_all(&self, reader: Box<dyn Read + Send>) -> io::Result<()> {
        let mut reader = BufReader::new(reader);
        let is_packed = is_packed(reader.fill_buf()?);
        let mut archive = Archive::new(unpacked(reader)?);
        let mut earlier = Earlier::of(self.file.clone().filter(|_| !is_packed));
        while let Some(member) = archive.next()? {
            let sent = match member.kind {
                Kind::File => self.send_file(&member, &mut archive, &mut earlier)?,
                Kind::HardLink | Kind::SymbolicLink => self.send_link(&member, &mut earlier)?,
                Kind::Nothing => Sent::Yes,
                Kind::Other => {
                    self.skipped.member(&self.member_name(&name_of(&member)).to_string());
                    Sent::Yes
                }
            };
            if let Sent::NobodyReads = sent {
                return Ok(());
            }
        }
        if archive.has_trailing_data() {
            self.skipped
                .member(&format!("{} (data after its end)", in_words(&self.name)));
        }
        Ok(())
    }

    fn send(&self, item: Item, inner: &Path) -> Sent {
        if self.share.holds_member(&in_words(key(inner))) && self.sender.send(item).is_err() {
            return Sent::NobodyReads;
        }
        Sent::Yes
    }

    fn send_file(
        &self,
        member: &Member,
        archive: &mut Archive<Box<dyn Read>>,
        earlier: &mut Earlier,
    ) -> io::Result<Sent> {
        let inner = name_of(member);
        earlier.note_place(member);
        if is_hidden(&inner) {
            return Ok(Sent::Yes);
        }
        let name = self.member_name(&inner);
        let size = member.place.size;
        let mut content = archive.content(&member.place);
        let mut start = Vec::new();
        content.by_ref().take(START_BYTES).read_to_end(&mut start)?;
        if !is_named_like_a_picture(&inner) && !preprocess::begins_like_a_picture(&start) {
            self.skipped.not_picture(Path::new(&name.to_string()));
            return Ok(Sent::Yes);
        }
        let (read, holds) = holding(|| read_sized(io::Cursor::new(start).chain(content), size));
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(unread) => {
                let error = refused(&name.to_string(), unread)?;
                return Ok(self.send(Item::unusable(name, error), &inner));
            }
        };
        // A member that the end of the archive cuts short must not count as complete.
        if bytes.len() as u64 != size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it ends in the middle of `{name}`"),
            ));
        }
        earlier.note_bytes(&member.name, &bytes);
        Ok(self.send(item_of(name, &inner, Content::Held(Held { bytes, holds })), &inner))
    }

    /// A link has the content of the file that it names.
    fn send_link(&self, member: &Member, earlier: &mut Earlier) -> io::Result<Sent> {
        let inner = name_of(member);
        let target = match member.kind {
            Kind::SymbolicLink => links::beside(&member.name, &member.target),
            _ => member.target.clone(),
        };
        let found = earlier.find(&target);
        if let Some(found) = &found {
            earlier.note_link(&member.name, found);
        }
        if is_hidden(&inner) {
            return Ok(Sent::Yes);
        }
        let name = self.member_name(&inner);
        let Some(content) = found else {
            if member.kind == Kind::HardLink && is_named_like_a_picture(&inner) {
                let problem = format!(
                    "it is a hard link to `{}`, whose content is gone",
                    in_words(item::name_of(target.clone()))
                );
                let error = Error::Picture {
                    name: name.to_string(),
                    problem,
                    hint: Some("unpack the archive, and name the folder".into()),
                };
                return Ok(self.send(Item::unusable(name, error), &inner));
            }
            self.skipped.member(&name.to_string());
            return Ok(Sent::Yes);
        };
        if !is_named_like_a_picture(&inner) && !preprocess::begins_like_a_picture(&content.start()?) {
            self.skipped.not_picture(Path::new(&name.to_string()));
            return Ok(Sent::Yes);
        }
        let content = match content {
            links::Found::Bytes(bytes) => {
                let (admitted, holds) = holding(|| admit(bytes.len() as u64));
                match admitted {
                    Ok(()) => Content::Held(Held {
                        bytes: bytes.to_vec(),
                        holds,
                    }),
                    Err(unread) => {
                        let error = refused(&name.to_string(), unread)?;
                        return Ok(self.send(Item::unusable(name, error), &inner));
                    }
                }
            }
            links::Found::InFile(file, place) => {
                let name = name.to_string();
                Content::Deferred(Deferred::new(move || {
                    let bytes = File::open(&file)
                        .map_err(Unread::from)
                        .and_then(|file| read_at(file, &place));
                    bytes.map_err(|unread| refused(&name, unread).unwrap_or_else(Error::read(&name)))
                }))
            }
        };
        Ok(self.send(item_of(name, &inner, content), &inner))
    }

    fn member_name(&self, inner: &Path) -> Name {
        if self.name == Path::new("-") {
            return Name::from(inner);
        }
        let mut name = self.name.clone().into_os_string();
        name.push("/");
        name.push(inner);
        Name::from(Path::new(&name))
    }
}

fn item_of(name: Name, inner: &Path, content: Content) -> Item {
    let mut item = Item::new(name, content);
    item.fields.insert("__key__", of_name(key(inner).as_os_str()));
    item
}

/// Why one member can't be used, though the archive can be read on.
///
/// # Errors
/// If the archive can't be read on.
fn refused(name: &str, unread: Unread) -> io::Result<Error> {
    match unread {
        Unread::TooMany => Ok(Error::read(name)(io::Error::other("a member of more than 1 GiB"))),
        Unread::Failed(source) if source.kind() == io::ErrorKind::OutOfMemory => Ok(Error::read(name)(source)),
        Unread::Failed(source) => Err(source),
    }
}

/// A member's name.
pub(crate) fn name_of(member: &Member) -> PathBuf {
    item::name_of(member.name.clone())
}

/// Whether a part of the name begins with a dot.
fn is_hidden(inner: &Path) -> bool {
    inner.components().any(|part| {
        let part = part.as_os_str().as_encoded_bytes();
        part.starts_with(b".") && part != b"." && part != b".."
    })
}

/// The reader, decompressed if it holds gzip or zstd.
pub(crate) fn unpacked<R: Read + Send + 'static>(mut reader: BufReader<R>) -> io::Result<Box<dyn Read>> {
    let start = reader.fill_buf()?;
    if start.starts_with(GZIP) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(reader)));
    }
    if start.starts_with(ZSTD) {
        return Ok(Box::new(zstd::Decoder::with_buffer(reader)?));
    }
    Ok(Box::new(reader))
}

/// WebDataset's key of a member: `a/b` for `a/b.c.jpg`.
fn key(inner: &Path) -> PathBuf {
    let name = inner.as_os_str().as_encoded_bytes();
    let after_slash = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let dot = name[after_slash..].iter().position(|&byte| byte == b'.');
    item::name_of(name[..dot.map_or(name.len(), |dot| after_slash + dot)].to_vec())
}

#[cfg(test)]
mod tests;
