//! Files with several tables of text positions, and what their models' own code does with them.
//!
//! Long-CLIP joins its two tables. DeBias-CLIP writes two as well, in open_clip's layout with a custom text tower, but its
//! loader replaces the second by the first. FG-CLIP has Long-CLIP's two for long texts, and CLIP's one for short texts. Called
//! when a file is opened.

use super::config::{Found, name_of};
use super::layouts::{self, Layout};
use super::notice::Notice;
use super::options::TextPositions;
use super::sizes::Shapes;
use super::stored::TensorFile;
use crate::error::{Error, Result};
use crate::named::Named;
use crate::recipe::{Filter, Resize};

/// The tables that are used, and what to say about it.
pub(super) struct Tables {
    /// The layout in which the file is read.
    pub(super) layout: &'static Layout,
    pub(super) positions: TextPositions,
    pub(super) notice: Option<Notice>,
}

/// Chooses the text positions of a file in this layout: the wanted ones, else those that its model's own code uses.
///
/// # Errors
/// [`Error::Usage`] if the file doesn't have the wanted ones.
pub(super) fn choose(file: &TensorFile, layout: &'static Layout, wanted: Option<TextPositions>) -> Result<Tables> {
    let has_two = Shapes { file, layout }.has_residual_positions();
    let own = match has_two && layouts::is_custom_text(layout) {
        true => TextPositions::First,
        false => TextPositions::Joined,
    };
    let positions = wanted.unwrap_or(own);
    let layout = match positions {
        TextPositions::Short => layouts::for_short_texts(layout).ok_or_else(|| absent(file, positions))?,
        TextPositions::Joined | TextPositions::First => layout,
    };
    if wanted.is_some() && !has_two {
        return Err(absent(file, positions));
    }
    let is_unexpected = positions == TextPositions::First || layouts::is_fgclip(layout);
    let notice = Notice::SeveralTables {
        file: name_of(&file.path),
        used: positions,
    };
    Ok(Tables {
        layout,
        positions,
        notice: (wanted.is_none() && is_unexpected).then_some(notice),
    })
}

/// What FG-CLIP's own code does besides what its config says: it squashes images before its processor sees them. The config
/// counts the positions of short texts only.
pub(super) fn complete_fgclip(found: &mut Found) {
    (found.recipe.pixels.resize, found.recipe.pixels.filter) = (Resize::Squash, Filter::Bicubic);
    found
        .notices
        .retain(|notice| !matches!(notice, Notice::OtherContextLength { .. }));
}

fn absent(file: &TensorFile, wanted: TextPositions) -> Error {
    let (path, name) = (file.path.display(), wanted.name());
    let problem = match wanted {
        TextPositions::Short => {
            format!("`{path}` is not an FG-CLIP, which has a table of text positions for short texts")
        }
        TextPositions::Joined | TextPositions::First => {
            format!("`{path}` has one table of text positions, so there is nothing to choose with `{name}`")
        }
    };
    Error::usage(problem, "leave the choice out")
}
