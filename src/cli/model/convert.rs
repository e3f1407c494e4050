//! `longclip model convert`: writes the same numbers under the names that other programs expect.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use longclip::weights::{ExportLayout, export};
use longclip::{Error, Result};

use super::{open, print};
use crate::cli::Outcome;
use crate::cli::find_model::find_model;
use crate::cli::report::{Exit, Report};
use crate::cli::targets::{ForceFlag, Resuming, Writing, file_named};

/// Write a model as safetensors under upstream's, Hugging Face's or open_clip's names
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A 77-row position table is written as it is used, stretched to 248. Nothing that exists is replaced without `--force`.\n\nExamples:\n  longclip model convert longclip-b --to hf -o longclip-b-hf\n  longclip model convert ./checkpoints/longclip-B.pt --to safetensors -o checkpoints/longclip-b.safetensors"
)]
pub(super) struct Args {
    /// A name of `longclip model list`, a path, or owner/repo[@revision][:file]
    model: String,
    /// Whose names the tensors get
    #[arg(long, value_enum)]
    to: Target,
    /// The file (`--to safetensors`; `-` is stdout) or folder (`hf`, `openclip`) to write
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    #[command(flatten)]
    force: ForceFlag,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    /// Long-CLIP's own names, in one file
    Safetensors,
    /// A folder for transformers' CLIPModel: model.safetensors and config.json
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
        export(&open(&found, report)?, layout, Path::new(STDOUT))?;
        return Ok(Exit::Done);
    }
    args.check(&layout.files(&args.output))?;
    let files = export(&open(&found, report)?, layout, &args.output)?;
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
            Target::Safetensors if io::stdout().is_terminal() => refused("weights are nothing for a terminal"),
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
