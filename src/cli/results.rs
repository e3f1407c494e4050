//! An open output: records go in, in one format, to stdout or to a file.

use std::env;
use std::ffi::OsString;
use std::io::Write;

use longclip::Result;
use longclip::files::{Destination, Target};
use longclip::input::Skipped;
use longclip::output::{Format, Progress, Record, Settings};
use longclip::session::shards::ShardFile;
use longclip::session::{Ended, Verdict};

use super::format_choice::FormatChoice;
use super::report::Report;
use super::targets;

/// An open output.
pub(super) struct Results {
    pub(super) format: Box<dyn Format>,
    pub(super) destination: Destination,
    /// What stays of an interrupted run.
    pub(super) held: Progress,
    /// The shard whose file this is, if any, and what of its input was skipped.
    pub(super) shard: Option<(ShardFile, Skipped)>,
}

impl Results {
    /// An output that is whole or not there: stdout, or a file.
    pub(super) fn open(format: &FormatChoice, settings: &Settings, target: Option<&Target>) -> Result<Self> {
        Ok(Results {
            format: format.make(settings)?,
            destination: match target {
                Some(target) => Destination::whole(target)?,
                None => targets::stdout_for(format),
            },
            held: Progress::default(),
            shard: None,
        })
    }

    /// Leaves in a file what is held of an interrupted run, and writes what stands before the first record.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.destination.keep(self.held.end)?;
        if self.held.n_records == 0 {
            let begun = self.format.begin(&mut self.destination);
            begun.map_err(|source| self.destination.error(source))?;
        }
        Ok(())
    }

    /// A record as it would be written.
    pub(super) fn encoded(&mut self, record: &Record) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let encoded = self.format.record(record, &mut bytes);
        encoded.map_err(|source| self.destination.error(source))?;
        Ok(bytes)
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        let written = self.format.record(record, &mut self.destination);
        written.map_err(|source| self.destination.error(source))
    }

    /// Notes what a record was about, for a shard.
    pub(super) fn note(&mut self, verdict: &Verdict) {
        if let Some((shard, _)) = &mut self.shard {
            shard.note(verdict);
        }
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        let flushed = self.destination.flush();
        flushed.map_err(|source| self.destination.error(source))
    }

    /// Closes the output of a run over images.
    pub(super) fn close(self, ended: Ended, report: Report) -> Result<()> {
        match ended {
            Ended::AtTheEnd => self.finish(report),
            Ended::Interrupted | Ended::TooManyFailed => self.leave(report),
        }
    }

    /// Everything is written.
    pub(super) fn finish(mut self, report: Report) -> Result<()> {
        self.end()?;
        if let Some((shard, skipped)) = &self.shard {
            shard.refuse_unread(skipped)?;
        }
        self.destination.finish()?;
        let Some((shard, _)) = &self.shard else { return Ok(()) };
        shard.clean_up();
        mark_if_last(shard, report)
    }

    /// The run was cut short: what there is can be read, and doesn't pass as all.
    fn leave(mut self, report: Report) -> Result<()> {
        self.end()?;
        let partial = self.destination.leave()?;
        if let Some((shard, _)) = &self.shard {
            report.note(format!(
                "shard {} is incomplete, and was not kept; run the same command again",
                shard.shard()
            ));
        }
        if let Some(partial) = partial {
            report.note(format!("what was done until now is in `{}`", partial.display()));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let ended = self.format.end(&mut self.destination);
        ended.map_err(|source| self.destination.error(source))
    }
}

/// The command that continues this process's.
pub(super) fn continuing() -> String {
    resuming(env::args_os())
}

fn resuming(arguments: impl Iterator<Item = OsString>) -> String {
    let mut words = words(arguments);
    words.retain(|word| word != "--force" && word != "--resume");
    words.push("--resume".into());
    words.join(" ")
}

/// The command of this process, as a shell reads it.
pub(super) fn this_command() -> String {
    words(env::args_os()).join(" ")
}

fn words(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut words: Vec<String> = arguments.map(|argument| quoted(&argument.to_string_lossy())).collect();
    if let Some(program) = words.first_mut().filter(|program| program.ends_with("longclip")) {
        *program = "longclip".into();
    }
    words
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Marks the folder of shards if this was the last one, and reports it.
pub(super) fn mark_if_last(shard: &ShardFile, report: Report) -> Result<()> {
    if let Some(mark) = shard.mark_if_last()? {
        let n_shards = shard.shard().count();
        report.note(format!("all {n_shards} shards are there: `{}`", mark.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_continues_is_the_same_one_with_resume() {
        let command = [
            "/bin/longclip",
            "classify",
            "my photos",
            "--label",
            "it's",
            "-o",
            "a.csv",
            "--force",
        ];
        assert_eq!(
            resuming(command.into_iter().map(Into::into)),
            r"longclip classify 'my photos' --label 'it'\''s' -o a.csv --resume"
        );
    }
}
