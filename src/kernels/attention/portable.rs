//! One head of one sequence by the formula, computed in f64.

use super::{AttentionJob, Sequence};
use crate::kernels::precision::Precision;
use half::bf16;

/// Writes all rows of `head`.
pub(super) fn head(job: &AttentionJob<'_>, sequence: &Sequence, head: usize) {
    let columns = head * job.heads.dim..(head + 1) * job.heads.dim;
    for (i, query) in sequence.queries.clone().enumerate() {
        let q = job.projected.queries.get(query, columns.clone());
        let keys = || (0..sequence.visible(job.mask, i)).map(|key| sequence.key_row(key));
        let scores: Vec<f64> = keys()
            .map(|key| dot(q, job.projected.keys.get(key, columns.clone())) / (job.heads.dim as f64).sqrt())
            .collect();
        let largest = scores.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mut mean = vec![0.0; job.heads.dim];
        for (key, weight) in keys().zip(&weights) {
            for (mean, value) in mean.iter_mut().zip(job.projected.values.get(key, columns.clone())) {
                *mean += weight / sum * f64::from(*value);
            }
        }
        let row = job.output.row(query, job.heads.width());
        for (i, x) in mean.iter().enumerate() {
            let to = row.at(columns.start + i);
            // SAFETY: row and column are inside the output that `attention` holds; each head of a row has one worker.
            unsafe {
                match row.precision {
                    Precision::F32 => to.cast::<f32>().write_unaligned(*x as f32),
                    Precision::Bf16 | Precision::Int8 => to.cast::<bf16>().write_unaligned(bf16::from_f64(*x)),
                }
            }
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}
