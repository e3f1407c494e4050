//! `longclip model convert`: writes the same numbers under the names that other programs expect.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use longclip::session::{Resuming, Writing};
use longclip::weights::names::known_names;
use longclip::weights::{ExportLayout, export, export_to_stream};
use longclip::{Error, Result};

use super::{open, print};
use crate::cli::Outcome;
use crate::cli::find_model::find_model;
use crate::cli::model_flags::ReadingFlags;
use crate::cli::named::{TextOr, named};
use crate::cli::report::{Exit, Report};
use crate::cli::targets::{ForceFlag, file_named, model_files};

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
    #[arg(value_parser = TextOr(known_names), hide_possible_values = true)]
    model: String,
    /// safetensors, hf or openclip
    ///
    /// Whose names the tensors get. `safetensors` is one file with Long-CLIP's own; `hf` is a folder for transformers'
    /// CLIPModel: model.safetensors, config.json and preprocessor_config.json; `openclip` is a folder for open_clip:
    /// open_clip_model.safetensors and open_clip_config.json. Example: `--to hf`
    #[arg(long, value_parser = named::<ExportLayout>())]
    to: ExportLayout,
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

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let found = find_model(Some(&args.model), report)?;
    if args.writes_stdout()? {
        export_to_stream(
            &open(&found, args.reading, report)?,
            io::stdout().lock(),
            Path::new("stdout"),
        )?;
        return Ok(Exit::Done);
    }
    args.check(&args.to.files(&args.output))?;
    let files = export(&open(&found, args.reading, report)?, args.to, &args.output)?;
    print(
        &files
            .iter()
            .map(|file| format!("{}\n", file.display()))
            .collect::<String>(),
    )
}

impl Args {
    fn writes_stdout(&self) -> Result<bool> {
        if file_named(Some(&self.output)).is_some() {
            return Ok(false);
        }
        let refused = |problem: &str| Err(Error::usage(problem, "name a file or a folder"));
        match self.to.is_folder() {
            true => refused("a folder can't be written to stdout"),
            false if io::stdout().is_terminal() => refused("weights can't be printed on a terminal"),
            false => Ok(true),
        }
    }

    /// Refuses a folder that holds something, and files that may not be written.
    fn check(&self, files: &[PathBuf]) -> Result<()> {
        let mut writing = Writing::new(self.force.existing()).reads("the model", model_files(Some(&self.model)));
        if self.to.is_folder() {
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
