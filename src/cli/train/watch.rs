//! Shows the progress of a training: a bar on a terminal, else a line every half minute; then validations, skipped samples
//! and, at the end, where everything is.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::HumanDuration;
use longclip::Error;
use longclip::error::counted;
use longclip::pipeline::Stop;
use longclip::train::metrics::{StepMetrics, TrainingMetrics};
use longclip::train::run::{Observer, Outcome, Start, Training};
use longclip::train::saved::{BEST, LAST};

use crate::cli::bar::Bar;
use crate::cli::interrupt::stop_on_interrupt_saying;
use crate::cli::progress::BETWEEN_LINES;
use crate::cli::report::{LISTED_MAX, Report, Verbosity};

pub(super) struct Watch {
    report: Report,
    stop: Stop,
    n_steps: u64,
    batch: usize,
    start: Start,
    /// The run folder.
    folder: PathBuf,
    bar: Option<Bar>,
    began: Instant,
    last_line: Instant,
    /// Steps that were done before this run.
    n_before: u64,
    n_skipped: usize,
    time: Time,
}

/// The time of this run's steps, in milliseconds.
#[derive(Default)]
struct Time {
    n_steps: u64,
    all_ms: f64,
    waiting_ms: f64,
}

impl Watch {
    pub(super) fn new(report: Report, training: &Training<'_>) -> Self {
        let (n_steps, batch) = (training.settings.steps, training.settings.batch);
        let is_drawn = report.verbosity() > Verbosity::Quiet && io::stderr().is_terminal();
        let bar = is_drawn.then(|| Bar::begin(0));
        let heard = bar.clone();
        let stop = stop_on_interrupt_saying(move || {
            aside(heard.as_ref(), || {
                report.note("ending after this step, with all saved; Ctrl-C again ends at once")
            });
        });
        Watch {
            report,
            stop,
            n_steps,
            batch,
            start: training.start,
            folder: training.folder.to_owned(),
            bar,
            began: Instant::now(),
            last_line: Instant::now(),
            n_before: 0,
            n_skipped: 0,
            time: Time::default(),
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.end();
        }
    }

    /// Sums up the training, and says where its files are.
    pub(super) fn sum_up(&self, outcome: &Outcome) {
        let (report, folder) = (self.report, &self.folder);
        if outcome.n_skipped > 0 {
            report.warning(format!(
                "{} could not be used; `{}` lists what is wrong",
                counted(outcome.n_skipped, "sample"),
                folder.join("skipped.ndjson").display()
            ));
        }
        if outcome.n_cut > 0 {
            report.note(format!(
                "{} long captions that were drawn have more tokens than the model reads, and were cut",
                outcome.n_cut
            ));
        }
        if self.time.n_steps > 0 {
            let s = self.time.all_ms / 1e3;
            report.note(format!(
                "{} in {}, {:.1} images/s; {:.1}% of it waiting for data",
                counted(self.time.n_steps, "step"),
                HumanDuration(Duration::from_secs_f64(s)),
                (self.time.n_steps * self.batch as u64) as f64 / s,
                100.0 * self.time.waiting_ms / self.time.all_ms,
            ));
        }
        if outcome.is_stopped {
            report.note(format!(
                "ended after step {} of {}: `--resume` continues",
                outcome.step, self.n_steps
            ));
        }
        if let Some(best) = outcome.best {
            report.note(format!(
                "the best weights are of step {}, {:.1}% on average: `{}`",
                best.step,
                100.0 * best.score,
                folder.join(BEST).display()
            ));
        }
        if self.time.n_steps > 0 {
            let last = folder.join(LAST);
            report.note(format!(
                "the last weights are `{}`, the curves `{}`",
                last.display(),
                folder.join("loss.html").display()
            ));
        }
    }

    fn aside(&self, say: impl FnOnce(Report)) {
        aside(self.bar.as_ref(), || say(self.report));
    }

    fn show(&mut self, step: u64, training: &TrainingMetrics) {
        let losses = training.losses_in_words();
        if let Some(bar) = &self.bar {
            bar.show(step, Some(self.n_steps), |pace| {
                let rate = format!("{:.1} images/s", training.images_per_s);
                vec![
                    format!("{step}/{} steps", self.n_steps),
                    pace.left,
                    losses.clone(),
                    rate,
                ]
            });
        }
        self.aside(|report| report.detail(format!("step {step}: {losses}, {:.0} ms", training.step_ms)));
        if self.bar.is_none() && self.last_line.elapsed() >= BETWEEN_LINES {
            self.last_line = Instant::now();
            let each_s = self.began.elapsed().as_secs_f64() / (step - self.n_before).max(1) as f64;
            let left = Duration::from_secs_f64(each_s * (self.n_steps - step) as f64);
            self.report.note(format!(
                "step {step} of {}: {losses}, {:.1} images/s, {} left",
                self.n_steps,
                training.images_per_s,
                HumanDuration(left),
            ));
        }
    }
}

/// Prints a line without disturbing the bar.
fn aside(bar: Option<&Bar>, say: impl FnOnce()) {
    match bar {
        Some(bar) => bar.aside(say),
        None => say(),
    }
}

impl Observer for Watch {
    fn begins(&mut self, done_steps: u64) {
        self.n_before = done_steps;
        self.began = Instant::now();
        if let Some(bar) = &self.bar {
            bar.restart(done_steps);
        }
        let (n_steps, folder) = (self.n_steps, self.folder.display());
        let note = match self.start {
            Start::Anew | Start::InPlace => return,
            Start::Resumed if done_steps == 0 => {
                format!("`{folder}` holds no step of a training to resume: it starts from the beginning")
            }
            Start::Resumed if done_steps >= n_steps => {
                format!(
                    "the training has its {} already, {done_steps} are done: a larger `--steps` continues it",
                    counted(n_steps, "step")
                )
            }
            Start::Resumed => format!("resuming after step {done_steps}"),
        };
        self.aside(|report| report.note(note));
    }

    fn step(&mut self, metrics: &StepMetrics) {
        if let Some(training) = &metrics.training {
            self.time.n_steps += 1;
            self.time.all_ms += training.step_ms;
            self.time.waiting_ms += training.data_wait_ms;
            self.show(metrics.step, training);
        }
        if let Some(validation) = &metrics.validation {
            self.aside(|report| report.note(format!("validated step {} on {validation}", metrics.step)));
        }
    }

    fn skipped(&mut self, sample: &str, error: &Error) {
        self.n_skipped += 1;
        if self.n_skipped <= LISTED_MAX || self.report.verbosity() == Verbosity::Verbose {
            let error = error.to_string();
            self.aside(|report| match error.contains(sample) {
                true => report.warning(format!("skipped: {error}")),
                false => report.warning(format!("skipped {sample}: {error}")),
            });
        }
        if self.n_skipped == LISTED_MAX + 1 {
            self.aside(|report| report.note("further samples that can't be used are listed in skipped.ndjson"));
        }
    }

    fn validates(&mut self, step: u64) {
        self.aside(|report| report.detail(format!("validating step {step}")));
    }

    fn is_stopped(&mut self) -> bool {
        self.stop.is_requested()
    }
}
