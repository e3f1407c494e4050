//! Tips for flags that other programs have under another name: `--recursive`, `--jobs`, `--overwrite`.
//!
//! A tip made of similar letters alone would name `--resume` for `--recursive`.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, Error};

use super::typed::called;

/// A flag by the names that it has elsewhere.
struct Elsewhere {
    names: &'static [&'static str],
    /// The flag of ours, without `--`: the tip is for commands that have it.
    here: &'static str,
    tip: &'static str,
}

const ELSEWHERE: [Elsewhere; 11] = [
    Elsewhere {
        names: &["-r", "-R", "--recursive", "--recurse"],
        here: "max-depth",
        tip: "folders are searched with all folders in them; `--max-depth 1` reads only their own files",
    },
    Elsewhere {
        names: &["-i", "--input", "--image", "--images"],
        here: "files-from",
        tip: "images are named without a flag; `--files-from` reads their names from a file",
    },
    Elsewhere {
        names: &[
            "--class",
            "--classes",
            "--prompt",
            "--prompts",
            "--text",
            "--texts",
            "--queries",
        ],
        here: "labels-file",
        tip: "`--labels` takes the texts to choose from, `--labels-file` reads them from a file",
    },
    Elsewhere {
        names: &["-j", "--jobs", "--workers", "--num-workers"],
        here: "threads",
        tip: "`--threads` says how many threads compute",
    },
    Elsewhere {
        names: &["--gpu", "--cuda"],
        here: "device",
        tip: "`--device cuda` computes on a GPU, if the program is built for it",
    },
    Elsewhere {
        names: &["-n", "--limit", "--top", "--results", "--num-results"],
        here: "top-k",
        tip: "`--top-k` says how many are printed",
    },
    Elsewhere {
        names: &["-y", "--yes", "--overwrite"],
        here: "force",
        tip: "`--force` replaces files that exist",
    },
    Elsewhere {
        names: &["--continue"],
        here: "resume",
        tip: "`--resume` continues an interrupted run",
    },
    Elsewhere {
        names: &["--silent"],
        here: "quiet",
        tip: "`--quiet` prints errors only",
    },
    Elsewhere {
        names: &["--debug"],
        here: "verbose",
        tip: "`--verbose` prints more on stderr",
    },
    Elsewhere {
        names: &["--no-color", "--no-colour"],
        here: "color",
        tip: "`--color never` prints without colours",
    },
];

/// Parses words; an error about a flag has the tip that fits.
pub(super) fn matches(words: &[OsString], mut command: Command) -> Result<ArgMatches, Error> {
    let parsed = command.try_get_matches_from_mut(words);
    parsed.map_err(|error| match called(words, &command) {
        Some(called) => with_tip(error, called),
        None => error,
    })
}

/// Whether a command has this long flag. Parsing gives it those of all commands.
fn has(command: &Command, flag: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some(flag))
}

fn with_tip(mut error: Error, called: &Command) -> Error {
    let unknown = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(unknown))) => unknown.clone(),
        _ => return error,
    };
    let is_meant = |other: &&Elsewhere| other.names.contains(&unknown.as_str()) && has(called, other.here);
    if let Some(other) = ELSEWHERE.iter().find(is_meant) {
        error.remove(ContextKind::SuggestedArg);
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(other.tip)]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::super::help::{Length, command};
    use super::super::man::all_commands;
    use super::*;

    /// What is said about a flag after these words.
    fn said(words: &str, flag: &str) -> String {
        let words: Vec<OsString> = words.split(' ').chain([flag]).map(OsString::from).collect();
        matches(&words, command(Length::Short)).unwrap_err().to_string()
    }

    #[test]
    fn each_name_has_its_tip_in_all_commands_with_the_flag() {
        let whole = command(Length::Short);
        let mut n_tips = [0; ELSEWHERE.len()];
        for one in all_commands(&whole).into_iter().filter(|one| !one.has_subcommands()) {
            let path = path_of(&whole, one.get_name());
            let has = |flag: &str| has(one, flag) || has(&whole, flag);
            for (other, n) in ELSEWHERE.iter().zip(&mut n_tips) {
                if !has(other.here) {
                    continue;
                }
                let is_taken = |name: &str| {
                    name.strip_prefix("--").is_some_and(has)
                        || one
                            .get_arguments()
                            .any(|arg| arg.get_short().is_some_and(|short| name == format!("-{short}")))
                };
                for name in other.names.iter().filter(|name| !is_taken(name)) {
                    *n += 1;
                    let said = said(&path, name);
                    assert_eq!(said.matches("tip: ").count(), 1, "{said}");
                    assert!(said.contains(&format!("tip: {}\n", other.tip)), "{path} {name}: {said}");
                }
            }
        }
        assert!(n_tips.iter().all(|n| *n > 0), "{n_tips:?}");
    }

    /// The words that call a command.
    fn path_of(whole: &Command, name: &str) -> String {
        let outer = whole
            .get_subcommands()
            .find(|outer| outer.find_subcommand(name).is_some());
        match outer {
            Some(outer) => format!("longclip {} {name}", outer.get_name()),
            None => format!("longclip {name}"),
        }
    }

    #[test]
    fn other_flags_keep_the_tip_of_similar_letters() {
        let said = said("longclip classify", "--lables");
        assert!(said.contains("a similar argument exists: '--labels'"), "{said}");
    }
}
