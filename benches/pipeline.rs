//! Checks that the pipeline keeps the machine busy: `cargo bench --bench pipeline`
//!
//! Measures in turns: decoding alone and the model alone, each on all cores and without the pipeline; both together through
//! the pipeline; the same with a simulated disk that takes as long as both, and with one that takes half as long again.
//! `cargo bench --bench pipeline -- IMAGES ROUNDS` sets other numbers.
//! Goals (docs/batch.md): together at most 1.05 times decoding plus model; with the disk at most 1.1 times the slower part.

#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, reason = "a program that prints its result")]

use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// Photos of different sizes, used in turns.
    jpegs: Arc<Vec<Vec<u8>>>,
    n_images: usize,
}

impl Bench {
    fn open(n_images: usize) -> Result<Bench> {
        let checkpoint = Checkpoint::from_bytes(nano::FILE_NAME, nano::safetensors(), &LoadOptions::default())?;
        let model = LongClip::from_checkpoint(checkpoint, &LongClipOptions::default())?;
        let read = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("img").join(name);
            std::fs::read(&path).map_err(Error::read(&path))
        };
        let jpegs = ["cat.jpg", "coffee.jpg", "astronaut.jpg"].map(read);
        Ok(Bench {
            preprocess: model.preprocess().clone(),
            model,
            jpegs: Arc::new(jpegs.into_iter().collect::<Result<_>>()?),
            n_images,
        })
    }

    /// Images that take `disk` each to read, one after another as from one spindle.
    fn items(&self, disk: Duration) -> Items {
        let spindle = Arc::new(Spindle::default());
        let jpegs = Arc::clone(&self.jpegs);
        Box::new((0..self.n_images).map(move |i| {
            let (spindle, jpegs) = (Arc::clone(&spindle), Arc::clone(&jpegs));
            let read = move || {
                spindle.turn(disk);
                Ok(jpegs[i % jpegs.len()].clone())
            };
            Item::new(format!("{i}.jpg"), Content::Deferred(Deferred::new(read)))
        }))
    }

    /// Time of the disk alone.
    fn reading(&self, disk: Duration) -> Result<Duration> {
        let began = Instant::now();
        self.items(disk)
            .try_for_each(|mut item| item.content.take("x").map(drop))?;
        Ok(began.elapsed())
    }

    /// Time of decoding alone, without the pipeline: one thread per core, each taking the next image.
    fn decoding(&self) -> Result<Duration> {
        let next = AtomicUsize::new(0);
        let decode_all = || -> Result<()> {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= self.n_images {
                    return Ok(());
                }
                black_box(self.preprocess.run("x.jpg", &self.jpegs[i % self.jpegs.len()])?);
            }
        };
        let began = Instant::now();
        thread::scope(|scope| {
            let threads: Vec<_> = (0..physical_cores()).map(|_| scope.spawn(decode_all)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().expect("decoding does not panic"))
        })?;
        Ok(began.elapsed())
    }

    /// Time of the model alone, on the same number of threads.
    fn model(&self) -> Result<Duration> {
        let pixels: Vec<Pixels> = (0..BATCH)
            .map(|i| self.preprocess.run("x.jpg", &self.jpegs[i % self.jpegs.len()]))
            .collect::<Result<_>>()?;
        let began = Instant::now();
        for done in (0..self.n_images).step_by(BATCH) {
            self.model.encode_images(&pixels[..BATCH.min(self.n_images - done)])?;
        }
        Ok(began.elapsed())
    }

    /// Time of everything, through the pipeline.
    fn together(&self, disk: Duration) -> Result<Duration> {
        let settings = Settings {
            preparers: physical_cores(),
            batch: BATCH,
            sharing: Sharing::TakeTurns,
        };
        let preprocess = self.preprocess.clone();
        let prepare = move |item: &Item, bytes: &[u8]| preprocess.run(&item.name.to_string(), bytes);
        let began = Instant::now();
        pipeline::run(self.items(disk), settings, &Stop::default(), prepare, |batch| {
            let outcomes = batch.into_iter().map(|prepared| prepared.outcome);
            self.model
                .encode_images(&outcomes.collect::<Result<Vec<_>>>()?)
                .map(drop)
        })?;
        Ok(began.elapsed())
    }

    /// Measures everything once, prints it, and returns the ratios.
    fn round(&self, round: usize) -> Result<[f64; 3]> {
        let decoding = Taken::of(|| self.decoding())?;
        let model = Taken::of(|| self.model())?;
        let together = Taken::of(|| self.together(Duration::ZERO))?;
        let both_s = decoding.s + model.s;
        let of_disk = |factor: f64| -> Result<f64> {
            let disk = Duration::from_secs_f64(factor * both_s / self.n_images as f64);
            let disk_alone_s = self.reading(disk)?.as_secs_f64();
            Ok(self.together(disk)?.as_secs_f64() / disk_alone_s.max(both_s))
        };
        let row = [together.s / both_s, of_disk(1.0)?, of_disk(1.5)?];
        let [sum, one, more] = row;
        println!("{round:5}  {decoding} {model} {together}  {sum:8.3}  {one:16.3}  {more:7.3}");
        Ok(row)
    }
}

/// A simulated disk that does one read at a time and has a queue. Like a real disk, it starts the next read by itself, not
/// when one of our threads gets a core again.
#[derive(Default)]
struct Spindle {
    free_at: Mutex<Option<Instant>>,
}

impl Spindle {
    /// Waits for a read that takes `disk`, after those that were requested earlier.
    fn turn(&self, disk: Duration) {
        if disk.is_zero() {
            return;
        }
        let now = Instant::now();
        let done_at = {
            let mut free_at = self.free_at.lock().expect("no thread panics while it holds this");
            let done_at = free_at.map_or(now, |at| at.max(now)) + disk;
            *free_at = Some(done_at);
            done_at
        };
        thread::sleep(done_at.saturating_duration_since(now));
    }
}

fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (n_images, n_rounds) = (
        numbers.first().copied().unwrap_or(192),
        numbers.get(1).copied().unwrap_or(5),
    );
    let bench = Bench::open(n_images)?;
    bench.together(Duration::ZERO)?;
    println!("{n_images} images, {} cores", physical_cores());
    println!("            ms (busy share of the cores)        of the sum   of the slower, with a disk of");
    println!("round         decode         model      together                         1.0      1.5 of both");
    let mut ratios = [Vec::new(), Vec::new(), Vec::new()];
    for round in 1..=n_rounds {
        let row = bench.round(round)?;
        ratios.iter_mut().zip(row).for_each(|(all, ratio)| all.push(ratio));
    }
    let [sum, one, more] = ratios.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    });
    println!("median of the ratios: {sum:.3}, {one:.3}, {more:.3}");
    Ok(())
}

/// The time of a run, and the share of the cores it used.
struct Taken {
    s: f64,
    busy: f64,
}

impl Taken {
    fn of(run: impl FnOnce() -> Result<Duration>) -> Result<Taken> {
        let before_s = cpu_s();
        let s = run()?.as_secs_f64();
        let busy = (cpu_s() - before_s) / (s * physical_cores() as f64);
        Ok(Taken { s, busy })
    }
}

impl std::fmt::Display for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:6.0} ({:3.0}%)", self.s * 1000.0, self.busy * 100.0)
    }
}

/// CPU seconds of this process on all cores, by the kernel's clock of 10 ms; NaN if this is not Linux.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // utime and stime are the 12th and 13th fields after the name, which ends with the last parenthesis (proc(5)).
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    if ticks.is_empty() {
        f64::NAN
    } else {
        ticks.iter().sum::<f64>() / 100.0
    }
}
