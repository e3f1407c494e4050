//! From `--model` to a model on this machine: reads the environment, draws the download, says what was chosen.

use indicatif::{ProgressBar, ProgressStyle};
use longclip::weights::hub::{HubSettings, Progress};
use longclip::weights::names::{self, ModelSource, Places, Resolved};

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
    if let Some(notice) = found.notice.as_ref().and_then(in_flags) {
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

/// Draws a download on a terminal; where stderr is none, says once what is being fetched.
pub(super) struct DownloadBar {
    report: Report,
    drawn: Option<ProgressBar>,
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
                self.report
                    .detail(format!("checking the hash of `{file}` ({}), once", size(bytes_total)));
            }
            Progress::Downloading {
                file,
                bytes_done,
                bytes_total,
            } => self.bar(file, bytes_done, bytes_total).set_position(bytes_done),
            Progress::Finished { .. } => {
                if let Some(bar) = self.drawn.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }

    /// The bar of the file that is arriving.
    fn bar(&mut self, file: &str, bytes_done: u64, bytes_total: u64) -> &ProgressBar {
        let report = self.report;
        self.drawn.get_or_insert_with(|| {
            let had = if bytes_done > 0 {
                format!(", {} of it are here", size(bytes_done))
            } else {
                String::new()
            };
            report.note(format!("downloading `{file}` ({}{had})", size(bytes_total)));
            let bar = match report.verbosity() {
                Verbosity::Quiet => ProgressBar::hidden(),
                Verbosity::Normal | Verbosity::Verbose => ProgressBar::new(bytes_total),
            };
            let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            // What an earlier run left doesn't count as speed.
            bar.with_position(bytes_done)
        })
    }
}

/// Bytes for a person, in powers of ten as disks and download pages count them.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}
