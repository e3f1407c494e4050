//! How far a run is: a bar with rate and time left on a terminal, a line every half minute elsewhere.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use longclip::input::Inputs;
use longclip::session::Counts;

use super::report::{Report, Verbosity};

const BETWEEN_LINES: Duration = Duration::from_secs(30);

pub(super) struct ProgressLine {
    report: Report,
    bar: Option<ProgressBar>,
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
            Expected::Of(_) => {}
            Expected::Exactly(n) => drop(total.set(*n)),
        }
        let is_drawn =
            report.verbosity() > Verbosity::Quiet && io::stderr().is_terminal() && results == Results::Elsewhere;
        ProgressLine {
            report,
            bar: is_drawn.then(|| ProgressBar::no_length().with_style(style("{pos} done  {rate}"))),
            last_line: Instant::now(),
            total,
            n_held,
        }
    }

    /// A batch is done.
    pub(super) fn show(&mut self, counts: Counts, images_per_s: f64) {
        let nothing_to_do = self.n_held + counts.n_known;
        let total = self.total.get().map(|total| total.saturating_sub(nothing_to_do));
        if let Some(bar) = &self.bar {
            if let Some(total) = total.filter(|total| bar.length() != Some(*total)) {
                bar.set_length(total);
                bar.set_style(style("{bar:30} {pos}/{len}  {rate}  {eta} left{msg}"));
            }
            bar.set_position(counts.n_taken());
            if counts.n_failed > 0 {
                bar.set_message(format!("  {} failed", counts.n_failed));
            }
            return;
        }
        if self.last_line.elapsed() >= BETWEEN_LINES {
            self.last_line = Instant::now();
            self.report.note(line(counts, images_per_s, total));
        }
    }

    /// Does something that writes to stderr without the bar in its way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How many images there are.
pub(super) enum Expected<'a> {
    /// As many as these have; what they skipped is reported in the end.
    Of(&'a Inputs),
    /// This many.
    Exactly(u64),
}

/// Where results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    /// To the terminal: they are progress enough.
    OnTerminal(Failures),
    Elsewhere,
}

/// Whether results say why an image failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failures {
    Shown,
    NotShown,
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
            let left = indicatif::HumanDuration(Duration::from_secs(left_s as u64));
            format!("{n_taken} of {total} done{failed}, {images_per_s:.1} images/s, {left} left")
        }
        None => format!("{n_taken} done{failed}, {images_per_s:.1} images/s"),
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", |state: &ProgressState, text: &mut dyn fmt::Write| {
        // What can't be written to a line on a terminal is not worth more than that line.
        let _ = write!(text, "{:.0} images/s", state.per_sec());
    })
}
