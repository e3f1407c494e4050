//! `longclip model pull`: downloads a model into the Hugging Face cache, or updates it there.

use longclip::output::cells::columns;
use longclip::weights::hub::{self, HubModel, Origin};
use longclip::weights::names::{self, Found, NANO, known_names};
use longclip::{Error, ErrorKind};
use serde::Serialize;

use super::HashedFile;
use crate::cli::Outcome;
use crate::cli::find_model::{DownloadBar, Machine};
use crate::cli::named::text_or;
use crate::cli::print_format::PrintFormat;
use crate::cli::report::{Exit, Report};

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
    #[arg(value_parser = text_or(known_names), hide_possible_values = true)]
    name: String,
    /// table or json
    ///
    /// Example: `--format json`
    #[arg(short, long, default_value = "table")]
    format: PrintFormat,
}

#[derive(Serialize)]
struct Pulled {
    name: String,
    path: String,
    files: Vec<HashedFile>,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let machine = Machine::from_environment();
    let address = match names::locate(&args.name, &machine.places, &machine.hub) {
        Some(here) if here.found == Found::BuiltIn => {
            report.note(format!("`{NANO}` is built in; there is nothing to download"));
            return Ok(Exit::Done);
        }
        Some(here) if here.found == Found::AtPath => {
            return Err(Error::Usage {
                problem: format!(
                    "`{}` is a file or folder on this machine, not a name to download",
                    args.name
                ),
                hint: None,
            }
            .into());
        }
        Some(here) if here.found == Found::InCheckpoints => {
            let address = names::hub_address(&args.name, &machine.places)?;
            report.note(format!(
                "commands with this name still use `{}` in `checkpoints`",
                args.name
            ));
            address
        }
        _ => names::hub_address(&args.name, &machine.places)?,
    };
    let mut bar = DownloadBar::new(report);
    let model = match hub::refresh(&address, &machine.hub, &mut |progress| bar.show(progress)) {
        Err(error) if machine.hub.offline || error.kind() == ErrorKind::Network => {
            let cached = hub::cached(&address, &machine.hub, &mut |progress| bar.show(progress))?;
            let model = cached.ok_or_else(|| names::advise(error, &args.name))?;
            report.note("the hub was not asked whether there is a newer one");
            model
        }
        other => other.map_err(|error| names::advise(error, &args.name))?,
    };
    report.detail(match model.origin {
        Origin::Hub => "this is the version that the hub has now",
        Origin::Cache => "this version was in the cache already",
    });
    let pulled = describe(&args.name, &model)?;
    args.format.print(|| table(&pulled), || &pulled)?;
    Ok(Exit::Done)
}

fn describe(name: &str, model: &HubModel) -> longclip::Result<Pulled> {
    Ok(Pulled {
        name: name.to_owned(),
        path: model.path.display().to_string(),
        files: model
            .weights
            .iter()
            .map(|path| HashedFile::of(path))
            .collect::<longclip::Result<_>>()?,
    })
}

fn table(pulled: &Pulled) -> String {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = Vec::new();
    for file in &pulled.files {
        rows.push(row("path", file.path.clone()));
        rows.push(row("size", format!("{} bytes", file.size_bytes)));
        rows.push(row("sha256", file.sha256.clone()));
    }
    columns(&rows)
}
