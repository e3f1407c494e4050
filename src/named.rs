//! Names of choices: written once, next to the enum, and read by flags, help, Python, messages and files.

use crate::error::{Error, Result};

/// A choice that people make by its name.
pub trait Named: Copy + Eq + 'static {
    /// What messages call such a choice, as `score`.
    const WHAT: &'static str;
    /// All of them, in the order of the help.
    const ALL: &'static [Self];

    /// Its name.
    fn name(self) -> &'static str;

    /// The choice of this name.
    ///
    /// # Errors
    /// [`Error::Usage`] for any other name; its hint lists the known names.
    fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|known| known.name() == name);
        found.copied().ok_or_else(|| {
            let known: Vec<String> = Self::ALL.iter().map(|known| format!("`{}`", known.name())).collect();
            Error::usage(
                format!("unknown {} `{name}`", Self::WHAT),
                format!("it may be {}", known.join(", ")),
            )
        })
    }
}

/// Gives an enum its names: `named!(Combine, "way to combine prompts": Mean = "mean", Max = "max");`.
///
/// A variant without a name doesn't compile.
macro_rules! named {
    ($choice:ident, $what:literal: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $crate::named::Named for $choice {
            const WHAT: &'static str = $what;
            const ALL: &'static [Self] = &[$($choice::$variant),+];

            fn name(self) -> &'static str {
                match self {
                    $($choice::$variant => $name),+
                }
            }
        }

        impl ::std::fmt::Display for $choice {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str($crate::named::Named::name(*self))
            }
        }

        impl ::serde::Serialize for $choice {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::named::Named::name(*self))
            }
        }
    };
}
pub(crate) use named;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Score;

    #[test]
    fn a_choice_goes_by_its_name_and_others_are_refused_with_the_names_that_there_are() {
        for score in Score::ALL {
            assert_eq!(Score::from_name(score.name()).unwrap(), *score);
        }
        let error = Score::from_name("sigmoid").unwrap_err();
        assert_eq!(error.to_string(), "unknown score `sigmoid`");
        let hint = error.hint().and_then(|hint| hint.worded(|_| None));
        assert_eq!(
            hint.as_deref(),
            Some("it may be `softmax`, `independent`, `cosine`, `raw-dot`")
        );
    }
}
