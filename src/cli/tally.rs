//! What came of a run's pictures, counted: done, failed and why, how fast.

use std::time::Instant;

use longclip::Error;
use longclip::input::{InputOptions, Passed, SkippedCounts};
use longclip::output::Progress;

use super::report::{Exit, Report, Verbosity};

/// Failures that are told one by one; the rest is in the output and in the summary.
const TOLD: u64 = 5;

/// From so many pictures on, nobody counts them on the screen.
const MANY: u64 = 3;

pub(super) struct Tally {
    report: Report,
    began: Instant,
    n_done: u64,
    n_failed: u64,
    most_failures: u64,
    first_failure: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    AtTheEnd,
    Interrupted,
    TooManyFailed,
}

impl Tally {
    pub(super) fn new(report: Report, most_failures: u64) -> Self {
        Tally {
            report,
            began: Instant::now(),
            n_done: 0,
            n_failed: 0,
            most_failures,
            first_failure: None,
        }
    }

    pub(super) fn done(&mut self) {
        self.n_done += 1;
    }

    pub(super) fn failed(&mut self, name: &str, error: &Error) {
        self.n_failed += 1;
        if self.n_failed <= TOLD || self.report.verbosity() == Verbosity::Verbose {
            self.report.failed_input(name, error);
        }
        if self.n_failed == TOLD + 1 {
            self.report.note("further failures are counted; `-v` tells them all");
        }
        self.first_failure.get_or_insert_with(|| format!("`{name}`: {error}"));
    }

    pub(super) fn n_all(&self) -> u64 {
        self.n_done + self.n_failed
    }

    pub(super) fn n_failed(&self) -> u64 {
        self.n_failed
    }

    /// Whether more failed than the run goes on with.
    pub(super) fn is_over(&self) -> bool {
        self.n_failed > self.most_failures
    }

    pub(super) fn images_per_s(&self) -> f64 {
        self.n_all() as f64 / self.began.elapsed().as_secs_f64().max(1e-9)
    }

    /// Says what came of a run of many pictures, and what that means for the exit code.
    pub(super) fn sum_up(&self, ended: Ended, held: Progress, options: &InputOptions) -> Exit {
        if self.n_all() + held.n_records == 0 && ended == Ended::AtTheEnd {
            match options.shard {
                Some(shard) => self
                    .report
                    .note(format!("no picture of what was named falls to shard {shard}")),
                None => self.report.warning("there are no pictures in what was named"),
            }
        }
        if self.n_all() >= MANY || held.n_records > 0 || ended != Ended::AtTheEnd {
            self.report.note(self.summary(held));
        }
        self.tell_skipped(&options.skipped.counts());
        self.exit(ended, held)
    }

    /// Says what was passed over as no picture.
    pub(super) fn tell_skipped(&self, skipped: &SkippedCounts) {
        for line in skipped_lines(skipped) {
            self.report.note(line);
        }
    }

    /// What a run's end means for the exit code.
    pub(super) fn exit(&self, ended: Ended, held: Progress) -> Exit {
        match ended {
            Ended::Interrupted => Exit::Interrupted,
            Ended::TooManyFailed => {
                self.report
                    .note("stopped: too many failed (`--on-error`, `--max-errors`)");
                Exit::SomeFailed
            }
            Ended::AtTheEnd if self.n_failed + held.n_failed > 0 => Exit::SomeFailed,
            Ended::AtTheEnd => Exit::Done,
        }
    }

    pub(super) fn summary(&self, held: Progress) -> String {
        let mut text = format!("{} done", self.n_done);
        match held {
            Progress { n_records: 0, .. } => {}
            Progress {
                n_records, n_failed: 0, ..
            } => text += &format!(", {n_records} were there already"),
            Progress {
                n_records, n_failed, ..
            } => {
                text += &format!(", {n_records} were there already ({n_failed} of them failures)");
            }
        }
        text += &format!(", {} failed", self.n_failed);
        if let (true, Some(first)) = (self.n_failed > TOLD, &self.first_failure) {
            text += &format!(" (the first: {first})");
        }
        text + &format!(", {:.1} images/s", self.images_per_s())
    }
}

fn skipped_lines(skipped: &SkippedCounts) -> Vec<String> {
    let line = |passed: &Passed, why: &str, hint: &str| {
        let first = passed.first.as_ref()?;
        let which = if passed.n == 1 { "" } else { "the first: " };
        Some(format!("passed over as {why}: {} ({which}`{first}`){hint}", passed.n))
    };
    [
        line(&skipped.not_pictures, "no picture", ""),
        line(&skipped.links, "a link to a folder", "; `--follow` walks it"),
        line(&skipped.loops, "a link that leads back to where it stands", ""),
    ]
    .into_iter()
    .flatten()
    .collect()
}
