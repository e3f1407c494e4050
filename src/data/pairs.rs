//! Image-text pairs of data sets as the items of a run: in the order of the data, and none left out.
//!
//! An image's texts are the item's own labels. A sample that can't be used is an item with its error.

use std::path::PathBuf;
use std::sync::Arc;

use super::kind::{DataOptions, Opened};
use super::kinds::open;
use super::sample::Sample;
use super::unusable::{Unusable, unusable};
use crate::error::{Error, Result};
use crate::input::{Item, Items};

/// Data sets whose samples are pairs.
pub struct PairData(Vec<Arc<Opened>>);

impl PairData {
    /// Looks through the data sets at some paths.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is of no known kind or has no sample; [`Error::Read`].
    pub fn open(paths: &[PathBuf], options: &DataOptions) -> Result<Self> {
        let opened = paths.iter().map(|path| open(path, options).map(Arc::new));
        opened.collect::<Result<_>>().map(PairData)
    }

    /// How many items there are.
    pub fn n_items(&self) -> u64 {
        self.0.iter().map(|opened| n_items(opened)).sum::<usize>() as u64
    }

    /// The files that images are in, as far as images have files of their own.
    pub fn image_files(&self) -> impl Iterator<Item = PathBuf> {
        let sources = self.0.iter().map(|opened| &opened.source);
        let samples = sources.flat_map(|source| (0..source.len()).map(|i| source.read(i)));
        samples.filter_map(|sample| Some(sample.ok()?.image.path()?.to_owned()))
    }

    /// The items. What was found unusable while a data set was looked through comes after its samples.
    pub fn items(&self) -> Items {
        let sets = self.0.clone().into_iter();
        Box::new(sets.flat_map(|opened| (0..n_items(&opened)).map(move |i| item(&opened, i))))
    }
}

fn n_items(opened: &Opened) -> usize {
    opened.source.len() + opened.unusable.len()
}

fn item(opened: &Opened, i: usize) -> Item {
    if let Some(i) = i.checked_sub(opened.source.len()) {
        let Unusable { place, error } = &opened.unusable[i];
        let problem = match error {
            // It names its place, as this item does.
            Error::Sample { problem, .. } => problem.clone(),
            other => other.to_string(),
        };
        return Item::unusable(&**place, unusable(place, problem));
    }
    match opened.source.read(i).and_then(with_captions) {
        Ok(sample) => Item {
            labels: Some(sample.captions),
            ..sample.image.item()
        },
        Err(error) => Item::unusable(opened.source.place(i), error),
    }
}

/// The sample, if all of its captions can be scored.
fn with_captions(sample: Sample) -> Result<Sample> {
    match sample.captions.iter().all(|caption| !caption.trim().is_empty()) && !sample.captions.is_empty() {
        true => Ok(sample),
        false => Err(unusable(&sample.place, "it has no caption, or an empty one")),
    }
}
