//! `longclip man --into DIR`: the manual pages, a file a command, made of the same descriptions as `--help`.
//!
//! For people who package or install the program; a build script could not see the commands.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;

use super::report::Exit;
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
}

pub(super) fn run(args: &Args) -> Outcome {
    std::fs::create_dir_all(&args.into).with_context(|| format!("cannot make the folder `{}`", args.into.display()))?;
    let mut whole = command();
    // Names of the pages of subcommands come from this: `longclip-model-pull`.
    whole.build();
    write_pages(&whole, &args.into)?;
    Ok(Exit::Done)
}

/// Writes the page of a command and those of the commands under it.
fn write_pages(command: &Command, folder: &Path) -> anyhow::Result<()> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page).with_context(|| format!("cannot write `{}`", path.display()))?;
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    below.into_iter().try_for_each(|below| write_pages(below, folder))
}
