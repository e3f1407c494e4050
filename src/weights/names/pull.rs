//! Downloads a model by its name, or brings it up to date.

use super::{Found, Places, hub_address, locate, with_hint};
use crate::error::{Control, Error, ErrorKind, Hint, Result};
use crate::weights::hub::{self, HubAddress, HubModel, HubSettings, Progress};

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
            (
                cached.ok_or_else(|| by_other_ways(error, name, &address, settings))?,
                true,
            )
        }
        Err(error) => return Err(error),
    };
    Ok(Pulled::Model {
        model,
        is_behind_checkpoints: found == Some(Found::InCheckpoints),
        is_unchecked,
    })
}

/// Adds to the error of a hub that was not reached how the model gets here without it.
fn by_other_ways(error: Error, name: &str, address: &HubAddress, settings: &HubSettings) -> Error {
    let again = match settings.offline {
        true => "unset HF_HUB_OFFLINE",
        false => "try again, or set HF_ENDPOINT to a mirror or HTTPS_PROXY to a proxy",
    };
    let Some(cache) = &settings.cache_dir else {
        return with_hint(error, name, again.into());
    };
    let text = format!(
        "{again}; or run {{}} on another machine, and copy the folder `{}` of its cache into `{}`; weights that you have already \
         are used by their path",
        address.cache_folder(),
        cache.display()
    );
    with_hint(
        error,
        name,
        Hint::naming(text, vec![Control::PullModel(name.to_owned())]),
    )
}
