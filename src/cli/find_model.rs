//! Finds the model that `--model` names: reads the environment, shows the progress of a download, says what was chosen.

use std::io::{self, IsTerminal};

use longclip::error::size_in_words;
use longclip::weights::hub::{HubSettings, Progress};
use longclip::weights::names::{self, ModelSource, Places, Resolved};

use super::bar::Bar;
use super::hint::in_flags;
use super::report::{Report, Verbosity};

/// Where this process looks for models, by its environment.
pub(super) struct Machine {
    pub(super) places: Places,
    pub(super) hub: HubSettings,
}

impl Machine {
    pub(super) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Machine {
            places: Places::from_lookup(variable, std::env::current_exe().ok().as_deref()),
            hub: HubSettings::from_lookup(variable),
        }
    }
}

/// Finds the model that a command is to use; `requested` is what `--model` says.
pub(super) fn find_model(requested: Option<&str>, report: Report) -> longclip::Result<Resolved> {
    let machine = Machine::from_environment();
    let mut bar = DownloadBar::new(report);
    let found = names::resolve(requested, &machine.places, &machine.hub, &mut |progress| {
        bar.show(progress)
    })?;
    // A person may not know that there is a better model; the author of a script chose this one.
    if let Some(notice) = found
        .notice
        .as_ref()
        .and_then(in_flags)
        .filter(|_| io::stderr().is_terminal())
    {
        report.note(notice);
    }
    Ok(found)
}

/// Where the model that a command would use is on this machine, if it is; nothing is fetched.
pub(super) fn located(requested: Option<&str>) -> Option<ModelSource> {
    let machine = Machine::from_environment();
    let name = requested
        .or(machine.places.preferred.as_deref())
        .unwrap_or(names::DEFAULT);
    names::locate(name, &machine.places, &machine.hub).map(|found| found.source)
}

/// Shows the progress of a download on a terminal; otherwise reports once what is being fetched.
pub(super) struct DownloadBar {
    report: Report,
    drawn: Option<Bar>,
}

impl DownloadBar {
    pub(super) fn new(report: Report) -> Self {
        DownloadBar { report, drawn: None }
    }

    pub(super) fn show(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Waiting { file } => self
                .report
                .note(format!("another process downloads `{file}`; waiting for it")),
            Progress::Checking { file, bytes_total } => {
                self.report.detail(format!(
                    "checking the hash of `{file}` ({}), once",
                    size_in_words(bytes_total)
                ));
            }
            Progress::Downloading {
                file,
                bytes_done,
                bytes_total,
            } => self.download(file, bytes_done, bytes_total),
            Progress::Finished { .. } => {
                if let Some(bar) = self.drawn.take() {
                    bar.end();
                }
            }
        }
    }

    fn download(&mut self, file: &str, bytes_done: u64, bytes_total: u64) {
        let report = self.report;
        if report.verbosity() == Verbosity::Quiet {
            return;
        }
        let bar = self.drawn.get_or_insert_with(|| {
            let had = match bytes_done {
                0 => String::new(),
                _ => format!(", {} of it are here", size_in_words(bytes_done)),
            };
            report.note(format!("downloading `{file}` ({}{had})", size_in_words(bytes_total)));
            Bar::begin(bytes_done)
        });
        bar.show(bytes_done, Some(bytes_total), |pace| {
            let done = format!("{} of {}", size_in_words(bytes_done), size_in_words(bytes_total));
            vec![done, pace.left, format!("{}/s", size_in_words(pace.per_s as u64))]
        });
    }
}
