//! `longclip --licenses`: the notices of the data in the program and of the crates that it is made of.
//!
//! `packaging/notices` writes `licenses.txt`.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::process::ExitCode;

use super::report::Exit;

const NOTICES: [&str; 3] = [include_str!("../../NOTICE"), "\n", include_str!("licenses.txt")];

/// Whether the command line is `longclip --licenses`, which needs no command.
pub(super) fn are_asked_for() -> bool {
    std::env::args_os().skip(1).eq([OsStr::new("--licenses")])
}

pub(super) fn print() -> ExitCode {
    // A closed pipe ends quietly.
    io::stdout().lock().write_all(NOTICES.concat().as_bytes()).ok();
    Exit::Done.into()
}
