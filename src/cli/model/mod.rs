//! `longclip model`: which models there are, where they lie, and whether they are whole.

mod convert;
mod info;
mod list;
mod pull;
mod recorded;
mod verify;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use longclip::nano;
use longclip::weights::names::{ModelSource, Resolved};
use longclip::weights::{Checkpoint, LoadOptions};

use super::Outcome;
use super::report::{Exit, Report};

/// List, download, look into and check models
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    after_help = "Examples:\n  longclip model list\n  longclip model pull longclip-b\n  longclip model info ./checkpoints/longclip-B.pt"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Pull(pull::Args),
    Info(info::Args),
    Verify(verify::Args),
    Convert(convert::Args),
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Pull(args) => pull::run(args, report),
        Command::Info(args) => info::run(args, report),
        Command::Verify(args) => verify::run(args, report),
        Command::Convert(args) => convert::run(args, report),
    }
}

/// Opens what was found, as it would be used; names and shapes are checked then, values when they are read.
fn open(found: &Resolved) -> longclip::Result<Checkpoint> {
    let options = LoadOptions::default();
    match &found.source {
        ModelSource::Nano => Checkpoint::from_bytes(nano::FILE_NAME, nano::safetensors(), &options),
        ModelSource::Path(path) => Checkpoint::open(path, &options),
    }
}

/// The files that hold the tensors of a model: itself, or those of its folder, in order of their names.
fn weights_files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let is_weights = |path: &PathBuf| {
        path.extension()
            .is_some_and(|ending| ["safetensors", "pt", "pth", "bin"].iter().any(|known| ending == *known))
    };
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_weights).collect();
    files.sort();
    files
}

/// Writes a result in one go.
fn print(text: &str) -> Outcome {
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Columns of text, each as wide as its widest cell; the last one is not padded.
fn columns(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..n_columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_end_without_spaces() {
        let rows = [["a", "bb", "c"], ["aaa", "b", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows), "a    bb  c\naaa  b\n");
    }
}
