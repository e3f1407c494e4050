//! The activation function of the MLPs, and what configs and the command line call it.

use serde_json::Value;

use crate::named::{Named, named};

/// The activation function of the MLPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`: OpenAI's models and Long-CLIP.
    #[default]
    QuickGelu,
    /// `x * Φ(x)`: most of open_clip's own models.
    Gelu,
}

impl Activation {
    /// What transformers calls it (`hidden_act`); we write the first name.
    fn transformers_names(self) -> &'static [&'static str] {
        match self {
            Activation::QuickGelu => &["quick_gelu"],
            Activation::Gelu => &["gelu", "gelu_new", "gelu_pytorch_tanh"],
        }
    }

    /// The activation that transformers' config of a CLIP names; `None` if it names none.
    ///
    /// # Errors
    /// What the config says, if no CLIP has this activation or the towers have different ones.
    pub(super) fn in_transformers_config(config: &Value) -> Result<Option<Activation>, String> {
        let mut found = None;
        for pointer in ["/text_config/hidden_act", "/vision_config/hidden_act"] {
            let Some(value) = config.pointer(pointer) else {
                continue;
            };
            let key = pointer[1..].replace('/', ".");
            let named = value.as_str().and_then(Activation::from_transformers);
            let named = named.ok_or_else(|| format!("{value} for `{key}`; `quick_gelu` or `gelu` is expected"))?;
            if found.is_some_and(|found| found != named) {
                return Err(format!(
                    "{value} for `{key}`, and another activation for the text tower"
                ));
            }
            found = Some(named);
        }
        Ok(found)
    }

    /// The activation that open_clip's config of a CLIP means.
    pub(super) fn in_openclip_config(config: &Value) -> Activation {
        match config.get("quick_gelu").and_then(Value::as_bool) {
            Some(true) => Activation::QuickGelu,
            Some(false) | None => Activation::Gelu,
        }
    }

    fn from_transformers(name: &str) -> Option<Activation> {
        let has_name = |activation: &&Activation| activation.transformers_names().contains(&name);
        Activation::ALL.iter().find(has_name).copied()
    }

    /// What transformers calls it.
    pub(super) fn transformers_name(self) -> &'static str {
        self.transformers_names()[0]
    }
}

named!(Activation, "activation": QuickGelu = "quick-gelu", Gelu = "gelu");
