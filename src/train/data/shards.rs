//! WebDataset tars: the files of one sample stand one behind the other and share a name up to the first dot.
//!
//! `KEY.jpg` (or another picture) with `KEY.txt`, the caption, or `KEY.json`, a record as in `records.rs` without a path
//! (img2dataset writes both). An archive is looked through once for where its members lie. One that is packed with gzip
//! or zstd can only be read from front to back, so it is unpacked into a nameless file of the scratch folder, and is gone
//! with the process.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::{DataOptions, Sample, Source, Unusable, read_range, read_range_of, unusable};
use crate::error::{Error, Result};
use crate::input::archive;
use crate::input::content::LARGEST_BYTES;
use crate::text::first_sentence;

const PICTURES: [&str; 9] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm"];

pub(super) struct Shards {
    archives: Vec<Archive>,
    /// What packed archives held, one behind the other.
    unpacked: Mutex<Option<File>>,
    samples: Vec<Member>,
}

struct Archive {
    path: PathBuf,
    is_packed: bool,
}

/// Where a sample lies.
struct Member {
    archive: usize,
    key: Box<str>,
    picture: Range,
    caption: Caption,
}

#[derive(Clone, Copy)]
struct Range {
    offset: u64,
    length: u64,
}

enum Caption {
    Text(Range),
    Record(Range),
}

pub(super) fn open(paths: &[PathBuf], options: &DataOptions, skipped: &mut Vec<Unusable>) -> Result<Shards> {
    let mut shards = Shards {
        archives: Vec::new(),
        unpacked: Mutex::new(None),
        samples: Vec::new(),
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
                unpacked = Some(scratch_file(&options.scratch)?);
            }
            let file = unpacked.as_mut().expect("made a line above");
            let begin = file.metadata().map_err(unreadable)?.len();
            let inner = archive::unpacked(reader).map_err(unreadable)?;
            shards.look_through(Copying { inner, copy: file }, begin, skipped)
        } else {
            shards.look_through(reader, 0, skipped)
        };
        if let Err(source) = looked {
            // What stands before the damage is whole.
            let sample = path.display().to_string();
            let error = unreadable(source);
            skipped.push(Unusable { sample, error });
        }
    }
    shards.unpacked = Mutex::new(unpacked);
    Ok(shards)
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

/// The members of one key, as far as they were met.
#[derive(Default)]
struct Group {
    key: String,
    picture: Option<Range>,
    text: Option<Range>,
    record: Option<Range>,
}

impl Shards {
    /// Finds the samples of an archive; `begin` is where its first byte will be read again.
    fn look_through(&mut self, reader: impl Read, begin: u64, skipped: &mut Vec<Unusable>) -> io::Result<()> {
        let mut archive = tar::Archive::new(reader);
        let mut group = Group::default();
        for member in archive.entries()? {
            let member = match member {
                Ok(member) => member,
                Err(error) => {
                    self.close(group, skipped);
                    return Err(error);
                }
            };
            if !member.header().entry_type().is_file() {
                continue;
            }
            let path = member.path()?.to_string_lossy().into_owned();
            let Some((key, ending)) = key_and_ending(&path) else {
                continue;
            };
            let range = Range {
                offset: begin + member.raw_file_position(),
                length: member.size(),
            };
            if key != group.key {
                let key = key.to_owned();
                let done = std::mem::replace(
                    &mut group,
                    Group {
                        key,
                        ..Group::default()
                    },
                );
                self.close(done, skipped);
            }
            match ending.to_lowercase().as_str() {
                "txt" => group.text = Some(range),
                "json" => group.record = Some(range),
                ending if PICTURES.contains(&ending) => group.picture = Some(range),
                _ => {}
            }
        }
        self.close(group, skipped);
        Ok(())
    }

    /// All members of a key were met.
    fn close(&mut self, group: Group, skipped: &mut Vec<Unusable>) {
        let archive = self.archives.len() - 1;
        let caption = match (group.text, group.record) {
            (Some(range), _) => Some(Caption::Text(range)),
            (None, Some(range)) => Some(Caption::Record(range)),
            (None, None) => None,
        };
        let problem = match (group.picture, caption) {
            (Some(picture), Some(caption)) => {
                let key = group.key.into();
                return self.samples.push(Member {
                    archive,
                    key,
                    picture,
                    caption,
                });
            }
            (Some(_), None) => "it has no caption: a member `.txt` or `.json` beside the picture",
            (None, Some(_)) => "it has no picture: a member `.jpg` or the like beside the caption",
            (None, None) => return,
        };
        let sample = format!("{}/{}", self.archives[archive].path.display(), group.key);
        let error = unusable(sample.clone(), problem);
        skipped.push(Unusable { sample, error });
    }

    fn bytes(&self, archive: usize, range: Range) -> Result<Vec<u8>> {
        let Archive { path, is_packed } = &self.archives[archive];
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

impl Source for Shards {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn name(&self, i: usize) -> String {
        let Member { archive, key, .. } = &self.samples[i];
        format!("{}/{key}", self.archives[*archive].path.display())
    }

    fn read(&self, i: usize, _draw: u64) -> Result<Sample> {
        let Member {
            archive,
            picture,
            caption,
            ..
        } = &self.samples[i];
        let name = self.name(i);
        let (long, short, class) = match caption {
            Caption::Text(range) => (Some(text(self.bytes(*archive, *range)?, &name)?), None, None),
            Caption::Record(range) => {
                let record: Map<String, Value> = serde_json::from_slice(&self.bytes(*archive, *range)?)
                    .map_err(|error| unusable(name.clone(), format!("its `.json` is no JSON object: {error}")))?;
                let field = |key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
                let long = field("long").or_else(|| field("text")).or_else(|| field("caption"));
                (long, field("short"), field("class"))
            }
        };
        let long = long.filter(|long| !long.trim().is_empty());
        let long = long.ok_or_else(|| unusable(name.clone(), "its caption is empty"))?;
        Ok(Sample {
            picture: self.bytes(*archive, *picture)?,
            short: short.unwrap_or_else(|| first_sentence(&long).to_owned()),
            long,
            class,
            name,
        })
    }
}

fn text(bytes: Vec<u8>, name: &str) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|_| unusable(name, "its caption is no UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}').trim().to_owned())
}

/// `a/b.c.jpg` is the `c.jpg` of `a/b`; hidden names are no members.
fn key_and_ending(path: &str) -> Option<(&str, &str)> {
    let name_at = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name_at + path[name_at..].find('.')?;
    (dot > name_at).then(|| (&path[..dot], &path[dot + 1..]))
}
