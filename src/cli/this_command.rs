//! The command of this process as a shell reads it, for notes and pages.

use std::env;
use std::ffi::OsString;

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
