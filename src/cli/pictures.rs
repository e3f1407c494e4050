//! Runs pictures through the pipeline and the model: what `classify`, `embed` and `sort` have in common.

use longclip::Error;
use longclip::input::{InputOptions, Item, Items};
use longclip::model::LongClip;
use longclip::output::{self, Progress};
use longclip::pipeline::{self, Prepared};
use longclip::preprocess::{Picture, Pixels, Preprocess};

use super::interrupt::stop_on_interrupt;
use super::progress::{Expected, ProgressLine, Results};
use super::report::{Exit, Report};
use super::tally::{Ended, Tally};

/// What the model saw of a picture.
pub(super) struct Seen {
    /// Its vector, `(embed_dim,)`, not normalised.
    pub(super) embedding: Vec<f32>,
    /// A small jpeg of it, where one was asked for.
    pub(super) thumbnail: Option<Vec<u8>>,
    /// The picture itself, where it was asked for.
    pub(super) looked_at: Option<LookedAt>,
}

/// What the model read, and what it was read from.
pub(super) struct LookedAt {
    pub(super) pixels: Pixels,
    pub(super) picture: Picture,
}

/// What a command does with each picture, in the order of the input.
pub(super) trait Sink {
    /// One picture, or why it can't be used. An error of its own fails this picture; one of the run ends it.
    fn take(&mut self, item: Item, seen: longclip::Result<Seen>) -> anyhow::Result<Verdict>;

    /// A batch is through: what was written should be seen.
    fn flush(&mut self) -> anyhow::Result<()>;

    /// Pictures of the input that needed nothing and so don't come this way.
    fn n_passed_by(&self) -> u64 {
        0
    }
}

/// What came of a picture.
pub(super) enum Verdict {
    Done,
    Failed(Error),
}

/// A run over pictures.
pub(super) struct Run<'a> {
    pub(super) model: &'a LongClip,
    pub(super) preprocess: Preprocess,
    pub(super) settings: pipeline::Settings,
    pub(super) most_failures: u64,
    pub(super) thumbnails: Thumbnails,
    pub(super) pictures: Pictures,
    pub(super) results: Results,
    pub(super) report: Report,
}

/// Whether small pictures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thumbnails {
    None,
    Made,
}

/// Whether pictures are kept until they are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pictures {
    Forgotten,
    Kept,
}

/// Why the pipeline was left.
enum Halt {
    Broken(anyhow::Error),
    TooManyFailed,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Broken(error.into())
    }
}

impl From<anyhow::Error> for Halt {
    fn from(error: anyhow::Error) -> Self {
        Halt::Broken(error)
    }
}

struct Ready {
    pixels: Pixels,
    thumbnail: Option<Vec<u8>>,
    picture: Option<Picture>,
}

impl Run<'_> {
    /// What the model sees of one picture, and nothing beside it.
    pub(super) fn see(&self, item: &mut Item) -> longclip::Result<Seen> {
        let name = item.name.to_string();
        let pixels = self.preprocess.run(&name, &item.content.take(&name)?)?;
        let embedding = self.model.encode_images(&[pixels])?.0;
        Ok(Seen {
            embedding: embedding.rows().next().map(<[f32]>::to_vec).unwrap_or_default(),
            thumbnail: None,
            looked_at: None,
        })
    }

    /// Runs `items`, which are those `expected` behind what is held already, and says what came of them.
    pub(super) fn over(
        self,
        expected: Expected<'_>,
        items: Items,
        held: Progress,
        sink: &mut dyn Sink,
    ) -> anyhow::Result<(Ended, Exit)> {
        let options = match &expected {
            Expected::Of(inputs) => inputs.options.clone(),
            Expected::Exactly(_) => InputOptions::default(),
        };
        let (ended, tally) = self.through(expected, items, held, sink)?;
        let exit = tally.sum_up(ended, held, &options);
        Ok((ended, exit))
    }

    /// As [`Run::over`], for a caller that says itself what came of the pictures.
    pub(super) fn through(
        self,
        expected: Expected<'_>,
        items: Items,
        held: Progress,
        sink: &mut dyn Sink,
    ) -> anyhow::Result<(Ended, Tally)> {
        let mut tally = Tally::new(self.report, self.most_failures);
        let mut progress = ProgressLine::begin(self.report, &expected, held.n_records, self.results);
        let stop = stop_on_interrupt();
        let (preprocess, thumbnails, pictures) = (self.preprocess.clone(), self.thumbnails, self.pictures);
        let prepare = move |item: &Item, bytes: &[u8]| {
            let picture = preprocess.decode(&item.name.to_string(), bytes)?;
            Ok(Ready {
                pixels: preprocess.pixels(&picture),
                thumbnail: match thumbnails {
                    Thumbnails::None => None,
                    Thumbnails::Made => small(&picture),
                },
                picture: match pictures {
                    Pictures::Forgotten => None,
                    Pictures::Kept => Some(picture),
                },
            })
        };
        let halted = pipeline::run(items, self.settings, &stop, prepare, |batch| {
            self.process(batch, &mut tally, &progress, sink)?;
            progress.show(&tally, sink.n_passed_by());
            Ok(())
        });
        progress.end();
        let ended = match halted {
            Ok(()) if stop.is_requested() => Ended::Interrupted,
            Ok(()) => Ended::AtTheEnd,
            Err(Halt::TooManyFailed) => Ended::TooManyFailed,
            Err(Halt::Broken(error)) => return Err(error),
        };
        Ok((ended, tally))
    }

    fn process(
        &self,
        batch: Vec<Prepared<Ready>>,
        tally: &mut Tally,
        progress: &ProgressLine,
        sink: &mut dyn Sink,
    ) -> Result<(), Halt> {
        let mut pixels = Vec::new();
        let mut rest = Vec::new();
        for Prepared { item, outcome } in batch {
            let outcome = outcome.map(|ready| {
                pixels.push(ready.pixels);
                (ready.thumbnail, ready.picture)
            });
            rest.push((item, outcome));
        }
        let embeddings = self.model.encode_images(&pixels)?.0;
        let mut rows = embeddings.rows().zip(pixels);
        for (item, outcome) in rest {
            let name = item.name.to_string();
            let seen = outcome.map(|(thumbnail, picture)| {
                let (embedding, pixels) = rows.next().expect("a row for each picture that could be read");
                Seen {
                    embedding: embedding.to_vec(),
                    thumbnail,
                    looked_at: picture.map(|picture| LookedAt { pixels, picture }),
                }
            });
            match sink.take(item, seen)? {
                Verdict::Done => tally.done(),
                Verdict::Failed(error) => progress.aside(|| tally.failed(&name, &error)),
            }
            if tally.is_over() {
                sink.flush()?;
                return Err(Halt::TooManyFailed);
            }
        }
        sink.flush()?;
        Ok(())
    }
}

/// A small jpeg of a picture.
pub(super) fn small(picture: &Picture) -> Option<Vec<u8>> {
    output::thumbnail(&Preprocess::new(output::THUMBNAIL_PX).crop_u8(picture))
}
