//! The config of a new model. `model_folder` reads those next to weights.

#![no_main]

use longclip::weights::Architecture;

longclip_fuzz::target!(|data| {
    if let Ok(config) = serde_json::from_slice(data) {
        match Architecture::from_json(&config, "config.json") {
            Ok(model) => assert!(!model.description().is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
