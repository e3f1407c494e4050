//! Ctrl-C: the first stops the run cleanly, the second ends the process.

use std::process;
use std::sync::OnceLock;

use longclip::pipeline::Stop;

/// What shells give a process that was interrupted: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// From now on, Ctrl-C and SIGTERM request the stop. It is the same for all callers, since a process has one handler.
pub(super) fn stop_on_interrupt() -> Stop {
    stop_on_interrupt_saying(|| ())
}

/// As [`stop_on_interrupt`], for a run that takes a while to end: `say` reports that the request was received.
pub(super) fn stop_on_interrupt_saying(say: impl Fn() + Send + 'static) -> Stop {
    static STOP: OnceLock<Stop> = OnceLock::new();
    let stop = STOP.get_or_init(|| {
        let stop = Stop::default();
        let requested = stop.clone();
        // If there is another handler already, Ctrl-C ends the process at once, as usual.
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
