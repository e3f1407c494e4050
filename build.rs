//! Notes what `longclip --version` says about the build: the target, the features, and the commit.

#![allow(clippy::print_stdout, reason = "a build script tells cargo what it found on stdout")]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::rustc-env=LONGCLIP_TARGET={}",
        env::var("TARGET").unwrap_or_default()
    );
    // Cargo sets a variable for each feature.
    let features =
        env::vars_os().filter_map(|(name, _)| Some(name.to_str()?.strip_prefix("CARGO_FEATURE_")?.to_lowercase()));
    let mut features: Vec<String> = features.filter(|name| name != "default").collect();
    features.sort_unstable();
    println!("cargo::rustc-env=LONGCLIP_FEATURES={}", features.join(", "));
    // While the program is written, a commit should not compile it again.
    let commit = match env::var("PROFILE").as_deref() {
        Ok("release") => published_commit().or_else(commit).unwrap_or_default(),
        _ => String::new(),
    };
    println!("cargo::rustc-env=LONGCLIP_COMMIT={commit}");
}

/// The commit that a published crate was made from. Cargo writes this file into each package.
fn published_commit() -> Option<String> {
    let info = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, hash) = info.split_once(r#""sha1": ""#)?;
    hash.get(..7).map(str::to_owned)
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
