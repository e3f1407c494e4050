//! Downloads a model by its name, or brings it up to date.

use super::{Found, Places, advise, hub_address, locate};
use crate::error::{Error, ErrorKind, Result};
use crate::weights::hub::{self, HubModel, HubSettings, Progress};

/// The result of [`pull`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulled {
    /// The model is part of the program.
    BuiltIn,
    /// The model is in the cache.
    Model {
        /// Where it is.
        model: HubModel,
        /// Whether commands with this name use a file in a `checkpoints` folder instead.
        is_behind_checkpoints: bool,
        /// Whether the hub was not reached, so that there may be a newer one.
        is_unchecked: bool,
    },
}

/// Downloads what is missing or newer on the hub. Without a network, a model in the cache is enough.
///
/// # Errors
/// [`Error::Usage`] for a path; [`Error::UnknownModel`], [`Error::Network`], [`Error::NotWeights`] as
/// [`resolve`](super::resolve).
pub fn pull(
    name: &str,
    places: &Places,
    settings: &HubSettings,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Pulled> {
    let found = locate(name, places, settings).map(|here| here.found);
    match found {
        Some(Found::BuiltIn) => return Ok(Pulled::BuiltIn),
        Some(Found::AtPath) => {
            return Err(Error::Usage {
                problem: format!("`{name}` is a file or folder on this machine, not a name to download"),
                hint: None,
            });
        }
        Some(Found::InCheckpoints | Found::InCache | Found::Downloaded) | None => {}
    }
    let address = hub_address(name, places)?;
    let (model, is_unchecked) = match hub::refresh(&address, settings, progress) {
        Ok(model) => (model, false),
        Err(error) if settings.offline || error.kind() == ErrorKind::Network => {
            let cached = hub::cached(&address, settings, progress)?;
            (cached.ok_or_else(|| advise(error, name))?, true)
        }
        Err(error) => return Err(advise(error, name)),
    };
    Ok(Pulled::Model {
        model,
        is_behind_checkpoints: found == Some(Found::InCheckpoints),
        is_unchecked,
    })
}
