//! `--explain PATH`: where painted photos go.

use std::path::Path;

use longclip::input::{Inputs, is_named_like_a_picture};
use longclip::session::{PaintTo, Resuming, Writing};
use longclip::{Error, Result};

/// A file that ends in `.png` is for one image; anything else is a folder.
pub(super) fn place(path: &Path, inputs: &Inputs, resuming: Resuming, writing: &mut Writing<'_>) -> Result<PaintTo> {
    let shown = path.display();
    let is_png = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    if is_png && !path.is_dir() {
        if inputs.count().is_some_and(|n_images| n_images > 1) {
            return Err(PaintTo::one_file(path));
        }
        let target = writing.target("--explain", path, Resuming::Never, |_| false)?;
        return Ok(PaintTo::File(target.name().to_owned()));
    }
    let refused = |problem: String, hint: &'static str| Err(Error::usage(problem, hint));
    let name_another = "name a file that ends in `.png`, or a folder";
    if path.is_file() {
        return refused(format!("`--explain {shown}` is a file, but not a png"), name_another);
    }
    if is_named_like_a_picture(path) && !path.is_dir() {
        return refused(
            format!("`--explain {shown}` names an image that is not a png"),
            name_another,
        );
    }
    if resuming != Resuming::Asked && !writing.replaces_existing() && PaintTo::is_used(path) {
        return refused(
            format!("`{shown}` holds painted photos already"),
            "`--force` replaces those of the same names; or name another folder",
        );
    }
    Ok(PaintTo::Folder(path.to_owned()))
}
