//! A command's run over images, with a progress line, failures on stderr, a summary and an exit code.

use longclip::Result;
use longclip::input::{InputOptions, Items};
use longclip::output::{Holds, Progress, Settings};
use longclip::session::{Closed, Ended, Judge, OutputPlan, RecordWriter, Run, Sink, judged};

use super::progress::{Expected, Results};
use super::report::{Exit, Report};
use super::run_report::RunReport;
use super::shard_flags::say_that_all_are_there;
use super::this_command::continuing;

/// A run, and how it is reported.
pub(super) struct ImageRun<'a> {
    pub(super) run: Run<'a>,
    pub(super) results: Results,
    pub(super) report: Report,
    /// The command that continues this one if it is interrupted, if one can.
    pub(super) continued_by: Option<String>,
}

impl ImageRun<'_> {
    /// Opens the output of a run that writes a record for each image, and takes from `items` what it holds already. An
    /// interrupted run whose records would differ now is refused before anything is written.
    pub(super) fn open(
        &mut self,
        output: OutputPlan,
        settings: &Settings,
        items: &mut Items,
        judge: &mut Judge<'_>,
    ) -> Result<RecordWriter> {
        self.run.kept.thumbnails = output.format.holds(Holds::Thumbnails);
        self.results = Results::of(&output);
        self.continued_by = output.can_be_continued().then(continuing);
        let (mut writer, mut held) = output.open(settings, items)?;
        held.check(&self.run, |item, seen| {
            let (record, _) = judged(item, Ok(seen), judge, self.run.reason)?;
            writer.encoded(&record)
        })?;
        writer.begin()?;
        Ok(writer)
    }

    /// Writes a record for each of `items`, and closes the output.
    pub(super) fn record(
        &self,
        expected: Expected<'_>,
        items: Items,
        mut writer: RecordWriter,
        judge: &mut Judge<'_>,
    ) -> Result<Exit> {
        let held = writer.held;
        let (ended, exit) = self.over(expected, items, held, &mut writer.sink(judge, self.run.reason))?;
        close(writer, ended, self.report)?;
        Ok(exit)
    }

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

/// Closes an output, and reports what it left.
pub(super) fn close(writer: RecordWriter, ended: Ended, report: Report) -> Result<()> {
    let Closed {
        all_shards,
        incomplete,
        partial,
    } = writer.close(ended)?;
    if let Some((n_shards, mark)) = all_shards {
        say_that_all_are_there(n_shards, &mark, report);
    }
    if let Some(shard) = incomplete {
        report.note(format!(
            "shard {shard} is incomplete, and was not kept; run the same command again"
        ));
    }
    if let Some(partial) = partial {
        report.note(format!("what was done until now is in `{}`", partial.display()));
    }
    Ok(())
}
