//! `longclip model list`: the models with names, and where they are.

use longclip::error::size_in_words;
use longclip::output::cells::columns;
use longclip::weights::names::{Entry, entries};

use crate::cli::Outcome;
use crate::cli::find_model::Machine;
use crate::cli::print_format::PrintFlags;
use crate::cli::report::Exit;
use crate::cli::terminal::stdout_columns;

const EXAMPLES: &str = "\
Examples:
  longclip model list
  longclip model list --format json
  longclip model list | grep cache";

const NOTES: &str = "\
A model can also be named by its path, or by its address on the Hugging Face hub:
OWNER/REPO[@REVISION][:FILE]. Name a file in ./checkpoints without its ending.";

/// Show the models that have names, and where they are
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES, after_long_help = NOTES
)]
pub(super) struct Args {
    #[command(flatten)]
    format: PrintFlags,
}

pub(super) fn run(args: &Args) -> Outcome {
    let machine = Machine::from_environment();
    let entries = entries(&machine.places, &machine.hub);
    args.format.print(|| table(&entries), || &entries)?;
    Ok(Exit::Done)
}

fn table(entries: &[Entry]) -> String {
    let fit = stdout_columns();
    let mut rows = vec![["NAME", "SIZE", "WHAT", "WHERE"].map(str::to_owned).to_vec()];
    for entry in entries {
        let where_ = match (&entry.path, &entry.source) {
            (Some(path), _) => path.clone(),
            // A terminal has no room for addresses, which the name stands for.
            (None, Some(_)) if fit.is_some() => "not here".into(),
            (None, Some(source)) => format!(
                "not here; {source} on the hub ({})",
                entry.announced.unwrap_or_default()
            ),
            (None, None) => "built in".into(),
        };
        rows.push(vec![
            format!("{}{}", entry.name, if entry.default { " *" } else { "" }),
            size_in_words(entry.size_bytes),
            entry.about.clone(),
            where_,
        ]);
    }
    let pull = match fit {
        Some(_) => "`longclip model pull NAME` downloads a model\n",
        None => "",
    };
    format!("{}\n* used if a command names no model\n{pull}", columns(&rows, fit))
}
