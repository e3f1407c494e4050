//! Decodes a folder of images, including broken ones, and checks a time limit and a memory limit for each.
//!
//!     LONGCLIP_IMAGES=FOLDER cargo test --release --test hostile_images -- --ignored --nocapture
//!
//! Useful folders: `Tests/images` of Pillow's source archive (crash, oom, timeout, bombs), libpng's `contrib/pngsuite`, and
//! the test images of vips, golang-golang-x-image, kimageformats and pillow_heif.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longclip::preprocess::Preprocess;

const TIME_MAX: Duration = Duration::from_secs(10);
const MEMORY_MAX_MIB: u64 = 1536;

#[test]
#[ignore = "needs a folder of images, see the comment at the top of the file"]
fn no_image_panics_hangs_or_takes_all_memory() {
    let folder = std::env::var_os("LONGCLIP_IMAGES").expect("LONGCLIP_IMAGES should name a folder");
    let mut files = Vec::new();
    collect(Path::new(&folder), &mut files);
    let preprocess = Preprocess::new(224);
    let (mut n_good, mut reasons, mut over) = (0, BTreeMap::<String, usize>::new(), Vec::new());
    let (mut slowest, mut largest) = ((Duration::ZERO, PathBuf::new()), (0, PathBuf::new()));
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        reset_peak();
        let start = Instant::now();
        let outcome = preprocess.run("image", &bytes);
        let (time, mib) = (start.elapsed(), peak_mib());
        slowest = slowest.max((time, file.clone()));
        largest = largest.max((mib, file.clone()));
        if time > TIME_MAX || mib > MEMORY_MAX_MIB {
            over.push(format!("{}: {time:.1?}, {mib} MiB", file.display()));
        }
        match outcome {
            Ok(pixels) => {
                assert!(pixels.values().iter().all(|v| v.is_finite()), "{}", file.display());
                n_good += 1;
            }
            Err(error) => {
                assert!(
                    error.to_string().len() > "cannot use the image `image`: ".len(),
                    "{}",
                    file.display()
                );
                *reasons.entry(error.to_string()).or_default() += 1;
            }
        }
    }
    for (reason, n) in &reasons {
        println!("{n:5} {reason}");
    }
    println!(
        "{} files: {n_good} decoded, {} refused",
        files.len(),
        files.len() - n_good
    );
    println!("slowest {:.1?}: {}", slowest.0, slowest.1.display());
    println!("largest {} MiB: {}", largest.0, largest.1.display());
    assert!(
        over.is_empty(),
        "over {TIME_MAX:?} or {MEMORY_MAX_MIB} MiB: {}",
        over.join("; ")
    );
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder should be listable")
        .map(|entry| entry.expect("its entries should be readable").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

/// Resets the recorded peak memory of this process on Linux. On other systems, memory is not checked.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<u64> = peak.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or(0) / 1024
}
