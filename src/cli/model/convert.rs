//! `longclip model convert`: writes the same numbers under the names that other programs expect.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use longclip::weights::names::known_names;
use longclip::weights::{ExportLayout, export};
use longclip::{Error, Result};

use super::{open, print};
use crate::cli::Outcome;
use crate::cli::find_model::find_model;
use crate::cli::model_flags::ReadingFlags;
use crate::cli::named::text_or;
use crate::cli::report::{Exit, Report};
use crate::cli::targets::{ForceFlag, Resuming, Writing, file_named};

const EXAMPLES: &str = "\
Examples:
  longclip model convert longclip-b --to hf -o longclip-b-hf
  longclip model convert longclip-b --to openclip -o longclip-b-openclip
  longclip model convert model.pt --to safetensors -o model.safetensors";

const NOTES: &str = "\
A 77-row position table is written as it is used, stretched to 248 unless
`--no-stretch` is given. Nothing that exists is replaced without `--force`.";

/// Write a model for other programs, as safetensors
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES, after_long_help = NOTES
)]
pub(super) struct Args {
    /// A name, a file, a folder, or OWNER/REPO
    ///
    /// As `--model` of other commands takes it. Example: `longclip model convert longclip-b --to hf -o longclip-b-hf`
    #[arg(value_parser = text_or(known_names), hide_possible_values = true)]
    model: String,
    /// safetensors, hf or openclip
    ///
    /// Whose names the tensors get. Example: `--to hf`
    #[arg(long, value_enum)]
    to: Target,
    /// The file or folder to write
    ///
    /// A file for `--to safetensors`, where `-` is stdout; a folder for `hf` and `openclip`. Example: `-o
    /// longclip-b-hf`
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    #[command(flatten)]
    force: ForceFlag,
    #[command(flatten)]
    reading: ReadingFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    /// Long-CLIP's own names, in one file
    Safetensors,
    /// A folder for transformers' CLIPModel: model.safetensors, config.json and preprocessor_config.json
    Hf,
    /// A folder for open_clip: open_clip_model.safetensors and open_clip_config.json
    Openclip,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let layout = match args.to {
        Target::Safetensors => ExportLayout::LongClip,
        Target::Hf => ExportLayout::HuggingFace,
        Target::Openclip => ExportLayout::OpenClip,
    };
    let found = find_model(Some(&args.model), report)?;
    if args.writes_stdout()? {
        export(&open(&found, args.reading, report)?, layout, Path::new(STDOUT))?;
        return Ok(Exit::Done);
    }
    args.check(&layout.files(&args.output))?;
    let files = export(&open(&found, args.reading, report)?, layout, &args.output)?;
    print(
        &files
            .iter()
            .map(|file| format!("{}\n", file.display()))
            .collect::<String>(),
    )
}

/// The name of stdout where files have names.
const STDOUT: &str = "/dev/stdout";

impl Args {
    fn writes_stdout(&self) -> Result<bool> {
        if file_named(Some(&self.output)).is_some() {
            return Ok(false);
        }
        let refused = |problem: &str| Err(Error::usage(problem, "name a file or a folder"));
        match self.to {
            Target::Safetensors if io::stdout().is_terminal() => refused("weights can't be printed on a terminal"),
            Target::Safetensors => Ok(true),
            Target::Hf | Target::Openclip => refused("a folder can't be written to stdout"),
        }
    }

    /// Refuses a folder that holds something, and files that may not be written.
    fn check(&self, files: &[PathBuf]) -> Result<()> {
        let mut writing = Writing::new(self.force).model_named(Some(&self.model));
        let is_folder = !matches!(self.to, Target::Safetensors);
        if is_folder {
            let mut entries = fs::read_dir(&self.output).into_iter().flatten();
            if !self.force.force && (self.output.is_file() || entries.next().is_some()) {
                return Err(Error::usage(
                    format!("`{}` exists already", self.output.display()),
                    "name a new folder; `--force` replaces the files that have the names of those to be written",
                ));
            }
            if !self.output.exists() {
                return Ok(());
            }
        }
        files
            .iter()
            .try_for_each(|file| writing.target("--output", file, Resuming::Never, |_| false).map(drop))
    }
}
