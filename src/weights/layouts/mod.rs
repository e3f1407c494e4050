//! Key layouts: what each family of files calls upstream's tensors, and how it stores them.
//!
//! One file a layout, with two functions: does this set of names belong to it, and how is upstream's tensor X made from
//! what it holds. A new layout is one such file and one line in [`LAYOUTS`].

mod factorised;
mod gmp;
mod huggingface;
mod openai;
mod openclip;

pub(super) use self::huggingface::LAYOUT as HUGGING_FACE;
pub(super) use self::openai::LAYOUT as OPENAI;
use super::stored::TensorFile;

/// How one of upstream's tensors is made from stored ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Making {
    /// It stands there.
    AsStored(String),
    /// It stands there with its two axes exchanged.
    Transposed(String),
    /// Parts one below the other (q, k and v).
    Joined([String; 3]),
    /// Length and direction of each output row: `r * theta / |theta|`.
    Polar {
        /// `(n_out, 1)`.
        r: String,
        /// `(n_out, n_in)`.
        theta: String,
    },
    /// A product of two thin matrices with a scale a row: `scale[i] * (a[i] @ b)`.
    LowRank {
        /// `(n, rank)`.
        a: String,
        /// `(n,)`.
        scale: Option<String>,
        /// `(rank, width)`.
        b: String,
    },
}

impl Making {
    /// The stored tensors that it needs.
    pub(super) fn parts(&self) -> Vec<&str> {
        match self {
            Making::AsStored(name) | Making::Transposed(name) => vec![name],
            Making::Joined(names) => names.iter().map(String::as_str).collect(),
            Making::Polar { r, theta } => vec![r, theta],
            Making::LowRank { a, scale, b } => [Some(a), scale.as_ref(), Some(b)]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect(),
        }
    }

    /// The shape of what is made; `None` if a part is missing or the parts don't fit each other.
    pub(super) fn shape(&self, file: &TensorFile) -> Option<Vec<usize>> {
        let shape = |name: &str| file.tensors.get(name).map(|tensor| tensor.shape().to_vec());
        match self {
            Making::AsStored(name) => shape(name),
            Making::Transposed(name) => shape(name).map(|mut shape| {
                shape.reverse();
                shape
            }),
            Making::Joined(names) => {
                let shapes: Vec<Vec<usize>> = names.iter().map(|name| shape(name)).collect::<Option<_>>()?;
                let (_, inner) = shapes[0].split_first()?;
                let mut n_rows = shapes.iter().map(|shape| match shape.split_first() {
                    Some((n_rows, others)) if others == inner => Some(*n_rows),
                    _ => None,
                });
                let n_rows = n_rows.try_fold(0usize, |sum, n| sum.checked_add(n?))?;
                Some([&[n_rows], inner].concat())
            }
            Making::Polar { theta, .. } => shape(theta),
            Making::LowRank { a, b, .. } => match (shape(a)?.as_slice(), shape(b)?.as_slice()) {
                (&[n, rank], &[same_rank, width]) if rank == same_rank => Some(vec![n, width]),
                _ => None,
            },
        }
    }

    /// Whether a part holds one number a row, which files write with and without a second axis.
    pub(super) fn is_per_row(&self, part: &str) -> bool {
        match self {
            Making::Polar { r, .. } => r == part,
            Making::LowRank { scale, .. } => scale.as_deref() == Some(part),
            Making::AsStored(_) | Making::Transposed(_) | Making::Joined(_) => false,
        }
    }

    /// Whether a part may be kept as whole numbers, because a scale goes with it.
    pub(super) fn is_scaled(&self, part: &str) -> bool {
        matches!(self, Making::LowRank { a, scale: Some(_), .. } if a == part)
    }

    /// The stored tensors, with the shapes that they have if upstream's tensor has this one; an axis of 0 may be any.
    pub(super) fn stored_shapes(&self, shape: &[usize], file: &TensorFile) -> Vec<(&str, Vec<usize>)> {
        let n_rows = shape.first().copied().unwrap_or(1);
        match self {
            Making::AsStored(name) => vec![(name, shape.to_vec())],
            Making::Transposed(name) => vec![(name, shape.iter().rev().copied().collect())],
            Making::Joined(names) => {
                let mut part = shape.to_vec();
                part.iter_mut().take(1).for_each(|n_rows| *n_rows /= names.len());
                names.iter().map(|name| (name.as_str(), part.clone())).collect()
            }
            Making::Polar { r, theta } => vec![(r, vec![n_rows, 1]), (theta, shape.to_vec())],
            Making::LowRank { a, scale, b } => {
                let rank = match file.tensors.get(b).map(|b| b.shape()) {
                    Some(&[rank, _]) => rank,
                    _ => 0,
                };
                let mut parts = vec![(a.as_str(), vec![n_rows, rank])];
                parts.extend(scale.as_ref().map(|scale| (scale.as_str(), vec![n_rows])));
                parts.push((b, vec![rank, shape.last().copied().unwrap_or(0)]));
                parts
            }
        }
    }
}

/// One family of files.
pub(super) struct Layout {
    /// What messages call it.
    pub(super) name: &'static str,
    /// Whether the names of this file are its own.
    pub(super) owns: fn(&TensorFile) -> bool,
    /// How upstream's tensor of this name is made.
    pub(super) making: fn(&TensorFile, &str) -> Making,
}

/// All layouts, the most particular first.
static LAYOUTS: [Layout; 6] = [
    factorised::LAYOUT,
    gmp::LAYOUT,
    huggingface::NESTED,
    huggingface::LAYOUT,
    openclip::CUSTOM_TEXT,
    openai::LAYOUT,
];

/// All layouts, for the tests that hold each of them to the same.
#[cfg(test)]
pub(super) fn all() -> &'static [Layout] {
    &LAYOUTS
}

/// The layout of a file, if it is one that we know.
pub(super) fn recognise(file: &TensorFile) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| (layout.owns)(file))
}

/// Entries that files carry beside the weights and that hold nothing to learn: counters, masks, sizes as tensors.
pub(super) fn is_bookkeeping(name: &str) -> bool {
    const LAST_PARTS: [&str; 5] = [
        "position_ids",
        "attn_mask",
        "input_resolution",
        "context_length",
        "vocab_size",
    ];
    let last = name.rsplit('.').next().unwrap_or(name);
    LAST_PARTS.contains(&last)
}
