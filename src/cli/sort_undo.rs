//! `longclip sort --undo LOG`: puts back what a log says, the last file first.

use std::fs;
use std::path::Path;

use longclip::error::counted;
use longclip::output::moves_log;
use longclip::output::transfer::undo;

use super::Outcome;
use super::report::{Exit, LISTED_MAX, Report};

pub(super) fn run(log: &Path, report: Report) -> Outcome {
    let transfers = moves_log::read(log)?;
    let mut n_failed = 0;
    for (transfer, manner) in transfers.iter().rev() {
        match undo(transfer, *manner) {
            // A folder that `sort` made; one that holds something else stays.
            Ok(()) => drop(transfer.to.parent().map(fs::remove_dir)),
            Err(error) => {
                n_failed += 1;
                if n_failed <= LISTED_MAX {
                    report.failed_input(&transfer.to.display().to_string(), &error);
                }
            }
        }
    }
    let n_back = transfers.len() - n_failed;
    report.note(match n_failed {
        0 => format!("{} put back", counted(n_back, "file")),
        n => format!("{} put back, {n} left as they are", counted(n_back, "file")),
    });
    Ok(match n_failed {
        0 => Exit::Done,
        _ if n_back == 0 => Exit::Refused,
        _ => Exit::SomeFailed,
    })
}
