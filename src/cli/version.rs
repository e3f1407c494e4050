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
    let features = FEATURES.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name);
    format!(
        "{}\ntarget: {}\nfeatures: {}\ncpu: {}",
        version(),
        env!("LONGCLIP_TARGET"),
        features.collect::<Vec<_>>().join(", "),
        instruction_set()
    )
}

const FEATURES: [(&str, bool); 13] = [
    ("accelerate", cfg!(feature = "accelerate")),
    ("arrow", cfg!(feature = "arrow")),
    ("avif", cfg!(feature = "avif")),
    ("cli", cfg!(feature = "cli")),
    ("cuda", cfg!(feature = "cuda")),
    ("cudnn", cfg!(feature = "cudnn")),
    ("heic", cfg!(feature = "heic")),
    ("hub", cfg!(feature = "hub")),
    ("jxl", cfg!(feature = "jxl")),
    ("metal", cfg!(feature = "metal")),
    ("mkl", cfg!(feature = "mkl")),
    ("parquet", cfg!(feature = "parquet")),
    ("train", cfg!(feature = "train")),
];

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

#[cfg(test)]
mod tests {
    use super::FEATURES;

    #[test]
    fn every_feature_of_the_manifest_is_listed() {
        let manifest = include_str!("../../Cargo.toml");
        let section = manifest
            .split("\n[features]\n")
            .nth(1)
            .and_then(|rest| rest.split("\n[").next());
        let names = section
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once(" = "));
        let mut names: Vec<&str> = names.map(|(name, _)| name).filter(|name| *name != "default").collect();
        names.sort_unstable();
        assert_eq!(names, FEATURES.map(|(name, _)| name));
    }
}
