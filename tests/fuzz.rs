//! Every fuzz target reads its seeds, and some hundred changes of each, without a panic in our own code.
//!
//! `fuzz/run` looks for inputs with libFuzzer, which takes hours. This keeps the targets and the seeds working, on any
//! machine. More changes: `LONGCLIP_FUZZ_CHANGES=10000 cargo test --test fuzz`.

#![cfg(all(feature = "arrow", feature = "parquet"))]
#![allow(unused_attributes, reason = "targets are programs of their own in `fuzz/`")]
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "targets are modules here"
)]

// Targets call the library of their own crate by its name.
extern crate self as longclip_fuzz;

#[path = "../fuzz/src/data.rs"]
pub mod data;
#[path = "../fuzz/src/files.rs"]
pub mod files;
#[path = "../fuzz/src/image.rs"]
pub mod image;
#[path = "../fuzz/src/model.rs"]
pub mod model;
#[path = "../fuzz/src/panics.rs"]
pub mod panics;
#[path = "../fuzz/src/seeds.rs"]
pub mod seeds;

pub use files::{chosen, file, folder};

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs, panic};

/// As that of `fuzz/`, for a function that this test calls.
#[macro_export]
macro_rules! target {
    (|$data:ident| $body:expr) => {
        pub fn run($data: &[u8]) {
            $body
        }
    };
}

macro_rules! targets {
    ($($name:ident = $path:literal,)*) => {
        $(
            #[path = $path]
            mod $name;
        )*
        const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name::run)),*];
    };
}

targets! {
    arrow = "../fuzz/targets/arrow.rs",
    bmp = "../fuzz/targets/bmp.rs",
    cifar = "../fuzz/targets/cifar.rs",
    config = "../fuzz/targets/config.rs",
    gif = "../fuzz/targets/gif.rs",
    heic = "../fuzz/targets/heic.rs",
    ico = "../fuzz/targets/ico.rs",
    jpeg = "../fuzz/targets/jpeg.rs",
    jxl = "../fuzz/targets/jxl.rs",
    keywords = "../fuzz/targets/keywords.rs",
    labels = "../fuzz/targets/labels.rs",
    model_folder = "../fuzz/targets/model_folder.rs",
    other_images = "../fuzz/targets/other_images.rs",
    parquet = "../fuzz/targets/parquet.rs",
    pickle = "../fuzz/targets/pickle.rs",
    png = "../fuzz/targets/png.rs",
    pt = "../fuzz/targets/pt.rs",
    raw = "../fuzz/targets/raw.rs",
    records = "../fuzz/targets/records.rs",
    results = "../fuzz/targets/results.rs",
    safetensors = "../fuzz/targets/safetensors.rs",
    tar = "../fuzz/targets/tar.rs",
    text = "../fuzz/targets/text.rs",
    tiff = "../fuzz/targets/tiff.rs",
    tokenizer = "../fuzz/targets/tokenizer.rs",
    webp = "../fuzz/targets/webp.rs",
    xmp = "../fuzz/targets/xmp.rs",
}

/// What panics that count have said.
static CRASHES: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn every_target_reads_its_seeds_and_changes_of_them() {
    let changes = env::var("LONGCLIP_FUZZ_CHANGES").map_or(20, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    seeds::write(folder.path(), &data).unwrap();
    let default = panic::take_hook();
    panic::set_hook(Box::new(|found| {
        if panics::counts(found) {
            eprintln!("{found}");
            CRASHES.lock().unwrap().push(found.to_string());
        }
    }));
    let crashed = TARGETS
        .iter()
        .find_map(|(name, run)| crash_of(name, *run, &folder.path().join(name), changes));
    panic::set_hook(default);
    fs::remove_dir_all(crate::folder()).unwrap();
    if let Some(crash) = crashed {
        panic!("{crash}");
    }
}

/// The first crash of a target, in words.
fn crash_of(name: &str, run: fn(&[u8]), seeds: &Path, changes: usize) -> Option<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(seeds)
        .unwrap_or_else(|error| panic!("the seeds of {name}: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no seeds");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    files.iter().find_map(|file| {
        let seed = fs::read(file).unwrap();
        (0..=changes).find_map(|i| {
            let input = if i == 0 {
                seed.clone()
            } else {
                changed(&seed, &mut random)
            };
            let unwound = panic::catch_unwind(|| run(&input)).is_err();
            let said: Vec<String> = CRASHES.lock().unwrap().drain(..).collect();
            (unwound || !said.is_empty()).then(|| {
                let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.crash"));
                fs::write(&kept, input).unwrap();
                format!(
                    "{name} crashed at a change of {}, kept as {}: {}",
                    file.display(),
                    kept.display(),
                    said.join("; ")
                )
            })
        })
    })
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n.max(1)
    }
}

/// An input with one to four changes.
fn changed(seed: &[u8], random: &mut Random) -> Vec<u8> {
    const SPECIAL: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(6) {
            _ if bytes.is_empty() => bytes.push(SPECIAL[random.below(6)]),
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = SPECIAL[random.below(6)],
            2 => bytes[at..end].fill(SPECIAL[random.below(6)]),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let copied = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copied);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}
