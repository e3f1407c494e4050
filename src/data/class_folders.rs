//! A folder with one folder of images per class. The class is the folder's name, with spaces for underscores.
//!
//! Images are found as `classify` finds them, at any depth, in byte order, without hidden ones. Links to folders are followed,
//! since data sets are often made of links. A folder without images is a class too, which images may be taken for. Folders of
//! sets (`train/`, `val/`) in place of classes are refused. For a training, folders without an image and files that are not
//! images are reported.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::image::{Image, in_words};
use super::kind::{Candidate, CaptionProtocol, DataOptions, Kind, Opened, Purpose, entries_of};
use super::sample::{Class, ClassOf, Sample, Source};
use super::sets::{Folder, folders_of, refuse_sets};
use super::unusable::Unusable;
use super::{caption_folders, imagenet};
use crate::error::{Result, counted};
use crate::input::{self, Content, InputOptions, Inputs, Items, Skipped};

pub(super) const KIND: Kind = Kind {
    name: "class folders",
    what: "a folder with one folder of images per class",
    looks_like,
    open: |paths, options| open(&paths[0], options),
    is_joined: false,
    has_fields: false,
    protocol: CaptionProtocol::WHOLE,
};

/// The first folder with an image.
fn looks_like(candidate: &Candidate<'_>) -> Option<String> {
    if !candidate.is_folder || caption_folders::both(candidate.path).is_some() {
        return None;
    }
    images_below(candidate.path, &Skipped::default()).find_map(|item| match item.content {
        Content::File(image) => Some(in_words(folders_of(candidate.path, &image)?.0)),
        _ => None,
    })
}

/// All images below a folder, also those that are in no folder of a class. What is skipped is counted in `skipped`.
fn images_below(root: &Path, skipped: &Skipped) -> Items {
    let inputs = Inputs {
        sources: vec![input::Source::Named(root.to_owned())],
        options: InputOptions {
            follows_links: true,
            skipped: skipped.clone(),
            ..InputOptions::default()
        },
    };
    inputs.items()
}

fn open(root: &Path, options: &DataOptions) -> Result<Opened> {
    let skipped = Skipped::default();
    let mut data = gathered(root, images_below(root, &skipped), options)?;
    imagenet::name_synsets(&mut data);
    let counts = skipped.counts();
    let others = [
        ("it is not an image", counts.not_pictures),
        ("it leads back to a folder that it is in", counts.loops),
    ];
    for (what, found) in others {
        let (Some(first), Purpose::Training) = (found.first, options.purpose) else {
            continue;
        };
        data.unusable.push(match found.n {
            1 => Unusable::new(first, what),
            n => Unusable::new(first, format!("{what}; it is the first of {n} in `{}`", root.display())),
        });
    }
    Ok(data)
}

/// The data set of what was found below `root`.
fn gathered(root: &Path, items: Items, options: &DataOptions) -> Result<Opened> {
    let (mut images, mut unusable) = (Vec::new(), Vec::new());
    let mut folders: Vec<Folder> = Vec::new();
    for item in items {
        let name = item.name.to_string();
        match item.content {
            Content::File(image) => match folders_of(root, &image) {
                Some((class, below)) => {
                    Folder::count(&mut folders, class, below);
                    images.push(image);
                }
                None => unusable.push(Unusable::new(name, "it is not in the folder of a class")),
            },
            Content::Nothing(Some(error)) => unusable.push(Unusable { place: name, error }),
            _ => {}
        }
    }
    let classes = entries_of(root)?.into_iter().filter(|path| path.is_dir());
    let classes: Vec<PathBuf> = classes.collect();
    refuse_sets(root, &folders, options.purpose)?;
    if options.purpose == Purpose::Training {
        let is_known = |class: &&PathBuf| {
            let has_images = folders.iter().any(|folder| class.file_name() == Some(&folder.name));
            has_images
                || unusable
                    .iter()
                    .any(|known: &Unusable| Path::new(&known.place).starts_with(class))
        };
        let empty: Vec<&PathBuf> = classes.iter().filter(|class| !is_known(class)).collect();
        let empty = empty.iter().map(|class| class.display().to_string());
        unusable.extend(
            empty
                .map(|class| Unusable::new(class, "it is a folder without an image"))
                .collect::<Vec<_>>(),
        );
    }
    let source = ClassFolders {
        root: root.to_owned(),
        images,
        n_classes: folders.len(),
    };
    Ok(Opened {
        classes: classes
            .iter()
            .map(|class| Class::new(in_words(class.file_name().unwrap_or_default())))
            .collect(),
        ..Opened::new(&KIND, source, unusable)
    })
}

struct ClassFolders {
    root: PathBuf,
    images: Vec<PathBuf>,
    /// Folders that have an image.
    n_classes: usize,
}

impl Source for ClassFolders {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn place(&self, i: usize) -> String {
        in_words(self.images[i].as_os_str())
    }

    fn read(&self, i: usize) -> Result<Sample> {
        let class = folders_of(&self.root, &self.images[i]).map(|(class, _)| ClassOf::Name(in_words(class)));
        Ok(Sample {
            class,
            ..Sample::new(Image::file(self.images[i].clone()), self.place(i))
        })
    }

    /// Names of files, each with the index of its class, and then the classes.
    fn outline(&self, hash: &mut Sha256) {
        let mut classes: Vec<String> = Vec::new();
        for image in &self.images {
            let class =
                folders_of(&self.root, image).map_or(String::new(), |(class, _)| class.to_string_lossy().into());
            let class = class.replace('_', " ").trim().to_owned();
            if classes.last() != Some(&class) {
                classes.push(class);
            }
            hash.update(image.file_name().unwrap_or_default().as_encoded_bytes());
            hash.update((classes.len() as u32 - 1).to_le_bytes());
        }
        classes.iter().for_each(|class| hash.update(class));
    }

    fn about(&self) -> String {
        let classes = match self.n_classes {
            1 => "1 class".to_owned(),
            n => format!("{n} classes"),
        };
        format!("{} of {classes}", counted(self.len(), "image"))
    }

    fn has_only_classes(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{check_said, folder, opened, options, refused, said};
    use crate::error::Error;
    use crate::input::Item;

    #[test]
    fn a_folder_that_cannot_be_read_is_listed_once_with_its_reason() {
        let (_dir, root) = folder(&["cat/1.jpg", "dog/1.jpg"]);
        let eel = root.join("eel");
        std::fs::create_dir(&eel).unwrap();
        let error = Error::read(&eel)(std::io::ErrorKind::PermissionDenied.into());
        let unreadable = Item::new(eel.display().to_string(), Content::Nothing(Some(error)));
        let items = images_below(&root, &Skipped::default()).chain(std::iter::once(unreadable));
        let data = gathered(&root, Box::new(items), &options(Purpose::Training)).unwrap();
        assert_eq!(data.source.about(), "2 images of 2 classes");
        let said = said(&data.unusable);
        assert!(
            said.len() == 1 && said[0].contains("eel`: permission denied"),
            "{said:?}"
        );
    }
    #[test]
    fn a_training_is_told_of_all_that_is_not_an_image_of_a_class() {
        let files = [
            "cat/1.jpg",
            "cat/backup.tar",
            "dog/1.jpg",
            "dog/notes.txt",
            "loose.jpg",
            ".hidden/1.jpg",
        ];
        let (_dir, root) = folder(&files);
        std::fs::create_dir(root.join("eel")).unwrap();
        let data = opened(&root, Purpose::Training);
        assert_eq!(data.source.about(), "2 images of 2 classes");
        let expected = [
            "data/loose.jpg`: it is not in the folder of a class",
            "data/eel`: it is a folder without an image",
            "data/cat/backup.tar`: it is not an image; it is the first of 2",
        ];
        check_said(&said(&data.unusable), &expected);
        let data = opened(&root, Purpose::ZeroShot);
        check_said(&said(&data.unusable), &expected[..1]);
        let classes: Vec<&str> = data.classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(classes, ["cat", "dog", "eel"]);
    }

    #[test]
    fn sets_are_not_taken_for_classes() {
        let refused = |files: &[&str]| {
            let (_dir, root) = folder(files);
            refused(&root, Purpose::Training)
        };
        let (problem, hint) = refused(&["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg"]);
        assert!(
            problem.contains("data/train` has no image of its own but folders of images (`cat`, `dog`)"),
            "{problem}"
        );
        assert!(
            hint.contains("data/train` to train on and") && hint.contains("data/val` to"),
            "{hint}"
        );
        // One class in each, recognised by the names alone; and classes of classes, recognised by what they hold.
        let (problem, _) = refused(&["Train/cat/1.jpg", "Test/cat/1.jpg"]);
        assert!(problem.contains("looks like a set of classes"), "{problem}");
        let (_dir, root) = folder(&["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg"]);
        let (problem, hint) = crate::data::testing::refused(&root, Purpose::ZeroShot);
        assert!(problem.contains("looks like a set of classes"), "{problem}");
        assert!(hint.contains("data/val`") && !hint.contains("data/train"), "{hint}");
        let (problem, _) = refused(&["birds/1.jpg", "fish/cod/1.jpg", "fish/eel/1.jpg"]);
        assert!(problem.contains("data/fish` has no image"), "{problem}");
        // Images deeper in a class than others, and a folder in each class.
        let (_dir, root) = folder(&["cat/1.jpg", "cat/a/1.jpg", "cat/b/1.jpg", "train/1.jpg"]);
        assert_eq!(opened(&root, Purpose::Training).source.about(), "4 images of 2 classes");
        let (_dir, root) = folder(&["n01443537/images/1.jpg", "n01629819/images/1.jpg"]);
        assert_eq!(opened(&root, Purpose::Training).source.about(), "2 images of 2 classes");
    }

    #[cfg(unix)]
    #[test]
    fn a_class_that_is_a_link_is_followed_and_a_circle_is_reported() {
        let (_dir, root) = folder(&["cat/1.jpg"]);
        let (_other_dir, other) = folder(&["dog/1.jpg", "dog/2.jpg"]);
        std::os::unix::fs::symlink(other.join("dog"), root.join("dog")).unwrap();
        std::os::unix::fs::symlink(&root, root.join("cat/back")).unwrap();
        let (samples, problems) = crate::data::testing::read(&root, Purpose::Training);
        let classes: Vec<ClassOf> = samples.into_iter().filter_map(|sample| sample.class).collect();
        assert_eq!(
            classes,
            ["cat", "dog", "dog"].map(|name| ClassOf::Name(name.to_owned()))
        );
        check_said(&problems, &["cat/back`: it leads back"]);
    }

    #[test]
    fn synset_folders_have_the_published_names_and_templates() {
        let (_dir, root) = folder(&["n01440764/a.JPEG", "n03773504/b.JPEG", "n99999999/d.JPEG"]);
        let data = opened(&root, Purpose::ZeroShot);
        assert_eq!(
            (data.title.as_str(), data.templates.len()),
            ("ImageNet, 2 of 1000 classes", 80)
        );
        assert_eq!(data.classes[1].name, "missile");
    }
}
