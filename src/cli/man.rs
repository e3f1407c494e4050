//! `longclip man --into DIR`: the manual pages, one file per command, made of the same descriptions as `--help`.
//!
//! For people who package or install the program; a build script could not see the commands.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use longclip::{Error, files};

use super::report::Exit;
use super::targets::{ForceFlag, Resuming, Writing};
use super::{Outcome, command};

const EXAMPLES: &str = "\
Example:
  longclip man --into ~/.local/share/man/man1 && man longclip-classify";

/// Write the manual pages
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder for the pages; made if it is not there
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    #[command(flatten)]
    force: ForceFlag,
}

pub(super) fn run(args: &Args) -> Outcome {
    std::fs::create_dir_all(&args.into).with_context(|| format!("cannot make the folder `{}`", args.into.display()))?;
    let mut whole = command();
    // Names of the pages of subcommands come from this: `longclip-model-pull`.
    whole.build();
    let pages = pages(&whole, &args.into)?;
    let mut writing = Writing::new(args.force);
    for (path, _) in &pages {
        // A page of another version is brought up to date.
        writing.target("--into", path, Resuming::Asked, |page| page.start_has(".TH longclip"))?;
    }
    for (path, page) in pages {
        files::replace(&path, |new| fs::write(new, &page).map_err(Error::write(&path)))?;
    }
    Ok(Exit::Done)
}

/// The page of a command and those of the commands under it, each with its file.
fn pages(command: &Command, folder: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut all = vec![(folder.join(format!("{name}.1")), page)];
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        all.extend(pages(below, folder)?);
    }
    Ok(all)
}
