//! Does the pipeline keep the machine busy? `cargo bench --bench pipeline`
//!
//! Measures, in turns, decoding alone, the model alone, and both through the pipeline; then with a disk that takes as
//! long as both, and one that takes half as long again. `cargo bench --bench pipeline -- PICTURES ROUNDS` sets how much.
//! Promises (docs/batch.md): together at most 1.05 of decoding plus model; with the disk at most 1.1 of the slower.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, reason = "a program that prints its result")]

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use longclip::input::{Content, Deferred, Item, Items};
use longclip::kernels::physical_cores;
use longclip::model::{LongClip, LongClipOptions};
use longclip::pipeline::{self, Settings, Sharing, Stop};
use longclip::preprocess::{Pixels, Preprocess};
use longclip::weights::{Checkpoint, LoadOptions};
use longclip::{Error, Result, nano};

const BATCH: usize = 16;

struct Bench {
    model: LongClip,
    preprocess: Preprocess,
    jpeg: Arc<Vec<u8>>,
    n_pictures: usize,
}

impl Bench {
    /// Pictures whose bytes take `disk` each to read, one after the other as from one spindle.
    fn items(&self, disk: Duration) -> Items {
        let spindle = Arc::new(Mutex::new(()));
        let jpeg = Arc::clone(&self.jpeg);
        Box::new((0..self.n_pictures).map(move |i| {
            let (spindle, jpeg) = (Arc::clone(&spindle), Arc::clone(&jpeg));
            let read = move || {
                if !disk.is_zero() {
                    let _turn = spindle.lock();
                    thread::sleep(disk);
                }
                Ok(jpeg.to_vec())
            };
            Item::new(format!("{i}.jpg"), Content::Deferred(Deferred::new(read)))
        }))
    }

    /// Through the pipeline, each batch handed to `process`.
    fn run(&self, disk: Duration, mut process: impl FnMut(Vec<Pixels>) -> Result<()>) -> Result<Duration> {
        let settings = Settings {
            preparers: physical_cores(),
            batch: BATCH,
            sharing: Sharing::TakeTurns,
        };
        let preprocess = self.preprocess.clone();
        let prepare = move |item: &Item, bytes: &[u8]| preprocess.run(&item.name.to_string(), bytes);
        let began = Instant::now();
        pipeline::run(self.items(disk), settings, &Stop::default(), prepare, |batch| {
            process(
                batch
                    .into_iter()
                    .map(|prepared| prepared.outcome)
                    .collect::<Result<_>>()?,
            )
        })?;
        Ok(began.elapsed())
    }

    fn decoding(&self) -> Result<Duration> {
        self.run(Duration::ZERO, |_| Ok(()))
    }

    fn model(&self) -> Result<Duration> {
        let pixels = vec![self.preprocess.run("x.jpg", &self.jpeg)?; BATCH];
        let began = Instant::now();
        for done in (0..self.n_pictures).step_by(BATCH) {
            self.model.encode_images(&pixels[..BATCH.min(self.n_pictures - done)])?;
        }
        Ok(began.elapsed())
    }

    fn together(&self, disk: Duration) -> Result<Duration> {
        self.run(disk, |pixels| self.model.encode_images(&pixels).map(drop))
    }
}

fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (n_pictures, n_rounds) = (
        numbers.first().copied().unwrap_or(192),
        numbers.get(1).copied().unwrap_or(5),
    );
    let checkpoint = Checkpoint::from_bytes(nano::FILE_NAME, nano::safetensors(), &LoadOptions::default())?;
    let model = LongClip::from_checkpoint(checkpoint, &LongClipOptions::default())?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/img/coffee.jpg");
    let jpeg = std::fs::read(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    let bench = Bench {
        preprocess: model.preprocess().clone(),
        model,
        jpeg: Arc::new(jpeg),
        n_pictures,
    };
    bench.together(Duration::ZERO)?;
    let s = |duration: Duration| duration.as_secs_f64();
    let ms = |seconds: f64| seconds * 1000.0;
    println!("{n_pictures} pictures, {} cores", physical_cores());
    println!("round  decode ms  model ms  together ms  of the sum  disk 1.0: of the slower  disk 1.5: of the slower");
    let mut ratios = [Vec::new(), Vec::new(), Vec::new()];
    for round in 1..=n_rounds {
        let (decoding, model) = (s(bench.decoding()?), s(bench.model()?));
        let together = s(bench.together(Duration::ZERO)?);
        let of_disk = |factor: f64| -> Result<f64> {
            let disk = Duration::from_secs_f64(factor * (decoding + model) / n_pictures as f64);
            let disk_alone = s(bench.run(disk, |_| Ok(()))?);
            Ok(s(bench.together(disk)?) / disk_alone.max(decoding + model))
        };
        let row = [together / (decoding + model), of_disk(1.0)?, of_disk(1.5)?];
        let [sum, one, more] = row;
        println!(
            "{round:5}  {:9.0}  {:8.0}  {:11.0}  {sum:10.3}  {one:23.3}  {more:23.3}",
            ms(decoding),
            ms(model),
            ms(together)
        );
        ratios.iter_mut().zip(row).for_each(|(all, ratio)| all.push(ratio));
    }
    let medians = ratios.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    });
    println!(
        "median of the ratios: {:.3}, {:.3}, {:.3}",
        medians[0], medians[1], medians[2]
    );
    Ok(())
}
