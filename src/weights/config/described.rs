//! What a config says about a model: its recipe, and sizes that are compared with the tensors'.

use std::path::{Path, PathBuf};

use super::embedded::{Written, complete_lengths};
use super::object::Object;
use crate::error::{Error, Result};
use crate::recipe::Recipe;
use crate::weights::notice::Notice;
use crate::weights::sizes::{Sizes, vision_heads_by_width};

/// The side of images of both libraries if a config states none.
pub(super) const IMAGE_SIZE: usize = 224;

/// What a config says.
#[derive(Debug)]
pub(in crate::weights) struct Described {
    /// The file, for messages.
    pub(super) file: PathBuf,
    pub(in crate::weights) recipe: Recipe,
    pub(super) vision_heads: Heads,
    pub(super) text_heads: Heads,
    pub(super) sizes: Vec<Stated>,
    /// Hidden widths of the MLPs of both towers if none are stated; `None` for four times the width.
    pub(super) default_mlp_dims: Option<[usize; 2]>,
    /// The recipe in our own words, which the library of this config has no words for.
    pub(super) own: Option<Written>,
    pub(in crate::weights) notices: Vec<Notice>,
    /// Whether texts are tokenized as a file next to the weights says, not as CLIP's.
    pub(in crate::weights) brings_tokenizer: bool,
}

/// The attention heads of a tower, as a config states them.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    /// The key, and whether the file has it or its library's default is used.
    pub(super) key: String,
    pub(super) number: HeadNumber,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum HeadNumber {
    Heads(usize),
    /// The width of one; what remains of the tower's width is not an error in open_clip's code, but in torch's.
    Width(usize),
    /// Those of CLIP's family of this width.
    OfFamily,
}

/// A size that a config states.
#[derive(Debug, Clone)]
pub(super) struct Stated {
    pub(super) what: What,
    pub(super) key: String,
    pub(super) value: usize,
}

/// The sizes that a config states.
#[derive(Default)]
pub(super) struct StatedSizes(pub(super) Vec<Stated>);

impl StatedSizes {
    /// Adds a size, if the object states it by this key.
    pub(super) fn add(&mut self, what: What, object: &Object<'_>, key: &str, value: Option<usize>) {
        self.0.extend(value.map(|value| Stated {
            what,
            key: object.dotted(key),
            value,
        }));
    }
}

/// Which size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::weights) enum What {
    /// The side of the images, which need not be a multiple of the patch's.
    Image,
    Patch,
    VisionWidth,
    VisionLayers,
    VisionMlp,
    TextWidth,
    TextLayers,
    TextMlp,
    Embedding,
    Vocabulary,
    Context,
}

impl What {
    fn of(self, sizes: &Sizes) -> usize {
        match self {
            What::Image => sizes.image_resolution_px,
            What::Patch => sizes.patch_px,
            What::VisionWidth => sizes.vision_width,
            What::VisionLayers => sizes.vision_layers,
            What::VisionMlp => sizes.vision_mlp_dim,
            What::TextWidth => sizes.text_width,
            What::TextLayers => sizes.text_layers,
            What::TextMlp => sizes.text_mlp_dim,
            What::Embedding => sizes.embed_dim,
            What::Vocabulary => sizes.vocab_size,
            What::Context => sizes.stored_context_length,
        }
    }
}

impl What {
    /// What it is, for a message about a config without it.
    pub(in crate::weights) fn in_words(self) -> &'static str {
        match self {
            What::Image => "the side of images (`vision_cfg.image_size` or `vision_config.image_size`)",
            What::Patch => "the side of a patch (`patch_size`)",
            What::VisionWidth => "the width of the image tower (`vision_cfg.width` or `vision_config.hidden_size`)",
            What::VisionLayers => {
                "the layers of the image tower (`vision_cfg.layers` or `vision_config.num_hidden_layers`)"
            }
            What::VisionMlp => "the hidden width of the image tower's MLPs",
            What::TextWidth => "the width of the text tower (`text_cfg.width` or `text_config.hidden_size`)",
            What::TextLayers => "the layers of the text tower (`text_cfg.layers` or `text_config.num_hidden_layers`)",
            What::TextMlp => "the hidden width of the text tower's MLPs",
            What::Embedding => "the width of embeddings (`embed_dim` or `projection_dim`)",
            What::Vocabulary => "the number of token ids (`vocab_size`)",
            What::Context => "the number of text positions",
        }
    }
}

impl Heads {
    /// The number of heads of a tower of this width.
    fn of(&self, width: usize, file: &Path) -> Result<usize> {
        let heads = match self.number {
            HeadNumber::Heads(heads) => heads,
            HeadNumber::Width(head_width) => width / head_width,
            HeadNumber::OfFamily => vision_heads_by_width(width),
        };
        match heads > 0 && width.is_multiple_of(heads) {
            true => Ok(heads),
            false => Err(Error::Unsupported {
                path: file.to_owned(),
                problem: match self.number {
                    HeadNumber::Heads(stated) | HeadNumber::Width(stated) => format!(
                        "`{}` is {stated}, but the tower is {width} wide, which is not a multiple of it",
                        self.key
                    ),
                    HeadNumber::OfFamily => {
                        format!("no model of `{}` has a tower that is {width} wide", self.key)
                    }
                },
                hint: None,
            }),
        }
    }
}

impl Described {
    /// Whether the config is of transformers, which describes images in a file of their own.
    pub(super) fn is_of_transformers(&self) -> bool {
        self.default_mlp_dims.is_some()
    }

    /// The stated value of a size.
    pub(in crate::weights) fn stated(&self, what: What) -> Option<usize> {
        self.sizes
            .iter()
            .find(|stated| stated.what == what)
            .map(|stated| stated.value)
    }

    /// The hidden widths of the MLPs of both towers, which are this wide.
    pub(in crate::weights) fn mlp_dims(&self, [vision_width, text_width]: [usize; 2]) -> [usize; 2] {
        let [vision, text] = self.default_mlp_dims.unwrap_or([4 * vision_width, 4 * text_width]);
        [
            self.stated(What::VisionMlp).unwrap_or(vision).max(1),
            self.stated(What::TextMlp).unwrap_or(text).max(1),
        ]
    }

    /// The heads of both towers, which are this wide.
    pub(in crate::weights) fn heads(&self, [vision_width, text_width]: [usize; 2]) -> Result<[usize; 2]> {
        Ok([
            self.vision_heads.of(vision_width, &self.file)?,
            self.text_heads.of(text_width, &self.file)?,
        ])
    }

    /// Completes sizes by what shapes don't show: heads, and the pixels of an image that fill no patch.
    pub(in crate::weights) fn complete(&mut self, sizes: &mut Sizes) -> Result<()> {
        if let Some(own) = &self.own {
            own.complete(sizes);
            self.recipe = own.recipe.clone();
            return Ok(());
        }
        // A tower that the file doesn't hold has no width.
        if sizes.vision_width > 0 {
            sizes.vision_heads = self.vision_heads.of(sizes.vision_width, &self.file)?;
        }
        if sizes.text_width > 0 {
            sizes.text_heads = self.text_heads.of(sizes.text_width, &self.file)?;
        }
        let side = self.stated(What::Image).unwrap_or(IMAGE_SIZE);
        complete_lengths(sizes, side, &self.recipe.text);
        Ok(())
    }

    /// Compares the stated sizes with those of the tensors.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if a tower has another size. Another number of text positions is only a notice: there
    /// are files with 77 rows whose config says 248, and the reverse.
    pub(in crate::weights) fn compare(&mut self, sizes: &Sizes) -> Result<()> {
        for Stated { what, key, value } in &self.sizes {
            let found = what.of(sizes);
            // A whole model has no size of 0: this is one of a tower that the file doesn't hold.
            if found == *value || found == 0 {
                continue;
            }
            if *what == What::Context {
                self.notices.push(Notice::OtherContextLength {
                    file: name_of(&self.file),
                    key: key.clone(),
                    stated: *value,
                    found,
                });
                continue;
            }
            return Err(Error::Unsupported {
                path: self.file.clone(),
                problem: format!("`{key}` is {value}, but the weights next to it have {found}"),
                hint: Some(
                    "it is probably the config of another model: put the weights and their config into a folder of their own"
                        .into(),
                ),
            });
        }
        Ok(())
    }
}

/// A notice about keys that nothing is known about.
pub(super) fn unknown_keys(file: &Path, keys: Vec<String>) -> Vec<Notice> {
    match keys.is_empty() {
        true => Vec::new(),
        false => vec![Notice::UnknownKeys {
            file: name_of(file),
            keys,
        }],
    }
}

/// A file's name without its folder.
pub(in crate::weights) fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
