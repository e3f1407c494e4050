//! A folder with a folder of pictures for each class: the class is the folder's name, and templates make captions of it.
//!
//! What is learnt so is what a zero-shot classifier asks for. An underscore in a folder's name is read as a space.
//! Pictures are found as `classify` finds them, in byte order, hidden ones passed over; links to folders are followed, since
//! sets are often gathered by them. What is there and is no picture of a class is listed as unusable, and a folder that
//! seems to hold sets (`train/`, `val/`) in place of classes is refused.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::records::short_of;
use super::sets::{Folder, refuse_sets};
use super::{DataOptions, Sample, Source, Unusable, unusable};
use crate::error::{Error, Result, counted};
use crate::input::class_folders::{folders_of, pictures_below};
use crate::input::{Content, Items, Skipped};
use crate::labels::Template;

pub(super) struct Classes {
    names: Vec<String>,
    pictures: Vec<(PathBuf, u32)>,
    templates: Vec<Template>,
}

pub(super) fn open(root: &Path, options: &DataOptions, skipped: &mut Vec<Unusable>) -> Result<Classes> {
    let passed = Skipped::default();
    let classes = gathered(root, pictures_below(root, &passed), options, skipped)?;
    let counts = passed.counts();
    for (what, found) in [
        ("it is no picture", counts.not_pictures),
        ("it leads back to a folder that it stands in", counts.loops),
    ] {
        let Some(first) = found.first else { continue };
        skipped.push(match found.n {
            1 => Unusable::new(first, what),
            n => Unusable::new(first, format!("{what}, the first of {n} such in `{}`", root.display())),
        });
    }
    Ok(classes)
}

fn gathered(root: &Path, items: Items, options: &DataOptions, skipped: &mut Vec<Unusable>) -> Result<Classes> {
    assert!(!options.templates.is_empty(), "captions are made of a template");
    let mut classes = Classes {
        names: Vec::new(),
        pictures: Vec::new(),
        templates: options.templates.clone(),
    };
    let mut folders: Vec<Folder> = Vec::new();
    let n_before = skipped.len();
    for item in items {
        let name = item.name.to_string();
        let picture = match item.content {
            Content::File(picture) => picture,
            Content::Nothing(Some(error)) => {
                skipped.push(Unusable { sample: name, error });
                continue;
            }
            _ => continue,
        };
        let Some((key, below)) = folders_of(root, &picture) else {
            skipped.push(Unusable::new(name, "it is in no folder of a class"));
            continue;
        };
        Folder::take(&mut folders, key, below);
        let class = key.to_string_lossy().replace('_', " ").trim().to_owned();
        if classes.names.last() != Some(&class) {
            classes.names.push(class);
        }
        classes.pictures.push((picture, classes.names.len() as u32 - 1));
    }
    refuse_sets(root, &folders)?;
    let empty = without_picture(root, &folders, &skipped[n_before..])?;
    skipped.extend(empty);
    Ok(classes)
}

/// Folders in the root that have no picture, but for those that are listed for another reason.
fn without_picture(root: &Path, folders: &[Folder], listed: &[Unusable]) -> Result<Vec<Unusable>> {
    let unreadable = Error::read(root);
    let mut empty = Vec::new();
    for entry in std::fs::read_dir(root).map_err(unreadable)? {
        let (path, name) = entry
            .map(|entry| (entry.path(), entry.file_name()))
            .map_err(unreadable)?;
        let is_known = folders.iter().any(|folder| folder.name == name)
            || listed
                .iter()
                .any(|unusable| Path::new(&unusable.sample).starts_with(&path));
        if path.is_dir() && !is_known && !name.as_encoded_bytes().starts_with(b".") {
            empty.push(path.display().to_string());
        }
    }
    empty.sort_unstable();
    let unusable = |folder| Unusable::new(folder, "it is a folder without a picture");
    Ok(empty.into_iter().map(unusable).collect())
}

impl Source for Classes {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn name(&self, i: usize) -> String {
        self.pictures[i].0.display().to_string()
    }

    fn about(&self) -> String {
        let n_classes = self.names.iter().collect::<BTreeSet<_>>().len();
        let classes = match n_classes {
            1 => "1 class".to_owned(),
            n => format!("{n} classes"),
        };
        format!("{} of {classes}", counted(self.len(), "picture"))
    }

    fn classes(&self) -> Option<&[String]> {
        Some(&self.names)
    }

    fn read(&self, i: usize, draw: u64) -> Result<Sample> {
        let (path, class_idx) = &self.pictures[i];
        let class = &self.names[*class_idx as usize];
        let caption = self.templates[(draw % self.templates.len() as u64) as usize].fill(class);
        let name = self.name(i);
        let picture = std::fs::read(path).map_err(Error::read(path))?;
        if class.is_empty() {
            return Err(unusable(name, "its folder's name says nothing"));
        }
        Ok(Sample {
            picture,
            short: short_of(&name, &caption)?,
            name,
            long: caption,
            class: Some(class.clone()),
        })
    }

    fn outline(&self, hash: &mut Sha256) {
        for (path, class_idx) in &self.pictures {
            hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
            hash.update(class_idx.to_le_bytes());
        }
        self.names.iter().for_each(|name| hash.update(name.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::{options, refused, said};
    use super::super::{DataOptions, Dataset};
    use super::*;
    use crate::input::Item;

    /// A folder with files of these names.
    fn folder(names: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        for name in names {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        (dir, root)
    }

    fn opened(root: &Path) -> Dataset {
        Dataset::open(&[root.to_owned()], &options(root)).unwrap()
    }

    #[test]
    fn what_is_no_picture_of_a_class_is_listed() {
        let (_dir, root) = folder(&[
            "cat/1.jpg",
            "cat/backup.tar",
            "dog/1.jpg",
            "dog/notes.txt",
            "loose.jpg",
            ".hidden/1.jpg",
        ]);
        fs::create_dir(root.join("eel")).unwrap();
        let data = opened(&root);
        assert_eq!(data.about(), "2 pictures of 2 classes");
        let expected = [
            "data/loose.jpg`: it is in no folder of a class",
            "data/eel`: it is a folder without a picture",
            "data/cat/backup.tar`: it is no picture, the first of 2 such",
        ];
        let said = said(&data);
        assert_eq!(said.len(), expected.len(), "{said:?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_listed_once_with_its_reason() {
        let (_dir, root) = folder(&["cat/1.jpg", "dog/1.jpg"]);
        fs::create_dir(root.join("eel")).unwrap();
        let eel = root.join("eel");
        let error = Error::read(&eel)(std::io::ErrorKind::PermissionDenied.into());
        let unreadable = Item::new(eel.display().to_string(), Content::Nothing(Some(error)));
        let items = pictures_below(&root, &Skipped::default()).chain(std::iter::once(unreadable));
        let mut skipped = Vec::new();
        let classes = gathered(&root, Box::new(items), &options(&root), &mut skipped).unwrap();
        assert_eq!(classes.about(), "2 pictures of 2 classes");
        let said: Vec<String> = skipped.iter().map(|unusable| unusable.error.to_string()).collect();
        assert!(
            said.len() == 1 && said[0].contains("eel`: permission denied"),
            "{said:?}"
        );
    }

    #[test]
    fn sets_are_not_taken_for_classes() {
        let (_dir, root) = folder(&["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg"]);
        let (problem, hint) = refused(&root);
        assert!(
            problem.contains("data/train` has no picture of its own but folders of pictures (`cat`, `dog`)"),
            "{problem}"
        );
        assert!(
            hint.contains("data/train --val-data ") && hint.contains("data/val`"),
            "{hint}"
        );
        // One class in each, told by the names alone; and classes of classes, told by what they hold.
        let (_dir, root) = folder(&["Train/cat/1.jpg", "Test/cat/1.jpg"]);
        assert!(refused(&root).0.contains("looks like a set of classes"));
        let (_dir, root) = folder(&["birds/1.jpg", "fish/cod/1.jpg", "fish/eel/1.jpg"]);
        assert!(refused(&root).0.contains("data/fish` has no picture"));
        // Pictures deeper in a class than others, and a folder in each class.
        let (_dir, root) = folder(&["cat/1.jpg", "cat/a/1.jpg", "cat/b/1.jpg", "train/1.jpg"]);
        assert_eq!(opened(&root).about(), "4 pictures of 2 classes");
        let (_dir, root) = folder(&["n01443537/images/1.jpg", "n01629819/images/1.jpg"]);
        assert_eq!(opened(&root).about(), "2 pictures of 2 classes");
    }

    #[test]
    fn a_class_alone_is_refused_unless_there_is_other_data() {
        let (_dir, root) = folder(&["cat/1.jpg", "cat/2.jpg"]);
        let (problem, hint) = refused(&root);
        assert!(problem.contains("one class alone, `cat`"), "{problem}");
        assert!(hint.contains("a folder beside it"), "{hint}");
        let (_other_dir, other) = folder(&["dog/1.jpg"]);
        let both = Dataset::open(&[root.clone(), other], &options(&root)).unwrap();
        assert_eq!(both.about(), "2 pictures of 1 class and 1 picture of 1 class");
    }

    #[cfg(unix)]
    #[test]
    fn a_class_that_is_a_link_is_followed_and_a_circle_is_listed() {
        let (_dir, root) = folder(&["cat/1.jpg"]);
        let (_other_dir, other) = folder(&["dog/1.jpg"]);
        std::os::unix::fs::symlink(other.join("dog"), root.join("dog")).unwrap();
        std::os::unix::fs::symlink(&root, root.join("cat/back")).unwrap();
        let data = opened(&root);
        assert_eq!(data.about(), "2 pictures of 2 classes");
        let said = said(&data);
        assert!(
            said.len() == 1 && said[0].contains("cat/back`: it leads back"),
            "{said:?}"
        );
    }

    #[test]
    fn captions_come_of_templates_by_the_draw() {
        let (_dir, root) = folder(&["fire_truck/b.jpg", "cat/x/a.png"]);
        let two = DataOptions {
            templates: vec![Template::new("a {}.").unwrap(), Template::new("the {}. Here.").unwrap()],
            ..options(&root)
        };
        let data = Dataset::open(std::slice::from_ref(&root), &two).unwrap();
        assert_eq!(data.len(), 2);
        let captions = |i, draw| {
            let sample = data.read(i, draw).unwrap();
            (sample.long, sample.short, sample.class.unwrap())
        };
        let expected = |long: &str, short: &str, class: &str| (long.to_owned(), short.to_owned(), class.to_owned());
        assert_eq!(captions(0, 0), expected("a cat.", "a cat.", "cat"));
        assert_eq!(captions(1, 0), expected("a fire truck.", "a fire truck.", "fire truck"));
        assert_eq!(
            captions(1, 1),
            expected("the fire truck. Here.", "the fire truck", "fire truck")
        );
        assert_eq!(data.read(0, 0).unwrap().picture, b"cat/x/a.png");
    }
}
