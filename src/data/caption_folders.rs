//! Two folders, `image/` with images and `caption/` with a text file for each, of the same name up to the dot, as in Urban1k.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::image::{Image, in_words};
use super::kind::{CaptionPart, CaptionProtocol, DataOptions, Kind, Opened, PerImage, entries_of, has_ending};
use super::sample::{Listed, Sample};
use super::unusable::Unusable;
use crate::error::Result;
use crate::input::is_named_like_a_picture;
use crate::plain_text::utf8;

pub(super) const KIND: Kind = Kind {
    name: "folders of images and captions",
    what: "a folder with `image` and `caption` in it, as in Urban1k",
    looks_like: |candidate| Some(both(candidate.path)?.1.to_owned()),
    open: |paths, options| open(&paths[0], options),
    is_joined: false,
    has_fields: false,
    // `f.readlines()[0]` in upstream's `eval/retrieval/Urban1k.py`.
    protocol: CaptionProtocol {
        part: CaptionPart::FirstLine,
        per_image: PerImage::All,
    },
};

/// The names of the two folders in a folder.
pub(super) fn both(folder: &Path) -> Option<(&'static str, &'static str)> {
    let first = |names: [&'static str; 2]| names.into_iter().find(|name| folder.join(name).is_dir());
    Some((first(["image", "images"])?, first(["caption", "captions"])?))
}

fn open(path: &Path, options: &DataOptions) -> Result<Opened> {
    let (images, captions) = both(path).unwrap_or(("image", "caption"));
    let (mut samples, mut unusable) = (Vec::new(), Vec::new());
    let mut images_by_stem = by_stem(&path.join(images), is_named_like_a_picture, &mut unusable)?;
    let is_text = |path: &Path| has_ending(path, &["txt"]);
    for (stem, caption) in by_stem(&path.join(captions), is_text, &mut unusable)? {
        let found = match images_by_stem.remove(&stem) {
            Some(image) => read_caption(&caption).map(|text| (image, text)),
            None => Err(format!("cannot find its image `{images}/{stem}.*`")),
        };
        match found {
            Ok((image, text)) => samples.push(Sample {
                captions: vec![text],
                ..Sample::new(
                    Image::file(Path::new(images).join(image.file_name().unwrap_or_default())),
                    caption.display().to_string(),
                )
            }),
            Err(problem) => unusable.push(Unusable::new(caption.display().to_string(), problem)),
        }
    }
    for (stem, image) in images_by_stem {
        let problem = format!("cannot find its caption `{captions}/{stem}.txt`");
        unusable.push(Unusable::new(image.display().to_string(), problem));
    }
    let source = Listed::below(samples, options.images.as_deref(), &[path.to_owned()]);
    Ok(Opened::new(&KIND, source, unusable))
}

/// The files of a folder that `is_wanted`, by their names up to the last dot.
fn by_stem(
    folder: &Path,
    is_wanted: impl Fn(&Path) -> bool,
    unusable: &mut Vec<Unusable>,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for path in entries_of(folder)?.into_iter().filter(|path| is_wanted(path)) {
        let name = in_words(path.as_os_str());
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
            unusable.push(Unusable::new(name, "its name is not UTF-8"));
            continue;
        };
        if let Some(other) = files.insert(stem.to_owned(), path.clone()) {
            let problem = format!("its name is that of `{}` too, up to the dot", other.display());
            unusable.push(Unusable::new(name, problem));
        }
    }
    Ok(files)
}

/// A caption's text, or why it can't be used.
fn read_caption(path: &Path) -> std::result::Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("it can't be read: {error}"))?;
    match std::str::from_utf8(&utf8(&bytes)) {
        Ok(text) => Ok(text.trim_start_matches(['\r', '\n']).to_owned()),
        Err(_) => Err("it is not UTF-8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::data::kind::Purpose;
    use crate::data::testing::{captions, check_said, folder, read};

    #[test]
    fn files_without_a_partner_are_named() {
        let files = [
            "image/1.jpg",
            "image/2.png",
            "image/4.jpg",
            "image/4.png",
            "image/5.jpg",
            "image/Thumbs.db",
            "caption/1.txt",
        ];
        let (_dir, root) = folder(&files);
        fs::write(root.join("caption/3.txt"), "three").unwrap();
        fs::write(root.join("caption/4.txt"), "\u{feff}\nfour\n").unwrap();
        fs::create_dir(root.join("caption/5.txt")).unwrap();
        let (samples, problems) = read(&root, Purpose::Retrieval);
        let expected = [("1.jpg", "caption/1.txt"), ("4.png", "four\n")];
        assert_eq!(
            captions(&samples),
            expected.map(|(image, text)| (image.to_owned(), vec![text.to_owned()]))
        );
        let expected = [
            "image/4.png`: its name is that of",
            "caption/3.txt`: cannot find its image `image/3.*`",
            "caption/5.txt`: it can't be read",
            "image/2.png`: cannot find its caption `caption/2.txt`",
        ];
        check_said(&problems, &expected);
    }
}
