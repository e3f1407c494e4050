//! Urban1k's two folders: `image/` with pictures and `caption/` with a text file for each, of the same name up to the dot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Entry, Found};
use crate::error::{Error, Result};
use crate::eval::{Unusable, in_words};
use crate::input::is_named_like_a_picture;

/// The two folders inside of `data`, relative to it.
pub(super) fn parts(data: &Path) -> Option<(&'static str, &'static str)> {
    let there = |names: [&'static str; 2]| names.into_iter().find(|name| data.join(name).is_dir());
    Some((there(["image", "images"])?, there(["caption", "captions"])?))
}

pub(super) fn read(data: &Path) -> Result<Found> {
    let (images, captions) = parts(data).unwrap_or(("image", "caption"));
    let mut found = Found::default();
    let mut pictures = by_stem(&data.join(images), is_named_like_a_picture, &mut found)?;
    let is_text = |path: &Path| {
        path.extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("txt"))
    };
    for (stem, caption) in by_stem(&data.join(captions), is_text, &mut found)? {
        let Some(picture) = pictures.remove(&stem) else {
            let problem = format!("there is no picture `{images}/{stem}.*` for it");
            found.leave_out(&caption, problem);
            continue;
        };
        match read_caption(&caption) {
            Ok(text) => {
                let name = picture.file_name().unwrap_or_default().to_string_lossy();
                found.entries.push(Entry {
                    picture: format!("{images}/{name}"),
                    place: caption.display().to_string(),
                    split: None,
                    captions: vec![text],
                });
            }
            Err(problem) => found.leave_out(&caption, problem),
        }
    }
    for (stem, picture) in pictures {
        found.leave_out(&picture, format!("there is no `{captions}/{stem}.txt` for it"));
    }
    Ok(found)
}

impl Found {
    /// A file that can't be used.
    fn leave_out(&mut self, file: &Path, problem: impl Into<String>) {
        self.problems.push(Unusable::new(file.display().to_string(), problem));
    }
}

/// A folder's files that `is_wanted`, by their names up to the last dot, in byte order.
fn by_stem(folder: &Path, is_wanted: impl Fn(&Path) -> bool, found: &mut Found) -> Result<BTreeMap<String, PathBuf>> {
    let unreadable = Error::read(folder);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden || !is_wanted(&path) {
            continue;
        }
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else {
            let problem = "its name is no UTF-8";
            found.problems.push(Unusable::new(in_words(path.as_os_str()), problem));
            continue;
        };
        if let Some(other) = files.insert(stem, path.clone()) {
            let problem = format!("its name is that of `{}` too, up to the dot", other.display());
            found.leave_out(&path, problem);
        }
    }
    Ok(files)
}

/// A caption's text, or why it can't be used.
fn read_caption(path: &Path) -> std::result::Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("it can't be read: {error}"))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.trim_start_matches(['\r', '\n']).to_owned()),
        Err(_) => Err("it is no UTF-8".to_owned()),
    }
}
