//! The `longclip` command: parse, run, exit code.

mod cli;

use std::process::ExitCode;

/// musl's allocator returns large blocks to the kernel at once, so that each image's pages are faulted in anew.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
