//! The flags that say how a run over many pictures goes: batches, and when failures end it.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use longclip::model::LongClip;
use longclip::pipeline::{self, Sharing};
use longclip::session::{Kept, Run};

use super::hint::reason;
use super::image_run::ImageRun;
use super::input_flags::PictureFlags;
use super::interrupt::stop_on_interrupt;
use super::model_flags::ModelFlags;
use super::progress::Results;
use super::report::Report;

/// How a run over many pictures goes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Run")]
pub(super) struct RunFlags {
    /// Pictures that are computed at once [default: 4 a thread, at least 16; 64 on a GPU; fewer where memory is short]; results don't depend
    /// on it
    #[arg(long, value_name = "N", hide_short_help = true)]
    batch: Option<NonZeroUsize>,
    /// What a picture that can't be used means: `skip` goes on and exits with 1 in the end, `fail` stops there
    #[arg(long, value_name = "WHAT", default_value = "skip", hide_short_help = true)]
    on_error: OnError,
    /// Skip pictures that can't be used until more than N failed, and stop there, whatever `--on-error` says
    #[arg(long, value_name = "N", hide_short_help = true)]
    max_errors: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnError {
    Skip,
    Fail,
}

impl RunFlags {
    /// How many failures the run goes on with.
    pub(super) fn most_failures(&self) -> u64 {
        self.max_errors.unwrap_or(match self.on_error {
            OnError::Fail => 0,
            OnError::Skip => u64::MAX,
        })
    }

    /// A run over pictures that are forgotten once the model saw them, and of which nothing is shown.
    pub(super) fn plain<'a>(
        &self,
        flags: &ModelFlags,
        pictures: &PictureFlags,
        model: &'a LongClip,
        report: Report,
    ) -> ImageRun<'a> {
        ImageRun {
            run: Run {
                encoder: model,
                preprocess: pictures.apply(model.preprocess()),
                pipeline: self.pipeline(flags, model),
                max_failures: self.most_failures(),
                kept: Kept::default(),
                reason,
                stop: stop_on_interrupt(),
            },
            results: Results::Elsewhere,
            report,
        }
    }

    fn pipeline(&self, flags: &ModelFlags, model: &LongClip) -> pipeline::Settings {
        let sharing = if flags.computes_on_cpu() {
            Sharing::TakeTurns
        } else {
            Sharing::SideBySide
        };
        let settings = pipeline::Settings::fitting(sharing, flags.thread_count(), model.picture_bytes());
        pipeline::Settings {
            batch: self.batch.map_or(settings.batch, NonZeroUsize::get),
            ..settings
        }
    }
}
