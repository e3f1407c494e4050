//! Encodes the images of an evaluation through the pipeline. Their embeddings can be kept, so that a run can be resumed.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use longclip::data::{Image, Unusable};
use longclip::error::counted;
use longclip::eval::Embeddings;
use longclip::input::InputOptions;
use longclip::output::Progress;
use longclip::score::OneView;
use longclip::session::evaluation::{Keeping, image_embeddings, missing};
use longclip::session::{Counts, Ended, Loaded};
use longclip::{Error, Result};

use super::compare::Contender;
use crate::cli::progress::Expected;
use crate::cli::report::{Exit, LISTED_MAX, Report, Verbosity};
use crate::cli::run_flags::EncodingFlags;

/// How images are encoded, and where their embeddings are kept.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct EncodeFlags {
    /// Keep the images' embeddings in a file
    ///
    /// A run with the same model and data continues from it, or reads all from it. Example: `--embeddings kept`
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    pub(super) embeddings: Option<PathBuf>,
    #[command(flatten)]
    pub(super) encoding: EncodingFlags,
}

/// The data to encode.
pub(super) struct Data<'a> {
    /// The data as named.
    pub(super) name: String,
    pub(super) images: &'a [Image],
    /// The number of things that could not be used before any image was read; they count as failed.
    pub(super) n_unusable: usize,
    pub(super) one: OneView,
}

/// The result of encoding the data.
pub(super) struct Encoded {
    /// One row per image that could be read.
    pub(super) embeddings: Embeddings,
    /// The number of images that could not.
    pub(super) n_failed: usize,
    /// The speed of this run; none if all embeddings were kept already.
    pub(super) images_per_s: Option<f64>,
    /// The exit code as far as the images decide it.
    pub(super) exit: Exit,
}

impl EncodeFlags {
    /// How many things the evaluation may continue without.
    pub(super) fn most_failures(&self) -> u64 {
        self.encoding.run.most_failures()
    }

    /// What is needed to keep the embedding of each image.
    pub(super) fn one_view(&self) -> Result<OneView> {
        self.encoding.pictures.one_view("an evaluation keeps")
    }

    /// Encodes the data with each model, or ends with an exit code.
    pub(super) fn encode_all(
        &self,
        contenders: &[Contender],
        data: &Data<'_>,
        report: Report,
    ) -> Result<ControlFlow<Exit, Vec<Encoded>>> {
        let mut all = Vec::new();
        for contender in contenders {
            match self.encode(contender, data, report)? {
                ControlFlow::Continue(encoded) => all.push(encoded),
                ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
            }
        }
        Ok(ControlFlow::Continue(all))
    }

    /// Encodes what is not kept yet; reports progress, and what could not be read.
    fn encode(&self, contender: &Contender, data: &Data<'_>, report: Report) -> Result<ControlFlow<Exit, Encoded>> {
        let kept = contender.kept(self.embeddings.as_deref(), None);
        let mut embeddings = self.open(&contender.loaded, data, kept.as_deref(), report)?;
        let missing = missing(data.images, &embeddings);
        let n_held = embeddings.len();
        if missing.is_empty() {
            report.note(format!("the embeddings of all {n_held} images are kept already"));
            return Ok(ControlFlow::Continue(Encoded {
                embeddings,
                n_failed: 0,
                images_per_s: None,
                exit: Exit::Done,
            }));
        }
        let mut run = self.encoding.plan(&contender.loaded, report);
        run.run.max_failures = run.run.max_failures.saturating_sub(data.n_unusable as u64);
        let held = Progress {
            n_records: n_held as u64,
            ..Progress::default()
        };
        let began = Instant::now();
        let expected = Expected::Exactly((n_held + missing.len()) as u64);
        let items = missing.into_iter().map(|image| image.item());
        let mut keeping = Keeping {
            embeddings: &mut embeddings,
            one: data.one,
        };
        let (ended, watch) = run.through(expected, Box::new(items), held, &mut keeping)?;
        let Counts { n_done, n_failed, .. } = watch.counts();
        if ended == Ended::TooManyFailed {
            report.note(watch.summary());
            return Err(unmeasured(n_failed as usize + data.n_unusable));
        }
        let exit = watch.sum_up(ended, &InputOptions::default(), None);
        if ended == Ended::Interrupted {
            say_what_is_kept(kept.as_deref(), report);
            return Ok(ControlFlow::Break(exit));
        }
        Ok(ControlFlow::Continue(Encoded {
            embeddings,
            n_failed: n_failed as usize,
            images_per_s: Some(n_done as f64 / began.elapsed().as_secs_f64().max(1e-9)),
            exit,
        }))
    }

    fn open(&self, loaded: &Loaded, data: &Data<'_>, kept: Option<&Path>, report: Report) -> Result<Embeddings> {
        let reading = self.encoding.pictures.reading();
        let embeddings = image_embeddings(loaded, &reading, (&data.name, data.images), kept)?;
        if let (Some(kept), 1..) = (kept, embeddings.dropped_bytes()) {
            report.note(format!(
                "the last {} bytes of `{}` are not a complete record; its image is encoded again",
                embeddings.dropped_bytes(),
                kept.display()
            ));
        }
        Ok(embeddings)
    }
}

/// Reports that an interrupted evaluation can be resumed, if its embeddings are kept.
pub(super) fn say_what_is_kept(kept: Option<&Path>, report: Report) {
    if let Some(kept) = kept {
        report.note(format!(
            "`{}` keeps what was encoded; run the same command again to continue",
            kept.display()
        ));
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
    let (things, them) = things(n);
    Error::usage(
        format!("{things} can't be used, so nothing was measured"),
        format!("fix the data; or `--on-error skip` skips and counts {them}, `--max-errors N` up to N of them"),
    )
}

/// How many things, and the word for them.
pub(super) fn things(n: usize) -> (String, &'static str) {
    (counted(n, "thing"), if n == 1 { "it" } else { "them" })
}
