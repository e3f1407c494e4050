//! Settings from environment variables: where models are, how to reach the network, which instruction set to use.
//!
//! The variables are those of the command line (`docs/models.md`).

use std::time::Duration;

use longclip::Result;
use longclip::input::{InputOptions, Web, WebSettings};
use longclip::kernels::cpu::Level;
use longclip::weights::hub::HubSettings;
use longclip::weights::names::Places;

/// Seconds that a web server may be silent.
const SILENCE: Duration = Duration::from_secs(30);

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where models are looked for.
pub(crate) fn places() -> Places {
    Places::from_lookup(variable, None)
}

/// How the hub is reached, and where its files are kept.
pub(crate) fn hub() -> HubSettings {
    HubSettings::from_lookup(variable)
}

/// How folders are walked and URLs fetched.
pub(crate) fn input_options() -> InputOptions {
    let HubSettings { proxies, ca_bundle, .. } = hub();
    InputOptions {
        web: Web::new(WebSettings {
            proxies,
            ca_bundle,
            silence: SILENCE,
            ..WebSettings::default()
        }),
        ..InputOptions::default()
    }
}

/// The highest instruction set to use: `$LONGCLIP_CPU`.
pub(crate) fn cpu_level() -> Result<Option<Level>> {
    variable("LONGCLIP_CPU")
        .as_deref()
        .map(Level::from_variable)
        .transpose()
}
