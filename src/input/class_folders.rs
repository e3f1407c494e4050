//! A folder with a folder of pictures for each class, as training and evaluations read it.
//!
//! Pictures are found as `classify` finds them, at any depth, in byte order, hidden ones passed over; links to folders are
//! followed, since sets are often gathered by them.

use std::ffi::OsStr;
use std::path::Path;

use super::{InputOptions, Inputs, Items, Links, Skipped, Source};

/// All pictures below a folder, whether their classes are known or not; what is passed over is counted in `passed`.
pub(crate) fn pictures_below(root: &Path, passed: &Skipped) -> Items {
    let inputs = Inputs {
        sources: vec![Source::Named(root.to_owned())],
        options: InputOptions {
            links: Links::Follow,
            skipped: passed.clone(),
            ..InputOptions::default()
        },
    };
    inputs.items()
}

/// The folder of a picture's class, and the folder in that one which it is in, if it is; none for a picture in `root` itself.
pub(crate) fn folders_of<'a>(root: &Path, picture: &'a Path) -> Option<(&'a OsStr, Option<&'a OsStr>)> {
    let folders = picture.strip_prefix(root).ok()?.parent()?;
    let mut folders = folders.components().map(|part| part.as_os_str());
    Some((folders.next()?, folders.next()))
}
