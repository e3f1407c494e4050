//! The hub in builds without the feature `hub`: nothing is cached, nothing can be fetched.

use super::{FileFacts, HubAddress, HubModel, HubSettings, Progress};
use crate::error::{Error, Result};

/// `None`: this build doesn't read the cache.
pub fn located(_: &HubAddress, _: &HubSettings) -> Option<HubModel> {
    None
}

/// `None`: this build doesn't read the cache.
///
/// # Errors
/// None; the signature is that of builds with the feature `hub`.
pub fn cached(_: &HubAddress, _: &HubSettings, _: &mut dyn FnMut(Progress<'_>)) -> Result<Option<HubModel>> {
    Ok(None)
}

/// Refuses: this build doesn't download.
///
/// # Errors
/// [`Error::UnknownModel`], always.
pub fn fetch(address: &HubAddress, _: &HubSettings, _: &mut dyn FnMut(Progress<'_>)) -> Result<HubModel> {
    Err(no_hub(address))
}

/// Refuses: this build doesn't download.
///
/// # Errors
/// [`Error::UnknownModel`], always.
pub fn refresh(address: &HubAddress, _: &HubSettings, _: &mut dyn FnMut(Progress<'_>)) -> Result<HubModel> {
    Err(no_hub(address))
}

/// Refuses: this build doesn't ask the hub.
///
/// # Errors
/// [`Error::UnknownModel`], always.
pub fn hub_facts(address: &HubAddress, _: &HubSettings) -> Result<FileFacts> {
    Err(no_hub(address))
}

fn no_hub(address: &HubAddress) -> Error {
    Error::UnknownModel {
        name: address.to_string(),
        problem: "this build of longclip lacks the feature `hub` and can't download".into(),
        hint: Some("put the weights into `checkpoints/`, or name their path".into()),
    }
}
