//! A progress bar in one line of the terminal. It never wraps: parts that do not fit are dropped.

use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use longclip::output::cells::with_bar;

use super::terminal::stderr_columns;

/// A bar on stderr.
#[derive(Clone)]
pub(super) struct Bar(ProgressBar);

/// How fast it goes.
pub(super) struct Pace {
    pub(super) per_s: f64,
    /// The time left, in words.
    pub(super) left: String,
}

impl Bar {
    /// A bar of which `done` is done already, which does not count as speed.
    pub(super) fn begin(done: u64) -> Self {
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = Bar(ProgressBar::no_length().with_style(style));
        bar.restart(done);
        bar
    }

    /// As [`Bar::begin`], of a bar that is drawn already.
    pub(super) fn restart(&self, done: u64) {
        self.0.set_position(done);
        self.0.reset_eta();
    }

    /// Draws what is done, with words about it, the most important first.
    pub(super) fn show(&self, done: u64, total: Option<u64>, words: impl FnOnce(Pace) -> Vec<String>) {
        if let Some(total) = total {
            self.0.set_length(total);
        }
        self.0.set_position(done);
        let words = words(Pace {
            per_s: self.0.per_sec(),
            left: format!("{} left", HumanDuration(Duration::from_secs(self.0.eta().as_secs()))),
        });
        let share = total.map(|total| done as f64 / total.max(1) as f64);
        // The last column stays free: some terminals wrap when it is written.
        self.0
            .set_message(with_bar(share, &words, stderr_columns().saturating_sub(1)));
    }

    /// Does something that writes to stderr without the bar in its way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
