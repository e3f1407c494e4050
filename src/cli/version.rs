//! `--version`: which build this is, and what it computes with on this machine.

use longclip::kernels::cpu::Level;

/// The version and the commit, in one line: `-V`.
pub(super) fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match env!("LONGCLIP_COMMIT") {
        "" => version.to_owned(),
        commit => format!("{version} ({commit})"),
    }
}

/// What a report of an error should say: `--version`.
pub(super) fn long_version() -> String {
    format!(
        "{}\ntarget: {}\nfeatures: {}\ncpu: {}",
        version(),
        env!("LONGCLIP_TARGET"),
        env!("LONGCLIP_FEATURES"),
        instruction_set()
    )
}

/// The instruction set in use, and why it is not the best one if it isn't.
pub(super) fn instruction_set() -> String {
    let best = Level::best();
    match cpu_level() {
        Ok(Some(level)) if level < best => {
            format!("{}, by LONGCLIP_CPU; the CPU has {}", level.name(), best.name())
        }
        Ok(_) => best.name().to_owned(),
        Err(error) => error.to_string(),
    }
}

/// `$LONGCLIP_CPU` limits the instruction set: for comparing, and for reports of errors.
pub(super) fn cpu_level() -> longclip::Result<Option<Level>> {
    let value = std::env::var("LONGCLIP_CPU").ok().filter(|value| !value.is_empty());
    value.as_deref().map(Level::from_variable).transpose()
}
