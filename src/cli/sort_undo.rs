//! `longclip sort --undo LOG`: puts back what a log says, the last file first.

use std::fs;
use std::path::Path;

use longclip::error::counted;
use longclip::output::moves_log;
use longclip::output::transfer::undo;

use super::Outcome;
use super::report::{Failures, Report};

pub(super) fn run(log: &Path, report: Report) -> Outcome {
    let transfers = moves_log::read(log)?;
    let mut failures = Failures::new(report);
    for (transfer, manner) in transfers.iter().rev() {
        match undo(transfer, *manner) {
            // A folder that `sort` made; one that holds something else stays.
            Ok(()) => drop(transfer.to.parent().map(fs::remove_dir)),
            Err(error) => failures.add(&transfer.to.display().to_string(), &error),
        }
    }
    let back = counted(transfers.len() - failures.n, "file");
    report.note(match failures.n {
        0 => format!("{back} put back"),
        n => format!("{back} put back, {n} left as they are"),
    });
    Ok(failures.exit(transfers.len()))
}
