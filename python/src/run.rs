//! Runs images through a model in batches, in their order. Threads read and decode them, and Ctrl-C is noticed between
//! batches.

use longclip::Result;
use longclip::input::{Inputs, Items, Source};
use longclip::model::ImageEmbeddings;
use longclip::named::Named;
use longclip::pipeline::Stop;
use longclip::preprocess::Pixels;
use longclip::score::OneView;
use longclip::session::{Counts, Encoder, Ended, Fitting, Kept, Run, Watch};
use pyo3::prelude::*;

use crate::environment;
use crate::errors::{Halt, reason};
use crate::loaded::Loaded;
use crate::model::Model;
use crate::picture::{Picture, PictureContent};

impl Encoder for Loaded {
    fn encode_images(&self, images: &[Pixels]) -> Result<ImageEmbeddings> {
        self.with(|clip| clip.encode_images(images))
    }
}

/// Images to run over, in order.
pub(crate) struct Pictures(Vec<(String, PictureContent)>);

impl Pictures {
    pub(crate) fn of(pictures: &[PyRef<'_, Picture>]) -> Self {
        let parts = pictures
            .iter()
            .map(|picture| (picture.name.clone(), picture.content.clone()));
        Pictures(parts.collect())
    }

    pub(crate) fn into_items(self) -> Items {
        let options = environment::input_options();
        Box::new(self.0.into_iter().flat_map(move |(name, content)| -> Items {
            if let PictureContent::Named(path) = content {
                let sources = vec![Source::Named(path)];
                let options = options.clone();
                return Inputs { sources, options }.items();
            }
            Box::new(std::iter::once(content.item(&name)))
        }))
    }
}

/// The way to fit images that is called this; that of the model if there is no name.
pub(crate) fn fitting(name: Option<&str>) -> Result<Option<Fitting>> {
    name.map(Fitting::from_name).transpose()
}

/// As [`Fitting::one_view`].
pub(crate) fn one_view(fitting: Option<Fitting>, what: &str) -> Result<OneView> {
    Fitting::one_view(fitting, what, |name| format!("fit=\"{name}\""))
}

/// Does the work of a run with a model, over images that are fitted in the given way or the model's own.
///
/// To be called without the interpreter's lock.
pub(crate) fn over(
    model: &Model,
    fitting: Option<Fitting>,
    work: impl FnOnce(&Run<'_>, &mut dyn Watch) -> Result<Ended>,
) -> Result<(), Halt> {
    let loaded = model.loaded()?;
    let (pipeline, preprocess) = loaded.with(|clip| (model.plan.pipeline(clip), clip.preprocess().clone()));
    let preprocess = match fitting {
        Some(fitting) => fitting.apply(preprocess),
        None => preprocess,
    };
    let mut signals = Signals::default();
    let run = Run {
        encoder: &*loaded,
        preprocess,
        tiles: fitting.and_then(Fitting::tiles),
        pipeline,
        max_failures: u64::MAX,
        kept: Kept::default(),
        reason,
        stop: signals.stop.clone(),
    };
    work(&run, &mut signals)?;
    signals.raised.map_or(Ok(()), |raised| Err(raised.into()))
}

/// Python gives its signals to the thread that it began with, which is mostly the one that runs.
#[derive(Default)]
struct Signals {
    stop: Stop,
    /// The exception of a signal's handler.
    raised: Option<PyErr>,
}

impl Watch for Signals {
    fn batch_done(&mut self, _counts: Counts) {
        if let Err(raised) = Python::attach(|py| py.check_signals()) {
            self.raised = Some(raised);
            self.stop.request();
        }
    }
}
