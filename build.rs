//! Notes what `longclip --version` says about the build: the target, the features, and the commit if it is built from a
//! checkout.

#![allow(clippy::print_stdout, reason = "a build script tells cargo what it found on stdout")]

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::rustc-env=LONGCLIP_TARGET={}",
        env::var("TARGET").unwrap_or_default()
    );
    // Cargo sets a variable for each feature.
    let features = env::vars().filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase()));
    let mut features: Vec<String> = features.filter(|name| name != "default").collect();
    features.sort_unstable();
    println!("cargo::rustc-env=LONGCLIP_FEATURES={}", features.join(", "));
    // While the program is written, a commit should not compile it again.
    let commit = match env::var("PROFILE").as_deref() {
        Ok("release") => commit().unwrap_or_default(),
        _ => String::new(),
    };
    println!("cargo::rustc-env=LONGCLIP_COMMIT={commit}");
}

/// The commit of the checkout that this is built from; `None` without git, and for a copy in another repository.
fn commit() -> Option<String> {
    let top = Path::new(&git(&["rev-parse", "--show-toplevel"])?)
        .canonicalize()
        .ok()?;
    let here = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).canonicalize().ok()?;
    if top != here {
        return None;
    }
    // It has a new line after each commit and each checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
