//! Times preprocessing, from a file's bytes to normalised pixels, and the decoder's part of it.
//!
//!     cargo bench --bench preprocess                   # the images in img/
//!     cargo bench --bench preprocess -- a.jpg b.png    # these images
//!
//! Prints one line per image, `path whole_ms decode_ms fast_ms fast_decode_ms`, each the median of the rounds on one thread.
//! The last two are with `Decoding::Reduced` (`--fast-decode`). With `--cpu`, the first two are the CPU time of the process
//! instead, the mean of as many runs as take half a second (Linux): for a machine with other work.
//! `benches/peers/preprocess.py` runs it in turn with Pillow and torchvision on the same files, and compares the pixels.
//!
//! The estimate, for a photo of 12 megapixels at 224: the decoder takes 75 ms. The horizontal pass multiplies
//! 3000 rows x 224 columns x 56 taps x 3 channels = 113 million bytes, 21 per instruction, which takes 6 ms. The rest is
//! negligible.
#![expect(clippy::print_stdout, reason = "a report")]

use std::path::Path;
use std::time::{Duration, Instant};

use longclip::preprocess::{Decoding, Orientation, Preprocess};

const ROUNDS: usize = 9;
const RESOLUTION_PX: usize = 224;
const OURS: [&str; 3] = ["img/cat.jpg", "img/coffee.jpg", "img/astronaut.jpg"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds `--bench`. `IMAGE=FILE` also writes the (R, R, 3) bytes to FILE, for comparison.
    let is_by_cpu = std::env::args().any(|arg| arg == "--cpu");
    let mut named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if named.is_empty() {
        named = OURS.map(str::to_owned).to_vec();
    }
    let preprocess = Preprocess::new(RESOLUTION_PX).orientation(Orientation::AsStored);
    let fast = preprocess.clone().decoding(Decoding::Reduced);
    for name in &named {
        let (path, pixels_to) = name
            .split_once('=')
            .map_or((name.as_str(), None), |(p, to)| (p, Some(to)));
        let bytes = std::fs::read(path)?;
        if let Some(to) = pixels_to {
            std::fs::write(Path::new(to), preprocess.crop_u8(&preprocess.decode(path, &bytes)?))?;
        }
        let mut line = path.to_owned();
        let (clock, ways): (Clock, &[_]) = match is_by_cpu {
            true => (cpu_times, &[&preprocess]),
            false => (times, &[&preprocess, &fast]),
        };
        for preprocess in ways {
            let whole = clock(&|| preprocess.run(path, &bytes).map(drop))?;
            let decoding = clock(&|| preprocess.decode(path, &bytes).map(drop))?;
            line += &format!(" {:.2} {:.2}", median_ms(whole), median_ms(decoding));
        }
        println!("{line}");
    }
    Ok(())
}

type Run<'a> = &'a dyn Fn() -> longclip::Result<()>;
type Clock = fn(Run<'_>) -> longclip::Result<Vec<Duration>>;

fn times(run: Run<'_>) -> longclip::Result<Vec<Duration>> {
    let timed = |_| {
        let start = Instant::now();
        run()?;
        Ok(start.elapsed())
    };
    (0..ROUNDS).map(timed).collect()
}

fn cpu_times(run: Run<'_>) -> longclip::Result<Vec<Duration>> {
    let (start, mut n_runs) = (cpu_ticks(), 0);
    while cpu_ticks() - start < TICKS_PER_S / 2 {
        run()?;
        n_runs += 1;
    }
    let ticks = (cpu_ticks() - start) as f64;
    Ok(vec![Duration::from_secs_f64(
        ticks / TICKS_PER_S as f64 / f64::from(n_runs),
    )])
}

/// Of Linux on all common machines.
const TICKS_PER_S: u64 = 100;

/// The CPU time of this process (proc_pid_stat(5)).
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum()
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
