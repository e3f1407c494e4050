//! Which panics count as crashes.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

use longclip::error::is_caught;

/// Whether a panic counts: one in our own code, or one that nothing would catch. The library catches those of other crates,
/// as it does in the program.
pub fn counts(panic: &PanicHookInfo<'_>) -> bool {
    let file = panic.location().map_or("", |place| place.file());
    let is_foreign = is_of_another_crate(file) || (is_of_std(file) && is_called_by_another_crate());
    !(is_foreign && is_caught())
}

fn is_of_another_crate(file: &str) -> bool {
    file.contains("/registry/src/")
}

fn is_of_std(file: &str) -> bool {
    file.starts_with("/rustc/") || file.contains("/library/")
}

/// Whether the standard library's caller that panics is not our own code.
fn is_called_by_another_crate() -> bool {
    let trace = Backtrace::force_capture().to_string();
    let files = trace.lines().filter_map(|line| line.trim_start().strip_prefix("at "));
    // The hook's own frames come first.
    let mut callers = files.skip_while(|file| !file.contains("panicking.rs"));
    callers.find(|file| !is_of_std(file)).is_some_and(is_of_another_crate)
}
