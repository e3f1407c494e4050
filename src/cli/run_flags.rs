//! The flags for a run over many images: the size of batches, and when failures end the run.

use std::num::NonZeroUsize;

use longclip::pipeline;
use longclip::session::{Kept, Loaded, OnError, Run};
use serde::Serialize;

use super::hint::reason;
use super::image_run::ImageRun;
use super::input_flags::PictureFlags;
use super::interrupt::stop_on_interrupt;
use super::model_flags::ModelFlags;
use super::named::named;
use super::progress::Results;
use super::report::Report;

/// How a run over many images goes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Run")]
pub(super) struct RunFlags {
    /// Images computed at once
    ///
    /// Results don't depend on it [default: 4 per thread, at least 16; 64 on a GPU; fewer if memory is short]. Example:
    /// `--batch 32`
    #[arg(long, value_name = "N", hide_short_help = true)]
    batch: Option<NonZeroUsize>,
    /// Whether an image that can't be used ends the run
    ///
    /// `skip` reports it, continues and exits with 1 in the end; `fail` stops there. Example: `--on-error fail`
    #[arg(long, value_name = "WHAT", default_value_t, value_parser = named::<OnError>(), hide_short_help = true)]
    on_error: OnError,
    /// Stop after more than N images that can't be used
    ///
    /// It takes precedence over `--on-error` [default: no limit]. Example: `--max-errors 100`
    #[arg(long, value_name = "N", hide_short_help = true)]
    max_errors: Option<u64>,
}

/// How images are encoded: a run through a model.
#[derive(Debug, Clone, clap::Args, Serialize)]
pub(super) struct EncodingFlags {
    // How a run goes changes no record.
    #[command(flatten)]
    #[serde(skip)]
    pub(super) run: RunFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) pictures: PictureFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub(super) model: ModelFlags,
}

impl EncodingFlags {
    /// As [`RunFlags::plan`].
    pub(super) fn plan<'a>(&self, loaded: &'a Loaded, report: Report) -> ImageRun<'a> {
        self.run.plan(loaded, &self.pictures, report)
    }
}

impl RunFlags {
    /// How many failures the run continues after.
    pub(super) fn most_failures(&self) -> u64 {
        self.max_errors.unwrap_or(match self.on_error {
            OnError::Fail => 0,
            OnError::Skip => u64::MAX,
        })
    }

    /// A run over images that are forgotten once the model saw them, and of which nothing is shown.
    pub(super) fn plan<'a>(&self, loaded: &'a Loaded, pictures: &PictureFlags, report: Report) -> ImageRun<'a> {
        let pipeline = loaded.plan.pipeline(&loaded.model);
        let reading = pictures.reading();
        ImageRun {
            run: Run {
                encoder: &loaded.model,
                preprocess: reading.apply(loaded.model.preprocess()),
                tiles: reading.tiles(),
                pipeline: pipeline::Settings {
                    batch: self.batch.map_or(pipeline.batch, NonZeroUsize::get),
                    ..pipeline
                },
                max_failures: self.most_failures(),
                kept: Kept::default(),
                reason,
                stop: stop_on_interrupt(),
            },
            results: Results::Elsewhere,
            report,
            continued_by: None,
        }
    }
}
