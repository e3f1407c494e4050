//! How fast a model encodes: on generated images and texts, or on given texts. Neither decoding nor the tokenizer is timed.

use std::fmt;
use std::time::Instant;

use serde::Serialize;

use super::{LongClip, image_flop, text_flop};
use crate::error::Result;
use crate::memory::peak_bytes;
use crate::preprocess::Pixels;
use crate::random::Random;

/// How a model is timed.
pub struct Timing<'a> {
    /// The model.
    pub model: &'a LongClip,
    /// The numbers that it computes with.
    pub dtype: &'static str,
    /// Threads that it computes on.
    pub n_threads: usize,
    /// Timed rounds, at least one, after one that is not timed and prepares the tower.
    pub rounds: usize,
}

/// One measured case. It is displayed as a row below [`Measurement::HEAD`].
#[derive(Debug, Serialize)]
pub struct Measurement {
    tower: &'static str,
    dtype: &'static str,
    batch: usize,
    tokens: usize,
    threads: usize,
    rounds: usize,
    ms_median: f64,
    ms_min: f64,
    items_per_s: f64,
    gflops: f64,
    /// The most memory that this process has had, if the system says.
    peak_rss_mib: Option<f64>,
}

impl Timing<'_> {
    /// Times batches of generated images.
    ///
    /// # Errors
    /// As [`LongClip::encode_images`].
    pub fn images(&self, batch: usize) -> Result<Measurement> {
        let sizes = self.model.sizes();
        let side_px = sizes.image_resolution_px;
        let image = |i: usize| {
            let mut random = Random::new(0, i as u64);
            let values = (0..3 * side_px * side_px).map(|_| random.normal() as f32);
            Pixels::from_normalised(values.collect(), side_px)
        };
        let images = (0..batch).map(image).collect::<Result<Vec<Pixels>>>()?;
        let ms = self.timed(|| self.model.encode_images(&images).map(|_| ()))?;
        let flop = batch as f64 * image_flop(sizes);
        Ok(self.measurement("image", (batch, sizes.image_tokens()), flop, &ms))
    }

    /// Times batches of generated texts of `tokens` tokens each, or as many as the model reads.
    ///
    /// # Errors
    /// As [`LongClip::encode_token_ids`].
    pub fn texts(&self, batch: usize, tokens: usize) -> Result<Measurement> {
        let sizes = self.model.sizes();
        let end = sizes.vocab_size as u32 - 1;
        let text = |i: u32| {
            let ids = (1..tokens.min(sizes.context_length) as u32).map(|j| (i * 31 + j * 17) % end);
            ids.chain([end]).collect()
        };
        let texts: Vec<Vec<u32>> = (0..batch as u32).map(text).collect();
        self.ids(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// Times these texts, given as token ids, as one batch.
    ///
    /// # Errors
    /// As [`LongClip::encode_token_ids`].
    pub fn ids(&self, texts: &[&[u32]]) -> Result<Measurement> {
        let ms = self.timed(|| self.model.encode_token_ids(texts).map(|_| ()))?;
        let longest = texts.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let flop = texts.iter().map(|ids| text_flop(self.model.sizes(), ids.len()));
        Ok(self.measurement("text", (texts.len(), longest), flop.sum(), &ms))
    }

    /// Milliseconds of each round, shortest first.
    fn timed(&self, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
        work()?;
        let mut ms = Vec::with_capacity(self.rounds);
        for _ in 0..self.rounds {
            let start = Instant::now();
            work()?;
            ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
        ms.sort_by(f64::total_cmp);
        Ok(ms)
    }

    fn measurement(&self, tower: &'static str, (batch, tokens): (usize, usize), flop: f64, ms: &[f64]) -> Measurement {
        let ms_median = ms[ms.len() / 2];
        Measurement {
            tower,
            dtype: self.dtype,
            batch,
            tokens,
            threads: self.n_threads,
            rounds: ms.len(),
            ms_median,
            ms_min: ms[0],
            items_per_s: batch as f64 / ms_median * 1e3,
            gflops: flop / ms_median / 1e6,
            peak_rss_mib: peak_bytes().map(|bytes| bytes as f64 / f64::from(1 << 20)),
        }
    }
}

impl Measurement {
    /// The names of the columns.
    pub const HEAD: &'static str = "tower dtype batch tokens threads median ms   min ms  items/s GFLOP/s peak MiB";
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<5} {:<5} {:>5} {:>6} {:>7} {:>9.2} {:>8.2} {:>8.1} {:>7.1} {:>8.0}",
            self.tower,
            self.dtype,
            self.batch,
            self.tokens,
            self.threads,
            self.ms_median,
            self.ms_min,
            self.items_per_s,
            self.gflops,
            self.peak_rss_mib.unwrap_or(f64::NAN)
        )
    }
}
