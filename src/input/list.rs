//! A list of images: one name per entry, as `find` and `git ls-files` print them. Names are not patterns.

use std::path::{Path, PathBuf};

use super::folder::is_named_like_a_picture;
use super::item::{name_of, one};
use super::limit::{Unread, read_line};
use super::{InputOptions, Item, Items, named, split};
use crate::error::{Error, in_words};
use crate::memory::{Holds, holding};
use crate::plain_text::Utf8Reader;

/// What separates the names of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Separator {
    /// The end of a line, with or without a carriage return.
    #[default]
    Line,
    /// A zero byte, as from `find -print0`.
    Nul,
}

pub(super) fn items(list: &Path, separator: Separator, options: &InputOptions) -> Items {
    let options = options.clone();
    match open(list) {
        Ok(reader) => Box::new(
            Entries::new(reader, separator, list).flat_map(move |entry| match entry {
                Ok(name) => entry_items(name_of(name.bytes), &options),
                Err(error) => refused(error.0, error.1, &options),
            }),
        ),
        Err(error) => {
            options.skipped.unreadable(list);
            refused(in_words(list), error, &options)
        }
    }
}

fn refused(name: String, error: Error, options: &InputOptions) -> Items {
    split::kept(one(Item::unusable(name, error)), options.shard, split::as_named)
}

/// The images of an entry. If it has an image's ending, its name alone says to which shard it belongs: to look at every
/// file of a list of millions, in each of a thousand shards, would take longer than the images. A folder with such a
/// name belongs to that shard as a whole.
fn entry_items(path: PathBuf, options: &InputOptions) -> Items {
    let Some(shard) = options.shard.filter(|_| is_named_like_a_picture(&path)) else {
        return named::literal(path, options);
    };
    if !shard.holds(&in_words(&path)) {
        return Box::new(std::iter::empty());
    }
    let whole = InputOptions {
        shard: None,
        ..options.clone()
    };
    named::literal(path, &whole)
}

/// Opens a list; `-` is stdin.
pub(super) fn open(list: &Path) -> Result<Reader, Error> {
    if list == Path::new("-") {
        return Ok(Box::new(std::io::BufReader::new(std::io::stdin())));
    }
    let file = std::fs::File::open(list).map_err(Error::read(list))?;
    Ok(Box::new(std::io::BufReader::new(file)))
}

/// One entry, and the number of its line, from 1.
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    pub(super) line: u64,
    /// The memory that was taken for a long line.
    pub(super) holds: Holds,
}

/// The line of an entry that can't be read, and why.
pub(super) struct Broken(pub(super) String, pub(super) Error);

/// The entries of a list that are not empty, up to where it can't be read any further.
pub(super) struct Entries {
    reader: Reading,
    separator: u8,
    list: PathBuf,
    line: u64,
}

type Reader = Box<dyn std::io::BufRead + Send>;

enum Reading {
    /// The encoding is not known yet: to look at it would wait for the first line.
    NotBegun(Reader, Separator),
    Begun(Reader),
    Ended,
}

impl Entries {
    pub(super) fn new(reader: Reader, separator: Separator, list: &Path) -> Self {
        Entries {
            reader: Reading::NotBegun(reader, separator),
            separator: match separator {
                Separator::Line => b'\n',
                Separator::Nul => 0,
            },
            list: list.to_owned(),
            line: 0,
        }
    }

    /// The name of a line for messages: `names.txt:7`.
    pub(super) fn place(list: &Path, line: u64) -> String {
        format!("{}:{line}", list.display())
    }

    fn begin(&mut self) -> std::io::Result<()> {
        self.reader = match std::mem::replace(&mut self.reader, Reading::Ended) {
            Reading::NotBegun(reader, Separator::Line) => Reading::Begun(Box::new(Utf8Reader::new(reader)?)),
            Reading::NotBegun(reader, Separator::Nul) => Reading::Begun(Box::new(Utf8Reader::of_entries(reader)?)),
            other => other,
        };
        Ok(())
    }

    fn broken(&mut self, unread: Unread) -> Broken {
        let source = match unread {
            Unread::TooMany => std::io::Error::other("a line of more than 1 GiB"),
            Unread::Failed(source) => source,
        };
        // A line that is too large for memory was skipped.
        if source.kind() != std::io::ErrorKind::OutOfMemory {
            self.reader = Reading::Ended;
        }
        Broken(Entries::place(&self.list, self.line), Error::read(&self.list)(source))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.line += 1;
            if let Err(source) = self.begin() {
                return Some(Err(self.broken(source.into())));
            }
            let Reading::Begun(reader) = &mut self.reader else {
                return None;
            };
            let (mut bytes, holds) = match holding(|| read_line(reader, self.separator)) {
                (Ok(bytes), _) if bytes.is_empty() => return None,
                (Ok(bytes), holds) => (bytes, holds),
                (Err(unread), _) => return Some(Err(self.broken(unread))),
            };
            if bytes.last() == Some(&self.separator) {
                bytes.pop();
            }
            if self.separator == b'\n' && bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            if !bytes.is_empty() {
                let line = self.line;
                return Some(Ok(Entry { bytes, line, holds }));
            }
        }
    }
}
