//! Image-text pairs of data sets as the items of a run: all of them, in the order of the data.
//!
//! An image's texts are the item's own labels. A sample that can't be used is an item with its error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kind::{DataOptions, Opened};
use super::kinds::open;
use super::sample::Sample;
use super::unusable::{Unusable, unusable};
use crate::error::{Error, Result, in_words};
use crate::input::{Item, Items, Shard, Unit};

/// Data sets whose samples are pairs.
pub struct PairData(Vec<Arc<PairSet>>);

/// One data set.
struct PairSet {
    opened: Opened,
    /// Folders that names start from: what follows is the same on all machines.
    folders: Vec<PathBuf>,
}

impl PairData {
    /// Looks through the data sets at some paths.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is of no known kind or has no sample; [`Error::Read`].
    pub fn open(paths: &[PathBuf], options: &DataOptions) -> Result<Self> {
        let opened = paths.iter().map(|path| {
            let folders = options.images.iter().cloned().chain([folder_of(path)]).collect();
            let opened = open(path, options)?;
            Ok(Arc::new(PairSet { opened, folders }))
        });
        opened.collect::<Result<_>>().map(PairData)
    }

    /// How many items there are, of all shards.
    pub fn n_items(&self) -> u64 {
        self.0.iter().map(|set| set.len()).sum::<usize>() as u64
    }

    /// The files that the data leads to: those of folders, and images, as far as images have files of their own.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let files = self.0.iter().flat_map(|set| set.opened.files.iter().cloned());
        let sources = self.0.iter().map(|set| &set.opened.source);
        let samples = sources.flat_map(|source| (0..source.len()).map(|i| source.read(i)));
        files.chain(samples.filter_map(|sample| Some(sample.ok()?.image.path()?.to_owned())))
    }

    /// The items, of one shard if one is named. What was found unusable while a data set was looked through comes after
    /// its samples.
    pub fn items(&self, shard: Option<Shard>) -> Items {
        let sets = self.0.clone().into_iter();
        Box::new(sets.flat_map(move |set| (0..set.len()).filter_map(move |i| set.item_of(i, shard))))
    }
}

/// A folder, or the folder that a file is in.
fn folder_of(path: &Path) -> PathBuf {
    match path.is_dir() {
        true => path.to_owned(),
        false => path.parent().unwrap_or(Path::new("")).to_owned(),
    }
}

impl PairSet {
    fn len(&self) -> usize {
        self.opened.source.len() + self.opened.unusable.len()
    }

    /// An item, if it belongs to the shard.
    fn item_of(&self, i: usize, shard: Option<Shard>) -> Option<Item> {
        let Some(shard) = shard else { return Some(self.item(i)) };
        let file = match i < self.opened.source.len() {
            true => self.opened.source.file(i),
            false => None,
        };
        // Other shards' files are not read.
        if let (Unit::Archive, Some(file)) = (shard.unit(), file) {
            let name = file.file_name().unwrap_or_default();
            return shard.holds(&in_words(name)).then(|| self.item(i));
        }
        let item = self.item(i);
        let own = file.and_then(Path::parent);
        let folders = own.into_iter().chain(self.folders.iter().map(PathBuf::as_path));
        shard
            .holds(&name_below(folders, &item.name.to_string()))
            .then_some(item)
    }

    fn item(&self, i: usize) -> Item {
        let Opened {
            source,
            unusable: damaged,
            ..
        } = &self.opened;
        if let Some(i) = i.checked_sub(source.len()) {
            let Unusable { place, error } = &damaged[i];
            let problem = match error {
                // The item has the place as its name, so only the problem is kept.
                Error::Sample { problem, .. } => problem.clone(),
                other => other.to_string(),
            };
            return Item::unusable(&**place, unusable(place, problem));
        }
        match source.read(i).and_then(with_captions) {
            Ok(sample) => Item {
                labels: Some(sample.captions),
                ..sample.image.item()
            },
            Err(error) => Item::unusable(source.place(i), error),
        }
    }
}

/// The part of a name below the first of these folders that it is in, with `/` between its parts; the whole name if it is
/// in none.
fn name_below<'f>(mut folders: impl Iterator<Item = &'f Path>, name: &str) -> String {
    let inner = folders.find_map(|folder| Path::new(name).strip_prefix(folder).ok());
    let inner = inner.map_or_else(|| name.to_owned(), in_words);
    inner.replace(std::path::MAIN_SEPARATOR, "/")
}

/// The sample, if all of its captions can be scored.
fn with_captions(sample: Sample) -> Result<Sample> {
    match sample.captions.iter().all(|caption| !caption.trim().is_empty()) && !sample.captions.is_empty() {
        true => Ok(sample),
        false => Err(unusable(&sample.place, "it has no caption, or an empty one")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::Purpose;
    use crate::data::testing::{folder, options};
    use crate::input::testing::{archive_of, slashed};

    #[test]
    fn the_shard_of_a_pair_does_not_depend_on_where_the_data_is() {
        let absolute = if cfg!(windows) {
            "C:/elsewhere/b.jpg"
        } else {
            "/elsewhere/b.jpg"
        };
        let lines = format!(
            r#"{{"path": "inner/a.jpg", "text": "x"}}
            {{"path": "gone.jpg"}}
            {{"path": "{absolute}", "text": "x"}}"#
        );
        let tar = archive_of(&[("1.jpg", b"1"), ("1.txt", b"x"), ("2.jpg", b"2"), ("2.txt", b"x")]);
        let shards_of = |name: &str, bytes: &[u8], images: Option<&str>| {
            let (_dir, root) = folder(&["pictures/inner/a.jpg"]);
            fs::write(root.join(name), bytes).unwrap();
            let options = DataOptions {
                images: images.map(|images| root.join(images)),
                ..options(Purpose::Retrieval)
            };
            let data = PairData::open(&[root.join(name)], &options).unwrap();
            let root = root.display().to_string();
            let shard = |i: u32| {
                let items = data.items(Some(Shard::parse(&format!("{i}/97")).unwrap()));
                let names: Vec<String> = items
                    .map(|item| slashed(&item.name.to_string().replace(&root, "")))
                    .collect();
                names.into_iter().map(move |name| (name, i))
            };
            (0..97).flat_map(shard).collect::<Vec<_>>()
        };
        let expected = |names: &[(&str, &str)]| {
            let index = |name: &str| {
                (0..97)
                    .find(|i| Shard::parse(&format!("{i}/97")).unwrap().holds(name))
                    .unwrap()
            };
            let mut shards: Vec<(String, u32)> = names
                .iter()
                .map(|(name, hashed)| ((*name).to_owned(), index(hashed)))
                .collect();
            shards.sort_by_key(|(_, i)| *i);
            shards
        };
        let elsewhere = (absolute, absolute);
        let line = ("/pairs.ndjson line 2", "pairs.ndjson line 2");
        assert_eq!(
            shards_of("pairs.ndjson", lines.as_bytes(), None),
            expected(&[("/inner/a.jpg", "inner/a.jpg"), line, elsewhere])
        );
        assert_eq!(
            shards_of("pairs.ndjson", lines.as_bytes(), Some("pictures")),
            expected(&[("/pictures/inner/a.jpg", "inner/a.jpg"), line, elsewhere])
        );
        let members = [("/a.tar/1", "a.tar/1"), ("/a.tar/2", "a.tar/2")];
        assert_eq!(shards_of("a.tar", &tar, None), expected(&members));
    }
}
