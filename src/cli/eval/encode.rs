//! Encodes the images of an evaluation through the pipeline. Their embeddings can be kept, so that a run can be resumed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use longclip::Error;
use longclip::data::{Image, Unusable, fingerprint};
use longclip::eval::{Embeddings, Origin};
use longclip::input::{InputOptions, Item};
use longclip::output::Progress;
use longclip::session::{Ended, Seen, Sink, Verdict};

use crate::cli::input_flags::PictureFlags;
use crate::cli::model_flags::Loaded;
use crate::cli::progress::Expected;
use crate::cli::report::{Exit, LISTED_MAX, Report, Verbosity};
use crate::cli::run_flags::RunFlags;

/// How images are encoded, and where their embeddings are kept.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct EncodeFlags {
    /// Keep the images' embeddings in a file
    ///
    /// A run with the same model and data continues from it, or reads all from it. Example: `--embeddings kept`
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub(super) embeddings: Option<PathBuf>,
    #[command(flatten)]
    pub(super) run: RunFlags,
    #[command(flatten)]
    pub(super) pictures: PictureFlags,
}

/// The data to encode.
pub(super) struct Data<'a> {
    /// The data as named.
    pub(super) name: String,
    pub(super) pictures: &'a [Image],
    /// The number of things that could not be used before any image was read; they count as failed.
    pub(super) n_unusable: usize,
}

/// The result of encoding the data.
pub(super) struct Encoded {
    /// One row per image that could be read.
    pub(super) embeddings: Embeddings,
    /// The number of images that could not.
    pub(super) n_failed: usize,
    /// The speed of this run; none if all embeddings were kept already.
    pub(super) images_per_s: Option<f64>,
    pub(super) ended: Ended,
    /// The exit code as far as the images decide it.
    pub(super) exit: Exit,
}

impl EncodeFlags {
    /// Encodes what `kept` doesn't hold yet; reports progress, and what could not be read.
    pub(super) fn encode(
        &self,
        loaded: &Loaded,
        data: &Data<'_>,
        kept: Option<&Path>,
        report: Report,
    ) -> anyhow::Result<Encoded> {
        let mut embeddings = self.open(loaded, data, kept, report)?;
        let mut seen = HashSet::new();
        let is_missing =
            |picture: &&Image| embeddings.get(picture.name()).is_none() && seen.insert(picture.name().to_owned());
        let missing: Vec<Image> = data.pictures.iter().filter(is_missing).cloned().collect();
        let n_held = embeddings.len();
        if missing.is_empty() {
            report.note(format!("the embeddings of all {n_held} images are kept already"));
            return Ok(Encoded {
                embeddings,
                n_failed: 0,
                images_per_s: None,
                ended: Ended::AtTheEnd,
                exit: Exit::Done,
            });
        }
        let mut run = self.run.plan(loaded, &self.pictures, report);
        run.run.max_failures = run.run.max_failures.saturating_sub(data.n_unusable as u64);
        let held = Progress {
            n_records: n_held as u64,
            ..Progress::default()
        };
        let began = Instant::now();
        let mut keeper = Keeper {
            embeddings: &mut embeddings,
            n_done: 0,
            n_failed: 0,
        };
        let expected = Expected::Exactly((n_held + missing.len()) as u64);
        let items = missing.into_iter().map(|picture| picture.item());
        let (ended, watch) = run.through(expected, Box::new(items), held, &mut keeper)?;
        let (n_done, n_failed) = (keeper.n_done, keeper.n_failed);
        if ended == Ended::TooManyFailed {
            report.note(watch.summary());
            return Err(unmeasured(n_failed + data.n_unusable).into());
        }
        let exit = watch.sum_up(ended, &InputOptions::default(), None);
        if let (Ended::Interrupted, Some(kept)) = (ended, kept) {
            report.note(format!(
                "`{}` keeps what was encoded; run the same command again to continue",
                kept.display()
            ));
        }
        Ok(Encoded {
            embeddings,
            n_failed,
            images_per_s: Some(n_done as f64 / began.elapsed().as_secs_f64().max(1e-9)),
            ended,
            exit,
        })
    }

    fn open(
        &self,
        loaded: &Loaded,
        data: &Data<'_>,
        kept: Option<&Path>,
        report: Report,
    ) -> longclip::Result<Embeddings> {
        let embed_dim = loaded.model.sizes().embed_dim;
        let Some(kept) = kept else {
            return Ok(Embeddings::in_memory(embed_dim));
        };
        let origin = Origin {
            model: loaded.name.to_owned(),
            identity: loaded.model.text_identity(),
            dtype: loaded.dtype().to_owned(),
            reading: self.pictures.reading(),
            data: data.name.clone(),
            n_pictures: data.pictures.len(),
            fingerprint: fingerprint(data.pictures),
        };
        let embeddings = Embeddings::open(kept, &origin, embed_dim)?;
        if embeddings.dropped_bytes() > 0 {
            report.note(format!(
                "the last {} bytes of `{}` are not a complete record; its image is encoded again",
                embeddings.dropped_bytes(),
                kept.display()
            ));
        }
        Ok(embeddings)
    }
}

/// Reports what can't be used and is skipped.
pub(super) fn report_unusable(unusable: &[Unusable], report: Report) {
    let n_listed = match report.verbosity() {
        Verbosity::Verbose => unusable.len(),
        Verbosity::Normal | Verbosity::Quiet => LISTED_MAX,
    };
    for Unusable { place, error } in unusable.iter().take(n_listed) {
        report.failed_input(place, error);
    }
    if unusable.len() > n_listed {
        report.failures(format!(
            "{} samples can't be used; `-v` lists all of them",
            unusable.len()
        ));
    }
}

/// The error if more can't be used than is allowed: a part of the data would be another benchmark.
pub(super) fn unmeasured(n: usize) -> Error {
    let (are, them) = match n {
        1 => ("1 thing".to_owned(), "it"),
        n => (format!("{n} things"), "them"),
    };
    Error::usage(
        format!("{are} can't be used, so nothing was measured"),
        format!("fix the data; or `--on-error skip` skips and counts {them}, `--max-errors N` up to N of them"),
    )
}

/// Keeps each embedding as it arrives.
struct Keeper<'a> {
    embeddings: &'a mut Embeddings,
    n_done: usize,
    n_failed: usize,
}

impl Sink for Keeper<'_> {
    fn take(&mut self, item: Item, seen: longclip::Result<Seen>) -> longclip::Result<Verdict> {
        match seen {
            Ok(seen) => {
                self.embeddings.add(&item.name.to_string(), &seen.embedding);
                self.n_done += 1;
                Ok(Verdict::Done)
            }
            Err(error) => {
                self.n_failed += 1;
                Ok(Verdict::Failed(error))
            }
        }
    }

    fn flush(&mut self) -> longclip::Result<()> {
        self.embeddings.flush()
    }
}
