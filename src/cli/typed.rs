//! What people type out of habit, in the words of this program: `longclip photo.jpg --labels ...`, `--json`.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use longclip::output;
use strsim::jaro_winkler;

use super::terminal::COLOR_FLAGS;

/// The command of a line that names none and begins with an image.
const USUAL_COMMAND: &str = "classify";

/// A command, and the one in it of a line that names none but something to read.
const USUAL_SUBCOMMAND: (&str, &str) = ("search", "query");

/// The words of a command line as they are meant: with the command that was left out, and with `--format json` for
/// `--json`.
pub(super) fn understood(mut words: Vec<OsString>, command: &Command) -> Vec<OsString> {
    if names_no_command(&words, command) {
        words.insert(1, USUAL_COMMAND.into());
    }
    if let Some((place, usual)) = left_out(&words, command) {
        words.insert(place, usual.into());
    }
    let Some(called) = called(&words, command) else {
        return words;
    };
    let longs: Vec<&str> = called.get_arguments().filter_map(clap::Arg::get_long).collect();
    if longs.contains(&"format") {
        let n_words = words.iter().position(|word| word == "--").unwrap_or(words.len());
        for word in &mut words[..n_words] {
            let name = word.to_str().and_then(|word| word.strip_prefix("--"));
            let format = name.filter(|name| !longs.contains(name) && output::by_name(name).is_some());
            if let Some(format) = format {
                *word = format!("--format={format}").into();
            }
        }
    }
    words
}

/// Words that are not flags, with their places; the value of `--color` is not one of them.
fn plain(words: &[OsString]) -> impl Iterator<Item = (usize, &str)> {
    let pairs = words.iter().zip(words.iter().skip(1));
    (1..).zip(pairs).filter_map(|(place, (before, word))| {
        let word = word.to_str()?;
        let is_value = COLOR_FLAGS.iter().any(|flag| before == flag);
        (!is_value && (!word.starts_with('-') || word == "-")).then_some((place, word))
    })
}

/// Whether a word is something to read, or was meant to be: a file, a folder or a URL.
fn is_input(word: &str) -> bool {
    let path = Path::new(word);
    path.exists() || path.extension().is_some() || word.contains(std::path::is_separator)
}

/// The command that was left out after another one, and its place: `search photos/` is `search query photos/`.
fn left_out(words: &[OsString], command: &Command) -> Option<(usize, &'static str)> {
    let mut plain = plain(words);
    let (name, usual) = USUAL_SUBCOMMAND;
    let (place, _) = plain.next().filter(|(_, first)| *first == name)?;
    let outer = command.find_subcommand(name)?;
    let meant = outer.find_subcommand(usual)?;
    let mut own = plain.filter(|(place, _)| !takes_value(meant, &words[place - 1]));
    let (_, second) = own.next()?;
    let mut commands = outer.get_subcommands().map(Command::get_name);
    // A folder that doesn't exist, and what to search for.
    let mut is_misnamed =
        || own.next().is_some() && closest(second, outer.get_subcommands().map(Command::get_name)).is_none();
    (!commands.any(|name| name == second) && (is_input(second) || is_misnamed())).then_some((place + 1, usual))
}

/// Whether a word is a flag of the command after which its value follows.
fn takes_value(command: &Command, word: &OsString) -> bool {
    let is_flag = |arg: &clap::Arg| {
        let short = arg.get_short().map(|short| format!("-{short}"));
        let long = arg.get_long().map(|long| format!("--{long}"));
        [short, long].into_iter().flatten().any(|flag| *word == *flag)
    };
    let mut with_values = command.get_arguments().filter(|arg| arg.get_action().takes_values());
    with_values.any(is_flag)
}

/// Whether the first word that could be a command is an image, a folder or a URL, or the first flag is one of labels.
fn names_no_command(words: &[OsString], command: &Command) -> bool {
    let begins_with_labels = words.get(1).is_some_and(|word| {
        ["-l", "--label", "--labels", "--labels-file"]
            .iter()
            .any(|flag| word == flag)
    });
    let Some((_, first)) = plain(words).next() else {
        return false;
    };
    command.find_subcommand(first).is_none() && (begins_with_labels || is_input(first))
}

/// The command that is called.
pub(super) fn called<'a>(words: &[OsString], command: &'a Command) -> Option<&'a Command> {
    let mut words = plain(words).map(|(_, word)| word);
    let mut called = command.find_subcommand(words.next()?)?;
    while called.has_subcommands() {
        called = called.find_subcommand(words.next()?)?;
    }
    Some(called)
}

/// The known name that a misspelt one probably means.
pub(super) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.8;
    let name = name.to_lowercase();
    let rated = known.into_iter().map(|known| (jaro_winkler(&name, known), known));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(alike, _)| *alike >= ALIKE).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::super::help::{Length, command};
    use super::*;

    #[track_caller]
    fn check(typed: &str, meant: &str) {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(understood(words(typed), &command(Length::Long)), words(meant));
    }

    #[test]
    fn a_line_that_begins_with_an_image_is_classify() {
        check(
            "longclip photo.jpg --labels a b",
            "longclip classify photo.jpg --labels a b",
        );
        check(
            "longclip -v https://host/a -l a",
            "longclip classify -v https://host/a -l a",
        );
        check(
            "longclip --color never src --labels a",
            "longclip classify --color never src --labels a",
        );
        check("longclip --label a photos", "longclip classify --label a photos");
        check("longclip sort photo.jpg", "longclip sort photo.jpg");
        check("longclip clasify photo.jpg", "longclip clasify photo.jpg");
        check("longclip", "longclip");
    }

    #[test]
    fn a_search_that_names_something_to_read_is_a_query() {
        check("longclip search src cat", "longclip search query src cat");
        check("longclip search src build", "longclip search query src build");
        check(
            "longclip -q search -k 3 src cat",
            "longclip -q search query -k 3 src cat",
        );
        check(
            "longclip search --json src cat",
            "longclip search query --format=json src cat",
        );
        check("longclip search duplicates src", "longclip search duplicates src");
        check("longclip search biuld src", "longclip search biuld src");
        check("longclip search nowhere cat", "longclip search query nowhere cat");
        check("longclip search missing/ cat", "longclip search query missing/ cat");
        check("longclip search", "longclip search");
    }

    #[test]
    fn the_name_of_a_format_is_a_flag_too() {
        check(
            "longclip classify a.jpg --json",
            "longclip classify a.jpg --format=json",
        );
        check(
            "longclip a.jpg --jsonl -l a",
            "longclip classify a.jpg --format=jsonl -l a",
        );
        check("longclip model list --json", "longclip model list --format=json");
        check("longclip man --json", "longclip man --json");
        check("longclip classify -- --json", "longclip classify -- --json");
    }

    #[test]
    fn a_misspelt_name_is_understood() {
        let models = ["nano", "longclip-b", "longclip-l", "longclip-b-32"];
        assert_eq!(closest("longclip_b", models), Some("longclip-b"));
        assert_eq!(closest("LongCLIP-B32", models), Some("longclip-b-32"));
        assert_eq!(closest("nanno", models), Some("nano"));
        assert_eq!(closest("resnet", models), None);
    }
}
