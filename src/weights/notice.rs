//! Decisions that were made when weights were opened, for the caller to show.

use std::fmt;

use super::options::TextPositions;
use crate::error::{Control, Hint, counted};
use crate::named::Named;
use crate::recipe::Activation;

/// Something that a person should know about the weights that were opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A config has keys that nothing is known about, so that they are not carried out.
    UnknownKeys {
        /// The config's name.
        file: String,
        /// The keys with their objects, as `vision_cfg.new_key`.
        keys: Vec<String>,
    },
    /// A file has a config's name, but not its content.
    NotAConfig {
        /// Its name.
        file: String,
    },
    /// A config states another number of text positions than the tensors have, which are used.
    OtherContextLength {
        /// The config's name.
        file: String,
        /// The key with its object.
        key: String,
        /// What the config says.
        stated: usize,
        /// What the tensors have.
        found: usize,
    },
    /// A file has several tables of text positions, and its model's own code doesn't join them as Long-CLIP does.
    SeveralTables {
        /// The name of the weights file.
        file: String,
        /// Those that are used.
        used: TextPositions,
    },
    /// A config says nothing of the preparation of images, although models with such an image tower differ in it.
    AssumedImages {
        /// The config's name.
        file: String,
    },
    /// Nothing says how the model is computed.
    Assumed {
        /// The name of the weights file.
        file: String,
        /// The activation of both towers.
        activation: Activation,
        /// Attention heads of the image tower.
        vision_heads: usize,
        /// Attention heads of the text tower.
        text_heads: usize,
    },
}

impl Notice {
    /// Whether the numbers may be wrong, rather than only decided without being asked.
    pub fn is_warning(&self) -> bool {
        match self {
            Notice::UnknownKeys { .. } | Notice::NotAConfig { .. } | Notice::OtherContextLength { .. } => true,
            Notice::Assumed { .. } | Notice::SeveralTables { .. } | Notice::AssumedImages { .. } => false,
        }
    }

    /// The notice in words, in which each edge names its own settings.
    pub fn words(&self) -> Hint {
        match self {
            Notice::UnknownKeys { file, keys } => {
                let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                let (what, are) = match keys.len() {
                    1 => ("a key that is", "it is"),
                    _ => ("keys that are", "they are"),
                };
                format!(
                    "`{file}` has {what} not known, so {are} not carried out: {}",
                    keys.join(", ")
                )
                .into()
            }
            Notice::NotAConfig { file } => {
                format!("`{file}` is next to the weights, but it is not the config of a CLIP: it is ignored").into()
            }
            Notice::OtherContextLength {
                file,
                key,
                stated,
                found,
            } => {
                format!("`{file}` says `{key}`: {stated}, but the weights have {found} text positions, which are used")
                    .into()
            }
            Notice::SeveralTables {
                file,
                used: TextPositions::First,
            } => Hint::naming(
                format!(
                    "`{file}` has two tables of text positions, of which the first is used, as the code of DeBias-CLIP does; \
                     {{}} joins them as Long-CLIP's"
                ),
                vec![Control::TextPositions("joined")],
            ),
            Notice::SeveralTables {
                file,
                used: TextPositions::Joined | TextPositions::Short,
            } => Hint::naming(
                format!(
                    "`{file}` is an FG-CLIP: images are squashed and texts are read as long ones, as its code does; {{}} reads \
                     short texts of up to 77 tokens"
                ),
                vec![Control::TextPositions("short")],
            ),
            Notice::AssumedImages { file } => {
                format!("`{file}` has no `preprocess_cfg`, so images are prepared as CLIP's").into()
            }
            Notice::Assumed {
                file,
                activation,
                vision_heads,
                text_heads,
            } => Hint::naming(
                format!(
                    "no config next to `{file}` says how the model is computed: {}, {} for images and {} for texts are \
                     assumed; {{}} sets another activation",
                    activation.name(),
                    counted(*vision_heads, "head"),
                    counted(*text_heads, "head"),
                ),
                vec![Control::Activation],
            ),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().fmt(f)
    }
}
