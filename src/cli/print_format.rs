//! `--format table|json`: one result, for people or for programs.

use std::io::{self, Write};

use clap::ValueEnum;
use longclip::output::cells::fitted;
use longclip::text::printable_lines;
use serde::Serialize;

use super::terminal::stdout_columns;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PrintFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct PrintFlags {
    /// table or json
    ///
    /// Example: `--format json`
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: PrintFormat,
}

impl PrintFlags {
    /// As [`PrintFormat::print`].
    pub(super) fn print<J: Serialize>(
        self,
        table: impl FnOnce() -> String,
        json: impl FnOnce() -> J,
    ) -> io::Result<()> {
        self.format.print(table, json)
    }
}

impl PrintFormat {
    /// Prints a result in one go.
    pub(super) fn print<J: Serialize>(
        self,
        table: impl FnOnce() -> String,
        json: impl FnOnce() -> J,
    ) -> io::Result<()> {
        let text = match self {
            PrintFormat::Table => {
                let text = printable_lines(&table()).into_owned();
                stdout_columns().map_or_else(|| text.clone(), |columns| fitted(&text, columns))
            }
            PrintFormat::Json => serde_json::to_string_pretty(&json())? + "\n",
        };
        io::stdout().lock().write_all(text.as_bytes())
    }
}
