//! Help in two lengths: `-h` fits a screen of 80 by 40, `--help` describes every flag, by task.
//!
//! Both are made of the flags' doc comments: the first line is the short help, the rest is for `--help` and the manual.

use clap::{Command, CommandFactory};

use super::Cli;
use super::version::{long_version, version};

/// How much the help of this process says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Short,
    Long,
}

impl Length {
    /// What these words ask for. A command without the words that it needs prints what fits a screen, too.
    pub(super) fn asked(words: &[String]) -> Self {
        match words.iter().any(|word| word == "--help" || word == "help") {
            true => Length::Long,
            false => Length::Short,
        }
    }
}

/// What a command does, how it is called, and examples to copy; then its flags.
const TEMPLATE: &str = "{about}.\n\n{usage-heading} {usage}{after-help}\n\n{all-args}";

/// The widest help: longer lines are hard to read.
const WIDTH_MAX: usize = 100;

/// The command line with all its commands, as parsed and as documented.
pub(super) fn command(length: Length) -> Command {
    let command = Cli::command().version(version()).long_version(long_version());
    shaped(command.max_term_width(WIDTH_MAX), "longclip", length)
}

/// A command, and those under it, with help of this length. `name` is what a person types.
fn shaped(command: Command, name: &str, length: Length) -> Command {
    let command = match length {
        Length::Short => short(command, name),
        Length::Long => long(command),
    };
    command.mut_subcommands(|below| {
        let name = format!("{name} {}", below.get_name());
        shaped(below, &name, length)
    })
}

/// One line for each flag that matters, all in one list.
fn short(command: Command, name: &str) -> Command {
    let more = match command.has_subcommands() {
        true => format!("`{name} COMMAND -h` describes a command."),
        false => format!("`{name} --help` describes all flags, with examples."),
    };
    let plain = |arg: clap::Arg| {
        let takes_value = arg.get_action().takes_values();
        let arg = arg.help_heading(None::<&str>);
        arg.hide_default_value(takes_value).hide_possible_values(takes_value)
    };
    command.mut_args(plain).help_template(format!("{TEMPLATE}\n\n{more}"))
}

/// All flags, each with all that is to say about it.
fn long(command: Command) -> Command {
    let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string);
    let (examples, notes) = (text(command.get_after_help()), text(command.get_after_long_help()));
    let all: Vec<String> = examples.into_iter().chain(notes).collect();
    let command = command.help_template(TEMPLATE);
    match all.is_empty() {
        true => command,
        false => command.after_long_help(all.join("\n\n")),
    }
}

#[cfg(test)]
mod tests {
    use longclip::output::cells::width;

    use super::super::typed::understood;
    use super::*;

    /// The help of each command as a terminal of 80 columns shows it, by what a person types.
    fn pages(length: Length) -> Vec<(String, String)> {
        let mut command = command(length).term_width(80);
        command.build();
        let mut pages = Vec::new();
        let mut open = vec![("longclip".to_owned(), command)];
        while let Some((name, mut command)) = open.pop() {
            let page = match length {
                Length::Short => command.render_help(),
                Length::Long => command.render_long_help(),
            };
            pages.push((name.clone(), page.to_string()));
            let below = command.get_subcommands().filter(|below| below.get_name() != "help");
            open.extend(below.map(|below| (format!("{name} {}", below.get_name()), below.clone())));
        }
        assert!(pages.len() > 10);
        pages
    }

    /// The examples of a page.
    fn examples(page: &str) -> Vec<&str> {
        let after = page.split("xamples:\n").skip(1);
        let lines = after.flat_map(|part| part.lines().take_while(|line| line.starts_with("  ")));
        lines.map(str::trim).collect()
    }

    #[test]
    fn short_help_fits_a_screen_of_80_by_40() {
        for (name, page) in pages(Length::Short) {
            println!("$ {name} -h\n{page}\n");
            assert!(
                page.lines().count() <= 40,
                "`{name} -h` has {} lines",
                page.lines().count()
            );
            let wide: Vec<&str> = page.lines().filter(|line| width(line) > 80).collect();
            assert!(wide.is_empty(), "{name}: {wide:?}");
            let first = page.lines().next().unwrap();
            assert!(
                first.ends_with('.') && first.matches(". ").count() == 0,
                "{name}: one sentence: {first}"
            );
            assert!(page.contains("\n\nUsage: longclip"), "{name}");
            assert_eq!(examples(&page).len(), 3, "{name} has three examples");
        }
    }

    #[test]
    fn each_flag_of_short_help_is_one_line() {
        for (name, page) in pages(Length::Short) {
            let lines_of = |heading: &str| -> Vec<&str> {
                let after = page.split_once(heading).map_or("", |(_, after)| after);
                after.lines().take_while(|line| !line.is_empty()).collect()
            };
            let is_broken = |line: &&str| line.starts_with("     ");
            assert!(!lines_of("Commands:\n").iter().any(is_broken), "{name}: {page}");
            let flags = lines_of("Options:\n");
            assert!(flags.len() >= 4, "{name}: {flags:?}");
            let broken: Vec<_> = flags
                .iter()
                .filter(|line| !line.trim_start().starts_with('-'))
                .collect();
            assert!(broken.is_empty(), "{name}: {broken:?}");
            assert!(flags.iter().all(|line| line.trim().contains("  ")), "{name}: {flags:?}");
        }
    }

    #[test]
    fn long_help_fits_80_columns_and_has_no_flag_without_text() {
        for (name, page) in pages(Length::Long) {
            let wide: Vec<&str> = page.lines().filter(|line| width(line) > 80).collect();
            assert!(wide.is_empty(), "{name}: {wide:?}");
        }
    }

    #[test]
    fn each_flag_with_a_value_has_an_example_in_long_help() {
        let mut command = command(Length::Long);
        command.build();
        for command in super::super::man::all_commands(&command) {
            let name = command.get_display_name().unwrap_or_default();
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string);
                let help = help.unwrap_or_default();
                assert!(!help.is_empty(), "{name}: {}", arg.get_id());
                let takes_value = arg.get_action().takes_values();
                assert!(
                    !takes_value || help.contains("Example: `"),
                    "{name}: {}: {help}",
                    arg.get_id()
                );
            }
        }
    }

    /// Words as a shell makes them of a line, up to a redirection or a pipe.
    fn shell_words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quote = None;
        for c in line.chars() {
            match (quote, c) {
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), _) if open == c => quote = None,
                (None, ' ') => words.push(String::new()),
                (None, '>' | '<' | '|') => break,
                _ => words.last_mut().unwrap().push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn examples_can_be_pasted() {
        let short = pages(Length::Short).into_iter();
        for (name, page) in short.chain(pages(Length::Long)) {
            for example in examples(&page) {
                assert!(width(example) < 78, "{name}: {example}");
                let start = example.find("longclip ").unwrap();
                let words = shell_words(&example[start..]).into_iter().map(Into::into);
                let words = understood(words.collect(), &command(Length::Short));
                let parsed = command(Length::Short).try_get_matches_from(&words);
                assert!(parsed.is_ok(), "{name}: `{example}`: {}", parsed.unwrap_err());
            }
        }
    }
}
