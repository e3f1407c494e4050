//! Checks the CPU kernels at the model's shapes, then times them against candle, portable code and the CPU's peak.
//!
//!     cargo bench --bench kernels              # all cases
//!     cargo bench --bench kernels -- int8      # cases whose line contains a word
//!
//! The estimate: a core of the machine this was tuned on (Zen 4) starts one 512-bit product per cycle, which is 32
//! operations in f32, 64 in bf16 and 128 in int8. A tile of 14 rows and 32 outputs does 28 products per step for 2 loads
//! of weights and 14 of activations. The products are the limit as long as the L2 cache delivers 128 + 56 bytes in 28
//! cycles, 7 of its 32 bytes per cycle. What remains is the start and end of a tile (some 100 cycles of 28 · 768 in f32,
//! of 28 · 192 in int8) and the activation function (25 cycles per vector). So 95% of peak can be expected in f32, and
//! 85% in int8. A single row is limited by memory instead: 4 bytes of weights for 2 operations.
//!
//! candle computes in f32, without the activation function, on all cores; it is measured only when we use all cores, too.
//! Each line is the best of several rounds. The candidates alternate in each round, so that a busy machine affects all
//! equally.
#![expect(clippy::print_stdout, reason = "a report")]

use candle_core::{Device, Tensor};
use longclip::kernels::cpu::Level;
use longclip::kernels::{
    Activation, Activations, Heads, LayerNorm, Linear, Mask, Precision, Projected, Sequence, Threads, Weights,
    attention, physical_cores,
};
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Instant;

const ROUNDS: usize = 9;
const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

/// `(rows, n_in, n_out)`: ViT-B/16 and L/14 with one image, B with eight, text, nano, and the single rows of a last block.
const LINEAR: [(usize, usize, usize); 14] = [
    (197, 768, 2304),
    (197, 768, 768),
    (197, 768, 3072),
    (197, 3072, 768),
    (1576, 768, 3072),
    (1576, 3072, 768),
    (257, 1024, 4096),
    (257, 4096, 1024),
    (256, 588, 1024),
    (720, 512, 2048),
    (65, 192, 768),
    (1, 768, 3072),
    (1, 3072, 768),
    (8, 768, 3072),
];

/// `(sequences, tokens per sequence, heads)`.
const ATTENTION: [(usize, usize, usize); 4] = [(1, 197, 12), (1, 257, 16), (80, 9, 8), (4, 248, 8)];

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with('-'))
        .unwrap_or_default();
    let cores = physical_cores();
    println!("{} on {cores} threads, {}", machine(), level().name());
    for (precision, peak) in PRECISIONS.iter().zip(PRECISIONS.map(peak)) {
        println!("peak of one core in {precision:?}: {peak:.0} GFLOP/s");
    }
    println!(
        "{:44} {:>9} {:>9} {:>7} {:>8} {:>9}",
        "case", "ms", "GFLOP/s", "peak", "candle", "portable"
    );
    for n_threads in if cores > 1 { vec![cores, 1] } else { vec![1] } {
        let threads = Threads::with_level(n_threads, level());
        for precision in PRECISIONS {
            LINEAR
                .into_iter()
                .for_each(|shape| linear(shape, precision, &threads, &filter));
            ATTENTION
                .into_iter()
                .for_each(|shape| attend(shape, precision, &threads, &filter));
            normalise((197, 768), precision, &threads, &filter);
            load((3072, 768), precision, &threads, &filter);
        }
    }
}

/// A linear layer with fused QuickGELU, against candle's product without it.
fn linear((rows, n_in, n_out): (usize, usize, usize), precision: Precision, threads: &Threads, filter: &str) {
    let name = format!("linear {rows}x{n_in}x{n_out} {}", label(precision, threads));
    if !name.contains(filter) {
        return;
    }
    let (x, w) = (noise(rows * n_in), noise(n_out * n_in));
    let case = |rows: usize, threads: &Threads| {
        let layer = Linear::pack(Weights::F32(&w), None, (n_out, n_in), precision, threads);
        let mut input = Activations::new(precision);
        input.fill(&x[..rows * n_in], n_in, threads);
        (layer, input, vec![0.0; rows * n_out])
    };
    // Portable code would take seconds for all rows. Its time is proportional to the number of rows.
    let plain_rows = rows.min(8);
    let plain_threads = Threads::with_level(threads.count(), Level::Portable);
    let (layer, input, mut out) = case(rows, threads);
    let (plain_layer, plain_input, mut plain_out) = case(plain_rows, &plain_threads);
    let plain = seconds(|| plain_layer.run(&plain_input, Activation::QuickGelu, &mut plain_out, &plain_threads));
    layer.run(&input, Activation::QuickGelu, &mut out, threads);
    assert_close(precision, &out[..plain_rows * n_out], &plain_out);

    let (a, b) = (
        tensor(&x, (rows, n_in)),
        tensor(&w, (n_out, n_in)).t().expect("two axes"),
    );
    let mut times = [f64::MAX, f64::INFINITY, plain * rows as f64 / plain_rows as f64];
    for _ in 0..ROUNDS {
        times[0] = times[0].min(seconds(|| layer.run(&input, Activation::QuickGelu, &mut out, threads)));
        let candle = || drop(black_box(a.matmul(&b).expect("shapes agree")));
        times[1] = times[1].min(candle_seconds(threads, candle));
    }
    report(&name, times, Some((2 * rows * n_in * n_out, precision, threads)));
}

/// Attention of sequences of equal length.
fn attend((n, tokens, count): (usize, usize, usize), precision: Precision, threads: &Threads, filter: &str) {
    let name = format!("attention {n} of {tokens}, {count} heads {}", label(precision, threads));
    if !name.contains(filter) {
        return;
    }
    let heads = Heads { count, dim: 64 };
    let qkv = noise(n * tokens * 3 * heads.width());
    let sequences: Vec<_> = (0..n).map(|i| Sequence::whole(i * tokens..(i + 1) * tokens)).collect();
    let projected = Projected::fused(&qkv, heads.width());
    let mut out = Activations::new(precision);
    let plain_threads = Threads::with_level(threads.count(), Level::Portable);
    let parts = tensor(&qkv, (n * tokens, 3 * heads.width()))
        .reshape((n, tokens, 3, count, 64))
        .expect("equal sizes");
    let parts = parts
        .permute((2, 0, 3, 1, 4))
        .expect("five axes")
        .contiguous()
        .expect("memory");
    let mut times = [f64::MAX, f64::INFINITY, f64::MAX];
    for round in 0..ROUNDS {
        let run = |out: &mut Activations, t: &Threads| attention(projected, &sequences, heads, Mask::None, out, t);
        times[0] = times[0].min(seconds(|| run(&mut out, threads)));
        times[1] = times[1].min(seconds(|| {
            drop(black_box(candle_attention(&parts).expect("shapes agree")))
        }));
        if round == 0 {
            times[2] = seconds(|| run(&mut Activations::new(precision), &plain_threads));
        }
    }
    report(
        &name,
        times,
        Some((4 * n * tokens * tokens * heads.width(), precision, threads)),
    );
}

fn candle_attention(parts: &Tensor) -> candle_core::Result<Tensor> {
    let (q, k, v) = (parts.get(0)?, parts.get(1)?, parts.get(2)?);
    let scores = (q.matmul(&k.t()?)? * 0.125)?;
    candle_nn::ops::softmax_last_dim(&scores)?.matmul(&v)
}

/// A layer norm that writes the input format of the next layer.
fn normalise((rows, width): (usize, usize), precision: Precision, threads: &Threads, filter: &str) {
    let name = format!("layer norm {rows}x{width} {}", label(precision, threads));
    if !name.contains(filter) {
        return;
    }
    let norm = LayerNorm::new(noise(width), noise(width), 1e-5);
    let (x, mut out) = (noise(rows * width), Activations::new(precision));
    let (t, w) = (
        tensor(&x, (rows, width)),
        tensor(&noise(width), (1, width)).flatten_all().expect("one row"),
    );
    let plain_threads = Threads::with_level(threads.count(), Level::Portable);
    let mut times = [f64::MAX, f64::INFINITY, f64::MAX];
    for _ in 0..ROUNDS {
        times[0] = times[0].min(seconds(|| norm.run_into(&x, &mut out, threads)));
        let candle = || {
            drop(black_box(
                candle_nn::ops::layer_norm(&t, &w, &w, 1e-5).expect("shapes agree"),
            ))
        };
        times[1] = times[1].min(candle_seconds(threads, candle));
        times[2] = times[2].min(seconds(|| {
            norm.run_into(&x, &mut Activations::new(precision), &plain_threads)
        }));
    }
    report(&name, times, None);
}

/// Packs a layer's weights into newly allocated memory.
fn load(shape: (usize, usize), precision: Precision, threads: &Threads, filter: &str) {
    let name = format!("pack {}x{} {}", shape.0, shape.1, label(precision, threads));
    if !name.contains(filter) {
        return;
    }
    let w = noise(shape.0 * shape.1);
    let plain_threads = Threads::with_level(threads.count(), Level::Portable);
    let pack = |t: &Threads| drop(black_box(Linear::pack(Weights::F32(&w), None, shape, precision, t)));
    let mut times = [f64::MAX, f64::INFINITY, f64::MAX];
    for _ in 0..ROUNDS {
        times[0] = times[0].min(seconds(|| pack(threads)));
        times[2] = times[2].min(seconds(|| pack(&plain_threads)));
    }
    report(&name, times, None);
}

/// Prints one line: milliseconds, operations per second, their share of the threads' peak, and how many times as long candle
/// (in f32) and portable code take.
fn report(name: &str, [ours, candle, plain]: [f64; 3], work: Option<(usize, Precision, &Threads)>) {
    let (speed, share) = work.map_or((String::new(), String::new()), |(operations, precision, threads)| {
        let speed = operations as f64 / ours / 1e9;
        let share = 100.0 * speed / (peak(precision) * threads.count() as f64);
        (format!("{speed:.1}"), format!("{share:.0}%"))
    });
    let candle = if candle.is_finite() {
        format!("{:.2}x", candle / ours)
    } else {
        String::new()
    };
    println!(
        "{name:44} {:9.3} {speed:>9} {share:>7} {candle:>8} {:>8.1}x",
        ours * 1e3,
        plain / ours
    );
}

fn label(precision: Precision, threads: &Threads) -> String {
    let precision = match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
        Precision::Int8 => "int8",
    };
    format!("{precision} t{}", threads.count())
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// candle's time if ours uses all cores as candle does, otherwise infinity.
fn candle_seconds(threads: &Threads, work: impl FnOnce()) -> f64 {
    let fair = threads.count() == physical_cores();
    if fair { seconds(work) } else { f64::INFINITY }
}

fn tensor(values: &[f32], shape: (usize, usize)) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).expect("as many values as the shape says")
}

/// Numbers in −0.5..0.5 without a pattern that could favour a kernel.
fn noise(n: usize) -> Vec<f32> {
    (0..n as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5)
        .collect()
}

/// Both add up to 4096 products, in a different order. AVX2 alone rounds weights to fewer bytes.
fn assert_close(precision: Precision, a: &[f32], b: &[f32]) {
    let most = if precision == Precision::Int8 && level() == Level::Avx2 {
        2e-2
    } else {
        1e-3
    };
    let scale = b.iter().fold(1.0, |top: f32, b| top.max(b.abs()));
    assert!(
        a.iter().zip(b).all(|(a, b)| (a - b).abs() <= most * scale),
        "fast and portable kernels differ"
    );
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name"));
    name.map_or("unknown CPU".into(), |name| {
        name.trim_start_matches([' ', '\t', ':']).to_owned()
    })
}

/// The level to measure: the best, or what `LONGCLIP_CPU` names.
fn level() -> Level {
    std::env::var("LONGCLIP_CPU").map_or(Level::best(), |name| {
        Level::from_variable(&name).expect("a level's name")
    })
}

/// Peak of one core in 10^9 operations per second, measured on products of registers. NaN if it is not known how.
fn peak(precision: Precision) -> f64 {
    static MEASURED: OnceLock<[f64; 3]> = OnceLock::new();
    let measured = MEASURED.get_or_init(|| PRECISIONS.map(|precision| registers::peak(level(), precision)));
    measured[PRECISIONS.iter().position(|p| *p == precision).expect("all are listed")]
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "intrinsics")]
mod registers {
    use super::{Level, Precision, black_box, seconds};
    use std::arch::x86_64::*;

    /// Number of independent sums: more than enough to hide a latency of 4 cycles.
    const SUMS: usize = 12;
    const ROUNDS: usize = 200_000;

    pub(super) fn peak(level: Level, precision: Precision) -> f64 {
        // The operations that one product of registers does. Where there are none of bf16, they are widened.
        let (operations, products): (usize, unsafe fn()) = match (level, precision) {
            (Level::Avx512 | Level::Avx512Bf16, Precision::F32) | (Level::Avx512, Precision::Bf16) => (32, avx512_f32),
            (Level::Avx512Bf16, Precision::Bf16) => (64, avx512_bf16),
            (Level::Avx512 | Level::Avx512Bf16, Precision::Int8) => (128, avx512_int8),
            (Level::Avx2 | Level::AvxVnni, Precision::F32 | Precision::Bf16) => (16, avx2_f32),
            (Level::AvxVnni, Precision::Int8) => (64, avxvnni_int8),
            (Level::Avx2, Precision::Int8) => (128, avx2_int8),
            _ => return f64::NAN,
        };
        // SAFETY: the CPU has the instructions of its level.
        let run = || unsafe { products() };
        let best = (0..20).map(|_| seconds(run)).fold(f64::MAX, f64::min);
        (operations * SUMS * ROUNDS) as f64 / best / 1e9
    }

    /// Defines functions that do `ROUNDS` products of `x` for each sum.
    macro_rules! products {
        ($($name:ident($features:literal, $zero:ident): |$sum:ident, $x:ident| $product:expr;)*) => {$(
            #[target_feature(enable = $features)]
            fn $name() {
                let mut sums = [$zero(); SUMS];
                let $x = black_box($zero());
                for _ in 0..ROUNDS {
                    for sum in &mut sums {
                        let $sum = *sum;
                        *sum = $product;
                    }
                }
                black_box(sums);
            }
        )*};
    }

    products! {
        avx512_f32("avx512f", _mm512_setzero_ps): |sum, x| _mm512_fmadd_ps(x, x, sum);
        avx512_bf16("avx512f,avx512bf16", _mm512_setzero_ps): |sum, x| {
            // SAFETY: both types have 512 bits.
            let x: __m512bh = unsafe { std::mem::transmute::<__m512, __m512bh>(x) };
            _mm512_dpbf16_ps(sum, x, x)
        };
        avx512_int8("avx512f,avx512vnni", _mm512_setzero_si512): |sum, x| _mm512_dpbusd_epi32(sum, x, x);
        avx2_f32("avx2,fma", _mm256_setzero_ps): |sum, x| _mm256_fmadd_ps(x, x, sum);
        avxvnni_int8("avx2,avxvnni", _mm256_setzero_si256): |sum, x| _mm256_dpbusd_avx_epi32(sum, x, x);
        // What the kernel does for twice 32 products, see `simd/avx2_bytes.rs`.
        avx2_int8("avx2", _mm256_setzero_si256): |sum, x| {
            let both = _mm256_add_epi16(_mm256_maddubs_epi16(x, sum), _mm256_maddubs_epi16(sum, x));
            _mm256_add_epi32(sum, _mm256_madd_epi16(both, x))
        };
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod registers {
    pub(super) fn peak(_: super::Level, _: super::Precision) -> f64 {
        f64::NAN
    }
}
