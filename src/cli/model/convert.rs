//! `longclip model convert`: writes the same numbers under the names that other programs expect.

use std::path::PathBuf;

use clap::ValueEnum;
use longclip::weights::{ExportLayout, export};

use super::{open, print};
use crate::cli::Outcome;
use crate::cli::find_model::find_model;
use crate::cli::report::Report;

/// Write a model as safetensors under upstream's, Hugging Face's or open_clip's names
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A 77-row position table is written as it is used, stretched to 248. Nothing is overwritten.\n\nExamples:\n  longclip model convert longclip-b --to hf -o longclip-b-hf\n  longclip model convert ./checkpoints/longclip-B.pt --to safetensors -o checkpoints/longclip-b.safetensors"
)]
pub(super) struct Args {
    /// A name of `longclip model list`, a path, or owner/repo[@revision][:file]
    model: String,
    /// Whose names the tensors get
    #[arg(long, value_enum)]
    to: Target,
    /// The file (`--to safetensors`) or folder (`hf`, `openclip`) to write
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
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
    let checkpoint = open(&find_model(Some(&args.model), report)?)?;
    let layout = match args.to {
        Target::Safetensors => ExportLayout::LongClip,
        Target::Hf => ExportLayout::HuggingFace,
        Target::Openclip => ExportLayout::OpenClip,
    };
    let files = export(&checkpoint, layout, &args.output)?;
    print(
        &files
            .iter()
            .map(|file| format!("{}\n", file.display()))
            .collect::<String>(),
    )
}
