//! Runs items through the pipeline and the model, and gives each with its embedding to a [`Sink`], in the input's order.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::input::{Content, Item, Items};
use crate::model::{Embeddings, ImageEmbeddings, LongClip};
use crate::named::named;
use crate::output;
use crate::pipeline::{self, Prepared, Stop};
use crate::preprocess::{Picture, Pixels, Preprocess};
use crate::score::{Pooling, Views};

/// Tiles that most photos are cut into, about. With tiles, a batch has fewer images by this, so that it takes as much
/// memory as without.
pub const TILES_EACH: usize = 16;

/// A run over images.
#[derive(Clone)]
pub struct Run<'a> {
    /// What encodes them.
    pub encoder: &'a dyn Encoder,
    /// How they are decoded and resized.
    pub preprocess: Preprocess,
    /// Whether they are cut into tiles, and how the tiles' scores become one.
    pub tiles: Option<Pooling>,
    /// Batches and threads.
    pub pipeline: pipeline::Settings,
    /// The run ends when more images than this failed.
    pub max_failures: u64,
    /// What a sink gets besides the embedding.
    pub kept: Kept,
    /// Words an error for a result, in the caller's names of settings.
    pub reason: fn(&Error) -> String,
    /// Ends the run after the batch in hand.
    pub stop: Stop,
}

/// What an image that can't be used means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It is reported, and the run continues.
    #[default]
    Skip,
    /// The run ends.
    Fail,
}

named!(OnError, "way with failures": Skip = "skip", Fail = "fail");

/// What encodes batches of images: a model, or a caller's way to one.
pub trait Encoder {
    /// Embeddings `(n, embed_dim)`, not normalised.
    ///
    /// # Errors
    /// As [`LongClip::encode_images`].
    fn encode_images(&self, images: &[Pixels]) -> Result<ImageEmbeddings>;
}

impl Encoder for LongClip {
    fn encode_images(&self, images: &[Pixels]) -> Result<ImageEmbeddings> {
        LongClip::encode_images(self, images)
    }
}

/// What a sink gets besides the embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// A small jpeg of each image.
    pub thumbnails: bool,
    /// Each image itself, and the pixels that the model read. A batch of them takes much memory.
    pub images: bool,
}

/// What the model saw of an image.
pub struct Seen {
    /// Its embedding, or those of its tiles, not normalised.
    pub views: Views,
    /// A small jpeg of it, if [`Kept::thumbnails`].
    pub thumbnail: Option<Vec<u8>>,
    /// What it was encoded from, if [`Kept::images`].
    pub source: Option<Source>,
}

/// An image, and what the model read of it.
pub struct Source {
    /// What the model read, the first of its tiles if there are several.
    pub pixels: Pixels,
    /// What that was made from.
    pub image: Arc<Picture>,
}

/// What a caller does with each image, in the order of the input.
pub trait Sink {
    /// Takes one image, or why it can't be used.
    ///
    /// # Errors
    /// What ends the whole run. An error of this image alone is a [`Verdict::Failed`].
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict>;

    /// A batch is done: what was written should become visible.
    ///
    /// # Errors
    /// What ends the whole run.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Images of the input that needed no work and were skipped.
    fn n_known(&self) -> u64 {
        0
    }
}

/// The result for one image.
pub enum Verdict {
    /// It is done.
    Done,
    /// It can't be used; the run continues.
    Failed(Error),
}

/// How many images are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Those with a result.
    pub n_done: u64,
    /// Those that can't be used.
    pub n_failed: u64,
    /// Those that needed nothing ([`Sink::n_known`]).
    pub n_known: u64,
}

impl Counts {
    /// All that were taken.
    pub fn n_taken(&self) -> u64 {
        self.n_done + self.n_failed
    }
}

/// What a run took time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// Decoding and resizing images, the sum over all threads.
    pub decode: Duration,
    /// The model.
    pub encode: Duration,
    /// How many images were read as the preview inside a raw photo.
    pub n_previews: u64,
}

/// Receives the progress of a run.
pub trait Watch {
    /// An image can't be used.
    fn failed(&mut self, _name: &str, _error: &Error) {}

    /// A batch is done, or as much of it as is taken before too many failed.
    fn batch_done(&mut self, _counts: Counts) {}

    /// The run has ended; it took this long.
    fn timed(&mut self, _times: Times) {}
}

/// Ignores everything.
impl Watch for () {}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All items were taken.
    AtTheEnd,
    /// It was stopped.
    Interrupted,
    /// More failed than [`Run::max_failures`].
    TooManyFailed,
}

/// Why the pipeline was left.
enum Halt {
    Broken(Error),
    TooManyFailed,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Broken(error)
    }
}

/// An image that is ready for the model, as one square or as several.
struct Ready {
    squares: Vec<Pixels>,
    rest: Rest,
}

/// What accompanies its pixels.
struct Rest {
    thumbnail: Option<Vec<u8>>,
    image: Option<Arc<Picture>>,
}

impl Run<'_> {
    /// Takes all items to the sink.
    ///
    /// # Errors
    /// Those of the sink, of the encoder and of [`pipeline::run`].
    pub fn over(&self, items: Items, watch: &mut dyn Watch, sink: &mut dyn Sink) -> Result<Ended> {
        let mut counts = Counts::default();
        let mut encode = Duration::ZERO;
        let decode_ns = Arc::new(AtomicU64::new(0));
        let (preprocess, tiles, kept) = (self.preprocess.clone(), self.tiles, self.kept);
        let decoding = Arc::clone(&decode_ns);
        let n_previews = Arc::new(AtomicU64::new(0));
        let previews = Arc::clone(&n_previews);
        let prepare = move |item: &Item, bytes: &[u8]| {
            let _timed = Stopwatch::start(&decoding);
            let image = decoded(&preprocess, item, bytes)?;
            previews.fetch_add(u64::from(image.is_preview()), Ordering::Relaxed);
            let thumbnail = kept.thumbnails.then(|| output::thumbnail(&image)).flatten();
            let (squares, image) = match (tiles, kept.images) {
                (Some(_), true) => (preprocess.tiles(&image), Some(image)),
                (Some(_), false) => (preprocess.tiles(&image), None),
                (None, true) => (vec![preprocess.pixels(&image)], Some(image)),
                (None, false) => (vec![pixels_of(&preprocess, image)], None),
            };
            Ok(Ready {
                squares,
                rest: Rest { thumbnail, image },
            })
        };
        let halted = pipeline::run(items, self.images_per_batch(), &self.stop, prepare, |batch| {
            self.process(batch, (&mut counts, &mut encode), watch, sink)
        });
        watch.timed(Times {
            decode: Duration::from_nanos(decode_ns.load(Ordering::Relaxed)),
            encode,
            n_previews: n_previews.load(Ordering::Relaxed),
        });
        match halted {
            Ok(()) if self.stop.is_requested() => Ok(Ended::Interrupted),
            Ok(()) => Ok(Ended::AtTheEnd),
            Err(Halt::TooManyFailed) => Ok(Ended::TooManyFailed),
            Err(Halt::Broken(error)) => Err(error),
        }
    }

    /// What the model sees of one image, and nothing besides.
    ///
    /// # Errors
    /// Why it can't be used.
    pub fn see(&self, item: &mut Item) -> Result<Seen> {
        let bytes = item.content.take(&item.name.to_string())?;
        let image = decoded(&self.preprocess, item, &bytes)?;
        let squares = match self.tiles {
            None => vec![self.preprocess.pixels(&image)],
            Some(_) => self.preprocess.tiles(&image),
        };
        Ok(Seen {
            views: self.views(&self.encode(&squares)?.0, 0..squares.len()),
            thumbnail: None,
            source: None,
        })
    }

    /// Images of a batch. One that is cut into tiles is several for the model.
    fn images_per_batch(&self) -> pipeline::Settings {
        let tiles_each = if self.tiles.is_some() { TILES_EACH } else { 1 };
        pipeline::Settings {
            batch: self.pipeline.batch.div_ceil(tiles_each),
            ..self.pipeline
        }
    }

    /// One row per square, `(n_squares, embed_dim)`. The model gets a batch of them at once.
    fn encode(&self, squares: &[Pixels]) -> Result<ImageEmbeddings> {
        let batch = self.pipeline.batch.max(1);
        if squares.len() <= batch {
            return self.encoder.encode_images(squares);
        }
        let (mut values, mut embed_dim) = (Vec::new(), 1);
        for pass in squares.chunks(batch) {
            let rows = self.encoder.encode_images(pass)?.0;
            embed_dim = rows.embed_dim();
            values.extend_from_slice(rows.values());
        }
        Ok(ImageEmbeddings(Embeddings::new(values, embed_dim)))
    }

    /// What the rows of an image's squares are for scores.
    fn views(&self, embeddings: &Embeddings, own: Range<usize>) -> Views {
        let rows: Vec<f32> = own.flat_map(|i| embeddings.row(i)).copied().collect();
        match self.tiles {
            None => Views::One(rows),
            Some(pooling) => {
                let rows = Embeddings::new(rows, embeddings.embed_dim());
                Views::Tiles(ImageEmbeddings(rows), pooling)
            }
        }
    }

    fn process(
        &self,
        batch: Vec<Prepared<Ready>>,
        (counts, encode): (&mut Counts, &mut Duration),
        watch: &mut dyn Watch,
        sink: &mut dyn Sink,
    ) -> Result<(), Halt> {
        let mut squares = Vec::new();
        let mut rest = Vec::new();
        for Prepared { item, outcome } in batch {
            let outcome = outcome.map(|ready| {
                let first = squares.len();
                squares.extend(ready.squares);
                (first..squares.len(), ready.rest)
            });
            rest.push((item, outcome));
        }
        let began = Instant::now();
        let embeddings = self.encode(&squares)?.0;
        *encode += began.elapsed();
        for (item, outcome) in rest {
            let name = item.name.to_string();
            let seen = outcome.map(|(own, rest)| {
                let pixels = || squares[own.start].clone();
                Seen {
                    source: rest.image.map(|image| Source {
                        pixels: pixels(),
                        image,
                    }),
                    views: self.views(&embeddings, own),
                    thumbnail: rest.thumbnail,
                }
            });
            match sink.take(item, seen)? {
                Verdict::Done => counts.n_done += 1,
                Verdict::Failed(error) => {
                    counts.n_failed += 1;
                    watch.failed(&name, &error);
                }
            }
            if counts.n_failed > self.max_failures {
                break;
            }
        }
        sink.flush()?;
        counts.n_known = sink.n_known();
        watch.batch_done(*counts);
        if counts.n_failed > self.max_failures {
            return Err(Halt::TooManyFailed);
        }
        Ok(())
    }
}

/// Adds the time until it is dropped.
struct Stopwatch<'a> {
    began: Instant,
    sum_ns: &'a AtomicU64,
}

impl<'a> Stopwatch<'a> {
    fn start(sum_ns: &'a AtomicU64) -> Self {
        Stopwatch {
            began: Instant::now(),
            sum_ns,
        }
    }
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        let ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }
}

/// The image of an item whose bytes are read.
///
/// # Errors
/// As [`Preprocess::decode`].
pub fn decoded(preprocess: &Preprocess, item: &Item, bytes: &[u8]) -> Result<Arc<Picture>> {
    match &item.content {
        Content::Decoded(image) => Ok(Arc::clone(image)),
        Content::File(_)
        | Content::Url(_)
        | Content::Bytes(_)
        | Content::Held(_)
        | Content::Base64(_)
        | Content::Deferred(_)
        | Content::Nothing(_) => preprocess.decode(&item.name.to_string(), bytes).map(Arc::new),
    }
}

/// The pixels of an image that is not needed any more, unless a caller has it too.
fn pixels_of(preprocess: &Preprocess, image: Arc<Picture>) -> Pixels {
    match Arc::try_unwrap(image) {
        Ok(image) => preprocess.into_pixels(image),
        Err(shared) => preprocess.pixels(&shared),
    }
}
