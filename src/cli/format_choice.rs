//! `--format`: a format by its name, or a template; and the help that lists all.

use longclip::output::{self, FORMATS, FormatChoice, Template};

use super::hint::reason;
use super::named::Offering;
use super::typed::closest;

/// What a flag's value means.
pub(super) fn parse(text: &str) -> Result<FormatChoice, String> {
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

fn names() -> Vec<&'static str> {
    FORMATS.iter().map(|format| format.name).collect()
}

/// A flag's value; completions offer the names.
pub(super) fn parser() -> Offering<FormatChoice> {
    Offering { names, parse }
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
