//! A folder of shards: each of N processes writes a file of its own, on any number of machines with one folder.
//!
//! Nothing coordinates them. A shard's file gets its name when it is complete, so if the name exists, the shard is done.
//! Until then it is a hidden file, one per attempt, since a scheduler may start a shard twice. The first process writes
//! `_longclip.json`, which says how all shards are made; a process with other settings is refused. A process that finds
//! all shards complete, now or in a later run, writes `_SUCCESS`, as Hadoop and Spark do. Readers of folders skip names
//! that begin with a dot or `_`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Verdict;
use crate::error::{Error, Result};
use crate::files::{Destination, name_new, remove_leftovers};
use crate::input::{Shard, Skipped};
use crate::text::start_of;

const SETTINGS: &str = "_longclip.json";
const SUCCESS: &str = "_SUCCESS";

/// What all shards of a folder are made with: a value for each thing that a record depends on, by its name.
pub type Facts = Map<String, Value>;

/// A folder of shards, and the one that this process is to write.
pub struct ShardFile {
    folder: PathBuf,
    shard: Shard,
    /// The ending of its files.
    ending: String,
    read: ReadSoFar,
}

/// What could be read of a shard's images.
#[derive(Default)]
struct ReadSoFar {
    has_image: bool,
    /// The error of the first one that could not be read.
    first_unread: Option<String>,
}

impl ShardFile {
    /// The file of a shard in a format, by its name.
    pub fn new(folder: &Path, shard: Shard, format: &str) -> Self {
        ShardFile {
            folder: folder.to_owned(),
            shard,
            ending: format.to_owned(),
            read: ReadSoFar::default(),
        }
    }

    /// The shard.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Agrees with the folder on what shards are made with; makes the folder if there is none.
    ///
    /// # Errors
    /// [`Error::Usage`] if its shards are made with other settings; [`Error::Read`], [`Error::Write`].
    pub fn agree(&self, mut facts: Facts) -> Result<()> {
        facts.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        facts.insert("shards".into(), self.shard.count().into());
        facts.insert("format".into(), self.ending.clone().into());
        fs::create_dir_all(&self.folder).map_err(Error::write(&self.folder))?;
        self.settle(&facts)
    }

    /// The file, if it is whole.
    pub fn done(&self) -> Option<PathBuf> {
        Some(self.path()).filter(|path| path.exists())
    }

    /// Writes the folder's settings if it has none, else compares them with ours.
    fn settle(&self, facts: &Facts) -> Result<()> {
        let path = self.folder.join(SETTINGS);
        let text = serde_json::to_string_pretty(facts).map_err(|error| Error::write(&path)(error.into()))?;
        // In one step, and only if no other process was first.
        match name_new(&path, |file| file.write_all((text + "\n").as_bytes())) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.compare(&path, facts),
            written => written.map_err(Error::write(&path)),
        }
    }

    fn compare(&self, path: &Path, here: &Facts) -> Result<()> {
        let read = Error::read(path);
        let text = fs::read(path).map_err(read)?;
        let there: Facts = serde_json::from_slice(&text).map_err(|error| read(error.into()))?;
        let names = there.keys().chain(here.keys());
        let Some(name) = names.into_iter().find(|name| given(&there, name) != given(here, name)) else {
            return Ok(());
        };
        let (there, here) = difference(given(&there, name), given(here, name));
        Err(Error::usage(
            format!(
                "`{}` holds shards made with other settings: `{name}` was {there} there and is {here} here",
                self.folder.display()
            ),
            format!("give what `{}` says, or name another folder", path.display()),
        ))
    }

    /// Opens the hidden file that this attempt writes.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn create(&self) -> Result<Destination> {
        Destination::attempt(&self.path())
    }

    /// Notes the result for an image.
    pub fn note(&mut self, verdict: &Verdict) {
        match verdict {
            // Once an image could be read, the disk is there, and unreadable images are just failures.
            Verdict::Failed(error) if !self.read.has_image && is_of_missing_disk(error) => {
                self.read.first_unread.get_or_insert_with(|| error.to_string());
            }
            Verdict::Failed(_) | Verdict::Done => self.read.has_image = true,
        }
    }

    /// Refuses to finish a shard if a folder, a list or an archive could not be read: images would be missing silently.
    /// The same if its images are all on a disk that is not mounted.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn refuse_unread(&self, skipped: &Skipped) -> Result<()> {
        if let (false, Some(first)) = (self.read.has_image, &self.read.first_unread) {
            return Err(Error::usage(
                format!(
                    "none of its images could be read, so shard {} is not kept; the first: {first}",
                    self.shard
                ),
                "make them readable, and run the shard again",
            ));
        }
        let unreadable = skipped.counts().unreadable;
        let Some(first) = unreadable.first else {
            return Ok(());
        };
        Err(Error::usage(
            format!(
                "`{first}` could not be read, so shard {} is incomplete, and was not kept",
                self.shard
            ),
            "make it readable, and run the shard again",
        ))
    }

    /// Removes what killed attempts at this shard left.
    pub fn clean_up(&self) {
        remove_leftovers(&self.path());
    }

    /// Marks the folder if this was the last shard; returns the mark if it is new.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn mark_if_last(&self) -> Result<Option<PathBuf>> {
        let end = format!("-of-{:05}.{}", self.shard.count(), self.ending);
        let entries = fs::read_dir(&self.folder).map_err(Error::write(&self.folder))?;
        let is_whole = |name: &str| name.starts_with("part-") && name.ends_with(&end);
        let n_whole = entries
            .flatten()
            .filter(|entry| is_whole(&entry.file_name().to_string_lossy()))
            .count();
        let success = self.folder.join(SUCCESS);
        if n_whole < self.shard.count() as usize || success.exists() {
            return Ok(None);
        }
        // The names of all shards must be on the disk before the mark that says so.
        let _ = File::open(&self.folder).and_then(|folder| folder.sync_all());
        File::create(&success).map_err(Error::write(&success))?;
        Ok(Some(success))
    }

    fn file_name(&self) -> String {
        format!(
            "part-{:05}-of-{:05}.{}",
            self.shard.index(),
            self.shard.count(),
            self.ending
        )
    }

    fn path(&self) -> PathBuf {
        self.folder.join(self.file_name())
    }
}

/// Whether a file could not be read because its disk is missing or fails. A file that is missing alone, in a folder with
/// others, is an image that failed.
fn is_of_missing_disk(error: &Error) -> bool {
    let Error::Read { path, source } = error else {
        return false;
    };
    match source.kind() {
        io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(path).join(".");
            fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
        }
        io::ErrorKind::OutOfMemory
        | io::ErrorKind::InvalidData
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other => false,
        _ => true,
    }
}

/// A fact, unless it only says that a flag was not given: the flag may be newer than the folder.
fn given<'a>(facts: &'a Facts, name: &str) -> Option<&'a Value> {
    facts.get(name).filter(|value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(values) => !values.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) | Value::Object(_) => true,
    })
}

/// What is different in two values, short enough for a line.
fn difference(there: Option<&Value>, here: Option<&Value>) -> (String, String) {
    let (Some(Value::Array(one)), Some(Value::Array(other))) = (there, here) else {
        return (shown(there), shown(here));
    };
    match one.iter().zip(other).position(|(one, other)| one != other) {
        Some(i) => (format!("{} in place {}", shown(one.get(i)), i + 1), shown(other.get(i))),
        None => (format!("a list of {}", one.len()), format!("one of {}", other.len())),
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "not given".into(),
        Some(Value::String(text)) => format!("`{}`", start_of(text)),
        Some(value) => format!("`{}`", start_of(&value.to_string())),
    }
}
