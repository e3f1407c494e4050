//! The terminal of this process: how wide it is, whether it shows colours, and whether a person types at it.

use std::io::{self, IsTerminal};

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use longclip::output::{Colour, Terminal};
use terminal_size::{Width, terminal_size, terminal_size_of};

/// The width that is assumed if no terminal says its own.
const USUAL_COLUMNS: usize = 80;

/// The flag that says when text is coloured, in both spellings.
pub(super) const COLOR_FLAGS: [&str; 2] = ["--color", "--colour"];

/// When text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also in a pipe or a file
    Always,
    /// Nowhere
    Never,
}

impl ColorWhen {
    /// What `--color` says among these words. It is looked for before they are parsed, so that errors of parsing and
    /// help are coloured as it says.
    pub(super) fn apply(words: &[String]) {
        let after = |(i, word): (usize, &String)| match word.split_once('=') {
            None if COLOR_FLAGS.contains(&word.as_str()) => words.get(i + 1).cloned(),
            Some((flag, when)) if COLOR_FLAGS.contains(&flag) => Some(when.to_owned()),
            None | Some(_) => None,
        };
        let asked = words.iter().enumerate().find_map(after);
        match asked.and_then(|when| ColorWhen::from_str(&when, true).ok()) {
            Some(ColorWhen::Always) => ColorChoice::Always.write_global(),
            Some(ColorWhen::Never) => ColorChoice::Never.write_global(),
            Some(ColorWhen::Auto) | None => {}
        }
    }
}

/// The terminal that stdout is, for results of `n_images` images if that is known. With `--color always` a pipe gets
/// what a terminal would show.
pub(super) fn stdout_terminal(n_images: impl FnOnce() -> Option<u64>) -> Option<Terminal> {
    let is_asked = ColorChoice::global() == ColorChoice::Always;
    (io::stdout().is_terminal() || is_asked).then(|| Terminal {
        width_columns: columns(terminal_size_of(io::stdout()).or_else(terminal_size)),
        colour: match AutoStream::choice(&io::stdout()) {
            ColorChoice::Never => Colour::Off,
            ColorChoice::Auto | ColorChoice::Always | ColorChoice::AlwaysAnsi => Colour::On,
        },
        n_images: n_images(),
        n_listed_max: None,
    })
}

/// The width of the terminal that stdout is, if it is one.
pub(super) fn stdout_columns() -> Option<usize> {
    stdout_terminal(|| None).map(|terminal| terminal.width_columns)
}

/// The width of the terminal that stderr is.
pub(super) fn stderr_columns() -> usize {
    columns(terminal_size_of(io::stderr()))
}

fn columns(size: Option<(Width, terminal_size::Height)>) -> usize {
    let typed = || std::env::var("COLUMNS").ok()?.parse().ok();
    let told = size.map(|(Width(columns), _)| usize::from(columns));
    told.or_else(typed).unwrap_or(USUAL_COLUMNS)
}

/// What to say if a command with these words waits for a person to type at the terminal.
pub(super) fn waiting_for_stdin(words: &[String]) -> Option<&'static str> {
    const WRITTEN: [&str; 3] = ["-o", "--output", "--report"];
    let mut pairs = words.iter().zip(words.iter().skip(1));
    let is_read = pairs.any(|(before, word)| match word.split_once('=') {
        Some((flag, "-")) => !WRITTEN.contains(&flag),
        Some(_) => false,
        None => word == "-" && !WRITTEN.contains(&before.as_str()),
    });
    let end = if cfg!(windows) {
        "reading from the terminal; end with Ctrl-Z and Enter"
    } else {
        "reading from the terminal; end with Ctrl-D"
    };
    (is_read && io::stdin().is_terminal()).then_some(end)
}
