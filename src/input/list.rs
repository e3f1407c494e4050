//! A list of images: one name per entry, as `find` and `git ls-files` print them. Names are not patterns.

use std::path::{Path, PathBuf};

use super::folder::is_named_like_a_picture;
use super::item::one;
use super::{InputOptions, Item, Items, named, split};
use crate::error::{Error, in_words};
use crate::plain_text::without_mark;

/// What separates the names of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Separator {
    /// The end of a line, with or without a carriage return.
    #[default]
    Line,
    /// A zero byte, as from `find -print0`.
    Nul,
}

/// The longest line that is read: a record with a large image in base64.
const LONGEST_ENTRY_BYTES: u64 = 1 << 30;

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
            refused(list.display().to_string(), error, &options)
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
pub(super) fn open(list: &Path) -> Result<Box<dyn std::io::BufRead + Send>, Error> {
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
}

/// Where a list can't be read any further, and why.
pub(super) struct Broken(pub(super) String, pub(super) Error);

/// The entries of a list that are not empty, up to the first that can't be read.
pub(super) struct Entries {
    reader: Option<Box<dyn std::io::BufRead + Send>>,
    separator: u8,
    list: PathBuf,
    line: u64,
}

impl Entries {
    pub(super) fn new(reader: Box<dyn std::io::BufRead + Send>, separator: Separator, list: &Path) -> Self {
        Entries {
            reader: Some(reader),
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

    fn broken(&mut self, source: std::io::Error) -> Broken {
        self.reader = None;
        Broken(Entries::place(&self.list, self.line), Error::read(&self.list)(source))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        use std::io::{BufRead, Read};
        loop {
            let reader = self.reader.as_mut()?;
            self.line += 1;
            let mut bytes = Vec::new();
            match reader.take(LONGEST_ENTRY_BYTES).read_until(self.separator, &mut bytes) {
                Ok(0) => return None,
                Ok(n) if n as u64 == LONGEST_ENTRY_BYTES => {
                    return Some(Err(self.broken(std::io::Error::other("a line of more than 1 GiB"))));
                }
                Ok(_) => {}
                Err(source) => return Some(Err(self.broken(source))),
            }
            if self.line == 1 {
                let n_mark = bytes.len() - without_mark(&bytes).len();
                bytes.drain(..n_mark);
            }
            if bytes.last() == Some(&self.separator) {
                bytes.pop();
            }
            if self.separator == b'\n' && bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            if !bytes.is_empty() {
                let line = self.line;
                return Some(Ok(Entry { bytes, line }));
            }
        }
    }
}

/// A file name from bytes, which can be any on Unix.
#[cfg(unix)]
pub(super) fn name_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
pub(super) fn name_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}
