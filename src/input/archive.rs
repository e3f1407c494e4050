//! Tar archives, plain or compressed with gzip or zstd: their images, in the archive's order.
//!
//! An archive is read once, from start to end, on its own thread, which is at most two members ahead. A member's name is
//! `shard.tar/key.jpg`, and its field `__key__` is the name up to the first dot after the last slash, which all files of one
//! sample share in WebDataset (github.com/webdataset/webdataset, `tariterators.py`).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::folder::is_named_like_a_picture;
use super::limit::{LARGEST_BYTES, read_at_most};
use super::{Content, InputOptions, Item, Items, Shard, Skipped, Unit};
use crate::error::Error;
use crate::preprocess;

/// The number of first bytes that show whether a file is an archive: a tar header's magic number is at byte 257.
pub(crate) const TELLING_BYTES: u64 = 265;
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
    is_packed(start) || start.get(257..262) == Some(b"ustar")
}

/// Whether these first bytes are those of gzip or zstd.
pub(crate) fn is_packed(start: &[u8]) -> bool {
    start.starts_with(GZIP) || start.starts_with(ZSTD)
}

pub(super) fn file_items(path: PathBuf, options: &InputOptions) -> Items {
    let name = path.display().to_string();
    let share = Share::of(&name, options);
    if share.is_elsewhere() {
        return Box::new(std::iter::empty());
    }
    match File::open(&path) {
        Ok(file) => items(name, Box::new(file), options),
        Err(source) => {
            options.skipped.unreadable(&path);
            share.of_failure(Item::unusable(name, Error::read(&path)(source)))
        }
    }
}

/// The images of an archive in `reader`, whose name is `name`; `-` is stdin.
pub(super) fn items(name: String, reader: Box<dyn Read + Send>, options: &InputOptions) -> Items {
    let (sender, receiver) = sync_channel(MEMBERS_AHEAD);
    let share = Share::of(&name, options);
    let unpacking = Unpacking {
        name: name.clone(),
        skipped: options.skipped.clone(),
        share: share.clone(),
        sender,
    };
    let spawned = thread::Builder::new().name("archive".into()).spawn(move || {
        if let Err(source) = unpacking.send_all(reader) {
            let item = Item::unusable(unpacking.name.clone(), Error::read(&unpacking.name)(source));
            for item in unpacking.share.of_failure(item) {
                // Without a receiver nobody needs the error.
                let _ = unpacking.sender.send(item);
            }
        }
    });
    match spawned {
        Ok(_) => Box::new(receiver.into_iter()),
        Err(source) => share.of_failure(Item::unusable(name.clone(), Error::read(&name)(source))),
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
    fn of(name: &str, options: &InputOptions) -> Self {
        let file_name = name.rsplit(std::path::is_separator).next().unwrap_or(name);
        Share {
            shard: options.shard,
            file_name: file_name.to_owned(),
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
    name: String,
    skipped: Skipped,
    share: Share,
    sender: SyncSender<Item>,
}

impl Unpacking {
    fn send_all(&self, reader: Box<dyn Read + Send>) -> io::Result<()> {
        let mut archive = tar::Archive::new(unpacked(BufReader::new(reader))?);
        for member in archive.entries()? {
            let mut member = member.map_err(damage)?;
            if !member.header().entry_type().is_file() {
                continue;
            }
            let inner = member.path()?.into_owned();
            let Some(item) = self.item(&inner, &mut member)? else {
                continue;
            };
            if self.share.holds_member(&key(&inner)) && self.sender.send(item).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn item(&self, inner: &Path, member: &mut tar::Entry<'_, impl Read>) -> io::Result<Option<Item>> {
        let is_hidden = |part: std::path::Component<'_>| {
            let part = part.as_os_str().as_encoded_bytes();
            part.starts_with(b".") && part != b"." && part != b".."
        };
        if inner.components().any(is_hidden) {
            return Ok(None);
        }
        let name = self.member_name(inner);
        if member.size() > LARGEST_BYTES {
            let error = Error::read(&name)(io::Error::other("a member of more than 1 GiB"));
            return Ok(Some(Item::unusable(name, error)));
        }
        let mut start = Vec::new();
        member.by_ref().take(64).read_to_end(&mut start)?;
        if !is_named_like_a_picture(inner) && !preprocess::begins_like_a_picture(&start) {
            self.skipped.not_picture(Path::new(&name));
            return Ok(None);
        }
        // A member that the end of the archive cuts short must not count as complete.
        let size = member.size();
        let bytes = read_at_most(io::Cursor::new(start).chain(member))?.unwrap_or_default();
        if bytes.len() as u64 != size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it ends in the middle of `{name}`"),
            ));
        }
        let mut item = Item::new(name, Content::Bytes(bytes));
        item.fields.insert("__key__", key(inner));
        Ok(Some(item))
    }

    fn member_name(&self, inner: &Path) -> String {
        if self.name == "-" {
            return inner.display().to_string();
        }
        format!("{}/{}", self.name, inner.display())
    }
}

/// An error of the tar reader in plain words; for a damaged header, the reader quotes its bytes.
pub(crate) fn damage(error: io::Error) -> io::Error {
    let said = error.to_string();
    let quotes_bytes = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    let problem = match said.as_str() {
        "unexpected EOF during skip" => "it is cut in the middle of a member",
        "failed to read entire block" => "it is cut in the middle of a member's header",
        "archive header checksum mismatch" => {
            "it is not a tar archive, or is damaged: a member's header has another checksum"
        }
        other if other.contains(quotes_bytes) => {
            "it is not a tar archive, or is damaged: a header has no numbers in their places"
        }
        _ => return error,
    };
    io::Error::new(error.kind(), problem)
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
fn key(inner: &Path) -> String {
    let name = inner.to_string_lossy();
    let after_slash = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[after_slash..].find('.') {
        Some(dot) => name[..after_slash + dot].to_owned(),
        None => name.into_owned(),
    }
}
