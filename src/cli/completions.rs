//! `longclip completions SHELL`: a completion script on stdout.

use std::io;

use clap_complete::Shell;

use super::report::Exit;
use super::{Outcome, command};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  longclip completions bash > ~/.local/share/bash-completion/completions/longclip")]
pub(super) struct Args {
    /// The shell to complete in
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "longclip", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(Exit::Done)
}
