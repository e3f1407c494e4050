//! Carries out an [`Assembly`]: reads the stored parts of a tensor and assembles them, row-major f32.

use std::borrow::Cow;

use rayon::prelude::*;

use super::layouts::Assembly;
use super::stored::{StoredTensor, TensorFile};
use crate::error::Result;

/// From this many rows on, a factorised table is multiplied by all threads.
const ROWS_FOR_THREADS: usize = 4096;

/// All values of a tensor, whose parts have been checked to exist and to fit.
pub(super) fn values<'a>(file: &'a TensorFile, assembly: &Assembly) -> Result<Cow<'a, [f32]>> {
    let read = |name: &str| file.read(name, part(file, name));
    match assembly {
        Assembly::AsStored(name) | Assembly::Framed { name, .. } => read(name),
        Assembly::Transposed(name) => {
            let shape = part(file, name).shape();
            Ok(transposed(&read(name)?, shape[0], shape[1]).into())
        }
        Assembly::Joined(names) => {
            let parts: Vec<Cow<'_, [f32]>> = names.iter().map(|name| read(name)).collect::<Result<_>>()?;
            Ok(parts.concat().into())
        }
        Assembly::Polar { r, theta } => {
            let width = part(file, theta).shape().iter().skip(1).product::<usize>().max(1);
            let (lengths, directions) = (read(r)?, read(theta)?);
            let rows = directions.chunks_exact(width).zip(lengths.iter());
            Ok(rows.flat_map(|(theta, r)| polar(*r, theta)).collect())
        }
        Assembly::Scaled { rows, scale } => {
            let width = part(file, rows).shape().iter().skip(1).product::<usize>().max(1);
            let (mut values, scales) = (read(rows)?.into_owned(), read(scale)?);
            for (row, scale) in values.chunks_exact_mut(width).zip(scales.iter()) {
                row.iter_mut().for_each(|value| *value *= scale);
            }
            Ok(values.into())
        }
        Assembly::LowRank { a, .. } => {
            let all: Vec<u32> = (0..part(file, a).shape()[0] as u32).collect();
            Ok(rows(file, assembly, &all)?.into())
        }
    }
}

/// Some rows of a table.
pub(super) fn rows(file: &TensorFile, assembly: &Assembly, wanted: &[u32]) -> Result<Vec<f32>> {
    match assembly {
        Assembly::AsStored(name) => file.read_rows(name, part(file, name), wanted),
        Assembly::LowRank { a, scale, b } => {
            let (b_shape, b) = (part(file, b).shape(), file.read(b, part(file, b))?);
            let thin = match assembly.numbers_per_element(a, file) {
                2 => file.read_rows_of_halves(part(file, a), wanted),
                _ => file.read_rows(a, part(file, a), wanted)?,
            };
            let scales = match scale {
                Some(scale) => {
                    let all = file.read(scale, part(file, scale))?;
                    wanted.iter().map(|row| all[*row as usize]).collect()
                }
                None => vec![1.0; wanted.len()],
            };
            let (rank, width) = (b_shape[0], b_shape[1]);
            let mut product = vec![0.0; wanted.len() * width];
            let multiply = |((out, row), scale): ((&mut [f32], &[f32]), &f32)| row_times_matrix(row, *scale, &b, out);
            // The tokens of a few labels are not worth starting threads for.
            if wanted.len() < ROWS_FOR_THREADS {
                let rows = product.chunks_exact_mut(width).zip(thin.chunks_exact(rank));
                rows.zip(&scales).for_each(multiply);
            } else {
                let rows = product.par_chunks_exact_mut(width).zip(thin.par_chunks_exact(rank));
                rows.zip(&scales).for_each(multiply);
            }
            Ok(product)
        }
        Assembly::Transposed(_)
        | Assembly::Framed { .. }
        | Assembly::Joined(_)
        | Assembly::Polar { .. }
        | Assembly::Scaled { .. } => {
            let all = values(file, assembly)?;
            let width = assembly
                .shape(file)
                .and_then(|shape| shape.last().copied())
                .unwrap_or(1);
            Ok(wanted
                .iter()
                .flat_map(|row| &all[*row as usize * width..][..width])
                .copied()
                .collect())
        }
    }
}

fn part<'a>(file: &'a TensorFile, name: &str) -> &'a StoredTensor {
    file.tensors
        .get(name)
        .unwrap_or_else(|| panic!("`{name}` was checked to exist"))
}

/// `(n_rows, n_columns)` to `(n_columns, n_rows)`.
pub(crate) fn transposed(values: &[f32], n_rows: usize, n_columns: usize) -> Vec<f32> {
    let mut columns = vec![0.0; values.len()];
    for (column, out) in columns.chunks_exact_mut(n_rows.max(1)).enumerate() {
        let values = values[column..].iter().step_by(n_columns);
        out.iter_mut().zip(values).for_each(|(out, value)| *out = *value);
    }
    columns
}

/// `r * theta / |theta|`, with the norm in f64; zeros for a direction of length zero.
fn polar(r: f32, theta: &[f32]) -> impl Iterator<Item = f32> {
    let norm = theta.iter().map(|t| f64::from(*t) * f64::from(*t)).sum::<f64>().sqrt();
    let factor = if norm > 0.0 { f64::from(r) / norm } else { 0.0 };
    theta.iter().map(move |t| (f64::from(*t) * factor) as f32)
}

/// `out = scale * (a @ b)`; `a (rank,)`, `b (rank, width)`.
fn row_times_matrix(a: &[f32], scale: f32, b: &[f32], out: &mut [f32]) {
    for (a, b_row) in a.iter().zip(b.chunks_exact(out.len())) {
        let factor = a * scale;
        out.iter_mut().zip(b_row).for_each(|(out, b)| *out += factor * b);
    }
}
