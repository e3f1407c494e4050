//! A command's run over images, with a progress line, failures on stderr, a summary and an exit code.

use longclip::Result;
use longclip::input::{InputOptions, Items};
use longclip::output::Progress;
use longclip::session::{Ended, Run, Sink};

use super::progress::{Expected, Results};
use super::report::{Exit, Report};
use super::run_report::RunReport;

/// A run, and how it is reported.
pub(super) struct ImageRun<'a> {
    pub(super) run: Run<'a>,
    pub(super) results: Results,
    pub(super) report: Report,
    /// The command that continues this one if it is interrupted, if one can.
    pub(super) continued_by: Option<String>,
}

impl ImageRun<'_> {
    /// Runs `items`, which are those `expected` after what is held already, and reports the results.
    pub(super) fn over(
        &self,
        expected: Expected<'_>,
        items: Items,
        held: Progress,
        sink: &mut dyn Sink,
    ) -> Result<(Ended, Exit)> {
        let options = match &expected {
            Expected::Of(inputs) => inputs.options.clone(),
            Expected::PartOf(options) => InputOptions::clone(options),
            Expected::Exactly(_) => InputOptions::default(),
        };
        let (ended, watch) = self.through(expected, items, held, sink)?;
        let exit = watch.sum_up(ended, &options, self.continued_by.as_deref());
        Ok((ended, exit))
    }

    /// As [`ImageRun::over`], for a caller that reports the results itself.
    pub(super) fn through(
        &self,
        expected: Expected<'_>,
        items: Items,
        held: Progress,
        sink: &mut dyn Sink,
    ) -> Result<(Ended, RunReport)> {
        let mut watch = RunReport::begin(self.report, &expected, held, self.results);
        let outcome = self.run.over(items, &mut watch, sink);
        watch.end();
        outcome.map(|ended| (ended, watch))
    }
}
