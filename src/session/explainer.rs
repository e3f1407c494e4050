//! Paints over photos where their likeliest label was seen, and writes each into a file.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Resuming, Source, Writing};
use crate::error::{Control, Error, Result, hint};
use crate::files;
use crate::input::{Inputs, is_named_like_a_picture};
use crate::model::LongClip;
use crate::output::{HeatMap, THUMBNAIL_PX, png, thumbnail_jpeg};
use crate::preprocess::{Picture, Preprocess};
use crate::score::patch_relevance;

/// Where painted photos go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaintTo {
    /// Into this file, for a single image.
    File(PathBuf),
    /// Into a file in this folder for each image.
    Folder(PathBuf),
}

/// Paints photos.
pub struct Explainer<'a> {
    model: &'a LongClip,
    to: PaintTo,
    /// Names of files that this run wrote.
    written: HashSet<PathBuf>,
}

impl<'a> Explainer<'a> {
    /// Nothing is written before the first image.
    pub fn new(model: &'a LongClip, to: PaintTo) -> Self {
        Explainer {
            model,
            to,
            written: HashSet::new(),
        }
    }

    /// Writes the photo of this name, with what `text`, an embedding `(embed_dim,)`, had to do with its parts.
    ///
    /// # Errors
    /// [`Error::Usage`] for a second image into one file; [`Error::Write`]; those of the model.
    pub fn explain(&mut self, name: &str, text: &[f32], seen: &Source) -> Result<HeatMap> {
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
        let path = match &self.to {
            PaintTo::File(path) if self.written.is_empty() => path.clone(),
            PaintTo::File(path) => return Err(PaintTo::one_file(path)),
            PaintTo::Folder(folder) => {
                fs::create_dir_all(folder).map_err(Error::write(folder))?;
                let plain = file_name(name);
                let numbered = (2..).map(|number| format!("{plain}-{number}"));
                let mut paths = std::iter::once(plain.clone())
                    .chain(numbered)
                    .map(|name| folder.join(name + ENDING));
                let free = paths.find(|path| !self.written.contains(path));
                free.expect("there are more numbers than images")
            }
        };
        self.written.insert(path.clone());
        Ok(path)
    }
}

impl PaintTo {
    /// Where `flag` names: a file that ends in `.png` is for one image; anything else is a folder.
    ///
    /// # Errors
    /// [`Error::Usage`] for a file that can't be painted into, a folder of inputs, or one that an earlier run painted into.
    pub fn at(
        flag: &'static str,
        path: &Path,
        (inputs, resuming): (&Inputs, Resuming),
        writing: &mut Writing<'_>,
    ) -> Result<Self> {
        let shown = path.display();
        if inputs.are_around(path) {
            return Err(Error::usage(
                format!("`{flag} {shown}` is in a folder of inputs, so painted photos would be inputs too"),
                "name a folder outside it",
            ));
        }
        let is_folder = path.is_dir();
        let ending = path.extension().unwrap_or_default();
        if ending.eq_ignore_ascii_case("png") && !is_folder {
            if inputs.count().is_some_and(|n_images| n_images > 1) {
                return Err(PaintTo::one_file(path));
            }
            let target = writing.target(flag, path, Resuming::Never, |_| false)?;
            return Ok(PaintTo::File(target.name().to_owned()));
        }
        let is_wrong = match path.is_file() {
            true => Some(format!("`{flag} {shown}` is a file, but not a png")),
            false if is_named_like_a_picture(path) && !is_folder => {
                Some(format!("`{flag} {shown}` names an image that is not a png"))
            }
            false => None,
        };
        if let Some(problem) = is_wrong {
            return Err(Error::usage(problem, "name a file that ends in `.png`, or a folder"));
        }
        if resuming != Resuming::Asked && !writing.replaces_existing() && PaintTo::is_used(path) {
            return Err(Error::Usage {
                problem: format!("`{shown}` holds painted photos already"),
                hint: Some(hint!(
                    "{} replaces those of the same names; or name another folder",
                    Control::ReplaceFiles
                )),
            });
        }
        Ok(PaintTo::Folder(path.to_owned()))
    }

    /// The error for several images and one file.
    fn one_file(path: &Path) -> Error {
        Error::usage(
            format!("`{}` is one file, and there are several images", path.display()),
            "name a folder: each image gets a file in it",
        )
    }

    /// Whether a folder has photos that an earlier run painted.
    fn is_used(folder: &Path) -> bool {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name());
        names.any(|name| name.as_encoded_bytes().ends_with(ENDING.as_bytes()))
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
    let safe = |c: char| match c.is_control() || ":*?\"<>|".contains(c) {
        true => '_',
        false => c,
    };
    last.chars().take(120).map(safe).collect()
}

/// A small painted photo for a page.
pub fn painted_thumbnail(map: &HeatMap, picture: &Picture) -> Option<Vec<u8>> {
    let mut rgb = Preprocess::new(THUMBNAIL_PX).crop_u8(picture);
    map.paint(&mut rgb, THUMBNAIL_PX, THUMBNAIL_PX);
    thumbnail_jpeg(&rgb)
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn the_names_of_images_become_names_of_files() {
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
