//! How far a run is: a bar with rate and time left on a terminal, a line every half minute elsewhere.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::HumanDuration;
use longclip::input::{InputOptions, Inputs};
use longclip::session::{Counts, OutputPlace, OutputPlan};

use super::bar::Bar;
use super::report::{Report, Verbosity};

/// Between two lines about the progress of a run, if no bar is drawn.
pub(super) const BETWEEN_LINES: Duration = Duration::from_secs(30);

pub(super) struct ProgressLine {
    report: Report,
    bar: Option<Bar>,
    last_line: Instant,
    /// How many images there are, once they are counted, if they can be.
    total: Arc<OnceLock<u64>>,
    n_held: u64,
}

impl ProgressLine {
    /// Begins to count what is expected, on a thread of its own.
    pub(super) fn begin(report: Report, expected: &Expected<'_>, n_held: u64, results: Results) -> Self {
        let total = Arc::new(OnceLock::new());
        match expected {
            Expected::Of(inputs) if report.verbosity() > Verbosity::Quiet => {
                let (inputs, total) = (Inputs::clone(inputs), Arc::clone(&total));
                // Without a thread, the total stays unknown.
                let counting = thread::Builder::new().name("count".into());
                drop(counting.spawn(move || inputs.count().map(|count| total.set(count))));
            }
            Expected::Of(_) | Expected::PartOf(_) => {}
            Expected::Exactly(n) => drop(total.set(*n)),
        }
        let is_drawn =
            report.verbosity() > Verbosity::Quiet && io::stderr().is_terminal() && results == Results::Elsewhere;
        ProgressLine {
            report,
            bar: is_drawn.then(|| Bar::begin(0)),
            last_line: Instant::now(),
            total,
            n_held,
        }
    }

    /// A batch is done.
    pub(super) fn show(&mut self, counts: Counts, images_per_s: f64) {
        let total = self.total(counts);
        if let Some(bar) = &self.bar {
            let done = counts.n_taken();
            bar.show(done, total, |pace| {
                let failed = (counts.n_failed > 0).then(|| format!("{} failed", counts.n_failed));
                let n_decimals = usize::from(pace.per_s < 10.0);
                let rate = format!("{:.n_decimals$} images/s", pace.per_s);
                match total {
                    Some(total) => [Some(format!("{done}/{total}")), failed, Some(pace.left), Some(rate)],
                    None => [Some(format!("{done} done")), failed, Some(rate), None],
                }
                .into_iter()
                .flatten()
                .collect()
            });
            return;
        }
        let is_at_the_end = total == Some(counts.n_taken());
        if self.last_line.elapsed() >= BETWEEN_LINES && !is_at_the_end {
            self.last_line = Instant::now();
            self.report.note(line(counts, images_per_s, total));
        }
    }

    /// How many images this run has, once they are counted.
    pub(super) fn total(&self, counts: Counts) -> Option<u64> {
        let nothing_to_do = self.n_held + counts.n_known;
        self.total.get().map(|total| total.saturating_sub(nothing_to_do))
    }

    /// Does something that writes to stderr without the bar in its way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.aside(write),
            None => write(),
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.end();
        }
    }
}

/// How many images there are.
pub(super) enum Expected<'a> {
    /// As many as these have; what they skipped is reported in the end.
    Of(&'a Inputs),
    /// This many.
    Exactly(u64),
    /// Some of a data set, as these options say.
    PartOf(&'a InputOptions),
}

/// Where results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    /// To the terminal: they are progress enough.
    OnTerminal {
        /// Whether they say why an image failed.
        show_failures: bool,
    },
    Elsewhere,
}

impl Results {
    /// Where those of a run with this output go.
    pub(super) fn of(output: &OutputPlan) -> Self {
        let is_stream = matches!(output.place, OutputPlace::Stream(_));
        let show_failures = output.format.has_errors();
        match is_stream && io::stdout().is_terminal() {
            true => Results::OnTerminal { show_failures },
            false => Results::Elsewhere,
        }
    }
}

fn line(counts: Counts, images_per_s: f64, total: Option<u64>) -> String {
    let failed = match counts.n_failed {
        0 => String::new(),
        n => format!(", {n} failed"),
    };
    let n_taken = counts.n_taken();
    match total {
        Some(total) => {
            let left_s = total.saturating_sub(n_taken) as f64 / images_per_s;
            let left = HumanDuration(Duration::from_secs(left_s as u64));
            format!("{n_taken} of {total} done{failed}, {images_per_s:.1} images/s, {left} left")
        }
        None => format!("{n_taken} done{failed}, {images_per_s:.1} images/s"),
    }
}
