//! Advice that goes with an error, in words that fit every caller.
//!
//! The library doesn't know what its settings are called at the edge: `--max-pixels` on the command line is `max_pixels`
//! in Python. So a hint names them as [`Control`]s, and the edge says what each is called there ([`Hint::worded`]).

use std::borrow::Cow;
use std::fmt;

/// Something that a caller can set or run. Each edge has its own name for it, or none.
///
/// An edge matches all variants, so a new one doesn't compile until every edge has decided on a name. For the same reason
/// the enum isn't `#[non_exhaustive]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Computing on the CPU.
    CpuDevice,
    /// A build of this crate with a feature that is off by default, such as `cuda`.
    BuildFeature(String),
    /// The built-in model.
    Nano,
    /// Listing the models that have names.
    ListModels,
    /// Downloading the model of this name.
    PullModel(String),
    /// Loading weights although the file holds other tensors too.
    IgnoreSurplus,
    /// The activation of the MLPs.
    Activation,
    /// The choice of this name among a file's tables of text positions.
    TextPositions(&'static str),
    /// Cutting texts that are too long.
    TruncateLongText,
    /// Reading texts that are too long in parts.
    ChunkLongText,
    /// Giving labels, directly or in a file.
    Labels,
    /// An answer "none of these" besides the labels.
    Reject,
    /// The score that judges each label alone.
    IndependentScore,
    /// The name of the field or column that holds texts.
    TextField,
    /// The number of pixels up to which images are decoded.
    MaxPixels,
    /// The time that a URL has to answer.
    UrlTimeout,
    /// Reading the images of an Arrow stream.
    ArrowInput,
    /// Building the search index of this name.
    BuildIndex(String),
    /// Continuing what an interrupted run has written.
    Resume,
    /// Replacing files that exist.
    ReplaceFiles,
}

impl fmt::Display for Control {
    /// The variant's name, for callers of the library.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`Control::{self:?}`")
    }
}

/// What to do about an error: one piece of advice, or several of which any will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    alternatives: Vec<Advice>,
}

/// Text with a `{}` for each control.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Advice {
    text: Cow<'static, str>,
    controls: Vec<Control>,
}

/// A [`Hint`] with a `{}` for each [`Control`], as in `hint!("use {}", Control::CpuDevice)`.
macro_rules! hint {
    ($text:literal, $($control:expr),+ $(,)?) => {{
        // Counts the braces when this is compiled.
        let _ = format_args!($text, $($control),+);
        $crate::error::Hint::naming($text, vec![$($control),+])
    }};
}
pub(crate) use hint;

impl Hint {
    /// For `hint!`, and for a text that is put together at run time.
    pub(crate) fn naming(text: impl Into<Cow<'static, str>>, controls: Vec<Control>) -> Self {
        let text = text.into();
        Hint {
            alternatives: vec![Advice { text, controls }],
        }
    }

    /// Another thing that helps as well. An edge that has no name for one of its controls leaves it out.
    #[must_use]
    pub fn or(mut self, other: impl Into<Hint>) -> Self {
        self.alternatives.extend(other.into().alternatives);
        self
    }

    /// The advice in the words of an edge, whose `name` gives what a control is called there; `None` if nothing is left
    /// without the controls that it doesn't have.
    pub fn worded(&self, name: impl Fn(&Control) -> Option<String>) -> Option<String> {
        let worded = self.alternatives.iter().filter_map(|advice| advice.worded(&name));
        let worded: Vec<String> = worded.collect();
        (!worded.is_empty()).then(|| worded.join(", or "))
    }
}

impl Advice {
    fn worded(&self, name: impl Fn(&Control) -> Option<String>) -> Option<String> {
        if self.controls.is_empty() {
            return Some(self.text.clone().into_owned());
        }
        let mut pieces = self.text.split("{}");
        let mut worded = pieces.next()?.to_owned();
        for (control, piece) in self.controls.iter().zip(pieces) {
            worded += &name(control)?;
            worded += piece;
        }
        Some(worded)
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worded = self.worded(|control| Some(control.to_string()));
        f.write_str(&worded.unwrap_or_default())
    }
}

impl<T: Into<Cow<'static, str>>> From<T> for Hint {
    /// Advice that names no control.
    fn from(text: T) -> Self {
        let (text, controls) = (text.into(), Vec::new());
        Hint {
            alternatives: vec![Advice { text, controls }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_names_the_controls_that_it_has() {
        let hint = Hint::from("scale it down").or(hint!("set {} or use {}", Control::MaxPixels, Control::Nano));
        let flags = |control: &Control| match control {
            Control::MaxPixels => Some("`--max-pixels`".to_owned()),
            _ => Some("`--model nano`".to_owned()),
        };
        assert_eq!(
            hint.worded(flags).unwrap(),
            "scale it down, or set `--max-pixels` or use `--model nano`"
        );
        assert_eq!(hint.worded(|_| None).unwrap(), "scale it down");
        assert_eq!(hint!("set {}", Control::MaxPixels).worded(|_| None), None);
    }

    #[test]
    fn braces_in_plain_text_stay() {
        assert_eq!(Hint::from("write `{}`".to_owned()).to_string(), "write `{}`");
    }
}
