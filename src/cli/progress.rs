//! How far a run is: a bar with rate and time left on a terminal, a line every half minute elsewhere.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::HumanDuration;
use longclip::input::{InputOptions, Inputs};
use longclip::session::{Counts, OutputPlace, OutputPlan};

use super::bar::{Bar, Pace};
use super::report::{Report, Verbosity};

/// Between two lines about the progress of a run, if no bar is drawn.
pub(super) const BETWEEN_LINES: Duration = Duration::from_secs(30);

pub(super) struct ProgressLine {
    report: Report,
    shown: Shown,
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
        ProgressLine {
            report,
            shown: Shown::of(Screen::of(&io::stderr()), report.verbosity(), results),
            total,
            n_held,
        }
    }

    /// A batch is done.
    pub(super) fn show(&mut self, counts: Counts, images_per_s: f64) {
        let total = self.total(counts);
        let is_at_the_end = total == Some(counts.n_taken());
        match &mut self.shown {
            Shown::Bar(bar) => bar.show(counts.n_taken(), total, |pace| words(counts, total, pace)),
            Shown::Lines { last } if last.elapsed() >= BETWEEN_LINES && !is_at_the_end => {
                *last = Instant::now();
                self.report.note(line(counts, images_per_s, total));
            }
            Shown::Lines { .. } | Shown::Results => {}
        }
    }

    /// How many images this run has, once they are counted.
    pub(super) fn total(&self, counts: Counts) -> Option<u64> {
        let nothing_to_do = self.n_held + counts.n_known;
        self.total.get().map(|total| total.saturating_sub(nothing_to_do))
    }

    /// Does something that writes to stderr without the bar in its way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.shown {
            Shown::Bar(bar) => bar.aside(write),
            Shown::Lines { .. } | Shown::Results => write(),
        }
    }

    pub(super) fn end(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.end();
        }
    }
}

/// How a person sees that a run proceeds.
enum Shown {
    Bar(Bar),
    /// A line every half minute.
    Lines {
        last: Instant,
    },
    /// By the results themselves, which lines would only interrupt.
    Results,
}

/// What stderr is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Screen {
    Terminal,
    Log,
}

impl Screen {
    fn of(stderr: &impl IsTerminal) -> Self {
        match stderr.is_terminal() {
            true => Screen::Terminal,
            false => Screen::Log,
        }
    }
}

impl Shown {
    fn of(screen: Screen, verbosity: Verbosity, results: Results) -> Self {
        match (screen, results) {
            (Screen::Terminal, Results::OnTerminal { .. }) => Shown::Results,
            (Screen::Terminal, Results::Elsewhere) if verbosity > Verbosity::Quiet => Shown::Bar(Bar::begin(0)),
            (Screen::Terminal | Screen::Log, _) => Shown::Lines { last: Instant::now() },
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

/// What is said next to a bar, the most important first.
fn words(counts: Counts, total: Option<u64>, pace: Pace) -> Vec<String> {
    let done = counts.n_taken();
    let failed = (counts.n_failed > 0).then(|| format!("{} failed", counts.n_failed));
    let n_decimals = usize::from(pace.per_s < 10.0);
    let rate = format!("{:.n_decimals$} images/s", pace.per_s);
    let words = match total {
        Some(total) => [Some(format!("{done}/{total}")), failed, Some(pace.left), Some(rate)],
        None => [Some(format!("{done} done")), failed, Some(rate), None],
    };
    words.into_iter().flatten().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_interrupt_results_on_the_same_terminal() {
        let shown = |screen, results| Shown::of(screen, Verbosity::Normal, results);
        let on_terminal = Results::OnTerminal { show_failures: true };
        assert!(matches!(shown(Screen::Terminal, on_terminal), Shown::Results));
        assert!(matches!(shown(Screen::Log, on_terminal), Shown::Lines { .. }));
        assert!(matches!(shown(Screen::Log, Results::Elsewhere), Shown::Lines { .. }));
        assert!(matches!(shown(Screen::Terminal, Results::Elsewhere), Shown::Bar(_)));
    }
}
