//! `--explain PATH`: where in a picture its likeliest label was seen, painted over the photo.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use longclip::files;
use longclip::input::{Inputs, is_named_like_a_picture};
use longclip::model::LongClip;
use longclip::output::{HeatMap, THUMBNAIL_PX, png, thumbnail_jpeg};
use longclip::preprocess::{Picture, Preprocess};
use longclip::score::patch_relevance;
use longclip::session::Source as Seen;
use longclip::{Error, Result};

use super::targets::{Resuming, Writing};

/// Where painted photos go.
#[derive(Debug)]
pub(super) enum Place {
    File(PathBuf),
    Folder(PathBuf),
}

impl Place {
    /// A file that ends in `.png` is for one image; anything else is a folder.
    pub(super) fn of(path: &Path, inputs: &Inputs, resuming: Resuming, writing: &mut Writing<'_>) -> Result<Self> {
        let is_png = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
        if !is_png || path.is_dir() {
            if path.is_file() {
                return Err(Error::usage(
                    format!("`--explain {}` is a file, but not a png", path.display()),
                    "name a file that ends in `.png`, or a folder",
                ));
            }
            if is_named_like_a_picture(path) && !path.is_dir() {
                return Err(Error::usage(
                    format!("`--explain {}` names an image that is not a png", path.display()),
                    "name a file that ends in `.png`, or a folder",
                ));
            }
            if resuming != Resuming::Asked && !writing.force.force && holds_heat_maps(path) {
                return Err(Error::usage(
                    format!("`{}` holds painted photos already", path.display()),
                    "`--force` replaces those of the same names; or name another folder",
                ));
            }
            return Ok(Place::Folder(path.to_owned()));
        }
        if inputs.count().is_some_and(|n_pictures| n_pictures > 1) {
            return Err(several(path));
        }
        let target = writing.target("--explain", path, Resuming::Never, |_| false)?;
        Ok(Place::File(target.name().to_owned()))
    }
}

/// Whether a folder has photos that an earlier run painted.
fn holds_heat_maps(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| name.as_encoded_bytes().ends_with(ENDING.as_bytes()))
}

fn several(path: &Path) -> Error {
    Error::usage(
        format!(
            "`--explain {}` is one file, and there are several images",
            path.display()
        ),
        "name a folder: each image gets a file in it",
    )
}

/// Paints photos.
pub(super) struct Explainer<'a> {
    model: &'a LongClip,
    place: Place,
    /// Names of files that this run wrote.
    written: HashSet<PathBuf>,
}

impl<'a> Explainer<'a> {
    pub(super) fn new(model: &'a LongClip, place: Place) -> Self {
        Explainer {
            model,
            place,
            written: HashSet::new(),
        }
    }

    /// Writes the photo of this name, with what `text` had to do with its parts.
    pub(super) fn explain(&mut self, name: &str, text: &[f32], seen: &Seen) -> Result<HeatMap> {
        let map = HeatMap::new(&patch_relevance(&self.model.attention(&seen.pixels, text)?));
        let path = self.path(name)?;
        let (width_px, height_px) = (seen.image.width_px(), seen.image.height_px());
        let mut rgb = seen.image.rgb();
        map.paint(&mut rgb, width_px, height_px);
        let failed = Error::write(&path);
        let bytes = png(&rgb, width_px, height_px).map_err(failed)?;
        files::replace(&path, |new| fs::write(new, bytes).map_err(failed))?;
        Ok(map)
    }

    /// A name for each image, which no other image of this run has.
    fn path(&mut self, name: &str) -> Result<PathBuf> {
        let path = match &self.place {
            Place::File(path) if self.written.is_empty() => path.clone(),
            Place::File(path) => return Err(several(path)),
            Place::Folder(folder) => {
                fs::create_dir_all(folder).map_err(Error::write(folder))?;
                let plain = file_name(name);
                let numbered = (2..).map(|number| format!("{plain}-{number}"));
                let mut names = std::iter::once(plain.clone()).chain(numbered);
                let free = names.find_map(|name| {
                    let path = folder.join(format!("{name}{ENDING}"));
                    (!self.written.contains(&path)).then_some(path)
                });
                free.unwrap_or_else(|| folder.join(format!("{plain}{ENDING}")))
            }
        };
        self.written.insert(path.clone());
        Ok(path)
    }
}

/// Appended to the photo's whole name: no photo is named like this, so none is overwritten.
const ENDING: &str = ".heat.png";

/// The last part of an image's name, as a file may be called.
fn file_name(name: &str) -> String {
    let last = name
        .rsplit(['/', '\\'])
        .find(|part| !part.is_empty())
        .unwrap_or("image");
    let safe = |c: char| {
        if c.is_control() || ":*?\"<>|".contains(c) {
            '_'
        } else {
            c
        }
    };
    last.chars().take(120).map(safe).collect()
}

/// A small painted photo for the page.
pub(super) fn small(map: &HeatMap, picture: &Picture) -> Option<Vec<u8>> {
    let mut rgb = Preprocess::new(THUMBNAIL_PX).crop_u8(picture);
    map.paint(&mut rgb, THUMBNAIL_PX, THUMBNAIL_PX);
    thumbnail_jpeg(&rgb)
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn pictures_names_become_files_names() {
        for (name, expected) in [
            ("photos/cat.jpg", "cat.jpg"),
            ("https://host/a/b.png?x=1", "b.png_x=1"),
            ("shard.tar/0001.jpg", "0001.jpg"),
            ("-", "-"),
            ("", "image"),
            ("C:\\photos\\a:b.jpg", "a_b.jpg"),
        ] {
            assert_eq!(file_name(name), expected);
        }
    }
}
