//! Times preprocessing, from a file's bytes to normalised pixels, and the decoder's part of it.
//!
//!     cargo bench --bench preprocess                   # the images in img/
//!     cargo bench --bench preprocess -- a.jpg b.png    # these images
//!
//! Prints one line per image, `path whole_ms decode_ms fast_ms fast_decode_ms`, each the median of the rounds on one thread.
//! The last two are with `Decoding::Reduced` (`--fast-decode`).
//! `benches/peers/preprocess.py` runs it in turn with Pillow and torchvision on the same files, and compares the pixels.
//!
//! The estimate, for a photo of 12 megapixels at 224: the decoder takes 75 ms. The horizontal pass multiplies
//! 3000 rows x 224 columns x 56 taps x 3 channels = 113 million bytes, 21 per instruction, which takes 6 ms. The rest is
//! negligible.
#![expect(clippy::print_stdout, reason = "a report")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use longclip::preprocess::{Decoding, Orientation, Preprocess};

const ROUNDS: usize = 9;
const RESOLUTION_PX: usize = 224;
const OURS: [&str; 3] = ["img/cat.jpg", "img/coffee.jpg", "img/astronaut.jpg"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo adds `--bench`. `IMAGE=FILE` also writes the (R, R, 3) bytes to FILE, for comparison.
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
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            for (i, preprocess) in [&preprocess, &fast].into_iter().enumerate() {
                times[2 * i].push(timed(|| preprocess.run(path, &bytes))?);
                times[2 * i + 1].push(timed(|| preprocess.decode(path, &bytes))?);
            }
        }
        let [whole, decoding, fast, fast_decoding] = times.map(median_ms);
        println!("{path} {whole:.2} {decoding:.2} {fast:.2} {fast_decoding:.2}");
    }
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> longclip::Result<T>) -> longclip::Result<Duration> {
    let start = Instant::now();
    black_box(work()?);
    Ok(start.elapsed())
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}
