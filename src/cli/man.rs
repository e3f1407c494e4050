//! `longclip man --into DIR`: the manual pages, one file per command, made of the same descriptions as `--help`.
//!
//! For people who package or install the program; a build script could not see the commands.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use longclip::session::{Resuming, Writing};
use longclip::{Error, files};

use super::Outcome;
use super::help::{Length, command};
use super::report::Exit;
use super::targets::ForceFlag;

const EXAMPLES: &str = "\
Examples:
  longclip man --into man1
  longclip man --into ~/.local/share/man/man1
  longclip man --into man1 --force";

const EXIT_STATUS: [(&str, &str); 4] = [
    ("0", "All is done."),
    ("1", "Some inputs failed, the others are done."),
    (
        "2",
        "Nothing could be done: a flag is wrong, a folder or list is missing, or every input failed.",
    ),
    ("130", "Interrupted; a note says how to continue."),
];

const ENVIRONMENT: [(&str, &str); 8] = [
    ("LONGCLIP_MODEL", "The model to use if `--model` names none."),
    (
        "LONGCLIP_CPU",
        "The highest instruction set to use, such as avx2, neon or portable. A name that is not known lists all.",
    ),
    ("HF_HOME, HF_HUB_CACHE", "Where downloaded models are kept."),
    ("HF_TOKEN, HF_ENDPOINT", "How to reach the Hugging Face hub."),
    ("HF_HUB_OFFLINE", "If set to 1, nothing is downloaded."),
    (
        "HTTPS_PROXY, SSL_CERT_FILE",
        "The proxy, and certificates to trust, for downloads and URLs.",
    ),
    ("XDG_CACHE_HOME", "Where embeddings of labels are kept between runs."),
    (
        "NO_COLOR, CLICOLOR_FORCE",
        "Whether errors, warnings and the best label are coloured; see `--color`.",
    ),
];

const FILES: [(&str, &str); 3] = [
    (
        "checkpoints/",
        "Weights files that `--model` finds by name, here and next to the program.",
    ),
    ("~/.cache/huggingface/hub/", "Downloaded models."),
    (
        "~/.cache/longclip/",
        "Embeddings of labels of earlier runs; safe to delete.",
    ),
];

/// What defines an apostrophe. Each section begins with it, and once is enough.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Write the manual pages
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder for the pages; made if it does not exist
    ///
    /// Example: `--into ~/.local/share/man/man1`
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    #[command(flatten)]
    force: ForceFlag,
}

pub(super) fn run(args: &Args) -> Outcome {
    std::fs::create_dir_all(&args.into).with_context(|| format!("cannot make the folder `{}`", args.into.display()))?;
    let pages = pages(&args.into)?;
    let mut writing = Writing::new(args.force.existing());
    for (path, _) in &pages {
        // A page of another version is brought up to date.
        writing.target("--into", path, Resuming::Asked, |page| page.start_has(".TH longclip"))?;
    }
    for (path, page) in pages {
        files::replace(&path, |new| fs::write(new, &page).map_err(Error::write(&path)))?;
    }
    Ok(Exit::Done)
}

/// The pages of all commands, each with its file.
fn pages(folder: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut whole = command(Length::Long);
    // Names of the pages of subcommands come from this: `longclip-model-pull`.
    whole.build();
    let commands = all_commands(&whole);
    let names: Vec<String> = commands.iter().map(|command| page_name(command)).collect();
    let page = |command: &&Command| {
        let page = page(command, &names)?;
        Ok((folder.join(format!("{}.1", page_name(command))), page))
    };
    commands.iter().map(page).collect()
}

/// A command and all below it.
pub(super) fn all_commands(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    std::iter::once(command).chain(below.flat_map(all_commands)).collect()
}

fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn page(command: &Command, names: &[String]) -> anyhow::Result<Vec<u8>> {
    // The manual has all that `--help` has; flags that `-h` leaves out would have no text.
    let man = Man::new(command.clone().mut_args(|arg| arg.hide_short_help(false)));
    let man = man.source(concat!("longclip ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let Some(notes) = command.get_after_long_help() {
        rest.control("SH", ["EXAMPLES"]);
        let notes = notes.to_string();
        let lines = notes.trim_start_matches("Examples:\n").lines();
        rest.control("nf", []);
        for line in lines {
            rest.text([roman(line)]);
        }
        rest.control("fi", []);
    }
    entries(&mut rest, "EXIT STATUS", &EXIT_STATUS);
    entries(&mut rest, "ENVIRONMENT", &ENVIRONMENT);
    entries(&mut rest, "FILES", &FILES);
    let own = page_name(command);
    let others = names
        .iter()
        .filter(|name| **name != own)
        .map(|name| format!("{name}(1)"));
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(others.collect::<Vec<_>>().join(", "))]);
    rest.to_writer(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    Ok([PREAMBLE, &page.replace(PREAMBLE, "")].concat().into_bytes())
}

fn entries(roff: &mut Roff, heading: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (name, text) in entries {
        roff.control("TP", []);
        roff.text([roman(*name)]);
        roff.text([roman(*text)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_of_a_page_is_empty_and_each_page_has_the_usual_sections() {
        let pages = pages(Path::new("")).unwrap();
        assert!(pages.len() > 15, "{}", pages.len());
        for (path, page) in pages {
            let page = String::from_utf8(page).unwrap();
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "GENERAL", "EXAMPLES"] {
                assert!(
                    page.contains(&format!("\n.SH {section}\n")),
                    "{}: {section}\n{page}",
                    path.display()
                );
            }
            for section in ["EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"] {
                assert!(
                    page.contains(&format!("\n.SH \"{section}\"\n")) || page.contains(&format!("\n.SH {section}\n")),
                    "{}: {section}\n{page}",
                    path.display()
                );
            }
            let lines: Vec<&str> = page.lines().collect();
            for (i, _) in lines.iter().enumerate().filter(|(_, line)| **line == ".TP") {
                let text = lines.get(i + 2).copied().unwrap_or_default();
                assert!(
                    !text.is_empty() && !text.starts_with('.'),
                    "{}: {} has no text",
                    path.display(),
                    lines[i + 1]
                );
            }
        }
    }
}
