//! Image-text pairs of data sets as the items of a run: in the order of the data, and none left out.
//!
//! An image's texts are the item's own labels. A sample that can't be used is an item with its error.

use std::path::PathBuf;
use std::sync::Arc;

use super::kind::{DataOptions, Opened};
use super::kinds::open;
use super::sample::Sample;
use super::unusable::unusable;
use crate::error::{Error, Result};
use crate::input::{Item, Items};

/// Data sets whose samples are pairs.
#[derive(Clone)]
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
        let n_items = |opened: &Arc<Opened>| opened.source.len() + opened.unusable.len();
        self.0.iter().map(n_items).sum::<usize>() as u64
    }

    /// The files that images are in, as far as images have files of their own.
    pub fn image_files(&self) -> impl Iterator<Item = PathBuf> {
        let samples = self.0.iter().flat_map(|opened| samples(opened));
        samples.filter_map(|sample| Some(sample.ok()?.image.path()?.to_owned()))
    }

    /// The items. What was found unusable while a data set was looked through comes after its samples.
    pub fn items(&self) -> Items {
        let sets = self.0.clone().into_iter();
        Box::new(sets.flat_map(|opened| {
            let n_samples = opened.source.len();
            let n_items = n_samples + opened.unusable.len();
            (0..n_items).map(move |i| match i.checked_sub(n_samples) {
                None => item(&opened, i),
                Some(i) => {
                    let problem = &opened.unusable[i];
                    Item::unusable(&*problem.place, unusable(&problem.place, problem.problem()))
                }
            })
        }))
    }
}

fn samples(opened: &Opened) -> impl Iterator<Item = Result<Sample>> {
    (0..opened.source.len()).map(|i| opened.source.read(i))
}

fn item(opened: &Opened, i: usize) -> Item {
    match opened.source.read(i).and_then(with_captions) {
        Ok(sample) => Item {
            labels: Some(sample.captions),
            ..sample.image.item()
        },
        Err(error) => Item::unusable(opened.source.place(i), error),
    }
}

/// The sample, if all of its captions can be scored.
fn with_captions(sample: Sample) -> Result<Sample, Error> {
    match sample.captions.iter().all(|caption| !caption.trim().is_empty()) && !sample.captions.is_empty() {
        true => Ok(sample),
        false => Err(unusable(&sample.place, "it has no caption, or an empty one")),
    }
}
