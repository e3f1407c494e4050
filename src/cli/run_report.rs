//! Reports a run over images: how far it is, each failure, and in the end a summary and the exit code.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use longclip::Error;
use longclip::input::{InputOptions, Passed, SkippedCounts};
use longclip::output::Progress;
use longclip::session::{Counts, Ended, Times, Watch};

use super::progress::{Expected, ProgressLine, Results};
use super::report::{Exit, LISTED_MAX, Report, Verbosity};

/// Failures that are reported one by one; the rest is in the output and in the summary.
const REPORTED_MAX: u64 = LISTED_MAX as u64;

/// Runs of fewer images need no summary.
const MANY: u64 = 3;

pub(super) struct RunReport {
    report: Report,
    /// Whether a person sees each failure among the results, on the same terminal.
    failures_are_shown: bool,
    progress: ProgressLine,
    began: Instant,
    held: Progress,
    counts: Counts,
    first_failure: Option<String>,
}

impl RunReport {
    /// `held` is what an earlier run did already.
    pub(super) fn begin(report: Report, expected: &Expected<'_>, held: Progress, results: Results) -> Self {
        RunReport {
            report,
            failures_are_shown: results == Results::OnTerminal { show_failures: true } && io::stderr().is_terminal(),
            progress: ProgressLine::begin(report, expected, held.n_records, results),
            began: Instant::now(),
            held,
            counts: Counts::default(),
            first_failure: None,
        }
    }

    /// The last batch is done; the bar is no longer drawn.
    pub(super) fn end(&mut self) {
        self.progress.end();
    }

    /// Images of this run alone.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn images_per_s(&self) -> f64 {
        images_per_s(self.counts, self.began)
    }

    /// Reports the results of a run of many images, and what they mean for the exit code.
    pub(super) fn sum_up(&self, ended: Ended, options: &InputOptions, continued_by: Option<&str>) -> Exit {
        let n_all = self.counts.n_taken() + self.held.n_records;
        if n_all == 0 && ended == Ended::AtTheEnd {
            match options.shard {
                Some(shard) => self
                    .report
                    .note(format!("no image in the input belongs to shard {shard}")),
                None => self.report.warning("no images found in the input"),
            }
        }
        if self.counts.n_taken() >= MANY || self.held.n_records > 0 || ended != Ended::AtTheEnd {
            self.report.note(self.summary());
        }
        self.report_cut(ended, continued_by);
        self.report_skipped(&options.skipped.counts());
        self.exit(ended)
    }

    /// Reports after how many images a run ended early, and the command that continues it.
    pub(super) fn report_cut(&self, ended: Ended, continued_by: Option<&str>) {
        let what = match ended {
            Ended::AtTheEnd => return,
            Ended::Interrupted => "interrupted",
            Ended::TooManyFailed => "stopped, because too many failed (`--on-error`, `--max-errors`),",
        };
        let n_before = self.held.n_records + self.counts.n_known;
        let n_done = self.counts.n_taken() + n_before;
        let total = self.progress.total(self.counts).map(|total| total + n_before);
        let of_all = total.map_or_else(String::new, |total| format!(" of {total}"));
        let advice = continued_by.map_or_else(String::new, |command| format!("; continue with `{command}`"));
        self.report.note(format!("{what} after {n_done}{of_all}{advice}"));
    }

    /// Reports what was skipped because it is not an image.
    pub(super) fn report_skipped(&self, skipped: &SkippedCounts) {
        for line in skipped_lines(skipped) {
            self.report.note(line);
        }
    }

    /// What a run's end means for the exit code.
    pub(super) fn exit(&self, ended: Ended) -> Exit {
        let n_failed = self.counts.n_failed + self.held.n_failed;
        let n_good = self.counts.n_done + self.counts.n_known + self.held.n_records - self.held.n_failed;
        if self.report.verbosity() == Verbosity::Quiet && (n_failed > REPORTED_MAX || ended == Ended::TooManyFailed) {
            let stopped = if ended == Ended::TooManyFailed {
                ", so the run stopped"
            } else {
                ""
            };
            self.report
                .error(format!("{n_failed} of {} images failed{stopped}", n_failed + n_good));
        }
        match ended {
            Ended::Interrupted => Exit::Interrupted,
            Ended::AtTheEnd | Ended::TooManyFailed if n_failed == 0 => Exit::Done,
            Ended::AtTheEnd | Ended::TooManyFailed if n_good == 0 => Exit::Refused,
            Ended::AtTheEnd | Ended::TooManyFailed => Exit::SomeFailed,
        }
    }

    pub(super) fn summary(&self) -> String {
        let Counts { n_done, n_failed, .. } = self.counts;
        let mut text = format!("{n_done} done");
        match self.held {
            Progress { n_records: 0, .. } => {}
            Progress {
                n_records, n_failed: 0, ..
            } => text += &format!(", {n_records} already there"),
            Progress {
                n_records, n_failed, ..
            } => {
                text += &format!(", {n_records} already there ({n_failed} of them failures)");
            }
        }
        text += &format!(", {n_failed} failed");
        if let (true, Some(first)) = (n_failed > REPORTED_MAX, &self.first_failure) {
            text += &format!(" (the first: {first})");
        }
        if n_done + n_failed > 0 {
            text += &format!(", {:.1} images/s", self.images_per_s());
        }
        text
    }
}

impl Watch for RunReport {
    fn failed(&mut self, name: &str, error: &Error) {
        self.counts.n_failed += 1;
        let (n_failed, report) = (self.counts.n_failed, self.report);
        self.first_failure.get_or_insert_with(|| format!("`{name}`: {error}"));
        if self.failures_are_shown {
            return;
        }
        self.progress.aside(|| {
            if n_failed <= REPORTED_MAX || report.verbosity() == Verbosity::Verbose {
                report.failed_input(name, error);
            }
            if n_failed == REPORTED_MAX + 1 {
                report.note("further failures are counted; `-v` reports them all");
            }
        });
    }

    fn timed(&mut self, times: Times) {
        self.progress.end();
        if self.counts.n_taken() == 0 {
            return;
        }
        let n = self.counts.n_taken() as f64;
        let words = |time: Duration| {
            let s = time.as_secs_f64();
            format!("{s:.2} s, {:.1} ms per image", 1e3 * s / n)
        };
        self.report
            .detail(format!("decoded in {} (sum of all threads)", words(times.decode)));
        self.report.detail(format!("encoded in {}", words(times.encode)));
        if times.n_previews > 0 {
            self.report.detail(format!(
                "{} of the images were raw photos; the largest preview in each was read",
                times.n_previews
            ));
        }
    }

    fn batch_done(&mut self, counts: Counts) {
        self.counts = counts;
        self.progress.show(counts, images_per_s(counts, self.began));
    }
}

fn images_per_s(counts: Counts, began: Instant) -> f64 {
    counts.n_taken() as f64 / began.elapsed().as_secs_f64().max(1e-9)
}

fn skipped_lines(skipped: &SkippedCounts) -> Vec<String> {
    let line = |passed: &Passed, why: &str, hint: &str| {
        let first = passed.first.as_ref()?;
        let which = if passed.n == 1 { "" } else { "the first: " };
        Some(format!("skipped as {why}: {} ({which}`{first}`){hint}", passed.n))
    };
    [
        line(&skipped.not_pictures, "not an image", &skipped.endings_in_words()),
        line(
            &skipped.raws,
            "a raw photo",
            "; `--raw both` also reads those next to a JPEG or HEIC photo of the same name",
        ),
        line(
            &skipped.excluded,
            "a folder that holds no photos",
            "; `--exclude-dir '!NAME'` searches it",
        ),
        line(&skipped.links, "a link to a folder", "; `--follow` enters it"),
        line(&skipped.loops, "a folder that was reached before", ""),
        line(&skipped.members, "a member of an archive that holds no file", ""),
    ]
    .into_iter()
    .flatten()
    .collect()
}
