//! `--format`: a format by its name, or a template; and the help that lists all.

use std::io;
use std::path::Path;

use longclip::files::Excerpt;
use longclip::output::{self, FORMATS, Format, FormatInfo, Holds, Settings, Template};
use longclip::{Error, Result};

use super::hint::reason;
use super::named::Offering;
use super::progress::Failures;
use super::typed::closest;

/// A format, as chosen.
#[derive(Clone)]
pub(super) enum FormatChoice {
    Named(&'static FormatInfo),
    /// The user's own line.
    Template(Template),
}

impl std::fmt::Debug for FormatChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FormatChoice {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if Template::is_meant(text) {
            let template = Template::parse(text).map_err(|error| reason(&error))?;
            return Ok(FormatChoice::Template(template));
        }
        output::by_name(text).map(FormatChoice::Named).ok_or_else(|| {
            let meant = closest(text, names()).map_or_else(String::new, |name| format!("did you mean `{name}`? "));
            let names = names().join(", ");
            format!(
                "{meant}expected one of {names}, or a template such as '{{path}} {{label}}'; a file is named by `--output`"
            )
        })
    }

    pub(super) fn by_name(name: &str) -> Result<Self> {
        output::by_name(name).map(FormatChoice::Named).ok_or_else(|| {
            let hint = "this build has fewer formats; `--help` lists them";
            Error::usage(format!("no format `{name}`"), hint)
        })
    }

    /// The format that a file's ending names.
    pub(super) fn of_ending(path: &Path) -> Option<Self> {
        output::by_name(path.extension()?.to_str()?).map(FormatChoice::Named)
    }

    pub(super) fn name(&self) -> &str {
        match self {
            FormatChoice::Named(format) => format.name,
            FormatChoice::Template(_) => "of a template",
        }
    }

    pub(super) fn holds(&self, what: Holds) -> bool {
        match self {
            FormatChoice::Named(format) => format.holds(what),
            FormatChoice::Template(_) => [Holds::Labels, Holds::Searches].contains(&what),
        }
    }

    /// Whether a file of it can be continued.
    pub(super) fn can_continue(&self) -> bool {
        match self {
            FormatChoice::Named(format) => format.holds(Holds::Continuable),
            FormatChoice::Template(template) => template.held(Box::new(io::empty())).is_some(),
        }
    }

    /// Whether it says why an image failed.
    pub(super) fn failures(&self) -> Failures {
        match self {
            FormatChoice::Template(template) if !template.has_errors() => Failures::NotShown,
            FormatChoice::Named(_) | FormatChoice::Template(_) => Failures::Shown,
        }
    }

    /// Whether a file may be of this format although nothing in it says so: a line of a template looks like anything.
    /// What it holds is compared with the input before it is continued; half a line can't be.
    pub(super) fn may_have_written(&self, file: &Excerpt) -> bool {
        matches!(self, FormatChoice::Template(_)) && file.first_line().1
    }

    pub(super) fn make(&self, settings: &Settings) -> Result<Box<dyn Format>> {
        match self {
            FormatChoice::Named(format) => (format.make)(settings),
            FormatChoice::Template(template) => Ok(Box::new(template.clone())),
        }
    }
}

fn names() -> Vec<&'static str> {
    FORMATS.iter().map(|format| format.name).collect()
}

/// A flag's value; completions offer the names.
pub(super) fn parser() -> Offering<FormatChoice> {
    Offering {
        names,
        parse: FormatChoice::parse,
    }
}

/// Each format, and what it is for.
pub(super) fn long_help() -> String {
    let lines = FORMATS
        .iter()
        .map(|format| format!("\n  {}: {}", format.name, format.about));
    format!(
        "How to print [default: by the ending of --output, else table; ndjson for embeddings]:{}\n  \
         TEMPLATE: one line per image, such as '{{path}}\\t{{label}}\\t{{score:.3}}'; also {{logit}}, {{cosine}}, {{group}}, {{error}}, \
         {{labels}} (all of them), {{label.2}} (the second), {{field.NAME}}; `\\0` at the end instead of a line break, for `xargs -0`\n\
         Example: `--format ndjson`, or `--format '{{path}} {{label}}'`; `--out` is another name of this flag",
        lines.collect::<String>()
    )
}
