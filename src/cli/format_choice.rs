//! `--format`: a format by its name, or a template; and the help that lists those that a command's results can have.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use longclip::output::{self, FormatChoice, Layout, Task, Template};

use super::hint::reason;
use super::typed::closest;

/// What a command prints, as far as it decides on formats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printed {
    pub(super) task: Task,
    /// The format if none is named.
    pub(super) default: &'static str,
    pub(super) layout: Layout,
}

impl Printed {
    /// `--format` with the formats of these results.
    pub(super) fn format_flag(self, flag: clap::Arg) -> clap::Arg {
        let short = match self.task {
            Task::Labels(_) | Task::Tags => "ndjson, csv, html, parquet, ... or '{path} {label}'".to_owned(),
            Task::Embeddings(_) | Task::Searches => names(self.task).join(", "),
        };
        flag.value_parser(FormatOf(self.task))
            .help(short)
            .long_help(self.long_help())
    }

    /// Each format, and what it is for.
    fn long_help(self) -> String {
        const TEMPLATE: &str = "\n  TEMPLATE: one line per image, such as '{path}\\t{label}\\t{score:.3}'; also {logit}, {cosine}, {group}, \
                                {error}, {labels} (all of them), {label.2} (the second), {field.NAME}; `\\0` at the end instead of a line \
                                break, for `xargs -0`\nExample: `--format ndjson`, or `--format '{path} {label}'`";
        let lines = self
            .task
            .formats()
            .map(|format| format!("\n  {}: {}", format.name, format.about));
        let rest = match self.task {
            Task::Labels(_) | Task::Tags => TEMPLATE,
            Task::Embeddings(_) | Task::Searches => "\nExample: `--format ndjson`",
        };
        format!(
            "How to print [default: by the ending of --output, else {}]:{}{rest}; `--out` is another name of this flag",
            self.default,
            lines.collect::<String>()
        )
    }
}

fn names(task: Task) -> Vec<&'static str> {
    task.formats().map(|format| format.name).collect()
}

/// What `--format` of a command with these results means; completions offer the names.
#[derive(Debug, Clone)]
pub(super) struct FormatOf(pub(super) Task);

impl TypedValueParser for FormatOf {
    type Value = FormatChoice;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<FormatChoice, clap::Error> {
        let task = self.0;
        let parser = StringValueParser::new().try_map(move |text| parse(&text, task));
        parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.formats().map(|format| PossibleValue::new(format.name))))
    }
}

fn parse(text: &str, task: Task) -> Result<FormatChoice, String> {
    let (needed, what) = task.needs();
    let choice = match Template::is_meant(text) {
        true => Template::parse(text)
            .map(FormatChoice::Template)
            .map_err(|error| reason(&error))?,
        false => FormatChoice::Named(output::by_name(text).ok_or_else(|| unknown(text, task))?),
    };
    match choice.holds(needed) {
        true => Ok(choice),
        false => Err(format!("it can't hold {what}; {}", expected(task))),
    }
}

fn unknown(text: &str, task: Task) -> String {
    let meant = closest(text, names(task)).map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    format!("{meant}{}; a file is named by `--output`", expected(task))
}

fn expected(task: Task) -> String {
    let template = match task {
        Task::Labels(_) | Task::Tags => ", or a template such as '{path} {label}'",
        Task::Searches => ", or a template such as '{path}'",
        Task::Embeddings(_) => "",
    };
    format!("expected one of {}{template}", names(task).join(", "))
}
