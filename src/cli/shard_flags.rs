//! `--shard I/N`: the part of the input for one of several processes.

use std::path::Path;

use longclip::Result;
use longclip::input::{Shard, Unit};
use longclip::session::shards::Facts;
use longclip::session::{OutputPlace, OutputPlan};
use serde::Serialize;

use super::hint::reason;
use super::named::named;
use super::report::Report;

/// Which part of the input is read.
#[derive(Debug, Clone, clap::Args, Serialize)]
pub(super) struct ShardFlags {
    /// Read only part I of N of the images, from 0 to N-1
    ///
    /// For N processes on one or more machines, each with its own I: together they read all images, each once. A hash
    /// of an image's name decides where it belongs. Example: `--shard 0/8`
    // Each process has its own; that N is the same is checked with the folder.
    #[serde(skip)]
    #[arg(long, value_name = "I/N", value_parser = parse_shard, hide_short_help = true)]
    shard: Option<Shard>,
    /// What a shard is made of: images, or whole archives
    ///
    /// With archives, each archive is read by one process only. Example: `--shard-by archive`
    #[arg(
        long,
        value_name = "UNIT",
        default_value_t,
        value_parser = named::<Unit>(),
        requires = "shard",
        hide_short_help = true
    )]
    shard_by: Unit,
}

impl ShardFlags {
    /// The shard that was asked for, if one was.
    pub(super) fn shard(&self) -> Option<Shard> {
        self.shard.map(|shard| shard.by(self.shard_by))
    }
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    Shard::parse(text).map_err(|error| reason(&error))
}

/// Whether this is a shard that is written already; agrees with its folder on what all shards are made with.
pub(super) fn is_done(output: &OutputPlan, facts: impl FnOnce() -> Facts, report: Report) -> Result<bool> {
    let OutputPlace::Shard(shard, _) = &output.place else {
        return Ok(false);
    };
    shard.agree(facts())?;
    let Some(path) = shard.done() else { return Ok(false) };
    report.note(format!("shard {} is done already: `{}`", shard.shard(), path.display()));
    if let Some(mark) = shard.mark_if_last()? {
        say_that_all_are_there(shard.shard().count(), &mark, report);
    }
    Ok(true)
}

/// Reports that all shards of a folder are there.
pub(super) fn say_that_all_are_there(n_shards: u32, mark: &Path, report: Report) {
    report.note(format!("all {n_shards} shards are there: `{}`", mark.display()));
}
