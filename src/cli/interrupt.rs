//! Ctrl-C: the first asks the run to end well, the second ends the process.

use std::process;

use longclip::pipeline::Stop;

/// What shells give a process that was interrupted: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// From now on, Ctrl-C and a polite `kill` request the stop.
pub(super) fn stop_on_interrupt() -> Stop {
    let stop = Stop::default();
    let requested = stop.clone();
    // Where another handler stands already, Ctrl-C ends the process at once, as everywhere.
    let _ = ctrlc::set_handler(move || {
        if requested.is_requested() {
            process::exit(INTERRUPTED);
        }
        requested.request();
    });
    stop
}
