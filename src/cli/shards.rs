//! `--shard I/N --output DIR/`: each of N processes writes a file of its own, on any number of machines with one folder.
//!
//! Nobody coordinates them. A shard's file gets its name when it is whole, so a name that is there is a shard that is done.
//! Until then it is a hidden file, one for each attempt, since a scheduler may start a shard twice. `_longclip.json` is written
//! by the first process and says what all shards are made with; one that would be made otherwise is refused. Who finds
//! all shards there, now or in a later run, writes `_SUCCESS`, as Hadoop and Spark do. Readers of folders pass over
//! names that begin with a dot or `_`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use longclip::files::{Destination, name_new, remove_leftovers};
use longclip::input::{Inputs, Shard, Skipped, Unit};
use longclip::text::start_of;
use longclip::{Error, Result};
use serde_json::{Map, Value};

use super::input_flags::InputFlags;
use super::output_flags::{FormatChoice, OutputFlags};
use super::report::Report;

const SETTINGS: &str = "_longclip.json";
const SUCCESS: &str = "_SUCCESS";

/// What all shards of a folder are made with: a value for each thing that a record depends on, by its name.
pub(super) type Facts = Map<String, Value>;

/// A folder of shards, and the one that this process is to write.
pub(super) struct ShardFile {
    folder: PathBuf,
    shard: Shard,
    /// The ending of its files.
    ending: String,
}

impl ShardFile {
    /// The file that was asked for, where `--output` is a folder.
    pub(super) fn planned(
        input: &InputFlags,
        inputs: &Inputs,
        output: &OutputFlags,
        format: &FormatChoice,
    ) -> Result<Option<ShardFile>> {
        let Some(folder) = output.folder() else {
            return Ok(None);
        };
        let refused = |problem: String, hint: &'static str| Err(Error::usage(problem, hint));
        let Some(shard) = input.shard() else {
            return refused(
                format!("`--output {}` is a folder, and the run is one file", folder.display()),
                "name a file in it, or write shards: `--shard 0/8` to `--shard 7/8`",
            );
        };
        let FormatChoice::Named(format) = format else {
            return refused(
                "shards of a folder are files of a named format".into(),
                "choose one, as `--format parquet`",
            );
        };
        if format.name == "table" {
            return refused(
                "a table is for people, and nobody reads shards".into(),
                "choose another, as `--format parquet`",
            );
        }
        if output.resumes() {
            return refused(
                "`--resume` changes nothing: a shard is whole, or is made from its beginning".into(),
                "leave it out: a second run passes over shards that are done",
            );
        }
        // A disk that is not mounted must not look like a folder without images.
        inputs.refuse_unreadable()?;
        Ok(Some(ShardFile {
            folder: folder.to_owned(),
            shard,
            ending: format.name.to_owned(),
        }))
    }

    /// Agrees with the folder on what shards are made with; says whether this one is there already.
    pub(super) fn is_done(&self, mut facts: Facts, report: Report) -> Result<bool> {
        facts.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        facts.insert("shards".into(), self.shard.count().into());
        facts.insert("format".into(), self.ending.clone().into());
        let unit = match self.shard.unit() {
            Unit::Picture => "picture",
            Unit::Archive => "archive",
        };
        facts.insert("shard_by".into(), unit.into());
        fs::create_dir_all(&self.folder).map_err(Error::write(&self.folder))?;
        self.agree(&facts)?;
        let path = self.path();
        let is_done = path.exists();
        if is_done {
            report.note(format!("shard {} is done already: `{}`", self.shard, path.display()));
            self.say_if_all_are_there(report)?;
        }
        Ok(is_done)
    }

    /// Writes the folder's settings, if it has none, else holds ours against them.
    fn agree(&self, facts: &Facts) -> Result<()> {
        let path = self.folder.join(SETTINGS);
        let text = serde_json::to_string_pretty(facts).map_err(|error| Error::write(&path)(error.into()))?;
        // Whole, and only if nobody was earlier.
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
        let Some(name) = names.into_iter().find(|name| there.get(*name) != here.get(*name)) else {
            return Ok(());
        };
        let (there, here) = difference(there.get(name), here.get(name));
        Err(Error::usage(
            format!(
                "`{}` holds shards that were made otherwise: `{name}` was {there} there and is {here} here",
                self.folder.display()
            ),
            format!("give what `{}` says, or name another folder", path.display()),
        ))
    }

    /// Opens the hidden file that this attempt writes.
    pub(super) fn create(&self) -> Result<Destination> {
        Destination::attempt(&self.path())
    }

    /// Refuses to finish a shard if a folder, a list or an archive could not be read: images would be missing silently.
    pub(super) fn refuse_unread(&self, skipped: &Skipped) -> Result<()> {
        let unreadable = skipped.counts().unreadable;
        let Some(first) = unreadable.first else {
            return Ok(());
        };
        Err(Error::usage(
            format!(
                "`{first}` could not be read, so shard {} is not whole, and not kept",
                self.shard
            ),
            "make it readable, and run the shard again",
        ))
    }

    /// The file has its name: what other attempts left is removed, and if it was the last, that is said.
    pub(super) fn is_whole(&self, report: Report) -> Result<()> {
        remove_leftovers(&self.path());
        self.say_if_all_are_there(report)
    }

    /// The run was cut short, and what there was is removed: it can't be continued.
    pub(super) fn is_given_up(&self, report: Report) {
        report.note(format!("shard {} is not whole, and not kept", self.shard));
    }

    fn say_if_all_are_there(&self, report: Report) -> Result<()> {
        let end = format!("-of-{:05}.{}", self.shard.count(), self.ending);
        let entries = fs::read_dir(&self.folder).map_err(Error::write(&self.folder))?;
        let is_whole = |name: &str| name.starts_with("part-") && name.ends_with(&end);
        let n_whole = entries
            .flatten()
            .filter(|entry| is_whole(&entry.file_name().to_string_lossy()))
            .count();
        let success = self.folder.join(SUCCESS);
        if n_whole < self.shard.count() as usize || success.exists() {
            return Ok(());
        }
        // The names of all shards must be on the disk before the word that they are.
        let _ = File::open(&self.folder).and_then(|folder| folder.sync_all());
        File::create(&success).map_err(Error::write(&success))?;
        report.note(format!("all {n_whole} shards are there: `{}`", success.display()));
        Ok(())
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
