//! Compares a search with reading the memory of its embeddings once: `cargo bench --bench search`
//!
//! Writes an index of 1,000,000 random embeddings of 512 numbers (1 GB, in the system's folder for temporary files) and
//! maps it. Then it measures in turns: a plain sum over the mapped memory with the widest loads on the same threads, one
//! query, eight queries at once, and one query with an exclusion. Finally it times the whole process of `longclip search
//! query`, with nano and 100,000 embeddings. `cargo bench --bench search -- IMAGES ROUNDS` sets other numbers.
//! Goals (docs/search.md): one query takes at most 1.3 times as long as the sum, and the process at most 0.3 s.

#![allow(missing_docs, reason = "a program")]
#![allow(unsafe_code, reason = "the widest loads are instructions by name")]
#![allow(clippy::print_stdout, reason = "a program that prints its result")]

use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use longclip::kernels::Threads;
use longclip::model::LongClip;
use longclip::search::{AnswerLimits, Excluded, ExclusionRule, Index, IndexWriter, Origin, Picture, Question};

const DIM: usize = 512;
const TOP_10: AnswerLimits = AnswerLimits {
    top_k: NonZeroUsize::new(10).expect("ten is not zero"),
    threshold: None,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let n_images = numbers.first().copied().unwrap_or(1_000_000);
    let n_rounds = numbers.get(1).copied().unwrap_or(15);
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("random.parquet");
    let began = Instant::now();
    write(&path, n_images, &random_origin())?;
    println!(
        "written in {:.1} s: {:.0} MB",
        began.elapsed().as_secs_f64(),
        std::fs::metadata(&path)?.len() as f64 / 1e6
    );
    let threads = Threads::physical();
    let index = Index::open(&path)?;
    assert!(index.is_searched_in_place(), "this bench measures the mapped file");
    println!(
        "{n_images} embeddings of {DIM} in f16, {} threads, {:?}",
        threads.count(),
        threads.level()
    );

    let query = |seed| Question {
        wanted: Noise(seed).vector(DIM),
        excluded: Vec::new(),
    };
    let one = [query(1)];
    let eight: Vec<Question> = (1..9).map(query).collect();
    let excluding = [Question {
        excluded: vec![Excluded {
            embedding: Noise(99).vector(DIM),
            rule: ExclusionRule::NearerThanToWanted,
        }],
        ..query(1)
    }];
    check(&index, &one[0], &threads);
    let ways: [(&str, &dyn Fn()); 4] = [
        ("plain sum", &|| {
            black_box(sum(&index, &threads));
        }),
        ("one query", &|| {
            black_box(index.nearest(&one, TOP_10, &threads));
        }),
        ("one, with an exclusion", &|| {
            black_box(index.nearest(&excluding, TOP_10, &threads));
        }),
        ("eight queries at once", &|| {
            black_box(index.nearest(&eight, TOP_10, &threads));
        }),
    ];
    let mut times = ways.map(|_| Vec::new());
    for _ in 0..n_rounds {
        for ((_, way), times) in ways.iter().zip(&mut times) {
            let began = Instant::now();
            way();
            times.push(began.elapsed());
        }
    }
    let best = times.clone().map(|times| times.into_iter().min().unwrap_or_default());
    let median = times.map(median);
    for (i, (name, _)) in ways.iter().enumerate() {
        let of_sum = |times: &[Duration]| times[i].as_secs_f64() / times[0].as_secs_f64();
        println!(
            "{name:24} median {:7.1} ms, {:.2} times the sum; best {:7.1} ms, {:.2}",
            median[i].as_secs_f64() * 1e3,
            of_sum(&median),
            best[i].as_secs_f64() * 1e3,
            of_sum(&best),
        );
    }
    process(dir.path(), n_rounds)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Seeded random numbers between -1 and 1.
struct Noise(u64);

impl Noise {
    fn vector(mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> f32 {
        let state = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = state.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Times a whole process, from its start to its answer.
fn process(folder: &Path, n_rounds: usize) -> Result<(), Box<dyn std::error::Error>> {
    const IMAGES: usize = 100_000;
    let path = folder.join("nano.parquet");
    let model = LongClip::load("nano")?;
    let origin = Origin {
        model: "nano".into(),
        weights: model.weights_identity(),
        embed_dim: model.sizes().embed_dim,
        ..random_origin()
    };
    write(&path, IMAGES, &origin)?;
    let mut times = Vec::new();
    for _ in 0..n_rounds {
        let mut query = Command::new(env!("CARGO_BIN_EXE_longclip"));
        query
            .args(["search", "query", "-q"])
            .arg(&path)
            .arg("a cat asleep on a sofa");
        let began = Instant::now();
        let output = query.output()?;
        times.push(began.elapsed());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let best = times.iter().min().copied().unwrap_or_default();
    println!(
        "`longclip search query`, nano, {IMAGES} embeddings of {}: median {:.3} s, best {:.3} s",
        origin.embed_dim,
        median(times).as_secs_f64(),
        best.as_secs_f64()
    );
    Ok(())
}

fn random_origin() -> Origin {
    Origin {
        model: "random".into(),
        weights: "none".into(),
        dtype: "f32".into(),
        orientation: "upright".into(),
        embed_dim: DIM,
        folder: "/".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

fn write(path: &Path, n_images: usize, origin: &Origin) -> Result<(), Box<dyn std::error::Error>> {
    let mut writer = IndexWriter::new(BufWriter::new(File::create(path)?), origin)?;
    for i in 0..n_images {
        let picture = Picture {
            path: format!("photos/of/somebody/{:04}/{i:08}.jpg", i / 1000),
            size: Some(2_000_000 + i as u64),
            mtime_us: Some(1_700_000_000_000_000 + i as i64),
            sha256: None,
        };
        writer.push(picture, &Noise(1000 + i as u64).vector(origin.embed_dim))?;
    }
    writer.finish()?;
    Ok(())
}

/// Checks the answer before it is timed: it must be the best of a plain f64 loop over the same bytes.
fn check(index: &Index, question: &Question, threads: &Threads) {
    let norm = question
        .wanted
        .iter()
        .map(|v| f64::from(*v).powi(2))
        .sum::<f64>()
        .sqrt();
    let cosine = |row: &[u8]| -> f64 {
        let pairs = row.as_chunks::<2>().0.iter();
        let terms = pairs.zip(&question.wanted);
        terms
            .map(|(pair, v)| half::f16::from_le_bytes(*pair).to_f64() * f64::from(*v))
            .sum::<f64>()
            / norm
    };
    let rows = index.parts().flat_map(|part| part.chunks_exact(DIM * 2));
    let best = rows.map(cosine).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    let found = index.nearest(std::slice::from_ref(question), TOP_10, threads);
    assert_eq!(best.map(|(row, _)| row), found[0].first().map(|hit| hit.row));
}

/// Reads all memory of the embeddings and does almost nothing with it.
fn sum(index: &Index, threads: &Threads) -> u64 {
    const ROW_BYTES: usize = DIM * 2;
    let total = AtomicU64::new(0);
    // Each thread reads as many rows as in a search.
    threads.split(index.len(), |rows| {
        let mut start = 0;
        for part in index.parts() {
            let end = start + part.len() / ROW_BYTES;
            let (first, last) = (rows.start.clamp(start, end), rows.end.clamp(start, end));
            let sum = sum_of(&part[(first - start) * ROW_BYTES..(last - start) * ROW_BYTES]);
            total.fetch_add(sum, Ordering::Relaxed);
            start = end;
        }
    });
    total.into_inner()
}

#[cfg(target_arch = "x86_64")]
fn sum_of(bytes: &[u8]) -> u64 {
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    fn with_512_bits(bytes: &[u8]) -> u64 {
        let mut sums = [_mm512_setzero_si512(); 4];
        for four in bytes.chunks_exact(4 * 64) {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 64 bytes from `i * 64` are inside a chunk of 256.
                *sum = _mm512_add_epi64(*sum, unsafe { _mm512_loadu_si512(four.as_ptr().add(i * 64).cast()) });
            }
        }
        sums.iter().fold(0, |total, sum| {
            total.wrapping_add(_mm512_reduce_add_epi64(*sum).cast_unsigned())
        })
    }

    #[target_feature(enable = "avx2")]
    fn with_256_bits(bytes: &[u8]) -> u64 {
        let mut sums = [_mm256_setzero_si256(); 4];
        for four in bytes.chunks_exact(4 * 32) {
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: 32 bytes from `i * 32` are inside a chunk of 128.
                *sum = _mm256_add_epi64(*sum, unsafe { _mm256_loadu_si256(four.as_ptr().add(i * 32).cast()) });
            }
        }
        let mut lanes = [0_u64; 4];
        for sum in sums {
            let mut own = [0_u64; 4];
            // SAFETY: four numbers of 64 bits are 256 bits.
            unsafe { _mm256_storeu_si256(own.as_mut_ptr().cast(), sum) };
            lanes
                .iter_mut()
                .zip(own)
                .for_each(|(lane, own)| *lane = lane.wrapping_add(own));
        }
        lanes.iter().fold(0, |total, lane| total.wrapping_add(*lane))
    }

    if is_x86_feature_detected!("avx512f") {
        // SAFETY: this CPU has it.
        return unsafe { with_512_bits(bytes) };
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: this CPU has it.
        return unsafe { with_256_bits(bytes) };
    }
    plain_sum(bytes)
}

#[cfg(not(target_arch = "x86_64"))]
fn sum_of(bytes: &[u8]) -> u64 {
    plain_sum(bytes)
}

/// Left to the compiler's vectorisation; on ARM, everything is compiled with NEON.
fn plain_sum(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks::<8>().0.iter();
    words.fold(0_u64, |total, word| total.wrapping_add(u64::from_le_bytes(*word)))
}
