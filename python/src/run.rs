//! Pictures through the library's pipeline and a model: read and decoded on threads, in their order, in batches.

use std::sync::Arc;

use longclip::Result;
use longclip::input::{Inputs, Item, Items, Source};
use longclip::pipeline::{self, Prepared, Settings, Sharing, Stop};
use longclip::preprocess;
use pyo3::prelude::*;

use crate::environment;
use crate::errors::Halt;
use crate::model::Model;
use crate::picture::{Picture, PictureContent};

/// The carried field by which an item says which of the decoded pictures it is.
const DECODED: &str = "longclip.decoded";

/// Pictures to run over, in order.
pub(crate) struct Pictures(Vec<(String, PictureContent)>);

impl Pictures {
    pub(crate) fn of(pictures: &[PyRef<'_, Picture>]) -> Self {
        let parts = pictures
            .iter()
            .map(|picture| (picture.name.clone(), picture.content.clone()));
        Pictures(parts.collect())
    }

    /// The items of a run, and the pictures among them that are decoded already.
    fn into_items(self) -> (Items, Vec<Arc<preprocess::Picture>>) {
        let decoded = self.0.iter().filter_map(|(_, content)| match content {
            PictureContent::Decoded(picture) => Some(Arc::clone(picture)),
            _ => None,
        });
        let decoded = decoded.collect();
        let options = environment::input_options();
        let mut n_decoded = 0_u64;
        let items = self.0.into_iter().flat_map(move |(name, content)| -> Items {
            if let PictureContent::Named(path) = content {
                let sources = vec![Source::Named(path)];
                let options = options.clone();
                return Inputs { sources, options }.items();
            }
            let mut item = content.item(&name);
            if let PictureContent::Decoded(_) = content {
                item.fields.insert(DECODED.to_owned(), n_decoded.into());
                n_decoded += 1;
            }
            Box::new(std::iter::once(item))
        });
        (Box::new(items), decoded)
    }
}

/// Runs pictures through a model, and gives each with its embedding, or why there is none, to `each`, in order.
///
/// To be called without the interpreter's lock.
pub(crate) fn over(
    model: &Model,
    pictures: Pictures,
    each: impl FnMut(Item, Result<&[f32]>) -> Result<(), Halt> + Send,
) -> Result<(), Halt> {
    let (items, decoded) = pictures.into_items();
    over_items(model, items, decoded, each)
}

/// As [`over`], of items; `decoded` are the pictures of those that say which of them they are. Ctrl-C is seen between batches.
pub(crate) fn over_items(
    model: &Model,
    items: Items,
    decoded: Vec<Arc<preprocess::Picture>>,
    mut each: impl FnMut(Item, Result<&[f32]>) -> Result<(), Halt> + Send,
) -> Result<(), Halt> {
    let loaded = model.loaded()?;
    let threads = model.thread_count();
    let sharing = if model.computes_on_cpu() {
        Sharing::TakeTurns
    } else {
        Sharing::SideBySide
    };
    let (picture_bytes, preprocess) = loaded.with(|clip| (clip.picture_bytes(), clip.preprocess().clone()));
    let settings = Settings::fitting(sharing, threads, picture_bytes);
    let prepare = move |item: &Item, bytes: &[u8]| {
        let place = item.fields.get(DECODED).and_then(|place| place.as_u64());
        match place.and_then(|place| decoded.get(place as usize)) {
            Some(picture) => Ok(preprocess.pixels(picture)),
            None => preprocess.run(&item.name.to_string(), bytes),
        }
    };
    pipeline::run(items, settings, &Stop::default(), prepare, |batch| {
        let mut pixels = Vec::new();
        let mut rest = Vec::new();
        for Prepared { mut item, outcome } in batch {
            item.fields.remove(DECODED);
            rest.push((item, outcome.map(|prepared| pixels.push(prepared))));
        }
        let embeddings = loaded.with(|clip| clip.encode_images(&pixels))?.0;
        let mut rows = embeddings.rows();
        for (item, outcome) in rest {
            let row = outcome.map(|()| rows.next().expect("a row for each picture that could be read"));
            each(item, row)?;
        }
        // Python tells its signals to the thread that it began with, which is mostly this one.
        Python::attach(|py| py.check_signals()).map_err(Halt::from)
    })
}
