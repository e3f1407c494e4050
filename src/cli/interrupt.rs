//! Ctrl-C: the first asks the run to end well, the second ends the process.

use std::process;
use std::sync::OnceLock;

use longclip::pipeline::Stop;

/// What shells give a process that was interrupted: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// From now on, Ctrl-C and a polite `kill` request the stop: the same one whoever asks, since a process has one handler.
pub(super) fn stop_on_interrupt() -> Stop {
    stop_on_interrupt_saying(|| ())
}

/// As [`stop_on_interrupt`], for a run that takes a while to end: `say` tells the person that it heard.
pub(super) fn stop_on_interrupt_saying(say: impl Fn() + Send + 'static) -> Stop {
    static STOP: OnceLock<Stop> = OnceLock::new();
    let stop = STOP.get_or_init(|| {
        let stop = Stop::default();
        let requested = stop.clone();
        // Where another handler stands already, Ctrl-C ends the process at once, as everywhere.
        let _ = ctrlc::set_handler(move || {
            if requested.is_requested() {
                process::exit(INTERRUPTED);
            }
            requested.request();
            say();
        });
        stop
    });
    stop.clone()
}
