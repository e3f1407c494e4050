//! `longclip model pull`: downloads a model into the Hugging Face cache, or updates it there.

use longclip::output::cells::columns;
use longclip::weights::HashedFile;
use longclip::weights::hub::Origin;
use longclip::weights::names::{self, NANO, Pulled, known_names};
use serde::Serialize;

use crate::cli::Outcome;
use crate::cli::find_model::{DownloadBar, Machine};
use crate::cli::named::TextOr;
use crate::cli::print_format::PrintFlags;
use crate::cli::report::{Exit, Report};
use crate::cli::terminal::stdout_columns;

const EXAMPLES: &str = "\
Examples:
  longclip model pull longclip-b
  longclip model pull openai/clip-vit-base-patch16
  longclip model pull openai/clip-vit-base-patch16:model.safetensors";

const NOTES: &str = "\
The model goes into the Hugging Face cache ($HF_HOME, $HF_HUB_CACHE). A download
that broke is continued.";

/// Download a model, unless it is here already
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES, after_long_help = NOTES
)]
pub(super) struct Args {
    /// A name of `longclip model list`, or OWNER/REPO
    ///
    /// Of a repository on the Hugging Face hub, also with a revision and a file: OWNER/REPO@REVISION:FILE. Example:
    /// `longclip model pull longclip-b`
    #[arg(value_parser = TextOr(known_names), hide_possible_values = true)]
    name: String,
    #[command(flatten)]
    format: PrintFlags,
}

#[derive(Serialize)]
struct Described {
    name: String,
    path: String,
    files: Vec<HashedFile>,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let machine = Machine::from_environment();
    let mut bar = DownloadBar::new(report);
    let pulled = names::pull(&args.name, &machine.places, &machine.hub, &mut |progress| {
        bar.show(progress)
    })?;
    let model = match pulled {
        Pulled::BuiltIn => {
            report.note(format!("`{NANO}` is built in; there is nothing to download"));
            return Ok(Exit::Done);
        }
        Pulled::Model {
            model,
            is_behind_checkpoints,
            is_unchecked,
        } => {
            if is_behind_checkpoints {
                report.note(format!(
                    "commands with this name still use `{}` in `checkpoints`",
                    args.name
                ));
            }
            if is_unchecked {
                report.note("the hub was not asked whether there is a newer one");
            }
            model
        }
    };
    report.detail(match model.origin {
        Origin::Hub => "this is the version that the hub has now",
        Origin::Cache => "this version was in the cache already",
    });
    let files = model.weights.iter().map(|path| HashedFile::of(path));
    let described = Described {
        name: args.name.clone(),
        path: model.path.display().to_string(),
        files: files.collect::<longclip::Result<_>>()?,
    };
    args.format.print(|| table(&described), || &described)?;
    Ok(Exit::Done)
}

fn table(described: &Described) -> String {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = Vec::new();
    for file in &described.files {
        rows.push(row("path", file.path.clone()));
        rows.push(row("size", format!("{} bytes", file.size_bytes)));
        rows.push(row("sha256", file.sha256.clone()));
    }
    columns(&rows, stdout_columns())
}
