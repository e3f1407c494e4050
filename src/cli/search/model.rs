//! Loads the model of an index: the one that made it; another one is refused.

use std::path::Path;

use longclip::search::Origin;
use longclip::session::{ImageReading, Loaded, index_origin};
use longclip::weights::names;
use longclip::{Error, Result};

use crate::cli::find_model::Machine;
use crate::cli::model_flags::ModelFlags;
use crate::cli::report::Report;

/// Loads the model that `flags` name, else the one that made the index.
pub(super) fn load(
    flags: &ModelFlags,
    reading: &ImageReading,
    index: Option<(&Path, &Origin)>,
    report: Report,
) -> Result<(Loaded, Origin)> {
    let flags = match index {
        Some((path, origin)) => {
            if flags.name().is_none() {
                must_be_here(path, origin)?;
            }
            flags.or(&origin.model_from_here(), &origin.dtype)
        }
        None => flags.clone(),
    };
    let loaded = flags.load(report)?;
    let folder = std::env::current_dir().map_err(Error::system("find the current folder"))?;
    let own = index_origin(&loaded, reading, folder);
    if let Some((path, origin)) = index {
        origin.refuse_other(path, &own)?;
    }
    Ok((loaded, own))
}

/// The user didn't name this model, so it isn't downloaded.
fn must_be_here(path: &Path, origin: &Origin) -> Result<()> {
    let Machine { places, hub } = Machine::from_environment();
    let found = names::locate(&origin.model_from_here(), &places, &hub);
    found.map(drop).ok_or_else(|| Error::UnknownModel {
        name: origin.model.clone(),
        problem: format!("`{}` was made with it, and it is not on this machine", path.display()),
        hint: Some("name its file with `--model`, or download a known model with `longclip model pull NAME`".into()),
    })
}
