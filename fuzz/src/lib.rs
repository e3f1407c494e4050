//! What the fuzz targets share. `tests/fuzz.rs` of the main crate has these modules too.

pub mod data;
pub mod files;
pub mod image;
pub mod model;
pub mod panics;
pub mod seeds;

use std::{panic, process};

pub use files::{chosen, file, folder};

/// Ends the process at a panic that counts.
pub fn count_panics() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |found| {
        if panics::counts(found) {
            print(found);
            process::abort();
        }
    }));
}

/// Defines a target: `target!(|data| ...)`.
#[macro_export]
macro_rules! target {
    (|$data:ident| $body:expr) => {
        libfuzzer_sys::fuzz_target!(init: $crate::count_panics(), |$data: &[u8]| $body);
    };
}
