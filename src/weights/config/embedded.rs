//! A recipe inside a weights file: what [`export`](super::super::export()) writes into the metadata of a file that has no
//! config next to it.

use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::object::Object;
use super::{Found, RecipeSource};
use crate::error::{Error, Result};
use crate::recipe::{Recipe, TextRecipe};
use crate::weights::sizes::Sizes;
use crate::weights::stored::{FileFormat, TensorFile};

/// The name of our own entry in the configs of other libraries.
pub(in crate::weights) const OWN_KEY: &str = "longclip";
/// The name of the recipe in the metadata of a safetensors file.
pub(in crate::weights) const METADATA_KEY: &str = "longclip.recipe";

/// More than the metadata before our entry. Like all writers of safetensors, we write metadata first.
const METADATA_BYTES_MAX: usize = 1 << 13;

/// What a weights file says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::weights) struct Written {
    image_resolution_px: usize,
    vision_heads: usize,
    text_heads: usize,
    pub(super) recipe: Recipe,
}

impl Written {
    /// Our own entry of a config.
    pub(super) fn in_config(root: &Object<'_>) -> Result<Option<Written>> {
        let Some(value) = root.get(OWN_KEY) else {
            return Ok(None);
        };
        serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|error| root.refused(OWN_KEY, &format!("it is not from this version of longclip ({error})")))
    }

    /// For a model of these sizes.
    pub(in crate::weights) fn new(sizes: &Sizes, recipe: &Recipe) -> Self {
        Written {
            image_resolution_px: sizes.image_resolution_px,
            vision_heads: sizes.vision_heads,
            text_heads: sizes.text_heads,
            recipe: recipe.clone(),
        }
    }

    /// As an entry of a config.
    pub(in crate::weights) fn json(&self) -> Value {
        serde_json::to_value(self).expect("plain data is JSON")
    }

    /// Completes the sizes.
    pub(super) fn complete(&self, sizes: &mut Sizes) {
        complete_lengths(sizes, self.image_resolution_px, &self.recipe.text);
        sizes.vision_heads = self.vision_heads;
        sizes.text_heads = self.text_heads;
    }

    /// The recipe, found in the weights file.
    pub(super) fn found(self) -> Found {
        Found {
            recipe: self.recipe,
            towers_from: RecipeSource::WeightsFile,
            pixels_from: RecipeSource::WeightsFile,
            notices: Vec::new(),
            brings_tokenizer: false,
        }
    }
}

/// The recipe in a file's metadata, if it has one.
///
/// # Errors
/// [`Error::Unsupported`] if another version has written it.
pub(super) fn read(file: &TensorFile) -> Result<Option<Written>> {
    let Some(entry) = entry(file) else { return Ok(None) };
    serde_json::from_str(&entry)
        .map(Some)
        .map_err(|error| Error::Unsupported {
            path: file.path.clone(),
            problem: format!("its recipe is not from this version of longclip ({error})"),
            hint: Some("convert the weights again with this version".into()),
        })
}

/// The text of the entry. The beginning of the header, where metadata is, is searched first: reading it all again takes a
/// while, and few files have it.
fn entry(file: &TensorFile) -> Option<String> {
    if file.format != FileFormat::Safetensors {
        return None;
    }
    let (length, rest) = file.blobs.first()?.bytes().split_first_chunk()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let beginning = &header[..header.len().min(METADATA_BYTES_MAX)];
    memmem::find(beginning, METADATA_KEY.as_bytes())?;
    let header: Value = serde_json::from_slice(header).ok()?;
    let text = header.get("__metadata__")?.get(METADATA_KEY)?.as_str()?;
    Some(text.to_owned())
}

/// Takes the side of images that shapes don't show, if its patches are those of the tensors, and leaves text positions as
/// they are stored for models that read the padding, which stretching would move.
pub(super) fn complete_lengths(sizes: &mut Sizes, side: usize, text: &TextRecipe) {
    if side.checked_div(sizes.patch_px) == Some(sizes.grid()) {
        sizes.image_resolution_px = side;
    }
    if !text.ignores_padding() {
        sizes.context_length = sizes.stored_context_length;
    }
}
